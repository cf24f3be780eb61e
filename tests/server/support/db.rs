//! A database for one test, and a client that waits for its answers.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::runtime::Runtime;
use tokio_postgres::types::FromSqlOwned;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::server::Server;

/// A fresh database, dropped at the end of its test; of a failed test it is kept if asked for.
#[derive(Debug)]
pub struct TestDb<'a> {
    server: &'a Server,
    name: String,
    home: PathBuf,
}

impl TestDb<'static> {
    /// A database on the shared server. `name` is for people; every call makes another database.
    pub fn new(name: &str) -> Self {
        Self::on(Server::shared(), name)
    }
}

impl<'a> TestDb<'a> {
    /// A database on a server of one's own.
    pub fn on(server: &'a Server, name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let word = |byte: char| if byte.is_ascii_alphanumeric() { byte } else { '_' };
        let short: String = name.to_lowercase().chars().map(word).take(40).collect();
        let name = format!("t{number}_{short}");
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        Client::connect(&server.url("postgres")).execute(&create);
        let home = server.dir().join(&name);
        std::fs::create_dir(&home).expect("the server's folder is writable");
        Self { server, name, home }
    }

    /// Its connection URL.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// A folder for the test's files, also the program's home; removed with the server.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        Client::connect(&self.url())
    }
}

impl Drop for TestDb<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.server.keep_evidence(&self.name);
            return;
        }
        let _ = std::fs::remove_dir_all(&self.home);
        if let Ok(client) = Client::try_connect(&self.server.url("postgres")) {
            let _ = client.try_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime")
    })
}

/// A connection; each call waits for its answer, and one that fails fails the test.
#[derive(Debug)]
pub struct Client(tokio_postgres::Client);

impl Client {
    /// Connects.
    pub fn connect(url: &str) -> Self {
        Self::try_connect(url).unwrap_or_else(|error| panic!("{url}: {error:?}"))
    }

    /// Connects, for tests where the server may be gone.
    pub fn try_connect(url: &str) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = runtime().block_on(tokio_postgres::connect(url, NoTls))?;
        // Its failure is told by the next call on the client.
        runtime().spawn(connection);
        Ok(Self(client))
    }

    /// The one value of a query.
    pub fn query_one<T: FromSqlOwned>(&self, sql: &str) -> T {
        let row = runtime().block_on(self.0.query_one(sql, &[]));
        row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// The rows of a query, each value as the server writes it.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = runtime().block_on(self.0.simple_query(sql));
        let messages = messages.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
            }
            _ => None,
        };
        messages.iter().filter_map(row).collect()
    }

    /// Runs one or several statements.
    pub fn execute(&self, sql: &str) {
        self.try_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Runs statements that may fail.
    pub fn try_execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        runtime().block_on(self.0.batch_execute(sql))
    }
}

/// Fails unless two tables (or queries that start with SELECT) of one database have the same rows,
/// each as often.
pub fn except_all(db: &TestDb<'_>, a: &str, b: &str) {
    let select = |of: &str| match of.trim_start().get(..6) {
        Some(word) if word.eq_ignore_ascii_case("select") => format!("({of})"),
        _ => format!("(SELECT * FROM {of})"),
    };
    let (from_a, from_b) = (select(a), select(b));
    let client = db.client();
    for (left, right, name) in [(&from_a, &from_b, a), (&from_b, &from_a, b)] {
        let rows = client.rows(&format!("{left} EXCEPT ALL {right} LIMIT 10"));
        assert!(rows.is_empty(), "only in {name}, among others: {rows:?}");
    }
}

/// Fails unless the query gives the same rows in two databases, each as often.
pub fn same_rows(a: &TestDb<'_>, b: &TestDb<'_>, select: &str) {
    // Sums of row hashes do not depend on order, and big tables need not be fetched.
    let sum = format!(
        "SELECT count(*)::text, \
         coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text \
         FROM ({select}) t"
    );
    let (in_a, in_b) = (a.client().rows(&sum), b.client().rows(&sum));
    assert_eq!(in_a, in_b, "rows and sum of row hashes of: {select}");
}
