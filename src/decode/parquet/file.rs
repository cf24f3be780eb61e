//! A file that several readers use at once: every read names its offset, so none moves another's,
//! and a file replaced under its name stays the one that was opened.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::limit::MIB;

#[derive(Debug, Clone)]
pub(super) struct SharedFile {
    file: Arc<File>,
    len: u64,
    /// A stretch of the file that was read in one go, and where it starts.
    ahead: Option<(u64, Bytes)>,
}

/// A stretch of so many bytes is read in one go: of small row groups many, of large ones none.
const AHEAD_BYTES_MAX: u64 = 8 * MIB as u64;

impl SharedFile {
    pub fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), len, ahead: None })
    }

    /// The same file with a stretch of it at hand, if that is short; thousands of tiny row groups
    /// are then one read, not tens of thousands.
    pub fn ahead(&self, bytes: Range<u64>) -> Self {
        let mut file = self.clone();
        let len = bytes.end.saturating_sub(bytes.start);
        if len <= AHEAD_BYTES_MAX && bytes.end <= self.len {
            let mut buffer = vec![0; len as usize];
            // What cannot be read here is read again where it is wanted, and the error is told.
            if self.file.read_exact_at(&mut buffer, bytes.start).is_ok() {
                file.ahead = Some((bytes.start, buffer.into()));
            }
        }
        file
    }

    /// Bytes that are at hand.
    fn at_hand(&self, start: u64, length: usize) -> Option<Bytes> {
        let (from, bytes) = self.ahead.as_ref()?;
        let start = usize::try_from(start.checked_sub(*from)?).ok()?;
        let end = start.checked_add(length)?;
        (end <= bytes.len()).then(|| bytes.slice(start..end))
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for SharedFile {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        if let Some((from, bytes)) = &self.ahead
            && let Some(at) = start.checked_sub(*from).filter(|at| *at < bytes.len() as u64)
        {
            let ahead = bytes.slice(at as usize..);
            let rest = ReadAt { file: Arc::clone(&self.file), offset: from + bytes.len() as u64 };
            return Ok(Box::new(ahead.reader().chain(rest)));
        }
        Ok(Box::new(BufReader::new(ReadAt { file: Arc::clone(&self.file), offset: start })))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if let Some(bytes) = self.at_hand(start, length) {
            return Ok(bytes);
        }
        // A damaged footer may ask for more than there is memory.
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} are wanted, but the file has {}",
                self.len
            )));
        }
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer.into())
    }
}

/// Reads on from an offset of its own.
#[derive(Debug)]
pub(super) struct ReadAt {
    file: Arc<File>,
    offset: u64,
}

impl Read for ReadAt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(buffer, self.offset)?;
        self.offset += len as u64;
        Ok(len)
    }
}
