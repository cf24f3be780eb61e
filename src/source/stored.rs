//! A file's stored bytes: read once and checksummed block by block, and read again later with every
//! block compared before a byte of it is handed out.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::SourceError;
use crate::limit::BLOCK_BYTES;

/// What a file's stored bytes must be when they are read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// Size in bytes.
    pub bytes: u64,
    /// CRC-32 of each block of [`BLOCK_BYTES`]; the last may be shorter.
    blocks: Vec<u32>,
    /// What the file system said of the file before it was read.
    pub stamp: Stamp,
}

/// Another value means that a file was written to or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Reads a file for the first time and checksums it on the way.
#[derive(Debug)]
pub(super) struct Recorder {
    path: PathBuf,
    file: File,
    stamp: Stamp,
    block: Vec<u8>,
    /// Bytes of the block that were consumed.
    used: usize,
    bytes: u64,
    blocks: Vec<u32>,
    ended: bool,
}

impl Recorder {
    /// Opens a file at its start.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let io = |cause| SourceError::io(path, cause);
        let file = File::open(path).map_err(io)?;
        let stamp = Stamp::of(&file.metadata().map_err(io)?);
        let (path, block, blocks) = (path.to_owned(), Vec::new(), Vec::new());
        Ok(Self { path, file, stamp, block, used: 0, bytes: 0, blocks, ended: false })
    }

    /// Reads what is left and says what the file is.
    ///
    /// # Errors
    /// When it cannot be read, or was written to meanwhile.
    pub fn finish(mut self) -> Result<Stored, SourceError> {
        loop {
            let filled = self.fill_buf().map(<[u8]>::len);
            let len = filled.map_err(|cause| SourceError::of(&self.path, cause))?;
            if len == 0 {
                break;
            }
            self.consume(len);
        }
        let now = self.file.metadata().map_err(|cause| SourceError::io(&self.path, cause))?;
        if Stamp::of(&now) != self.stamp || self.bytes != self.stamp.bytes {
            return Err(SourceError::Changed { path: self.path, offset: 0 });
        }
        Ok(Stored { bytes: self.bytes, blocks: self.blocks, stamp: self.stamp })
    }
}

impl BufRead for Recorder {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.block.len() && !self.ended {
            self.block.resize(BLOCK_BYTES, 0);
            self.used = 0;
            let filled = fill(&mut self.file, &mut self.block);
            self.block.truncate(*filled.as_ref().unwrap_or(&0));
            if filled? < BLOCK_BYTES {
                self.ended = true;
            }
            if !self.block.is_empty() {
                self.blocks.push(crc32fast::hash(&self.block));
                self.bytes += self.block.len() as u64;
            }
        }
        Ok(&self.block[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Recorder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}

/// [`Read::read`] by way of the buffer.
pub(super) fn read_buffered(from: &mut impl BufRead, into: &mut [u8]) -> io::Result<usize> {
    let bytes = from.fill_buf()?;
    let len = bytes.len().min(into.len());
    into[..len].copy_from_slice(&bytes[..len]);
    from.consume(len);
    Ok(len)
}

/// Reads until the buffer is full or the input ends.
pub(super) fn fill(input: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads a recorded file again. Every block is compared with its checksum before a byte of it is
/// handed out, so a file that changed in between is noticed before its rows are claimed.
#[derive(Debug)]
pub(super) struct StoredReader {
    path: PathBuf,
    file: File,
    stored: std::sync::Arc<Stored>,
    /// The block that was read last, and its number.
    block: Vec<u8>,
    number: Option<u64>,
    offset: u64,
}

impl StoredReader {
    /// Opens the file at its start.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, stored: std::sync::Arc<Stored>) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|cause| SourceError::io(path, cause))?;
        let path = path.to_owned();
        Ok(Self { path, file, stored, block: Vec::new(), number: None, offset: 0 })
    }

    /// Goes to byte `offset`.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    fn load(&mut self, number: u64) -> Result<(), SourceError> {
        let start = number * BLOCK_BYTES as u64;
        let len = (self.stored.bytes - start).min(BLOCK_BYTES as u64) as usize;
        self.number = None;
        self.block.resize(len, 0);
        let read = self.file.seek(SeekFrom::Start(start));
        let filled = read
            .and_then(|_| fill(&mut self.file, &mut self.block))
            .map_err(|cause| SourceError::io(&self.path, cause))?;
        let expected = self.stored.blocks.get(number as usize);
        if filled != len || expected != Some(&crc32fast::hash(&self.block)) {
            return Err(SourceError::Changed { path: self.path.clone(), offset: start });
        }
        self.number = Some(number);
        Ok(())
    }

    /// A file that grew is another content.
    fn check_end(&self) -> Result<(), SourceError> {
        let size = self.file.metadata().map_err(|cause| SourceError::io(&self.path, cause))?.len();
        if size == self.stored.bytes {
            return Ok(());
        }
        Err(SourceError::Changed { path: self.path.clone(), offset: self.stored.bytes })
    }
}

impl BufRead for StoredReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.offset >= self.stored.bytes {
            self.check_end().map_err(SourceError::into_io)?;
            return Ok(&[]);
        }
        let number = self.offset / BLOCK_BYTES as u64;
        if self.number != Some(number) {
            self.load(number).map_err(SourceError::into_io)?;
        }
        Ok(&self.block[(self.offset - number * BLOCK_BYTES as u64) as usize..])
    }

    fn consume(&mut self, amount: usize) {
        self.offset += amount as u64;
    }
}

impl Read for StoredReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}
