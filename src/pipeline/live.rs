//! What is going on right now: counters that every stage adds to and the progress display reads.
//! The report does not: its figures come from the ledger.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::clock::{Clock, Running};
use crate::check::{Met, Quality};

/// A stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading sources and cutting them.
    Read,
    /// Decoding, checking, and ordering within a batch.
    Decode,
    /// Sorting runs of scattered loads, and writing them to the disk.
    Sort,
    /// Merging those runs.
    Merge,
    /// Writing to the server; waiting for merged rows is none of it.
    Write,
}

impl Stage {
    /// All stages, in the order of the flow.
    pub const ALL: [Stage; 5] =
        [Stage::Read, Stage::Decode, Stage::Sort, Stage::Merge, Stage::Write];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Decode => "decode",
            Stage::Sort => "sort",
            Stage::Merge => "merge",
            Stage::Write => "write",
        }
    }
}

/// Why a load is held back on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// `--max-rows-per-sec`.
    Rate,
    /// A replica is too far behind.
    Replica,
    /// Too much WAL since the last checkpoint, or too much that is not archived.
    Wal,
    /// Others wait for locks that we hold.
    Locks,
    /// The server's disk is nearly full.
    Disk,
}

impl Hold {
    /// All reasons.
    pub const ALL: [Hold; 5] = [Hold::Rate, Hold::Replica, Hold::Wal, Hold::Locks, Hold::Disk];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Hold::Rate => "max_rows_per_sec",
            Hold::Replica => "replica_lag",
            Hold::Wal => "wal",
            Hold::Locks => "lock_waits",
            Hold::Disk => "disk_space",
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
    /// Chunks read and not yet taken by a decoder.
    pub chunks_waiting: AtomicU64,
    stages: [Clock; 5],
    holds: [Clock; 5],
    /// Any of `holds`.
    held: Clock,
    /// What the load must wait for before it goes on, and how much of it there is.
    holding: Mutex<Option<(Hold, u64)>>,
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

    /// A worker of a stage is at work until the answer is dropped.
    pub(super) fn work(&self, stage: Stage) -> Running<'_> {
        self.stages[stage as usize].run()
    }

    /// A worker that is at work has nothing to do for a while, or has something to do again.
    pub(super) fn rest(&self, stage: Stage, resting: bool) {
        self.stages[stage as usize].rest(resting);
    }

    /// Says how many workers a stage has.
    pub(super) fn has_workers(&self, stage: Stage, workers: usize) {
        self.stages[stage as usize].has_workers(workers);
    }

    /// The load is held back until the answer is dropped.
    pub(super) fn hold(&self, why: Hold) -> [Running<'_>; 2] {
        [self.holds[why as usize].run(), self.held.run()]
    }

    /// What the load is held back by at the moment, beside its rate, and how much of it there is:
    /// seconds, bytes or waiters, as the reason has them.
    pub fn holding(&self) -> Option<(Hold, u64)> {
        *self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the load back from now on, or lets it go.
    pub(super) fn set_holding(&self, holding: Option<(Hold, u64)>) {
        *self.holding.lock().unwrap_or_else(PoisonError::into_inner) = holding;
    }

    /// Seconds for which a stage was occupied: each counts as far as its workers were at work.
    pub fn occupied_s(&self, stage: Stage) -> f64 {
        self.stages[stage as usize].read().occupied_s
    }

    /// Seconds that a stage's workers were busy, added up over its workers.
    pub fn busy_s(&self, stage: Stage) -> f64 {
        self.stages[stage as usize].read().busy_s
    }

    /// Seconds for which the load was held back for a reason.
    pub fn hold_s(&self, why: Hold) -> f64 {
        self.holds[why as usize].read().occupied_s
    }

    /// Seconds for which the load was held back.
    pub fn held_s(&self) -> f64 {
        self.held.read().occupied_s
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
