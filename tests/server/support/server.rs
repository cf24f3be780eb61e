//! A PostgreSQL server in a folder of its own, reached by a Unix socket only. A supervisor that
//! waits for this process's end stops it and removes the folder, however this process ends.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::find;

/// Run by `sh` with the server's folder: waits until the writing end of its standard input is
/// closed, which the system does even for a process that is killed, then cleans up.
const SUPERVISOR: &str = r#"
trap '' HUP INT TERM
dir=$1
cat >/dev/null
if [ -f "$dir/pid" ]; then
  pid=$(cat "$dir/pid")
  if [ -f "$dir/keep" ]; then kill -INT "$pid"; else kill -QUIT "$pid"; fi
  tries=0
  while [ -f "$dir/data/postmaster.pid" ] && [ $tries -lt 300 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  [ -f "$dir/data/postmaster.pid" ] && kill -KILL "$pid"
fi
[ -f "$dir/keep" ] || rm -rf "$dir"
"#;

/// The socket's number; nothing listens on a port.
const PORT: u16 = 5432;

/// How a server is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Waits until all clients have left.
    Smart,
    /// Ends its clients' transactions.
    Fast,
    /// Leaves at once; the next start recovers.
    Immediate,
}

/// A running (or killed) server.
#[derive(Debug)]
pub struct Server {
    dir: PathBuf,
    programs: PathBuf,
    durable: bool,
    running: Mutex<Option<Child>>,
    supervisor: Child,
}

