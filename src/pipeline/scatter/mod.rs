//! A scattered set of loads: a window of its sources is read to the end, its rows are sorted by
//! route and key through runs on disk, and every route is written in the target's order: a fresh
//! partition is filled apart and attached, everything else goes down the ladder part by part.

mod gather;
mod routing;
mod rows;
mod store;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::mpsc;

use self::gather::{Gathered, Gathering, Shape};
use self::routing::Routing;
use self::store::Store;
use super::decoder::Prepared;
use super::live::{Live, add, sub};
use super::order::Item;
use super::pass::Reading;
use super::reader::{Start, Walk};
use super::schedule::{Pace, PassEnd, over_budget};
use super::{Cancel, LoadPlan, PipelineError, Plan};
use crate::column::TimeRanges;
use crate::count::Counts;
use crate::dataset::ConflictPolicy;
use crate::db::ledger::{self, PortionKey, RESIDUE, Window};
use crate::db::{Connection, catalog};
use crate::error::Class;
use crate::limit::{LOCK_TIMEOUT_MS, SORT_BUFFER_SHARE};
use crate::mapping::ValueKind;
use crate::write::{LadderCounters, WriteError, record_rejects};

/// One pass over a scattered set.
pub(super) struct Scatter<'a> {
    pub plan: Arc<Plan>,
    pub members: Arc<Members>,
    pub cancel: &'a Cancel,
    pub live: &'a Arc<Live>,
    pub counters: &'a Arc<LadderCounters>,
    pub server_started_at: f64,
    pub failures: &'a mut HashMap<usize, PipelineError>,
    pub totals: &'a mut Counts,
    pub pace: &'a Arc<tokio::sync::Mutex<Pace>>,
}

/// The loads of a set that are not sealed: positions in the plan, by position in the set.
#[derive(Debug)]
pub(super) struct Members(Vec<Option<usize>>);

impl Members {
    /// Those of a plan.
    pub fn of_set(plan: &Plan, set_id: i64) -> Self {
        let mut members = Vec::new();
        for (at, load) in plan.loads.iter().enumerate().filter(|(_, load)| load.set_id == set_id) {
            members.resize(members.len().max(load.ordinal + 1), None);
            members[load.ordinal] = Some(at);
        }
        Self(members)
    }

    /// Position in the plan of a load, by its position in the set.
    fn at(&self, ordinal: usize) -> Option<usize> {
        self.0.get(ordinal).copied().flatten()
    }

    /// Positions in the set and in the plan.
    fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.0.iter().enumerate().filter_map(|(ordinal, at)| Some((ordinal, (*at)?)))
    }

    /// How long an array over the set is.
    fn len(&self) -> usize {
        self.0.len()
    }

    /// A load of the set: all have the same target.
    fn first<'a>(&self, plan: &'a Plan) -> &'a LoadPlan {
        &plan.loads[self.iter().next().map_or(0, |(_, at)| at)]
    }
}

/// What stops a window.
enum Stop {
    /// Nothing can be done about it.
    Pass(PassEnd),
    /// Another process reads this window, or has read it: the ledger must be read again.
    Elsewhere,
}

impl<E: Into<PipelineError>> From<E> for Stop {
    fn from(error: E) -> Self {
        let error = error.into();
        let class = match &error {
            PipelineError::Write(error) => error.class(),
            PipelineError::Db(error) => error.class(),
            _ => Class::Stop,
        };
        match class {
            // What was acknowledged may be lost: the ledger is read again.
            Class::Reconnect | Class::Redo => Stop::Pass(PassEnd::Restarted),
            _ => Stop::Pass(PassEnd::Failed(error)),
        }
    }
}

/// A window's residue: its transaction, open while the window is read.
struct Residue {
    db: Connection,
    key: PortionKey,
}

