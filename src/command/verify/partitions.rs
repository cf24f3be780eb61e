//! Partitions ahead and behind.

use crate::db::{Connection, DbError, timescale};
use crate::limit::PARTITIONS_PER_LOAD_MAX;

use super::super::finding::{Finding, Level};
use super::{Applied, ask};

/// Tables whose partitions are made ahead of time, by the migration that begins it, and the
/// statement that does it.
const AHEAD: [(&str, (&str, i32), &str); 2] = [
    ("public.orders", ("trading", 2), "SELECT create_order_partition()"),
    ("public.trades", ("trading", 2), "SELECT create_trade_partition()"),
];
/// Partitions must reach at least so many days ahead.
const DAYS_AHEAD_MIN: f64 = 7.0;

/// A partitioned table as the query tells it.
struct Table {
    relation: String,
    partitions: i64,
    lower: Option<String>,
    upper: Option<String>,
    days_ahead: Option<f64>,
    gaps_ahead: Vec<String>,
    gaps_behind: i64,
    default_partition: Option<String>,
    strays: Vec<String>,
}

pub(super) async fn check(db: &Connection, applied: &Applied) -> Result<Vec<Finding>, DbError> {
    if !applied.has("ledger", 3) {
        return Ok(Vec::new());
    }
    let sql = include_str!("../../../schema/query/verify/partitions.sql");
    let mut findings = hypertables(db, applied).await?;
    let retiring = retiring(db, applied).await?;
    findings.extend(retiring.iter().map(|name| {
        Finding::advise(
            Level::Warning,
            "partitions",
            format!("{name} is on its way out: retention was cut short"),
            "tidegate nightly goes on with it",
            "its rows are in no answer, and not in an archive yet",
        )
    }));
    for row in ask(db, sql, &applied.tables).await? {
        let mut table = Table {
            relation: row.try_get(0)?,
            partitions: row.try_get(1)?,
            lower: row.try_get(2)?,
            upper: row.try_get(3)?,
            days_ahead: row.try_get(4)?,
            gaps_ahead: row.try_get(5)?,
            gaps_behind: row.try_get(6)?,
            default_partition: row.try_get(7)?,
            strays: row.try_get(8)?,
        };
        table.strays.retain(|stray| !retiring.contains(stray));
        let make = ahead(applied).find(|(name, _)| *name == table.relation);
        findings.extend(judge(&table, make.map(|(_, make)| make)));
    }
    Ok(findings)
}

/// The hypertables: their chunks, and indexes that are missing on some.
async fn hypertables(db: &Connection, applied: &Applied) -> Result<Vec<Finding>, DbError> {
    if !applied.has("ledger", 4) || timescale::edition(db).await?.is_none() {
        return Ok(Vec::new());
    }
    let sql = include_str!("../../../schema/query/verify/hypertables.sql");
    let mut findings = Vec::new();
    for row in ask(db, sql, &applied.tables).await? {
        let (relation, chunks): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        let (lower, upper): (Option<&str>, Option<&str>) = (row.try_get(2)?, row.try_get(3)?);
        let missing: Vec<String> = row.try_get(4)?;
        let span = lower.zip(upper).map(|(lower, upper)| format!(", {lower} to {upper}"));
        let found = format!("{relation}: {chunks} chunks{}", span.unwrap_or_default());
        findings.push(Finding::ok("partitions", found));
        findings.extend(missing.into_iter().map(|index| {
            Finding::advise(
                Level::Fault,
                "index",
                format!("index {index}, a chunk of {relation}, is missing"),
                "drop the index of the hypertable and create it again",
                "queries of that time read the whole chunk",
            )
        }));
    }
    Ok(findings)
}

