//! How the database is doing, in numbers that metrics hold.

use tokio_postgres::types::Type;

use crate::db::{Connection, DbError, Doing as _};

use super::super::verify;
use super::{Figures, QUERY_MS_MAX, Server, UpkeepPlan};

const CACHE: &str = include_str!("../../../schema/query/verify/cache.sql");
const PARTITIONS: &str = include_str!("../../../schema/query/verify/partitions.sql");
/// Scans of tables with so many rows that reading them as a whole is a mistake.
const SCANS: &str = include_str!("../../../schema/query/upkeep/scans.sql");
const SLOW: &str = include_str!("../../../schema/query/upkeep/slow.sql");

pub(super) async fn read(server: &mut Server, plan: &UpkeepPlan) -> Result<Figures, DbError> {
    let mut named = Vec::new();
    for ahead in &plan.partitions_ahead {
        if let Ok(table) = server.table(&ahead.table).await {
            named.push(table.display_name());
        }
    }
    let db = server.ready().await?;
    let row = db.query_typed_one(CACHE, &[]).await.doing("asking how much is found in memory")?;
    let (connections, most): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
    let (has_statements, loads_statements): (bool, bool) = (row.try_get(4)?, row.try_get(5)?);
    let mut figures = Figures {
        table_cache_hit: row.try_get(0)?,
        index_cache_hit: row.try_get(1)?,
        connections: connections.unsigned_abs(),
        connections_max: most.unsigned_abs(),
        ..Figures::default()
    };
    let row = db.query_typed_one(SCANS, &[]).await.doing("asking how tables are searched")?;
    figures.index_scans = row.try_get(0)?;
    named.extend(verify::tables_ahead(db).await?);
    named.sort_unstable();
    named.dedup();
    for row in db.query_typed(PARTITIONS, &[(&named, Type::TEXT_ARRAY)]).await? {
        let days: Option<f64> = row.try_get(4)?;
        figures.partitions_ahead_days.push((row.try_get(0)?, days.unwrap_or(0.0)));
    }
    if has_statements && loads_statements {
        // Not everybody may read it.
        if let Ok((slow, slowest)) = slow(db).await {
            (figures.slow_queries, figures.slowest_query_ms) = (Some(slow), slowest);
        }
    }
    Ok(figures)
}

async fn slow(db: &Connection) -> Result<(u64, Option<f64>), DbError> {
    // The extension may be in any schema.
    let schema = "SELECT quote_ident(n.nspname) FROM pg_catalog.pg_extension e \
                  JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
                  WHERE e.extname = 'pg_stat_statements'";
    let row = db.query_typed_one(schema, &[]).await?;
    let sql = SLOW.replace("public.pg_stat", &format!("{}.pg_stat", row.try_get::<_, &str>(0)?));
    let row = db
        .query_typed_one(&sql, &[(&QUERY_MS_MAX, Type::FLOAT8)])
        .await
        .doing("reading pg_stat_statements")?;
    Ok((row.try_get::<_, i64>(0)?.unsigned_abs(), row.try_get(1)?))
}