impl Scatter<'_> {
    /// Reads and writes what the ledger lacks.
    pub async fn run(mut self) -> PassEnd {
        match self.windows().await {
            Ok(()) | Err(Stop::Elsewhere) => PassEnd::Complete,
            Err(Stop::Pass(end)) => end,
        }
    }

    async fn windows(&mut self) -> Result<(), Stop> {
        let set_id = self.members.first(&self.plan).set_id;
        let db = self.plan.database.connect().await?;
        let windows = ledger::windows(&db, set_id).await?;
        drop(db);
        for (&number, window) in &windows {
            if !window.is_done() {
                self.redo(number, window).await?;
            }
        }
        self.fresh(&windows).await
    }

    /// Reads a window again whose residue is committed, and writes the routes that are missing.
    async fn redo(&mut self, number: u32, window: &Window) -> Result<(), Stop> {
        let walk = |(&ordinal, stretch): (&usize, &ledger::Stretch)| {
            let start = Start {
                at: stretch.start,
                span: stretch.first_span,
                row: stretch.first_row,
                line: stretch.first_line,
            };
            let load = self.members.at(ordinal)?;
            Some(Walk { load, stretch: Some((start, Some(stretch.end))) })
        };
        let walks: Vec<Walk> = window.stretches.iter().filter_map(walk).collect();
        let time = self.time_column();
        let frozen = Some(Arc::new(Routing::of_window(time, window)));
        let mut gathering =
            Gathering::new(self.shape(TimeRanges::default(), frozen), Arc::clone(self.live));
        let mut reading = self.read(walks);
        let read = self.read_again(&mut reading.items, &mut gathering).await;
        self.end(reading, read).await?;
        let stretches = gathering.stretches.clone();
        let bytes = gathering.bytes;
        let Some(gathered) = gathering.finish().await? else { return Ok(()) };
        // Cuts are the ledger's: they depend on how rows fell into blocks.
        let names = |route: &i64| gathered.routing.name(*route);
        let same = stretches == window.stretches
            && gathered.routes.len() == window.routes.len()
            && gathered.routes.iter().all(|(route, share)| {
                window.routes.get(&names(route)).is_some_and(|stored| stored.rows == share.rows)
            });
        if !same {
            return Err(Stop::Pass(PassEnd::Failed(PipelineError::Lost(
                "a window that reads as it did before",
            ))));
        }
        let existing = self.accepted().await?;
        self.store(number, gathered, window.clone(), existing, bytes).await
    }

    async fn read_again(
        &self,
        items: &mut mpsc::Receiver<Item>,
        gathering: &mut Gathering,
    ) -> Result<(), Stop> {
        while let Some(item) = items.recv().await {
            self.check_cancel()?;
            match item {
                Item::Batch(prepared) => {
                    sub(&self.live.batches_waiting, 1);
                    gathering.take(self.ordinal(&prepared), &prepared).await?;
                    add(&self.live.bytes_done, prepared.bytes / 2);
                }
                Item::Failed { error, .. } => return Err(Stop::Pass(PassEnd::Failed(error))),
            }
        }
        Ok(())
    }

    /// Lets the reading threads end, whatever came of it.
    async fn end(&self, reading: Reading, result: Result<(), Stop>) -> Result<(), Stop> {
        self.cancel.stop();
        let ended = reading.end().await;
        self.cancel.rearm();
        result?;
        Ok(ended?)
    }

    /// Reads what no window covers yet, window by window.
    async fn fresh(&mut self, windows: &BTreeMap<u32, Window>) -> Result<(), Stop> {
        let walks: Vec<Walk> = (self.members.iter())
            .filter(|(_, load)| !self.failures.contains_key(load))
            .map(|(ordinal, load)| Walk { load, stretch: Some((start(windows, ordinal), None)) })
            .collect();
        let first = windows.keys().next_back().map_or(0, |last| last + 1);
        let mut reading = self.read(walks);
        let result = self.fresh_windows(first, &mut reading.items).await;
        self.end(reading, result).await
    }

    async fn fresh_windows(
        &mut self,
        first: u32,
        items: &mut mpsc::Receiver<Item>,
    ) -> Result<(), Stop> {
        for number in first.. {
            let accepted = self.accepted().await?;
            let mut gathering =
                Gathering::new(self.shape(accepted.clone(), None), Arc::clone(self.live));
            let mut residue = None;
            let mut files_done = 0;
            let more =
                self.window(number, items, &mut gathering, &mut residue, &mut files_done).await?;
            let Some(residue) = residue else { break };
            self.close_window(residue, gathering, accepted).await?;
            add(&self.live.files_done, files_done);
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// Commits what a window's reading found, and writes its routes.
    async fn close_window(
        &mut self,
        Residue { db, key }: Residue,
        mut gathering: Gathering,
        accepted: TimeRanges,
    ) -> Result<(), Stop> {
        let (counts, bytes) = (gathering.counts.clone(), gathering.bytes);
        let mut window = Window { stretches: gathering.stretches.clone(), ..Window::default() };
        let gathered = gathering.finish().await?;
        if let Some(gathered) = &gathered {
            let named = |(&route, share): (&i64, &ledger::Share)| {
                (gathered.routing.name(route), share.clone())
            };
            window.routes = gathered.routes.iter().map(named).collect();
        }
        ledger::record_residue(&db, &key, &counts, &window).await?;
        db.batch_execute("COMMIT").await.map_err(WriteError::from)?;
        drop(db);
        for counts in counts {
            *self.totals += counts;
            add(&self.live.rejects, counts.rejected);
            add(&self.live.records_committed, counts.read);
        }
        match gathered {
            Some(gathered) => self.store(key.window, gathered, window, accepted, bytes).await,
            None => {
                add(&self.live.bytes_done, bytes - bytes / 2);
                Ok(())
            }
        }
    }

    /// Reads one window. `false`: the sources are at their end.
    async fn window(
        &mut self,
        number: u32,
        items: &mut mpsc::Receiver<Item>,
        gathering: &mut Gathering,
        residue: &mut Option<Residue>,
        files_done: &mut u64,
    ) -> Result<bool, Stop> {
        let mut may_end = true;
        while !(may_end && gathering.is_full()) {
            self.check_cancel()?;
            let Some(item) = items.recv().await else { return Ok(false) };
            let prepared = match item {
                Item::Batch(prepared) => prepared,
                Item::Failed { load, error } => {
                    self.failures.insert(load, error);
                    continue;
                }
            };
            sub(&self.live.batches_waiting, 1);
            self.check_budget(&prepared, gathering)?;
            if residue.is_none() {
                *residue = Some(self.open_residue(number).await?);
            }
            if let Some(residue) = residue {
                record_rejects(&residue.db, &prepared.job).await?;
            }
            gathering.take(self.ordinal(&prepared), &prepared).await?;
            add(&self.live.bytes_done, prepared.bytes / 2);
            *files_done += u64::from(prepared.job.batch.last);
            may_end = prepared.ends_unit;
        }
        Ok(true)
    }

    async fn open_residue(&self, window: u32) -> Result<Residue, Stop> {
        let set_id = self.members.first(&self.plan).set_id;
        let key = PortionKey { set_id, route: RESIDUE.to_owned(), window };
        let db = self.plan.database.connect().await?;
        let locked = ledger::begin_portion(&db, &key, LOCK_TIMEOUT_MS).await?;
        if locked && ledger::claim_residue(&db, &key, self.plan.run_id).await? {
            // It stays open, waiting for us, for as long as the window is read.
            let patient = "SET LOCAL idle_in_transaction_session_timeout = 0";
            db.batch_execute(patient).await.map_err(WriteError::from)?;
            return Ok(Residue { db, key });
        }
        Err(Stop::Elsewhere)
    }

    fn check_cancel(&self) -> Result<(), Stop> {
        match self.cancel.is_interrupted() {
            true => Err(Stop::Pass(PassEnd::Interrupted)),
            false => Ok(()),
        }
    }

    fn check_budget(&self, prepared: &Prepared, gathering: &Gathering) -> Result<(), Stop> {
        let Some(budget) = self.plan.rejects_max else { return Ok(()) };
        let mut totals = *self.totals;
        gathering.stretches.values().for_each(|stretch| totals.read += stretch.rows);
        gathering.counts.iter().for_each(|counts| totals.rejected += counts.rejected);
        let batch = &prepared.job.batch;
        let (read, rejected) =
            (totals.read + batch.read(), totals.rejected + batch.rejects.len() as u64);
        match budget.is_spent(read, rejected, false) {
            true => Err(Stop::Pass(PassEnd::Budget(over_budget(&prepared.job, read, rejected)))),
            false => Ok(()),
        }
    }

    fn ordinal(&self, prepared: &Prepared) -> usize {
        self.plan.loads[prepared.load].ordinal
    }

    fn read(&self, walks: Vec<Walk>) -> Reading {
        let share = self.plan.memory_bytes / SORT_BUFFER_SHARE;
        let memory = self.plan.memory_bytes - 3 * share;
        Reading::start(Arc::clone(&self.plan), walks, memory, self.cancel, self.live)
    }

    fn time_column(&self) -> Option<usize> {
        let load = self.members.first(&self.plan);
        let root = load.target.root();
        let name = root.table.partitioning.as_ref()?.time_column.as_ref()?;
        let at = root.columns.iter().position(|column| column.name == *name)?;
        // Days and other types are routed by the server.
        let kind = load.mapping.columns.get(at)?.kind;
        (kind == ValueKind::Time).then_some(at)
    }

    fn shape(&self, accepted: TimeRanges, frozen: Option<Arc<Routing>>) -> Shape {
        let load = self.members.first(&self.plan);
        Shape {
            key: load.target.key.clone(),
            last_wins: load.target.policy == ConflictPolicy::Update,
            time: self.time_column(),
            makes_partitions: load.makes_partitions,
            accepted,
            sources: self.members.len(),
            buffer_bytes: self.plan.memory_bytes / SORT_BUFFER_SHARE,
            spill_bytes_max: self.plan.spill_bytes_max,
            frozen,
        }
    }

    /// What the target's partitions take now.
    async fn accepted(&self) -> Result<TimeRanges, Stop> {
        let table = &self.members.first(&self.plan).target.root().table;
        if self.time_column().is_none() {
            return Ok(TimeRanges::default());
        }
        let db = self.plan.database.connect().await?;
        let now = catalog::load_table(&db, Some(&table.schema), &table.name).await?;
        Ok(now.and_then(|table| table.partitioning).map(|p| p.accepted).unwrap_or_default())
    }

    async fn store(
        &mut self,
        number: u32,
        gathered: Gathered,
        window: Window,
        existing: TimeRanges,
        bytes: u64,
    ) -> Result<(), Stop> {
        let store = Store {
            plan: Arc::clone(&self.plan),
            members: Arc::clone(&self.members),
            number,
            gathered: Arc::new(gathered),
            window,
            existing,
            bytes: bytes - bytes / 2,
            cancel: self.cancel.clone(),
            live: Arc::clone(self.live),
            counters: Arc::clone(self.counters),
            server_started_at: self.server_started_at,
            pace: Arc::clone(self.pace),
        };
        match store.run(self.totals).await {
            PassEnd::Complete => Ok(()),
            end => Err(Stop::Pass(end)),
        }
    }
}

/// Where the first span that no window covers begins.
fn start(windows: &BTreeMap<u32, Window>, ordinal: usize) -> Start {
    let stretches = windows.values().filter_map(|window| window.stretches.get(&ordinal));
    let last = stretches.max_by_key(|stretch| stretch.end);
    last.map_or(Start::SOURCE, |stretch| Start {
        at: stretch.end,
        span: stretch.first_span + stretch.spans,
        row: stretch.first_row + stretch.rows,
        line: stretch.first_line + stretch.lines,
    })
}
