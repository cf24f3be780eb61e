//! Portions: which are committed, and claiming one in the transaction that writes its rows.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{DonePortion, Portion, PortionKey, count, int};
use crate::count::{Counts, TableCounts};
use crate::db::{Connection, DbError};

pub(super) fn tables_json(tables: &BTreeMap<String, TableCounts>) -> serde_json::Value {
    let entry = |(name, counts): (&String, &TableCounts)| {
        let value = serde_json::json!({
            "inserted": counts.inserted, "updated": counts.updated, "deleted": counts.deleted
        });
        (name.clone(), value)
    };
    serde_json::Value::Object(tables.iter().map(entry).collect())
}

/// Counts as the ledger stores them: arrays over the loads of a set.
#[derive(Default)]
pub(super) struct Arrays {
    pub read: Vec<i64>,
    pub inserted: Vec<i64>,
    pub updated: Vec<i64>,
    pub duplicate: Vec<i64>,
    pub conflicting: Vec<i64>,
    pub rejected: Vec<i64>,
    pub skipped: Vec<i64>,
}

pub(super) fn arrays(counts: &[Counts]) -> Arrays {
    let mut arrays = Arrays::default();
    for counts in counts {
        arrays.read.push(int(counts.read));
        arrays.inserted.push(int(counts.inserted));
        arrays.updated.push(int(counts.updated));
        arrays.duplicate.push(int(counts.duplicate));
        arrays.conflicting.push(int(counts.conflicting));
        arrays.rejected.push(int(counts.rejected));
        arrays.skipped.push(int(counts.skipped));
    }
    arrays
}

/// The committed portions of a set on route `*`, by window.
///
/// # Errors
/// The server's.
pub async fn done_portions(
    db: &Connection,
    set_id: i64,
) -> Result<BTreeMap<u32, DonePortion>, DbError> {
    let rows = db
        .query_typed(
            "SELECT window_no, span_end, first_row + read[1] AS next_row, \
                    first_line + lines AS next_line \
             FROM tidegate.portion WHERE set_id = $1 AND route = '*'",
            &[(&set_id, Type::INT8)],
        )
        .await?;
    let portion = |row: &Row| {
        let done = DonePortion {
            span_end: count(row, "span_end"),
            next_row: count(row, "next_row"),
            next_line: count(row, "next_line"),
        };
        (row.get::<_, i32>("window_no").max(0) as u32, done)
    };
    Ok(rows.iter().map(portion).collect())
}

/// Opens a batch's transaction and tries to lock its portion. `false`: another process has it now;
/// the transaction is closed again.
///
/// # Errors
/// The server's.
pub async fn begin_portion(
    db: &Connection,
    key: &PortionKey,
    lock_timeout_ms: u64,
) -> Result<bool, DbError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"portion");
    hasher.update(&key.set_id.to_le_bytes());
    hasher.update(&key.window.to_le_bytes());
    hasher.update(key.route.as_bytes());
    let mut lock = [0; 8];
    lock.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    let lock = i64::from_le_bytes(lock);
    let sql = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
         SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = {lock_timeout_ms}; \
         SELECT pg_try_advisory_xact_lock({lock})::text"
    );
    let messages = db.simple_query(&sql).await?;
    let locked = messages.iter().any(|message| {
        matches!(message, tokio_postgres::SimpleQueryMessage::Row(row)
            if row.get(0) == Some("true"))
    });
    if !locked {
        db.batch_execute("ROLLBACK").await?;
    }
    Ok(locked)
}

