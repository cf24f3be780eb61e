//! Query workers: each asks the critical queries in turn at a fixed rate, whatever answers take.
//! Latency counts from the moment at which a query was to be asked, not from when it could be: else
//! a server that stands still would be measured by the queries that it did not delay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hdrhistogram::Histogram;
use tokio::sync::{oneshot, watch};

use super::super::bench::link::{Link, Prepared};
use super::super::bench::measure::Values;
use super::super::bench::query::Query;
use crate::db::{Connection, Database, DbError};
use crate::limit::LOADTEST_LATENCY_US_MAX;
use crate::pipeline::Cancel;

/// A query, ready to be asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The query.
    pub query: Query,
    /// Values to ask it with, in turn.
    pub values: Vec<Values>,
}

/// How often.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Workers.
    pub workers: usize,
    /// Queries of one worker in a second.
    pub per_second: f64,
}

/// Latencies of a query, in microseconds.
#[derive(Debug, Clone)]
pub struct Latency {
    /// From when it was to be asked.
    pub corrected: Histogram<u64>,
    /// From when it was asked.
    pub service: Histogram<u64>,
    /// How many failed.
    pub errors: u64,
    /// The first failure.
    pub error: Option<String>,
}

impl Latency {
    /// None yet.
    pub fn new() -> Self {
        Self { corrected: histogram(), service: histogram(), errors: 0, error: None }
    }

    /// Joins another worker's.
    fn add(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.corrected.add(&other.corrected);
        let _ = self.service.add(&other.service);
        self.errors += other.errors;
        self.error = self.error.take().or_else(|| other.error.clone());
    }
}

/// Microseconds up to the longest that is told apart, to three digits.
pub fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants and valid")]
    Histogram::new_with_bounds(1, LOADTEST_LATENCY_US_MAX, 3).expect("valid bounds")
}

/// Runs of each statement before anything counts: a session that has just begun knows no partition,
/// and the sixth plan is the first that may be kept.
const WARM_RUNS: usize = 7;

/// Query workers that wait for their moment, or ask.
#[derive(Debug)]
pub struct Asking {
    thread: std::thread::JoinHandle<Result<Vec<Latency>, DbError>>,
    start: watch::Sender<Option<(Instant, Instant)>>,
}

impl Asking {
    /// Lets them ask from `start` to `end`.
    pub fn begin(&self, start: Instant, end: Instant) {
        // Nobody is left to hear it if all of them failed.
        let _ = self.start.send(Some((start, end)));
    }

    /// Waits for their end. The latencies of each query.
    pub fn join(self) -> std::thread::Result<Result<Vec<Latency>, DbError>> {
        self.thread.join()
    }
}

/// Starts query workers on a thread and a runtime of their own: so nothing that the writers compute
/// counts as the server's. They connect and warm up; the message says that they have.
pub fn ask(
    database: &Database,
    link: &Link,
    asked: &Arc<Vec<Asked>>,
    pace: Pace,
    cancel: &Cancel,
) -> (Asking, oneshot::Receiver<()>) {
    let (start, moment) = watch::channel(None);
    let (warm, is_warm) = oneshot::channel();
    let thread = spawn(database, link, asked, pace, cancel, (warm, moment));
    (Asking { thread, start }, is_warm)
}

type Signals = (oneshot::Sender<()>, watch::Receiver<Option<(Instant, Instant)>>);

fn spawn(
    database: &Database,
    link: &Link,
    asked: &Arc<Vec<Asked>>,
    pace: Pace,
    cancel: &Cancel,
    (warm, moment): Signals,
) -> std::thread::JoinHandle<Result<Vec<Latency>, DbError>> {
    let (database, link, asked) = (database.clone(), link.clone(), Arc::clone(asked));
    let cancel = cancel.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| DbError::Config(format!("cannot start query workers: {error}")))?;
        runtime.block_on(async {
            let workers = (0..pace.workers).map(|number| Worker {
                database: &database,
                link: &link,
                asked: &asked,
                pace,
                number,
                cancel: &cancel,
                moment: moment.clone(),
            });
            let ready = join_all(workers.map(Worker::warm_up)).await;
            let ready = ready.into_iter().collect::<Result<Vec<_>, _>>()?;
            // Whoever waits for it has given up if it is not heard.
            let _ = warm.send(());
            let mut all = vec![Latency::new(); asked.len()];
            let runs = ready.into_iter().map(|(worker, db, statements)| worker.run(db, statements));
            for latencies in join_all(runs).await {
                all.iter_mut().zip(latencies?).for_each(|(all, one)| all.add(&one));
            }
            Ok(all)
        })
    })
}

struct Worker<'a> {
    database: &'a Database,
    link: &'a Link,
    asked: &'a [Asked],
    pace: Pace,
    number: usize,
    cancel: &'a Cancel,
    moment: watch::Receiver<Option<(Instant, Instant)>>,
}

impl Worker<'_> {
    /// Connects, prepares, and runs each statement a few times.
    async fn warm_up(self) -> Result<(Self, Connection, Vec<Prepared>), DbError> {
        let db = self.database.connect().await?;
        let mut statements = Vec::new();
        for asked in self.asked {
            let mut statement = Prepared::new(&db, self.link, &asked.query.sql).await?;
            for values in asked.values.iter().cycle().take(WARM_RUNS) {
                statement.run(&db, values).await?;
            }
            statements.push(statement);
        }
        Ok((self, db, statements))
    }

    async fn run(
        mut self,
        db: Connection,
        mut statements: Vec<Prepared>,
    ) -> Result<Vec<Latency>, DbError> {
        let mut latencies = vec![Latency::new(); self.asked.len()];
        let moment = self.moment.wait_for(Option::is_some).await.ok().and_then(|moment| *moment);
        let Some((start, end)) = moment.filter(|_| !self.asked.is_empty()) else {
            return Ok(latencies);
        };
        let every = Duration::from_secs_f64(1.0 / self.pace.per_second);
        // Workers take turns, and begin with different queries.
        let first = start + every.mul_f64(self.number as f64 / self.pace.workers.max(1) as f64);
        for turn in 0_u32.. {
            let intended = first + every * turn;
            if intended >= end || self.cancel.is_set() {
                break;
            }
            let at = (turn as usize + self.number) % self.asked.len();
            let latency = &mut latencies[at];
            if Instant::now() >= end {
                // It was to be asked and is not any more: it waited at least so long.
                record(&mut latency.corrected, intended.elapsed());
                continue;
            }
            let is_on_time = Instant::now() < intended;
            tokio::time::sleep_until(intended.into()).await;
            let late =
                if is_on_time { intended.elapsed().min(TIMER_GRAIN) } else { Duration::ZERO };
            let from = intended + late;
            let values = &self.asked[at].values;
            let values = &values[(turn as usize / self.asked.len()) % values.len()];
            match statements[at].run(&db, values).await {
                Ok((_, time)) => {
                    record(&mut latency.corrected, from.elapsed());
                    record(&mut latency.service, time);
                }
                Err(error) if db.is_closed() => return Err(error),
                Err(error) => {
                    latency.errors += 1;
                    latency.error.get_or_insert_with(|| error.to_string());
                }
            }
        }
        Ok(latencies)
    }
}

/// A worker that has waited for its moment is woken by its own timer so much too late at most: that
/// is not the server's, and half of a target of two milliseconds.
const TIMER_GRAIN: Duration = Duration::from_millis(1);

/// Records a time.
pub fn record(histogram: &mut Histogram<u64>, time: Duration) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    histogram.saturating_record(micros.max(1));
}
