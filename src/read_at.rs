//! Bytes of a known length that are read from any offset: what decoders of formats made of seeks
//! are given, so that they know neither files nor networks. Implemented by `source`.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that several readers may use at once.
pub trait ReadAt: fmt::Debug + Send + Sync {
    /// How many there are.
    fn size(&self) -> u64;

    /// Reads bytes from `offset` on, as many as come at once; 0 at the end.
    ///
    /// # Errors
    /// When they cannot be read, or are known to be others than those that were opened.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Whether all that was read so far is what was opened.
    ///
    /// # Errors
    /// When it is not, or reading failed before.
    fn check(&self) -> io::Result<()>;
}

/// A file as it is: nothing is known of what it should be.
impl ReadAt for File {
    fn size(&self) -> u64 {
        self.metadata().map_or(0, |metadata| metadata.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }

    fn check(&self) -> io::Result<()> {
        Ok(())
    }
}
