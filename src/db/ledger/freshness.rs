//! What was written since a derived table was made fresh, and the mark that says until when it is.
//! Exact by the server's own snapshots, whatever its clock does.

use tokio_postgres::types::Type;

use crate::db::{Connection, DbError, Doing as _};

/// What was written since a refresh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// What was visible when this was asked: to be kept as the mark of the next refresh.
    pub seen: String,
    /// Everything counts as written.
    pub full: bool,
    /// Whether anything was written at all.
    pub any: bool,
    /// Ranges of time, half-open, as the server writes them.
    pub ranges: Vec<(String, String)>,
}

/// What was written to `tables` (as `schema.table`) since `name` was refreshed.
///
/// # Errors
/// The server's.
pub async fn written_since(
    db: &Connection,
    name: &str,
    tables: &[&str],
) -> Result<Written, DbError> {
    let rows = db
        .query_typed(
            include_str!("touched.sql"),
            &[(&name, Type::TEXT), (&tables, Type::TEXT_ARRAY)],
        )
        .await
        .doing(format!("asking what was written since {name} was refreshed"))?;
    let mut written = Written::default();
    for row in rows {
        written.seen = row.try_get(0)?;
        written.full = row.try_get(1)?;
        written.any = row.try_get(2)?;
        if let (Some(from), Some(to)) = (row.try_get(3)?, row.try_get(4)?) {
            written.ranges.push((from, to));
        }
    }
    Ok(written)
}

/// The state that was kept with the mark of `name`.
///
/// # Errors
/// The server's.
pub async fn kept_state(db: &Connection, name: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT state FROM tidegate.refresh WHERE name = $1";
    let row = db.query_typed_opt(sql, &[(&name, Type::TEXT)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
}

/// Marks `name` as fresh with everything that `seen` saw, in the transaction that made it so.
///
/// # Errors
/// The server's.
pub async fn mark_fresh(
    db: &Connection,
    name: &str,
    seen: &str,
    state: Option<&str>,
) -> Result<(), DbError> {
    db.execute_typed(
        "INSERT INTO tidegate.refresh (name, seen, state) VALUES ($1, $2::text::pg_snapshot, $3) \
         ON CONFLICT (name) DO UPDATE SET seen = excluded.seen, state = excluded.state, \
             refreshed_at = clock_timestamp()",
        &[(&name, Type::TEXT), (&seen, Type::TEXT), (&state, Type::TEXT)],
    )
    .await
    .doing(format!("marking {name} as fresh"))?;
    Ok(())
}
