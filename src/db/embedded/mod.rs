//! The embedded server: a PostgreSQL of our own for those who give no URL. It listens on a Unix
//! socket only, syncs to disk like any server, outlives the command that started it and keeps its
//! data until `destroy`. The commands `db ...` and whoever needs a database call it.
//!
//! Everything is in one folder, `embedded` below the home: `data`, `run` (the socket),
//! `server.log`, `password` and a marker file.

mod download;
mod initdb;
mod locate;
mod owner;
mod process;
mod settings;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::connect::Database;
use super::error::{DbError, Doing};
use crate::error::Class;
use locate::Programs;
use owner::Owner;

/// The database that is made for our tables.
pub const DATABASE: &str = "tidegate";
/// The superuser.
const USER: &str = "postgres";
/// Part of the socket's name; nothing listens on TCP.
const PORT: u16 = 5432;
/// A path to a socket must fit into `sun_path`: 104 bytes on some systems, with its own name.
const SOCKET_DIR_BYTES_MAX: usize = 100 - "/.s.PGSQL.5432".len();
/// The server must answer within this; recovery after a crash takes its time.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// A live server without a reachable socket is given this long to get one.
const SOCKET_DEADLINE: Duration = Duration::from_secs(10);
/// What is left of a server that crashed is given this long to go.
const LEFT_OVER_DEADLINE: Duration = Duration::from_secs(30);
/// Between two attempts to start beside what is left.
const START_AGAIN: Duration = Duration::from_millis(500);
/// A fast shutdown writes a checkpoint first.
const STOP_DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks at a server that starts or stops.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The embedded server of one home.
#[derive(Debug, Clone)]
pub struct Embedded {
    home: PathBuf,
    owner: Owner,
}

/// How the embedded server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedStatus {
    /// Whether it answers.
    pub running: bool,
    /// The process id of the server, if it lives.
    pub pid: Option<u32>,
    /// The server's version if it answers, else the major version of the data, if there are any.
    pub version: Option<String>,
    /// Where the data are.
    pub data_dir: PathBuf,
    /// Where the socket is.
    pub socket_dir: PathBuf,
    /// Bytes below the data directory.
    pub size_bytes: u64,
    /// The server's log.
    pub log_path: PathBuf,
    /// A URL without its password.
    pub url: String,
}

impl Embedded {
    /// The embedded server of `home`, else of `TIDEGATE_HOME`, else of the user: as root
    /// `/var/lib/tidegate`, otherwise `$XDG_DATA_HOME/tidegate` or `~/.local/share/tidegate`.
    /// Touches nothing.
    ///
    /// # Errors
    /// [`DbError::Embedded`] if no home can be told, or the user has no name that `initdb` needs.
    pub fn locate(home: Option<PathBuf>) -> Result<Self, DbError> {
        let home = match home {
            Some(home) => home,
            None => owner::default_home()?,
        };
        let home = std::path::absolute(&home)
            .map_err(|error| trouble(format!("home {}: {error}", home.display())))?;
        Ok(Self { home, owner: Owner::find()? })
    }

    /// Starts the server unless it runs, makes it and its database on first use, and waits until
    /// it answers. Two commands at once share one server.
    ///
    /// # Errors
    /// [`DbError::Embedded`] says what is missing or shows the end of the server's log.
    pub async fn start(&self) -> Result<Database, DbError> {
        let _lock = self.lock().await?;
        if self.is_initialised() {
            self.refuse_foreign_data()?;
            if let Some(database) = self.adopt_running().await? {
                return Ok(database);
            }
        }
        let database = self.launch().await?;
        make_database(&database).await?;
        Ok(database)
    }

    /// Starts a server and waits until it answers. After a crash a new server refuses to start
    /// while anything of the old one is left, such as a session amid a long query: then it is
    /// tried again for a while.
    async fn launch(&self) -> Result<Database, DbError> {
        let pid_file = self.data_dir().join("postmaster.pid");
        let begun = Instant::now();
        loop {
            let crashed = pid_file.exists();
            let this = self.clone();
            let child = blocking(move || {
                let programs = this.prepare()?;
                process::spawn(&this, &programs)
            })
            .await?;
            match self.wait_until_ready(child).await {
                Err(_) if crashed && begun.elapsed() < LEFT_OVER_DEADLINE => {
                    // Takes notice of the old server's end if it was our child.
                    process::postmaster(&self.data_dir());
                    tokio::time::sleep(START_AGAIN).await;
                }
                ended => return ended,
            }
        }
    }

    /// Stops the server and waits until it is gone; says whether it was running. Open
    /// transactions are rolled back, nothing committed is lost.
    ///
    /// # Errors
    /// [`DbError::Embedded`] if it does not end.
    pub async fn stop(&self) -> Result<bool, DbError> {
        if !self.is_initialised() {
            return Ok(false);
        }
        let _lock = self.lock().await?;
        self.stop_locked().await
    }

