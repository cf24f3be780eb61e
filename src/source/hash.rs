//! A large plain file hashed by several threads at once. BLAKE3 hashes a tree over blocks: those of
//! [`BLOCK_BYTES`], a power of two, are whole subtrees of it, each computed by itself, checksummed
//! on the way, and joined at the end.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::PoisonError;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root,
};

use crate::limit::{BLOCK_BYTES, HASH_THREADS_MAX};

/// Files from so many bytes on are worth threads.
pub(super) const PARALLEL_BYTES_MIN: u64 = 4 * BLOCK_BYTES as u64;

/// A block is read piece by piece: what was read is in a core's own cache while it is hashed.
const PIECE_BYTES: usize = 128 << 10;

const _: () = assert!(BLOCK_BYTES.is_power_of_two() && BLOCK_BYTES >= blake3::CHUNK_LEN);

/// A block's part of the hash, and its CRC-32.
type Hashed = (ChainingValue, u32);

/// BLAKE3 of a file's first `bytes` bytes, at least [`PARALLEL_BYTES_MIN`], and the CRC-32 of each
/// of its blocks.
///
/// # Errors
/// When the file cannot be read, or ends before.
pub(super) fn of_file(file: &File, bytes: u64) -> io::Result<([u8; 32], Vec<u32>)> {
    let count = bytes.div_ceil(BLOCK_BYTES as u64);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = Mutex::new(0..count);
    let work = || -> io::Result<Vec<(u64, Hashed)>> {
        let (mut piece, mut hashed) = (vec![0; PIECE_BYTES], Vec::new());
        loop {
            let number = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(number) = number else { return Ok(hashed) };
            let start = number * BLOCK_BYTES as u64;
            let end = bytes.min(start + BLOCK_BYTES as u64);
            hashed.push((number, of_block(file, start..end, &mut piece)?));
        }
    };
    let mut all = Vec::with_capacity(count as usize);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..threads.clamp(1, HASH_THREADS_MAX)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let hashed = thread.join().map_err(|_| io::Error::other("a hashing thread ended"))?;
            all.extend(hashed?);
        }
        Ok::<(), io::Error>(())
    })?;
    all.sort_unstable_by_key(|(number, _)| *number);
    let values = all.iter().map(|(_, (value, _))| *value);
    Ok((join(values), all.iter().map(|(_, (_, checksum))| *checksum).collect()))
}

fn of_block(file: &File, block: Range<u64>, piece: &mut [u8]) -> io::Result<Hashed> {
    let (mut hasher, mut checksum) = (blake3::Hasher::new(), crc32fast::Hasher::new());
    hasher.set_input_offset(block.start);
    for start in block.clone().step_by(piece.len()) {
        let len = (block.end - start).min(piece.len() as u64) as usize;
        let piece = &mut piece[..len];
        file.read_exact_at(piece, start)?;
        hasher.update(piece);
        checksum.update(piece);
    }
    Ok((hasher.finalize_non_root(), checksum.finalize()))
}

/// The root over the values of at least two blocks, all whole but the last.
fn join(values: impl ExactSizeIterator<Item = ChainingValue>) -> [u8; 32] {
    let count = values.len();
    // Roots of complete subtrees, the larger first, as the bits of their number say.
    let mut roots: Vec<ChainingValue> = Vec::new();
    for (before, value) in values.enumerate() {
        let mut value = value;
        // The last block's value is joined below: the root is made in another way.
        if before + 1 < count {
            for _ in 0..before.trailing_ones() {
                if let Some(left) = roots.pop() {
                    value = merge_subtrees_non_root(&left, &value, Mode::Hash);
                }
            }
        }
        roots.push(value);
    }
    let mut right = roots.pop().unwrap_or_default();
    while let Some(left) = roots.pop() {
        if roots.is_empty() {
            return *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes();
        }
        right = merge_subtrees_non_root(&left, &right, Mode::Hash);
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_one_thread() {
        let numbers = 0..19 * BLOCK_BYTES as u64;
        let bytes: Vec<u8> = numbers.map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &bytes).unwrap();
        for blocks in 4..19 {
            for more in [0, 1, 1024, BLOCK_BYTES - 1] {
                let len = blocks * BLOCK_BYTES + more;
                let (hash, checksums) = of_file(&file, len as u64).unwrap();
                assert_eq!(hash, *blake3::hash(&bytes[..len]).as_bytes(), "{len}");
                let expected: Vec<u32> =
                    bytes[..len].chunks(BLOCK_BYTES).map(crc32fast::hash).collect();
                assert_eq!(checksums, expected, "{len}");
            }
        }
        let short = of_file(&file, bytes.len() as u64 + 1).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
    }
}
