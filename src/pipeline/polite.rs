//! `--polite`: looks once a second at what others suffer from a load, on a connection of its own,
//! and holds the load back while it is too much: no new batch is begun, those in hand are finished.
//! What the role may not see is not looked at. Thresholds are in `limit.rs`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::live::{Hold, Live};
use crate::db::{Connection, Database, DbError};
use crate::limit::{
    POLITE_DISK_FREE_BYTES, POLITE_LAG_BYTES, POLITE_LAG_S, POLITE_LOCKS_HOLD_S, POLITE_LOOK_MS,
    POLITE_WAL_PERCENT,
};

/// What was seen of the server's troubles; what could not be seen is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seen {
    /// Seconds that the slowest replica is behind.
    lag_s: f64,
    /// Bytes of WAL that it has not replayed.
    lag_bytes: f64,
    /// Bytes of WAL since the last checkpoint.
    wal_bytes: f64,
    /// Bytes of WAL between checkpoints that the server is set up for.
    wal_max_bytes: f64,
    /// Sessions that wait for locks that we hold.
    lock_waiters: u64,
    /// Bytes that are free on the disk of the server's data; none if it is not on this machine.
    free_bytes: Option<u64>,
}

/// What holds the load back, if anything does. A load that is held back goes on when things are
/// well below the threshold, so that it does not flutter.
fn judge(seen: &Seen, held: Option<Hold>) -> Option<(Hold, u64)> {
    let limit = |why: Hold, limit: f64| if held == Some(why) { limit / 2.0 } else { limit };
    let free_min = if held == Some(Hold::Disk) { 1.25 } else { 1.0 };
    if let Some(free) = seen.free_bytes
        && (free as f64) < POLITE_DISK_FREE_BYTES as f64 * free_min
    {
        return Some((Hold::Disk, free));
    }
    if seen.lock_waiters > 0 {
        return Some((Hold::Locks, seen.lock_waiters));
    }
    if seen.lag_s > limit(Hold::Replica, POLITE_LAG_S as f64)
        || seen.lag_bytes > limit(Hold::Replica, POLITE_LAG_BYTES as f64)
    {
        return Some((Hold::Replica, seen.lag_s.round() as u64));
    }
    let share = POLITE_WAL_PERCENT as f64 / 100.0;
    if seen.wal_max_bytes > 0.0 && seen.wal_bytes > limit(Hold::Wal, seen.wal_max_bytes * share) {
        return Some((Hold::Wal, seen.wal_bytes as u64));
    }
    None
}

/// Watches over a load until it is stopped.
pub(super) struct Polite(JoinHandle<()>);

impl Polite {
    /// Begins to watch.
    pub fn start(database: &Database, live: &Arc<Live>) -> Self {
        let (database, live) = (database.clone(), Arc::clone(live));
        Self(tokio::spawn(watch(database, live)))
    }

    /// Stops, and lets the load go.
    pub async fn end(self, live: &Live) {
        self.0.abort();
        let _ = self.0.await;
        live.set_holding(None);
    }
}

async fn watch(database: Database, live: Arc<Live>) {
    let mut connection: Option<Connection> = None;
    // Since when others wait for our locks without a pause.
    let mut locks_since: Option<Instant> = None;
    loop {
        let look = async {
            let db = match connection.take() {
                Some(db) if !db.is_closed() => connection.insert(db),
                _ => connection.insert(database.connect().await?),
            };
            look(db).await
        };
        if let Ok(seen) = look.await {
            let mut found = judge(&seen, live.holding().map(|(why, _)| why));
            match found {
                Some((Hold::Locks, _)) => {
                    // What holding back does not cure would stop the load for good.
                    let since = *locks_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > Duration::from_secs(POLITE_LOCKS_HOLD_S) {
                        found = None;
                    }
                    if since.elapsed() > Duration::from_secs(POLITE_LOCKS_HOLD_S * 2) {
                        locks_since = None;
                    }
                }
                _ => locks_since = None,
            }
            live.set_holding(found);
        } else {
            // A load is not held back by what cannot be seen.
            connection = None;
            live.set_holding(None);
        }
        tokio::time::sleep(Duration::from_millis(POLITE_LOOK_MS)).await;
    }
}