    /// How the server stands.
    ///
    /// # Errors
    /// [`DbError::Embedded`] if its files cannot be read.
    pub async fn status(&self) -> Result<EmbeddedStatus, DbError> {
        let data = self.data_dir();
        let mut status = EmbeddedStatus {
            running: false,
            pid: process::postmaster(&data),
            version: initdb::data_major(&data).map(|major| major.to_string()),
            socket_dir: self.socket_dir(),
            size_bytes: 0,
            log_path: self.log_path(),
            url: self.display_url(),
            data_dir: data.clone(),
        };
        if !self.is_initialised() {
            return Ok(status);
        }
        if let Ok(connection) = self.database()?.with_database("postgres").connect().await {
            status.running = true;
            status.version = Some(connection.server().await?.version);
        }
        status.size_bytes = blocking(move || Ok(size_of(&data))).await?;
        Ok(status)
    }

    /// A URL that psql takes, with the password.
    ///
    /// # Errors
    /// [`DbError::Embedded`] if there is no server yet or its password file cannot be read.
    pub fn url(&self) -> Result<String, DbError> {
        let password = self.password()?;
        let shown = self.display_url();
        Ok(shown.replacen(&format!("{USER}@"), &format!("{USER}:{password}@"), 1))
    }

    /// psql, pointed at the database; the password goes by the environment, not by the process
    /// list.
    ///
    /// # Errors
    /// [`DbError::Embedded`] if there is no server yet or psql is not installed.
    pub fn psql_command(&self) -> Result<Command, DbError> {
        let password = self.password()?;
        let mut command = Command::new(locate::psql()?);
        command
            .arg("-h")
            .arg(self.socket_dir())
            .args(["-p", &PORT.to_string(), "-U", USER, "-d", DATABASE])
            .env("PGPASSWORD", password);
        Ok(command)
    }

    /// Stops the server and deletes its folder with all data; says whether there was one.
    ///
    /// # Errors
    /// [`DbError::Embedded`] unless `yes`, or if the folder is not one that we made.
    pub async fn destroy(&self, yes: bool) -> Result<bool, DbError> {
        let root = self.root();
        if !root.exists() {
            return Ok(false);
        }
        if !yes {
            return Err(trouble(format!(
                "this deletes the embedded server in {} with all its data: give --yes",
                root.display()
            )));
        }
        let _lock = self.lock().await?;
        if !self.marker_path().is_file() {
            return Err(trouble(format!(
                "{} was not made by this program (no marker file): delete it by hand",
                root.display()
            )));
        }
        self.stop_locked().await?;
        let socket_dir = self.socket_dir();
        blocking(move || {
            // The marker goes last: an interrupted removal can be repeated.
            let aside = |name: &str| remove(&root.join(name));
            for name in ["data", "data.new", "run", "server.log", "server.log.1", "password"] {
                aside(name)?;
            }
            remove(&socket_dir)?;
            aside(owner::MARKER)?;
            fs::remove_dir(&root)
                .map_err(|error| trouble(format!("removing {}: {error}", root.display())))
        })
        .await?;
        Ok(true)
    }

    fn root(&self) -> PathBuf {
        self.home.join("embedded")
    }

    fn data_dir(&self) -> PathBuf {
        self.root().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.root().join("server.log")
    }

    fn password_path(&self) -> PathBuf {
        self.root().join("password")
    }

    fn marker_path(&self) -> PathBuf {
        self.root().join(owner::MARKER)
    }

    /// Where the socket is: in our folder, or in a folder of its own in `/tmp` if the path would
    /// not fit into a socket address.
    fn socket_dir(&self) -> PathBuf {
        let run = self.root().join("run");
        if run.as_os_str().len() <= SOCKET_DIR_BYTES_MAX {
            return run;
        }
        let hash = blake3::hash(run.as_os_str().as_encoded_bytes()).to_hex();
        PathBuf::from(format!("/tmp/tidegate-{}-{}", self.owner.uid, &hash.as_str()[..16]))
    }

    fn is_initialised(&self) -> bool {
        initdb::data_major(&self.data_dir()).is_some()
    }

