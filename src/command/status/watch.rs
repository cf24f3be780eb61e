//! What is loading right now, as the loads themselves say it: for a view that is drawn again every
//! second over a connection of its own. It only asks; `cli` draws.

use serde_json::Value;

use crate::db::{Connection, Database, DbError, ledger};
use crate::limit::LIVE_SILENT_S;
use crate::report::live::{LiveLoad, LiveView};

use crate::command::access::has_ledger;
use crate::command::{Access, CommandError};

/// Asks again and again.
pub struct Watcher {
    database: Database,
    connection: Option<Connection>,
}

impl Watcher {
    /// Connects.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn new(access: &Access) -> Result<Self, CommandError> {
        let (database, connection) = access.connect().await?;
        Ok(Self { database, connection: Some(connection) })
    }

    /// What is going on now. A connection that was lost is made again: what could not be asked is
    /// in the view.
    pub async fn look(&mut self) -> LiveView {
        match self.look_now().await {
            Ok(loads) => LiveView { loads, problem: None },
            Err(error) => {
                self.connection = None;
                LiveView { loads: Vec::new(), problem: Some(error.to_string()) }
            }
        }
    }

    async fn look_now(&mut self) -> Result<Vec<LiveLoad>, DbError> {
        let connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => self.connection.insert(connection),
            _ => self.connection.insert(self.database.connect().await?),
        };
        if !has_ledger(connection).await? {
            return Ok(Vec::new());
        }
        let runs = match ledger::live_runs(connection).await {
            // A ledger that an older version made has no such table.
            Err(error) if error.sqlstate() == Some("42P01") => Vec::new(),
            runs => runs?,
        };
        Ok(runs.into_iter().map(load).collect())
    }
}

/// What a run said, as the view takes it. What is missing, as an older version may not say it, is
/// zero.
fn load(run: ledger::LiveRun) -> LiveLoad {
    let figures = &run.figures;
    let number = |name: &str| figures[name].as_f64().unwrap_or(0.0);
    let count = |name: &str| figures[name].as_u64().unwrap_or(0);
    let word = |name: &str| figures[name].as_str().map(str::to_owned);
    let list = figures["recent_rows_per_s"].as_array();
    let stages = figures["stages"].as_object();
    LiveLoad {
        run_id: run.run_id,
        host: run.host,
        pid: run.pid,
        silent_s: run.silent_s,
        lost: run.silent_s > LIVE_SILENT_S as f64,
        elapsed_s: number("elapsed_s"),
        bytes_total: count("bytes_total"),
        bytes_done: count("bytes_done"),
        rows_read: count("rows_read"),
        rows_written: count("rows_written"),
        rejects: count("rejects"),
        retries: count("retries"),
        files_total: count("files_total"),
        files_done: count("files_done"),
        chunks_waiting: count("chunks_waiting"),
        batches_waiting: count("batches_waiting"),
        writers_busy: count("writers_busy"),
        stages: (stages.into_iter().flatten())
            .map(|(name, share)| (name.clone(), share.as_f64().unwrap_or(0.0)))
            .collect(),
        bottleneck: word("bottleneck"),
        waiting: word("waiting"),
        recent_rows_per_s: list.into_iter().flatten().filter_map(Value::as_f64).collect(),
    }
}
