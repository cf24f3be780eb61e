//! `nightly`: the cron job. New or changed files of each source are loaded, one source after
//! another, all under one run of the ledger; then the database is looked after. One run at a time,
//! by a lease. A source that fails does not stop the others.

mod dates;
mod lock;
mod look;
mod manifest;
mod preview;
mod rows;
mod source;
mod tell;

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use super::access::bring_up;
use super::upkeep::{self, UpkeepPlan};
use super::{Access, CommandError, LoadRequest, beside, coverage};
use crate::db::ledger;
use crate::db::{Connection, Database};
use crate::error::Exit;
use crate::limit::ADMISSION_S;
use crate::pipeline::{Cancel, watch_signals};
use crate::report::human;
use crate::report::model::Report;
use crate::report::nightly::Nightly;
use crate::report::progress::Snapshot;

pub use dates::Pattern;
pub use preview::dry_run;
pub use tell::ending;

/// What `nightly` is asked to do: its configuration, read and checked.
#[derive(Debug, Clone)]
pub struct NightlyRequest {
    /// The configuration's file, for people.
    pub config: String,
    /// Which database.
    pub access: Access,
    /// The sources, in their order.
    pub sources: Vec<SourceRequest>,
    /// What is looked after once all is loaded.
    pub upkeep: Option<UpkeepPlan>,
    /// The day that counts as today.
    pub today: Date,
    /// Silence after which a run that holds the lease counts as dead.
    pub stale: Duration,
    /// How long a server that is away is waited for.
    pub retry_deadline: Duration,
    /// The command line, for the command that resumes.
    pub arguments: Vec<String>,
    /// Whether somebody will look at what the tables hold, which takes queries.
    pub coverage: bool,
}

/// A source: files that arrive again and again.
#[derive(Debug, Clone)]
pub struct SourceRequest {
    /// Its name.
    pub name: String,
    /// Where its files are.
    pub paths: Vec<Pattern>,
    /// Days before today that are looked at, where paths or manifest have days in them.
    pub days: u16,
    /// When its market trades: which days it should have.
    pub calendar: Option<String>,
    /// The zone in which its days begin, as PostgreSQL and the zone database know it.
    pub zone: String,
    /// Missing and short days are failures.
    pub strict: bool,
    /// What the source says itself about how much there is.
    pub manifest: Option<Manifest>,
    /// How its files are loaded; its inputs are left empty.
    pub load: LoadRequest,
}

/// Totals that a source gives itself.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Where they are.
    pub path: Pattern,
}

/// Something that whoever watches should know.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A line for people.
    Line(&'a str),
    /// How the load that runs stands.
    Progress(&'a Snapshot),
}

/// Who is told what happens.
pub type Listener<'a> = dyn FnMut(Event<'_>) + 'a;

/// A night's work.
struct Night<'a> {
    request: &'a NightlyRequest,
    database: Database,
    /// None while a load has it, or after it was lost.
    connection: Option<Connection>,
    run_id: i64,
    cancel: Cancel,
    listener: &'a mut Listener<'a>,
    /// The tables that sources loaded files for.
    tables: coverage::Subjects,
}

impl Night<'_> {
    /// Says something about a source, or about the whole.
    fn say(&mut self, who: &str, what: &str) {
        (self.listener)(Event::Line(&format!("{who}: {what}")));
    }

    /// A connection that works: the server may have restarted meanwhile.
    async fn connection(&mut self) -> Result<&Connection, CommandError> {
        let works = match &self.connection {
            Some(connection) => connection.batch_execute("").await.is_ok(),
            None => false,
        };
        if !works {
            self.connection = None;
            let again = self.database.connect_within(self.request.retry_deadline, true).await?;
            return Ok(self.connection.insert(again));
        }
        self.connection.as_ref().ok_or_else(|| CommandError::Refused("no connection".to_owned()))
    }

    /// The same, to be given away.
    async fn take_connection(&mut self) -> Result<Connection, CommandError> {
        self.connection().await?;
        self.connection.take().ok_or_else(|| CommandError::Refused("no connection".to_owned()))
    }
}

/// The verb, as reports and the ledger name it.
const COMMAND: &str = "nightly";

/// The name of what is repeated: that of the configuration.
fn job(request: &NightlyRequest) -> String {
    let stem = std::path::Path::new(&request.config).file_stem();
    stem.unwrap_or_default().to_string_lossy().into_owned()
}

/// The report of a run that could not be begun.
pub fn failed(request: &NightlyRequest, started_at: Timestamp, error: &CommandError) -> Report {
    let mut report = Report::new("", COMMAND, started_at);
    report.job = Some(job(request));
    report.exit = Exit::Failed;
    report.messages.push(error.to_string());
    report.nightly = Some(Box::new(Nightly {
        config: request.config.clone(),
        today: request.today.to_string(),
        ..Nightly::default()
    }));
    report.finish(Timestamp::now());
    report
}

/// Whether calendars are known, before anything is begun.
fn check(request: &NightlyRequest) -> Result<(), CommandError> {
    for source in &request.sources {
        if let Some(calendar) = &source.calendar {
            let _ = super::gaps::trading_days(calendar).map_err(|error| {
                CommandError::Usage(format!(
                    "{}: source {}: calendar: {error}",
                    request.config, source.name
                ))
            })?;
        }
    }
    Ok(())
}

