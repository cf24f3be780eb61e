//! Accounts: proving and sealing a load, and what a run did, from ledger rows alone.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{count, counts, int};
use crate::count::{Counts, TableCounts};
use crate::db::{Connection, DbError};

/// What sealing a load found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    /// Complete and proved; now, or before.
    Sealed,
    /// Some spans have no portion yet: another pass is needed.
    Incomplete,
    /// The accounts do not add up: what is wrong, for a person.
    Broken(String),
}

/// Proves a load from ledger rows alone and seals it: its portions tile the source with no gap and
/// no overlap, every record has one fate, and as many rejects are recorded as were counted.
///
/// # Errors
/// The server's.
pub async fn seal(db: &Connection, load_id: i64) -> Result<Seal, DbError> {
    let scattered = db
        .query_typed_one(
            "SELECT s.strategy = 'scatter' FROM tidegate.load l \
             JOIN tidegate.load_set s ON s.id = l.set_id WHERE l.id = $1",
            &[(&load_id, Type::INT8)],
        )
        .await?;
    let sql = match scattered.get(0) {
        true => include_str!("seal_scattered.sql"),
        false => include_str!("seal.sql"),
    };
    let row = db.query_typed_one(sql, &[(&load_id, Type::INT8)]).await?;
    if row.get("sealed") {
        return Ok(Seal::Sealed);
    }
    let totals = counts(&row);
    let (covered, span_end) = (count(&row, "covered"), count(&row, "span_end"));
    if row.get("overlaps") || covered > span_end {
        return Ok(Seal::Broken(format!("load {load_id}: spans of its portions overlap")));
    }
    if row.get("gaps") || covered < span_end {
        return Ok(Seal::Incomplete);
    }
    if row.get("rows_torn") {
        return Ok(Seal::Broken(format!(
            "load {load_id}: row numbers of its portions do not join"
        )));
    }
    if !totals.add_up() || row.get("unbalanced") {
        return Ok(Seal::Broken(format!(
            "load {load_id}: read {} is not inserted {} + updated {} + duplicate {} + rejected {} \
             + skipped {}",
            totals.read,
            totals.inserted,
            totals.updated,
            totals.duplicate,
            totals.rejected,
            totals.skipped
        )));
    }
    let recorded = count(&row, "rejects_recorded");
    if recorded != totals.rejected {
        return Ok(Seal::Broken(format!(
            "load {load_id}: {} records were rejected but {recorded} rejects are recorded",
            totals.rejected
        )));
    }
    db.batch_execute("BEGIN; SET LOCAL synchronous_commit = on").await?;
    db.execute_typed(
        "UPDATE tidegate.load SET sealed_at = clock_timestamp(), read = $2, inserted = $3, \
             updated = $4, duplicate = $5, conflicting = $6, rejected = $7, skipped = $8 \
         WHERE id = $1 AND sealed_at IS NULL",
        &[
            (&load_id, Type::INT8),
            (&int(totals.read), Type::INT8),
            (&int(totals.inserted), Type::INT8),
            (&int(totals.updated), Type::INT8),
            (&int(totals.duplicate), Type::INT8),
            (&int(totals.conflicting), Type::INT8),
            (&int(totals.rejected), Type::INT8),
            (&int(totals.skipped), Type::INT8),
        ],
    )
    .await?;
    db.batch_execute("COMMIT").await?;
    Ok(Seal::Sealed)
}

/// What a run did to one load, from the portions that it committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunLoad {
    /// Records by fate.
    pub counts: Counts,
    /// Whether the load is sealed now.
    pub sealed: bool,
}

/// What a run did, load by load, from ledger rows alone.
///
/// # Errors
/// The server's.
pub async fn run_loads(db: &Connection, run_id: i64) -> Result<BTreeMap<i64, RunLoad>, DbError> {
    let rows = db
        .query_typed(
            "SELECT l.id, l.sealed_at IS NOT NULL AS sealed, \
                 sum(p.read[l.set_ordinal])::bigint AS read, \
                 sum(p.inserted[l.set_ordinal])::bigint AS inserted, \
                 sum(p.updated[l.set_ordinal])::bigint AS updated, \
                 sum(p.duplicate[l.set_ordinal])::bigint AS duplicate, \
                 sum(p.conflicting[l.set_ordinal])::bigint AS conflicting, \
                 sum(p.rejected[l.set_ordinal])::bigint AS rejected, \
                 sum(p.skipped[l.set_ordinal])::bigint AS skipped \
             FROM tidegate.portion p JOIN tidegate.load l ON l.set_id = p.set_id \
             WHERE p.run_id = $1 GROUP BY l.id, l.sealed_at",
            &[(&run_id, Type::INT8)],
        )
        .await?;
    let entry = |row: &Row| {
        (row.get::<_, i64>("id"), RunLoad { counts: counts(row), sealed: row.get("sealed") })
    };
    Ok(rows.iter().map(entry).collect())
}

/// Rows that a run changed, table by table.
///
/// # Errors
/// The server's.
pub async fn run_tables(
    db: &Connection,
    run_id: i64,
) -> Result<BTreeMap<String, TableCounts>, DbError> {
    let rows = db
        .query_typed(
            "SELECT t.key AS name, sum((t.value->>'inserted')::bigint)::bigint AS inserted, \
                 sum((t.value->>'updated')::bigint)::bigint AS updated, \
                 sum((t.value->>'deleted')::bigint)::bigint AS deleted \
             FROM tidegate.portion p, jsonb_each(p.tables) t WHERE p.run_id = $1 GROUP BY t.key",
            &[(&run_id, Type::INT8)],
        )
        .await?;
    let entry = |row: &Row| {
        let counts = TableCounts {
            inserted: count(row, "inserted"),
            updated: count(row, "updated"),
            deleted: count(row, "deleted"),
        };
        (row.get("name"), counts)
    };
    Ok(rows.iter().map(entry).collect())
}
