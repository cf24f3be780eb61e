//! What can go wrong with the database, said so that the user knows what to do next. Never prints
//! a password.

use std::error::Error as _;
use std::fmt::Write as _;

use crate::error::Class;

use super::sqlstate;

/// A failure of the database room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// A connection string, environment variable, service or certificate file that does not make
    /// sense.
    #[error("{0}")]
    Config(String),
    /// No connection came about.
    #[error("cannot connect to {target}: {}{}", describe(.source), connect_advice(.source))]
    Connect {
        /// The server, without a password.
        target: String,
        /// Why.
        source: tokio_postgres::Error,
    },
    /// The server did not answer the start of a connection in time.
    #[error(
        "cannot connect to {target}: no answer within {seconds} s; check host, port and firewall"
    )]
    ConnectTimeout {
        /// The server, without a password.
        target: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The server refused a statement, or the connection ended under it.
    #[error("{}{}{}", prefix(.doing), describe(.source), server_advice(.source))]
    Server {
        /// What was being done; may be empty.
        doing: String,
        /// Why it failed.
        source: tokio_postgres::Error,
    },
    /// A table that cannot be a target, or a name that cannot be a table's.
    #[error("{0}")]
    Table(String),
    /// Partitions that cannot be made.
    #[error("{0}")]
    Partition(String),
    /// A migration that cannot be applied or taken back.
    #[error("{0}")]
    Migration(String),
    /// Another process is migrating this database.
    #[error("another process is migrating this database; try again when it is done")]
    Locked,
    /// The ledger says what cannot be.
    #[error("{0}")]
    Ledger(String),
    /// The embedded server.
    #[error("{0}")]
    Embedded(String),
}

impl DbError {
    /// What is to be done about it.
    pub fn class(&self) -> Class {
        match self {
            DbError::Connect { source, .. } | DbError::Server { source, .. } => {
                sqlstate::classify(source, false)
            }
            DbError::ConnectTimeout { .. } => Class::Reconnect,
            DbError::Locked => Class::Redo,
            _ => Class::Stop,
        }
    }

    /// The client library's error behind it, if there is one.
    pub fn server_error(&self) -> Option<&tokio_postgres::Error> {
        match self {
            DbError::Connect { source, .. } | DbError::Server { source, .. } => Some(source),
            _ => None,
        }
    }

    /// What the server said, without advice; the whole error, if it was not the server's.
    pub fn said(&self) -> String {
        self.server_error().map_or_else(|| self.to_string(), describe)
    }

    /// The SQLSTATE, if the server sent one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.server_error()?.code().map(tokio_postgres::error::SqlState::code)
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(source: tokio_postgres::Error) -> Self {
        DbError::Server { doing: String::new(), source }
    }
}

/// Says what was being done when a statement failed.
pub trait Doing<T> {
    /// Adds `what` in front of the error: "reading the catalogue of x".
    ///
    /// # Errors
    /// The error it is called on, as [`DbError::Server`].
    fn doing(self, what: impl Into<String>) -> Result<T, DbError>;
}

impl<T> Doing<T> for Result<T, tokio_postgres::Error> {
    fn doing(self, what: impl Into<String>) -> Result<T, DbError> {
        self.map_err(|source| DbError::Server { doing: what.into(), source })
    }
}

fn prefix(doing: &str) -> String {
    if doing.is_empty() { String::new() } else { format!("{doing}: ") }
}

/// One line with all that the server said: SQLSTATE, message, detail, hint, and the object.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    let Some(server) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let _ = write!(text, ": {inner}");
            cause = inner.source();
        }
        return text;
    };
    let mut text = format!("{} (SQLSTATE {}", server.message(), server.code().code());
    let table = match (server.schema(), server.table()) {
        (Some(schema), Some(table)) => Some(format!("{schema}.{table}")),
        (None, Some(table)) => Some(table.to_owned()),
        _ => None,
    };
    let facts = [
        ("table", table.as_deref()),
        ("column", server.column()),
        ("constraint", server.constraint()),
        ("type", server.datatype()),
    ];
    for (what, name) in facts {
        if let Some(name) = name {
            let _ = write!(text, ", {what} {name}");
        }
    }
    text.push(')');
    for (what, more) in
        [("detail", server.detail()), ("hint", server.hint()), ("context", server.where_())]
    {
        if let Some(more) = more {
            let _ = write!(text, "; {what}: {}", more.replace('\n', "; "));
        }
    }
    text
}

