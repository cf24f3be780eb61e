//! A run of loads: passes over their sources until the ledger has every span, then the seal. A
//! resumed run and a run after a server restart are the same thing: what the ledger lacks is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossbeam_channel::bounded;

use super::budget::Budget;
use super::crossing::{self, TickerDesk};
use super::decoder::Decoder;
use super::live::Live;
use super::reader::Reader;
use super::schedule::{PassEnd, Scheduler};
use super::{Cancel, PipelineError, Plan, Stage, order};
use crate::db::ledger::{self, Seal};
use crate::db::{Connection, DbError};
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

/// Runs a plan to its end.
pub async fn run(
    mut plan: Plan,
    cancel: Cancel,
    live: Arc<Live>,
    counters: Arc<LadderCounters>,
) -> Ended {
    let mut ended = Ended::default();
    let mut pause_ms = BACKOFF_FIRST_MS;
    for pass in 0..PASSES_MAX {
        let began = match begin_pass(&mut plan, pass > 0).await {
            Ok(began) => began,
            Err(error) => {
                ended.error = Some(error.into());
                return ended;
            }
        };
        let (returned, end) =
            one_pass(plan, began, &cancel, &live, &counters, &mut ended.failures).await;
        plan = returned;
        let restarted = match end {
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
            continue;
        }
        match seal_all(&plan, &mut ended).await {
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
async fn begin_pass(plan: &mut Plan, again: bool) -> Result<f64, DbError> {
    let began = std::time::Instant::now();
    let mut pause_ms = BACKOFF_FIRST_MS;
    loop {
        let error = match look(plan, again).await {
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

async fn look(plan: &mut Plan, again: bool) -> Result<f64, DbError> {
    let connection = plan.database.connect().await?;
    if again {
        for load in &mut plan.loads {
            load.done = ledger::done_portions(&connection, load.set_id).await?;
        }
    }
    Ok(connection.server().await?.started_at)
}

/// One pass over all sources. The plan goes through the threads and comes back.
async fn one_pass(
    plan: Plan,
    server_started_at: f64,
    cancel: &Cancel,
    live: &Arc<Live>,
    counters: &Arc<LadderCounters>,
    failures: &mut HashMap<usize, PipelineError>,
) -> (Plan, PassEnd) {
    live.has_workers(Stage::Decode, plan.decoders);
    live.has_workers(Stage::Write, plan.writers);
    let plan = Arc::new(plan);
    let desk =
        TickerDesk::new(tokio::runtime::Handle::current(), plan.database.clone(), plan.retry);
    let (entry, items) = crossing::queue(1);
    let threads = {
        let (plan, cancel, live) = (Arc::clone(&plan), cancel.clone(), Arc::clone(live));
        tokio::task::spawn_blocking(move || run_threads(&plan, &cancel, &live, &desk, entry))
    };
    let scheduler = Scheduler {
        plan: &plan,
        cancel: cancel.clone(),
        live: Arc::clone(live),
        counters: Arc::clone(counters),
        server_started_at,
        failures,
    };
    let mut end = scheduler.run(items).await;
    if threads.await.is_err() {
        end = PassEnd::Failed(PipelineError::Lost("a reader or decoder thread"));
    }
    match Arc::try_unwrap(plan) {
        Ok(plan) => (plan, end),
        // Nothing else holds the plan once threads and writers are gone.
        Err(_) => unreachable!("a thread that has ended holds the plan"),
    }
}

/// The threads of a pass: one reads, some decode, one keeps the order. Returns when all are done.
fn run_threads(
    plan: &Plan,
    cancel: &Cancel,
    live: &Arc<Live>,
    desk: &TickerDesk,
    entry: crossing::Entry,
) {
    let (work, to_decode) = bounded(1);
    let (slots, in_order) = bounded(UNITS_QUEUED_MAX + plan.decoders);
    let failed: Vec<AtomicBool> = plan.loads.iter().map(|_| AtomicBool::new(false)).collect();
    let reader = Reader {
        loads: &plan.loads,
        budget: Budget::new(plan.memory_bytes),
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

/// Seals every load that did not fail. `false`: some are not complete yet.
async fn seal_all(plan: &Plan, ended: &mut Ended) -> Result<bool, WriteError> {
    let connection: Connection = plan.database.connect().await?;
    let mut complete = true;
    for (at, load) in plan.loads.iter().enumerate() {
        if ended.failures.contains_key(&at) {
            continue;
        }
        match ledger::seal(&connection, load.id).await? {
            Seal::Sealed => {}
            Seal::Incomplete => complete = false,
            Seal::Broken(why) => {
                ended.broken.push(format!("{}: {why}", load.source));
            }
        }
    }
    Ok(complete || !ended.broken.is_empty())
}
