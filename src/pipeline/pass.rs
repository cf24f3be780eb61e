//! A run of loads: passes over their sources until the ledger has every span, then the seal. A
//! resumed run and a run after a server restart are the same thing: what the ledger lacks is done.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossbeam_channel::bounded;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::budget::Budget;
use super::crossing::{self, TickerDesk};
use super::decoder::Decoder;
use super::live::Live;
use super::order::Item;
use super::polite::Polite;
use super::reader::{Reader, Walk};
use super::scatter::{Members, Scatter};
use super::schedule::{Pace, PassEnd, Scheduler};
use super::{Cancel, PipelineError, Plan, Stage, order};
use crate::count::Counts;
use crate::db::ledger::{self, Seal, Window};
use crate::db::{Connection, Database, DbError};
use crate::error::Class;
use crate::limit::{BACKOFF_FIRST_MS, BACKOFF_LAST_MS, PASSES_MAX, UNITS_QUEUED_MAX};
use crate::write::{LadderCounters, WriteError};

/// How a run ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// The user stopped it.
    pub interrupted: bool,
    /// The error budget stopped it; why, for people.
    pub budget_spent: Option<String>,
    /// What stopped the whole run.
    pub error: Option<PipelineError>,
    /// Loads that failed on their own, by position in the plan.
    pub failures: HashMap<usize, PipelineError>,
    /// Accounts that do not add up, for people.
    pub broken: Vec<String>,
}

/// Runs a plan to its end. `connection` is to its database; others are opened beside it.
pub async fn run(
    plan: Plan,
    connection: &Connection,
    cancel: Cancel,
    live: Arc<Live>,
    counters: Arc<LadderCounters>,
) -> Ended {
    let polite = plan.polite.then(|| Polite::start(&plan.database, &live));
    let ended = passes(plan, connection, cancel, Arc::clone(&live), counters).await;
    if let Some(polite) = polite {
        polite.end(&live).await;
    }
    ended
}

async fn passes(
    plan: Plan,
    connection: &Connection,
    cancel: Cancel,
    live: Arc<Live>,
    counters: Arc<LadderCounters>,
) -> Ended {
    let mut plan = Arc::new(plan);
    let mut ended = Ended::default();
    let mut pause_ms = BACKOFF_FIRST_MS;
    for pass in 0..PASSES_MAX {
        let began = match begin_pass(&mut plan, connection, pass > 0).await {
            Ok(began) => began,
            Err(error) => {
                ended.error = Some(error.into());
                return ended;
            }
        };
        let passing = Pass {
            plan: &plan,
            server_started_at: began,
            cancel: &cancel,
            live: &live,
            counters: &counters,
        };
        let restarted = match passing.run(&mut ended.failures).await {
            PassEnd::Complete => false,
            PassEnd::Restarted => true,
            PassEnd::Interrupted => {
                ended.interrupted = true;
                return ended;
            }
            PassEnd::Budget(why) => {
                ended.budget_spent = Some(why);
                return ended;
            }
            PassEnd::Failed(error) => {
                ended.error = Some(error);
                return ended;
            }
        };
        cancel.rearm();
        if restarted {
            // A server that is there and takes nobody would else be asked again and again.
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(BACKOFF_LAST_MS);
            continue;
        }
        match seal_all(&plan, connection, &mut ended).await {
            Ok(true) => return ended,
            // Another process holds portions, or the server lost what it had acknowledged.
            Ok(false) => {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                pause_ms = (pause_ms * 2).min(BACKOFF_LAST_MS);
            }
            Err(error) if error.class() == Class::Reconnect => {}
            Err(error) => {
                ended.error = Some(error.into());
                return ended;
            }
        }
    }
    ended.error = Some(PipelineError::Lost("a load that should have been complete"));
    ended
}

