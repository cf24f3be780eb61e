//! Retention: whole partitions that are older than they are kept. A partition is detached (a chunk
//! of a hypertable cannot be), written to an archive if one is asked for, and dropped, in steps
//! that `tidegate.retired` records, so that a run that was cut short is finished by the next. That
//! it was dropped is recorded in the transaction that drops it.

use std::time::{Duration, Instant};

use tokio_postgres::types::Type;

use crate::db::{Connection, Doing as _, timescale};
use crate::limit::{ATTACH_LOCK_TIMEOUT_MS, LOCK_TIMEOUT_MS};

use super::super::{CommandError, refresh};
use super::archive::{Archived, Place, Sums};
use super::{Age, Did, Log, Retention, Server};

/// Partitions of a table that end before it is to be kept, the oldest first.
const DUE: &str = "\
SELECT format('%I.%I', n.nspname, c.relname), p.lower::text, p.upper::text
FROM tidegate.partitions($1::text::regclass) p
JOIN pg_catalog.pg_class c ON c.oid = p.partition
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE p.lower > '-infinity'
  AND p.upper <= (date_trunc('day', now() AT TIME ZONE 'UTC') - $2::text::interval)
      AT TIME ZONE 'UTC'
  AND NOT EXISTS (SELECT FROM tidegate.retired r
                  WHERE r.dropped_at IS NULL AND to_regclass(r.partition) = p.partition)
ORDER BY p.upper";

/// What was begun and is not finished.
const BEGUN: &str = "\
SELECT id, target, partition FROM tidegate.retired WHERE dropped_at IS NULL ORDER BY id";

/// The chunk with exactly these bounds.
const DROP_CHUNK: &str = "\
SELECT count(*) FROM tidegate.retired r, LATERAL drop_chunks(
    (SELECT format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass
     FROM timescaledb_information.hypertables h
     WHERE h.hypertable_schema || '.' || h.hypertable_name = r.target),
    older_than => r.to_ts, newer_than => r.from_ts)
WHERE r.id = $1";

const WRITTEN: &str = "\
UPDATE tidegate.retired SET file = $2, rows = $3, content = $4, bytes = $5,
       written_at = clock_timestamp()
WHERE id = $1 AND dropped_at IS NULL";

/// Archives whose own time is up, counted from when they were written.
const OLD_ARCHIVES: &str = "\
SELECT id, file, coalesce(bytes, 0) FROM tidegate.retired
WHERE file IS NOT NULL AND dropped_at IS NOT NULL AND removed_at IS NULL
  AND written_at <= (date_trunc('day', now() AT TIME ZONE 'UTC') - $1::text::interval)
      AT TIME ZONE 'UTC'
ORDER BY id";

const BEGIN_ONE: &str = "\
INSERT INTO tidegate.retired (target, partition, from_ts, to_ts, archive_to)
VALUES ($1, $2, $3::text::timestamptz, $4::text::timestamptz, $5) RETURNING id";

/// Where a partition stands: whether it is there, part of a table, being detached.
const STATE: &str = "\
SELECT to_regclass(r.partition) IS NOT NULL,
       p.oid IS NOT NULL AND NOT i.inhdetachpending,
       coalesce(i.inhdetachpending, false),
       quote_ident(n.nspname) || '.' || quote_ident(p.relname),
       coalesce(t.partdefid, 0) <> 0,
       coalesce(p.relkind = 'r', false),
       r.archive_to, r.file, r.rows, r.content,
       pg_catalog.pg_total_relation_size(to_regclass(r.partition)),
       to_char(r.from_ts AT TIME ZONE 'UTC', 'YYYY-MM-DD') || '_'
           || to_char(r.to_ts AT TIME ZONE 'UTC', 'YYYY-MM-DD') || '_' || r.id
FROM tidegate.retired r
LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = to_regclass(r.partition)
LEFT JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
LEFT JOIN pg_catalog.pg_partitioned_table t ON t.partrelid = i.inhparent
WHERE r.id = $1 AND r.dropped_at IS NULL";

/// How long one partition may take to be detached beside its readers, in seconds: a transaction
/// that was forgotten would keep us for ever.
const DETACH_S: u64 = 600;
/// Attempts to get a lock that readers hold.
const LOCK_ATTEMPTS: u32 = 5;

/// A partition on its way out.
struct Retired {
    id: i64,
    target: String,
    partition: String,
}

