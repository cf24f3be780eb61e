//! Where archives lie: a folder, or an object store, where they come into being as a whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::limit::RETRY_DEADLINE_S;
use crate::source::Remotes;

use super::super::super::CommandError;
use super::super::Destination;
use super::file;

/// The folder of one table in a destination.
#[derive(Debug, Clone)]
pub(in super::super) enum Place {
    Folder(PathBuf),
    /// A URL without a `/` at its end.
    Url(String),
}

/// A file that is being written.
pub(super) enum Part {
    /// Beside where it will be.
    Beside(PathBuf),
    Temporary(NamedTempFile),
}

impl Part {
    pub fn path(&self) -> &Path {
        match self {
            Part::Beside(path) => path,
            Part::Temporary(file) => file.path(),
        }
    }
}

impl Place {
    /// The folder for `target`, as `schema.table`; a local one is made if it is not there. So
    /// nothing is detached for an archive that cannot be written.
    pub fn new(destination: &Destination, target: &str) -> Result<Self, CommandError> {
        // A table may be called anything; a folder may not.
        let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let folder: String = target.chars().map(plain).collect();
        match destination {
            Destination::Folder(root) => {
                let folder = root.join(folder);
                std::fs::create_dir_all(&folder).map_err(CommandError::file(&folder))?;
                tempfile::tempfile_in(&folder).map_err(CommandError::file(&folder))?;
                Ok(Place::Folder(folder))
            }
            Destination::Url(root) => Ok(Place::Url(format!("{root}/{folder}"))),
        }
    }

    pub(super) fn part(&self, name: &str) -> Result<Part, CommandError> {
        match self {
            // Always called the same, so that one that was left is written over.
            Place::Folder(folder) => Ok(Part::Beside(folder.join(format!(".{name}.part")))),
            Place::Url(_) => {
                let file = NamedTempFile::new().map_err(CommandError::file(name))?;
                Ok(Part::Temporary(file))
            }
        }
    }

    /// Puts a finished file in its place; says where that is.
    pub(super) async fn put(&self, part: Part, name: &str) -> Result<String, CommandError> {
        match self {
            Place::Folder(folder) => {
                let path = folder.join(format!("{name}.parquet"));
                file::put_in_place(part.path(), &path).map_err(CommandError::file(&path))?;
                Ok(path.display().to_string())
            }
            Place::Url(folder) => {
                let url = format!("{folder}/{name}.parquet");
                let (to, from) = (url.clone(), part.path().to_owned());
                let remotes = remotes();
                aside(move || remotes.put(&to, &from)).await?;
                Ok(url)
            }
        }
    }

    /// Removes an archive; it is no error if it is gone.
    pub async fn remove(file: &str) -> Result<(), CommandError> {
        if file.contains("://") {
            let (url, remotes) = (file.to_owned(), remotes());
            return aside(move || remotes.remove(&url)).await;
        }
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(CommandError::file(file)(error))
            }
            _ => Ok(()),
        }
    }
}

fn remotes() -> Remotes {
    Remotes::new(Duration::from_secs(RETRY_DEADLINE_S))
}

/// Requests to stores block the thread that makes them.
async fn aside(
    work: impl FnOnce() -> Result<(), crate::source::SourceError> + Send + 'static,
) -> Result<(), CommandError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| CommandError::Refused(error.to_string()))??)
}
