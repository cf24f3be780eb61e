//! What is going on right now: counters that every stage adds to and the progress display reads.
//! The report does not: its figures come from the ledger.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::check::{Met, Quality};

/// A stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading sources and cutting them.
    Read,
    /// Decoding, checking and sorting.
    Decode,
    /// Writing to the server.
    Write,
}

impl Stage {
    /// All stages, in the order of the flow.
    pub const ALL: [Stage; 3] = [Stage::Read, Stage::Decode, Stage::Write];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Decode => "decode",
            Stage::Write => "write",
        }
    }
}

/// Counters of a running load.
#[derive(Debug, Default)]
pub struct Live {
    /// Bytes of all sources.
    pub bytes_total: AtomicU64,
    /// Bytes whose portions are committed.
    pub bytes_done: AtomicU64,
    /// Records decoded.
    pub records_read: AtomicU64,
    /// Records whose portions are committed.
    pub records_committed: AtomicU64,
    /// Rejects committed.
    pub rejects: AtomicU64,
    /// Sources of this run.
    pub files_total: AtomicU64,
    /// Sources whose last portion is committed.
    pub files_done: AtomicU64,
    /// Batches decoded and not yet taken by a writer.
    pub batches_waiting: AtomicU64,
    /// Writers at work.
    pub writers_busy: AtomicU64,
    /// Workers of each stage.
    workers: [AtomicU64; 3],
    busy_ns: [AtomicU64; 3],
    /// What was met in each batch, by load and window: a batch that is decoded again counts once.
    met: Mutex<BTreeMap<(i64, u32), Met>>,
}

impl Live {
    /// Keeps what was met in a batch of a load.
    pub(super) fn met(&self, load_id: i64, window: u32, met: Met) {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).insert((load_id, window), met);
    }

    /// What was met in all batches of a load, in the order of its source.
    pub fn met_in(&self, load_id: i64, quality: &Quality) -> Met {
        let batches = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let mut met = Met::default();
        for (_, next) in batches.range((load_id, 0)..=(load_id, u32::MAX)) {
            met.follow(next, quality);
        }
        met
    }

    /// Adds the time since `since` to a stage's busy time.
    pub(super) fn worked(&self, stage: Stage, since: Instant) {
        let ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.busy_ns[stage as usize].fetch_add(ns, Ordering::Relaxed);
    }

    /// Says how many workers a stage has.
    pub(super) fn has_workers(&self, stage: Stage, workers: usize) {
        self.workers[stage as usize].store(workers as u64, Ordering::Relaxed);
    }

    /// Busy seconds of a stage for each of its workers: the stage with the most held up the others.
    pub fn share_busy(&self, stage: Stage) -> f64 {
        let workers = self.workers[stage as usize].load(Ordering::Relaxed).max(1);
        self.busy_s(stage) / workers as f64
    }

    /// Seconds that a stage's workers were busy, added up over its workers.
    pub fn busy_s(&self, stage: Stage) -> f64 {
        self.busy_ns[stage as usize].load(Ordering::Relaxed) as f64 / 1e9
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}

/// Takes from a counter.
pub(super) fn sub(counter: &AtomicU64, value: u64) {
    counter.fetch_sub(value, Ordering::Relaxed);
}
