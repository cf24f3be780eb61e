//! Hashing a file in blocks, and reading it again block by block.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
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
    /// What the file system said of the file before it was read.
    stamp: Stamp,
}

impl Fingerprint {
    /// Whether `now`, what the file system says of the file at `path`, is what it said when the
    /// file was fingerprinted: for readers that do not go through [`BlockReader`].
    ///
    /// # Errors
    /// [`SourceError::Changed`] if the file was written to since, or is another.
    pub fn check(&self, path: &Path, now: &Metadata) -> Result<(), SourceError> {
        if Stamp::of(now) == self.stamp {
            return Ok(());
        }
        Err(SourceError::Changed { path: path.to_owned(), offset: 0 })
    }
}

/// Another value means that a file was written to or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Reads a file once and fingerprints it.
///
/// # Errors
/// When the file cannot be read.
pub fn fingerprint(path: &Path) -> Result<Fingerprint, SourceError> {
    let mut file = File::open(path).map_err(|cause| SourceError::io(path, cause))?;
    let metadata = file.metadata().map_err(|cause| SourceError::io(path, cause))?;
    let stamp = Stamp::of(&metadata);
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
    Ok(Fingerprint { hash: *hash.finalize().as_bytes(), bytes, blocks: blocks.into(), stamp })
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
    /// The block that was read last, and its number.
    block: Vec<u8>,
    block_number: Option<u64>,
    offset: u64,
}

impl BlockReader {
    /// Opens the file at byte `offset`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, fingerprint: Fingerprint, offset: u64) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|cause| SourceError::io(path, cause))?;
        let path = path.to_owned();
        Ok(Self { path, file, fingerprint, block: Vec::new(), block_number: None, offset })
    }

    /// Goes to byte `offset`.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Whether every byte was handed out.
    pub fn at_end(&self) -> bool {
        self.offset >= self.fingerprint.bytes
    }

    /// Appends bytes from the current offset, at most `max` and not beyond the end of their block.
    /// Returns how many; 0 at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read or is not what was hashed.
    pub fn read_more(&mut self, into: &mut Vec<u8>, max: usize) -> Result<usize, SourceError> {
        if self.at_end() {
            return self.check_end();
        }
        let block_size = BLOCK_BYTES as u64;
        let number = self.offset / block_size;
        if self.block_number != Some(number) {
            self.load(number)?;
        }
        let skip = (self.offset - number * block_size) as usize;
        let taken = (self.block.len() - skip).min(max);
        into.extend_from_slice(&self.block[skip..skip + taken]);
        self.offset += taken as u64;
        Ok(taken)
    }

    fn load(&mut self, number: u64) -> Result<(), SourceError> {
        let start = number * BLOCK_BYTES as u64;
        let len = (self.fingerprint.bytes - start).min(BLOCK_BYTES as u64) as usize;
        self.block_number = None;
        self.block.resize(len, 0);
        let read = self.file.seek(SeekFrom::Start(start));
        let filled = read
            .and_then(|_| fill(&mut self.file, &mut self.block))
            .map_err(|cause| SourceError::io(&self.path, cause))?;
        let expected = self.fingerprint.blocks.get(number as usize);
        if filled != len || expected != Some(&crc32fast::hash(&self.block)) {
            return Err(SourceError::Changed { path: self.path.clone(), offset: start });
        }
        self.block_number = Some(number);
        Ok(())
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
            while reader.read_more(&mut read, 70_001).unwrap() > 0 {}
            assert!(read == bytes[offset..], "from {offset}");
        }
    }

    #[test]
    fn a_file_that_was_written_to_or_replaced_fails_its_check() {
        let file = file_of(b"rows");
        let print = fingerprint(file.path()).unwrap();
        let check = |file: &tempfile::NamedTempFile| {
            print.check(file.path(), &file.as_file().metadata().unwrap())
        };
        assert!(check(&file).is_ok());
        let old = file.as_file().metadata().unwrap();
        std::fs::write(file.path(), b"ROWS").unwrap();
        let later = old.modified().unwrap() + std::time::Duration::from_millis(1);
        file.as_file().set_modified(later).unwrap();
        assert!(matches!(check(&file), Err(SourceError::Changed { .. })));
        let other = file_of(b"rows");
        assert!(matches!(check(&other), Err(SourceError::Changed { .. })));
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
        assert_eq!(reader.read_more(&mut read, usize::MAX).unwrap(), BLOCK_BYTES);
        assert!(matches!(
            reader.read_more(&mut read, usize::MAX),
            Err(SourceError::Changed { .. })
        ));
        bytes[BLOCK_BYTES + 3] = 7;
        bytes.push(7);
        std::fs::write(file.path(), &bytes).unwrap();
        let mut reader = BlockReader::open(file.path(), print, BLOCK_BYTES as u64 + 10).unwrap();
        assert!(matches!(
            reader.read_more(&mut read, usize::MAX),
            Err(SourceError::Changed { .. })
        ));
    }
}