/// Finishes what earlier runs began, whatever the plan says now: rows in a table that is detached
/// are in no answer.
pub(super) async fn finish_begun(server: &mut Server, log: &mut Log) {
    let began = Instant::now();
    let begun = async {
        let rows = server.ready().await?.query_typed(BEGUN, &[]).await?;
        let retired = rows.iter().map(|row| {
            let (id, target, partition) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            Ok(Retired { id, target, partition })
        });
        retired.collect::<Result<Vec<_>, CommandError>>()
    };
    match begun.await {
        Err(error) => log.push("retention", "tidegate.retired", began, Err(error)),
        Ok(all) => {
            for retired in all {
                let began = Instant::now();
                let done = finish(server, &retired).await;
                log.push("retention", retired.target, began, done);
            }
        }
    }
}

/// Takes away what a table no longer keeps.
pub(super) async fn run(server: &mut Server, retention: &Retention, log: &mut Log) {
    let began = Instant::now();
    let mut sum = Did::default();
    let mut failed = None;
    match due(server, retention).await {
        Err(error) => failed = Some(error),
        Ok(all) => {
            for retired in all {
                if let Err(error) = can_archive(server, retention, &retired).await {
                    failed = Some(error);
                    break;
                }
                match begin(server, retention, retired).await {
                    Ok(did) => {
                        sum.parts += did.parts;
                        sum.rows += did.rows;
                        sum.bytes += did.bytes;
                    }
                    // The younger ones wait: what is missing is at the old end alone.
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
        }
    }
    if failed.is_none() || sum.parts > 0 {
        log.push("retention", &retention.table, began, Ok(sum));
    }
    if let Some(error) = failed {
        log.push("retention", &retention.table, began, Err(error));
    }
}

/// Nothing is detached for an archive that cannot be written.
async fn can_archive(
    server: &mut Server,
    retention: &Retention,
    due: &Due,
) -> Result<(), CommandError> {
    if let Some(to) = &retention.archive {
        Place::new(to, &due.target)?;
        Archived::of(server.ready().await?, &due.partition).await?;
    }
    Ok(())
}

/// A partition that is due.
struct Due {
    target: String,
    partition: String,
    from: String,
    to: String,
}

async fn due(server: &mut Server, retention: &Retention) -> Result<Vec<Due>, CommandError> {
    let table = server.table(&retention.table).await?;
    if table.partitioning.as_ref().is_none_or(|p| p.time_column.is_none())
        && !timescale::is_hypertable(server.ready().await?, &table).await?
    {
        let why = format!(
            "{} is not partitioned by ranges of time, and retention drops whole partitions",
            table.display_name()
        );
        return Err(CommandError::Refused(why));
    }
    let rows = server
        .ready()
        .await?
        .query_typed(DUE, &[(&table.sql_name(), Type::TEXT), (&retention.keep.sql(), Type::TEXT)])
        .await
        .doing(format!("asking which partitions of {} are due", table.display_name()))?;
    let one = |row: &tokio_postgres::Row| {
        let (partition, from, to) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Due { target: table.display_name(), partition, from, to })
    };
    rows.iter().map(one).collect()
}

async fn begin(server: &mut Server, retention: &Retention, due: Due) -> Result<Did, CommandError> {
    let archive = retention.archive.as_ref().map(ToString::to_string);
    let Due { target, partition, from, to } = due;
    let row = server
        .ready()
        .await?
        .query_typed_one(
            BEGIN_ONE,
            &[
                (&target, Type::TEXT),
                (&partition, Type::TEXT),
                (&from, Type::TEXT),
                (&to, Type::TEXT),
                (&archive, Type::TEXT),
            ],
        )
        .await
        .doing(format!("recording that {partition} goes"))?;
    let id = row.try_get(0)?;
    finish(server, &Retired { id, target, partition }).await
}

/// Goes on with a partition from wherever it stands.
async fn finish(server: &mut Server, retired: &Retired) -> Result<Did, CommandError> {
    let Retired { id, partition, .. } = retired;
    let doing = || format!("retiring {partition}");
    let row = server.ready().await?.query_typed_opt(STATE, &[(id, Type::INT8)]).await;
    let Some(row) = row.doing(doing())? else { return Ok(Did::default()) };
    if !row.try_get::<_, bool>(0)? {
        forget(server, *id).await?;
        return Err(CommandError::Refused(format!(
            "{partition} was to be retired, and somebody else dropped it meanwhile"
        )));
    }
    let (attached, pending): (bool, bool) = (row.try_get(1)?, row.try_get(2)?);
    let is_chunk: bool = row.try_get(5)?;
    if (attached || pending) && !is_chunk {
        let parent: String = row.try_get(3)?;
        detach(server, &parent, partition, pending, row.try_get(4)?).await?;
    }
    let bytes: Option<i64> = row.try_get(10)?;
    let archived = match row.try_get::<_, Option<String>>(6)? {
        None => None,
        Some(_) if row.try_get::<_, Option<String>>(7)?.is_some() => {
            let rows: i64 = row.try_get(8)?;
            Some(Sums { rows: rows.unsigned_abs(), content: row.try_get(9)? })
        }
        Some(to) => Some(archive(server, retired, &to, row.try_get(11)?).await?),
    };
    let rows = drop_one(server.ready().await?, retired, archived.as_ref(), is_chunk).await?;
    Ok(Did { parts: 1, rows, bytes: bytes.unwrap_or(0).unsigned_abs(), ..Did::default() })
}

/// Writes a detached partition to its archive, and records that once it is in its place.
async fn archive(
    server: &mut Server,
    retired: &Retired,
    to: &str,
    name: &str,
) -> Result<Sums, CommandError> {
    let destination = to.parse().map_err(CommandError::Refused)?;
    let place = Place::new(&destination, &retired.target)?;
    let db = server.ready().await?;
    let archived = Archived::of(db, &retired.partition).await?;
    // A file of no rows is of no use.
    let is_empty = format!("SELECT NOT EXISTS (SELECT FROM {})", retired.partition);
    if db.query_typed_one(&is_empty, &[]).await?.try_get(0)? {
        return archived.sums(db).await;
    }
    let written = archived.write(db, &place, name).await?;
    let (rows, bytes) = (written.sums.rows.cast_signed(), written.bytes.cast_signed());
    db.execute_typed(
        WRITTEN,
        &[
            (&retired.id, Type::INT8),
            (&written.file, Type::TEXT),
            (&rows, Type::INT8),
            (&written.sums.content, Type::TEXT),
            (&bytes, Type::INT8),
        ],
    )
    .await
    .doing(format!("recording {}", written.file))?;
    Ok(written.sums)
}

/// Removes archives that have been kept long enough.
pub(super) async fn remove_archives(server: &mut Server, kept: Age) -> Result<Did, CommandError> {
    let db = server.ready().await?;
    let rows = db.query_typed(OLD_ARCHIVES, &[(&kept.sql(), Type::TEXT)]).await;
    let mut did = Did::default();
    for row in rows.doing("asking which archives are old")? {
        let (id, file): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
        Place::remove(file).await?;
        let sql = "UPDATE tidegate.retired SET removed_at = clock_timestamp() WHERE id = $1";
        db.execute_typed(sql, &[(&id, Type::INT8)]).await.doing("recording what was removed")?;
        did.parts += 1;
        did.bytes += row.try_get::<_, i64>(2)?.unsigned_abs();
    }
    Ok(did)
}

async fn forget(server: &mut Server, id: i64) -> Result<(), CommandError> {
    let sql = "DELETE FROM tidegate.retired WHERE id = $1 AND dropped_at IS NULL";
    server.ready().await?.execute_typed(sql, &[(&id, Type::INT8)]).await?;
    Ok(())
}

/// Takes a partition out of its table: beside readers and writers where that is possible, else
/// under a lock that is given up soon and tried again.
async fn detach(
    server: &mut Server,
    parent: &str,
    partition: &str,
    pending: bool,
    has_default: bool,
) -> Result<(), CommandError> {
    let doing = || format!("detaching {partition} from {parent}");
    let detach = format!("ALTER TABLE {parent} DETACH PARTITION {partition}");
    if has_default && !pending {
        return under_lock(server.ready().await?, &detach, &doing()).await;
    }
    let how = if pending { "FINALIZE" } else { "CONCURRENTLY" };
    // A connection of its own: if it takes too long it is left to its end, and found pending or
    // done by the next run.
    let alone = server.database.connect().await?;
    let sql = format!("{detach} {how}");
    let ended = tokio::time::timeout(Duration::from_secs(DETACH_S), alone.batch_execute(&sql));
    match ended.await {
        Ok(done) => Ok(done.doing(doing())?),
        Err(_) => Err(CommandError::Refused(format!(
            "{}: a transaction that uses {parent} has been open for {DETACH_S} s; end it, and the \
             next run goes on",
            doing()
        ))),
    }
}

async fn under_lock(db: &Connection, sql: &str, doing: &str) -> Result<(), CommandError> {
    let whole = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
         SET LOCAL lock_timeout = {ATTACH_LOCK_TIMEOUT_MS}; {sql}; COMMIT"
    );
    let mut attempt = 1;
    loop {
        let Err(error) = db.batch_execute(&whole).await.doing(doing) else { return Ok(()) };
        db.batch_execute("ROLLBACK").await?;
        if error.sqlstate() != Some("55P03") || attempt == LOCK_ATTEMPTS {
            return Err(error.into());
        }
        attempt += 1;
    }
}

