//! Exchange: a fresh partition is filled apart, without indexes, keyed once its rows are in, and
//! attached; an empty table that is no parent is filled so itself, its indexes taken off meanwhile.
//! Claim, rows, keys and attachment are one transaction. What stands in the way sends the rows
//! another way; nothing is left behind.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::merged::lost_counts;
use super::patience::{Pause, Timeout};
use super::{Ladder, Target, WriteError, tick, times};
use crate::count::{Counts, TableCounts};
use crate::db::exchange::{self, Bare};
use crate::db::ledger::{self, Portion, PortionKey};
use crate::db::{Connection, DbError};
use crate::encode::Encoder;
use crate::error::Class;
use crate::limit::{ATTACH_LOCK_TIMEOUT_MS, COPY_MESSAGE_BYTES, LOCK_TIMEOUT_MS};
use crate::span::Span;
use crate::spill::{Merged, SpillError};

/// What is filled while it has no indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The partition that is to be, by its bounds in microseconds from 1970 UTC, half-open.
    Partition((i64, i64)),
    /// The table itself, which is empty.
    Table,
}

/// A place that is to be filled.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Where its rows belong.
    pub target: &'a Target,
    /// The portion.
    pub key: PortionKey,
    /// The run.
    pub run_id: i64,
    /// Records that it receives, by position of their load in the set.
    pub rows: &'a [u64],
    /// What is filled.
    pub place: Place,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchanged {
    /// Filled and committed.
    Committed(Counts),
    /// Committed before.
    DoneBefore,
    /// Another process is at it.
    Busy,
    /// It cannot be done so; why, for a person. The rows are to go another way.
    Refused(String),
}

/// What feeds an exchange.
pub struct Feed {
    /// Merged rows in key order.
    pub rows: mpsc::Receiver<Result<Merged, SpillError>>,
    /// The thread that merges them; the rows are all there if it ends well.
    pub thread: JoinHandle<()>,
    /// Told that there is nothing to send until the next rows are merged, and that there is again.
    pub starving: Box<dyn Fn(bool) + Send + Sync>,
}

impl Feed {
    /// The next rows. `None`: there are no more.
    async fn next(&mut self) -> Option<Result<Merged, SpillError>> {
        if let Ok(ready) = self.rows.try_recv() {
            return Some(ready);
        }
        (self.starving)(true);
        let next = self.rows.recv().await;
        (self.starving)(false);
        next
    }
}

impl Ladder {
    /// Fills and keys one place, and attaches it. `feed` begins to merge its rows, once an attempt.
    ///
    /// # Errors
    /// What retrying cannot help, [`WriteError::Deadline`], and [`WriteError::Restarted`].
    pub async fn exchange(
        &mut self,
        job: &Exchange<'_>,
        mut feed: impl FnMut() -> Feed,
    ) -> Result<Exchanged, WriteError> {
        let mut pause = Pause::new(self.retry.deadline);
        self.timeout = Timeout::default();
        loop {
            let counters = Arc::clone(&self.counters);
            let mut buffer = std::mem::take(&mut self.buffer);
            let timeout = self.timeout;
            let db = self.connection().await?;
            let attempt = attempt(db, job, timeout, &mut feed, &mut buffer).await;
            self.buffer = buffer;
            let error = match attempt {
                Ok(outcome) => {
                    if matches!(outcome, Exchanged::Committed(_)) {
                        tick(&counters.copy_batches);
                    }
                    return Ok(outcome);
                }
                Err(error) => error,
            };
            self.roll_back().await;
            if refuses(&error) {
                return Ok(Exchanged::Refused(error.to_string()));
            }
            match error.class() {
                Class::Redo | Class::Reconnect => self.pause(&mut pause, error).await?,
                _ => return Err(error),
            }
        }
    }
}

/// Whether an error means that these rows, or this table, cannot be exchanged, rather than that
/// nothing can be written at all.
fn refuses(error: &WriteError) -> bool {
    let WriteError::Db(error) = error else { return false };
    // A name or range that somebody else took meanwhile, what a role may not do, and a key that a
    // view needs.
    error.class() == Class::StepDown
        || matches!(error, DbError::Partition(_))
        || matches!(
            error.sqlstate(),
            Some("42P07" | "42P17" | "42501" | "0A000" | "55P03" | "2BP01")
        )
}

