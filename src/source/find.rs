//! From what the user typed to a list of files and objects in plan order.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::{Location, Made, Remotes, SourceError, Spool, Spooler};

/// A file or an object to look at.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it is.
    pub location: Location,
    /// How it is called in reports: the path as typed or found, a URL without its query, `-` for
    /// standard input.
    pub name: String,
    /// Named on the command line, not met in a directory or by a glob: if it is no market data,
    /// that is an error.
    pub named: bool,
    /// Keeps the temporary file that holds it.
    pub spool: Option<Spool>,
}

impl Found {
    /// The file at `path`.
    pub(super) fn plain(path: PathBuf, named: bool) -> Self {
        let name = path.display().to_string();
        Self { location: Location::File(path), name, named, spool: None }
    }

    /// What is made when it is wanted.
    pub fn made(made: Made) -> Self {
        let name = made.name().to_owned();
        Self { location: Location::Made(made), name, named: true, spool: None }
    }

    /// What was read to its end already, called `name`.
    pub fn spooled(name: &str, spool: Spool) -> Self {
        let (location, name) = (spool.location(), name.to_owned());
        Self { location, name, named: true, spool: Some(spool) }
    }
}

/// Finds what `arguments` (paths, directories, globs, URLs) stand for. Directories are walked to
/// their ends, hidden entries left out; each argument's files come in the order of their paths, and
/// a file that is met twice counts once.
///
/// # Errors
/// When an argument stands for nothing, or a directory or store cannot be read.
pub fn find(
    arguments: &[String],
    remotes: &Remotes,
    spooler: &Spooler,
) -> Result<Vec<Found>, SourceError> {
    let mut found = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        if is_url(argument) {
            found.extend(remotes.find(argument, spooler)?);
        } else if path.is_dir() {
            let mut files = Vec::new();
            walk(path, &mut files)?;
            files.sort();
            found.extend(files.into_iter().map(|path| Found::plain(path, false)));
        } else if is_pipe(path) {
            let input = File::open(path).map_err(|cause| failed(path, cause))?;
            found.push(Found::spooled(argument, spooler.standard_input(input)?));
        } else if path.exists() {
            found.push(Found::plain(path.to_owned(), true));
        } else if argument.contains(['*', '?', '[']) {
            found.extend(expand(argument)?.into_iter().map(|path| Found::plain(path, false)));
        } else {
            return Err(SourceError::Missing { path: argument.clone() });
        }
    }
    let mut seen = HashSet::new();
    found.retain(|file| {
        seen.insert(match &file.location {
            Location::File(path) => path.canonicalize().unwrap_or_else(|_| path.clone()),
            Location::Object(object) => PathBuf::from(object.address()),
            Location::Made(made) => PathBuf::from(made.name()),
        })
    });
    Ok(found)
}

/// Whether it can be read once: a FIFO, or what a shell makes of `<(command)`.
fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

/// A scheme of letters and digits, and `://`.
pub(super) fn is_url(argument: &str) -> bool {
    argument.split_once("://").is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

fn expand(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let paths = glob::glob(pattern).map_err(|error| SourceError::BadGlob {
        pattern: pattern.to_owned(),
        message: error.msg.to_owned(),
    })?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|error| {
            let folder = error.path().to_owned();
            failed(&folder, error.into())
        })?;
        if path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(SourceError::Missing { path: pattern.to_owned() });
    }
    files.sort();
    Ok(files)
}

fn failed(path: &Path, cause: std::io::Error) -> SourceError {
    SourceError::io(&path.into(), cause)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), SourceError> {
    let entries = std::fs::read_dir(folder).map_err(|cause| failed(folder, cause))?;
    for entry in entries {
        let entry = entry.map_err(|cause| failed(folder, cause))?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // A link to a directory could lead round in circles: only real directories are entered.
        let kind = entry.file_type().map_err(|cause| failed(&path, cause))?;
        if kind.is_dir() {
            walk(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn arguments_become_files_once_each_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("sub/.hidden")).unwrap();
        for name in ["b.csv", "a.csv", "sub/c.csv", ".secret", "sub/.hidden/d.csv"] {
            std::fs::write(at(name), "x").unwrap();
        }
        let argument = |name: &str| at(name).display().to_string();
        let found = |arguments: &[String]| {
            find(arguments, &Remotes::new(Duration::ZERO), &Spooler::default())
        };
        let files = found(&[argument("b.csv"), argument(""), argument("*.csv")]).unwrap();
        let path = |file: &Found| {
            file.location.file().unwrap().strip_prefix(folder.path()).unwrap().to_owned()
        };
        let names: Vec<_> = files.iter().map(|file| (path(file), file.named)).collect();
        assert_eq!(
            names,
            [("b.csv".into(), true), ("a.csv".into(), false), ("sub/c.csv".into(), false)]
        );
        let remote = found(&["s3://bucket/a.csv".to_owned()]).unwrap_err();
        assert!(matches!(remote, SourceError::Remote { .. }), "{remote}");
        assert!(matches!(found(&[argument("none.csv")]), Err(SourceError::Missing { .. })));
        assert!(matches!(found(&[argument("*.parquet")]), Err(SourceError::Missing { .. })));
    }
}
