//! One rate: writers and query workers at once, and what they and the server say at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use super::super::CommandError;
use super::super::bench::query::Query;
use super::reader::{Asked, Asking, Latency, Pace, ask};
use super::server::{Counters, waiting};
use super::writer::{Tide, Written, write};
use super::{Test, now_us, refresh_statistics, show as shown};
use crate::report::human;

/// How long before the first row falls due.
const RUN_UP: Duration = Duration::from_millis(500);
/// From one look at locks, and at whether to refresh, to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// From one line for people to the next.
const SHOW_EVERY: u32 = 5;
/// The part of the rows that fell due which must be written for the rate to count as held.
const WRITTEN_PART_MIN: f64 = 0.95;

/// Who could not keep up with a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Queries took longer than they may, or failed.
    Queries,
    /// The writers, with the server behind them, did not write what fell due; the queries held.
    Writers,
}

impl Limit {
    /// As reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Queries => "queries",
            Limit::Writers => "writers",
        }
    }
}

/// What came of one rate.
#[derive(Debug)]
pub struct Level {
    /// Rows in a second.
    pub rate: f64,
    /// How long, in seconds.
    pub seconds: f64,
    /// What the writers did.
    pub written: Written,
    /// What the query workers saw.
    pub queries: Vec<(Query, Latency)>,
    /// What the server did.
    pub server: Value,
    /// The user, or the limit of rows, ended it before its time.
    pub ended_early: bool,
}

impl Level {
    /// Rows that were written in a second.
    pub fn written_per_s(&self) -> f64 {
        self.written.rows as f64 / self.seconds.max(1e-9)
    }

    /// Whether so many rows as fell due were written, but for a few.
    fn writers_held(&self) -> bool {
        self.written.rows as f64 >= self.written.due as f64 * WRITTEN_PART_MIN
    }

    /// Who could not keep up, if anybody: the queries, or the writers, which may be too slow while
    /// every query holds its target.
    pub fn limit(&self) -> Option<Limit> {
        if !self.query_misses().is_empty() {
            return Some(Limit::Queries);
        }
        (!self.writers_held()).then_some(Limit::Writers)
    }

    /// What was missed, for people; empty if everything held.
    pub fn misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        if !self.writers_held() {
            misses.push(format!(
                "only {} of {} rows that fell due were written",
                human::count(self.written.rows),
                human::count(self.written.due)
            ));
        }
        misses.extend(self.query_misses());
        misses
    }

    fn query_misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        for (query, latency) in &self.queries {
            if let Some(error) = &latency.error {
                let errors = human::plural(latency.errors, "failure");
                misses.push(format!("{}: {errors}, the first: {error}", query.name));
            }
            let time = percentile(latency, query.percentile);
            if let Some(target) = query.target_ms.filter(|target| time >= *target) {
                let time = super::super::bench::ms(time);
                let percent = query.percentile;
                misses
                    .push(format!("{}: p{percent} is {time}, the target {target} ms", query.name));
            }
        }
        misses
    }

    /// Whether all targets held.
    pub fn held(&self) -> bool {
        self.misses().is_empty()
    }
}

/// In milliseconds; 0 where nothing was asked.
pub fn percentile(latency: &Latency, percent: f64) -> f64 {
    latency.corrected.value_at_quantile(percent / 100.0) as f64 / 1e3
}

