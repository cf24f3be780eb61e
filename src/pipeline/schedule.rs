//! The scheduler: gives batches to writers in source order. A batch waits while an earlier one that
//! shares a key with it is being written, so that of two equal keys the same one wins every time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::decoder::Prepared;
use super::live::{Hold, Live, add, sub};
use super::order::Item;
use super::partitions::PartitionMaker;
use super::{Cancel, PipelineError, Plan, Stage};
use crate::batch::Original;
use crate::count::Counts;
use crate::write::{Job, Ladder, LadderCounters, Outcome, Target, WriteError, share_a_key};

/// How a pass over the sources ended.
#[derive(Debug)]
pub(super) enum PassEnd {
    /// Every batch was given to a writer and came back.
    Complete,
    /// The user asked to stop.
    Interrupted,
    /// The server started anew: the ledger must be read again.
    Restarted,
    /// Too many rejects; what a person should know about them.
    Budget(String),
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
    /// What the pass committed so far.
    pub totals: &'a mut Counts,
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
    pub async fn run(self, items: &mut mpsc::Receiver<Item>) -> PassEnd {
        let (answers, mut answered) = mpsc::channel(self.plan.writers);
        let writers: Vec<_> = (0..self.plan.writers)
            .map(|writer| self.start_writer(writer, answers.clone()))
            .collect();
        let mut desk = Desk::new(self.plan, items, writers);
        desk.totals = *self.totals;
        let mut partitions = PartitionMaker::new(self.plan);
        loop {
            if self.cancel.is_interrupted() {
                // What is in hand is finished, what waits is left for the next run.
                desk.close(PassEnd::Interrupted);
            }
            if let Some(prepared) = desk.take_ready(self.plan) {
                sub(&self.live.batches_waiting, 1);
                if let Err(reason) = self.dispatch(prepared, &mut desk, &mut partitions).await {
                    desk.close(reason);
                }
                continue;
            }
            if desk.is_done() {
                break;
            }
            tokio::select! {
                Some(answer) = answered.recv(), if !desk.in_flight.is_empty() => {
                    desk.came_back(answer.writer);
                    sub(&self.live.writers_busy, 1);
                    if let Some(reason) = self.settle(answer, &mut desk.totals) {
                        desk.close(reason);
                    }
                }
                item = desk.items.recv(), if desk.wants_more() => match item {
                    Some(Item::Batch(prepared)) => desk.waiting = Some(prepared),
                    Some(Item::Failed { load, error }) => {
                        self.failures.insert(load, error);
                    }
                    None => desk.open = false,
                },
                // The cancel flag is looked at now and then even if nothing else happens.
                () = tokio::time::sleep(CANCEL_LOOK) => {}
            }
        }
        self.cancel.stop();
        *self.totals = desk.totals;
        desk.end
    }

    /// Gives a batch to an idle writer, once its partitions are there and the rate allows it.
    async fn dispatch(
        &self,
        prepared: Box<Prepared>,
        desk: &mut Desk<'_>,
        partitions: &mut PartitionMaker<'_>,
    ) -> Result<(), PassEnd> {
        let read = desk.totals.read + prepared.job.batch.read();
        let rejected = desk.totals.rejected + prepared.job.batch.rejects.len() as u64;
        if self.plan.rejects_max.is_some_and(|budget| budget.is_spent(read, rejected, false)) {
            return Err(PassEnd::Budget(over_budget(&prepared.job, read, rejected)));
        }
        partitions.make_for(&prepared).await.map_err(PassEnd::Failed)?;
        desk.pace.wait(prepared.job.order.len() as u64, &self.live, &self.cancel).await;
        let target = Arc::clone(&self.plan.loads[prepared.load].target);
        let writer = desk.idle.pop().unwrap_or_default();
        desk.in_flight.push(InFlight {
            writer,
            table: target.root().table.oid,
            keys: prepared.keys.clone(),
        });
        add(&self.live.writers_busy, 1);
        let sent = desk.writers[writer].send(Order { target, prepared }).await;
        sent.map_err(|_| PassEnd::Failed(PipelineError::Lost("a writer")))
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
                let working = live.work(Stage::Write);
                let result = ladder.write(&target, &mut prepared.job).await;
                drop(working);
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
        budget.is_spent(totals.read, totals.rejected, false).then(|| {
            let Counts { read, rejected, .. } = totals;
            PassEnd::Budget(format!(
                "stopped by --max-rejects: {rejected} of {read} records were refused; mend the \
                 sources, or allow more"
            ))
        })
    }
}

