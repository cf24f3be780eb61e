//! `verify`: compares the schema of a database with what its migrations make, and looks at every
//! index of every partition, at partitions ahead and behind, at what is used and what is bloated;
//! and compares what tables hold with what the ledger says, and with files. It changes nothing. A
//! fault fails it; what might be better is a warning or advice.

mod data;
mod expected;
mod partitions;
mod schema;
mod upkeep;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::db::migration::{self, MigrationStatus, State};
use crate::db::{Connection, DbError};

use super::finding::{Finding, Level, add, answer};
use super::{Access, Answer, CommandError};

pub use expected::{Change, shape_of, write_change};
pub(super) use upkeep::sizes;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Tables, columns, indexes and everything else that migrations make.
    Schema,
    /// Ranges of time.
    Partitions,
    /// Rows against the ledger.
    Data,
}

/// What `verify` is asked.
#[derive(Debug, Clone)]
pub struct VerifyRequest {
    /// Which database.
    pub access: Access,
    /// Only this; else everything.
    pub what: Option<What>,
    /// With [`What::Data`]: files whose records are compared with their rows.
    pub paths: Vec<String>,
    /// With [`What::Data`]: what a generator says must be there.
    pub answer_key: Option<PathBuf>,
}

/// What the checks share: which migrations are applied, and the tables that they make.
struct Applied {
    migrations: BTreeSet<(String, i32)>,
    /// As `schema.table`.
    tables: Vec<String>,
}

impl Applied {
    fn has(&self, domain: &str, version: i32) -> bool {
        self.migrations.contains(&(domain.to_owned(), version))
    }
}

/// The tables and materialized views that the applied migrations make, as `schema.table`.
pub(super) async fn tables(db: &Connection) -> Result<Vec<String>, DbError> {
    Ok(applied_tables(&migration::status(db).await?).tables)
}

/// Those of them whose partitions are made ahead of time.
pub(super) async fn tables_ahead(db: &Connection) -> Result<Vec<String>, DbError> {
    let applied = applied_tables(&migration::status(db).await?);
    let names = partitions::ahead(&applied).map(|(name, _)| name.to_owned());
    Ok(names.collect())
}

fn applied_tables(status: &[MigrationStatus]) -> Applied {
    let is_applied =
        |known: &&MigrationStatus| matches!(known.state, State::Applied(_) | State::Changed(_));
    let migrations: BTreeSet<(String, i32)> = (status.iter().filter(is_applied))
        .map(|known| (known.domain.clone(), known.version))
        .collect();
    let tables = expected::expected(&migrations).tables();
    Applied { migrations, tables }
}

/// Makes every check that is asked for.
///
/// # Errors
/// [`CommandError::Refused`] where no migration is applied; [`DbError`] without a connection.
pub async fn run(request: &VerifyRequest) -> Result<Answer, CommandError> {
    let takes_files = !request.paths.is_empty() || request.answer_key.is_some();
    if takes_files && request.what != Some(What::Data) {
        return Err(CommandError::Usage("only `verify data` takes files".to_owned()));
    }
    let (_, db) = request.access.connect().await?;
    if request.what == Some(What::Data) {
        let key = request.answer_key.as_deref();
        let findings = data::check(&request.access, &db, &request.paths, key).await?;
        return Ok(answer(&findings));
    }
    let status = migration::status(&db).await?;
    let applied = applied_tables(&status);
    if applied.migrations.is_empty() {
        return Err(CommandError::Refused(
            "no migration is applied here: `tidegate migrate up` makes the tables".to_owned(),
        ));
    }
    let mut findings = of_migrations(&status);
    let mut sizes = None;
    if request.what != Some(What::Partitions) {
        match schema::check(&db, &applied).await {
            Ok((found, foreign)) => {
                findings.extend(found);
                let found = upkeep::check(&db, &applied, &foreign).await;
                add(&mut findings, "indexes", found);
            }
            Err(error) => add(&mut findings, "schema", Err(error)),
        }
        sizes = Some(upkeep::sizes(&db, &applied.tables).await?);
    }
    if request.what != Some(What::Schema) {
        add(&mut findings, "partitions", partitions::check(&db, &applied).await);
    }
    if request.what.is_none() {
        add(&mut findings, "data", data::of_ledger(&db).await);
    }
    let mut answer = answer(&findings);
    if let (Some(Value::Object(json)), Some(sizes)) = (&mut answer.json, sizes) {
        json.insert("tables".to_owned(), sizes);
    }
    Ok(answer)
}

/// Migrations that are not as the program has them.
fn of_migrations(status: &[MigrationStatus]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut pending: Vec<&str> = Vec::new();
    for known in status {
        let title = format!("{}/{:04}_{}", known.domain, known.version, known.name);
        let is_partly_there = || {
            let other = |other: &&MigrationStatus| {
                other.domain == known.domain && other.state != State::Pending
            };
            status.iter().find(other).is_some()
        };
        match &known.state {
            State::Applied(_) => {}
            State::Pending if !is_partly_there() => {}
            State::Pending => pending.push(&known.domain),
            State::Changed(_) => findings.push(Finding::advise(
                Level::Fault,
                "migrations",
                format!("{title} was edited since it was applied"),
                "take the change back, or make it a new migration",
                "nobody can tell any more what this database should look like",
            )),
            State::Unknown(_) => findings.push(Finding::advise(
                Level::Warning,
                "migrations",
                format!("{title} was applied by a newer program"),
                "verify with that one",
                "what it made is not known here",
            )),
        }
    }
    pending.dedup();
    if pending.is_empty() {
        findings.push(Finding::ok("migrations", "all of the domains that are here are applied"));
    } else {
        findings.push(Finding::advise(
            Level::Advice,
            "migrations",
            format!("some of {} are not applied", pending.join(", ")),
            "tidegate migrate up, once what is to be loaded is loaded",
            "indexes and functions for queries come with them, and loads are slower with indexes",
        ));
    }
    findings
}

/// Rows of one of the queries about `tables`.
async fn ask(
    db: &Connection,
    sql: &str,
    tables: &[String],
) -> Result<Vec<tokio_postgres::Row>, DbError> {
    Ok(db.query_typed(sql, &[(&tables, tokio_postgres::types::Type::TEXT_ARRAY)]).await?)
}
