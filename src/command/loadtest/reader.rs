//! Query workers: each asks the critical queries in turn at a fixed rate, whatever answers take.
//! Latency counts from the moment at which a query was to be asked, not from when it could be: else
//! a server that stands still would be measured by the queries that it did not delay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hdrhistogram::Histogram;

use super::super::bench::link::{Link, Prepared};
use super::super::bench::measure::Values;
use super::super::bench::query::Query;
use crate::db::{Database, DbError};
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

/// When and how often.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The first moment.
    pub start: Instant,
    /// Nothing is to be asked from here on.
    pub end: Instant,
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

/// Asks until the end, on a thread and a runtime of its own: so nothing that the writers compute
/// counts as the server's. The latencies of each query.
pub fn ask(
    database: &Database,
    link: &Link,
    asked: &Arc<Vec<Asked>>,
    pace: Pace,
    cancel: &Cancel,
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
            });
            let mut all = vec![Latency::new(); asked.len()];
            for latencies in join_all(workers.map(Worker::run)).await {
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
}

impl Worker<'_> {
    async fn run(self) -> Result<Vec<Latency>, DbError> {
        let mut latencies = vec![Latency::new(); self.asked.len()];
        if self.asked.is_empty() {
            return Ok(latencies);
        }
        let db = self.database.connect().await?;
        let mut statements = Vec::new();
        for asked in self.asked {
            statements.push(Prepared::new(&db, self.link, &asked.query.sql).await?);
        }
        let every = Duration::from_secs_f64(1.0 / self.pace.per_second);
        // Workers take turns, and begin with different queries.
        let first =
            self.pace.start + every.mul_f64(self.number as f64 / self.pace.workers.max(1) as f64);
        for turn in 0_u32.. {
            let intended = first + every * turn;
            if intended >= self.pace.end || self.cancel.is_set() {
                break;
            }
            let at = (turn as usize + self.number) % self.asked.len();
            let latency = &mut latencies[at];
            if Instant::now() >= self.pace.end {
                // It was to be asked and is not any more: it waited at least so long.
                record(&mut latency.corrected, intended.elapsed());
                continue;
            }
            tokio::time::sleep_until(intended.into()).await;
            let values = &self.asked[at].values;
            let values = &values[(turn as usize / self.asked.len()) % values.len()];
            match statements[at].run(&db, values).await {
                Ok((_, time)) => {
                    record(&mut latency.corrected, intended.elapsed());
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

/// Records a time.
pub fn record(histogram: &mut Histogram<u64>, time: Duration) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    histogram.saturating_record(micros.max(1));
}
