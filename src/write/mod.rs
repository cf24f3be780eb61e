//! How rows enter a table: COPY, then batched INSERT, then row by row, then the reject table. The
//! only folder that changes market tables. Called by the pipeline's writers, one portion at a time;
//! starts no task and holds no queue.

mod append;
mod compare;
mod copy;
mod exchange;
mod ladder;
mod merged;
mod order;
mod patience;
mod reject;
mod replay;
mod sift;
mod stage;
mod statement;
mod ticker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;

use crate::batch::{Batch, Fault};
use crate::column::{TargetColumn, TargetTable, quote_identifier};
use crate::count::Counts;
use crate::dataset::ConflictPolicy;
use crate::db::{Connection, DbError, ledger};
use crate::encode::EncodeError;
use crate::error::Class;
use crate::spill::SpillError;

pub use append::Appender;
pub use compare::{Comparer, Seen, Standing};
pub use exchange::{Exchange, Exchanged, Feed, Place};
pub use ladder::{Ladder, Outcome};
pub use merged::{Found, Member, Rows};
pub use order::share_a_key;
pub use patience::Pause;
pub use replay::{Mended, Replayed};

pub use ticker::resolve_tickers;

/// How rows enter the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// COPY into the table; a batch that meets stored keys is staged.
    Direct,
    /// COPY into a temporary table, then merge.
    Stage,
    /// Rows are sorted into the table's order first; fresh partitions are filled apart, keyed and
    /// attached, other rows enter as in `Direct`.
    Exchange,
}

impl Strategy {
    /// The word on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Direct => "direct",
            Strategy::Stage => "stage",
            Strategy::Exchange => "exchange",
        }
    }
}

/// A table and its columns that are sent, in batch order.
#[derive(Debug, Clone)]
pub struct TableTarget {
    /// The table.
    pub table: TargetTable,
    /// One for each batch column.
    pub columns: Vec<TargetColumn>,
    /// For a child table, the positions of the columns that hold its root's key, in the order of
    /// the root's key.
    pub root_key: Vec<usize>,
}

impl TableTarget {
    /// The quoted names of the columns that are sent, joined by commas.
    fn column_list(&self, prefix: &str) -> String {
        let quoted = |column: &TargetColumn| format!("{prefix}{}", quote_identifier(&column.name));
        self.columns.iter().map(quoted).collect::<Vec<_>>().join(", ")
    }
}

/// How a record is told from a stored one with its key, by positions of the root's columns.
/// By default all columns outside the key are compared.
#[derive(Debug, Clone, Default)]
pub struct Meeting {
    /// The only column that is compared, in place of all those that are not in `adds`. Where it is
    /// NULL, the record is a part: it adds to a stored record, and is none of its own.
    pub content: Option<usize>,
    /// Columns where NULL means that the record does not know: the stored value stays.
    pub adds: Vec<usize>,
}

impl Meeting {
    /// Whether a row is a part of a record.
    pub fn is_part(&self, root: &RecordBatch, row: usize) -> bool {
        self.content.is_some_and(|column| root.column(column).is_null(row))
    }
}

/// Where a load's rows go, and by which rules.
#[derive(Debug)]
pub struct Target {
    /// The root table first, then its children.
    pub tables: Vec<TableTarget>,
    /// Positions of the root's columns that form the conflict key; empty: the table has none.
    pub key: Vec<usize>,
    /// How a record is told from a stored one with its key.
    pub meeting: Meeting,
    /// What happens to a record whose key is stored.
    pub policy: ConflictPolicy,
    /// How rows enter.
    pub strategy: Strategy,
    /// Position of the time column, if there is one: merges name its range, so that partitions
    /// outside it are not looked at.
    pub time: Option<usize>,
    /// The last batch met many stored keys: the next goes through staging at once.
    pub meets_stored: AtomicBool,
    /// The last batch met stored keys: the next is copied in pieces.
    pub meets_few: AtomicBool,
    /// The last batch was mostly refused: the next goes to the second rung at once.
    pub mostly_bad: AtomicBool,
}

impl Target {
    /// The root table.
    pub fn root(&self) -> &TableTarget {
        &self.tables[0]
    }

    /// The clause that passes over rows whose key is stored; rows that another unique index refuses
    /// still fail.
    fn on_stored_key(&self) -> String {
        if self.key.is_empty() {
            return String::new();
        }
        let columns = &self.root().columns;
        let key = self.key.iter().map(|&at| quote_identifier(&columns[at].name));
        format!(" ON CONFLICT ({}) DO NOTHING", key.collect::<Vec<_>>().join(", "))
    }

