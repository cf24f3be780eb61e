//! A table that is filled while it has no indexes, to which they are added once the rows are in: a
//! table like its parent that then becomes a partition, or an empty table whose indexes were taken
//! off. All in the caller's transaction; called by `write`, which fills it.

use tokio_postgres::types::Type;

use super::partition::{bounds, edge, free_name, names_in_schema, read_place};
use super::timescale::{self, is_hypertable};
use super::{Connection, DbError, Doing as _};
use crate::column::{PgType, TargetTable, quote_identifier};

/// A table without indexes.
#[derive(Debug)]
pub struct Bare {
    /// Its name, quoted for SQL.
    pub sql_name: String,
    /// Statements that make its keys and indexes, keys first.
    indexes: Vec<String>,
    /// What it becomes a partition of, if it does.
    parent: Option<Parent>,
}

#[derive(Debug)]
struct Parent {
    /// Its name, quoted for SQL.
    sql_name: String,
    bounds: String,
}

/// A table that takes more room than this is not looked through for rows: it is not empty.
const EMPTY_BYTES_MAX: i64 = 1 << 20;
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

/// Why a table that is no parent of partitions cannot be filled without its indexes, for a person.
/// `None`: it can, for it is empty.
///
/// # Errors
/// The server's.
pub async fn obstacle_to_strip(
    db: &Connection,
    table: &TargetTable,
) -> Result<Option<String>, DbError> {
    let doing =
        || format!("asking whether {} can be filled without its indexes", table.display_name());
    if timescale::edition(db).await?.is_some() && is_hypertable(db, table).await? {
        return Ok(Some("it is a hypertable".to_owned()));
    }
    let row = db
        .query_typed_one(
            include_str!("strip_obstacle.sql"),
            &[(&table.oid, Type::OID), (&EMPTY_BYTES_MAX, Type::INT8)],
        )
        .await
        .doing(doing())?;
    if let Some(why) = row.try_get(0)? {
        return Ok(Some(why));
    }
    let sql = format!("SELECT EXISTS (SELECT FROM {})", table.sql_name());
    let row = db.query_typed_one(&sql, &[]).await.doing(doing())?;
    Ok(row.try_get::<_, bool>(0)?.then(|| "it is not empty".to_owned()))
}

/// Takes the indexes off an empty table, which nobody else can use until the transaction ends.
///
/// # Errors
/// [`DbError::Partition`] if there is an obstacle by now; the server's, 55P03 among them if others
/// use the table for longer than `lock_timeout_ms`.
pub async fn strip(
    db: &Connection,
    table: &TargetTable,
    lock_timeout_ms: u64,
) -> Result<Bare, DbError> {
    let doing = || format!("taking the indexes off {}", table.display_name());
    let sql_name = table.sql_name();
    let lock = format!(
        "SET LOCAL lock_timeout = {lock_timeout_ms}; LOCK TABLE {sql_name} IN ACCESS EXCLUSIVE MODE"
    );
    db.batch_execute(&lock).await.doing(doing())?;
    if let Some(why) = obstacle_to_strip(db, table).await? {
        return Err(DbError::Partition(format!("{}: {why}", table.display_name())));
    }
    let rows = db
        .query_typed(include_str!("strip_indexes.sql"), &[(&table.oid, Type::OID)])
        .await
        .doing(doing())?;
    // Rows can be frozen as they come only if the table is made or emptied in this transaction.
    let mut strip = format!("TRUNCATE ONLY {sql_name}");
    let mut indexes = Vec::new();
    for row in rows {
        strip.push_str("; ");
        strip.push_str(row.try_get(0)?);
        indexes.push(row.try_get(1)?);
        indexes.extend(row.try_get::<_, Option<String>>(2)?);
    }
    db.batch_execute(&strip).await.doing(doing())?;
    Ok(Bare { sql_name, indexes, parent: None })
}

/// Makes the table that is to become the partition of a range.
///
/// # Errors
/// The server's.
pub async fn create(
    db: &Connection,
    table: &TargetTable,
    range: (i64, i64),
) -> Result<Bare, DbError> {
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
    let indexes = indexes_like_parents(db, table, &sql_name).await?;
    let parent = Some(Parent { sql_name: parent, bounds: bounds(range, kind) });
    Ok(Bare { sql_name, indexes, parent })
}

/// Statements that give a table the keys and indexes of its parent.
async fn indexes_like_parents(
    db: &Connection,
    parent: &TargetTable,
    sql_name: &str,
) -> Result<Vec<String>, DbError> {
    let rows = db
        .query_typed(include_str!("exchange_indexes.sql"), &[(&parent.oid, Type::OID)])
        .await
        .doing(format!("reading the indexes of {}", parent.display_name()))?;
    let mut statements = Vec::with_capacity(rows.len());
    for row in rows {
        let (constraint, prefix): (Option<&str>, &str) = (row.try_get(0)?, row.try_get(1)?);
        let definition: &str = row.try_get(2)?;
        statements.push(match constraint {
            Some(constraint) => format!("ALTER TABLE {sql_name} ADD {constraint}"),
            None => {
                let Some(rest) = definition.strip_prefix(prefix) else {
                    return Err(DbError::Partition(format!(
                        "an index of {} is defined in an unknown way: {definition}",
                        parent.display_name()
                    )));
                };
                let unique = if definition.starts_with("CREATE UNIQUE") { " UNIQUE" } else { "" };
                format!("CREATE{unique} INDEX ON {sql_name} {rest}")
            }
        });
    }
    Ok(statements)
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

impl Bare {
    /// Builds the keys and indexes over the rows, and gathers statistics.
    ///
    /// # Errors
    /// The server's: 23505 if two rows have one key.
    pub async fn build(&self, db: &Connection) -> Result<(), DbError> {
        let doing = || format!("building the indexes of {}", self.sql_name);
        // Partitions are built side by side; a whole table has the machine to itself.
        let workers = if self.parent.is_some() {
            "SET LOCAL max_parallel_maintenance_workers = 0"
        } else {
            ""
        };
        let memory = format!(
            "SELECT CASE WHEN pg_size_bytes(current_setting('maintenance_work_mem')) \
                 < {INDEX_MEMORY_MIB}::bigint << 20 \
             THEN set_config('maintenance_work_mem', '{INDEX_MEMORY_MIB}MB', true) END; {workers}"
        );
        db.batch_execute(&memory).await.doing(doing())?;
        for statement in &self.indexes {
            db.batch_execute(statement).await.doing(doing())?;
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

    /// Attaches a partition to its parent, which other statements on the parent hardly notice.
    ///
    /// # Errors
    /// The server's: 55P03 if another schema change holds the parent for longer than
    /// `lock_timeout_ms`.
    pub async fn attach(&self, db: &Connection, lock_timeout_ms: u64) -> Result<(), DbError> {
        let Self { sql_name, parent: Some(Parent { sql_name: parent, bounds }), .. } = self else {
            return Ok(());
        };
        let sql = format!(
            "SET LOCAL lock_timeout = {lock_timeout_ms}; \
             ALTER TABLE {parent} ATTACH PARTITION {sql_name} {bounds}; \
             ALTER TABLE {sql_name} DROP CONSTRAINT {CHECK_NAME}"
        );
        db.batch_execute(&sql).await.doing(format!("attaching {sql_name} to {parent}"))
    }
}
