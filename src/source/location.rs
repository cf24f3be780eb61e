//! Where stored bytes are: in a file, or in an object of a store. Everything above reads both in
//! the same way, block by block or from any offset.

#![cfg_attr(
    not(feature = "remote"),
    expect(unreachable_code, unused_variables, reason = "without the feature there is no object")
)]

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::remote::{Ahead, Cached, Object};
use super::stored::fill;
use super::{Fingerprint, SourceError};
use crate::read_at::ReadAt;

/// Where stored bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a file.
    File(PathBuf),
    /// In an object of a store, or behind a URL.
    Object(Object),
    /// Nowhere: they are made when they are wanted.
    Made(Made),
}

/// Bytes that are made anew each time they are opened, the same each time. They are held as a whole
/// while they are open, so they are no more than a small file.
#[derive(Clone)]
pub struct Made(Arc<Making>);

struct Making {
    name: String,
    make: Box<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>,
}

impl Made {
    /// What `make` makes, called `name`, which may say as much as a file's name does.
    pub fn new(name: &str, make: impl Fn() -> io::Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Making { name: name.to_owned(), make: Box::new(make) }))
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    fn bytes(&self) -> Result<Vec<u8>, SourceError> {
        let failed = |cause| SourceError::Io { name: self.0.name.clone(), cause };
        (self.0.make)().map_err(failed)
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Made").field(&self.0.name).finish()
    }
}

impl PartialEq for Made {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Made {}

impl Location {
    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Location::File(path) => Some(path),
            Location::Object(_) | Location::Made(_) => None,
        }
    }

    /// The bytes, for formats made of seeks. Given a fingerprint, they are compared with it.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub fn bytes(&self, known: Option<&Fingerprint>) -> Result<Arc<dyn ReadAt>, SourceError> {
        Ok(match self {
            Location::File(path) => {
                let io = |cause| SourceError::io(self, cause);
                let file = File::open(path).map_err(io)?;
                let now = Stamp::of(&file.metadata().map_err(io)?);
                let (location, size) = (self.clone(), now.bytes());
                let stamp = known.map_or(now, |known| known.stored().stamp.clone());
                Arc::new(OpenFile { file, location, size, stamp })
            }
            Location::Object(object) => {
                let stored = known.map(|known| Arc::clone(known.stored()));
                Arc::new(Cached::new(object.clone(), stored)?)
            }
            Location::Made(made) => Arc::new(Bytes(made.bytes()?)),
        })
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Location::File(path.to_owned())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(path) => path.display().fmt(f),
            Location::Object(object) => object.name().fmt(f),
            Location::Made(made) => made.0.name.fmt(f),
        }
    }
}

/// Another value means that the bytes were written to or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stamp {
    /// What the file system says of a file.
    File { device: u64, inode: u64, bytes: u64, modified: (i64, i64) },
    /// An object never changes under its hands: every answer is compared with the first.
    Object { bytes: u64 },
    /// What is made is the same each time, and compared with its checksums all the same.
    Made { bytes: u64 },
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Stamp::File {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        match *self {
            Stamp::File { bytes, .. } | Stamp::Object { bytes } | Stamp::Made { bytes } => bytes,
        }
    }
}

/// Stored bytes that are read block by block, mostly one after another.
#[derive(Debug)]
pub(super) enum Opened {
    File(File),
    Object(Box<Ahead>),
    Made(Box<[u8]>),
}

impl Opened {
    pub fn open(location: &Location) -> Result<Self, SourceError> {
        match location {
            Location::File(path) => {
                let file = File::open(path).map_err(|cause| SourceError::io(location, cause))?;
                Ok(Opened::File(file))
            }
            Location::Object(object) => Ok(Opened::Object(Box::new(Ahead::new(object.clone())))),
            Location::Made(made) => Ok(Opened::Made(made.bytes()?.into())),
        }
    }

    pub fn stamp(&self) -> io::Result<Stamp> {
        match self {
            Opened::File(file) => Ok(Stamp::of(&file.metadata()?)),
            Opened::Object(ahead) => Ok(Stamp::Object { bytes: ahead.size() }),
            Opened::Made(bytes) => Ok(Stamp::Made { bytes: bytes.len() as u64 }),
        }
    }

    /// Whether it looks as it did when it had this stamp.
    ///
    /// # Errors
    /// When it cannot be asked, or an object is another one now.
    pub fn is_still(&mut self, stamp: &Stamp) -> io::Result<bool> {
        if let Opened::Object(_) = self {
            // The answer to any request says.
            self.read_block(0, &mut [0])?;
        }
        Ok(self.stamp()? == *stamp)
    }

    /// Reads from `start` on until the buffer is full or the bytes end.
    pub fn read_block(&mut self, start: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Opened::File(file) => {
                file.seek(SeekFrom::Start(start))?;
                fill(file, into)
            }
            Opened::Object(ahead) => ahead.read_block(start, into),
            Opened::Made(bytes) => Ok(copy_from(bytes, start, into)),
        }
    }
}

/// Copies what there is from `start` on; says how much.
fn copy_from(bytes: &[u8], start: u64, into: &mut [u8]) -> usize {
    let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
    let len = into.len().min(bytes.len() - start);
    into[..len].copy_from_slice(&bytes[start..start + len]);
    len
}

/// Bytes in memory.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(copy_from(&self.0, offset, into))
    }

    fn check(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is open: one that is replaced under its name stays the one that was opened.
#[derive(Debug)]
struct OpenFile {
    file: File,
    location: Location,
    size: u64,
    stamp: Stamp,
}

impl ReadAt for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        ReadAt::read_at(&self.file, into, offset)
    }

    fn check(&self) -> io::Result<()> {
        if Stamp::of(&self.file.metadata()?) == self.stamp {
            return Ok(());
        }
        Err(SourceError::changed(&self.location, 0).into_io())
    }
}
