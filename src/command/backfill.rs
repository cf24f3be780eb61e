//! `backfill`: plans, begins the loads in the ledger, runs the pipeline, and accounts for every
//! record from the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::count::{Counts, TableCounts};
use crate::dataset;
use crate::db::ledger;
use crate::db::timescale::Unchunked;
use crate::db::{Connection, Database};
use crate::error::Exit;
use crate::limit::{ADMISSION_S, WRITERS_MAX};
use crate::pipeline::{self, Cancel, Ended, Form, LoadPlan, watch_signals};
use crate::report::human;
use crate::report::model::{FileReport, Report};
use crate::report::progress::Snapshot;
use crate::write::RetryPolicy;

use super::access::bring_up;
use super::observe::Observer;
use super::plan::{Planned, Planning, Standing, plan};
use super::recipe::Recipe;
use super::survey::{self, Looked, Survey};
use super::watch::Watch;
use super::{CommandError, LoadRequest, beside, count_again, forecast, memo, scatter, summary};

/// Runs a backfill and tells `show` how things stand, the last time when it has ended. The first
/// Ctrl-C or SIGTERM calls `on_stopping` and lets the batches in hand finish, the second ends the
/// process.
///
/// # Errors
/// As [`run`].
pub async fn watched(
    request: &LoadRequest,
    on_stopping: impl Fn() + Send + 'static,
    mut show: impl FnMut(&Snapshot),
) -> Result<Report, CommandError> {
    let (cancel, watch) = (Cancel::default(), Watch::default());
    let signals = tokio::spawn(watch_signals(cancel.clone(), on_stopping));
    let ended = watch.shown(Box::pin(run(request, cancel, &watch)), &mut show).await;
    signals.abort();
    ended
}

/// Runs a backfill to its end and reports.
///
/// # Errors
/// What kept it from starting. What happened to loads once begun is in the report.
pub async fn run(
    request: &LoadRequest,
    cancel: Cancel,
    watch: &Watch,
) -> Result<Report, CommandError> {
    let started_at = Timestamp::now();
    let mut inputs = survey::find(request)?;
    let spared = memo::spare(request, &request.access, &mut inputs.found).await?;
    let mut survey = survey::look(request, &inputs.found, &inputs.spooler)?;
    let looked = std::mem::take(&mut survey.files);
    let database = request.access.database().await?;
    let patience = request.retry_deadline.min(Duration::from_secs(ADMISSION_S));
    let mut connection = database.connect_within(patience, false).await?;
    bring_up(&database, &mut connection, &domains(request, &survey)).await?;
    let spill_bytes_max = request.spill_bytes_max.saturating_sub(survey.kept_bytes);
    let planning = plan(request, survey, &connection).await?;
    let job = request.reporting.job.as_deref();
    let run_id = ledger::begin_run(&connection, command(request), job).await?;
    let mut report = new_report(request, run_id.to_string(), started_at);
    let running = Running { request, database: &database, run_id, watch, spill_bytes_max };
    let planned = (&planning, looked.as_slice());
    let connection = running.carry_out(connection, planned, cancel, &mut report).await?;
    spared.report(&mut report);
    report.finish(Timestamp::now());
    ledger::end_run(&connection, run_id, report.exit.code()).await?;
    beside::complete(&connection, run_id, &planning, request, &mut report).await;
    Ok(report)
}

/// The domains whose tables the sources need.
pub(super) fn domains(request: &LoadRequest, survey: &Survey) -> BTreeSet<&'static str> {
    if request.table.is_some() {
        return BTreeSet::new();
    }
    let datasets = survey.sources.iter().map(|source| dataset::by_name(&source.recognised.dataset));
    datasets.flatten().map(|dataset| dataset.domain).collect()
}

/// The verb, as reports and the ledger name it.
fn command(request: &LoadRequest) -> &'static str {
    if request.made.is_empty() { "backfill" } else { "generate" }
}

fn new_report(request: &LoadRequest, run_id: String, started_at: Timestamp) -> Report {
    let mut report = Report::new(run_id, command(request), started_at);
    report.job.clone_from(&request.reporting.job);
    report.settings = beside::settings(request);
    report
}

/// The report of a backfill that failed before it could load anything.
pub fn failed(error: &CommandError, request: &LoadRequest, started_at: Timestamp) -> Report {
    let mut report = new_report(request, String::new(), started_at);
    report.exit = error.exit();
    report.messages.push(error.to_string());
    report.finish(Timestamp::now());
    report
}

/// The loads in the ledger, by position in the plan; none for those that are blocked.
pub(super) type Begun = BTreeMap<usize, ledger::Load>;

