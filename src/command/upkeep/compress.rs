//! Compression of older chunks, which TimescaleDB's Community edition has and no other.

use tokio_postgres::types::Type;

use crate::column::{PgType, TargetTable, quote_identifier};
use crate::db::{Doing as _, Edition, timescale};

use super::super::CommandError;
use super::{Compress, Did, Server};

const COMPRESS: &str = "SELECT compress_chunk($1::text::regclass, true)::text";
const SIZE: &str = "SELECT pg_catalog.pg_total_relation_size($1::text::regclass)";

/// Compresses the chunks of a table that are old enough, one transaction each.
pub(super) async fn run(server: &mut Server, compress: &Compress) -> Result<Did, CommandError> {
    let table = server.table(&compress.table).await?;
    let db = server.ready().await?;
    match timescale::edition(db).await? {
        Some(Edition::Community) => {}
        Some(Edition::Apache) => {
            return Ok(Did::skipped("the Apache edition of TimescaleDB has no compression"));
        }
        None => return Ok(Did::skipped("PostgreSQL alone has no compression of older partitions")),
    }
    if !timescale::is_hypertable(db, &table).await? {
        return Ok(Did::skipped(format!("{} is no hypertable", table.display_name())));
    }
    let (segment_by, order_by) = how(&table);
    let after = compress.after.sql();
    let chunks = timescale::chunks_to_compress(db, &table, &segment_by, &order_by, &after).await?;
    let mut did = Did::default();
    for chunk in chunks {
        let before: i64 = db.query_typed_one(SIZE, &[(&chunk, Type::TEXT)]).await?.try_get(0)?;
        let doing = || format!("compressing {chunk}");
        db.query_typed(COMPRESS, &[(&chunk, Type::TEXT)]).await.doing(doing())?;
        let after: i64 = db.query_typed_one(SIZE, &[(&chunk, Type::TEXT)]).await?.try_get(0)?;
        did.parts += 1;
        did.bytes += before.saturating_sub(after).unsigned_abs();
    }
    Ok(did)
}

/// By the key: rows that differ in nothing but their time, and what follows it, in their order.
fn how(table: &TargetTable) -> (String, String) {
    let is_time = |name: &&String| {
        let of = table.column(name).and_then(|column| column.pg_type);
        matches!(of, Some(PgType::Timestamptz | PgType::Timestamp))
    };
    let time = table.key.iter().position(|name| is_time(&name));
    let (before, after) = table.key.split_at(time.unwrap_or(table.key.len()));
    let list = |names: &[String]| {
        names.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", ")
    };
    (list(before), list(after))
}