    fn password(&self) -> Result<String, DbError> {
        let path = self.password_path();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim_end().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(trouble(
                "there is no embedded server yet: `tidegate db start` makes one".to_owned(),
            )),
            Err(error) => Err(trouble(format!("{}: {error}", path.display()))),
        }
    }

    fn database(&self) -> Result<Database, DbError> {
        let password = self.password()?;
        Ok(Database::embedded(&self.socket_dir(), PORT, USER, &password, DATABASE))
    }

    fn display_url(&self) -> String {
        Database::embedded(&self.socket_dir(), PORT, USER, "", DATABASE).display().to_owned()
    }

    /// The lock that commands hold while they start, stop or destroy the server. Released by
    /// the kernel when its file is closed, whatever becomes of the process.
    async fn lock(&self) -> Result<File, DbError> {
        let this = self.clone();
        blocking(move || {
            owner::make_dir(&this.home, 0o755, None)?;
            let path = this.home.join("embedded.lock");
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .and_then(|file| file.lock().map(|()| file));
            file.map_err(|error| trouble(format!("{}: {error}", path.display())))
        })
        .await
    }

    fn refuse_foreign_data(&self) -> Result<(), DbError> {
        use std::os::unix::fs::MetadataExt;
        let data = self.data_dir();
        let meta =
            fs::metadata(&data).map_err(|error| trouble(format!("{}: {error}", data.display())))?;
        if meta.uid() == self.owner.uid {
            return Ok(());
        }
        Err(trouble(format!(
            "{} belongs to user id {}, the server would run as {}: run as that user, or name \
             another home in TIDEGATE_HOME",
            data.display(),
            meta.uid(),
            self.owner.name
        )))
    }

    /// The server that runs already, if one does. A server that lives but cannot be reached (its
    /// socket was deleted) is stopped, so that a new one can take over.
    async fn adopt_running(&self) -> Result<Option<Database>, DbError> {
        let database = self.database()?;
        let begun = Instant::now();
        loop {
            match self.answers(&database).await {
                Ok(()) => {
                    make_database(&database).await?;
                    return Ok(Some(database));
                }
                Err(error) if error.class() != Class::Reconnect => return Err(error),
                Err(error) => {
                    if process::postmaster(&self.data_dir()).is_none() {
                        return Ok(None);
                    }
                    // A server that speaks is there, and starts, stops or recovers.
                    let deadline = match error.sqlstate() {
                        Some(_) => READY_DEADLINE,
                        None => SOCKET_DEADLINE,
                    };
                    if begun.elapsed() > deadline {
                        if error.sqlstate().is_some() {
                            return Err(self.not_ready(&error));
                        }
                        self.stop_locked().await?;
                        return Ok(None);
                    }
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Connects to the maintenance database and checks that it is our server that answers.
    async fn answers(&self, database: &Database) -> Result<(), DbError> {
        let connection = database.with_database("postgres").connect().await?;
        let row = connection
            .query_typed_one("SELECT current_setting('data_directory')", &[])
            .await
            .doing("asking the embedded server for its data directory")?;
        let theirs: &str = row.try_get(0)?;
        let same = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if same(Path::new(theirs)) == same(&self.data_dir()) {
            return Ok(());
        }
        Err(trouble(format!(
            "the server behind {} has its data in {theirs}: stop it first",
            self.socket_dir().display()
        )))
    }

    /// Finds programs and makes whatever is missing on disk.
    fn prepare(&self) -> Result<Programs, DbError> {
        self.owner.check_reach(&self.home)?;
        owner::make_dir(&self.root(), 0o755, None)?;
        let marker = self.marker_path();
        if !marker.exists() {
            fs::write(&marker, "made by tidegate; `tidegate db destroy` removes this folder\n")
                .map_err(|error| trouble(format!("{}: {error}", marker.display())))?;
        }
        let wanted = initdb::data_major(&self.data_dir());
        let programs = locate::programs(&self.home, &self.owner, wanted)?;
        self.owner.make_private_dir(&self.socket_dir())?;
        if wanted.is_none() {
            initdb::make(self, &programs)?;
        }
        Ok(programs)
    }

    async fn wait_until_ready(&self, mut child: process::Child) -> Result<Database, DbError> {
        let database = self.database()?;
        let begun = Instant::now();
        loop {
            match self.answers(&database).await {
                Ok(()) => return Ok(database),
                Err(error) if error.class() != Class::Reconnect => return Err(error),
                Err(error) => {
                    if child.has_ended() || begun.elapsed() > READY_DEADLINE {
                        return Err(self.not_ready(&error));
                    }
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn not_ready(&self, error: &DbError) -> DbError {
        let log = self.log_path();
        trouble(format!(
            "the embedded server does not answer: {error}; the end of its log, {}:\n{}",
            log.display(),
            process::tail(&log)
        ))
    }

    async fn stop_locked(&self) -> Result<bool, DbError> {
        let data = self.data_dir();
        let Some(pid) = process::postmaster(&data) else { return Ok(false) };
        process::interrupt(pid)?;
        let begun = Instant::now();
        while process::postmaster(&data) == Some(pid) {
            if begun.elapsed() > STOP_DEADLINE {
                return Err(trouble(format!(
                    "the embedded server (process {pid}) is still stopping after {} s; see {}",
                    STOP_DEADLINE.as_secs(),
                    self.log_path().display()
                )));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(true)
    }
}

/// An error of the embedded server.
fn trouble(message: String) -> DbError {
    DbError::Embedded(message)
}

/// Runs file and process work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DbError> + Send + 'static,
) -> Result<T, DbError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| trouble(format!("a task of the embedded server failed: {error}")))?
}

async fn make_database(database: &Database) -> Result<(), DbError> {
    let connection = database.with_database("postgres").connect().await?;
    let doing = "making the embedded server's database";
    let sql = format!("SELECT FROM pg_catalog.pg_database WHERE datname = '{DATABASE}'");
    if connection.query_typed_opt(&sql, &[]).await.doing(doing)?.is_none() {
        connection.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await.doing(doing)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), DbError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(trouble(format!("removing {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Bytes of the files below a folder; what vanishes meanwhile counts nothing.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size_of(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests;
