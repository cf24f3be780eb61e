//! A file that several readers use at once: every read names its offset, so none moves another's,
//! and a file replaced under its name stays the one that was opened.

use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::limit::MIB;
use crate::read_at::ReadAt;

#[derive(Debug, Clone)]
pub(super) struct SharedFile {
    file: Arc<dyn ReadAt>,
    len: u64,
    /// A stretch of the file that was read in one go, and where it starts.
    ahead: Option<(u64, Bytes)>,
}

/// A stretch of so many bytes is read in one go: of small row groups many, of large ones none.
const AHEAD_BYTES_MAX: u64 = 8 * MIB as u64;

impl SharedFile {
    pub fn new(file: Arc<dyn ReadAt>) -> Self {
        let len = file.size();
        Self { file, len, ahead: None }
    }

    /// The same file with a stretch of it at hand, if that is short; thousands of tiny row groups
    /// are then one read, not tens of thousands.
    pub fn ahead(&self, bytes: Range<u64>) -> Self {
        let mut file = self.clone();
        let len = bytes.end.saturating_sub(bytes.start);
        if len <= AHEAD_BYTES_MAX && bytes.end <= self.len {
            let mut buffer = vec![0; len as usize];
            // What cannot be read here is read again where it is wanted, and the error is told.
            if self.from(bytes.start).read_exact(&mut buffer).is_ok() {
                file.ahead = Some((bytes.start, buffer.into()));
            }
        }
        file
    }

    /// Whether all that was read so far is what was opened.
    pub fn check(&self) -> io::Result<()> {
        self.file.check()
    }

    /// At most so many bytes from `start` on; none if they cannot be read.
    pub fn head(&self, start: u64, max: usize) -> Option<Bytes> {
        let length = self.len.checked_sub(start)?.min(max as u64) as usize;
        self.get_bytes(start, length).ok()
    }

    /// Bytes that are at hand.
    fn at_hand(&self, start: u64, length: usize) -> Option<Bytes> {
        let (from, bytes) = self.ahead.as_ref()?;
        let start = usize::try_from(start.checked_sub(*from)?).ok()?;
        let end = start.checked_add(length)?;
        (end <= bytes.len()).then(|| bytes.slice(start..end))
    }

    fn from(&self, offset: u64) -> From {
        From { file: Arc::clone(&self.file), offset }
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
            let rest = self.from(from + bytes.len() as u64);
            return Ok(Box::new(ahead.reader().chain(rest)));
        }
        Ok(Box::new(BufReader::new(self.from(start))))
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
        self.from(start).read_exact(&mut buffer)?;
        Ok(buffer.into())
    }
}

/// Reads on from an offset of its own.
#[derive(Debug)]
struct From {
    file: Arc<dyn ReadAt>,
    offset: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(buffer, self.offset)?;
        // No page goes on behind the file's end. The library skips what it does not know without a
        // look at how much was there: of a damaged header, billions of values of no bytes.
        if len == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += len as u64;
        Ok(len)
    }
}