    /// Whether a batch should be staged without trying COPY first.
    fn stage_first(&self) -> bool {
        self.strategy == Strategy::Stage || self.meets_stored.load(Ordering::Relaxed)
    }
}

/// A batch that is ready to be written.
#[derive(Debug)]
pub struct Job {
    /// The portion's key.
    pub key: ledger::PortionKey,
    /// The load and run it belongs to.
    pub load_id: i64,
    /// The run.
    pub run_id: i64,
    /// The source's name, for rejects.
    pub source: Arc<str>,
    /// The rows, and the rejects found so far.
    pub batch: Batch,
    /// The rows to send, unique by key, in key order.
    pub order: Vec<u32>,
    /// Rows of the batch whose key another row of the batch has, and which lost.
    pub duplicate: u64,
    /// The part of `duplicate` with other values.
    pub conflicting: u64,
    /// Where its rows come from, if they were merged from several spans.
    origins: Option<merged::Origins>,
}

impl Job {
    /// Orders the rows of `batch` by the target's key and makes them unique by it.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] if keys repeat and the policy is error.
    pub fn new(
        target: &Target,
        key: ledger::PortionKey,
        (load_id, run_id): (i64, i64),
        source: Arc<str>,
        batch: Batch,
    ) -> Result<Self, WriteError> {
        let mut job = Self::unordered(key, (load_id, run_id), source, batch);
        job.put_in_order(target)?;
        Ok(job)
    }

    /// A batch whose rows are not in order yet, and are not sent as they are.
    pub fn unordered(
        key: ledger::PortionKey,
        (load_id, run_id): (i64, i64),
        source: Arc<str>,
        batch: Batch,
    ) -> Self {
        Self {
            key,
            load_id,
            run_id,
            source,
            batch,
            order: Vec::new(),
            duplicate: 0,
            conflicting: 0,
            origins: None,
        }
    }

    fn put_in_order(&mut self, target: &Target) -> Result<(), WriteError> {
        let last_wins = target.policy == ConflictPolicy::Update;
        let mut sorted = order::by_key(&self.batch.root, &target.key, &target.meeting, last_wins)?;
        let losers = std::mem::take(&mut sorted.losers);
        (self.duplicate, self.conflicting) = (0, 0);
        self.order = sorted.order;
        match target.policy {
            _ if losers.is_empty() => {}
            ConflictPolicy::Skip | ConflictPolicy::Update => {
                if last_wins {
                    let adds = &target.meeting.adds;
                    self.batch.root = order::add(&self.batch.root, adds, &self.order, &losers)?;
                }
                self.duplicate = losers.len() as u64;
                self.conflicting = losers.iter().filter(|loser| loser.differs).count() as u64;
            }
            ConflictPolicy::Error => {
                return Err(WriteError::Conflict {
                    source_name: self.source.to_string(),
                    table: target.root().table.display_name(),
                    rows: losers.len() as u64,
                });
            }
            ConflictPolicy::Reject => {
                let fault = |loser: &order::Loser| Fault {
                    row: loser.row,
                    rule: "duplicate_key".into(),
                    column: None,
                    sqlstate: None,
                    reason: "an earlier record of the same source has this key".to_owned(),
                };
                self.batch.refuse(losers.iter().map(fault).collect())?;
                let root = &self.batch.root;
                self.order = order::by_key(root, &target.key, &target.meeting, last_wins)?.order;
            }
        }
        Ok(())
    }

    /// Takes out rows that the server refuses. Rows that lost to one of them compete again.
    fn refuse(&mut self, target: &Target, faults: Vec<Fault>) -> Result<(), WriteError> {
        if self.origins.is_some() {
            return self.refuse_merged(faults);
        }
        self.batch.refuse(faults)?;
        self.put_in_order(target)
    }

    /// Whether some rows are parts of records: only a merge knows what to do with them.
    fn has_parts(&self, target: &Target) -> bool {
        let root = &self.batch.root;
        target.meeting.content.is_some_and(|column| root.column(column).null_count() > 0)
    }

    /// The earliest and the latest time of its rows, in microseconds from 1970 UTC; none without a
    /// time column.
    fn touched(&self, target: &Target) -> Option<(i64, i64)> {
        let times = times(&self.batch.root, target)?;
        let rows = self.order.iter().map(|&row| times[row as usize]);
        rows.clone().min().zip(rows.max())
    }

    /// Hashes of the keys that are sent, sorted, for [`share_a_key`].
    pub fn key_hashes(&self, target: &Target) -> Vec<u64> {
        order::key_hashes(&self.batch.root, &target.key, &self.order)
    }