fn connect_advice(error: &tokio_postgres::Error) -> &'static str {
    use std::io::ErrorKind;
    if error.as_db_error().is_some() {
        return server_advice(error);
    }
    let cause = error.source().and_then(|e| e.downcast_ref::<std::io::Error>());
    match cause.map(std::io::Error::kind) {
        Some(ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
            "; is the server running there? `tidegate db start` starts an embedded one"
        }
        Some(ErrorKind::PermissionDenied) => "; this user may not open the server's socket",
        Some(ErrorKind::InvalidData) => {
            "; for a private certificate authority give sslrootcert=FILE"
        }
        _ if error.source().is_some_and(|cause| cause.to_string().contains("support TLS")) => {
            "; on a network you trust, sslmode=disable in the URL goes without"
        }
        _ => "",
    }
}

fn server_advice(error: &tokio_postgres::Error) -> &'static str {
    match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("28P01") => "; check the password: in the URL, PGPASSWORD or ~/.pgpass (mode 0600)",
        Some("28000") => "; check user, pg_hba.conf and sslmode",
        Some("3D000") => "; create the database, or name one that exists in the URL",
        Some("3F000") => "; create the schema, or name one that exists",
        Some("42501") => "; grant the right to this role, or connect as the owner",
        Some("25006") => "; this is a standby or read-only server: connect to the primary",
        Some("53300") => "; lower --writers or raise max_connections",
        Some("53100") => "; free disk space on the server, then run the same command again",
        Some("42P01") => "; `tidegate migrate up` makes the tables of a domain",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Database, testing};

    #[test]
    fn a_server_error_says_all_that_the_server_said() {
        testing::run(async |database| {
            let connection = database.connect().await.unwrap();
            connection.batch_execute("CREATE TABLE t (a int PRIMARY KEY)").await.unwrap();
            let twice = connection.batch_execute("INSERT INTO t VALUES (1), (1)").await;
            let error = twice.doing("filling t").unwrap_err();
            assert_eq!(
                error.to_string(),
                "filling t: duplicate key value violates unique constraint \"t_pkey\" \
                 (SQLSTATE 23505, table public.t, constraint t_pkey); \
                 detail: Key (a)=(1) already exists."
            );
            assert_eq!((error.class(), error.sqlstate()), (Class::StepDown, Some("23505")));
            let error =
                DbError::from(connection.batch_execute("SELECT * FROM u").await.unwrap_err());
            assert_eq!(error.class(), Class::Stop);
            let missing = database.with_database("no_such_database").connect().await.unwrap_err();
            assert!(missing.to_string().contains("create the database"), "{missing}");
            assert_eq!(missing.class(), Class::Stop);
        });
    }

    #[test]
    fn a_lost_connection_reconnects() {
        testing::run(async |database| {
            let victim = database.connect().await.unwrap();
            let killer = database.connect().await.unwrap();
            let pid = victim.query_typed_one("SELECT pg_backend_pid()", &[]).await.unwrap();
            let pid: i32 = pid.get(0);
            let kill = format!("SELECT pg_terminate_backend({pid}, 10000)");
            let (sleep, _) = tokio::join!(
                victim.batch_execute("SELECT pg_sleep(100)"),
                killer.batch_execute(&kill)
            );
            let error = DbError::from(sleep.unwrap_err());
            assert_eq!(error.class(), Class::Reconnect, "{error}");
            let error = DbError::from(victim.batch_execute("SELECT 1").await.unwrap_err());
            assert_eq!(error.class(), Class::Reconnect, "{error}");
        });
    }

    #[test]
    fn nobody_there_is_told_apart_from_a_wrong_password() {
        testing::run(async |database| {
            let url = database.display().replacen("postgres@", "postgres:canary@", 1);
            let wrong = Database::from_url(&url).unwrap().connect().await.unwrap_err();
            assert_eq!((wrong.class(), wrong.sqlstate()), (Class::Stop, Some("28P01")));
            assert!(wrong.to_string().contains("check the password"), "{wrong}");
            assert!(!format!("{wrong} {wrong:?}").contains("canary"));
        });
        testing::runtime().block_on(async {
            // Port 1 is nobody's.
            let nobody = Database::from_url("postgres://u:canary@127.0.0.1:1/d").unwrap();
            let error = nobody.connect().await.unwrap_err();
            assert_eq!(error.class(), Class::Reconnect);
            assert!(error.to_string().contains("is the server running"), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        });
    }
}