/// Drops a detached partition, and records it, in one transaction; says how many rows it had. One
/// that was archived must still be what its archive holds.
async fn drop_one(
    db: &Connection,
    retired: &Retired,
    archived: Option<&Sums>,
    is_chunk: bool,
) -> Result<u64, CommandError> {
    let Retired { id, target, partition } = retired;
    let doing = || format!("dropping {partition}");
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on; \
         SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; \
         LOCK TABLE {partition} IN ACCESS EXCLUSIVE MODE"
    );
    db.batch_execute(&begin).await.doing(doing())?;
    let rows: i64 = match archived {
        None => {
            let sql = format!("SELECT count(*) FROM {partition}");
            db.query_typed_one(&sql, &[]).await.doing(doing())?.try_get(0)?
        }
        Some(archived) => {
            let now = Archived::of(db, partition).await?.sums(db).await?;
            if now != *archived {
                db.batch_execute("ROLLBACK").await?;
                return Err(forget_archive(db, *id, partition).await);
            }
            now.rows.cast_signed()
        }
    };
    record_dropped(db, *id, rows, refresh::is_viewed(target)).await?;
    if is_chunk {
        let row = db.query_typed_one(DROP_CHUNK, &[(id, Type::INT8)]).await.doing(doing())?;
        if row.try_get::<_, i64>(0)? != 1 {
            db.batch_execute("ROLLBACK").await?;
            return Err(CommandError::Refused(format!("{}: it was no chunk by itself", doing())));
        }
        db.batch_execute("COMMIT").await.doing(doing())?;
    } else {
        db.batch_execute(&format!("DROP TABLE {partition}; COMMIT")).await.doing(doing())?;
    }
    Ok(rows.unsigned_abs())
}

