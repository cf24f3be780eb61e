//! What differs where TimescaleDB is: hypertables instead of partitions, chunks that are dropped or
//! compressed. Its statements are in `schema/timescale/`. Without the extension nothing here does
//! anything.

use tokio_postgres::types::Type;

use crate::column::TargetTable;

use super::connection::{Connection, Edition};
use super::error::{DbError, Doing};
use super::partition::Width;

const HYPERTABLES: &str = include_str!("../../schema/timescale/hypertables.sql");
const CHUNK_WIDTH: &str = include_str!("../../schema/timescale/chunk_width.sql");
const TO_COMPRESS: &str = include_str!("../../schema/timescale/compression.sql");

/// The domains with tables that [`HYPERTABLES`] names.
const DOMAINS: [&str; 2] = ["market", "options"];

/// Which TimescaleDB is created in this database, if any.
///
/// # Errors
/// [`DbError::Server`].
pub async fn edition(connection: &Connection) -> Result<Option<Edition>, DbError> {
    Ok(connection.server().await?.timescaledb.map(|timescale| timescale.edition))
}

/// Makes hypertables of the tables of these domains that were never loaded.
///
/// # Errors
/// [`DbError::Server`].
pub(super) async fn make_hypertables(
    connection: &Connection,
    domains: &[&str],
) -> Result<(), DbError> {
    if !domains.iter().any(|domain| DOMAINS.contains(domain))
        || edition(connection).await?.is_none()
    {
        return Ok(());
    }
    connection.batch_execute(HYPERTABLES).await.doing("making hypertables")
}

/// Whether a table is a hypertable. The ledger's tables must be there.
///
/// # Errors
/// [`DbError::Server`].
pub async fn is_hypertable(connection: &Connection, table: &TargetTable) -> Result<bool, DbError> {
    let row = connection
        .query_typed_one("SELECT tidegate.is_hypertable($1)", &[(&table.oid, Type::OID)])
        .await
        .doing(format!("asking whether {} is a hypertable", table.display_name()))?;
    Ok(row.try_get(0)?)
}

/// A hypertable without chunks, whose width nobody chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchunked {
    /// Its name, quoted for SQL.
    table: String,
    /// The schema of the extension's functions, quoted for SQL.
    functions: String,
}

impl Unchunked {
    /// The table, if it is one and may be changed.
    ///
    /// # Errors
    /// [`DbError::Server`].
    pub async fn find(
        connection: &Connection,
        table: &TargetTable,
    ) -> Result<Option<Self>, DbError> {
        if table.partitioning.is_some() || edition(connection).await?.is_none() {
            return Ok(None);
        }
        let name = table.sql_name();
        let rows = connection
            .query_typed(CHUNK_WIDTH, &[(&name, Type::TEXT)])
            .await
            .doing(format!("asking for the chunks of {name}"))?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Self { table: name, functions: row.try_get(0)? }))
    }

    /// Has its chunks be as wide as partitions of this width.
    ///
    /// # Errors
    /// [`DbError::Server`].
    pub async fn set_width(&self, connection: &Connection, width: Width) -> Result<(), DbError> {
        let Self { table, functions } = self;
        let sql = format!(
            "SELECT {functions}.set_chunk_time_interval($1::text::regclass, interval '{} days')",
            width.days()
        );
        let doing = format!("setting the width of the chunks of {table}");
        connection.query_typed_one(&sql, &[(table, Type::TEXT)]).await.doing(doing)?;
        Ok(())
    }
}

/// The chunks of a hypertable that end `after` (as an interval) before today or earlier and are not
/// compressed, after it was said how they are to be: Community edition alone.
///
/// # Errors
/// [`DbError::Server`].
pub async fn chunks_to_compress(
    connection: &Connection,
    table: &TargetTable,
    segment_by: &str,
    order_by: &str,
    after: &str,
) -> Result<Vec<String>, DbError> {
    let name = table.sql_name();
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let how = format!(
        "ALTER TABLE {name} SET (timescaledb.compress, timescaledb.compress_segmentby = {}, \
         timescaledb.compress_orderby = {})",
        literal(segment_by),
        literal(order_by)
    );
    connection.batch_execute(&how).await.doing(format!("setting how {name} is compressed"))?;
    let rows = connection
        .query_typed(TO_COMPRESS, &[(&name, Type::TEXT), (&after, Type::TEXT)])
        .await
        .doing(format!("asking which chunks of {name} are old"))?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
