//! What is read of a load while it runs: its counters, and samples of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::pipeline::{Hold, Live};
use crate::report::progress::{Queues, Snapshot, Waiting};
use crate::report::timeline::History;
use crate::write::LadderCounters;

/// What the progress display reads while a load runs.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The pipeline's counters.
    pub live: Arc<Live>,
    /// The ladder's.
    pub counters: Arc<LadderCounters>,
    history: Arc<Mutex<History>>,
    began: Instant,
}

impl Default for Watch {
    fn default() -> Self {
        let (live, counters, history) = Default::default();
        Self { live, counters, history, began: Instant::now() }
    }
}

/// How often the progress display is told how things stand.
const SHOW_EVERY: Duration = Duration::from_millis(100);

impl Watch {
    /// Tells `show` how things stand while a load runs, the last time when it has ended.
    pub(super) async fn shown<T>(
        &self,
        mut running: impl Future<Output = T> + Unpin,
        show: &mut dyn FnMut(&Snapshot),
    ) -> T {
        let ended = loop {
            tokio::select! {
                ended = &mut running => break ended,
                () = tokio::time::sleep(SHOW_EVERY) => show(&self.snapshot(self.elapsed())),
            }
        };
        show(&Snapshot { finished: true, ..self.snapshot(self.elapsed()) });
        ended
    }

    /// Time since it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Samples of the figures.
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How things stand.
    pub(super) fn snapshot(&self, elapsed: Duration) -> Snapshot {
        use std::sync::atomic::Ordering::Relaxed;
        let live = &self.live;
        Snapshot {
            bytes_total: live.bytes_total.load(Relaxed),
            bytes_done: live.bytes_done.load(Relaxed),
            rows_read: live.records_read.load(Relaxed),
            rows_written: live.records_committed.load(Relaxed),
            rejects: live.rejects.load(Relaxed),
            retries: self.counters.retries.load(Relaxed),
            files_total: live.files_total.load(Relaxed),
            files_done: live.files_done.load(Relaxed),
            elapsed,
            queues: Queues {
                chunks_waiting: live.chunks_waiting.load(Relaxed),
                batches_waiting: live.batches_waiting.load(Relaxed),
                writers_busy: live.writers_busy.load(Relaxed),
            },
            waiting: live.holding().and_then(waiting),
            finished: false,
        }
    }
}

/// What the display says of a load that is held back. The rate is the user's own: nothing is said.
fn waiting((why, amount): (Hold, u64)) -> Option<Waiting> {
    match why {
        Hold::Rate => None,
        Hold::Replica => Some(Waiting::Replica { behind_s: amount }),
        Hold::Wal => Some(Waiting::Wal { bytes: amount }),
        Hold::Locks => Some(Waiting::Locks { waiters: amount }),
        Hold::Disk => Some(Waiting::Disk { free_bytes: amount }),
    }
}