    /// The counts if every row of `order` is new, by position of the load in its set.
    pub fn expected(&self) -> Vec<Counts> {
        if let Some(origins) = &self.origins {
            return origins.expected();
        }
        vec![Counts {
            read: self.batch.read(),
            inserted: self.order.len() as u64,
            updated: 0,
            duplicate: self.duplicate,
            conflicting: self.conflicting,
            rejected: self.batch.rejects.len() as u64,
            skipped: self.batch.skipped,
        }]
    }
}

/// Records the rejects of a batch, in the transaction of the residue that covers it.
///
/// # Errors
/// The server's.
pub async fn record_rejects(db: &Connection, job: &Job) -> Result<(), WriteError> {
    reject::record_all(db, job).await
}

/// What the rungs did, over all writers.
#[derive(Debug, Default)]
pub struct LadderCounters {
    /// COPY commands into targets that were committed.
    pub copy_batches: AtomicU64,
    /// Batched INSERTs: merges, and those that looked for bad rows.
    pub insert_batches: AtomicU64,
    /// Rows tried one by one.
    pub row_attempts: AtomicU64,
    /// Attempts that were made again.
    pub retries: AtomicU64,
}

/// The times of rows, in microseconds from 1970 UTC; none without a time column.
fn times<'a>(rows: &'a RecordBatch, target: &Target) -> Option<&'a [i64]> {
    let column = rows.column(target.time?).as_primitive_opt::<TimestampMicrosecondType>()?;
    Some(column.values())
}

/// Adds one to a counter.
fn tick(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// How long to try.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Total time for one batch.
    pub deadline: Duration,
}

/// Why a portion could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The database's error.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A value could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Arrow's error: a bug of ours.
    #[error("rearranging a batch failed: {0}")]
    Arrow(#[from] ArrowError),
    /// Rows that were spilled cannot be read back.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// A record that the server refused cannot be read again from its source.
    #[error("{source_name}: a record that the server refused cannot be read again: {cause}")]
    Original {
        /// The source.
        source_name: String,
        /// Why.
        cause: String,
    },
    /// `--on-conflict error` met a stored key.
    #[error(
        "{source_name}: {rows} records have keys that {table} or records before them hold, and \
         --on-conflict is error; nothing of this batch was loaded: use --on-conflict skip, update \
         or reject"
    )]
    Conflict {
        /// The source.
        source_name: String,
        /// The table.
        table: String,
        /// How many records.
        rows: u64,
    },
    /// The server's counts are not what was sent, again and again.
    #[error(
        "{table}: {message}; a trigger or rule of the table drops or changes rows: disable it for \
         the load"
    )]
    Miscount {
        /// The table.
        table: String,
        /// Which counts.
        message: String,
    },
    /// The server started anew: what it acknowledged may be lost, so the ledger must be read again.
    #[error("the server restarted")]
    Restarted,
    /// A statement was cancelled, and again with twice the time.
    #[error("{}: {cause}", cancelled(*timeout))]
    Cancelled {
        /// The `statement_timeout` that did not suffice; none: there is none, somebody cancelled.
        timeout: Option<Duration>,
        /// The last error.
        cause: Box<WriteError>,
    },
    /// A policy of the table's row security refuses rows.
    #[error(
        "{table}: its row security refuses a record of {source_name} for this role: {cause}; mend \
         the policy's WITH CHECK, take the record out, or connect as a role with BYPASSRLS"
    )]
    RowSecurity {
        /// The table.
        table: String,
        /// The source.
        source_name: String,
        /// What the server said.
        cause: String,
    },
    /// Waiting did not help.
    #[error("gave up after {seconds} s of retries: {cause}; raise --retry-deadline to wait longer")]
    Deadline {
        /// How long.
        seconds: u64,
        /// The last error.
        cause: Box<WriteError>,
    },
}

fn cancelled(timeout: Option<Duration>) -> String {
    match timeout {
        Some(timeout) => format!(
            "a batch took longer than statement_timeout allows, and again with twice the time \
             ({} ms); raise statement_timeout for this role (ALTER ROLE ... SET statement_timeout)",
            timeout.as_millis()
        ),
        None => "a batch was cancelled twice by somebody (statement_timeout is off)".to_owned(),
    }
}

impl From<tokio_postgres::Error> for WriteError {
    fn from(error: tokio_postgres::Error) -> Self {
        WriteError::Db(error.into())
    }
}

impl WriteError {
    /// What is to be done about it.
    pub fn class(&self) -> Class {
        match self {
            WriteError::Db(error) => error.class(),
            _ => Class::Stop,
        }
    }
}
