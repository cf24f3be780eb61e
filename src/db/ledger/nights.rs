//! What the ledger knows of files that come again night after night: whether another content was
//! loaded under a name, the newest time; and how each source of the nightly job stands.

use std::collections::BTreeSet;

use tokio_postgres::types::Type;

use crate::db::{Connection, DbError, Doing as _};

/// Whether retention dropped rows of a table (as `schema.table`): that it is empty is no loss then.
///
/// # Errors
/// The server's.
pub async fn retention_took(db: &Connection, table: &str) -> Result<bool, DbError> {
    let sql = "SELECT to_regclass('tidegate.dropped_range') IS NOT NULL";
    if !db.query_typed_one(sql, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(false);
    }
    let sql = "SELECT EXISTS (SELECT FROM tidegate.dropped_range WHERE target = $1 AND rows > 0)";
    Ok(db.query_typed_one(sql, &[(&table, Type::TEXT)]).await?.try_get(0)?)
}

/// Those of the names under which something was loaded, whole or as members.
///
/// # Errors
/// The server's.
pub async fn ever_loaded(db: &Connection, names: &[&str]) -> Result<BTreeSet<String>, DbError> {
    let sql = "SELECT n FROM unnest($1::text[]) AS n WHERE EXISTS ( \
                   SELECT FROM tidegate.load l WHERE l.source COLLATE \"C\" = n \
                       OR l.source COLLATE \"C\" > n || '!' \
                          AND l.source COLLATE \"C\" < n || '\"')";
    let rows = db.query_typed(sql, &[(&names, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Those of the loads before which other bytes were loaded from a file of the same name into the
/// same table.
///
/// # Errors
/// The server's.
pub async fn rewritten(db: &Connection, loads: &[i64]) -> Result<BTreeSet<i64>, DbError> {
    let sql = "SELECT m.id FROM tidegate.load m \
               JOIN tidegate.content mc ON mc.id = m.content_id \
               WHERE m.id = ANY($1) AND mc.hash <> (SELECT c.hash FROM tidegate.load l \
                   JOIN tidegate.content c ON c.id = l.content_id \
                   WHERE l.source COLLATE \"C\" = m.source AND l.id < m.id \
                       AND c.target = mc.target \
                       AND c.dataset = mc.dataset ORDER BY l.id DESC LIMIT 1)";
    let rows = db.query_typed(sql, &[(&loads, Type::INT8_ARRAY)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Those of the loads after which other bytes were loaded from a file of the same name into the
/// same table: what they loaded is no longer what is there.
///
/// # Errors
/// The server's.
pub async fn superseded(db: &Connection, loads: &[i64]) -> Result<BTreeSet<i64>, DbError> {
    let sql = "SELECT m.id FROM tidegate.load m \
               JOIN tidegate.content mc ON mc.id = m.content_id \
               WHERE m.id = ANY($1) AND mc.hash <> (SELECT c.hash FROM tidegate.load l \
                   JOIN tidegate.content c ON c.id = l.content_id \
                   WHERE l.source COLLATE \"C\" = m.source AND c.target = mc.target \
                       AND c.dataset = mc.dataset ORDER BY l.id DESC LIMIT 1)";
    let rows = db.query_typed(sql, &[(&loads, Type::INT8_ARRAY)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The newest time of the rows of some loads, in microseconds from 1970, where that is known.
///
/// # Errors
/// The server's.
pub async fn newest(db: &Connection, loads: &[i64]) -> Result<Option<i64>, DbError> {
    let sql = "SELECT (extract(epoch FROM max(p.to_ts)) * 1000000)::int8 FROM tidegate.portion p \
               WHERE p.set_id IN (SELECT set_id FROM tidegate.load WHERE id = ANY($1))";
    Ok(db.query_typed_one(sql, &[(&loads, Type::INT8_ARRAY)]).await?.try_get(0)?)
}

/// How a source of the nightly job ended.
#[derive(Debug, Clone, Copy)]
pub struct SourceEnd {
    /// The run.
    pub run_id: i64,
    /// Its exit code.
    pub exit_code: u8,
    /// Whether that is a success.
    pub succeeded: bool,
    /// The newest time that this run met, in microseconds from 1970.
    pub newest_us: Option<i64>,
}

/// Keeps how a source ended; says when it last succeeded and the newest time it ever gave, both in
/// microseconds from 1970.
///
/// # Errors
/// The server's.
pub async fn end_source(
    db: &Connection,
    name: &str,
    end: SourceEnd,
) -> Result<(Option<i64>, Option<i64>), DbError> {
    let row = db
        .query_typed_one(
            "INSERT INTO tidegate.nightly_source AS s (name, run_id, exit_code, last_success_at, \
                 newest_at) \
             VALUES ($1, $2, $3, CASE WHEN $4 THEN clock_timestamp() END, \
                 'epoch'::timestamptz + $5 * interval '1 microsecond') \
             ON CONFLICT (name) DO UPDATE SET run_id = excluded.run_id, \
                 exit_code = excluded.exit_code, ended_at = clock_timestamp(), \
                 last_success_at = coalesce(excluded.last_success_at, s.last_success_at), \
                 newest_at = greatest(excluded.newest_at, s.newest_at) \
             RETURNING (extract(epoch FROM last_success_at) * 1000000)::int8, \
                 (extract(epoch FROM newest_at) * 1000000)::int8",
            &[
                (&name, Type::TEXT),
                (&end.run_id, Type::INT8),
                (&i32::from(end.exit_code), Type::INT4),
                (&end.succeeded, Type::BOOL),
                (&end.newest_us, Type::INT8),
            ],
        )
        .await
        .doing("keeping how a source ended")?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}
