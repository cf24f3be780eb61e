//! What is there against what should be, and every index of every partition.

use std::collections::BTreeMap;

use crate::db::{Connection, DbError, Doing as _};

use super::super::finding::{Finding, Level};
use super::expected::{Expected, compare, expected, shape_of};
use super::{Applied, ask};

/// What is wrong, and the indexes of our tables that no migration made, as (table, index).
pub(super) async fn check(
    db: &Connection,
    applied: &Applied,
) -> Result<(Vec<Finding>, Vec<(String, String)>), DbError> {
    let expected = expected(&applied.migrations);
    let mut found = read(db).await?;
    let hypertables = hypertables(db, applied).await?;
    as_partitioned(&mut found, &expected, &hypertables);
    let mut findings = compare(&expected, &found);
    if findings.is_empty() {
        let count = expected.0.len();
        findings
            .push(Finding::ok("schema", format!("{count} objects are as migrations make them")));
    }
    let of_partitions = of_partitions(db, &applied.tables).await?;
    if of_partitions.is_empty() {
        let found = "valid, and on every partition that should have them";
        findings.push(Finding::ok("indexes", found));
    }
    findings.extend(of_partitions);
    findings.extend(unpopulated(db, &applied.tables).await?);
    let known = |relation: &String, name: &String| {
        expected.0.contains_key(&("index".to_owned(), relation.clone(), name.clone()))
    };
    let foreign = found.into_keys().filter(|[kind, relation, name]| {
        kind == "index" && applied.tables.contains(relation) && !known(relation, name)
    });
    Ok((findings, foreign.map(|[_, relation, name]| (relation, name)).collect()))
}

async fn read(db: &Connection) -> Result<BTreeMap<[String; 3], String>, DbError> {
    let sql = include_str!("../../../schema/query/verify/shape.sql");
    let rows = db.query_typed(sql, &[]).await.doing("reading the catalogue")?;
    let fields = |row: &tokio_postgres::Row| {
        Ok([row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?])
    };
    let rows = rows.iter().map(fields).collect::<Result<Vec<_>, DbError>>()?;
    Ok(shape_of(rows))
}

/// Which tables are hypertables.
async fn hypertables(db: &Connection, applied: &Applied) -> Result<Vec<String>, DbError> {
    if !applied.has("ledger", 4) {
        return Ok(Vec::new());
    }
    let sql = "SELECT t.name FROM unnest($1::text[]) t(name) \
               WHERE tidegate.is_hypertable(to_regclass(t.name))";
    let rows = ask(db, sql, &applied.tables).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// A hypertable stands for a partitioned table: what the catalogue says of it differs in two words.
fn as_partitioned(
    found: &mut BTreeMap<[String; 3], String>,
    expected: &Expected,
    hypertables: &[String],
) {
    for ([kind, relation, _], definition) in found.iter_mut() {
        if !hypertables.contains(relation) {
            continue;
        }
        match kind.as_str() {
            "relation" if definition == "table" => {
                let key = (kind.clone(), relation.clone(), String::new());
                if let Some(object) = expected.0.get(&key) {
                    definition.clone_from(&object.definition);
                }
            }
            "index" => *definition = definition.replacen(" ON ", " ON ONLY ", 1),
            _ => {}
        }
    }
}

async fn of_partitions(db: &Connection, tables: &[String]) -> Result<Vec<Finding>, DbError> {
    let sql = include_str!("../../../schema/query/verify/indexes.sql");
    let mut findings = Vec::new();
    for row in ask(db, sql, tables).await? {
        let (relation, index): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let (fault, definition): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
        let (found, change) = match fault {
            "missing" => (
                format!("index {index} is missing on {relation}"),
                format!(
                    "CREATE INDEX CONCURRENTLY on {relation} as in: {definition}; then ALTER \
                         INDEX {index} ATTACH PARTITION it"
                ),
            ),
            fault => (
                format!("index {index} of {relation} is {fault}"),
                format!(
                    "REINDEX INDEX CONCURRENTLY {index}; an index of a parent becomes valid \
                         with its last partition's"
                ),
            ),
        };
        let why = "queries cannot use it, and writes pay for it";
        findings.push(Finding::advise(Level::Fault, "index", found, change, why));
    }
    Ok(findings)
}

async fn unpopulated(db: &Connection, tables: &[String]) -> Result<Vec<Finding>, DbError> {
    let sql = "SELECT schemaname || '.' || matviewname FROM pg_catalog.pg_matviews \
               WHERE NOT ispopulated AND schemaname || '.' || matviewname = ANY ($1)";
    let rows = ask(db, sql, tables).await?;
    let finding = |row: &tokio_postgres::Row| {
        let name: &str = row.try_get(0)?;
        Ok(Finding::advise(
            Level::Advice,
            "materialized view",
            format!("{name} was never filled"),
            format!("tidegate refresh {name}"),
            "queries of it fail until then",
        ))
    };
    rows.iter().map(finding).collect()
}
