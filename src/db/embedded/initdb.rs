//! Makes the data directory, once, so that a crash half way leaves nothing that looks finished.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::locate::Programs;
use super::{Embedded, USER, owner, remove, settings, trouble};
use crate::db::DbError;

/// The settings file that `postgresql.conf` includes.
const CONF: &str = "tidegate.conf";

/// The major version that made a data directory; `None` if there is none.
pub(super) fn data_major(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Makes password and data directory of a server that has none.
pub(super) fn make(embedded: &Embedded, programs: &Programs) -> Result<(), DbError> {
    let data = embedded.data_dir();
    let fresh = embedded.root().join("data.new");
    if data.exists() {
        return Err(trouble(format!(
            "{} exists and is no data directory: move it away",
            data.display()
        )));
    }
    remove(&fresh)?;
    let password = make_password(&embedded.password_path())?;
    owner::make_dir(&fresh, 0o700, Some(&embedded.owner))?;
    run_initdb(embedded, programs, &fresh, &password)?;
    add_settings(embedded, programs, &fresh)?;
    let failed = |error: io::Error| trouble(format!("making {}: {error}", data.display()));
    fs::rename(&fresh, &data).map_err(failed)?;
    File::open(embedded.root()).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// A new random password in a file that only we read.
fn make_password(path: &Path) -> Result<String, DbError> {
    let bytes: [u8; 24] = rand::random();
    let password = blake3::Hash::from_bytes(*blake3::hash(&bytes).as_bytes()).to_hex();
    let password = password.as_str()[..48].to_owned();
    write_private(path, &password)?;
    Ok(password)
}

/// Replaces a file by one with mode 0600 and this line.
fn write_private(path: &Path, line: &str) -> Result<(), DbError> {
    remove(path)?;
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(line.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        })
        .map_err(|error| trouble(format!("{}: {error}", path.display())))
}

fn run_initdb(
    embedded: &Embedded,
    programs: &Programs,
    data: &Path,
    password: &str,
) -> Result<(), DbError> {
    // initdb runs as another user and may not read our password file: it gets a copy.
    let copy = embedded.socket_dir().join("initial-password");
    write_private(&copy, password)?;
    embedded.owner.own(&copy)?;
    let output = embedded
        .owner
        .command(&programs.program("initdb"), &embedded.root())
        .args(["-U", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"])
        .arg("--data-checksums")
        .arg("--pwfile")
        .arg(&copy)
        .arg("-D")
        .arg(data)
        .output();
    remove(&copy)?;
    let output = output.map_err(|error| trouble(format!("running initdb: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(trouble(format!(
        "initdb failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

fn add_settings(embedded: &Embedded, programs: &Programs, data: &Path) -> Result<(), DbError> {
    let failed = |error: io::Error| trouble(format!("writing {CONF}: {error}"));
    let mut text = settings::text(data);
    // Depends on how the server was built; the server itself knows.
    let compresses = embedded
        .owner
        .command(&programs.program("postgres"), &embedded.root())
        .args(["-C", "wal_compression", "-c", "wal_compression=lz4", "-D"])
        .arg(data)
        .output()
        .is_ok_and(|output| output.status.success());
    if compresses {
        text.push_str("wal_compression = lz4\n");
    }
    let conf = data.join(CONF);
    fs::write(&conf, text).map_err(failed)?;
    embedded.owner.own(&conf)?;
    File::options()
        .append(true)
        .open(data.join("postgresql.conf"))
        .and_then(|mut file| {
            writeln!(file, "\ninclude = '{CONF}'")?;
            file.sync_all()
        })
        .map_err(failed)
}
