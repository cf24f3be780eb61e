//! A partition that is filled before it is one: a table like its parent without indexes, to which
//! they are added once the rows are in, and which is then attached. All in the caller's
//! transaction; called by `write`, which fills it.

use tokio_postgres::types::Type;

use super::partition::{bounds, edge, free_name, names_in_schema, read_place};
use super::timescale::{self, is_hypertable};
use super::{Connection, DbError, Doing as _};
use crate::column::{PgType, TargetTable, quote_identifier};

/// A table that is to become a partition.
#[derive(Debug)]
pub struct Apart {
    /// Its name, quoted for SQL.
    pub sql_name: String,
    /// The parent's, quoted for SQL.
    parent: String,
    parent_oid: u32,
    bounds: String,
}

/// Building indexes may use this much of the server's memory, unless more is allowed anyway.
const INDEX_MEMORY_MIB: u32 = 256;
/// Statistics of a fresh partition: enough to plan by, at a tenth of the cost of the load.
const STATISTICS_TARGET: u32 = 30;
/// The constraint that spares ATTACH a look at every row while it locks the parent.
const CHECK_NAME: &str = "_tidegate_bounds";

/// Why partitions of a table cannot be filled apart, for a person. `None`: they can.
///
/// # Errors
/// The server's.
pub async fn obstacle(db: &Connection, table: &TargetTable) -> Result<Option<String>, DbError> {
    let has_time = table.partitioning.as_ref().is_some_and(|p| p.time_column.is_some());
    if !has_time && timescale::edition(db).await?.is_some() && is_hypertable(db, table).await? {
        return Ok(Some("it is a hypertable, whose chunks are filled through it".to_owned()));
    }
    if !has_time {
        return Ok(Some("it is not partitioned by ranges of one time column".to_owned()));
    }
    let row = db
        .query_typed_one(include_str!("exchange_obstacle.sql"), &[(&table.oid, Type::OID)])
        .await
        .doing(format!("asking whether partitions of {} can be attached", table.display_name()))?;
    Ok(row.try_get(0)?)
}

/// Makes the table that is to become the partition of a range.
///
/// # Errors
/// The server's.
pub async fn create(
    db: &Connection,
    table: &TargetTable,
    range: (i64, i64),
) -> Result<Apart, DbError> {
    let doing = || format!("making a partition of {} apart", table.display_name());
    let column = table.partitioning.as_ref().and_then(|p| p.time_column.as_deref());
    let column = column.and_then(|name| table.column(name));
    let Some((column, kind)) = column.and_then(|column| Some((column, column.pg_type?))) else {
        return Err(DbError::Partition(format!(
            "{} is not partitioned by ranges of one time column",
            table.display_name()
        )));
    };
    let place = read_place(db, table.oid).await?;
    let taken = names_in_schema(db, &table.schema).await?;
    let name = free_name(&table.name, range, &taken);
    let sql_name = format!("{}.{}", quote_identifier(&table.schema), quote_identifier(&name));
    let parent = table.sql_name();
    let owner = place.owner.map_or_else(String::new, |owner| {
        format!("; ALTER TABLE {sql_name} OWNER TO {}", quote_identifier(&owner))
    });
    let sql = format!(
        "CREATE TABLE {sql_name} (LIKE {parent} INCLUDING ALL EXCLUDING INDEXES EXCLUDING \
         IDENTITY, CONSTRAINT {CHECK_NAME} CHECK ({})){}{owner}",
        condition(&quote_identifier(&column.name), range, kind),
        place.tablespace
    );
    db.batch_execute(&sql).await.doing(doing())?;
    let bounds = bounds(range, kind);
    Ok(Apart { sql_name, parent, parent_oid: table.oid, bounds })
}

fn condition(column: &str, (from, to): (i64, i64), kind: PgType) -> String {
    let mut conditions = vec![format!("{column} IS NOT NULL")];
    if from != i64::MIN {
        conditions.push(format!("{column} >= {}", edge(from, kind)));
    }
    if to != i64::MAX {
        conditions.push(format!("{column} < {}", edge(to, kind)));
    }
    conditions.join(" AND ")
}

impl Apart {
    /// Builds the parent's keys and indexes over the rows, and gathers statistics.
    ///
    /// # Errors
    /// The server's: 23505 if two rows have one key.
    pub async fn build(&self, db: &Connection) -> Result<(), DbError> {
        let doing = || format!("building the indexes of {}", self.sql_name);
        let rows = db
            .query_typed(include_str!("exchange_indexes.sql"), &[(&self.parent_oid, Type::OID)])
            .await
            .doing(doing())?;
        let memory = format!(
            "SELECT CASE WHEN pg_size_bytes(current_setting('maintenance_work_mem')) \
                 < {INDEX_MEMORY_MIB}::bigint << 20 \
             THEN set_config('maintenance_work_mem', '{INDEX_MEMORY_MIB}MB', true) END; \
             SET LOCAL max_parallel_maintenance_workers = 0"
        );
        db.batch_execute(&memory).await.doing(doing())?;
        for row in rows {
            let (constraint, prefix): (Option<&str>, &str) = (row.try_get(0)?, row.try_get(1)?);
            let definition: &str = row.try_get(2)?;
            let sql = match constraint {
                Some(constraint) => format!("ALTER TABLE {} ADD {constraint}", self.sql_name),
                None => {
                    let Some(rest) = definition.strip_prefix(prefix) else {
                        return Err(DbError::Partition(format!(
                            "an index of {} is defined in an unknown way: {definition}",
                            self.parent
                        )));
                    };
                    let unique =
                        if definition.starts_with("CREATE UNIQUE") { " UNIQUE" } else { "" };
                    format!("CREATE{unique} INDEX ON {} {rest}", self.sql_name)
                }
            };
            db.batch_execute(&sql).await.doing(doing())?;
        }
        let analyze = format!(
            "SELECT CASE WHEN current_setting('default_statistics_target')::int \
                 > {STATISTICS_TARGET} \
             THEN set_config('default_statistics_target', '{STATISTICS_TARGET}', true) END; \
             ANALYZE {}",
            self.sql_name
        );
        db.batch_execute(&analyze).await.doing(doing())
    }

    /// Attaches the table to its parent, which other statements on the parent hardly notice.
    ///
    /// # Errors
    /// The server's: 55P03 if another schema change holds the parent for longer than
    /// `lock_timeout_ms`.
    pub async fn attach(&self, db: &Connection, lock_timeout_ms: u64) -> Result<(), DbError> {
        let Self { sql_name, parent, bounds, .. } = self;
        let sql = format!(
            "SET LOCAL lock_timeout = {lock_timeout_ms}; \
             ALTER TABLE {parent} ATTACH PARTITION {sql_name} {bounds}; \
             ALTER TABLE {sql_name} DROP CONSTRAINT {CHECK_NAME}"
        );
        db.batch_execute(&sql).await.doing(format!("attaching {sql_name} to {parent}"))
    }
}
