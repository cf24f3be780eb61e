//! The server's process: starting it so that it outlives us, finding it again, asking it to stop.
//! A pid file alone proves nothing; the process must have the data directory as its own.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, WaitOptions};

use super::locate::Programs;
use super::{Embedded, PORT, trouble};
use crate::db::DbError;

/// The log is put aside at a start when it has grown beyond this.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// How much of the log an error shows.
const TAIL_BYTES: u64 = 4_096;
/// How many lines of it.
const TAIL_LINES: usize = 20;

/// A server that was just started.
pub(super) struct Child(std::process::Child);

impl Child {
    /// Whether it is gone already.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

/// Starts the server in a session of its own, with its output in the log.
pub(super) fn spawn(embedded: &Embedded, programs: &Programs) -> Result<Child, DbError> {
    let log = open_log(embedded)?;
    let copy = log.try_clone().map_err(|error| trouble(format!("the server's log: {error}")))?;
    let sockets = embedded.socket_dir().display().to_string().replace('"', "\"\"");
    let mut command = embedded.owner.command(&programs.program("postgres"), &embedded.root());
    command
        .arg("-D")
        .arg(embedded.data_dir())
        .args(["-c", "listen_addresses=", "-c", &format!("port={PORT}")])
        .args(["-c", &format!("unix_socket_directories=\"{sockets}\"")])
        .stdin(Stdio::null())
        .stdout(copy)
        .stderr(log);
    #[expect(unsafe_code, reason = "setsid is async-signal-safe and touches no memory of ours")]
    // SAFETY: between fork and exec only the system call setsid runs.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(Into::into));
    }
    command.spawn().map(Child).map_err(|error| trouble(format!("starting postgres: {error}")))
}

fn open_log(embedded: &Embedded) -> Result<File, DbError> {
    let path = embedded.log_path();
    let failed = |error: std::io::Error| trouble(format!("{}: {error}", path.display()));
    if fs::metadata(&path).is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
        fs::rename(&path, path.with_extension("log.1")).map_err(failed)?;
    }
    File::options().create(true).append(true).mode(0o600).open(&path).map_err(failed)
}

/// The end of the server's log, for an error.
pub(super) fn tail(log: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES)))?;
        file.read_to_end(&mut bytes)
    });
    if let Err(error) = read {
        return format!("(cannot be read: {error})");
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// The process id of the live server of this data directory.
pub(super) fn postmaster(data: &Path) -> Option<u32> {
    let file = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    // A negative number is a single-user server's.
    let raw: i32 = file.lines().next()?.trim().parse().ok()?;
    let pid = Pid::from_raw(raw)?;
    // If we started it and it ended, it waits for us to take notice.
    let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    (raw > 1 && works_in(raw, data)).then(|| raw.unsigned_abs())
}

/// Whether a process is the server of this data directory: servers work in theirs.
fn works_in(pid: i32, data: &Path) -> bool {
    if Path::new("/proc/self/cwd").exists() {
        return match (fs::read_link(format!("/proc/{pid}/cwd")), fs::canonicalize(data)) {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            _ => false,
        };
    }
    // Without /proc: we start servers with the directory as an argument.
    std::process::Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .output()
        .is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).contains(&*data.to_string_lossy())
        })
}

/// Asks for a fast shutdown.
pub(super) fn interrupt(pid: u32) -> Result<(), DbError> {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let sent = target.map(|pid| rustix::process::kill_process(pid, Signal::INT));
    match sent {
        Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
        Some(Err(error)) => Err(trouble(format!("stopping the server, process {pid}: {error}"))),
        None => Err(trouble(format!("{pid} is no process id"))),
    }
}