/// Learns which server this pass talks to and, after the first pass, what is committed by now.
async fn begin_pass(
    plan: &mut Arc<Plan>,
    connection: &Connection,
    again: bool,
) -> Result<f64, DbError> {
    let began = std::time::Instant::now();
    let mut pause_ms = BACKOFF_FIRST_MS;
    loop {
        let error = match look(plan, connection, again).await {
            Ok(server_started_at) => return Ok(server_started_at),
            Err(error) => error,
        };
        if error.class() != Class::Reconnect || began.elapsed() > plan.retry.deadline {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(BACKOFF_LAST_MS);
    }
}

async fn look(plan: &mut Arc<Plan>, connection: &Connection, again: bool) -> Result<f64, DbError> {
    let mut other = None;
    let connection = open(connection, &plan.database, &mut other).await?;
    if again {
        for load in Arc::make_mut(plan).loads.iter_mut().filter(|load| !load.scattered) {
            load.done = ledger::done_portions(connection, load.set_id).await?;
        }
    }
    Ok(connection.server().await?.started_at)
}

/// A connection that is open: `given`, or another one, put into `other`.
async fn open<'a>(
    given: &'a Connection,
    database: &Database,
    other: &'a mut Option<Connection>,
) -> Result<&'a Connection, DbError> {
    match given.is_closed() {
        true => Ok(other.insert(database.connect().await?)),
        false => Ok(given),
    }
}

/// One pass over all sources.
struct Pass<'a> {
    plan: &'a Arc<Plan>,
    server_started_at: f64,
    cancel: &'a Cancel,
    live: &'a Arc<Live>,
    counters: &'a Arc<LadderCounters>,
}

/// Loads that are read together.
enum Group {
    /// Batches are written as they come.
    Direct(Vec<Walk>),
    /// The loads of a set whose rows are sorted first.
    Scattered(Members),
}

/// The loads of a plan in groups, in its order; a set stands where its first load does.
fn groups(plan: &Plan) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut sets = HashSet::new();
    for (at, load) in plan.loads.iter().enumerate() {
        let walk = Walk { load: at, stretch: None };
        match groups.last_mut() {
            _ if load.scattered => {
                if sets.insert(load.set_id) {
                    groups.push(Group::Scattered(Members::of_set(plan, load.set_id)));
                }
            }
            Some(Group::Direct(walks)) => walks.push(walk),
            _ => groups.push(Group::Direct(vec![walk])),
        }
    }
    groups
}

impl Pass<'_> {
    async fn run(&self, failures: &mut HashMap<usize, PipelineError>) -> PassEnd {
        self.live.has_workers(Stage::Decode, self.plan.decoders);
        self.live.has_workers(Stage::Write, self.plan.writers);
        let mut totals = Counts::default();
        let pace = Arc::new(Mutex::new(Pace::new(self.plan.rows_per_sec_max)));
        for group in groups(self.plan) {
            let end = match group {
                Group::Direct(walks) => self.direct(walks, failures, &mut totals).await,
                Group::Scattered(members) => {
                    let scatter = Scatter {
                        plan: Arc::clone(self.plan),
                        members: Arc::new(members),
                        cancel: self.cancel,
                        live: self.live,
                        counters: self.counters,
                        server_started_at: self.server_started_at,
                        failures,
                        totals: &mut totals,
                        pace: &pace,
                    };
                    scatter.run().await
                }
            };
            if !matches!(end, PassEnd::Complete) {
                return end;
            }
            self.cancel.rearm();
        }
        PassEnd::Complete
    }

    async fn direct(
        &self,
        walks: Vec<Walk>,
        failures: &mut HashMap<usize, PipelineError>,
        totals: &mut Counts,
    ) -> PassEnd {
        let plan = Arc::clone(self.plan);
        let memory = plan.memory_bytes;
        let mut reading = Reading::start(plan, walks, memory, self.cancel, self.live);
        let scheduler = Scheduler {
            plan: self.plan,
            cancel: self.cancel.clone(),
            live: Arc::clone(self.live),
            counters: Arc::clone(self.counters),
            server_started_at: self.server_started_at,
            failures,
            totals,
        };
        let end = scheduler.run(&mut reading.items).await;
        match reading.end().await {
            Ok(()) => end,
            Err(error) => PassEnd::Failed(error),
        }
    }
}

