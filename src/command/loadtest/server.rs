//! What the server did while it was under load, from its own counters.

use serde_json::{Value, json};

use crate::db::{Connection, DbError};

/// Counters of the server and of this database, at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    wal_bytes: Option<f64>,
    checkpoints: Option<i64>,
    commits: i64,
    blocks_hit: i64,
    blocks_read: i64,
    temp_bytes: i64,
    deadlocks: i64,
}

impl Counters {
    /// Reads them. WAL and checkpoints are left out where this role may not see them.
    pub async fn read(db: &Connection) -> Result<Self, DbError> {
        let row = db
            .query_typed_one(
                "SELECT xact_commit, blks_hit, blks_read, temp_bytes, deadlocks \
                 FROM pg_catalog.pg_stat_database WHERE datname = current_database()",
                &[],
            )
            .await?;
        let wal = "SELECT (pg_catalog.pg_current_wal_lsn() - '0/0')::float8";
        let wal = db.query_typed_opt(wal, &[]).await.ok().flatten();
        // PostgreSQL 17 has a view of its own for checkpoints.
        let has_view = "SELECT to_regclass('pg_catalog.pg_stat_checkpointer') IS NOT NULL";
        let has_view: bool = db.query_typed_one(has_view, &[]).await?.try_get(0)?;
        let checkpoints = match has_view {
            true => "SELECT num_timed + num_requested FROM pg_catalog.pg_stat_checkpointer",
            false => "SELECT checkpoints_timed + checkpoints_req FROM pg_catalog.pg_stat_bgwriter",
        };
        let checkpoints = db.query_typed_opt(checkpoints, &[]).await.ok().flatten();
        Ok(Self {
            wal_bytes: wal.and_then(|row| row.try_get(0).ok()),
            checkpoints: checkpoints.and_then(|row| row.try_get(0).ok()),
            commits: row.try_get(0)?,
            blocks_hit: row.try_get(1)?,
            blocks_read: row.try_get(2)?,
            temp_bytes: row.try_get(3)?,
            deadlocks: row.try_get(4)?,
        })
    }

    /// What happened since `before`, in so many seconds.
    pub fn since(&self, before: &Self, seconds: f64, waiting_most: i64) -> Value {
        let wal = self.wal_bytes.zip(before.wal_bytes).map(|(now, then)| now - then);
        let (hit, read) =
            (self.blocks_hit - before.blocks_hit, self.blocks_read - before.blocks_read);
        let all = hit + read;
        json!({
            "wal_bytes": wal,
            "wal_bytes_per_s": wal.map(|bytes| bytes / seconds),
            "checkpoints": self.checkpoints.zip(before.checkpoints).map(|(now, then)| now - then),
            "commits_per_s": (self.commits - before.commits) as f64 / seconds,
            "cache_hit": (all > 0).then(|| hit as f64 / all as f64),
            "temp_bytes": self.temp_bytes - before.temp_bytes,
            "deadlocks": self.deadlocks - before.deadlocks,
            "lock_waits_most": waiting_most,
        })
    }
}

/// Sessions of this database that wait for a lock now.
pub async fn waiting(db: &Connection) -> Result<i64, DbError> {
    let sql = "SELECT count(*) FROM pg_catalog.pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    Ok(db.query_typed_one(sql, &[]).await?.try_get(0)?)
}
