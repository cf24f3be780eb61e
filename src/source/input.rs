//! What decoders of compressed streams read from. Called by `codec` and `bunzip`.

use std::io::{self, BufRead, Read};

use super::stored::{fill, read_buffered};

/// Bytes that tell whether a stream begins.
pub const HEAD_BYTES: usize = 10;

/// What a decoder reads from: counts, and notices when there is nothing left.
pub struct Input<'a> {
    inner: Box<dyn BufRead + 'a>,
    /// Bytes that were consumed.
    pub read: u64,
    /// Whether nothing was left when it was asked last.
    pub starved: bool,
}

impl<'a> Input<'a> {
    pub fn new(inner: Box<dyn BufRead + 'a>) -> Self {
        Self { inner, read: 0, starved: false }
    }

    /// Copies the next bytes without consuming them; fewer only at the end.
    pub fn peek(&mut self, into: &mut [u8; HEAD_BYTES]) -> io::Result<usize> {
        let buffered = self.fill_buf()?;
        if buffered.len() >= into.len() {
            into.copy_from_slice(&buffered[..HEAD_BYTES]);
            return Ok(into.len());
        }
        let len = fill(&mut self.inner, into)?;
        let inner = std::mem::replace(&mut self.inner, Box::new(io::empty()));
        self.inner = Box::new(io::Cursor::new(into[..len].to_vec()).chain(inner));
        Ok(len)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.inner.fill_buf()?;
        self.starved = bytes.is_empty();
        Ok(bytes)
    }

    fn consume(&mut self, amount: usize) {
        self.read += amount as u64;
        self.inner.consume(amount);
    }
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}