/// Sources being read: threads, and where their batches come.
pub(super) struct Reading {
    /// Batches in source order.
    pub items: mpsc::Receiver<Item>,
    threads: JoinHandle<()>,
}

impl Reading {
    /// Starts to read; `memory` bytes are for chunks and batches.
    pub fn start(
        plan: Arc<Plan>,
        walks: Vec<Walk>,
        memory: usize,
        cancel: &Cancel,
        live: &Arc<Live>,
    ) -> Self {
        let handle = tokio::runtime::Handle::current();
        let desk = TickerDesk::new(handle, plan.database.clone(), plan.retry);
        let (entry, items) = crossing::queue(1);
        let (cancel, live) = (cancel.clone(), Arc::clone(live));
        let threads = tokio::task::spawn_blocking(move || {
            run_threads(&plan, &walks, memory, (&cancel, &live), &desk, entry);
        });
        Self { items, threads }
    }

    /// Takes no more batches, and waits until the threads are gone.
    pub async fn end(mut self) -> Result<(), PipelineError> {
        self.items.close();
        while self.items.recv().await.is_some() {}
        let lost = |_| PipelineError::Lost("a reader or decoder thread");
        self.threads.await.map_err(lost)
    }
}

/// The threads of a pass: one reads, some decode, one keeps the order. Returns when all are done.
fn run_threads(
    plan: &Plan,
    walks: &[Walk],
    memory: usize,
    (cancel, live): (&Cancel, &Arc<Live>),
    desk: &TickerDesk,
    entry: crossing::Entry,
) {
    let (work, to_decode) = bounded(1);
    let (slots, in_order) = bounded(UNITS_QUEUED_MAX + plan.decoders);
    let failed: Vec<AtomicBool> = plan.loads.iter().map(|_| AtomicBool::new(false)).collect();
    let reader = Reader {
        loads: &plan.loads,
        walks,
        budget: Budget::new(memory),
        cancel: cancel.clone(),
        live: Arc::clone(live),
        work,
        slots,
    };
    std::thread::scope(|threads| {
        threads.spawn(|| reader.run());
        for _ in 0..plan.decoders {
            let to_decode = to_decode.clone();
            threads.spawn(move || {
                Decoder { loads: &plan.loads, run_id: plan.run_id, desk, live }.run(&to_decode);
            });
        }
        // The decoders hold the only receivers: when they are gone, the reader notices.
        drop(to_decode);
        order::run(in_order, &failed, &entry, live);
        drop(entry);
    });
}

/// Whether all that was read of a set is written: none of its loads is sealed before, for its
/// windows are read again together.
async fn set_is_complete(
    db: &Connection,
    set_id: i64,
    known: &mut HashMap<i64, bool>,
) -> Result<bool, DbError> {
    if let Some(&complete) = known.get(&set_id) {
        return Ok(complete);
    }
    let complete = ledger::windows(db, set_id).await?.values().all(Window::is_done);
    known.insert(set_id, complete);
    Ok(complete)
}

/// Seals every load that did not fail. `false`: some are not complete yet.
async fn seal_all(
    plan: &Plan,
    connection: &Connection,
    ended: &mut Ended,
) -> Result<bool, WriteError> {
    let mut other = None;
    let connection = open(connection, &plan.database, &mut other).await?;
    let mut complete = true;
    let mut sets: HashMap<i64, bool> = HashMap::new();
    for (at, load) in plan.loads.iter().enumerate() {
        if ended.failures.contains_key(&at) {
            continue;
        }
        if load.scattered && !set_is_complete(connection, load.set_id, &mut sets).await? {
            complete = false;
            continue;
        }
        match ledger::seal(connection, load.id).await? {
            Seal::Sealed => {}
            Seal::Incomplete => complete = false,
            Seal::Broken(why) => {
                ended.broken.push(format!("{}: {why}", load.source));
            }
        }
    }
    Ok(complete || !ended.broken.is_empty())
}
