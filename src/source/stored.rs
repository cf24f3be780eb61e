//! Stored bytes: read once and checksummed block by block, and read again later with every
//! block compared before a byte of it is handed out.

use std::io::{self, BufRead, Read};

use super::SourceError;
use super::hash;
use super::location::{Location, Opened, Stamp};
use crate::limit::{BLOCK_BYTES, SAMPLE_BYTES};

/// What a file's stored bytes must be when they are read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// Size in bytes.
    pub bytes: u64,
    /// CRC-32 of each block of [`BLOCK_BYTES`]; the last may be shorter.
    blocks: Vec<u32>,
    /// What was said of them before they were read.
    pub stamp: Stamp,
}

impl Stored {
    /// Whether block `number` is what it was.
    pub fn holds(&self, number: u64, block: &[u8]) -> bool {
        self.blocks.get(number as usize) == Some(&crc32fast::hash(block))
    }
}

/// Reads a file for the first time and checksums it on the way.
#[derive(Debug)]
pub(super) struct Recorder {
    location: Location,
    opened: Opened,
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
    pub fn open(location: &Location) -> Result<Self, SourceError> {
        let opened = Opened::open(location)?;
        let stamp = opened.stamp().map_err(|cause| SourceError::io(location, cause))?;
        let (location, block, blocks) = (location.clone(), Vec::new(), Vec::new());
        Ok(Self { location, opened, stamp, block, used: 0, bytes: 0, blocks, ended: false })
    }

    /// Reads a file that is large by several threads at once; gives the hash and number of its
    /// bytes. `None`: it is none. Nothing was read before.
    pub fn hash_large(&mut self) -> Option<io::Result<([u8; 32], u64)>> {
        let bytes = self.stamp.bytes();
        let Opened::File(file) = &self.opened else { return None };
        (bytes >= hash::PARALLEL_BYTES_MIN).then(|| {
            let (hash, blocks) = hash::of_file(file, bytes)?;
            (self.bytes, self.blocks) = (bytes, blocks);
            Ok((hash, bytes))
        })
    }

    /// Reads what is left and says what the file is.
    ///
    /// # Errors
    /// When it cannot be read, or was written to meanwhile.
    pub fn finish(mut self) -> Result<Stored, SourceError> {
        loop {
            let filled = self.fill_buf().map(<[u8]>::len);
            let len = filled.map_err(|cause| SourceError::of(&self.location, cause))?;
            if len == 0 {
                break;
            }
            self.consume(len);
        }
        let now = self.opened.stamp().map_err(|cause| SourceError::io(&self.location, cause))?;
        if now != self.stamp || self.bytes != self.stamp.bytes() {
            return Err(SourceError::changed(&self.location, 0));
        }
        Ok(Stored { bytes: self.bytes, blocks: self.blocks, stamp: self.stamp })
    }
}

impl BufRead for Recorder {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.block.len() && !self.ended {
            // A byte more than there should be tells the end. Small files need no large buffer.
            let left = self.stamp.bytes().saturating_sub(self.bytes);
            let room = left.saturating_add(1).min(BLOCK_BYTES as u64) as usize;
            self.block.resize(room, 0);
            self.used = 0;
            let filled = self.opened.read_block(self.bytes, &mut self.block);
            self.block.truncate(*filled.as_ref().unwrap_or(&0));
            if filled? < room {
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

/// A file's first bytes, and its size.
pub(super) fn first_bytes(location: &Location) -> Result<(Vec<u8>, u64), SourceError> {
    let failed = |cause| SourceError::of(location, cause);
    let mut opened = Opened::open(location)?;
    let size = opened.stamp().map_err(failed)?.bytes();
    let mut head = vec![0; SAMPLE_BYTES];
    let len = opened.read_block(0, &mut head).map_err(failed)?;
    head.truncate(len);
    Ok((head, size))
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
    location: Location,
    opened: Opened,
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
    pub fn open(location: &Location, stored: std::sync::Arc<Stored>) -> Result<Self, SourceError> {
        let (opened, location) = (Opened::open(location)?, location.clone());
        Ok(Self { location, opened, stored, block: Vec::new(), number: None, offset: 0 })
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
        let filled = self.opened.read_block(start, &mut self.block);
        let filled = filled.map_err(|cause| SourceError::of(&self.location, cause))?;
        if filled != len || !self.stored.holds(number, &self.block) {
            return Err(SourceError::changed(&self.location, start));
        }
        self.number = Some(number);
        Ok(())
    }

    /// A file that grew is another content.
    fn check_end(&self) -> Result<(), SourceError> {
        let now = self.opened.stamp().map_err(|cause| SourceError::io(&self.location, cause))?;
        if now.bytes() == self.stored.bytes {
            return Ok(());
        }
        Err(SourceError::changed(&self.location, self.stored.bytes))
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
