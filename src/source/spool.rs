//! Temporary files for what cannot be read twice or out of order: standard input, and members of
//! archives whose format is made of seeks. All of a run's files share one cap, and leave room on
//! their disk.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::SourceError;
use super::keep::Keeper;
use super::location::Location;
use crate::limit::{MIB, SPOOL_BYTES_MAX, SPOOL_RESERVE_BYTES};

/// A temporary file; it goes when the last handle does.
#[derive(Debug, Clone)]
pub struct Spool(Arc<tempfile::NamedTempFile>);

impl Spool {
    /// Where it is.
    pub fn location(&self) -> Location {
        Location::from(self.0.path())
    }
}

/// Makes temporary files, up to [`SPOOL_BYTES_MAX`] together, those of its clones among them.
#[derive(Debug, Clone)]
pub struct Spooler {
    folder: PathBuf,
    left: Arc<AtomicU64>,
    max: u64,
    keeper: Option<Keeper>,
}

/// Bytes between two looks at the disk.
const LOOK_BYTES: u64 = 64 * MIB as u64;

impl Default for Spooler {
    fn default() -> Self {
        Self::with_cap(SPOOL_BYTES_MAX)
    }
}

impl Spooler {
    /// A spooler for `max` bytes in all.
    fn with_cap(max: u64) -> Self {
        let left = Arc::new(AtomicU64::new(max));
        Self { folder: std::env::temp_dir(), left, max, keeper: None }
    }

    /// Also keeps copies of what is decompressed, in a file in `folder`, up to `max` bytes, so that
    /// contents that are looked at are not decompressed again when they are read.
    #[must_use]
    pub fn keeping(self, folder: PathBuf, max: u64) -> Self {
        Self { keeper: Some(Keeper::new(folder, max)), ..self }
    }

    /// Bytes that such copies take.
    pub fn kept_bytes(&self) -> u64 {
        self.keeper.as_ref().map_or(0, Keeper::used)
    }

    /// Who keeps copies.
    pub(super) fn keeper(&self) -> Option<&Keeper> {
        self.keeper.as_ref()
    }

    /// Copies standard input or a pipe to a temporary file, so that it can be hashed, read
    /// again and resumed like any other.
    ///
    /// # Errors
    /// When reading or writing fails, [`SourceError::SpoolFull`] when it is too much.
    pub fn standard_input(&self, input: impl Read) -> Result<Spool, SourceError> {
        self.copy(
            input,
            "standard input",
            "save it to a file and name the file, or let TMPDIR name a folder with more room",
        )
    }

    /// Copies what is behind the URL `name`, of which a server gives only the whole.
    ///
    /// # Errors
    /// As [`Spooler::standard_input`].
    #[cfg(feature = "remote")]
    pub(super) fn remote(&self, input: impl Read, name: &str) -> Result<Spool, SourceError> {
        self.copy(
            input,
            name,
            "download it and name the file, or let TMPDIR name a folder with more room",
        )
    }

    /// Copies the member called `name`.
    ///
    /// # Errors
    /// As [`Spooler::standard_input`].
    pub(super) fn member(&self, input: impl Read, name: &str) -> Result<Spool, SourceError> {
        self.copy(
            input,
            name,
            "extract it from its archive and load it by itself, or let TMPDIR name a folder with \
             more room",
        )
    }

    fn copy(
        &self,
        mut input: impl Read,
        what: &str,
        advice: &'static str,
    ) -> Result<Spool, SourceError> {
        let folder = Location::File(self.folder.clone());
        let failed = |cause| SourceError::of(&folder, cause);
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("tidegate-spool-");
        let mut file = builder.tempfile_in(&self.folder).map_err(failed)?;
        loop {
            let reserved = self.reserve(file.as_file())?;
            // One byte more than there is room for tells whether that was all.
            let part = reserved.saturating_add(1).min(LOOK_BYTES);
            let copied = io::copy(&mut input.by_ref().take(part), &mut file).map_err(failed)?;
            self.left.fetch_add(reserved.saturating_sub(copied), Ordering::Relaxed);
            if copied > reserved {
                return Err(SourceError::SpoolFull {
                    what: what.to_owned(),
                    allowed: self.max - self.left.load(Ordering::Relaxed),
                    folder: self.folder.clone(),
                    advice,
                });
            }
            if copied < part {
                file.flush().map_err(failed)?;
                return Ok(Spool(Arc::new(file)));
            }
        }
    }

    /// Takes the bytes of the next piece from those that may still be written.
    fn reserve(&self, file: &File) -> Result<u64, SourceError> {
        let disk = rustix::fs::fstatvfs(file);
        let folder = self.folder.as_path();
        let disk = disk.map_err(|error| SourceError::io(&folder.into(), error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize).saturating_sub(SPOOL_RESERVE_BYTES);
        let mut reserved = 0;
        let take = |left: u64| {
            reserved = left.min(free).min(LOOK_BYTES);
            Some(left - reserved)
        };
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        Ok(reserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_share_the_cap() {
        let spooler = Spooler::with_cap(10);
        let first = spooler.standard_input(&b"123456"[..]).unwrap();
        assert_eq!(std::fs::read(first.location().file().unwrap()).unwrap(), b"123456");
        let second = spooler.member(&b"7890"[..], "a.zip!b").unwrap();
        assert_eq!(std::fs::read(second.location().file().unwrap()).unwrap(), b"7890");
        let path = first.location().file().unwrap().to_owned();
        drop(first);
        assert!(!path.exists());
        let error = spooler.member(&b"x"[..], "a.zip!c").unwrap_err().to_string();
        assert!(error.contains("a.zip!c") && error.contains("10 bytes"), "{error}");
        assert!(error.contains("TMPDIR"), "{error}");
        let clone = Spooler::with_cap(6);
        let other = clone.clone();
        let both = (clone.member(&b"123"[..], "a"), other.member(&b"456"[..], "b"));
        assert!(both.0.is_ok() && both.1.is_ok());
        assert!(clone.member(&b"7"[..], "c").is_err(), "clones share it too");
        let none = Spooler::with_cap(3).standard_input(io::repeat(0)).unwrap_err();
        assert!(matches!(none, SourceError::SpoolFull { allowed: 3, .. }), "{none}");
    }
}
