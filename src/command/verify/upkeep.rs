//! How the database is doing: indexes that nobody uses or that are missing, bloat, how much is
//! found in memory, and settings for a machine of this size.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::db::{Connection, DbError, Doing as _};
use crate::report::human;

use super::super::finding::{Finding, Level};
use super::{Applied, ask};

/// A table must have been searched by index so often before an index of it counts as unused.
const SCANS_MIN: i64 = 100;
/// Tables of fewer rows are read as a whole, and should be.
const ROWS_MANY: i64 = 100_000;
const TABLE_HIT_MIN: f64 = 0.95;
const INDEX_HIT_MIN: f64 = 0.99;
const CONNECTIONS_PART_MAX: f64 = 0.8;
const MIB: f64 = 1_048_576.0;

/// `foreign`: indexes that no migration made, as (table, index).
pub(super) async fn check(
    db: &Connection,
    applied: &Applied,
    foreign: &[(String, String)],
) -> Result<Vec<Finding>, DbError> {
    let mut findings = used(db, &applied.tables, foreign).await?;
    findings.extend(bloat(db, &applied.tables).await?);
    findings.extend(cache(db).await?);
    findings.extend(settings(db).await?);
    Ok(findings)
}

async fn used(
    db: &Connection,
    tables: &[String],
    foreign: &[(String, String)],
) -> Result<Vec<Finding>, DbError> {
    let sql = include_str!("../../../schema/query/verify/index_use.sql");
    let mut findings = Vec::new();
    let mut read_whole = BTreeMap::new();
    for row in ask(db, sql, tables).await? {
        let (relation, index): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (enforces, scans): (bool, i64) = (row.try_get(2)?, row.try_get(3)?);
        let (bytes, of_table): (i64, i64) = (row.try_get(4)?, row.try_get(5)?);
        let (whole, rows): (i64, i64) = (row.try_get(6)?, row.try_get(7)?);
        if whole > of_table && whole > SCANS_MIN && rows > ROWS_MANY {
            read_whole.insert(relation.clone(), whole);
        }
        if enforces || scans > 0 || of_table < SCANS_MIN || relation.starts_with("tidegate.") {
            continue;
        }
        let size = human::memory(bytes.unsigned_abs());
        let why = "every write pays for it";
        // Ours may be there for a query that comes once a month.
        let (level, change) = match foreign.contains(&(relation.clone(), index.clone())) {
            true => (Level::Fault, format!("DROP INDEX CONCURRENTLY {index}, or use it")),
            false => (Level::Advice, "drop it if its queries are not yours".to_owned()),
        };
        let found = format!("{index} of {relation} ({size}) is unused");
        findings.push(Finding::advise(level, "unused index", found, change, why));
    }
    for (relation, scans) in read_whole {
        findings.push(Finding::advise(
            Level::Advice,
            "missing index",
            format!("{relation} was read as a whole {scans} times, more often than by an index"),
            "look in pg_stat_statements for the query, and at its plan",
            "reading a large table for a few rows pushes others out of memory",
        ));
    }
    Ok(findings)
}

async fn bloat(db: &Connection, tables: &[String]) -> Result<Vec<Finding>, DbError> {
    let sql = include_str!("../../../schema/query/verify/bloat.sql");
    let mut findings = Vec::new();
    for row in ask(db, sql, tables).await? {
        let (kind, relation): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let (bytes, needed): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        let dead: i64 = row.try_get(4)?;
        let size = human::memory(bytes.unsigned_abs());
        let (found, change) = match kind {
            "index" => (
                format!(
                    "{relation} takes {size}, its rows would need about {}",
                    human::memory(needed.unsigned_abs())
                ),
                format!("REINDEX INDEX CONCURRENTLY {relation}"),
            ),
            _ => (
                format!("{relation} has {} dead rows", human::count(dead.unsigned_abs())),
                format!("VACUUM (ANALYZE) {relation}"),
            ),
        };
        let why = "every scan reads what nobody needs";
        findings.push(Finding::advise(Level::Warning, "bloat", found, change, why));
    }
    Ok(findings)
}

async fn cache(db: &Connection) -> Result<Vec<Finding>, DbError> {
    let sql = include_str!("../../../schema/query/verify/cache.sql");
    let row = db.query_typed_one(sql, &[]).await.doing("asking how much is found in memory")?;
    let (table, index): (Option<f64>, Option<f64>) = (row.try_get(0)?, row.try_get(1)?);
    let (connections, limit): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
    let (has_statements, loads_statements): (bool, bool) = (row.try_get(4)?, row.try_get(5)?);
    let mut findings = vec![
        hit("table cache hit", table, TABLE_HIT_MIN),
        hit("index cache hit", index, INDEX_HIT_MIN),
    ];
    let found = format!("{connections} of {limit}");
    let is_many = connections as f64 > limit as f64 * CONNECTIONS_PART_MAX;
    findings.push(match is_many {
        true => Finding::advise(
            Level::Warning,
            "connections",
            found,
            "put a pooler in front, or raise max_connections",
            "the next ones are refused",
        ),
        false => Finding::ok("connections", found),
    });
    findings.push(match (has_statements, loads_statements) {
        (true, true) => Finding::ok("pg_stat_statements", "on"),
        (false, true) => Finding::advise(
            Level::Advice,
            "pg_stat_statements",
            "not created in this database",
            "CREATE EXTENSION pg_stat_statements",
            "it tells which queries take the time",
        ),
        (_, false) => Finding::advise(
            Level::Advice,
            "pg_stat_statements",
            "not loaded",
            "add it to shared_preload_libraries, restart the server, and CREATE EXTENSION \
             pg_stat_statements",
            "it tells which queries take the time",
        ),
    });
    Ok(findings)
}

