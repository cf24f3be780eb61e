//! The measure of what a file may become when it is decompressed: a bomb is stopped before it has
//! cost more than the time to unpack what a real file of its size could hold.

use std::cell::Cell;
use std::rc::Rc;

use super::SourceError;
use crate::limit::{
    ARCHIVE_MEMBERS_MAX, DECOMPRESSED_BYTES_MAX, DECOMPRESSED_FREE_BYTES, DECOMPRESSED_RATIO_MAX,
};

/// What one file on disk may become.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Decompressed bytes for each stored one.
    pub ratio: u64,
    /// Decompressed bytes that are allowed whatever the ratio.
    pub free_bytes: u64,
    /// Decompressed bytes at most.
    pub bytes: u64,
    /// Members of one archive.
    pub members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ratio: DECOMPRESSED_RATIO_MAX,
            free_bytes: DECOMPRESSED_FREE_BYTES,
            bytes: DECOMPRESSED_BYTES_MAX,
            members: ARCHIVE_MEMBERS_MAX,
        }
    }
}

/// Counts what all decoders of one file give, those inside one another too.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    name: Rc<str>,
    stored: u64,
    allowed: u64,
    made: Rc<Cell<u64>>,
}

impl Meter {
    /// For the file called `name` of `stored` bytes.
    pub fn new(name: &str, stored: u64, limits: Limits) -> Self {
        let allowed = stored.saturating_mul(limits.ratio).max(limits.free_bytes).min(limits.bytes);
        Self { name: name.into(), stored, allowed, made: Rc::default() }
    }

    /// Counts bytes that were made.
    ///
    /// # Errors
    /// [`SourceError::Bomb`] when they are too many.
    pub fn count(&self, bytes: u64) -> Result<(), SourceError> {
        let made = self.made.get().saturating_add(bytes);
        self.made.set(made);
        if made <= self.allowed {
            return Ok(());
        }
        Err(SourceError::Bomb {
            name: self.name.to_string(),
            stored: self.stored,
            allowed: self.allowed,
        })
    }
}
