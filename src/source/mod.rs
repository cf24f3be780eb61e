//! Where bytes come from: finding files and objects of stores, looking into them through
//! compression and archives, knowing their content by hash, and reading it again compared with what
//! was looked at. Blocking reads only; knows nothing of what the bytes mean, extracts nothing by
//! name. Called by `command` (to plan) and by the pipeline's reader thread.

pub mod archive;

mod again;
mod bunzip;
mod codec;
mod content;
mod find;
mod hash;
mod input;
mod keep;
mod location;
mod meter;
mod pending;
#[cfg(feature = "remote")]
mod remote;
#[cfg(not(feature = "remote"))]
#[path = "no_remote.rs"]
mod remote;
mod spool;
mod stored;
mod utf16;
mod version;
mod walk;
mod zip;

#[cfg(test)]
mod tests;

use std::io;

pub use again::find_again;
pub use codec::Codec;
pub use content::{ContentReader, Fingerprint, fingerprint};
pub use find::{Found, find};
pub use location::{Location, Made};
pub use remote::{Object, Remotes};
pub use spool::{Spool, Spooler};
pub use version::Version;
pub use walk::{Content, Seen, Visitor, Want, look_into};

/// What can go wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is there.
    #[error("{path}: no such file; check the path, or quote a glob so that it reaches tidegate")]
    Missing {
        /// As the user wrote it.
        path: String,
    },
    /// A URL behind which nothing is.
    #[error("{url}: {reason}")]
    Absent {
        /// The URL, without what may be secret in it.
        url: String,
        /// What to check.
        reason: String,
    },
    /// A URL that cannot be read.
    #[error("{url}: {reason}")]
    Remote {
        /// The URL, without what may be secret in it.
        url: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A glob that cannot be read.
    #[error("{pattern}: not a glob: {message}")]
    BadGlob {
        /// As the user wrote it.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// The operating system said no.
    #[error("{name}: {cause}")]
    Io {
        /// The file.
        name: String,
        /// Why.
        cause: io::Error,
    },
    /// The file is not what was hashed when the load was planned.
    #[error(
        "{name}: changed while it was being loaded (block at byte {offset} differs from what was \
         hashed); nothing of the changed part was committed: run the same command again"
    )]
    Changed {
        /// The file or object.
        name: String,
        /// Start of the block that differs.
        offset: u64,
    },
    /// Compressed data or an archive that cannot be read to its end.
    #[error("{name}: bad {what} data at byte {offset}: {reason}")]
    Damaged {
        /// The file or member.
        name: String,
        /// The format.
        what: &'static str,
        /// Where, in the bytes of this format.
        offset: u64,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A file that would become far more than it is.
    #[error(
        "{name}: its {stored} bytes decompress to more than {allowed}, which no real data do: \
         stopped as a decompression bomb; if it is none, decompress it yourself and load the \
         result"
    )]
    Bomb {
        /// The file.
        name: String,
        /// Its size on disk, in bytes.
        stored: u64,
        /// Decompressed bytes that are allowed.
        allowed: u64,
    },
    /// An archive or file that is not read, although it is whole.
    #[error("{name}: {reason}")]
    Refused {
        /// The file or member.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Temporary files would take too much room.
    #[error(
        "{what} is larger than the {allowed} bytes that may be kept in {}; {advice}",
        folder.display()
    )]
    SpoolFull {
        /// What is spooled.
        what: String,
        /// Bytes that may be.
        allowed: u64,
        /// The folder of temporary files.
        folder: std::path::PathBuf,
        /// What to do.
        advice: &'static str,
    },
}

impl SourceError {
    fn io(location: &Location, cause: io::Error) -> Self {
        SourceError::Io { name: location.to_string(), cause }
    }

    fn changed(location: &Location, offset: u64) -> Self {
        SourceError::Changed { name: location.to_string(), offset }
    }

    /// Whether what was asked for is not there, and might be tomorrow.
    pub fn is_absence(&self) -> bool {
        matches!(self, SourceError::Missing { .. } | SourceError::Absent { .. })
    }

    /// As the cause of an I/O error, to pass through readers that know no other.
    fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// Whether an I/O error is one of ours that passes through.
    fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<SourceError>())
    }

    /// The error that passed through readers that know no other, or one about the file.
    pub fn of(location: &Location, error: io::Error) -> Self {
        match error.downcast::<SourceError>() {
            Ok(own) => own,
            Err(cause) => SourceError::io(location, cause),
        }
    }

    /// Whether it is about what is called `name` and nothing around it.
    fn is_of(&self, of: &str) -> bool {
        match self {
            SourceError::Damaged { name, .. } | SourceError::Refused { name, .. } => name == of,
            _ => false,
        }
    }
}
