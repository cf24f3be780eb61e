//! `verify data`: rows against the ledger, partition by partition; the ledger's own proofs, once
//! more; rows without the rows that they belong to; and, given files, every record of theirs
//! against the row that it became. Everything is read; nothing but temporary tables is written.

mod compare;
mod files;
mod key;
mod ledger;
mod orphans;
mod pieces;
mod rows;
mod slots;
mod verdict;

use std::path::Path;

use crate::db::{Connection, DbError};

use super::super::access::has_ledger;
use super::super::finding::{Finding, Level};
use super::super::{Access, CommandError};

/// What of the ledger and the rows is not as it must be, of the records of `paths`, and of what a
/// generator's answer key says.
pub(super) async fn check(
    access: &Access,
    db: &Connection,
    paths: &[String],
    answer_key: Option<&Path>,
) -> Result<Vec<Finding>, CommandError> {
    if !has_ledger(db).await? {
        return Err(CommandError::Refused(
            "the database has no ledger, so nothing was loaded into it: check --database-url"
                .to_owned(),
        ));
    }
    let mut findings = of_ledger(db).await?;
    if !paths.is_empty() {
        let (_, db) = access.connect().await?;
        findings.extend(files::check(&db, paths).await?);
    }
    if let Some(path) = answer_key {
        findings.extend(key::check(db, path).await?);
    }
    Ok(findings)
}

/// The parts that need no file, all of one moment: loads may be under way.
pub(super) async fn of_ledger(db: &Connection) -> Result<Vec<Finding>, DbError> {
    db.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let mut findings = ledger::check(db).await?;
    let targets = rows::targets(db).await?;
    findings.extend(rows::check(db, &targets).await?);
    findings.extend(orphans::check(db, &targets).await?);
    db.batch_execute("COMMIT").await?;
    Ok(findings)
}

/// A fault with what to do about it.
fn fault(
    check: &'static str,
    found: impl Into<String>,
    change: impl Into<String>,
    why: &'static str,
) -> Finding {
    Finding::advise(Level::Fault, check, found, change, why)
}
