//! A file that several readers use at once: every read names its offset, so none moves another's,
//! and a file replaced under its name stays the one that was opened.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::read_at::ReadAt;

#[derive(Debug, Clone)]
pub(super) struct SharedFile(pub Arc<dyn ReadAt>);

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for SharedFile {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(From { file: Arc::clone(&self.0), offset: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // A damaged footer may ask for more than there is memory.
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} are wanted, but the file has {}",
                self.len()
            )));
        }
        let mut buffer = vec![0; length];
        (From { file: Arc::clone(&self.0), offset: start }).read_exact(&mut buffer)?;
        Ok(buffer.into())
    }
}

/// Reads on from an offset of its own.
#[derive(Debug)]
pub(super) struct From {
    file: Arc<dyn ReadAt>,
    offset: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(buffer, self.offset)?;
        self.offset += len as u64;
        Ok(len)
    }
}
