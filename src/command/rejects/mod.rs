//! `rejects`: what was refused is listed, shown, exported to a file that people mend, and replayed
//! from it. The reject table is changed by `replay` alone, which marks what it resolved; nothing is
//! ever deleted. Called by `cli`; `backfill` may export what its run refused.

mod export;
mod list;
mod mended;
mod object;
mod replay;
mod sheet;
mod show;
mod tally;
mod way;

use std::path::PathBuf;

use tokio_postgres::types::{ToSql, Type};

use super::{Access, Answer, CommandError};

/// Which rejects.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this run.
    pub run: Option<i64>,
    /// By this rule; `check` also means every `check:name`.
    pub rule: Option<String>,
    /// Whose source's name holds this text.
    pub source: Option<String>,
    /// Also those that were resolved.
    pub resolved: bool,
    /// At most so many, the oldest first.
    pub limit: Option<u64>,
}

/// The condition that [`Filter::parameters`] belong to, on rejects `r`.
const MATCHES: &str = "($1 IS NULL OR r.run_id = $1) \
     AND ($2 IS NULL OR r.rule = $2 OR starts_with(r.rule, $2 || ':')) \
     AND ($3 IS NULL OR position($3 IN r.source) > 0) AND ($4 OR r.resolved_at IS NULL)";

impl Filter {
    fn parameters(&self) -> [(&(dyn ToSql + Sync), Type); 4] {
        [
            (&self.run, Type::INT8),
            (&self.rule, Type::TEXT),
            (&self.source, Type::TEXT),
            (&self.resolved, Type::BOOL),
        ]
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// List them.
    List(Filter),
    /// Show one, by its number.
    Show(i64),
    /// Write them as CSV.
    Export {
        /// Which.
        filter: Filter,
        /// The file; `None`: the answer's text.
        out: Option<PathBuf>,
    },
    /// Load the mended records of an export.
    Replay(PathBuf),
}

/// What `rejects` is asked to do.
#[derive(Debug)]
pub struct RejectsRequest {
    /// Which database.
    pub access: Access,
    /// What.
    pub action: Action,
}

/// Does it.
///
/// # Errors
/// When the database or a file cannot be used, or there is no such reject.
pub async fn run(request: &RejectsRequest) -> Result<Answer, CommandError> {
    match &request.action {
        Action::List(filter) => list::run(&request.access, filter).await,
        Action::Show(id) => show::run(&request.access, *id).await,
        Action::Export { filter, out } => {
            export::run(&request.access, filter, out.as_deref()).await
        }
        Action::Replay(file) => replay::run(&request.access, file).await,
    }
}

fn no_ledger() -> CommandError {
    CommandError::Refused(
        "the database has no ledger, so nothing was refused in it: check --database-url".to_owned(),
    )
}
