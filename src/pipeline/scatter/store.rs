//! Writing a window's routes: writers take places to exchange and parts to load from one list,
//! and merge their rows from the runs while the server is at work.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::Members;
use super::gather::Gathered;
use super::rows::Part;
use crate::column::TimeRanges;
use crate::count::Counts;
use crate::db::ledger::{PortionKey, Share, Window, part_name};
use crate::db::{exchange, partition};
use crate::limit::{EXCHANGE_FEED_ROWS, EXCHANGES_MAX, PARTITIONS_PER_LOAD_MAX};
use crate::pipeline::live::{Live, add, sub};
use crate::pipeline::schedule::{Pace, PassEnd};
use crate::pipeline::{Cancel, PipelineError, Plan, Stage};
use crate::spill::{Merge, Merged, Range, SpillError};
use crate::write::{
    Exchange, Exchanged, Feed, Job, Ladder, LadderCounters, Member, Outcome, Place, Target,
    WriteError,
};

/// A window whose rows are sorted and whose residue is committed.
pub(super) struct Store {
    pub plan: Arc<Plan>,
    pub members: Arc<Members>,
    pub number: u32,
    pub gathered: Arc<Gathered>,
    pub window: Window,
    /// What the target's partitions take.
    pub existing: TimeRanges,
    /// Bytes of progress that writing it is worth.
    pub bytes: u64,
    pub cancel: Cancel,
    pub live: Arc<Live>,
    pub counters: Arc<LadderCounters>,
    pub server_started_at: f64,
    pub pace: Arc<tokio::sync::Mutex<Pace>>,
}

/// One portion that is to be written.
#[derive(Debug, Clone)]
struct Task {
    name: String,
    route: i64,
    range: Range,
    /// Records, for the pace and the progress; of a part, an estimate.
    rows: u64,
    /// What is filled by exchange; none: it goes down the ladder.
    place: Option<Place>,
}

/// What all writers of a window share.
struct Shared {
    store: Store,
    target: Arc<Target>,
    members: Arc<[Member]>,
    tasks: Mutex<VecDeque<Task>>,
    rows: u64,
    /// One for each part that may be in memory.
    room: Arc<Semaphore>,
}

impl Store {
    /// Writes everything; adds what was committed to `totals`.
    pub async fn run(self, totals: &mut Counts) -> PassEnd {
        let tasks = match self.tasks().await {
            Ok(tasks) => tasks,
            Err(error) => return ended(error),
        };
        let nobody = || Member { load_id: 0, source: "".into() };
        let mut members: Vec<Member> = (0..self.members.len()).map(|_| nobody()).collect();
        for (ordinal, at) in self.members.iter() {
            let load = &self.plan.loads[at];
            members[ordinal] = Member { load_id: load.id, source: Arc::clone(&load.source) };
        }
        let target = Arc::clone(&self.members.first(&self.plan).target);
        let rows = tasks.iter().map(|task| task.rows).sum::<u64>().max(1);
        let exchanges = tasks.iter().any(|task| task.place.is_some());
        let writers = if exchanges { self.plan.exchangers } else { self.plan.writers };
        let writers = writers.min(tasks.len()).max(1);
        self.live.has_workers(Stage::Write, writers);
        self.live.has_workers(Stage::Merge, writers);
        let parts = self.plan.memory_bytes / self.gathered.part_bytes().max(1);
        let room = Arc::new(Semaphore::new(parts.clamp(1, Semaphore::MAX_PERMITS)));
        let tasks = Mutex::new(VecDeque::from(tasks));
        let members = members.into();
        let shared = Arc::new(Shared { store: self, target, members, tasks, rows, room });
        let writers: Vec<_> =
            (0..writers).map(|_| tokio::spawn(Writer::new(Arc::clone(&shared)).run())).collect();
        let mut end = PassEnd::Complete;
        for writer in writers {
            let (counts, of_writer) = match writer.await {
                Ok(ended) => ended,
                Err(_) => (Counts::default(), PassEnd::Failed(PipelineError::Lost("a writer"))),
            };
            *totals += counts;
            end = worse(end, of_writer);
        }
        end
    }

