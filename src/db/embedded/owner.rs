//! As whom the server runs, and where its home is. PostgreSQL refuses to run as root, so root
//! lends it the user `postgres`, else `nobody`.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Gid, Uid};

use super::trouble;
use crate::db::DbError;

/// The file that says that a folder is ours to delete.
pub(super) const MARKER: &str = "made-by-tidegate";

/// The user that owns the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
    /// Whether it is another user than we are; only root can lend.
    lent: bool,
}

impl Owner {
    /// The server's user: ourselves, or for root `postgres`, else `nobody`.
    pub(super) fn find() -> Result<Self, DbError> {
        let uid = rustix::process::geteuid().as_raw();
        if uid != 0 {
            let gid = rustix::process::getegid().as_raw();
            return Ok(Self { uid, gid, name: own_name(uid)?, lent: false });
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| passwd_entry(&passwd, name))
            .map(|(name, uid, gid)| Self { uid, gid, name, lent: true })
            .ok_or_else(|| {
                trouble(
                    "PostgreSQL does not run as root, and there is neither a user postgres nor \
                     nobody: run as another user"
                        .to_owned(),
                )
            })
    }

    /// A command that runs as this user, with an environment of its own and no shell between.
    pub(super) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").env("HOME", "/").env("PATH", "/usr/bin:/bin");
        if let Some(libraries) = std::env::var_os("LD_LIBRARY_PATH") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.current_dir(folder);
        if self.lent {
            // As root this clears the supplementary groups too.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a file or folder to the server's user.
    pub(super) fn own(&self, path: &Path) -> Result<(), DbError> {
        if !self.lent {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        rustix::fs::chown(path, Some(uid), Some(gid)).map_err(|error| {
            trouble(format!("giving {} to {}: {error}", path.display(), self.name))
        })
    }

    /// Makes a folder that only the server's user enters. One that is there must be like that:
    /// in `/tmp` anybody may have put it there.
    pub(super) fn make_private_dir(&self, path: &Path) -> Result<(), DbError> {
        make_dir(path, 0o700, Some(self))?;
        let meta = fs::symlink_metadata(path)
            .map_err(|error| trouble(format!("{}: {error}", path.display())))?;
        if meta.is_dir() && meta.uid() == self.uid && meta.mode() & 0o077 == 0 {
            return Ok(());
        }
        Err(trouble(format!(
            "{} is not a private folder of user {}: remove it, or name another home in \
             TIDEGATE_HOME",
            path.display(),
            self.name
        )))
    }

    /// Whether the server's user can reach a folder of ours below `path`.
    pub(super) fn check_reach(&self, path: &Path) -> Result<(), DbError> {
        if !self.lent {
            return Ok(());
        }
        for folder in path.ancestors() {
            let Ok(meta) = fs::metadata(folder) else { continue };
            let mode = meta.mode();
            let enters = if meta.uid() == self.uid {
                mode & 0o100 != 0
            } else if meta.gid() == self.gid {
                mode & 0o010 != 0
            } else {
                mode & 0o001 != 0
            };
            if !enters {
                return Err(trouble(format!(
                    "the server runs as user {}, which may not enter {}: name another home in \
                     TIDEGATE_HOME",
                    self.name,
                    folder.display()
                )));
            }
        }
        Ok(())
    }
}

/// Makes a folder with its parents and gives it a mode and perhaps an owner, if it is not there.
pub(super) fn make_dir(path: &Path, mode: u32, owner: Option<&Owner>) -> Result<(), DbError> {
    let failed = |error: io::Error| trouble(format!("making {}: {error}", path.display()));
    if let Some(parent) = path.parent()
        && !parent.exists()
    {
        make_dir(parent, 0o755, None)?;
    }
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    // The umask has had its say: a folder of root may be closed to the server's user.
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    owner.map_or(Ok(()), |owner| owner.own(path))
}

/// `initdb` looks its user up by number and fails without a name.
fn own_name(uid: u32) -> Result<String, DbError> {
    let named = Command::new("id").arg("-un").output();
    if let Ok(output) = named
        && output.status.success()
        && let Ok(name) = String::from_utf8(output.stdout)
        && !name.trim().is_empty()
    {
        return Ok(name.trim().to_owned());
    }
    Err(trouble(format!(
        "user id {uid} has no name on this system, and PostgreSQL needs one: add it to \
         /etc/passwd, or run as a user that has a name"
    )))
}

fn passwd_entry(passwd: &str, name: &str) -> Option<(String, u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next().filter(|found| *found == name)?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((found.to_owned(), uid, gid))
    })
}

/// Where the server lives if nobody says.
pub(super) fn default_home() -> Result<PathBuf, DbError> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(home) = variable("TIDEGATE_HOME") {
        return Ok(PathBuf::from(home));
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/tidegate"));
    }
    if let Some(data) = variable("XDG_DATA_HOME") {
        return Ok(Path::new(&data).join("tidegate"));
    }
    variable("HOME")
        .map(|home| Path::new(&home).join(".local/share/tidegate"))
        .ok_or_else(|| trouble("neither TIDEGATE_HOME nor HOME is set".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:n:/:/bin/false\n";
        let entry = passwd_entry(passwd, "nobody");
        assert_eq!(entry, Some(("nobody".to_owned(), 65_534, 65_533)));
        assert_eq!(passwd_entry(passwd, "postgres"), None);
        assert_eq!(passwd_entry(passwd, "nobo"), None);
    }
}