/// Says why a batch is not loaded: its rejects, which are recorded with it or not at all, would be
/// too many.
pub(super) fn over_budget(job: &Job, read: u64, rejected: u64) -> String {
    let first = job.batch.rejected().next().map(|reject| {
        let row = job.batch.span.first_row + u64::from(reject.row);
        match job.batch.original {
            Original::Text(_) => {
                let line = job.batch.span.first_line + u64::from(reject.line);
                format!("line {line}, {}: {}", reject.rule, reject.reason)
            }
            Original::Columns => format!("row {row}, {}: {}", reject.rule, reject.reason),
        }
    });
    format!(
        "stopped by --max-rejects: the next batch of {} would make it {rejected} rejects in {read} \
         records, so it was not loaded (its first: {}); mend the source, or allow more",
        job.source,
        first.unwrap_or_default()
    )
}

/// How often the cancel flag is looked at.
const CANCEL_LOOK: Duration = Duration::from_millis(100);

/// What the scheduler has before it.
struct Desk<'a> {
    items: &'a mut mpsc::Receiver<Item>,
    /// Whether more batches are taken.
    open: bool,
    /// The batch that is next.
    waiting: Option<Box<Prepared>>,
    writers: Vec<mpsc::Sender<Order>>,
    idle: Vec<usize>,
    in_flight: Vec<InFlight>,
    totals: Counts,
    pace: Pace,
    end: PassEnd,
}

impl<'a> Desk<'a> {
    fn new(
        plan: &Plan,
        items: &'a mut mpsc::Receiver<Item>,
        writers: Vec<mpsc::Sender<Order>>,
    ) -> Self {
        Self {
            items,
            open: true,
            waiting: None,
            idle: (0..writers.len()).rev().collect(),
            writers,
            in_flight: Vec::new(),
            totals: Counts::default(),
            pace: Pace::new(plan.rows_per_sec_max),
            end: PassEnd::Complete,
        }
    }

    /// The next batch, if a writer is idle and no batch in flight shares a key with it.
    fn take_ready(&mut self, plan: &Plan) -> Option<Box<Prepared>> {
        let (idle, in_flight) = (!self.idle.is_empty(), &self.in_flight);
        self.waiting.take_if(|prepared| {
            let table = plan.loads[prepared.load].target.root().table.oid;
            idle && !in_flight
                .iter()
                .any(|batch| batch.table == table && share_a_key(&batch.keys, &prepared.keys))
        })
    }

    fn wants_more(&self) -> bool {
        self.open && self.waiting.is_none()
    }

    fn is_done(&self) -> bool {
        !self.open && self.waiting.is_none() && self.in_flight.is_empty()
    }

    fn came_back(&mut self, writer: usize) {
        self.in_flight.retain(|batch| batch.writer != writer);
        self.idle.push(writer);
    }

    /// Takes no more work. A failure is not covered up by a later reason.
    fn close(&mut self, reason: PassEnd) {
        (self.open, self.waiting) = (false, None);
        self.items.close();
        if !matches!(self.end, PassEnd::Failed(_)) {
            self.end = reason;
        }
    }
}

/// Holds rows back to a rate.
#[derive(Debug)]
pub(super) struct Pace {
    rows_per_sec: Option<u64>,
    began: Instant,
    rows: u64,
}

impl Pace {
    pub fn new(rows_per_sec: Option<u64>) -> Self {
        Self { rows_per_sec, began: Instant::now(), rows: 0 }
    }

    /// Waits until `rows` more may be sent: until they are due, and while the load is held back.
    /// What is asked for is never exceeded, not by the first batch and not by the last. The user's
    /// wish to stop ends the wait.
    pub async fn wait(&mut self, rows: u64, live: &Live, cancel: &Cancel) {
        while live.holding().is_some() && !cancel.is_interrupted() {
            let why = live.holding().map_or(Hold::Locks, |(why, _)| why);
            let _held = live.hold(why);
            tokio::time::sleep(CANCEL_LOOK).await;
        }
        self.rows += rows;
        let Some(rate) = self.rows_per_sec else { return };
        let due = Duration::from_secs_f64(self.rows as f64 / rate.max(1) as f64);
        let _held = (due > self.began.elapsed()).then(|| live.hold(Hold::Rate));
        while let Some(left) = due.checked_sub(self.began.elapsed())
            && !left.is_zero()
            && !cancel.is_interrupted()
        {
            tokio::time::sleep(left.min(CANCEL_LOOK)).await;
        }
    }
}
