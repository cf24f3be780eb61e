//! Files that need not be read to know that they are loaded, and what the ledger knows of a
//! source's files: whether another content was loaded under a name, and the newest time.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::{ToSql, Type};

use super::int;
use crate::db::{Connection, DbError, Doing as _};

/// A file or object as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Its path or URL.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its times, or its tag.
    pub version: String,
}

/// Those of the sights that are as they were when they were loaded, and whose loads the ledger
/// still has as complete, in tables that are there and not empty: their loads by path.
///
/// # Errors
/// The server's.
pub async fn unchanged(
    db: &Connection,
    scope: &str,
    sights: &[Sight],
) -> Result<BTreeMap<String, Vec<i64>>, DbError> {
    let paths: Vec<&str> = sights.iter().map(|sight| sight.path.as_str()).collect();
    let bytes: Vec<i64> = sights.iter().map(|sight| int(sight.bytes)).collect();
    let versions: Vec<&str> = sights.iter().map(|sight| sight.version.as_str()).collect();
    let rows = db
        .query_typed(
            include_str!("unchanged.sql"),
            &[
                (&scope, Type::TEXT),
                (&paths, Type::TEXT_ARRAY),
                (&bytes, Type::INT8_ARRAY),
                (&versions, Type::TEXT_ARRAY),
            ],
        )
        .await
        .doing("asking which files are unchanged")?;
    let mut known = Vec::new();
    for row in rows {
        let (path, loads): (String, Vec<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let tables: Vec<String> = row.try_get(2)?;
        known.push((path, loads, tables));
    }
    // A table that was emptied behind our back is for the planner to notice.
    let tables: BTreeSet<&String> = known.iter().flat_map(|(_, _, tables)| tables).collect();
    let mut empty = BTreeSet::new();
    for table in tables {
        let sql = format!("SELECT NOT EXISTS (SELECT FROM {table})");
        let is_empty: bool = db.query_typed_one(&sql, &[]).await?.try_get(0)?;
        if is_empty && !retention_took(db, table).await? {
            empty.insert(table.clone());
        }
    }
    let stands = |tables: &[String]| tables.iter().all(|table| !empty.contains(table));
    let known = known.into_iter().filter(|(_, _, tables)| stands(tables));
    Ok(known.map(|(path, loads, _)| (path, loads)).collect())
}

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

/// Those of the paths that were loaded under this scope, in whatever version, with the loads of
/// the last one.
///
/// # Errors
/// The server's.
pub async fn ever_seen(
    db: &Connection,
    scope: &str,
    paths: &[&str],
) -> Result<BTreeMap<String, Vec<i64>>, DbError> {
    let sql = "SELECT path, loads FROM tidegate.seen WHERE scope = $1 AND path = ANY($2)";
    let rows = db.query_typed(sql, &[(&scope, Type::TEXT), (&paths, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Keeps that what was found is loaded.
///
/// # Errors
/// The server's.
pub async fn remember(
    db: &Connection,
    scope: &str,
    sight: &Sight,
    loads: &[i64],
) -> Result<(), DbError> {
    db.execute_typed(
        "INSERT INTO tidegate.seen (scope, path, bytes, version, loads) \
         VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (scope, path) DO UPDATE SET bytes = excluded.bytes, \
             version = excluded.version, loads = excluded.loads, seen_at = clock_timestamp()",
        &[
            (&scope, Type::TEXT),
            (&sight.path, Type::TEXT),
            (&int(sight.bytes), Type::INT8),
            (&sight.version, Type::TEXT),
            (&loads, Type::INT8_ARRAY),
        ],
    )
    .await
    .doing("keeping which files are loaded")?;
    Ok(())
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
                   WHERE l.source = m.source AND l.id < m.id AND c.target = mc.target \
                       AND c.dataset = mc.dataset ORDER BY l.id DESC LIMIT 1)";
    let rows = db.query_typed(sql, &[(&loads, Type::INT8_ARRAY)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Whether any of the loads is of a content of which none of the others is.
///
/// # Errors
/// The server's.
pub async fn differ(db: &Connection, loads: &[i64], others: &[i64]) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (SELECT content_id FROM tidegate.load WHERE id = ANY($1) \
                   EXCEPT SELECT content_id FROM tidegate.load WHERE id = ANY($2))";
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&loads, Type::INT8_ARRAY), (&others, Type::INT8_ARRAY)];
    Ok(db.query_typed_one(sql, &parameters).await?.try_get(0)?)
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

/// When the newest run of a command ended well (0 or 3), in microseconds from 1970.
///
/// # Errors
/// The server's.
pub async fn last_success(db: &Connection, command: &str) -> Result<Option<i64>, DbError> {
    let sql = "SELECT (extract(epoch FROM max(finished_at)) * 1000000)::int8 \
               FROM tidegate.run WHERE command = $1 AND exit_code IN (0, 3)";
    Ok(db.query_typed_one(sql, &[(&command, Type::TEXT)]).await?.try_get(0)?)
}
