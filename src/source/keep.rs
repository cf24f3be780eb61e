//! Copies of what was decompressed while it was looked at, so that the load reads them and does
//! not decompress once more. They lie in one temporary file without a name, up to a cap; where
//! there is no room, or the disk refuses, the source is decompressed again as if there were none.
//!
//! A copy is what was hashed. It is used as long as the file that it was made of looks the same;
//! else the stored bytes are read, and compared, again.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::SourceError;
use super::codec::Codec;
use super::location::{Location, Opened};
use super::stored::{Stored, read_buffered};
use crate::limit::{BLOCK_BYTES, KEPT_BLOCK_BYTES, KEPT_RATIO, SPOOL_RESERVE_BYTES};

/// Takes copies. Clones share one file and one cap.
#[derive(Debug, Clone)]
pub(super) struct Keeper(Arc<Store>);

#[derive(Debug)]
struct Store {
    folder: PathBuf,
    /// Made when it is first written to; none: it cannot be.
    file: OnceLock<Option<File>>,
    /// Where the next block goes.
    next: AtomicU64,
    /// Bytes that copies take.
    used: AtomicU64,
    max: u64,
}

/// A copy of a stream's bytes from its first on.
#[derive(Debug)]
pub(super) struct Kept {
    store: Arc<Store>,
    /// Where in the file each block of [`KEPT_BLOCK_BYTES`] is, and its CRC-32; the last may be
    /// shorter.
    blocks: Vec<(u64, u32)>,
    bytes: u64,
}

impl Keeper {
    /// Keeps up to `max` bytes in a file in `folder`.
    pub fn new(folder: PathBuf, max: u64) -> Self {
        let (file, next, used) = (OnceLock::new(), AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Store { folder, file, next, used, max }))
    }

    /// Bytes that copies take.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether a stream of `packed` compressed bytes is worth a copy: it costs more to decompress
    /// than to read, and there will be room for it.
    pub fn wants(&self, codec: Codec, packed: u64) -> bool {
        codec.is_slow() && packed.saturating_mul(KEPT_RATIO) <= self.0.max - self.used()
    }
}

impl Store {
    /// Writes a block. `None`: there is no room.
    fn write(&self, block: &[u8]) -> Option<u64> {
        let len = block.len() as u64;
        let room = |used: u64| Some(used + len).filter(|used| *used <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        let at = self.next.fetch_add(len, Ordering::Relaxed);
        let written =
            self.file().is_some_and(|file| has_space(file) && file.write_all_at(block, at).is_ok());
        if !written {
            self.used.fetch_sub(len, Ordering::Relaxed);
        }
        written.then_some(at)
    }

    fn file(&self) -> Option<&File> {
        self.file.get_or_init(|| tempfile::tempfile_in(&self.folder).ok()).as_ref()
    }

    /// Gives blocks back to the disk.
    fn free(&self, blocks: &[(u64, u32)], bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        let Some(file) = self.file() else { return };
        for (number, &(at, _)) in blocks.iter().enumerate() {
            let left = bytes - number as u64 * KEPT_BLOCK_BYTES as u64;
            punch(file, at, left.min(KEPT_BLOCK_BYTES as u64));
        }
    }
}

fn has_space(file: &File) -> bool {
    rustix::fs::fstatvfs(file)
        .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) > SPOOL_RESERVE_BYTES)
}

/// The space comes back at the end at the latest, so it does not matter whether this works.
#[cfg(target_os = "linux")]
fn punch(file: &File, at: u64, len: u64) {
    use rustix::fs::{FallocateFlags, fallocate};
    let _ = fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, len);
}

#[cfg(not(target_os = "linux"))]
fn punch(_: &File, _: u64, _: u64) {}

impl Kept {
    /// How many bytes of the stream it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.store.free(&self.blocks, self.bytes);
    }
}

/// Hands on what is read, and keeps a copy.
pub(super) struct Keeping<R> {
    inner: R,
    /// None: no copy is made, or not any more.
    copy: Option<Kept>,
    block: Vec<u8>,
}

impl<R: BufRead> Keeping<R> {
    /// With a keeper, copies are made.
    pub fn new(inner: R, keeper: Option<&Keeper>) -> Self {
        let new =
            |keeper: &Keeper| Kept { store: Arc::clone(&keeper.0), blocks: Vec::new(), bytes: 0 };
        Self { inner, copy: keeper.map(new), block: Vec::new() }
    }

    /// The copy of all that was read.
    pub fn finish(mut self) -> Option<Arc<Kept>> {
        if !self.block.is_empty() {
            self.write();
        }
        self.copy.filter(|copy| copy.bytes > 0).map(Arc::new)
    }

    fn write(&mut self) {
        let Some(copy) = &mut self.copy else { return };
        match copy.store.write(&self.block) {
            Some(at) => {
                copy.blocks.push((at, crc32fast::hash(&self.block)));
                copy.bytes += self.block.len() as u64;
                self.block.clear();
            }
            // What was copied so far is given back.
            None => (self.copy, self.block) = (None, Vec::new()),
        }
    }
}

