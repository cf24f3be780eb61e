//! Runs the real program and keeps what it said.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use serde_json::Value;

use super::db::TestDb;
use super::server::signal;

/// A run of the program that is being put together.
#[derive(Debug)]
pub struct Program {
    command: Command,
    files: PathBuf,
    stdin: Option<PathBuf>,
    report: Option<PathBuf>,
}

impl Program {
    /// The program with this database as its `DATABASE_URL`, and the database's folder as its home.
    pub fn new(db: &TestDb<'_>) -> Self {
        Self::bare(db.home()).env("DATABASE_URL", db.url())
    }

    /// The program without a database, with this folder as its home. The caller stops an embedded
    /// server that it makes the program start.
    pub fn bare(home: &Path) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        for (name, _) in std::env::vars_os() {
            let mine = ["PG", "TIDEGATE_", "DATABASE_URL", "AWS_"];
            if name.to_str().is_some_and(|name| mine.iter().any(|start| name.starts_with(start))) {
                command.env_remove(name);
            }
        }
        command.env("TIDEGATE_HOME", home).env("NO_COLOR", "1").current_dir(home);
        Self { command, files: home.join(format!("run-{number}")), stdin: None, report: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.command.arg(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Gives it a file as its standard input.
    #[must_use]
    pub fn stdin(mut self, path: &Path) -> Self {
        self.stdin = Some(path.to_owned());
        self
    }

    /// Asks for a JSON report, which [`Outcome::report`] then holds.
    #[must_use]
    pub fn report_json(mut self) -> Self {
        let path = self.files.with_extension("report.json");
        self.command.arg("--report").arg(&path);
        self.report = Some(path);
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.spawn().wait()
    }

    /// Starts it. Its output goes to files, so it never waits for this process.
    pub fn spawn(mut self) -> Running {
        let (stdout, stderr) =
            (self.files.with_extension("stdout"), self.files.with_extension("stderr"));
        let file = |path: &Path| File::create(path).expect("the home is writable");
        let stdin = self.stdin.map(|path| File::open(path).expect("the input is there"));
        let child = self
            .command
            .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
            .stdout(file(&stdout))
            .stderr(file(&stderr))
            .spawn()
            .expect("the program starts");
        Running { child, ended: None, stdout, stderr, report: self.report }
    }
}

/// A program that runs; it is killed if its test lets go of it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    ended: Option<ExitStatus>,
    stdout: PathBuf,
    stderr: PathBuf,
    report: Option<PathBuf>,
}

impl Running {
    /// Sends a signal: `Signal::INT` is Ctrl-C, `Signal::KILL` is `kill -9`.
    pub fn signal(&mut self, which: Signal) {
        if self.is_running() {
            signal(self.child.id().cast_signed(), which);
        }
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended.is_none()
    }

    /// The most memory that it had so far, in bytes, where the system says it.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Outcome {
        let status = match self.ended {
            Some(status) => status,
            None => self.child.wait().expect("a child can be waited for"),
        };
        self.ended = Some(status);
        let report = self.report.as_ref().and_then(|path| fs::read(path).ok());
        Outcome {
            code: status.code(),
            signal: status.signal(),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            report: report.map(|json| {
                serde_json::from_slice(&json).expect("a report that is there is whole JSON")
            }),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its JSON report, if one was asked for and written.
    pub report: Option<Value>,
}

impl Outcome {
    /// Fails unless it ended with this code; shows what it said.
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            (self.code, self.signal),
            (Some(code), None),
            "exit code\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The JSON report.
    pub fn report(&self) -> &Value {
        let Some(report) = &self.report else { panic!("no report was written: {}", self.stderr) };
        report
    }

    /// A count of the report's totals.
    pub fn total(&self, name: &str) -> u64 {
        let number = self.report()["totals"][name].as_u64();
        number.unwrap_or_else(|| panic!("totals.{name} is no number: {}", self.report()["totals"]))
    }
}
