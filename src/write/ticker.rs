//! Tickers: symbols become integer ids, and unknown ones are added. In a short transaction of its
//! own, for ids taken inside a batch's transaction would make every other writer wait for it.

use std::collections::HashMap;

use tokio_postgres::types::Type;

use super::WriteError;
use crate::db::Connection;

/// The ids of `symbols` at `venue`, adding those that are unknown. Ids are never reused; a ticker
/// whose load then fails does no harm.
///
/// # Errors
/// The server's.
pub async fn resolve_tickers(
    db: &Connection,
    venue: &str,
    symbols: &[String],
) -> Result<HashMap<String, i32>, WriteError> {
    let mut ids = select(db, venue, symbols).await?;
    let mut missing: Vec<&str> =
        symbols.iter().map(String::as_str).filter(|symbol| !ids.contains_key(*symbol)).collect();
    if missing.is_empty() {
        return Ok(ids);
    }
    // Sorted, so that two processes that add the same tickers never wait for each other in a ring.
    missing.sort_unstable();
    missing.dedup();
    db.batch_execute(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on",
    )
    .await?;
    db.execute_typed(
        "INSERT INTO public.tickers (symbol, venue) SELECT s, $2 FROM unnest($1::text[]) s \
         ON CONFLICT (symbol, venue) DO NOTHING",
        &[(&missing, Type::TEXT_ARRAY), (&venue, Type::TEXT)],
    )
    .await?;
    db.batch_execute("COMMIT").await?;
    ids.extend(select(db, venue, symbols).await?);
    Ok(ids)
}

async fn select(
    db: &Connection,
    venue: &str,
    symbols: &[String],
) -> Result<HashMap<String, i32>, WriteError> {
    let rows = db
        .query_typed(
            "SELECT symbol, id FROM public.tickers WHERE symbol = ANY($1) AND venue = $2",
            &[(&symbols, Type::TEXT_ARRAY), (&venue, Type::TEXT)],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