    /// What is still to be written, in the order in which it is begun. Partitions that rows go into
    /// part by part are made.
    async fn tasks(&self) -> Result<Vec<Task>, PipelineError> {
        let load = self.members.first(&self.plan);
        let table = &load.target.root().table;
        let routing = &self.gathered.routing;
        let db = self.plan.database.connect().await?;
        let fits = load.makes_partitions && exchange::obstacle(&db, table).await?.is_none();
        let empty = routing.is_one() && exchange::obstacle_to_strip(&db, table).await?.is_none();
        drop(db);
        let (mut exchanges, mut parts, mut needed) = (Vec::new(), Vec::new(), Vec::new());
        let mut fresh = 0;
        for (&route, found) in &self.gathered.routes {
            let name = routing.name(route);
            // The ledger's cuts count: parts that are committed were cut there.
            let share = self.window.routes.get(&name).unwrap_or(found);
            if self.window.is_route_done(&name) {
                continue;
            }
            let rows: u64 = share.rows.iter().sum();
            let missing = share.range.filter(|range| !self.exists(*range));
            fresh += usize::from(missing.is_some());
            if fresh > PARTITIONS_PER_LOAD_MAX {
                return Err(too_many(&table.display_name()));
            }
            let place = match missing {
                Some(range) if fits => Some(Place::Partition(range)),
                None if empty => Some(Place::Table),
                _ => None,
            };
            let place = place.filter(|_| {
                rows >= self.plan.exchange_rows_min
                    && exchanges.len() < EXCHANGES_MAX
                    && !self.window.is_route_begun(&name)
            });
            match place {
                Some(_) => {
                    let range = Range { route, from: None, to: None };
                    exchanges.push(Task { name, route, range, rows, place });
                }
                None => {
                    needed.extend(missing.filter(|_| load.makes_partitions));
                    parts.extend(self.parts(&name, route, share));
                }
            }
        }
        self.make(&needed).await?;
        // In the order of the keys: the writer that is ahead finds the index's last page by itself.
        exchanges.extend(parts);
        Ok(exchanges)
    }

    fn exists(&self, range: (i64, i64)) -> bool {
        self.existing.covers(range.0, range.1.saturating_sub(1))
    }

    async fn make(&self, ranges: &[(i64, i64)]) -> Result<(), PipelineError> {
        if ranges.is_empty() {
            return Ok(());
        }
        let table = &self.members.first(&self.plan).target.root().table;
        let mut db = self.plan.database.connect().await?;
        partition::ensure_partitions(&mut db, table, ranges).await?;
        Ok(())
    }

    /// The parts of a route that are not committed.
    fn parts(&self, name: &str, route: i64, share: &Share) -> Vec<Task> {
        let rows = share.rows.iter().sum::<u64>() / (share.cuts.len() as u64 + 1);
        let edge = |at: usize| share.cuts.get(at).copied();
        (0..=share.cuts.len())
            .map(|part| Task {
                name: part_name(name, part),
                route,
                range: Range { route, from: part.checked_sub(1).and_then(edge), to: edge(part) },
                rows,
                place: None,
            })
            .filter(|task| !self.window.done.contains(&task.name))
            .collect()
    }
}

fn too_many(table: &str) -> PipelineError {
    PipelineError::Db(crate::db::DbError::Partition(format!(
        "the data span more than {PARTITIONS_PER_LOAD_MAX} partitions of {table}: load them in \
         parts with --from and --to, or make wider partitions first"
    )))
}

fn ended(error: PipelineError) -> PassEnd {
    use crate::error::Class;
    let class = match &error {
        PipelineError::Write(WriteError::Restarted) => return PassEnd::Restarted,
        PipelineError::Write(error) => error.class(),
        PipelineError::Db(error) => error.class(),
        _ => Class::Stop,
    };
    match class {
        Class::Reconnect | Class::Redo => PassEnd::Restarted,
        _ => PassEnd::Failed(error),
    }
}

/// The end of a pass whose writers ended so.
fn worse(one: PassEnd, other: PassEnd) -> PassEnd {
    let rank = |end: &PassEnd| match end {
        PassEnd::Complete => 0,
        PassEnd::Interrupted => 1,
        PassEnd::Budget(_) => 2,
        PassEnd::Restarted => 3,
        PassEnd::Failed(_) => 4,
    };
    if rank(&other) > rank(&one) { other } else { one }
}

/// A part whose rows are being merged.
struct Merging {
    task: Task,
    /// None for an exchange: its rows are merged as they are sent.
    rows: Option<(Arc<Part>, MergeThread)>,
    /// The room of its rows in memory.
    _room: Option<OwnedSemaphorePermit>,
}

type MergeThread = JoinHandle<Result<Merged, SpillError>>;

struct Writer {
    shared: Arc<Shared>,
    ladder: Ladder,
    totals: Counts,
}

impl Writer {
    fn new(shared: Arc<Shared>) -> Self {
        let store = &shared.store;
        let ladder = Ladder::new(
            store.plan.database.clone(),
            store.server_started_at,
            Arc::clone(&store.counters),
            store.plan.retry,
        );
        Self { shared, ladder, totals: Counts::default() }
    }

    async fn run(mut self) -> (Counts, PassEnd) {
        let mut end = PassEnd::Complete;
        let mut next = None;
        loop {
            let Some(current) = (match next.take() {
                Some(begun) => Some(begun),
                None => self.begin_next().await,
            }) else {
                break;
            };
            if self.shared.store.cancel.is_interrupted() {
                end = PassEnd::Interrupted;
                break;
            }
            next = self.begin_ahead();
            let live = Arc::clone(&self.shared.store.live);
            let store = &self.shared.store;
            store.pace.lock().await.wait(current.task.rows, &live, &store.cancel).await;
            add(&live.writers_busy, 1);
            let written = self.write(current).await;
            sub(&live.writers_busy, 1);
            if let Err(error) = written {
                // What others have begun they finish; nothing new is begun.
                self.shared.lock().clear();
                end = ended(error);
                break;
            }
        }
        (self.totals, end)
    }