/// Runs the night's work and tells `listener` what happens. The first Ctrl-C or SIGTERM lets the
/// batches in hand finish, the second ends the process.
///
/// # Errors
/// What kept it from starting: [`DbError::Locked`](crate::db::DbError::Locked) if another run is
/// at it, a database that cannot be reached. What happened to sources is in the report.
pub async fn run(
    request: &NightlyRequest,
    on_stopping: impl Fn() + Send + 'static,
    listener: &mut Listener<'_>,
) -> Result<Report, CommandError> {
    check(request)?;
    let started_at = Timestamp::now();
    let cancel = Cancel::default();
    let signals = tokio::spawn(watch_signals(cancel.clone(), on_stopping));
    let ended = begin(request, started_at, cancel, listener).await;
    signals.abort();
    ended
}

async fn begin(
    request: &NightlyRequest,
    started_at: Timestamp,
    cancel: Cancel,
    listener: &mut Listener<'_>,
) -> Result<Report, CommandError> {
    let database = request.access.database().await?;
    let patience = request.retry_deadline.min(Duration::from_secs(ADMISSION_S));
    let mut connection = database.connect_within(patience, false).await?;
    bring_up(&database, &mut connection, &std::collections::BTreeSet::new()).await?;
    let wish = lock::take(&database, &connection, request.stale, cancel.clone()).await?;
    let lease = match wish {
        lock::Wish::Mine(lease) => lease,
        lock::Wish::Theirs(why) => return Err(CommandError::Busy(why)),
    };
    let job = job(request);
    let run_id = ledger::begin_run(&connection, COMMAND, Some(&job)).await?;
    lease.check(&connection, run_id).await?;
    let mut say = |event: Event<'_>| listener(event);
    let mut night = Night {
        request,
        database,
        connection: Some(connection),
        run_id,
        cancel,
        listener: &mut say,
        tables: coverage::Subjects::new(),
    };
    night.say("nightly", &tell::beginning(request, run_id, &night.database, &lease));
    let mut report = Report::new(run_id.to_string(), COMMAND, started_at);
    report.job = Some(job);
    Box::pin(night.work(&lease, &mut report)).await;
    let ended = night.end(lease, &mut report).await;
    if let Err(error) = ended {
        report.exit = report.exit.worse(Exit::Failed);
        report.messages.push(format!("the run's end could not be recorded: {error}"));
        report.finish(Timestamp::now());
    }
    Ok(report)
}

impl Night<'_> {
    /// Loads the sources, and looks after the database.
    async fn work(&mut self, lease: &lock::Lease, report: &mut Report) {
        let mut nightly = Nightly {
            config: self.request.config.clone(),
            today: self.request.today.to_string(),
            ..Nightly::default()
        };
        for source in &self.request.sources {
            if self.cancel.is_interrupted() {
                let left = tell::not_begun(source, self.request);
                report.exit = report.exit.worse(left.exit);
                report.interrupted = true;
                nightly.sources.push(left);
                continue;
            }
            let (part, outcome) = self.source(source).await;
            report.absorb(part);
            nightly.sources.push(outcome);
        }
        if let Some(plan) = &self.request.upkeep {
            self.look_after(plan, lease, &mut nightly, report).await;
        }
        if lease.is_lost() {
            report.exit = Exit::Locked;
            let why = "another nightly run took over, for this one was silent for too long: \
                       stopped; what was committed stays, and the other run does the rest";
            self.say("nightly", why);
            report.messages.push(why.to_owned());
        }
        report.nightly = Some(Box::new(nightly));
    }

    /// Looks after the database. What fails is reported; nothing is undone.
    async fn look_after(
        &mut self,
        plan: &UpkeepPlan,
        lease: &lock::Lease,
        nightly: &mut Nightly,
        report: &mut Report,
    ) {
        let run_id = self.run_id;
        let ours = match self.connection().await {
            Ok(connection) => lease.check(connection, run_id).await.unwrap_or(true),
            Err(_) => true,
        };
        if self.cancel.is_interrupted() || !ours {
            self.say("upkeep", "left out: the run was stopped before");
            return;
        }
        self.say("upkeep", "begins");
        let done = Box::pin(upkeep::run(&self.request.access, plan)).await;
        let problems = match done {
            Ok(done) => tell::upkeep(done, nightly),
            Err(error) => vec![error.to_string()],
        };
        for problem in &problems {
            self.say("upkeep", problem);
            report.messages.push(format!("upkeep: {problem}"));
        }
        match problems.len() {
            0 => {
                let actions = nightly.maintenance.len() as u64;
                self.say("upkeep", &format!("{} done", human::plural(actions, "action")));
            }
            _ => {
                report.exit = report.exit.worse(Exit::Failed);
                let next = format!(
                    "next: mend what it names; upkeep is tried again by the next \
                                    run of {}",
                    self.request.config
                );
                self.say("upkeep", &next);
            }
        }
    }

    /// Records the end and gives the lease back.
    async fn end(&mut self, lease: lock::Lease, report: &mut Report) -> Result<(), CommandError> {
        let (run_id, tables) = (self.run_id, std::mem::take(&mut self.tables));
        let coverage = self.request.coverage;
        let connection = self.connection().await?;
        ledger::end_run(connection, run_id, report.exit.code()).await?;
        beside::earlier_runs(connection, run_id, report).await?;
        if coverage {
            coverage::gather(connection, run_id, &tables, report).await;
        }
        if !lease.is_lost() {
            lease.release(connection).await?;
        }
        report.finish(Timestamp::now());
        Ok(())
    }
}