impl<R: BufRead> BufRead for Keeping<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        let mut copied = 0;
        while copied < amount && self.copy.is_some() {
            // What is consumed is buffered, so that nothing is read here.
            let Ok(bytes) = self.inner.fill_buf() else { break };
            let len = (amount - copied).min(KEPT_BLOCK_BYTES - self.block.len());
            let Some(part) = bytes.get(copied..copied + len) else { break };
            self.block.extend_from_slice(part);
            copied += len;
            if self.block.len() == KEPT_BLOCK_BYTES {
                self.write();
            }
        }
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Keeping<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}

/// Reads a copy from any byte on, as long as what it was made of looks the same.
pub(super) struct KeptReader {
    kept: Arc<Kept>,
    stored: Arc<Stored>,
    opened: Opened,
    /// The block at hand, and its number.
    block: Vec<u8>,
    number: Option<u64>,
    offset: u64,
    /// The stretch of [`BLOCK_BYTES`] before which the file was looked at last.
    looked: Option<u64>,
}

impl KeptReader {
    /// Opens a copy of what is in the file at `location`.
    pub fn open(
        location: &Location,
        stored: &Arc<Stored>,
        kept: &Arc<Kept>,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            kept: Arc::clone(kept),
            stored: Arc::clone(stored),
            opened: Opened::open(location)?,
            block: Vec::new(),
            number: None,
            offset: 0,
            looked: None,
        })
    }

    /// Whether it reads this copy.
    pub fn is_of(&self, kept: &Arc<Kept>) -> bool {
        Arc::ptr_eq(&self.kept, kept)
    }

    /// Goes to byte `offset`.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// The bytes at hand. `None`: the copy cannot be used any more.
    pub fn fill_buf(&mut self) -> io::Result<Option<&[u8]>> {
        if self.offset >= self.kept.bytes {
            return Ok(Some(&[]));
        }
        let number = self.offset / KEPT_BLOCK_BYTES as u64;
        if self.number != Some(number) && !self.load(number)? {
            return Ok(None);
        }
        Ok(Some(&self.block[(self.offset - number * KEPT_BLOCK_BYTES as u64) as usize..]))
    }

    pub fn consume(&mut self, amount: usize) {
        self.offset += amount as u64;
    }

    fn load(&mut self, number: u64) -> io::Result<bool> {
        let start = number * KEPT_BLOCK_BYTES as u64;
        let stretch = start / BLOCK_BYTES as u64;
        // A store is asked now and then; a file costs nothing.
        let look = self.looked != Some(stretch) || matches!(self.opened, Opened::File(_));
        if look && !self.opened.is_still(&self.stored.stamp)? {
            return Ok(false);
        }
        self.looked = Some(stretch);
        let (Some(file), Some(&(at, checksum))) =
            (self.kept.store.file(), self.kept.blocks.get(number as usize))
        else {
            return Ok(false);
        };
        self.number = None;
        let len = (self.kept.bytes - start).min(KEPT_BLOCK_BYTES as u64);
        self.block.resize(len as usize, 0);
        // A disk that cannot give back what it took is no reason to fail.
        if file.read_exact_at(&mut self.block, at).is_err()
            || crc32fast::hash(&self.block) != checksum
        {
            return Ok(false);
        }
        self.number = Some(number);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_or_forgets_costs_the_copy_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("read-only");
        let text = vec![b'x'; 3 * KEPT_BLOCK_BYTES + 5];
        std::fs::write(&path, &text).unwrap();
        let keep = |keeper: &Keeper| {
            let mut keeping = Keeping::new(text.as_slice(), Some(keeper));
            let mut bytes = Vec::new();
            keeping.read_to_end(&mut bytes).unwrap();
            assert!(bytes == text);
            keeping.finish()
        };
        // Nothing can be written to it, as to a disk that is full.
        let full = Keeper::new(folder.path().to_owned(), u64::MAX);
        full.0.file.set(Some(File::open(&path).unwrap())).unwrap();
        assert!(keep(&full).is_none());
        assert_eq!(full.used(), 0);

        let keeper = Keeper::new(folder.path().to_owned(), text.len() as u64);
        let kept = keep(&keeper).unwrap();
        assert_eq!((kept.bytes(), keeper.used()), (text.len() as u64, text.len() as u64));
        assert!(keep(&keeper).is_none(), "there is room for one");
        let location = Location::from(path.as_path());
        let recorder = crate::source::stored::Recorder::open(&location).unwrap();
        let stored = Arc::new(recorder.finish().unwrap());
        let mut reader = KeptReader::open(&location, &stored, &kept).unwrap();
        assert_eq!(reader.fill_buf().unwrap(), Some(&text[..KEPT_BLOCK_BYTES]));
        reader.seek(2 * KEPT_BLOCK_BYTES as u64);
        let file = kept.store.file().unwrap();
        file.write_all_at(b"y", kept.blocks[2].0 + 9).unwrap();
        assert_eq!(reader.fill_buf().unwrap(), None, "it is not what was kept");
        reader.seek(3 * KEPT_BLOCK_BYTES as u64 + 1);
        assert_eq!(reader.fill_buf().unwrap(), Some(&b"xxxx"[..]));
        drop((kept, reader));
        assert_eq!(keeper.used(), 0);
        assert!(keep(&keeper).is_some(), "there is room again");
    }
}