    /// Begins the next task as soon as there is room for its rows.
    async fn begin_next(&self) -> Option<Merging> {
        let room = Arc::clone(&self.shared.room).acquire_owned().await.ok();
        let task = self.shared.lock().pop_front()?;
        Some(self.begin(task, room))
    }

    /// Begins the next task if there is room for its rows already.
    fn begin_ahead(&self) -> Option<Merging> {
        let room = Arc::clone(&self.shared.room).try_acquire_owned().ok()?;
        let task = self.shared.lock().pop_front()?;
        Some(self.begin(task, Some(room)))
    }

    fn begin(&self, task: Task, room: Option<OwnedSemaphorePermit>) -> Merging {
        if task.place.is_some() {
            // Its rows are never in memory together.
            return Merging { task, rows: None, _room: None };
        }
        let store = &self.shared.store;
        let part = Arc::new(Part {
            plan: Arc::clone(&store.plan),
            members: Arc::clone(&store.members),
            gathered: Arc::clone(&store.gathered),
            range: task.range,
            last_read: Mutex::new(None),
        });
        let merging = {
            let (part, live) = (Arc::clone(&part), Arc::clone(&store.live));
            tokio::task::spawn_blocking(move || {
                let _working = live.work(Stage::Merge);
                part.merge(HashSet::new())
            })
        };
        Merging { task, rows: Some((part, merging)), _room: room }
    }

    async fn write(&mut self, Merging { task, rows, _room }: Merging) -> Result<(), PipelineError> {
        let Some((part, merging)) = rows else { return self.exchange(task).await };
        let merged = merging.await.map_err(|_| PipelineError::Lost("a merging thread"))??;
        let shared = Arc::clone(&self.shared);
        let key = shared.key(task.name);
        let members = Arc::clone(&shared.members);
        let mut job = Job::merged(key, shared.store.plan.run_id, members, merged, part);
        let _working = shared.store.live.work(Stage::Write);
        if let Outcome::Committed(counts) = self.ladder.write(&shared.target, &mut job).await? {
            self.settle(counts);
        }
        Ok(())
    }

    async fn exchange(&mut self, task: Task) -> Result<(), PipelineError> {
        let shared = Arc::clone(&self.shared);
        let store = &shared.store;
        let Some(place) = task.place else { return Ok(()) };
        let Some(share) = store.window.routes.get(&task.name) else { return Ok(()) };
        let job = Exchange {
            target: &shared.target,
            key: shared.key(task.name.clone()),
            run_id: store.plan.run_id,
            rows: &share.rows,
            place,
        };
        let feed = || feed(Arc::clone(&store.gathered), task.range, Arc::clone(&store.live));
        let working = store.live.work(Stage::Write);
        let exchanged = self.ladder.exchange(&job, feed).await;
        drop(working);
        match exchanged? {
            Exchanged::Committed(counts) => {
                self.settle(counts);
                return Ok(());
            }
            Exchanged::DoneBefore | Exchanged::Busy => return Ok(()),
            Exchanged::Refused(_) => {}
        }
        if let Place::Partition(range) = place {
            store.make(&[range]).await?;
        }
        for part in store.parts(&task.name, task.route, share) {
            // One by one, and without waiting: the task begun ahead may hold the last room.
            let merging = self.begin(part, None);
            Box::pin(self.write(merging)).await?;
        }
        Ok(())
    }

    fn settle(&mut self, counts: Counts) {
        self.totals += counts;
        let Shared { store, rows, .. } = &*self.shared;
        add(&store.live.rejects, counts.rejected);
        add(&store.live.records_committed, counts.read);
        let bytes = u128::from(store.bytes) * u128::from(counts.read) / u128::from(*rows);
        add(&store.live.bytes_done, bytes as u64);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, route: String) -> PortionKey {
        let set_id = self.store.members.first(&self.store.plan).set_id;
        PortionKey { set_id, route, window: self.store.number }
    }
}

/// Merges a route on a thread of its own.
fn feed(gathered: Arc<Gathered>, range: Range, live: Arc<Live>) -> Feed {
    let (sender, rows) = mpsc::channel(1);
    let writer = Arc::clone(&live);
    let starving = Box::new(move |starving| writer.rest(Stage::Write, starving));
    let thread = tokio::task::spawn_blocking(move || {
        let mut working = live.work(Stage::Merge);
        let mut merge = match Merge::new(&gathered.runs, &gathered.order, range) {
            Ok(merge) => merge,
            Err(error) => {
                let _ = sender.blocking_send(Err(error));
                return;
            }
        };
        loop {
            let merged = match merge.next_rows(EXCHANGE_FEED_ROWS).transpose() {
                Some(merged) => merged,
                None => return,
            };
            // Waiting for the writer is not merging.
            drop(working);
            if sender.blocking_send(merged).is_err() {
                return;
            }
            working = live.work(Stage::Merge);
        }
    });
    Feed { rows, thread, starving }
}
