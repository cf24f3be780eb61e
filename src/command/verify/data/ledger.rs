//! The ledger's own proofs, made again from its rows: a seal is a claim like any other.

use crate::db::{Connection, DbError, Doing as _};
use crate::report::human;

use super::super::super::finding::{Finding, Level};
use super::fault;

pub(super) async fn check(db: &Connection) -> Result<Vec<Finding>, DbError> {
    let mut findings = loads(db).await?;
    findings.extend(rejects(db).await?);
    Ok(findings)
}

async fn loads(db: &Connection) -> Result<Vec<Finding>, DbError> {
    let sql = include_str!("../../../../schema/query/verify/loads.sql");
    let rows = db.query_typed(sql, &[]).await.doing("proving the loads again")?;
    let mut findings = Vec::new();
    for row in &rows {
        let (id, source): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
        let (sealed, faults): (bool, &str) = (row.try_get(2)?, row.try_get(3)?);
        findings.push(match sealed {
            true => fault(
                "load",
                format!("load {id} of {source}: {faults}"),
                "load the file again with --reload, and find out who changed the ledger",
                "what its portions say is not what its seal says, so neither proves anything",
            ),
            false => fault(
                "unsealed load",
                format!("load {id} of {source} is not complete: {faults}"),
                "run the same backfill again: it goes on where it was, unless it still runs",
                "what it has not read yet is in no table",
            ),
        });
    }
    if findings.is_empty() {
        let sql = "SELECT count(*), coalesce(sum(read), 0)::bigint FROM tidegate.load";
        let row = db.query_typed_one(sql, &[]).await?;
        let (loads, read): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let found = format!(
            "{} sealed, {} read, each with one fate",
            human::plural(loads.unsigned_abs(), "load"),
            human::plural(read.unsigned_abs(), "record")
        );
        findings.push(Finding::ok("loads", found));
    }
    Ok(findings)
}

async fn rejects(db: &Connection) -> Result<Vec<Finding>, DbError> {
    let sql = include_str!("../../../../schema/query/verify/rejects.sql");
    let rows = db.query_typed(sql, &[]).await.doing("counting open rejects")?;
    let mut findings = Vec::new();
    for row in &rows {
        let (rule, rejects): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        let (loads, source): (i64, &str) = (row.try_get(2)?, row.try_get(3)?);
        let mut found = format!(
            "{} by {rule} of {}, the first {source}",
            human::plural(rejects.unsigned_abs(), "reject"),
            human::plural(loads.unsigned_abs(), "load"),
        );
        if loads == 1 {
            found = format!("{} by {rule} of {source}", human::count(rejects.unsigned_abs()));
        }
        findings.push(Finding::advise(
            Level::Warning,
            "open rejects",
            found,
            format!("tidegate rejects export --rule {rule}, mend them, tidegate rejects replay"),
            "they are in no table until then",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("open rejects", "none"));
    }
    Ok(findings)
}