async fn attempt(
    db: &Connection,
    job: &Exchange<'_>,
    timeout: Timeout,
    feed: &mut impl FnMut() -> Feed,
    buffer: &mut BytesMut,
) -> Result<Exchanged, WriteError> {
    if !ledger::begin_portion(db, &job.key, LOCK_TIMEOUT_MS).await? {
        return Ok(Exchanged::Busy);
    }
    timeout.apply(db).await?;
    let expected = |&rows: &u64| Counts { read: rows, inserted: rows, ..Counts::default() };
    let mut portion = Portion {
        key: job.key.clone(),
        run_id: job.run_id,
        span: Span::default(),
        touched: None,
        counts: job.rows.iter().map(expected).collect(),
        tables: BTreeMap::new(),
    };
    if !ledger::claim(db, &portion).await? {
        db.batch_execute("ROLLBACK").await?;
        return Ok(Exchanged::DoneBefore);
    }
    let root = &job.target.root().table;
    let bare = match job.place {
        Place::Partition(range) => exchange::create(db, root, range).await?,
        Place::Table => exchange::strip(db, root, ATTACH_LOCK_TIMEOUT_MS).await?,
    };
    let copied = fill(db, job, &bare, feed(), buffer).await?;
    for (counts, lost) in portion.counts.iter_mut().zip(&copied.lost) {
        counts.inserted = counts.inserted.saturating_sub(lost.duplicate);
        counts.duplicate = lost.duplicate;
        counts.conflicting = lost.conflicting;
    }
    let mut total = Counts::default();
    portion.counts.iter().for_each(|counts| total += *counts);
    if copied.stored != copied.sent || copied.sent != total.inserted {
        let Copied { sent, stored, .. } = copied;
        return Err(WriteError::Miscount {
            table: root.display_name(),
            message: format!("{} rows expected, {sent} sent, {stored} stored", total.inserted),
        });
    }
    bare.build(db).await?;
    attach(db, &bare).await?;
    portion.touched = copied.touched;
    let counts = TableCounts { inserted: copied.stored, ..TableCounts::default() };
    portion.tables.insert(root.display_name(), counts);
    ledger::record(db, &portion).await?;
    db.batch_execute("COMMIT").await?;
    Ok(Exchanged::Committed(total))
}

/// What was sent into a bare table.
struct Copied {
    sent: u64,
    stored: u64,
    /// The earliest and the latest time, in microseconds from 1970 UTC; none without a time column.
    touched: Option<(i64, i64)>,
    /// Records that lost while merging, by load.
    lost: Vec<Counts>,
}

impl Copied {
    fn touch(&mut self, times: &[i64]) {
        let ends = times.iter().copied().min().zip(times.iter().copied().max());
        self.touched = match (self.touched, ends) {
            (Some(before), Some(now)) => Some((before.0.min(now.0), before.1.max(now.1))),
            (before, now) => before.or(now),
        };
    }
}

async fn fill(
    db: &Connection,
    job: &Exchange<'_>,
    bare: &Bare,
    mut feed: Feed,
    buffer: &mut BytesMut,
) -> Result<Copied, WriteError> {
    let root = job.target.root();
    let sql = format!(
        "COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE true)",
        bare.sql_name,
        root.column_list("")
    );
    let mut sink = pin!(db.copy_in::<_, Bytes>(&sql).await?);
    let lost = lost_counts(&[], job.rows.len());
    let mut copied = Copied { sent: 0, stored: 0, touched: None, lost };
    let mut encoder: Option<Encoder> = None;
    buffer.clear();
    while let Some(merged) = feed.next().await {
        let merged = merged?;
        for (all, lost) in copied.lost.iter_mut().zip(lost_counts(&merged.lost, job.rows.len())) {
            *all += lost;
        }
        let encoder = match &mut encoder {
            Some(encoder) => encoder,
            none => {
                let made = Encoder::new(merged.rows.schema_ref(), &root.columns)?;
                made.header(buffer);
                none.insert(made)
            }
        };
        let order: Vec<u32> = (0..merged.rows.num_rows() as u32).collect();
        let mut rows = encoder.bind(&merged.rows)?;
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let sent = rows.message(rest, COPY_MESSAGE_BYTES, buffer)?;
            rest = &rest[sent..];
            if buffer.len() >= COPY_MESSAGE_BYTES / 2 {
                sink.feed(buffer.split().freeze()).await?;
            }
        }
        copied.sent += order.len() as u64;
        copied.touch(times(&merged.rows, job.target).unwrap_or_default());
    }
    feed.thread.await.map_err(|_| SpillError::Thread)?;
    if let Some(encoder) = encoder {
        encoder.trailer(buffer);
    }
    sink.feed(buffer.split().freeze()).await?;
    copied.stored = sink.as_mut().finish().await?;
    Ok(copied)
}

/// Attaches; a lock that somebody holds is waited for in short turns, and what was loaded is kept
/// meanwhile.
async fn attach(db: &Connection, bare: &Bare) -> Result<(), DbError> {
    for turn in 1.. {
        db.batch_execute("SAVEPOINT attach").await?;
        let error = match bare.attach(db, ATTACH_LOCK_TIMEOUT_MS).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if error.sqlstate() != Some("55P03") || turn == ATTACH_TURNS_MAX {
            return Err(error);
        }
        db.batch_execute("ROLLBACK TO SAVEPOINT attach; RELEASE SAVEPOINT attach").await?;
    }
    Ok(())
}

/// Turns after which the rows go another way, which needs no lock on the whole table.
const ATTACH_TURNS_MAX: u32 = 15;