/// Claims a portion: writes its row with the counts that are expected. `false`: it was committed
/// before.
///
/// # Errors
/// The server's.
pub async fn claim(db: &Connection, portion: &Portion) -> Result<bool, DbError> {
    let c = arrays(&portion.counts);
    let inserted = db
        .execute_typed(
            "INSERT INTO tidegate.portion (set_id, route, window_no, run_id, span_start, \
                 span_end, first_row, first_line, lines, read, inserted, updated, duplicate, \
                 conflicting, rejected, skipped, tables, from_ts, to_ts) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
                 'epoch'::timestamptz + $18 * interval '1 microsecond', \
                 'epoch'::timestamptz + $19 * interval '1 microsecond') \
             ON CONFLICT (set_id, route, window_no) DO NOTHING",
            &[
                (&portion.key.set_id, Type::INT8),
                (&portion.key.route, Type::TEXT),
                (&i32::try_from(portion.key.window).unwrap_or(i32::MAX), Type::INT4),
                (&portion.run_id, Type::INT8),
                (&int(portion.span.start), Type::INT8),
                (&int(portion.span.end), Type::INT8),
                (&int(portion.span.first_row), Type::INT8),
                (&int(portion.span.first_line), Type::INT8),
                (&int(portion.span.lines), Type::INT8),
                (&c.read, Type::INT8_ARRAY),
                (&c.inserted, Type::INT8_ARRAY),
                (&c.updated, Type::INT8_ARRAY),
                (&c.duplicate, Type::INT8_ARRAY),
                (&c.conflicting, Type::INT8_ARRAY),
                (&c.rejected, Type::INT8_ARRAY),
                (&c.skipped, Type::INT8_ARRAY),
                (&tables_json(&portion.tables), Type::JSONB),
                (&portion.touched.map(|(from, _)| from), Type::INT8),
                (&portion.touched.map(|(_, to)| to), Type::INT8),
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Records that rows of a table were written by other means than a portion, in the transaction that
/// writes them. `touched`: as in [`Portion`].
///
/// # Errors
/// The server's.
pub async fn touch(
    db: &Connection,
    table: &str,
    touched: Option<(i64, i64)>,
) -> Result<(), DbError> {
    db.execute_typed(
        "INSERT INTO tidegate.touched (target, from_ts, to_ts) \
         VALUES ($1, 'epoch'::timestamptz + $2 * interval '1 microsecond', \
             'epoch'::timestamptz + $3 * interval '1 microsecond')",
        &[
            (&table, Type::TEXT),
            (&touched.map(|(from, _)| from), Type::INT8),
            (&touched.map(|(_, to)| to), Type::INT8),
        ],
    )
    .await?;
    Ok(())
}

/// Records the rows that a replay of mended records changed, in the transaction that changes them:
/// a portion in a set without a load, so that what is in the tables stays the sum of all portions.
///
/// # Errors
/// The server's.
pub async fn record_replay(
    db: &Connection,
    run_id: i64,
    tables: &BTreeMap<String, TableCounts>,
    touched: Option<(i64, i64)>,
) -> Result<(), DbError> {
    db.execute_typed(
        "WITH s AS (INSERT INTO tidegate.load_set (strategy, cut_rule) \
             VALUES ('replay', 'replay') RETURNING id) \
         INSERT INTO tidegate.portion (set_id, route, window_no, run_id, span_start, span_end, \
             first_row, first_line, lines, read, inserted, updated, duplicate, conflicting, \
             rejected, skipped, tables, from_ts, to_ts) \
         SELECT s.id, '*', 0, $1, 0, 0, 0, 0, 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', $2, \
             'epoch'::timestamptz + $3 * interval '1 microsecond', \
             'epoch'::timestamptz + $4 * interval '1 microsecond' FROM s",
        &[
            (&run_id, Type::INT8),
            (&tables_json(tables), Type::JSONB),
            (&touched.map(|(from, _)| from), Type::INT8),
            (&touched.map(|(_, to)| to), Type::INT8),
        ],
    )
    .await?;
    Ok(())
}

/// Replaces the counts of a portion that this transaction claimed, where they turned out otherwise.
///
/// # Errors
/// The server's.
pub async fn record(db: &Connection, portion: &Portion) -> Result<(), DbError> {
    let c = arrays(&portion.counts);
    db.execute_typed(
        "UPDATE tidegate.portion SET inserted = $4, updated = $5, duplicate = $6, \
             conflicting = $7, rejected = $8, tables = $9, \
             from_ts = 'epoch'::timestamptz + $10 * interval '1 microsecond', \
             to_ts = 'epoch'::timestamptz + $11 * interval '1 microsecond' \
         WHERE set_id = $1 AND route = $2 AND window_no = $3",
        &[
            (&portion.key.set_id, Type::INT8),
            (&portion.key.route, Type::TEXT),
            (&i32::try_from(portion.key.window).unwrap_or(i32::MAX), Type::INT4),
            (&c.inserted, Type::INT8_ARRAY),
            (&c.updated, Type::INT8_ARRAY),
            (&c.duplicate, Type::INT8_ARRAY),
            (&c.conflicting, Type::INT8_ARRAY),
            (&c.rejected, Type::INT8_ARRAY),
            (&tables_json(&portion.tables), Type::JSONB),
            (&portion.touched.map(|(from, _)| from), Type::INT8),
            (&portion.touched.map(|(_, to)| to), Type::INT8),
        ],
    )
    .await?;
    Ok(())
}
