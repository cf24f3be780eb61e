//! How statements reach the server: directly or through a pooler, prepared or not. Found by asking,
//! for a pooler does not say what it is.

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::StreamExt;
use tokio_postgres::Statement;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use super::query::with_literals;
use crate::db::{Connection, Database, DbError};

/// A pool of one connection never answers while another session has it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was found out about the way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Transactions of one session run on several connections: there is a pooler in between.
    pub pooled: bool,
    /// Prepared statements are found again.
    pub prepared: bool,
}

impl Link {
    /// Asks: a statement is prepared and run, then run while another session holds the server's
    /// connection that it was prepared on.
    pub async fn probe(database: &Database) -> Result<Self, DbError> {
        let (one, other) = (database.connect().await?, database.connect().await?);
        let lost = Ok(Self { pooled: true, prepared: false });
        let pid = "SELECT pg_backend_pid()";
        let statement = match one.prepare(pid).await.map_err(DbError::from) {
            Ok(statement) => statement,
            Err(error) if is_lost(&error) => return lost,
            Err(error) => return Err(error),
        };
        let alone = match one.query_one(&statement, &[]).await.map_err(DbError::from) {
            Ok(row) => row.try_get::<_, i32>(0)?,
            Err(error) if is_lost(&error) => return lost,
            Err(error) => return Err(error),
        };
        other.batch_execute("BEGIN; SELECT 1").await?;
        let beside = tokio::time::timeout(PATIENCE, one.query_one(&statement, &[])).await;
        other.batch_execute("ROLLBACK").await?;
        match beside {
            Ok(Ok(row)) => Ok(Self { pooled: row.try_get::<_, i32>(0)? != alone, prepared: true }),
            Ok(Err(error)) => {
                let error = DbError::from(error);
                if is_lost(&error) { lost } else { Err(error) }
            }
            Err(_) => Ok(Self { pooled: true, prepared: true }),
        }
    }

    /// For people.
    pub fn describe(&self) -> &'static str {
        match (self.pooled, self.prepared) {
            (false, true) => "directly, prepared",
            (true, true) => "through a pooler, prepared",
            (_, false) => {
                "through a pooler that loses prepared statements: planned anew each time \
                 (PgBouncer 1.21 and later keep them, with max_prepared_statements)"
            }
        }
    }
}

/// Whether a prepared statement was not there, or was there already: it was another connection.
pub fn is_lost(error: &DbError) -> bool {
    error.sqlstate().is_some_and(|state| matches!(state, "26000" | "42P05"))
}

/// A value as text, whatever its type is: the server reads it.
#[derive(Debug)]
struct Text<'a>(Option<&'a str>);

impl ToSql for Text<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// A statement on a connection, ready to be run again and again.
#[derive(Debug)]
pub struct Prepared {
    sql: String,
    /// None: the server plans it each time.
    statement: Option<Statement>,
}

impl Prepared {
    /// Prepares it, where that holds.
    pub async fn new(db: &Connection, link: &Link, sql: &str) -> Result<Self, DbError> {
        let statement = match link.prepared {
            true => Some(db.prepare(sql).await?),
            false => None,
        };
        Ok(Self { sql: sql.to_owned(), statement })
    }

    /// Whether it is planned once and not each time.
    pub fn is_prepared(&self) -> bool {
        self.statement.is_some()
    }

    /// Runs it and takes all its rows. How many there were, and how long it took. A pooler that
    /// loses it makes it one that is planned each time.
    pub async fn run(
        &mut self,
        db: &Connection,
        values: &[Option<String>],
    ) -> Result<(u64, Duration), DbError> {
        match self.attempt(db, values).await {
            Err(error) if self.statement.is_some() && is_lost(&error) => {
                self.statement = None;
                self.attempt(db, values).await
            }
            done => done,
        }
    }

    async fn attempt(
        &self,
        db: &Connection,
        values: &[Option<String>],
    ) -> Result<(u64, Duration), DbError> {
        let texts: Vec<Text<'_>> = values.iter().map(|value| Text(value.as_deref())).collect();
        let began = Instant::now();
        let rows = match &self.statement {
            Some(statement) => db.query_raw(statement, &texts).await?,
            None => {
                let typed = texts.iter().map(|text| (text, Type::UNKNOWN));
                db.query_typed_raw(&self.sql, typed).await?
            }
        };
        let mut rows = pin!(rows);
        let mut count = 0;
        while let Some(row) = rows.next().await {
            row?;
            count += 1;
        }
        Ok((count, began.elapsed()))
    }
}

/// The plan of a statement as the server ran it, prepared in the transaction that is open, or
/// without preparing.
pub async fn explain(
    db: &Connection,
    sql: &str,
    values: &[Option<String>],
) -> Result<serde_json::Value, DbError> {
    let sql =
        format!("EXPLAIN (ANALYZE, FORMAT JSON, SUMMARY, BUFFERS) {}", with_literals(sql, values));
    let mut text = String::new();
    for message in db.simple_query(&sql).await? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            text.push_str(row.get(0).unwrap_or_default());
        }
    }
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(plan.get(0).cloned().unwrap_or_default())
}