async fn forget_archive(db: &Connection, id: i64, partition: &str) -> CommandError {
    let sql = "UPDATE tidegate.retired SET file = NULL, written_at = NULL WHERE id = $1";
    match db.execute_typed(sql, &[(&id, Type::INT8)]).await.doing("forgetting an archive") {
        Ok(_) => CommandError::Refused(format!(
            "{partition} was changed since it was archived: the next run writes it anew"
        )),
        Err(error) => error.into(),
    }
}

/// The ledger's row of what is dropped, in the transaction that drops it. `viewed`: views are made
/// of the table, and are to be made anew without it; aggregates that grow bucket by bucket keep
/// what they hold of times that are gone.
async fn record_dropped(
    db: &Connection,
    id: i64,
    rows: i64,
    viewed: bool,
) -> Result<(), CommandError> {
    const SQL: &str = "\
WITH gone AS (
    UPDATE tidegate.retired SET dropped_at = clock_timestamp(), rows = $2
    WHERE id = $1 AND dropped_at IS NULL
    RETURNING target, partition, from_ts, to_ts
), touched AS (
    INSERT INTO tidegate.touched (target, from_ts, to_ts)
    SELECT target, from_ts, to_ts FROM gone WHERE $3
)
INSERT INTO tidegate.dropped_range (target, partition, from_ts, to_ts, rows)
SELECT target, partition, from_ts, to_ts, $2 FROM gone";
    let recorded = db
        .execute_typed(SQL, &[(&id, Type::INT8), (&rows, Type::INT8), (&viewed, Type::BOOL)])
        .await
        .doing("recording what is dropped")?;
    if recorded != 1 {
        return Err(CommandError::Refused("another process retired it meanwhile".to_owned()));
    }
    Ok(())
}