impl Server {
    /// The server that all tests of this binary share.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Server::start(false))
    }

    /// A server of one's own, which may be killed and restarted. `durable`: with `fsync`, for
    /// tests of what survives.
    pub fn start(durable: bool) -> Self {
        let server = Self::prepare(durable);
        server.init();
        server.restart();
        server
    }

    /// A replica that streams from this server and can be asked.
    pub fn replica(&self) -> Self {
        let replica = Self::prepare(self.durable);
        let output = self
            .command("pg_basebackup")
            .args([
                "--wal-method=stream",
                "--checkpoint=fast",
                "--write-recovery-conf",
                "--no-sync",
            ])
            .arg("-D")
            .arg(replica.data())
            .arg("-d")
            .arg(format!("host={} port={PORT} user=postgres", self.dir.display()))
            .output()
            .expect("pg_basebackup runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pg_basebackup failed: {said}");
        replica.restart();
        replica
    }

    /// A folder for a server, and who removes it.
    fn prepare(durable: bool) -> Self {
        let programs = find::server_programs();
        // A socket's path has a hundred bytes, so the folder stands right under /tmp.
        let dir = tempfile::Builder::new()
            .prefix("tg-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .expect("a folder under /tmp")
            .keep();
        if let Some((user, group)) = find::server_user() {
            chown(&dir, Some(user), Some(group)).expect("root may give the folder away");
        }
        let supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh runs");
        Self { dir, programs, durable, running: Mutex::default(), supervisor }
    }

    /// The connection URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        let host = self.dir.display().to_string().replace('/', "%2F");
        format!("postgresql://postgres@{host}:{PORT}/{database}")
    }

    /// The folder of its socket, log and data; removed at the end.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The process id of the running server.
    pub fn pid(&self) -> i32 {
        let running = self.running.lock().expect("no test panics while it holds the server");
        running.as_ref().expect("the server runs").id().cast_signed()
    }

    /// Kills the server and all its processes, as a power cut would; nothing is written any more.
    pub fn kill9(&self) {
        let mut running = self.running.lock().expect("no test panics while it holds the server");
        let mut child = running.take().expect("the server runs");
        let children = children_of(child.id());
        child.kill().expect("a running server can be killed");
        child.wait().expect("a child can be waited for");
        // Left alive they would hold the shared memory, and the next start would be refused.
        for pid in &children {
            signal(*pid, Signal::KILL);
        }
        while children.iter().any(|pid| is_alive(*pid)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = fs::remove_file(self.dir.join("pid"));
    }

    /// Stops the server and waits for its end.
    pub fn stop(&self, mode: StopMode) {
        let mut running = self.running.lock().expect("no test panics while it holds the server");
        let Some(mut child) = running.take() else { return };
        let how = match mode {
            StopMode::Smart => Signal::TERM,
            StopMode::Fast => Signal::INT,
            StopMode::Immediate => Signal::QUIT,
        };
        signal(child.id().cast_signed(), how);
        child.wait().expect("a child can be waited for");
        let _ = fs::remove_file(self.dir.join("pid"));
    }

    /// Starts the server again after [`Server::kill9`] or [`Server::stop`]; returns when it
    /// accepts connections.
    pub fn restart(&self) {
        let mut running = self.running.lock().expect("no test panics while it holds the server");
        assert!(running.is_none(), "the server runs already");
        let log = File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.dir);
        for setting in self.settings() {
            command.args(["-c", &setting]);
        }
        let output = log.try_clone().expect("a second handle");
        let mut child =
            command.stdout(output).stderr(log).spawn().expect("the server program starts");
        fs::write(self.dir.join("pid"), child.id().to_string()).expect("the folder is writable");
        while !self.is_ready(child.id()) {
            let ended = child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "the server did not start: {}", self.log_tail());
            std::thread::sleep(Duration::from_millis(10));
        }
        *running = Some(child);
    }

    /// Keeps the data after the end if `TIDEGATE_TEST_KEEP=1`, and says how to open them.
    #[expect(clippy::print_stderr, reason = "it is said to whoever ran the test")]
    pub fn keep_evidence(&self, database: &str) {
        if std::env::var_os("TIDEGATE_TEST_KEEP").is_none_or(|keep| keep != "1") {
            eprintln!("set TIDEGATE_TEST_KEEP=1 to keep the database of a failed test");
            return;
        }
        let _ = fs::write(self.dir.join("keep"), "");
        let user = match find::server_user() {
            Some((uid, gid)) => format!("setpriv --reuid {uid} --regid {gid} --clear-groups "),
            None => String::new(),
        };
        let (dir, programs) = (self.dir.display(), self.programs.display());
        eprintln!(
            "kept; open with:\n  {user}{programs}/pg_ctl -D {dir}/data -l {dir}/log.kept \
             -o \"-k {dir} -c listen_addresses=''\" -w start\n  {programs}/psql '{}'\n\
             and when done:\n  {user}{programs}/pg_ctl -D {dir}/data stop; rm -r {dir}",
            self.url(database)
        );
    }

    fn init(&self) {
        let output = self
            .command("initdb")
            .arg("-D")
            .arg(self.data())
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
            .output()
            .expect("initdb runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb failed: {said}");
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            format!("port={PORT}"),
            "max_connections=200".to_owned(),
            "max_wal_size=2GB".to_owned(),
            "timezone=UTC".to_owned(),
            "log_line_prefix=%m [%p] %d ".to_owned(),
        ];
        if !self.durable {
            settings.extend(["fsync=off".to_owned(), "full_page_writes=off".to_owned()]);
        }
        settings
    }

    /// A program of the server, as the server's user, without the settings of whoever runs the
    /// tests.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null()).process_group(0);
        if let Some((user, group)) = find::server_user() {
            command.uid(user).gid(group);
        }
        command
    }

    /// Whether the process wrote into its lock file that it is ready.
    fn is_ready(&self, pid: u32) -> bool {
        let lock = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = lock.lines().map(str::trim).collect();
        lines.first() == Some(&pid.to_string().as_str()) && lines.get(7) == Some(&"ready")
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The end of the server's log.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4_000)..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let kept = self.dir.join("keep").exists();
        self.stop(if kept { StopMode::Fast } else { StopMode::Immediate });
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// Sends a signal; a process that is gone already is left alone.
pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// The process's state letter and parent, by the system's process table.
fn stat_of(pid: i32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in brackets and may hold anything.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn children_of(parent: u32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| stat_of(*pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

fn is_alive(pid: i32) -> bool {
    stat_of(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}
