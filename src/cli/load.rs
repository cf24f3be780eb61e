//! `backfill`: from flags to a request, progress while it runs, the report at the end.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;

use super::flags::{Conflict, FactFlags, LoadFlags, ProgressChoice, StrategyChoice};
use super::output;
use crate::command::backfill::{failed, watched};
use crate::command::rejects::{Action, Filter, RejectsRequest};
use crate::command::{Access, CommandError, LayoutChoice, LoadRequest, Reporting, plan};
use crate::dataset::{self, ConflictPolicy};
use crate::db::ledger::TimeWindow;
use crate::error::Exit;
use crate::layout::{GivenFacts, normalise_interval};
use crate::limit::{MEMORY_BYTES_DEFAULT, SPILL_BYTES_MAX};
use crate::report::file::{self, ReportFile, write_all};
use crate::report::model::Report;
use crate::report::progress::{Progress, ProgressMode};
use crate::report::table;
use crate::write::Strategy;

/// Runs `backfill`.
pub async fn backfill(flags: &LoadFlags, units: Option<(u64, u64)>) -> Result<Exit, CommandError> {
    let request = flags.request(units)?;
    if flags.dry_run {
        return Ok(output::answer(&plan::run(&request, false).await?, false));
    }
    load(request, flags.progress, &flags.report).await
}

/// Loads with progress, prints and writes the reports.
pub(super) async fn load(
    mut request: LoadRequest,
    progress: ProgressChoice,
    reports: &[PathBuf],
) -> Result<Exit, CommandError> {
    let files = report_files(reports)?;
    let folders = files.iter().try_for_each(ReportFile::look_for_folder);
    folders.map_err(|error| CommandError::Usage(error.to_string()))?;
    request.reporting = Reporting { job: file::job(&files), coverage: file::wants_html(&files) };
    let started_at = Timestamp::now();
    let mut progress = Progress::new(progress.mode(), Box::new(std::io::stderr()));
    let stopping =
        "stopping: the batches in hand are being finished; press Ctrl-C again to stop at once";
    let ended = watched(
        &request,
        || output::message(stopping),
        |now| {
            // Before the sources are known there is nothing to show.
            if now.files_total > 0 {
                progress.update(now);
                if now.finished {
                    progress.finish();
                }
            }
        },
    )
    .await;
    deliver(ended, &request, started_at, &files)
}

/// The reports that were asked for.
///
/// # Errors
/// A usage error for an ending that says no form.
pub fn report_files(paths: &[PathBuf]) -> Result<Vec<ReportFile>, CommandError> {
    ReportFile::all(paths).map_err(|error| CommandError::Usage(error.to_string()))
}

/// Prints and writes the report. A run that failed before it could load anything has one too: what
/// reads the files must not take yesterday's for today's.
fn deliver(
    ended: Result<Report, CommandError>,
    request: &LoadRequest,
    started_at: Timestamp,
    files: &[ReportFile],
) -> Result<Exit, CommandError> {
    let (report, failure) = match ended {
        Ok(report) => {
            output::message(&table::render(&report, output::look()));
            (report, None)
        }
        Err(error) if error.exit() == Exit::Usage => return Err(error),
        Err(error) => (failed(&error, request, started_at), Some(error)),
    };
    let written = write_all(&report, files);
    match (failure, written) {
        (Some(error), written) => {
            if let Err(cause) = written {
                output::error(&cause.to_string());
            }
            Err(error)
        }
        (None, Err(cause)) => Err(CommandError::Refused(cause.to_string())),
        (None, Ok(())) => Ok(report.exit),
    }
}

impl ProgressChoice {
    pub(super) fn mode(self) -> ProgressMode {
        let terminal = std::io::stderr().is_terminal();
        match self {
            ProgressChoice::Auto => ProgressMode::auto(terminal),
            ProgressChoice::Bar => ProgressMode::Bar.on(terminal),
            ProgressChoice::Plain => ProgressMode::Plain,
            ProgressChoice::Json => ProgressMode::Json,
            ProgressChoice::None => ProgressMode::None,
        }
    }
}

impl LoadFlags {
    /// The flags resolved.
    ///
    /// # Errors
    /// When they make no sense.
    pub fn request(&self, units: Option<(u64, u64)>) -> Result<LoadRequest, CommandError> {
        in_order(self.from, self.to)?;
        Ok(LoadRequest {
            inputs: self.inputs.clone(),
            made: Vec::new(),
            access: Access { url: self.database.database_url.clone() },
            table: self.table.clone(),
            layout: self.facts.layout(),
            facts: self.facts.given()?,
            on_conflict: self.on_conflict.map(policy),
            reload: self.reload,
            verify: self.verify,
            strategy: self.strategy.strategy(),
            writers: self.writers.map(usize::from),
            spill_bytes_max: self.spill_max.map_or(SPILL_BYTES_MAX, |bytes| bytes as u64),
            memory_bytes: self.memory.unwrap_or(MEMORY_BYTES_DEFAULT),
            rejects_max: self.max_rejects,
            no_check: self.no_check.clone(),
            window: TimeWindow { from_us: self.from, to_us: self.to },
            rows_per_sec_max: self.max_rows_per_sec,
            polite: self.polite,
            shard: self.shard,
            units,
            retry_deadline: self.retry_deadline,
            arguments: without_credentials(std::env::args()),
            reporting: Reporting::default(),
        })
    }
}

