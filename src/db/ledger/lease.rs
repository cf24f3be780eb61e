//! The lease of what only one process may do at a time: a row with an epoch and a heartbeat, for
//! session locks do not hold behind poolers.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::{Connection, DbError, Doing as _};

/// Who has a lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// Raised whenever the lease changes hands.
    pub epoch: i64,
    /// Who it is, as it said itself.
    pub holder: String,
    /// Its run.
    pub run_id: Option<i64>,
    /// Since when, ISO 8601, UTC.
    pub taken_at: String,
    /// Seconds since it last said that it is alive.
    pub silent_s: f64,
    /// Seconds of silence after which another may take it.
    pub stale_s: f64,
    /// Whether it gave it back.
    pub released: bool,
}

/// What became of the wish for a lease.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// It is ours under this epoch; who had it before and did not give it back.
    Mine(i64, Option<Holder>),
    /// Somebody has it.
    Theirs(Holder),
}

fn holder(row: &Row) -> Result<Holder, tokio_postgres::Error> {
    Ok(Holder {
        epoch: row.try_get("epoch")?,
        holder: row.try_get("holder")?,
        run_id: row.try_get("run_id")?,
        taken_at: row.try_get("taken_at")?,
        silent_s: row.try_get("silent_s")?,
        stale_s: row.try_get("stale_s")?,
        released: row.try_get("released")?,
    })
}

/// Who has the lease called `name`, or had it last.
///
/// # Errors
/// The server's.
pub async fn lease_holder(db: &Connection, name: &str) -> Result<Option<Holder>, DbError> {
    let sql = "SELECT epoch, holder, run_id, \
             to_char(taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS taken_at, \
             extract(epoch FROM clock_timestamp() - beat_at)::float8 AS silent_s, stale_s, \
             released_at IS NOT NULL AS released \
         FROM tidegate.lease WHERE name = $1";
    let row = db.query_typed_opt(sql, &[(&name, Type::TEXT)]).await.doing("reading the lease")?;
    Ok(row.as_ref().map(holder).transpose()?)
}

/// Takes the lease called `name` if nobody has it, its holder has been silent for longer than it
/// promised, or `is_dead` knows that it is gone. `stale_s` is our own promise.
///
/// # Errors
/// The server's.
pub async fn take_lease(
    db: &Connection,
    name: &str,
    who: &str,
    stale_s: f64,
    is_dead: impl Fn(&str) -> bool,
) -> Result<Taken, DbError> {
    let before = lease_holder(db, name).await?.filter(|before| !before.released);
    let dead = before.as_ref().filter(|before| is_dead(&before.holder));
    let dead = dead.map_or(-1, |dead| dead.epoch);
    db.batch_execute("BEGIN; SET LOCAL synchronous_commit = on").await?;
    let row = db
        .query_typed_opt(
            "INSERT INTO tidegate.lease AS l (name, epoch, holder, stale_s) VALUES ($1, 1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET epoch = l.epoch + 1, holder = excluded.holder, \
                 run_id = NULL, taken_at = clock_timestamp(), beat_at = clock_timestamp(), \
                 stale_s = excluded.stale_s, released_at = NULL \
             WHERE l.released_at IS NOT NULL OR l.epoch = $4 \
                 OR l.beat_at < clock_timestamp() - make_interval(secs => l.stale_s) \
             RETURNING epoch",
            &[
                (&name, Type::TEXT),
                (&who, Type::TEXT),
                (&stale_s, Type::FLOAT8),
                (&dead, Type::INT8),
            ],
        )
        .await
        .doing("taking the lease")?;
    db.batch_execute("COMMIT").await?;
    match row {
        Some(row) => Ok(Taken::Mine(row.try_get(0)?, before)),
        None => lease_holder(db, name)
            .await?
            .map(Taken::Theirs)
            .ok_or_else(|| DbError::Ledger("a lease is held and not there".to_owned())),
    }
}

/// Says that the holder of this epoch is alive, and which run it is; whether it still has the
/// lease.
///
/// # Errors
/// The server's.
pub async fn keep_lease(
    db: &Connection,
    name: &str,
    epoch: i64,
    run_id: Option<i64>,
) -> Result<bool, DbError> {
    let sql = "UPDATE tidegate.lease SET beat_at = clock_timestamp(), \
                   run_id = coalesce($3, run_id) \
               WHERE name = $1 AND epoch = $2 AND released_at IS NULL";
    let kept = db
        .execute_typed(sql, &[(&name, Type::TEXT), (&epoch, Type::INT8), (&run_id, Type::INT8)])
        .await?;
    Ok(kept == 1)
}

/// Gives the lease of this epoch back.
///
/// # Errors
/// The server's.
pub async fn release_lease(db: &Connection, name: &str, epoch: i64) -> Result<(), DbError> {
    let sql = "UPDATE tidegate.lease SET released_at = clock_timestamp() \
               WHERE name = $1 AND epoch = $2";
    db.execute_typed(sql, &[(&name, Type::TEXT), (&epoch, Type::INT8)]).await?;
    Ok(())
}