/// Runs one rate for `time`.
pub async fn run(
    test: &mut Test<'_>,
    asked: &Arc<Vec<Asked>>,
    rate: f64,
    time: Duration,
    show: &mut impl FnMut(&str),
) -> Result<Level, CommandError> {
    let request = test.request;
    let pace = Pace { workers: request.queries, per_second: request.query_rate };
    let (asking, is_warm) = ask(&test.database, &test.link, asked, pace, &test.cancel);
    let mut connections = Vec::new();
    for _ in 0..request.writers {
        connections.push(Arc::new(test.database.connect().await?));
    }
    if is_warm.await.is_err() {
        // They came to an end before they were ready, and say why.
        joined(asking).await?;
        return Err(CommandError::Refused("a query worker came to an end".to_owned()));
    }
    let start = Instant::now() + RUN_UP;
    let end = start + time;
    asking.begin(start, end);
    let tide = Tide {
        start,
        start_us: now_us() + RUN_UP.as_micros() as i64,
        end,
        every: request.every,
        rate,
        writers: request.writers,
    };
    let mut writers = JoinSet::new();
    for (number, db) in connections.into_iter().enumerate() {
        let (source, room) = (Arc::clone(&test.source), Arc::clone(&test.room));
        writers.spawn(write(db, source, room, tide, number, test.cancel.clone()));
    }
    let before = Counters::read(&test.db).await?;
    tokio::time::sleep_until(start.into()).await;
    let (written, waiting) = watch(test, &mut writers, rate, end, show).await?;
    let ended_early = test.cancel.is_set() || test.room.is_spent();
    match ended_early {
        // The queries have nothing to be asked beside any more.
        true => test.cancel.stop(),
        // The last batch falls due before the end.
        false => tokio::time::sleep_until(end.into()).await,
    }
    let latencies = joined(asking).await;
    test.cancel.rearm();
    let (latencies, seconds) = (latencies?, start.elapsed().as_secs_f64());
    let server = Counters::read(&test.db).await?.since(&before, seconds, waiting);
    let queries = asked.iter().map(|asked| asked.query.clone()).zip(latencies).collect();
    Ok(Level { rate, seconds, written, queries, server, ended_early })
}

/// Waits for the query workers.
async fn joined(asking: Asking) -> Result<Vec<Latency>, CommandError> {
    match tokio::task::spawn_blocking(move || asking.join()).await {
        Ok(Ok(latencies)) => Ok(latencies?),
        _ => Err(CommandError::Refused("a query worker came to an end".to_owned())),
    }
}

/// Waits for the writers; looks at locks and keeps the statistics of the last day fresh meanwhile.
async fn watch(
    test: &mut Test<'_>,
    writers: &mut JoinSet<Result<Written, CommandError>>,
    rate: f64,
    end: Instant,
    show: &mut impl FnMut(&str),
) -> Result<(Written, i64), CommandError> {
    let (mut written, mut most, mut looks) = (Written::new(), 0, 0_u32);
    // Refreshing takes a connection for a while.
    let mut refreshing: Option<tokio::task::JoinHandle<Result<(), CommandError>>> = None;
    loop {
        tokio::select! {
            ended = writers.join_next() => match ended {
                Some(Ok(one)) => match one {
                    Ok(one) => written.add(&one),
                    Err(error) => {
                        test.cancel.stop();
                        return Err(error);
                    }
                },
                Some(Err(error)) => return Err(CommandError::Refused(error.to_string())),
                None => break,
            },
            () = tokio::time::sleep(LOOK_EVERY) => {
                looks += 1;
                most = most.max(waiting(&test.db).await?);
                if looks.is_multiple_of(SHOW_EVERY) {
                    let left = end.saturating_duration_since(Instant::now());
                    show(&format!(
                        "{}, {} s to go",
                        shown::rate(rate),
                        left.as_secs()
                    ));
                }
                let every = test.request.refresh_every;
                let due = test.refreshed.is_some_and(|at| at.elapsed() >= every);
                if due && refreshing.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
                    test.refreshed = Some(Instant::now());
                    let database = test.database.clone();
                    refreshing = Some(tokio::spawn(async move {
                        refresh_statistics(&database.connect().await?).await
                    }));
                }
            }
        }
    }
    if let Some(refreshing) = refreshing {
        refreshing.await.map_err(|error| CommandError::Refused(error.to_string()))??;
    }
    Ok((written, most))
}
