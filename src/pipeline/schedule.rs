//! The scheduler: gives batches to writers in source order. A batch waits while an earlier one that
//! shares a key with it is being written, so that of two equal keys the same one wins every time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::decoder::{DAY_US, Prepared};
use super::live::{Live, add, sub};
use super::order::Item;
use super::{Cancel, PipelineError, Plan, Stage};
use crate::column::TimeRanges;
use crate::count::Counts;
use crate::db::partition::{Width, ensure_partitions, plan_partitions};
use crate::db::{Connection, catalog};
use crate::limit::PARTITIONS_PER_LOAD_MAX;
use crate::write::{Ladder, LadderCounters, Outcome, Target, WriteError, share_a_key};

/// How a pass over the sources ended.
#[derive(Debug)]
pub(super) enum PassEnd {
    /// Every batch was given to a writer and came back.
    Complete,
    /// The user asked to stop.
    Interrupted,
    /// The server started anew: the ledger must be read again.
    Restarted,
    /// Too many rejects.
    Budget,
    /// It cannot go on.
    Failed(PipelineError),
}

/// What the scheduler works with.
pub(super) struct Scheduler<'a> {
    pub plan: &'a Plan,
    pub cancel: Cancel,
    pub live: Arc<Live>,
    pub counters: Arc<LadderCounters>,
    pub server_started_at: f64,
    /// Loads that failed, with why, by position.
    pub failures: &'a mut HashMap<usize, PipelineError>,
}

/// A batch that a writer has.
struct InFlight {
    writer: usize,
    table: u32,
    keys: Vec<u64>,
}

/// What a writer is told.
struct Order {
    target: Arc<Target>,
    prepared: Box<Prepared>,
}

/// What a writer answers.
struct Answer {
    writer: usize,
    bytes: u64,
    records: u64,
    last: bool,
    result: Result<Outcome, WriteError>,
}

impl Scheduler<'_> {
    /// Writes what comes until it ends.
    pub async fn run(mut self, mut items: mpsc::Receiver<Item>) -> PassEnd {
        let (answers, mut answered) = mpsc::channel(self.plan.writers);
        let writers: Vec<_> = (0..self.plan.writers)
            .map(|writer| self.start_writer(writer, answers.clone()))
            .collect();
        let mut idle: Vec<usize> = (0..writers.len()).rev().collect();
        let mut in_flight: Vec<InFlight> = Vec::new();
        let mut waiting: Option<Box<Prepared>> = None;
        let mut aside = Aside::new(self.plan);
        let mut pace = Pace::new(self.plan.rows_per_sec_max);
        let mut totals = Counts::default();
        let mut end = PassEnd::Complete;
        let mut open = true;
        loop {
            if self.cancel.is_interrupted() {
                // What is in hand is finished, what waits is left for the next run.
                (open, waiting) = (false, None);
                items.close();
                end = PassEnd::Interrupted;
            }
            if let Some(prepared) = waiting
                .take_if(|prepared| !idle.is_empty() && !self.must_wait(prepared, &in_flight))
            {
                sub(&self.live.batches_waiting, 1);
                let read = totals.read + prepared.job.batch.read();
                let rejected = totals.rejected + prepared.job.batch.rejects.len() as u64;
                let spent =
                    self.plan.rejects_max.is_some_and(|b| b.is_spent(read, rejected, false));
                let ready = if spent {
                    Err(PassEnd::Budget)
                } else {
                    aside.make_partitions(&prepared).await.map_err(PassEnd::Failed)
                };
                match ready {
                    Ok(()) => {
                        pace.wait(prepared.job.order.len() as u64).await;
                        let writer = idle.pop().unwrap_or_default();
                        in_flight.push(self.note(writer, &prepared));
                        let target = Arc::clone(&self.plan.loads[prepared.load].target);
                        add(&self.live.writers_busy, 1);
                        let _ = writers[writer].send(Order { target, prepared }).await;
                    }
                    Err(reason) => {
                        (open, end) = (false, reason);
                        items.close();
                    }
                }
                continue;
            }
            if !open && waiting.is_none() && in_flight.is_empty() {
                break;
            }
            tokio::select! {
                Some(answer) = answered.recv(), if !in_flight.is_empty() => {
                    in_flight.retain(|batch| batch.writer != answer.writer);
                    idle.push(answer.writer);
                    sub(&self.live.writers_busy, 1);
                    if let Some(stop) = self.settle(answer, &mut totals) {
                        if !matches!(end, PassEnd::Failed(_)) {
                            end = stop;
                        }
                        (open, waiting) = (false, None);
                        items.close();
                    }
                }
                item = items.recv(), if open && waiting.is_none() => match item {
                    Some(Item::Batch(prepared)) => waiting = Some(prepared),
                    Some(Item::Failed { load, error }) => {
                        self.failures.insert(load, error);
                    }
                    None => open = false,
                },
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
        self.cancel.stop();
        end
    }

    fn start_writer(&self, writer: usize, answers: mpsc::Sender<Answer>) -> mpsc::Sender<Order> {
        let (sender, mut orders) = mpsc::channel::<Order>(1);
        let mut ladder = Ladder::new(
            self.plan.database.clone(),
            self.server_started_at,
            Arc::clone(&self.counters),
            self.plan.retry,
        );
        let live = Arc::clone(&self.live);
        tokio::spawn(async move {
            while let Some(Order { target, mut prepared }) = orders.recv().await {
                let began = Instant::now();
                let result = ladder.write(&target, &mut prepared.job).await;
                live.worked(Stage::Write, began);
                let answer = Answer {
                    writer,
                    bytes: prepared.bytes,
                    records: prepared.job.batch.read(),
                    last: prepared.job.batch.last,
                    result,
                };
                // The batch's memory is given back before its writer is free again.
                drop(prepared);
                if answers.send(answer).await.is_err() {
                    return;
                }
            }
        });
        sender
    }

    fn note(&self, writer: usize, prepared: &Prepared) -> InFlight {
        InFlight {
            writer,
            table: self.plan.loads[prepared.load].target.root().table.oid,
            keys: prepared.keys.clone(),
        }
    }

    fn must_wait(&self, prepared: &Prepared, in_flight: &[InFlight]) -> bool {
        let target = &self.plan.loads[prepared.load].target;
        let table = target.root().table.oid;
        in_flight
            .iter()
            .any(|batch| batch.table == table && share_a_key(&batch.keys, &prepared.keys))
    }

    /// Books an answer. A reason to stop, if there is one.
    fn settle(&self, answer: Answer, totals: &mut Counts) -> Option<PassEnd> {
        match answer.result {
            Ok(Outcome::Committed(counts)) => {
                *totals += counts;
                add(&self.live.rejects, counts.rejected);
            }
            Ok(Outcome::DoneBefore) => {}
            // Left for the next pass.
            Ok(Outcome::Busy) => return None,
            Err(WriteError::Restarted) => return Some(PassEnd::Restarted),
            Err(error) => return Some(PassEnd::Failed(error.into())),
        }
        add(&self.live.bytes_done, answer.bytes);
        add(&self.live.records_committed, answer.records);
        add(&self.live.files_done, u64::from(answer.last));
        let budget = self.plan.rejects_max?;
        budget.is_spent(totals.read, totals.rejected, false).then_some(PassEnd::Budget)
    }
}

/// Partitions for the range that arrives, made on a connection of their own before the first batch
/// that needs them is given to a writer.
struct Aside<'a> {
    plan: &'a Plan,
    connection: Option<Connection>,
    /// What the tables' partitions accept, by table.
    accepted: HashMap<u32, TimeRanges>,
    /// Partitions made so far.
    made: usize,
}

