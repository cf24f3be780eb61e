//! A load is observed while it runs: its figures are sampled for the report's timeline, and
//! published in the ledger's database, on a connection of its own, for `status --watch`. A load
//! that is over in a moment publishes nothing, and a publication that fails holds nothing up.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::db::{Connection, Database, DbError, ledger};
use crate::error::Class;
use crate::limit::{LIVE_EVERY_MS, LIVE_PATIENCE_S, TIMELINE_STEP_MS};
use crate::pipeline::{Hold, Stage};
use crate::report::timeline::Sample;

use super::watch::Watch;

/// Seconds of the past that are published, and in how many steps.
const RECENT: (f64, usize) = (60.0, 60);

/// The task that observes a load.
pub(super) struct Observer {
    watch: Watch,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Observer {
    /// Begins to observe.
    pub fn start(database: &Database, run_id: i64, watch: &Watch) -> Self {
        let (stop, stopped) = oneshot::channel();
        let publisher = Publisher { database: database.clone(), run_id, connection: None };
        let task = tokio::spawn(observe(watch.clone(), publisher, stopped));
        Self { watch: watch.clone(), stop, task }
    }

    /// Takes the last sample, and what was published away.
    pub async fn end(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
        let last = self.watch.sample();
        self.watch.history().finish(last);
    }
}

async fn observe(watch: Watch, mut publisher: Publisher, mut stopped: oneshot::Receiver<()>) {
    let mut published = Instant::now();
    let mut wait = Duration::from_millis(LIVE_EVERY_MS);
    let mut publishes = true;
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            () = tokio::time::sleep(Duration::from_millis(TIMELINE_STEP_MS)) => {}
        }
        let sample = watch.sample();
        watch.history().push(sample);
        if !publishes || published.elapsed() < wait {
            continue;
        }
        let figures = watch.figures();
        // The end of the load does not wait for a server that does not answer.
        let told = tokio::select! {
            _ = &mut stopped => break,
            told = publisher.tell(&figures) => told,
        };
        wait = Duration::from_millis(LIVE_EVERY_MS);
        match told {
            Ok(()) => {}
            Err(Some(error)) if error.class() == Class::Stop => publishes = false,
            Err(_) => {
                publisher.connection = None;
                wait *= 5;
            }
        }
        published = Instant::now();
    }
    publisher.withdraw().await;
}

struct Publisher {
    database: Database,
    run_id: i64,
    connection: Option<Connection>,
}

impl Publisher {
    /// Publishes the figures. An error without a cause: it took too long.
    async fn tell(&mut self, figures: &Value) -> Result<(), Option<DbError>> {
        let patience = Duration::from_secs(LIVE_PATIENCE_S);
        match tokio::time::timeout(patience, self.tell_now(figures)).await {
            Ok(told) => told.map_err(Some),
            Err(_) => Err(None),
        }
    }

    async fn tell_now(&mut self, figures: &Value) -> Result<(), DbError> {
        let connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => self.connection.insert(connection),
            _ => {
                let connection = self.database.connect().await?;
                ledger::sweep(&connection).await?;
                self.connection.insert(connection)
            }
        };
        let process = (host(), i32::try_from(std::process::id()).unwrap_or(0));
        ledger::publish(connection, self.run_id, (&process.0, process.1), figures).await
    }

    async fn withdraw(self) {
        if let Some(connection) = self.connection {
            let patience = Duration::from_secs(LIVE_PATIENCE_S);
            // What stays is seen to be over by the end of its run, and swept by the next.
            let _ =
                tokio::time::timeout(patience, ledger::withdraw(&connection, self.run_id)).await;
        }
    }
}

/// This machine's name.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl Watch {
    /// The growing figures as they are now.
    fn sample(&self) -> Sample {
        let live = &self.live;
        Sample {
            at_s: self.elapsed().as_secs_f64(),
            rows: live.records_committed.load(Relaxed),
            bytes: live.bytes_done.load(Relaxed),
            rejects: live.rejects.load(Relaxed),
            retries: self.counters.retries.load(Relaxed),
            occupied_s: Stage::ALL.map(|stage| live.occupied_s(stage)).to_vec(),
            held_s: live.held_s(),
        }
    }

    /// What others are told.
    fn figures(&self) -> Value {
        let now = self.snapshot(self.elapsed());
        let (recent, timeline) = {
            let history = self.history();
            let names = Stage::ALL.map(Stage::name);
            (history.recent_rows_per_s(RECENT.0, RECENT.1), history.latest(&names))
        };
        let stages: serde_json::Map<String, Value> = (timeline.iter())
            .flat_map(|point| Stage::ALL.iter().zip(&point.occupied))
            .map(|(stage, occupied)| (stage.name().to_owned(), json!(occupied)))
            .collect();
        let held: serde_json::Map<String, Value> = (Hold::ALL.iter())
            .filter(|why| self.live.hold_s(**why) > 0.0)
            .map(|why| (why.name().to_owned(), json!(self.live.hold_s(*why).round())))
            .collect();
        let recent: Vec<f64> = recent.iter().map(|speed| speed.round()).collect();
        let mut figures = now.figures();
        for (name, value) in [
            ("stages", json!(stages)),
            ("bottleneck", json!(timeline.and_then(|point| point.bottleneck))),
            ("held_s", json!(held)),
            ("recent_rows_per_s", json!(recent)),
        ] {
            figures.insert(name.to_owned(), value);
        }
        Value::Object(figures)
    }
}
