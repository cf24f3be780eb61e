//! Telling by what is said of a file or an object, without reading it, whether it is still what it
//! was.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use super::Location;
use crate::limit::SETTLED_S;

/// What a file or an object is at an instant, as far as can be said without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Where it is, with everything that tells it from others.
    pub address: Vec<u8>,
    /// Another value means that its bytes may be others: size, times and inode of a file, size and
    /// ETag of an object.
    pub says: String,
}

impl Version {
    /// What is at `location` now. `None`: what can be said of it does not tell whether it changed.
    pub fn of(location: &Location) -> Option<Self> {
        match location {
            Location::File(path) => {
                let path = path.canonicalize().ok()?;
                let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
                if !has_settled(&metadata) {
                    return None;
                }
                let says = format!(
                    "{} bytes, modified {}.{:09}, changed {}.{:09}, inode {}",
                    metadata.len(),
                    metadata.mtime(),
                    metadata.mtime_nsec(),
                    metadata.ctime(),
                    metadata.ctime_nsec(),
                    metadata.ino()
                );
                Some(Self { address: path.as_os_str().as_bytes().to_vec(), says })
            }
            Location::Object(object) => {
                let (address, says) = object.version()?;
                Some(Self { address: address.into_bytes(), says })
            }
            // It is made anew: only its content tells.
            Location::Made(_) => None,
        }
    }
}

/// A file that was written to just now could be written to again within the same tick of its clock.
fn has_settled(metadata: &std::fs::Metadata) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.ok().and_then(|now| i64::try_from(now.as_secs()).ok()).unwrap_or(i64::MIN);
    metadata.mtime().max(metadata.ctime()) < now.saturating_sub(SETTLED_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_just_written_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "x").unwrap();
        let location = Location::File(path);
        assert_eq!(Version::of(&location), None, "it may be written to again unnoticed");
        assert_eq!(Version::of(&Location::File(folder.path().to_owned())), None);
        assert_eq!(Version::of(&Location::File(folder.path().join("none"))), None);
    }
}
