//! Where bytes come from: finding files, knowing their content by hash, and reading them again in
//! blocks that are compared with what was hashed. Blocking reads only; knows nothing of what the
//! bytes mean. Called by `command` (to plan) and by the pipeline's reader thread.

mod block;
mod find;

use std::io;
use std::path::PathBuf;

pub use block::{BlockReader, Fingerprint, fingerprint};
pub use find::{Found, find, spool};

/// What can go wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is there.
    #[error("{path}: no such file; check the path, or quote a glob so that it reaches tidegate")]
    Missing {
        /// As the user wrote it.
        path: String,
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
}

impl SourceError {
    pub(crate) fn io(path: impl Into<PathBuf>, cause: io::Error) -> Self {
        SourceError::Io { path: path.into(), cause }
    }
}
