//! One verb a file: each takes a resolved request and returns what happened. Prints nothing and
//! knows no flag; `cli` does both.

pub mod backfill;
pub mod bench;
pub mod doctor;
pub mod embedded;
mod forecast;
pub mod gaps;
pub mod generate;
pub mod inspect;
pub mod loadtest;
pub mod migrate;
pub mod nightly;
pub mod plan;
mod plan_show;
pub mod refresh;
pub mod rejects;
pub mod status;
pub mod upkeep;
pub mod verify;

mod access;
mod beside;
mod count_again;
mod coverage;
mod finding;
mod map;
mod memo;
mod observe;
mod recall;
mod recipe;
mod recipe_rewrite;
mod rules;
mod scatter;
mod side_by_side;
mod summary;
mod survey;
mod to_be_made;
mod watch;

use std::path::PathBuf;

use crate::dataset::ConflictPolicy;
use crate::db::DbError;
use crate::db::ledger::TimeWindow;
use crate::error::Exit;
use crate::layout::{GivenFacts, LayoutError};
use crate::pipeline::{PipelineError, RejectBudget};
use crate::report::list::Grid;
use crate::source::{Made, SourceError};
use crate::write::{Strategy, WriteError};

pub use access::Access;
pub use beside::Reporting;

/// What `backfill` and `plan` are asked to do.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// Paths, directories, globs, or `-`.
    pub inputs: Vec<String>,
    /// What is generated, behind the inputs.
    pub made: Vec<Made>,
    /// Which database.
    pub access: Access,
    /// A table of the user's instead of the dataset's own.
    pub table: Option<String>,
    /// A layout by name, or read from a file.
    pub layout: Option<LayoutChoice>,
    /// What the files do not say.
    pub facts: GivenFacts,
    /// Instead of the dataset's default.
    pub on_conflict: Option<ConflictPolicy>,
    /// Load contents again that the ledger has as done.
    pub reload: bool,
    /// Count records a second time, by other means.
    pub verify: bool,
    /// Instead of the planner's choice.
    pub strategy: Option<Strategy>,
    /// Writer tasks, each with a connection.
    pub writers: Option<usize>,
    /// Memory for chunks and batches, in bytes.
    pub memory_bytes: usize,
    /// Disk that sorting may use at once, in bytes.
    pub spill_bytes_max: u64,
    /// How many rejects are too many.
    pub rejects_max: Option<RejectBudget>,
    /// Rules that are not applied, by name; `all` is all of them.
    pub no_check: Vec<String>,
    /// Rows outside are skipped.
    pub window: TimeWindow,
    /// Rows a second at most.
    pub rows_per_sec_max: Option<u64>,
    /// Wait while others suffer from the load.
    pub polite: bool,
    /// This process's part of the units: `(part, parts)`.
    pub shard: Option<(u64, u64)>,
    /// Only these units, by number from 1, inclusive.
    pub units: Option<(u64, u64)>,
    /// How long one batch is tried.
    pub retry_deadline: std::time::Duration,
    /// The arguments as typed, for the command that resumes.
    pub arguments: Vec<String>,
    /// What its reports are to have.
    pub reporting: Reporting,
}

/// `--layout`.
#[derive(Debug, Clone)]
pub enum LayoutChoice {
    /// A built-in one.
    Named(String),
    /// A user's own.
    File(PathBuf),
}

/// What a command that only answers has to say.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub exit: Exit,
    /// The result, for standard output.
    pub grid: Option<Grid>,
    /// The result as JSON, if it is more than the grid.
    pub json: Option<serde_json::Value>,
    /// A result that is plain text: a URL, a record, SQL.
    pub text: Option<String>,
    /// What a person should know, for standard error.
    pub messages: Vec<String>,
}

impl Answer {
    fn done() -> Self {
        Self { exit: Exit::Done, grid: None, json: None, text: None, messages: Vec::new() }
    }

    fn message(text: impl Into<String>) -> Self {
        Self { messages: vec![text.into()], ..Self::done() }
    }
}

/// Why a command failed before or outside of loading.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command line makes no sense together.
    #[error("{0}")]
    Usage(String),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A layout file.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The pipeline.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Writing.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file of ours.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Another process is at it.
    #[error("{0}")]
    Busy(String),
    /// Anything that the user can mend; says how.
    #[error("{0}")]
    Refused(String),
}

impl CommandError {
    /// What the process exits with.
    pub fn exit(&self) -> Exit {
        match self {
            CommandError::Usage(_) => Exit::Usage,
            CommandError::Busy(_) | CommandError::Db(DbError::Locked) => Exit::Locked,
            _ => Exit::Failed,
        }
    }

    fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |cause| CommandError::File { path, cause }
    }
}

impl From<tokio_postgres::Error> for CommandError {
    fn from(error: tokio_postgres::Error) -> Self {
        CommandError::Db(error.into())
    }
}
