//! A load in motion: a reader thread hands out pieces of sources, decoder threads turn them into
//! batches, and writer tasks store them. The only folder where threads, tasks and channels of a
//! load live. Called by `command` with a plan that is plain data.
//!
//! Every piece has a channel of its own, and the receivers stand in one queue in source order: so
//! decoding is parallel and the order of batches is that of the files, whatever the scheduling.

mod budget;
mod clock;
mod crossing;
mod decoder;
mod json;
mod live;
mod order;
mod partitions;
mod pass;
mod polite;
pub mod prepare;
mod reader;
mod scatter;
mod schedule;
mod signal;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::{Checker, Quality};
use crate::db::{Database, DbError, ledger};
use crate::decode::DecodeError;
use crate::encode::EncodeError;
use crate::mapping::{JsonShape, Mapping, TextShape};
use crate::source::{Fingerprint, Location, SourceError};
use crate::spill::SpillError;
use crate::write::{RetryPolicy, Target, WriteError};

pub use live::{Hold, Live, Stage};
pub use partitions::width_for;
pub use pass::{Ended, run};
pub use signal::{Cancel, watch_signals};

/// Everything that a load needs to know, decided beforehand.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The database.
    pub database: Database,
    /// The run's number in the ledger.
    pub run_id: i64,
    /// The loads, in the order that decides between equal keys.
    pub loads: Vec<LoadPlan>,
    /// Writer tasks, each with a connection.
    pub writers: usize,
    /// Writer tasks where each fills a table of its own: they do not get into each other's way.
    pub exchangers: usize,
    /// Decoder threads.
    pub decoders: usize,
    /// What chunks and batches may take together, in bytes.
    pub memory_bytes: usize,
    /// What runs of sorted rows may take on disk at once, in bytes; they end a window.
    pub spill_bytes_max: u64,
    /// How long a batch is tried.
    pub retry: RetryPolicy,
    /// How many rejects are too many.
    pub rejects_max: Option<RejectBudget>,
    /// Rows a second at most.
    pub rows_per_sec_max: Option<u64>,
    /// Whether it waits while others suffer from it.
    pub polite: bool,
    /// Rows from which on a fresh partition of a scattered load is filled apart and attached.
    pub exchange_rows_min: u64,
}

/// How many rejects a run may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RejectBudget {
    /// So many.
    Count(u64),
    /// So many in a hundred records read.
    Percent(f64),
}

impl RejectBudget {
    /// Records that must have been read before a share of them means anything, while more come.
    const RECORDS_MIN: u64 = 10_000;

    /// Whether `rejected` of `read` records is too much. `done` says that no more will come.
    pub fn is_spent(self, read: u64, rejected: u64, done: bool) -> bool {
        match self {
            RejectBudget::Count(max) => rejected > max,
            RejectBudget::Percent(max) => {
                (done || read >= Self::RECORDS_MIN) && rejected as f64 * 100.0 > max * read as f64
            }
        }
    }
}

/// The form of a source.
#[derive(Debug, Clone)]
pub enum Form {
    /// Delimited text.
    Text {
        /// What the bytes must be.
        fingerprint: Fingerprint,
        /// How they are laid out.
        shape: Arc<TextShape>,
    },
    /// JSON.
    Json {
        /// What the bytes must be.
        fingerprint: Fingerprint,
        /// Where its records are.
        shape: Arc<JsonShape>,
    },
    /// Parquet.
    Parquet {
        /// What the file must be.
        fingerprint: Fingerprint,
    },
}

/// One source's way into one target.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// The load's number in the ledger.
    pub id: i64,
    /// Its set.
    pub set_id: i64,
    /// Its position in the set.
    pub ordinal: usize,
    /// Whether the rows of its set are sorted into the target's order before they are written.
    pub scattered: bool,
    /// The source's name, for people.
    pub source: Arc<str>,
    /// Where it is.
    pub location: Location,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its form.
    pub form: Form,
    /// From its fields to the batch's columns.
    pub mapping: Arc<Mapping>,
    /// Where its rows go.
    pub target: Arc<Target>,
    /// How its symbols become ids, if they do.
    pub tickers: Option<Tickers>,
    /// How its records without an id are known again, if the dataset has such.
    pub identity: Option<Identity>,
    /// Position of a column of intervals that are spelled in the canonical way before they are
    /// stored.
    pub interval_column: Option<usize>,
    /// Rules for its rows.
    pub checker: Arc<Checker>,
    /// What is looked at in rows that are loaded all the same.
    pub quality: Option<Quality>,
    /// Whether partitions are made for the range that arrives.
    pub makes_partitions: bool,
    /// Portions that are committed.
    pub done: BTreeMap<u32, ledger::DonePortion>,
}

/// How records without an id of their own are known again: by the content and their place in it.
/// The positions are of columns of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The id, a text.
    pub id: usize,
    /// The content's number where the record has no id, else 0.
    pub content: usize,
    /// The record's place where it has no id, else 0.
    pub row: usize,
    /// The content's number.
    pub number: i64,
}

/// How symbols become ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tickers {
    /// Position of the batch's symbol column, which becomes the id column.
    pub column: usize,
    /// The id column's name in the target.
    pub id_name: String,
    /// The venue whose symbols they are; may be empty.
    pub venue: String,
}

impl PipelineError {
    /// The error of a part of a source whose first line has this number.
    fn starting_at(self, first: u64) -> Self {
        match self {
            Self::Decode { source_name, cause } => {
                Self::Decode { source_name, cause: cause.starting_at(first) }
            }
            other => other,
        }
    }
}

/// Why a load failed.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Decoding.
    #[error("{source_name}: {cause}")]
    Decode {
        /// The source.
        source_name: Arc<str>,
        /// What went wrong.
        cause: DecodeError,
    },
    /// Encoding.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Writing.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Spilling.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// The database, outside of a batch.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A source has other rows than when the load was planned.
    #[error(
        "{source_name}: changed while it was being loaded ({found} rows or bytes, {expected} \
         planned); run the same command again"
    )]
    Changed {
        /// The source.
        source_name: Arc<str>,
        /// Then.
        expected: u64,
        /// Now.
        found: u64,
    },
    /// A thread or task ended without a word: a bug of ours.
    #[error("{0} ended unexpectedly; please report this")]
    Lost(&'static str),
}
