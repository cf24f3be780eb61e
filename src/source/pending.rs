//! What a walk holds of contents that are wanted until their file was read to its end.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::content::{Fingerprint, Place};
use super::keep::Kept;
use super::location::Location;
use super::stored::{Stored, read_buffered};
use super::walk::Content;

/// A content that is wanted: one of the file itself waits for its checksums.
pub(super) enum Pending {
    Ready(Content),
    OfFile { name: String, hash: [u8; 32], bytes: u64, place: Place, kept: Option<Arc<Kept>> },
}

impl Pending {
    /// Where it is.
    pub fn place(&self) -> &Place {
        match self {
            Pending::Ready(content) => content.fingerprint.place(),
            Pending::OfFile { place, .. } => place,
        }
    }

    /// With a copy of what its layers decode to.
    pub fn with_copy(self, copy: Arc<Kept>) -> Self {
        match self {
            Pending::Ready(Content { name, location, fingerprint, spool }) => {
                let fingerprint = fingerprint.with_copy(Some(copy));
                Pending::Ready(Content { name, location, fingerprint, spool })
            }
            Pending::OfFile { name, hash, bytes, place, .. } => {
                Pending::OfFile { name, hash, bytes, place, kept: Some(copy) }
            }
        }
    }

    /// The content. `None`: the file was not read to its end.
    pub fn content(self, location: &Location, stored: Option<&Arc<Stored>>) -> Option<Content> {
        match self {
            Pending::Ready(content) => Some(content),
            Pending::OfFile { name, hash, bytes, place, kept } => {
                let fingerprint = Fingerprint::new(hash, bytes, place, Arc::clone(stored?));
                let fingerprint = fingerprint.with_copy(kept);
                Some(Content { name, location: location.clone(), fingerprint, spool: None })
            }
        }
    }
}

/// Hashes what is read through it, as long as that may be asked for.
pub(super) struct Hashing<'a> {
    pub inner: &'a mut dyn BufRead,
    pub hash: Option<blake3::Hasher>,
    pub bytes: u64,
}

impl Read for Hashing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = read_buffered(&mut self.inner, into)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&into[..len]);
        }
        self.bytes += len as u64;
        Ok(len)
    }
}
