//! What running loads say of themselves, for whoever watches: one row a run, overwritten every
//! second or two, each time in a statement of its own. It is worth nothing to the load: whoever
//! publishes goes on if it fails.

use serde_json::Value;
use tokio_postgres::types::Type;

use crate::db::{Connection, DbError};
use crate::limit::LIVE_FORGOTTEN_S;

/// What a running load said last.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveRun {
    /// The run.
    pub run_id: i64,
    /// The machine that it runs on.
    pub host: String,
    /// Its process there.
    pub pid: i32,
    /// Seconds since it said something.
    pub silent_s: f64,
    /// What it said.
    pub figures: Value,
}

/// Says how run `run_id` goes; `host` and `pid` are this process.
///
/// # Errors
/// The server's.
pub async fn publish(
    db: &Connection,
    run_id: i64,
    (host, pid): (&str, i32),
    figures: &Value,
) -> Result<(), DbError> {
    db.execute_typed(
        "INSERT INTO tidegate.live (run_id, host, pid, figures) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (run_id) DO UPDATE SET heartbeat = clock_timestamp(), \
             figures = excluded.figures",
        &[(&run_id, Type::INT8), (&host, Type::TEXT), (&pid, Type::INT4), (&figures, Type::JSONB)],
    )
    .await?;
    Ok(())
}

/// Takes the row of a run away.
///
/// # Errors
/// The server's.
pub async fn withdraw(db: &Connection, run_id: i64) -> Result<(), DbError> {
    let sql = "DELETE FROM tidegate.live WHERE run_id = $1";
    db.execute_typed(sql, &[(&run_id, Type::INT8)]).await?;
    Ok(())
}

/// Takes the rows away of runs that have ended, or that have been silent for so long that nobody
/// needs to be told any more.
///
/// # Errors
/// The server's.
pub async fn sweep(db: &Connection) -> Result<(), DbError> {
    db.execute_typed(
        "DELETE FROM tidegate.live l \
         WHERE l.heartbeat < clock_timestamp() - make_interval(secs => $1) \
            OR EXISTS (SELECT 1 FROM tidegate.run r \
                       WHERE r.id = l.run_id AND r.finished_at IS NOT NULL)",
        &[(&(LIVE_FORGOTTEN_S as f64), Type::FLOAT8)],
    )
    .await?;
    Ok(())
}

/// What is going on, the newest run first. Rows of runs that have ended are left out.
///
/// # Errors
/// The server's.
pub async fn live_runs(db: &Connection) -> Result<Vec<LiveRun>, DbError> {
    const SQL: &str = "\
SELECT l.run_id, l.host, l.pid, l.figures,
       greatest(extract(epoch FROM clock_timestamp() - l.heartbeat), 0)::float8 AS silent_s
FROM tidegate.live l
WHERE NOT EXISTS (SELECT 1 FROM tidegate.run r WHERE r.id = l.run_id AND r.finished_at IS NOT NULL)
ORDER BY l.run_id DESC";
    let rows = db.query_typed(SQL, &[]).await?;
    let run = |row: &tokio_postgres::Row| LiveRun {
        run_id: row.get("run_id"),
        host: row.get("host"),
        pid: row.get("pid"),
        silent_s: row.get("silent_s"),
        figures: row.get("figures"),
    };
    Ok(rows.iter().map(run).collect())
}
