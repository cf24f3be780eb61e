//! Where bytes come from: finding files, looking into them through compression and archives,
//! knowing their content by hash, and reading it again compared with what was looked at. Blocking
//! reads only; knows nothing of what the bytes mean, extracts nothing by name. Called by `command`
//! (to plan) and by the pipeline's reader thread.

pub mod archive;

mod again;
mod codec;
mod content;
mod find;
mod meter;
mod spool;
mod stored;
mod utf16;
mod walk;
mod zip;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

pub use again::find_again;
pub use codec::Codec;
pub use content::{ContentReader, Fingerprint, fingerprint};
pub use find::{Found, find};
pub use spool::{Spool, Spooler};
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
    /// A URL.
    #[error(
        "{url}: this program reads files and standard input only: download it, or pipe it in: \
         curl -fsSL '{url}' | tidegate backfill - ..."
    )]
    Remote {
        /// As the user wrote it.
        url: String,
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
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file is not what was hashed when the load was planned.
    #[error(
        "{}: changed while it was being loaded (block at byte {offset} differs from what was \
         hashed); nothing of the changed part was committed: run the same command again",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
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
        folder: PathBuf,
        /// What to do.
        advice: &'static str,
    },
}

impl SourceError {
    pub(crate) fn io(path: impl Into<PathBuf>, cause: io::Error) -> Self {
        SourceError::Io { path: path.into(), cause }
    }

    /// As the cause of an I/O error, to pass through readers that know no other.
    fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// Whether an I/O error is one of ours that passes through.
    fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<SourceError>())
    }

    /// The error that passed through, or one about the file.
    fn of(path: &Path, error: io::Error) -> Self {
        match error.downcast::<SourceError>() {
            Ok(own) => own,
            Err(cause) => SourceError::io(path, cause),
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
