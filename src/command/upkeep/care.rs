//! Statistics, dead rows and grown indexes of the tables that Tidegate fills.

use std::time::Instant;

use tokio_postgres::types::Type;

use crate::column::quote_identifier;
use crate::db::{Connection, DbError, Doing as _};

use super::super::{CommandError, verify};
use super::{Age, Did, Log, Server, UpkeepPlan};

/// Tables with their partitions or chunks: root, name as SQL, whether it has parts of its own, rows
/// that changed since its statistics were made, and whether the root's are old: a tenth of its rows
/// was loaded since, or there are none. Autovacuum never makes those of a partitioned table.
const LEAVES: &str = include_str!("../../../schema/query/upkeep/tables.sql");

/// A run that begins a little earlier in its night than the one before still counts as due.
const DUE: &str = "\
SELECT u.done_at + $3::text::interval - interval '12 hours' <= now()
FROM tidegate.upkeep u WHERE u.action = $1 AND u.target = $2";

const DONE: &str = "\
INSERT INTO tidegate.upkeep (action, target) VALUES ($1, $2)
ON CONFLICT (action, target) DO UPDATE SET done_at = clock_timestamp()";

/// What a REINDEX leaves that was cut short.
const LEFT_OVER: &str = "\
SELECT n.nspname::text, x.relname::text
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
WHERE i.indrelid = to_regclass($1) AND NOT i.indisvalid AND x.relname ~ '_cc(new|old)[0-9]*$'";

/// A table, or a part of one.
struct Leaf {
    root: String,
    name: String,
    has_parts: bool,
    changed: bool,
    root_is_old: bool,
}

pub(super) async fn run(server: &mut Server, plan: &UpkeepPlan, log: &mut Log) {
    if !plan.analyze && plan.vacuum.is_none() && plan.reindex.is_none() {
        return;
    }
    let began = Instant::now();
    let leaves = match async { leaves(server.ready().await?).await }.await {
        Ok(leaves) => leaves,
        Err(error) => return log.push("analyze", "all tables", began, Err(error)),
    };
    for of_root in leaves.chunk_by(|a, b| a.root == b.root) {
        let root = &of_root[0].root;
        let began = Instant::now();
        // VACUUM (ANALYZE) makes the statistics as well.
        let vacuumed = match plan.vacuum {
            Some(every) => {
                let done = vacuum(server, of_root, every).await;
                let vacuumed = matches!(&done, Ok(Some(_)));
                push(log, "vacuum", root, began, done);
                vacuumed
            }
            None => false,
        };
        if plan.analyze && !vacuumed {
            let began = Instant::now();
            let done = analyze(server, of_root).await;
            push(log, "analyze", root, began, done);
        }
        if let Some(every) = plan.reindex {
            let began = Instant::now();
            let done = reindex(server, of_root, every).await;
            push(log, "reindex", root, began, done);
        }
    }
}

/// Only what was done, or failed: a list of tables that need nothing helps nobody.
fn push(
    log: &mut Log,
    kind: &'static str,
    root: &str,
    began: Instant,
    done: Result<Option<Did>, CommandError>,
) {
    if let Some(done) = done.transpose() {
        log.push(kind, root, began, done);
    }
}

async fn leaves(db: &Connection) -> Result<Vec<Leaf>, CommandError> {
    let tables = verify::tables(db).await?;
    let rows = db
        .query_typed(LEAVES, &[(&tables, Type::TEXT_ARRAY)])
        .await
        .doing("asking which tables changed")?;
    let leaf = |row: &tokio_postgres::Row| {
        Ok(Leaf {
            root: row.try_get(0)?,
            name: row.try_get(1)?,
            has_parts: row.try_get(2)?,
            changed: row.try_get(3)?,
            root_is_old: row.try_get(4)?,
        })
    };
    rows.iter().map(leaf).collect()
}

