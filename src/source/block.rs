//! Hashing a file in blocks, and reading it again block by block.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SourceError;
use crate::limit::BLOCK_BYTES;

/// What a file's content is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// BLAKE3 of all bytes.
    pub hash: [u8; 32],
    /// Size in bytes.
    pub bytes: u64,
    /// CRC-32 of each block of [`BLOCK_BYTES`]; the last may be shorter.
    blocks: Arc<[u32]>,
}

/// Reads a file once and fingerprints it.
///
/// # Errors
/// When the file cannot be read.
pub fn fingerprint(path: &Path) -> Result<Fingerprint, SourceError> {
    let mut file = File::open(path).map_err(|cause| SourceError::io(path, cause))?;
    let mut buffer = vec![0; BLOCK_BYTES];
    let (mut hash, mut bytes, mut blocks) = (blake3::Hasher::new(), 0, Vec::new());
    loop {
        let filled = fill(&mut file, &mut buffer).map_err(|cause| SourceError::io(path, cause))?;
        if filled == 0 {
            break;
        }
        hash.update(&buffer[..filled]);
        blocks.push(crc32fast::hash(&buffer[..filled]));
        bytes += filled as u64;
        if filled < buffer.len() {
            break;
        }
    }
    Ok(Fingerprint { hash: *hash.finalize().as_bytes(), bytes, blocks: blocks.into() })
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads a fingerprinted file again. Every block is compared with its checksum before a byte of it
/// is handed out, so a file that changed in between is noticed before its rows are claimed.
#[derive(Debug)]
pub struct BlockReader {
    path: PathBuf,
    file: File,
    fingerprint: Fingerprint,
    block: Vec<u8>,
    offset: u64,
}

impl BlockReader {
    /// Opens the file at byte `offset`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, fingerprint: Fingerprint, offset: u64) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|cause| SourceError::io(path, cause))?;
        Ok(Self { path: path.to_owned(), file, fingerprint, block: Vec::new(), offset })
    }

    /// Goes to byte `offset`.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Appends the bytes from the current offset to the end of its block. Returns how many; 0 at
    /// the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read or is not what was hashed.
    pub fn read_more(&mut self, into: &mut Vec<u8>) -> Result<usize, SourceError> {
        let block_size = BLOCK_BYTES as u64;
        let number = self.offset / block_size;
        let start = number * block_size;
        let len = self.fingerprint.bytes.saturating_sub(start).min(block_size) as usize;
        let skip = (self.offset - start) as usize;
        if skip >= len {
            return self.check_end();
        }
        self.block.resize(len, 0);
        let read = self.file.seek(SeekFrom::Start(start));
        let filled = read
            .and_then(|_| fill(&mut self.file, &mut self.block))
            .map_err(|cause| SourceError::io(&self.path, cause))?;
        let expected = self.fingerprint.blocks.get(number as usize);
        if filled != len || expected != Some(&crc32fast::hash(&self.block)) {
            return Err(SourceError::Changed { path: self.path.clone(), offset: start });
        }
        into.extend_from_slice(&self.block[skip..]);
        self.offset += (len - skip) as u64;
        Ok(len - skip)
    }

    /// A file that grew is another content.
    fn check_end(&self) -> Result<usize, SourceError> {
        let size = self.file.metadata().map_err(|cause| SourceError::io(&self.path, cause))?.len();
        if size == self.fingerprint.bytes {
            return Ok(0);
        }
        Err(SourceError::Changed { path: self.path.clone(), offset: self.fingerprint.bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn reads_back_from_any_offset() {
        let bytes: Vec<u8> = (0..BLOCK_BYTES * 2 + 77).map(|i| (i % 251) as u8).collect();
        let file = file_of(&bytes);
        let print = fingerprint(file.path()).unwrap();
        assert_eq!(print.hash, *blake3::hash(&bytes).as_bytes());
        for offset in [0, 5, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES * 2 + 76, bytes.len()] {
            let mut reader = BlockReader::open(file.path(), print.clone(), offset as u64).unwrap();
            let mut read = Vec::new();
            while reader.read_more(&mut read).unwrap() > 0 {}
            assert!(read == bytes[offset..], "from {offset}");
        }
    }

    #[test]
    fn a_changed_or_grown_file_is_noticed() {
        let mut bytes = vec![7; BLOCK_BYTES + 10];
        let file = file_of(&bytes);
        let print = fingerprint(file.path()).unwrap();
        bytes[BLOCK_BYTES + 3] = 8;
        std::fs::write(file.path(), &bytes).unwrap();
        let mut reader = BlockReader::open(file.path(), print.clone(), 0).unwrap();
        let mut read = Vec::new();
        assert_eq!(reader.read_more(&mut read).unwrap(), BLOCK_BYTES);
        assert!(matches!(reader.read_more(&mut read), Err(SourceError::Changed { .. })));
        bytes[BLOCK_BYTES + 3] = 7;
        bytes.push(7);
        std::fs::write(file.path(), &bytes).unwrap();
        let mut reader = BlockReader::open(file.path(), print, BLOCK_BYTES as u64 + 10).unwrap();
        assert!(matches!(reader.read_more(&mut read), Err(SourceError::Changed { .. })));
    }
}