/// Begins the loads that are to be done, all in one transaction.
async fn begin(
    request: &LoadRequest,
    connection: &Connection,
    run_id: i64,
    planning: &Planning,
) -> Result<Begun, CommandError> {
    connection
        .batch_execute(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on",
        )
        .await?;
    let mut begun = Begun::new();
    // Sets of loads that are scattered together, and how many they have so far.
    let mut sets: BTreeMap<usize, (i64, usize)> = BTreeMap::new();
    for (at, planned) in planning.loads.iter().enumerate() {
        match planned.standing {
            Standing::New | Standing::Resumable { .. } => {
                let mut new = planned.new_load(request, recipe(request, planned).to_json());
                if let Some(group) = planned.scatter {
                    let set = match sets.get_mut(&group) {
                        Some(set) => set,
                        None => {
                            let id = ledger::begin_scatter(connection, &new.cut_rule).await?;
                            sets.entry(group).or_insert((id, 0))
                        }
                    };
                    new.set = Some(*set);
                }
                let load = ledger::begin_load(connection, run_id, &new).await?;
                // Another process may have begun it meanwhile, in a set of its own.
                if let Some(set) = planned.scatter.and_then(|group| sets.get_mut(&group))
                    && set.0 == load.set_id
                {
                    set.1 += 1;
                }
                begun.insert(at, load);
            }
            Standing::Done | Standing::Blocked(_) => {}
        }
    }
    connection.batch_execute("COMMIT").await?;
    Ok(begun)
}

/// Hypertables that have no chunks yet get them as wide as their partitions would be.
async fn fit_chunks(connection: &Connection, planning: &Planning) -> Result<(), CommandError> {
    let mut tables: BTreeMap<u32, Vec<&Planned>> = BTreeMap::new();
    for planned in &planning.loads {
        if matches!(planned.standing, Standing::New) {
            tables.entry(planned.route.target.root().table.oid).or_default().push(planned);
        }
    }
    for loads in tables.into_values() {
        let Some(first) = loads.first() else { continue };
        let table = &first.route.target.root().table;
        if let Some(table) = Unchunked::find(connection, table).await?
            && let Some(width) = forecast::chunk_width(&loads)
        {
            table.set_width(connection, width).await?;
        }
    }
    Ok(())
}

/// Loads that belong to a run of the ledger; a run may have several, one after another.
pub(super) struct Running<'a> {
    pub request: &'a LoadRequest,
    pub database: &'a Database,
    pub run_id: i64,
    pub watch: &'a Watch,
    /// What sorting may take on disk, in bytes.
    pub spill_bytes_max: u64,
}

/// What the ledger has of a run before its next loads: they report only what they add.
struct Before {
    loads: BTreeMap<i64, ledger::RunLoad>,
    tables: BTreeMap<String, TableCounts>,
    /// The newest reject.
    reject: i64,
}

impl Before {
    async fn read(connection: &Connection, run_id: i64) -> Result<Self, CommandError> {
        Ok(Self {
            loads: ledger::run_loads(connection, run_id).await?,
            tables: ledger::run_tables(connection, run_id).await?,
            reject: summary::newest_reject(connection, run_id).await?,
        })
    }

    /// What the run did to a load.
    fn counts(&self, load: Option<&ledger::Load>) -> Counts {
        load.and_then(|load| self.loads.get(&load.id)).map(|load| load.counts).unwrap_or_default()
    }
}

