//! Writers: batches that fall due at a fixed rate, whatever the server takes for those before them.
//! Each is made before it is due, so that only writing it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use hdrhistogram::Histogram;

use super::super::CommandError;
use super::reader::{histogram, record};
use super::rows::Source;
use crate::db::Connection;
use crate::pipeline::Cancel;

/// When batches fall due.
#[derive(Debug, Clone, Copy)]
pub struct Tide {
    /// The first moment.
    pub start: Instant,
    /// The same by the clock, in microseconds from 1970 UTC.
    pub start_us: i64,
    /// Nothing falls due from here on.
    pub end: Instant,
    /// From one batch to the next.
    pub every: Duration,
    /// Rows in a second.
    pub rate: f64,
    /// Writers.
    pub writers: usize,
}

impl Tide {
    /// Rows that fall due with batch `number`.
    fn due(&self, number: u32) -> u64 {
        let per_batch = self.rate * self.every.as_secs_f64();
        let upto = |batches: u32| (per_batch * f64::from(batches)).floor() as u64;
        upto(number + 1) - upto(number)
    }

    fn moment(&self, number: u32) -> Instant {
        self.start + self.every * number
    }
}

/// What writers did at one rate.
#[derive(Debug)]
pub struct Written {
    /// Rows that fell due.
    pub due: u64,
    /// Rows that were committed.
    pub rows: u64,
    /// Batches that were committed.
    pub batches: u64,
    /// From when a batch fell due to its commit, in microseconds.
    pub latency: Histogram<u64>,
}

impl Written {
    /// Nothing.
    pub fn new() -> Self {
        Self { due: 0, rows: 0, batches: 0, latency: histogram() }
    }

    /// Joins another writer's.
    pub fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.rows += other.rows;
        self.batches += other.batches;
        // Both have the same bounds.
        let _ = self.latency.add(&other.latency);
    }
}

/// Rows of the whole test that may still be written.
#[derive(Debug)]
pub struct Room(pub AtomicU64);

impl Room {
    /// Takes so many, or what is left.
    fn take(&self, rows: u64) -> u64 {
        let less = |left: u64| Some(left.saturating_sub(rows));
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        left.unwrap_or(0).min(rows)
    }

    /// Whether there is none.
    pub fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// Writes every batch whose number is `number` modulo the writers, until the end.
pub async fn write(
    db: Arc<Connection>,
    source: Arc<Source>,
    room: Arc<Room>,
    tide: Tide,
    number: usize,
    cancel: Cancel,
) -> Result<Written, CommandError> {
    let mut written = Written::new();
    let mut buffer = BytesMut::new();
    for batch in (number as u32..).step_by(tide.writers) {
        let moment = tide.moment(batch);
        if moment >= tide.end || cancel.is_set() || room.is_spent() {
            break;
        }
        let due = tide.due(batch);
        written.due += due;
        if due == 0 {
            continue;
        }
        if Instant::now() >= tide.end {
            // It fell due and is not written any more: it waited at least so long.
            record(&mut written.latency, moment.elapsed());
            continue;
        }
        let rows = room.take(due);
        written.due -= due - rows;
        if rows == 0 {
            break;
        }
        let at_us = tide.start_us + (tide.every * batch).as_micros() as i64;
        let span = (at_us - tide.every.as_micros() as i64, at_us);
        let made = {
            let source = Arc::clone(&source);
            // Making rows takes a core for a while, which must not hold up the runtime.
            tokio::task::spawn_blocking(move || source.batch(rows, span)).await
        };
        let made = made.map_err(|error| CommandError::Refused(error.to_string()))??;
        let made = source.make_room(&db, &made).await?;
        tokio::time::sleep_until(moment.into()).await;
        written.rows += source.append(&db, &made, &mut buffer).await?;
        written.batches += 1;
        record(&mut written.latency, moment.elapsed());
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fall_due_at_the_rate_however_low_it_is() {
        let tide = |rate, every_ms| Tide {
            start: Instant::now(),
            start_us: 0,
            end: Instant::now(),
            every: Duration::from_millis(every_ms),
            rate,
            writers: 2,
        };
        // 100,000 in a day, every second.
        let slow = tide(100_000.0 / 86_400.0, 1_000);
        assert_eq!((0..86_400).map(|batch| slow.due(batch)).sum::<u64>(), 100_000);
        assert_eq!((0..4).map(|batch| slow.due(batch)).collect::<Vec<_>>(), [1, 1, 1, 1]);
        assert_eq!(tide(50_000.0, 100).due(7), 5_000);
        let room = Room(AtomicU64::new(7));
        assert_eq!([room.take(5), room.take(5), room.take(5)], [5, 2, 0]);
        assert!(room.is_spent());
    }
}