async fn analyze(server: &mut Server, leaves: &[Leaf]) -> Result<Option<Did>, CommandError> {
    let is_root = |leaf: &&Leaf| leaf.has_parts && leaf.root_is_old;
    // The statistics of a table with parts come with those of its parts.
    let names: Vec<&str> = match leaves.iter().find(is_root) {
        Some(root) => vec![&root.name],
        None => {
            let changed = leaves.iter().filter(|leaf| leaf.changed && !leaf.has_parts);
            changed.map(|leaf| leaf.name.as_str()).collect()
        }
    };
    for name in &names {
        let done = server.ready().await?.batch_execute(&format!("ANALYZE {name}")).await;
        done.doing(format!("making statistics of {name}"))?;
    }
    let parts = names.len() as u64;
    Ok((parts > 0).then_some(Did { parts, ..Did::default() }))
}

async fn vacuum(
    server: &mut Server,
    leaves: &[Leaf],
    every: Age,
) -> Result<Option<Did>, CommandError> {
    let root = &leaves[0];
    let db = server.ready().await?;
    if is_due(db, "vacuum", &root.root, every).await? == Some(false) {
        return Ok(None);
    }
    let done = db.batch_execute(&format!("VACUUM (ANALYZE) {}", root.name)).await;
    done.doing(format!("vacuuming {}", root.root))?;
    mark_done(db, "vacuum", &root.root).await?;
    let parts = leaves.iter().filter(|leaf| !leaf.has_parts).count() as u64;
    Ok(Some(Did { parts, more: true, ..Did::default() }))
}

async fn reindex(
    server: &mut Server,
    leaves: &[Leaf],
    every: Age,
) -> Result<Option<Did>, CommandError> {
    let root = &leaves[0].root;
    let db = server.ready().await?;
    match is_due(db, "reindex", root, every).await? {
        // New indexes need nothing: the time counts from the first run.
        None => {
            mark_done(db, "reindex", root).await?;
            return Ok(None);
        }
        Some(false) => return Ok(None),
        Some(true) => {}
    }
    let mut parts = 0;
    for leaf in leaves.iter().filter(|leaf| !leaf.has_parts) {
        // Where it was cut short, those that were done are not done again.
        if is_due(db, "reindex part", &leaf.name, every).await? == Some(false) {
            continue;
        }
        drop_left_over(db, &leaf.name).await?;
        let sql = format!("REINDEX TABLE CONCURRENTLY {}", leaf.name);
        db.batch_execute(&sql)
            .await
            .doing(format!("building the indexes of {} anew", leaf.name))?;
        mark_done(db, "reindex part", &leaf.name).await?;
        parts += 1;
    }
    mark_done(db, "reindex", root).await?;
    let sql = "DELETE FROM tidegate.upkeep WHERE action = 'reindex part' AND target = ANY ($1)";
    let names: Vec<&str> = leaves.iter().map(|leaf| leaf.name.as_str()).collect();
    db.execute_typed(sql, &[(&names, Type::TEXT_ARRAY)]).await?;
    Ok(Some(Did { parts, more: true, ..Did::default() }))
}

async fn drop_left_over(db: &Connection, table: &str) -> Result<(), DbError> {
    for row in db.query_typed(LEFT_OVER, &[(&table, Type::TEXT)]).await? {
        let (schema, name): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let sql = format!(
            "DROP INDEX CONCURRENTLY IF EXISTS {}.{}",
            quote_identifier(schema),
            quote_identifier(name)
        );
        db.batch_execute(&sql).await.doing(format!("dropping index {name}"))?;
    }
    Ok(())
}

/// Whether it is time again; `None`: it was never done.
async fn is_due(
    db: &Connection,
    action: &str,
    target: &str,
    every: Age,
) -> Result<Option<bool>, DbError> {
    let row = db
        .query_typed_opt(
            DUE,
            &[(&action, Type::TEXT), (&target, Type::TEXT), (&every.sql(), Type::TEXT)],
        )
        .await
        .doing(format!("asking when {action} was done"))?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

async fn mark_done(db: &Connection, action: &str, target: &str) -> Result<(), DbError> {
    db.execute_typed(DONE, &[(&action, Type::TEXT), (&target, Type::TEXT)])
        .await
        .doing(format!("recording {action}"))?;
    Ok(())
}
