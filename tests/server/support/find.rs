//! Where the server's programs are, and the user that runs them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The folder of `initdb` and `postgres`.
pub fn server_programs() -> PathBuf {
    let mut looked = Vec::new();
    for folder in candidates() {
        if folder.join("initdb").is_file() && folder.join("postgres").is_file() {
            return folder;
        }
        looked.push(folder.display().to_string());
    }
    panic!(
        "these tests need PostgreSQL's server programs (initdb, postgres), version 14 or later; \
         none in: {}. Install them (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf \
         install postgresql-server; Homebrew: brew install postgresql@17), or set \
         TIDEGATE_TEST_PG_BIN to their folder",
        looked.join(", ")
    );
}

fn candidates() -> Vec<PathBuf> {
    if let Some(folder) = env::var_os("TIDEGATE_TEST_PG_BIN") {
        return vec![folder.into()];
    }
    let mut folders = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    folders
}

/// The user and group that run the server: `initdb` refuses root, so a root process takes
/// `postgres`, else `nobody`. `None`: the user that runs the tests.
pub fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string(Path::new("/etc/passwd")).expect("/etc/passwd is readable");
    let found = ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        Some((ids.next()?.ok()?, ids.next()?.ok()?))
    });
    assert!(found.is_some(), "root cannot run a server, and there is no user postgres or nobody");
    found
}
