//! Finds PostgreSQL's programs: where distributions put them, else downloaded ones.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::owner::Owner;
use super::{download, trouble};
use crate::db::DbError;

/// The oldest major version that is used.
const MAJOR_MIN: u32 = 14;

/// A set of server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    /// The folder with `postgres` and `initdb`.
    bin: PathBuf,
    /// Their major version.
    major: u32,
}

impl Programs {
    /// The path of one of them.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Looks at a folder: the server's user must be able to run what is there.
    fn probe(bin: &Path, owner: &Owner) -> Option<Self> {
        let postgres = bin.join("postgres");
        if !postgres.is_file() || !bin.join("initdb").is_file() {
            return None;
        }
        let output = owner.command(&postgres, Path::new("/")).arg("--version").output().ok()?;
        let major = version_major(&String::from_utf8(output.stdout).ok()?)?;
        Some(Self { bin: bin.to_path_buf(), major })
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian ...)` is 15, `17beta1` is 17.
fn version_major(text: &str) -> Option<u32> {
    let rest = text.split_once("(PostgreSQL) ")?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Programs for data of major version `wanted`, or the first that are found for new data. The
/// order: `TIDEGATE_PG_BIN` and nothing else if it is set, `pg_config`, distributions' folders
/// (newest first), `PATH`, downloaded ones.
pub(super) fn programs(
    home: &Path,
    owner: &Owner,
    wanted: Option<u32>,
) -> Result<Programs, DbError> {
    let fits = |programs: &Programs| match wanted {
        Some(major) => programs.major == major,
        None => programs.major >= MAJOR_MIN,
    };
    if let Some(bin) = std::env::var_os("TIDEGATE_PG_BIN").filter(|bin| !bin.is_empty()) {
        let found = Programs::probe(Path::new(&bin), owner);
        return found.filter(fits).ok_or_else(|| unusable(Path::new(&bin), owner, wanted));
    }
    let mut others = Vec::new();
    for bin in candidates(home) {
        match Programs::probe(&bin, owner) {
            Some(programs) if fits(&programs) => return Ok(programs),
            Some(programs) => others.push(format!("{} in {}", programs.major, bin.display())),
            None => {}
        }
    }
    if let Some(major) = wanted.filter(|&major| major != download::MAJOR) {
        return Err(trouble(format!(
            "the data were made by PostgreSQL {major}, whose programs are not here (found: {}): \
             install PostgreSQL {major}, or name their folder in TIDEGATE_PG_BIN",
            if others.is_empty() { "none".to_owned() } else { others.join(", ") }
        )));
    }
    Programs::probe(&download::programs(home)?, owner).filter(fits).ok_or_else(|| {
        trouble(format!("the downloaded PostgreSQL programs do not run on this system; {INSTALL}"))
    })
}

/// What to install where nothing can be downloaded.
pub(super) const INSTALL: &str = "install PostgreSQL's server: `apt install postgresql` \
     (Debian, Ubuntu), `dnf install postgresql-server` (Fedora, RHEL), `brew install postgresql` \
     (macOS); or give --database-url";

fn unusable(bin: &Path, owner: &Owner, wanted: Option<u32>) -> DbError {
    let version = wanted.map_or(format!("{MAJOR_MIN} or newer"), |major| major.to_string());
    trouble(format!(
        "TIDEGATE_PG_BIN is {}: user {} finds no `postgres` and `initdb` of version {version} \
         there",
        bin.display(),
        owner.name
    ))
}

/// Folders that may hold the programs, in order, without repeats.
fn candidates(home: &Path) -> Vec<PathBuf> {
    let mut list = Vec::new();
    list.extend(pg_config());
    list.extend(newest("/usr/lib/postgresql", "", "bin"));
    list.extend(newest("/usr", "pgsql-", "bin"));
    for brew in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        list.extend(newest(brew, "postgresql@", "bin"));
        list.push(Path::new(brew).join("postgresql/bin"));
    }
    list.extend(newest("/Applications/Postgres.app/Contents/Versions", "", "bin"));
    list.push(PathBuf::from("/usr/local/pgsql/bin"));
    list.extend(search_path().filter(|folder| folder.join("postgres").is_file()));
    list.extend(download::present(home));
    let mut seen = Vec::new();
    list.retain(|bin| {
        let real = fs::canonicalize(bin).unwrap_or_else(|_| bin.clone());
        let new = !seen.contains(&real);
        seen.push(real);
        new
    });
    list
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| PathBuf::from(text.trim()))
}

/// `<folder>/<prefix><number>/<tail>`, greatest number first.
fn newest(folder: &str, prefix: &str, tail: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let major = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((major, entry.path().join(tail)))
        })
        .collect();
    found.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    found.into_iter().map(|(_, path)| path).collect()
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether a program is on the PATH, and where.
pub(super) fn on_path(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let name = name.as_ref();
    search_path().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// psql, wherever the programs are.
pub(super) fn psql() -> Result<PathBuf, DbError> {
    let beside = std::env::var_os("TIDEGATE_PG_BIN").map(|bin| Path::new(&bin).join("psql"));
    beside
        .into_iter()
        .chain(on_path("psql"))
        .chain(candidates(Path::new("/nonexistent")).into_iter().map(|bin| bin.join("psql")))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            trouble(
                "psql is not installed: `apt install postgresql-client`, `dnf install \
                 postgresql` or `brew install libpq`"
                    .to_owned(),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(
            version_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(version_major("postgres (PostgreSQL) 17beta1"), Some(17));
        assert_eq!(version_major("bash 5"), None);
    }

    #[test]
    fn newest_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["9", "15", "14", "x16"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let root = folder.path().to_str().unwrap();
        let found = newest(root, "", "bin");
        assert_eq!(found, ["15", "14", "9"].map(|n| folder.path().join(n).join("bin")));
    }
}