/// Partitions that retention took out and has not dropped yet: the next upkeep goes on.
async fn retiring(db: &Connection, applied: &Applied) -> Result<Vec<String>, DbError> {
    if !applied.has("ledger", 4) {
        return Ok(Vec::new());
    }
    let sql = "SELECT c.relname::text FROM tidegate.retired r \
               JOIN pg_catalog.pg_class c ON c.oid = to_regclass(r.partition) \
               WHERE r.dropped_at IS NULL";
    let rows = db.query_typed(sql, &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The tables here whose partitions are made ahead of time, with the statement that does it.
pub(super) fn ahead(applied: &Applied) -> impl Iterator<Item = (&'static str, &'static str)> {
    let here = AHEAD.iter().filter(|(_, (domain, version), _)| applied.has(domain, *version));
    here.map(|(name, _, make)| (*name, *make))
}

/// `make`: what makes partitions ahead, for a table that needs them.
fn judge(table: &Table, make: Option<&str>) -> Vec<Finding> {
    let Table { relation, partitions, .. } = table;
    let mut findings = Vec::new();
    let mut wrong = |level, found: String, change: String, why| {
        findings.push(Finding::advise(level, "partitions", found, change, why));
    };
    if let Some(make) = make {
        let ahead = table.days_ahead.unwrap_or(0.0);
        if ahead < DAYS_AHEAD_MIN {
            wrong(
                Level::Fault,
                format!("{relation} has partitions for the next {ahead:.1} days only"),
                make.to_owned(),
                "rows that find no partition are refused",
            );
        }
        for gap in &table.gaps_ahead {
            wrong(
                Level::Fault,
                format!("{relation} has no partition from {gap}"),
                make.to_owned(),
                "rows that find no partition are refused",
            );
        }
    }
    if let Some(name) = &table.default_partition {
        wrong(
            Level::Warning,
            format!("{relation} has a default partition, {name}"),
            "move its rows into partitions of their own and drop it".to_owned(),
            "each new partition looks through it, and partitions cannot be filled apart",
        );
    }
    for stray in &table.strays {
        wrong(
            Level::Fault,
            format!("{stray} is called as a partition of {relation}, and is none"),
            format!("attach it again, or drop it: ALTER TABLE {relation} ATTACH PARTITION ..."),
            "its rows are in no answer",
        );
    }
    if usize::try_from(*partitions).is_ok_and(|n| n > 2 * PARTITIONS_PER_LOAD_MAX) {
        wrong(
            Level::Advice,
            format!("{relation} has {partitions} partitions"),
            "merge days that are long past into months".to_owned(),
            "statements without bounds of time are planned over all of them",
        );
    }
    if findings.is_empty() {
        let span = match (&table.lower, &table.upper) {
            (Some(lower), Some(upper)) => format!(", {lower} to {upper}"),
            _ => String::new(),
        };
        let gaps = match table.gaps_behind {
            0 => String::new(),
            gaps => format!(", without {gaps} ranges that no data came for"),
        };
        let found = format!("{relation}: {partitions}{span}{gaps}");
        findings.push(Finding::ok("partitions", found));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            relation: "public.trades".to_owned(),
            partitions: 30,
            lower: None,
            upper: None,
            days_ahead: Some(29.5),
            gaps_ahead: Vec::new(),
            gaps_behind: 0,
            default_partition: None,
            strays: Vec::new(),
        }
    }

    #[test]
    fn what_is_ahead_counts_only_where_it_must_be_there() {
        let faults = |table: &Table, make| {
            judge(table, make).iter().filter(|finding| finding.level == Level::Fault).count()
        };
        assert_eq!(faults(&table(), Some("make")), 0);
        let short = Table { days_ahead: Some(3.0), ..table() };
        assert_eq!((faults(&short, Some("make")), faults(&short, None)), (1, 0));
        let none = Table { days_ahead: None, gaps_ahead: vec!["x".to_owned()], ..table() };
        assert_eq!((faults(&none, Some("make")), faults(&none, None)), (2, 0));
        let stray = Table { strays: vec!["trades_p2020".to_owned()], ..table() };
        assert_eq!(faults(&stray, None), 1);
    }
}