/// Rows a day from which on a day is worth a partition.
const ROWS_A_DAY_FOR_DAYS: u64 = 50_000;
/// Rows a day from which on a month is worth one.
const ROWS_A_DAY_FOR_MONTHS: u64 = 500;

impl<'a> Aside<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self { plan, connection: None, accepted: HashMap::new(), made: 0 }
    }

    async fn make_partitions(&mut self, prepared: &Prepared) -> Result<(), PipelineError> {
        if prepared.days.is_empty() {
            return Ok(());
        }
        let load = &self.plan.loads[prepared.load];
        let table = &load.target.root().table;
        let accepted = self.accepted.entry(table.oid).or_insert_with(|| {
            table.partitioning.as_ref().map(|p| p.accepted.clone()).unwrap_or_default()
        });
        let is_covered = |day: &&i64| accepted.covers(**day * DAY_US, (**day + 1) * DAY_US - 1);
        let missing: BTreeSet<i64> =
            prepared.days.iter().filter(|day| !is_covered(day)).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let width = self.width(prepared);
        let connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.plan.database.connect().await?,
        };
        let connection = self.connection.insert(connection);
        let mut planned = self.accepted.get(&table.oid).cloned().unwrap_or_default();
        let mut needed = Vec::new();
        for day in missing {
            if planned.covers(day * DAY_US, (day + 1) * DAY_US - 1) {
                continue;
            }
            let new = plan_partitions(&planned, day * DAY_US, (day + 1) * DAY_US - 1, width)?;
            planned.ranges.extend(&new);
            planned.ranges.sort_unstable();
            needed.extend(new);
        }
        self.made += ensure_partitions(connection, table, &needed).await?;
        let fresh = catalog::load_table(connection, Some(&table.schema), &table.name).await?;
        if let Some(partitioning) = fresh.and_then(|table| table.partitioning) {
            self.accepted.insert(table.oid, partitioning.accepted);
        }
        Ok(())
    }

    /// Width follows density: the rows a day that this batch has, times the sources that are still
    /// to come for the same days.
    fn width(&self, prepared: &Prepared) -> Width {
        let rows = prepared.job.batch.root.num_rows() as u64;
        let sources = self.plan.loads.len().max(1) as u64;
        let per_day = rows * sources / prepared.days.len().max(1) as u64;
        if per_day >= ROWS_A_DAY_FOR_DAYS && self.made < PARTITIONS_PER_LOAD_MAX / 2 {
            Width::Day
        } else if per_day >= ROWS_A_DAY_FOR_MONTHS && self.made < PARTITIONS_PER_LOAD_MAX * 9 / 10 {
            Width::Month
        } else {
            Width::Year
        }
    }
}

/// Holds rows back to a rate.
struct Pace {
    rows_per_sec: Option<u64>,
    began: Instant,
    rows: u64,
}

impl Pace {
    fn new(rows_per_sec: Option<u64>) -> Self {
        Self { rows_per_sec, began: Instant::now(), rows: 0 }
    }

    /// Waits until `rows` more are due.
    async fn wait(&mut self, rows: u64) {
        let Some(rate) = self.rows_per_sec else { return };
        let due = Duration::from_secs_f64(self.rows as f64 / rate.max(1) as f64);
        tokio::time::sleep(due.saturating_sub(self.began.elapsed())).await;
        self.rows += rows;
    }
}