impl Running<'_> {
    /// Carries out a plan of the files that were looked at and puts what became of it into the
    /// report, which has no files yet. Gives back the connection, or
    /// another one if the server was restarted.
    ///
    /// # Errors
    /// What kept it from starting, or from reading the ledger at the end.
    pub(super) async fn carry_out(
        &self,
        connection: Connection,
        (planning, looked): (&Planning, &[Looked]),
        cancel: Cancel,
        report: &mut Report,
    ) -> Result<Connection, CommandError> {
        let before = Before::read(&connection, self.run_id).await?;
        let begun = begin(self.request, &connection, self.run_id, planning).await?;
        fit_chunks(&connection, planning).await?;
        let ended = self.load(&connection, planning, &begun, cancel).await?;
        // It was idle for most of the load: the server may have restarted behind its back.
        let connection = match connection.batch_execute("").await {
            Ok(()) => connection,
            Err(_) => self.database.connect_within(self.request.retry_deadline, true).await?,
        };
        self.account(&connection, planning, (&begun, &before), ended, report).await?;
        let done = memo::done(self.request, looked, planning, &begun, report);
        ledger::note(&connection, &done).await?;
        Ok(connection)
    }

    /// Runs the pipeline over the loads that were begun.
    async fn load(
        &self,
        connection: &Connection,
        planning: &Planning,
        begun: &Begun,
        cancel: Cancel,
    ) -> Result<Ended, CommandError> {
        use std::sync::atomic::Ordering::Relaxed;
        let mut loads = Vec::with_capacity(begun.len());
        for (&at, load) in begun {
            let planned = &planning.loads[at];
            let done = if load.sealed {
                continue;
            } else if planned.found.is_some() && !load.scattered {
                ledger::done_portions(connection, load.set_id).await?
            } else {
                BTreeMap::new()
            };
            loads.push(load_plan(planned, load, done));
        }
        let live = &self.watch.live;
        live.files_total.store(loads.len() as u64, Relaxed);
        live.bytes_total.store(loads.iter().map(|load| load.bytes).sum(), Relaxed);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let writers = |usual: usize, max: usize| {
            self.request.writers.unwrap_or(usual.clamp(2, max)).clamp(1, WRITERS_MAX)
        };
        let several_tables = loads.iter().any(|load| load.target.tables.len() > 1);
        let plan = pipeline::Plan {
            database: self.database.clone(),
            run_id: self.run_id,
            loads,
            // One more than cores: while one commits and begins anew, the others are at work.
            // Records of several tables keep the server busy with keys alone, and more writers
            // only get in each other's way.
            writers: writers(if several_tables { cores } else { cores + 1 }, 8),
            exchangers: writers(cores * 2, 16),
            decoders: cores.clamp(1, 8),
            memory_bytes: self.request.memory_bytes,
            spill_bytes_max: self.spill_bytes_max,
            retry: RetryPolicy { deadline: self.request.retry_deadline },
            rejects_max: self.request.rejects_max,
            rows_per_sec_max: self.request.rows_per_sec_max,
            polite: self.request.polite,
            exchange_rows_min: scatter::exchange_rows_min(self.request.strategy),
        };
        let counters = Arc::clone(&self.watch.counters);
        let observer = Observer::start(self.database, self.run_id, self.watch);
        let ended = pipeline::run(plan, connection, cancel, Arc::clone(live), counters).await;
        observer.end().await;
        Ok(ended)
    }

    /// Fills the report from the ledger.
    async fn account(
        &self,
        connection: &Connection,
        planning: &Planning,
        (begun, before): (&Begun, &Before),
        ended: Ended,
        report: &mut Report,
    ) -> Result<(), CommandError> {
        summary::server(connection, self.database, report).await?;
        summary::ladder(self.watch, report);
        let now = Before::read(connection, self.run_id).await?;
        report.tables = summary::without(&now.tables, &before.tables);
        summary::rejects(connection, self.run_id, before.reject, report).await?;
        summary::warnings(self.watch, begun, planning, report);
        let failures = failures_by_load(planning, begun, &ended);
        for (at, planned) in planning.loads.iter().enumerate() {
            let load = begun.get(&at);
            let mut counts = now.counts(load);
            counts -= before.counts(load);
            let sealed = match load {
                Some(load) => summary::is_sealed(connection, load.id).await?,
                None => planned.standing == Standing::Done,
            };
            let blocked = match &planned.standing {
                Standing::Blocked(why) => Some(why.clone()),
                _ => None,
            };
            report.files.push(FileReport {
                source: planned.source.name.to_string(),
                content_hash: Some(summary::hex(&planned.content.hash)),
                layout: Some(planned.source.recognised.layout.clone()),
                dataset: Some(planned.content.dataset.clone()),
                counts,
                sealed,
                load_id: load.or(planned.found.as_ref()).map(|load| load.id),
                already_loaded: planned.standing == Standing::Done,
                rejected_before: 0,
                bytes_read: if load.is_some() { planned.content.bytes } else { 0 },
                error: blocked.or_else(|| failures.get(&at).cloned()),
            });
        }
        for (name, why) in &planning.failed {
            report.files.push(FileReport {
                source: name.clone(),
                error: Some(why.clone()),
                ..FileReport::default()
            });
        }
        self.earlier_rejects(connection, begun, report).await?;
        report.strategy = summary::strategy(planning, begun, self.watch);
        report.ignored = planning.ignored.iter().map(|(name, _)| name.clone()).collect();
        report.messages.extend(planning.messages.iter().cloned());
        let mut exit = self.exit(&ended, report);
        if self.request.verify && exit != Exit::Interrupted {
            let wrong = count_again::count_again(connection, planning, begun).await?;
            if !wrong.is_empty() {
                exit = exit.worse(Exit::Accounts);
                report.messages.extend(wrong);
            }
        }
        report.exit = exit;
        report.interrupted = ended.interrupted;
        report.messages.extend(ended.budget_spent);
        report.messages.extend(ended.broken);
        report.messages.extend(ended.error.map(|error| error.to_string()));
        summary::commands(self.request, self.run_id, report);
        Ok(())
    }

    /// Books the rejects that earlier runs recorded for the loads that this run completed: whoever
    /// reads only this run's report must learn of them.
    async fn earlier_rejects(
        &self,
        connection: &Connection,
        begun: &Begun,
        report: &mut Report,
    ) -> Result<(), CommandError> {
        // The report's first files are the plan's loads, in its order.
        let completed = begun.iter().filter(|&(&at, load)| {
            !load.sealed && report.files.get(at).is_some_and(|file| file.sealed)
        });
        let completed: BTreeMap<i64, usize> = completed.map(|(&at, load)| (load.id, at)).collect();
        let loads: Vec<i64> = completed.keys().copied().collect();
        for (load, run, rejects) in
            summary::earlier_rejects(connection, self.run_id, &loads).await?
        {
            let Some(file) = completed.get(&load).and_then(|&at| report.files.get_mut(at)) else {
                continue;
            };
            file.rejected_before += rejects;
            report.messages.push(format!(
                "{}: run {run} refused {} of this load, which is complete now; mend and load \
                 them: {}",
                file.source,
                human::plural(rejects, "record"),
                summary::replay_command(run)
            ));
            report.replay_command.get_or_insert_with(|| summary::replay_command(run));
        }
        Ok(())
    }

    fn exit(&self, ended: &Ended, report: &mut Report) -> Exit {
        let mut exit = Exit::Done;
        let mut worse = |condition: bool, than: Exit| {
            if condition {
                exit = exit.worse(than);
            }
        };
        let mut totals = Counts::default();
        report.files.iter().for_each(|file| totals += file.counts);
        worse(totals.rejected > 0, Exit::Rejects);
        worse(report.files.iter().any(|file| file.rejected_before > 0), Exit::Rejects);
        worse(report.files.iter().any(|file| file.error.is_some()), Exit::Failed);
        worse(ended.error.is_some() || !ended.failures.is_empty(), Exit::Failed);
        let over = self.request.rejects_max.is_some_and(|budget| {
            budget.is_spent(totals.read, totals.rejected, !ended.interrupted)
        });
        if over && ended.budget_spent.is_none() {
            let Counts { read, rejected, .. } = totals;
            report.messages.push(format!(
                "{rejected} of {read} records were refused, which is more than --max-rejects \
                 allows; all others are loaded"
            ));
        }
        worse(ended.budget_spent.is_some() || over, Exit::Budget);
        worse(!ended.broken.is_empty() || !totals.add_up(), Exit::Accounts);
        worse(ended.interrupted, Exit::Interrupted);
        exit
    }
}

