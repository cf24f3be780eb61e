//! What is told of the server beside the queries.

use serde_json::{Value, json};

use super::super::verify;
use crate::db::{Connection, DbError, relation};

/// Its version, settings that matter to queries, what it finds in memory, sizes of our tables, and,
/// where `pg_stat_statements` is, the statements that took the most time.
pub async fn facts(db: &Connection) -> Result<Value, DbError> {
    let info = db.server().await?;
    let cache = include_str!("../../../schema/query/verify/cache.sql");
    let row = db.query_typed_one(cache, &[]).await?;
    let (table_hit, index_hit): (Option<f64>, Option<f64>) = (row.try_get(0)?, row.try_get(1)?);
    let (connections, connections_max): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
    let (created, loaded): (bool, bool) = (row.try_get(4)?, row.try_get(5)?);
    let statements = match created && loaded {
        true => statements(db).await.ok(),
        false => None,
    };
    Ok(json!({
        "version": info.version,
        "timescaledb": info.timescaledb.map(|timescale| timescale.version),
        "settings": settings(db).await?,
        "table_cache_hit": table_hit,
        "index_cache_hit": index_hit,
        "connections": connections,
        "connections_max": connections_max,
        "database_bytes": database_bytes(db).await?,
        "tables": sizes(db).await?,
        "statements": statements,
    }))
}

async fn database_bytes(db: &Connection) -> Result<i64, DbError> {
    let sql = "SELECT pg_catalog.pg_database_size(current_database())";
    Ok(db.query_typed_one(sql, &[]).await?.try_get(0)?)
}

async fn settings(db: &Connection) -> Result<Value, DbError> {
    let sql = "SELECT name, current_setting(name) FROM pg_catalog.pg_settings WHERE name IN \
               ('shared_buffers', 'work_mem', 'effective_cache_size', 'random_page_cost', 'jit', \
                'max_wal_size', 'synchronous_commit', 'fsync', 'plan_cache_mode') ORDER BY 1";
    let mut all = serde_json::Map::new();
    for row in db.query_typed(sql, &[]).await? {
        all.insert(row.try_get(0)?, row.try_get::<_, String>(1)?.into());
    }
    Ok(all.into())
}

/// Sizes of those tables of ours that take room.
async fn sizes(db: &Connection) -> Result<Value, DbError> {
    let mut sizes = verify::sizes(db, &relation::relations(db).await?).await?;
    if let Some(tables) = sizes.as_array_mut() {
        tables.retain(|table| table["table_bytes"].as_i64() > Some(0));
    }
    Ok(sizes)
}

/// The extension may be in any schema.
async fn statements(db: &Connection) -> Result<Value, DbError> {
    let sql = "SELECT quote_ident(n.nspname) FROM pg_catalog.pg_extension e \
               JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
               WHERE e.extname = 'pg_stat_statements'";
    let schema: String = db.query_typed_one(sql, &[]).await?.try_get(0)?;
    let sql = format!(
        "SELECT left(query, 300), calls, mean_exec_time, max_exec_time, total_exec_time \
         FROM {schema}.pg_stat_statements \
         WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
         ORDER BY total_exec_time DESC LIMIT 20"
    );
    let one = |row: &tokio_postgres::Row| {
        Ok(json!({
            "query": row.try_get::<_, String>(0)?,
            "calls": row.try_get::<_, i64>(1)?,
            "mean_ms": row.try_get::<_, f64>(2)?,
            "max_ms": row.try_get::<_, f64>(3)?,
            "total_ms": row.try_get::<_, f64>(4)?,
        }))
    };
    db.query_typed(&sql, &[]).await?.iter().map(one).collect()
}