impl StrategyChoice {
    pub(super) fn strategy(self) -> Option<Strategy> {
        match self {
            StrategyChoice::Auto => None,
            StrategyChoice::Direct => Some(Strategy::Direct),
            StrategyChoice::Stage => Some(Strategy::Stage),
            StrategyChoice::Exchange => Some(Strategy::Exchange),
        }
    }
}

/// `--layout`.
pub(super) fn layout(name: &str) -> LayoutChoice {
    match name.ends_with(".toml") {
        true => LayoutChoice::File(PathBuf::from(name)),
        false => LayoutChoice::Named(name.to_owned()),
    }
}

impl FactFlags {
    /// `--layout`.
    pub fn layout(&self) -> Option<LayoutChoice> {
        self.layout.as_deref().map(layout)
    }

    /// The facts.
    ///
    /// # Errors
    /// A dataset that this version does not know, an interval that is none.
    pub fn given(&self) -> Result<GivenFacts, CommandError> {
        if let Some(name) = &self.dataset
            && dataset::by_name(name).is_none()
        {
            let known: Vec<&str> = dataset::ALL.iter().map(|dataset| dataset.name).collect();
            return Err(CommandError::Usage(format!(
                "--dataset {name}: this version knows {}",
                known.join(", ")
            )));
        }
        Ok(GivenFacts {
            symbol: self.symbol.clone(),
            interval: self.interval.as_deref().map(interval).transpose()?,
            zone: self.tz.clone(),
            venue: self.venue.clone(),
            date: self.date.clone(),
            dataset: self.dataset.clone(),
        })
    }
}

/// `--from` before `--to`.
///
/// # Errors
/// When they are not.
pub fn in_order(from: Option<i64>, to: Option<i64>) -> Result<(), CommandError> {
    match (from, to) {
        (Some(from), Some(to)) if from >= to => {
            Err(CommandError::Usage("--from must be before --to".to_owned()))
        }
        _ => Ok(()),
    }
}

/// `--interval` in its canonical spelling.
///
/// # Errors
/// When it is none.
pub fn interval(text: &str) -> Result<String, CommandError> {
    normalise_interval(text).ok_or_else(|| {
        CommandError::Usage(format!(
            "--interval {text:?} is no interval: use 1s, 5m, 1h, 1d, 1w or 1mo"
        ))
    })
}

fn policy(conflict: Conflict) -> ConflictPolicy {
    match conflict {
        Conflict::Skip => ConflictPolicy::Skip,
        Conflict::Update => ConflictPolicy::Update,
        Conflict::Reject => ConflictPolicy::Reject,
        Conflict::Error => ConflictPolicy::Error,
    }
}

/// A web address and its query, which may be a signature.
fn signed(argument: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = argument.split_once("://")?;
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let (address, query) = rest.split_once('?').filter(|_| web)?;
    Some((&argument[..scheme.len() + 3 + address.len()], query))
}

/// The command line as it may be shown: a URL may hold a password.
pub(super) fn without_credentials(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    let mut hide_next = false;
    for (at, argument) in arguments.enumerate() {
        if at == 0 {
            shown.push("tidegate".to_owned());
        } else if std::mem::replace(&mut hide_next, argument == "--database-url") {
            shown.push("$DATABASE_URL".to_owned());
        } else if argument.starts_with("--database-url=") {
            shown.push("--database-url=$DATABASE_URL".to_owned());
        } else if let Some((address, _)) = signed(&argument) {
            shown.push(format!("{address}?..."));
        } else {
            shown.push(argument);
        }
    }
    shown
}

/// `rejects`
#[derive(Debug, Subcommand)]
pub enum RejectsVerb {
    /// List what was refused
    List {
        #[command(flatten)]
        filter: FilterFlags,
    },
    /// Show one with its original bytes
    Show {
        /// Its number
        id: i64,
    },
    /// Write what was refused to a CSV file that can be mended and replayed
    Export {
        #[command(flatten)]
        filter: FilterFlags,
        /// The file [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Load mended rejects
    Replay {
        /// The mended export
        file: PathBuf,
    },
}

/// Which rejects.
#[derive(Debug, clap::Args)]
pub struct FilterFlags {
    /// Of this run
    #[arg(long)]
    pub run: Option<i64>,
    /// By this rule
    #[arg(long)]
    pub rule: Option<String>,
    /// Whose source's name holds this text
    #[arg(long)]
    pub source: Option<String>,
    /// Also those that were resolved
    #[arg(long)]
    pub resolved: bool,
    /// At most so many
    #[arg(long)]
    pub limit: Option<u64>,
}

impl FilterFlags {
    fn filter(self) -> Filter {
        let Self { run, rule, source, resolved, limit } = self;
        Filter { run, rule, source, resolved, limit }
    }
}

impl RejectsVerb {
    /// The request.
    pub fn request(self, access: Access) -> RejectsRequest {
        let action = match self {
            RejectsVerb::List { filter } => Action::List(filter.filter()),
            RejectsVerb::Show { id } => Action::Show(id),
            RejectsVerb::Export { filter, out } => Action::Export { filter: filter.filter(), out },
            RejectsVerb::Replay { file } => Action::Replay(file),
        };
        RejectsRequest { access, action }
    }
}