/// How a mended reject of this source is read again.
fn recipe(request: &LoadRequest, planned: &Planned) -> Recipe {
    let root = planned.route.target.root();
    Recipe {
        shape: planned.source.recognised.shape.clone(),
        json: planned.source.recognised.json.clone(),
        fields: planned.source.columns.clone(),
        mapping: planned.route.mapping.clone(),
        targets: root.columns.iter().map(|column| column.name.clone()).collect(),
        tickers: planned.route.tickers.clone(),
        identity: planned.route.identity,
        no_check: request.no_check.clone(),
        schema: root.table.schema.clone(),
        table: root.table.name.clone(),
        makes_partitions: planned.route.makes_partitions,
        interval_column: planned.route.interval_column,
    }
}

fn load_plan(
    planned: &Planned,
    load: &ledger::Load,
    done: BTreeMap<u32, ledger::DonePortion>,
) -> LoadPlan {
    let source = &planned.source;
    let fingerprint = source.fingerprint.clone();
    let form = match (&source.recognised.shape, &source.recognised.json) {
        (Some(shape), _) => Form::Text { fingerprint, shape: Arc::new(shape.clone()) },
        (None, Some(shape)) => Form::Json { fingerprint, shape: Arc::new(shape.clone()) },
        (None, None) => Form::Parquet { fingerprint },
    };
    LoadPlan {
        id: load.id,
        set_id: load.set_id,
        ordinal: load.ordinal,
        scattered: load.scattered,
        source: Arc::clone(&source.name),
        location: source.location.clone(),
        bytes: source.fingerprint.bytes,
        form,
        mapping: Arc::new(planned.route.mapping.clone()),
        target: Arc::clone(&planned.route.target),
        tickers: planned.route.tickers.clone(),
        identity: planned.route.identity,
        interval_column: planned.route.interval_column,
        checker: Arc::new(planned.route.checker.clone()),
        quality: planned.route.quality.clone(),
        makes_partitions: planned.route.makes_partitions,
        done,
    }
}

/// The pipeline's failures, by position in the planning instead of in its own list.
fn failures_by_load(planning: &Planning, begun: &Begun, ended: &Ended) -> BTreeMap<usize, String> {
    let running = begun.iter().filter(|(_, load)| !load.sealed).map(|(&at, _)| at);
    let mut failures = BTreeMap::new();
    for (position, at) in running.enumerate() {
        if let Some(error) = ended.failures.get(&position) {
            failures.insert(at, error.to_string());
        }
    }
    debug_assert!(failures.keys().all(|&at| at < planning.loads.len()));
    failures
}