fn hit(check: &'static str, part: Option<f64>, wanted: f64) -> Finding {
    let Some(part) = part else { return Finding::ok(check, "too little was read to tell") };
    let found = format!("{:.1} %", part * 100.0);
    if part >= wanted {
        return Finding::ok(check, found);
    }
    Finding::advise(
        Level::Warning,
        check,
        found,
        "raise shared_buffers, or drop indexes that nobody uses",
        "blocks that are not found in memory come from the disk",
    )
}

async fn settings(db: &Connection) -> Result<Vec<Finding>, DbError> {
    let sql = include_str!("../../../schema/query/verify/settings.sql");
    let rows = db.query_typed(sql, &[]).await.doing("reading settings")?;
    let pair = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?));
    let settings = rows.iter().map(pair).collect::<Result<BTreeMap<String, f64>, DbError>>()?;
    let is_local = "SELECT inet_server_addr() IS NULL OR host(inet_server_addr()) LIKE '127.%'";
    let local: bool = db.query_typed_one(is_local, &[]).await?.try_get(0)?;
    let memory = super::super::doctor::memory_bytes().filter(|_| local);
    Ok(memory.map(|memory| advise(&settings, memory)).unwrap_or_default())
}

/// What a machine with so much memory, all of it for the database, should be set to.
fn advise(settings: &BTreeMap<String, f64>, memory_bytes: u64) -> Vec<Finding> {
    let memory = memory_bytes as f64 / MIB;
    let wanted = [
        ("shared_buffers", memory / 4.0, "what is read often stays in it"),
        ("effective_cache_size", memory * 0.75, "the planner trusts indexes to be in memory"),
        ("maintenance_work_mem", (memory / 16.0).min(2048.0), "indexes are built in it"),
        ("work_mem", (memory / 256.0).clamp(4.0, 64.0), "sorts and hash tables stay off the disk"),
    ];
    let mut findings = Vec::new();
    for (name, wanted, why) in wanted {
        let Some(&bytes) = settings.get(name) else { continue };
        let found = human::memory(bytes as u64);
        // Within a factor of two it is somebody's choice.
        findings.push(if bytes / MIB >= wanted / 2.0 {
            Finding::ok(name, found)
        } else {
            let change = format!("ALTER SYSTEM SET {name} = '{wanted:.0}MB'");
            Finding::advise(Level::Advice, name, found, change, why)
        });
    }
    if settings.get("random_page_cost").is_some_and(|&cost| cost > 2.0) {
        findings.push(Finding::advise(
            Level::Advice,
            "random_page_cost",
            format!("{}", settings["random_page_cost"]),
            "ALTER SYSTEM SET random_page_cost = 1.1, unless the disks turn",
            "the default keeps the planner away from indexes, as if the disks turned",
        ));
    }
    findings
}

/// Rows and bytes of each table, for machines.
pub(in crate::command) async fn sizes(
    db: &Connection,
    tables: &[String],
) -> Result<Value, DbError> {
    let sql = include_str!("../../../schema/query/verify/sizes.sql");
    let size = |row: &tokio_postgres::Row| {
        Ok(json!({
            "table": row.try_get::<_, String>(0)?,
            "rows": row.try_get::<_, i64>(1)?,
            "table_bytes": row.try_get::<_, i64>(2)?,
            "index_bytes": row.try_get::<_, i64>(3)?,
        }))
    };
    ask(db, sql, tables).await?.iter().map(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_advised_by_memory() {
        let set = |shared_mib: f64| {
            BTreeMap::from([
                ("shared_buffers".to_owned(), shared_mib * MIB),
                ("random_page_cost".to_owned(), 1.1),
            ])
        };
        let change = |shared| advise(&set(shared), 16 << 30)[0].change.clone();
        assert_eq!(change(128.0).unwrap(), "ALTER SYSTEM SET shared_buffers = '4096MB'");
        assert_eq!(change(4096.0), None);
        let slow = BTreeMap::from([("random_page_cost".to_owned(), 4.0)]);
        assert_eq!(advise(&slow, 16 << 30)[0].check, "random_page_cost");
    }

    #[test]
    fn a_cache_is_judged_once_it_was_used() {
        assert_eq!(hit("x", None, 0.95).level, Level::Ok);
        assert_eq!(hit("x", Some(0.94), 0.95).level, Level::Warning);
        assert_eq!(hit("x", Some(0.96), 0.95).level, Level::Ok);
    }
}