const REPLICA: &str = "SELECT \
     coalesce(max(extract(epoch FROM replay_lag)), 0)::float8, \
     coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)::float8 \
     FROM pg_stat_replication WHERE state IN ('streaming', 'catchup')";

const WAL: &str = "SELECT \
     pg_wal_lsn_diff(pg_current_wal_lsn(), redo_lsn)::float8, \
     pg_size_bytes(current_setting('max_wal_size'))::float8 FROM pg_control_checkpoint()";

/// Sessions of others that have waited for a lock of ours for a moment. Ours are known by their
/// name and role.
const LOCKS: &str = "SELECT count(DISTINCT w.pid) FROM pg_locks w \
     JOIN pg_stat_activity a ON a.pid = w.pid \
     WHERE NOT w.granted AND w.waitstart < clock_timestamp() - interval '300 milliseconds' \
       AND a.application_name IS DISTINCT FROM current_setting('application_name') \
       AND EXISTS (SELECT 1 FROM unnest(pg_blocking_pids(w.pid)) AS b (pid) \
                   JOIN pg_stat_activity h ON h.pid = b.pid \
                   WHERE h.application_name = current_setting('application_name') \
                     AND h.usename = current_user)";

const FOLDER: &str = "SELECT current_setting('data_directory'), \
     inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' \
     OR inet_server_addr() = '::1'";

/// Asks for everything; what the role may not ask is left out.
async fn look(db: &Connection) -> Result<Seen, DbError> {
    let mut seen = Seen::default();
    if let Some(row) = ask(db, REPLICA).await? {
        (seen.lag_s, seen.lag_bytes) = (row.get(0), row.get(1));
    }
    if let Some(row) = ask(db, WAL).await? {
        (seen.wal_bytes, seen.wal_max_bytes) = (row.get(0), row.get(1));
    }
    if let Some(row) = ask(db, LOCKS).await? {
        seen.lock_waiters = row.get::<_, i64>(0).max(0).unsigned_abs();
    }
    if let Some(row) = ask(db, FOLDER).await? {
        let (folder, here): (Option<String>, Option<bool>) = (row.get(0), row.get(1));
        let folder = folder.filter(|_| here == Some(true));
        seen.free_bytes = folder.and_then(|folder| free_bytes(Path::new(&folder)));
    }
    Ok(seen)
}

/// The answer; none where the server refuses to say.
async fn ask(db: &Connection, sql: &str) -> Result<Option<tokio_postgres::Row>, DbError> {
    match db.query_typed_opt(sql, &[]).await {
        Ok(row) => Ok(row),
        Err(error) if error.as_db_error().is_some() && !db.is_closed() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_held_back_above_a_threshold_and_let_go_well_below_it() {
        let calm = Seen { free_bytes: Some(1 << 40), wal_max_bytes: 1e9, ..Seen::default() };
        assert_eq!(judge(&calm, None), None);
        let lag = |lag_s: f64| Seen { lag_s, ..calm };
        let limit = POLITE_LAG_S as f64;
        assert_eq!(judge(&lag(limit), None), None);
        let held = Some((Hold::Replica, POLITE_LAG_S + 1));
        assert_eq!(judge(&lag(limit + 1.0), None), held);
        assert!(judge(&lag(limit * 0.7), Some(Hold::Replica)).is_some(), "not yet well below");
        assert_eq!(judge(&lag(limit * 0.4), Some(Hold::Replica)), None);
        let behind = Seen { lag_bytes: POLITE_LAG_BYTES as f64 * 1.1, ..calm };
        assert_eq!(judge(&behind, None), Some((Hold::Replica, 0)));
        let wal = Seen { wal_bytes: 0.99e9, ..calm };
        assert_eq!(judge(&wal, None), Some((Hold::Wal, 990_000_000)));
        assert_eq!(judge(&Seen { wal_max_bytes: 0.0, ..wal }, None), None, "not known");
        let full = Seen { free_bytes: Some(5), lock_waiters: 3, ..calm };
        assert_eq!(judge(&full, None), Some((Hold::Disk, 5)));
        let locks = Seen { free_bytes: None, lock_waiters: 3, ..calm };
        assert_eq!(judge(&locks, None), Some((Hold::Locks, 3)));
    }
}
