//! Reading a window: batches in source order go into a buffer, full buffers are sorted and spilled
//! on a thread of their own, rejects are recorded in the residue's transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use tokio::task::JoinHandle;

use super::routing::{Routing, days};
use crate::column::TimeRanges;
use crate::count::Counts;
use crate::db::ledger::{Share, Stretch};
use crate::limit::{ROUTE_PART_ROWS, SPILL_BLOCK_ROWS, SPILL_RUNS_MAX};
use crate::pipeline::decoder::Prepared;
use crate::pipeline::live::Live;
use crate::pipeline::partitions::width_for;
use crate::pipeline::{PipelineError, Stage};
use crate::span::Span;
use crate::spill::{self, KeyPlan, Order, Origin, RouteRows, Run, SortBuffer, SpillError, Words};

/// How rows of a set become routes and keys.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Positions of the key's columns in the batch.
    pub key: Vec<usize>,
    /// Of equal keys the last wins.
    pub last_wins: bool,
    /// Position of the time column by which the target is partitioned, if it is.
    pub time: Option<usize>,
    /// Whether partitions are made for what arrives.
    pub makes_partitions: bool,
    /// What the partitions take now.
    pub accepted: TimeRanges,
    /// Sources of the set.
    pub sources: usize,
    /// What is gathered before it is sorted, in bytes.
    pub buffer_bytes: usize,
    /// Bytes of runs that end the window.
    pub spill_bytes_max: u64,
    /// The routing that the ledger has, for a window that is read again.
    pub frozen: Option<Arc<Routing>>,
}

/// A window while it is read.
pub(super) struct Gathering {
    shape: Shape,
    live: Arc<Live>,
    folder: PathBuf,
    /// Known once the first batch is there.
    form: Option<(SchemaRef, KeyPlan, Arc<Words>)>,
    buffer: Option<SortBuffer>,
    sorting: Option<JoinHandle<Result<Run, SpillError>>>,
    /// Bytes that are being sorted.
    sorting_bytes: usize,
    runs: Vec<Run>,
    routing: Option<Arc<Routing>>,
    spans: BTreeMap<usize, Vec<Span>>,
    pub stretches: BTreeMap<usize, Stretch>,
    /// Records that no route receives, by position in the set.
    pub counts: Vec<Counts>,
    pub bytes: u64,
}

/// A window that was read.
#[derive(Debug)]
pub(super) struct Gathered {
    pub runs: Vec<Run>,
    pub order: Order,
    pub routing: Arc<Routing>,
    /// What each route receives.
    pub routes: BTreeMap<i64, Share>,
    spans: BTreeMap<usize, Vec<Span>>,
}

impl Gathered {
    /// Bytes that a part of a route takes while it is merged and written, about: its rows, as they
    /// are and as they are sent, and the blocks of runs that they come from.
    pub fn part_bytes(&self) -> usize {
        let rows: u64 = self.routes.values().flat_map(|share| &share.rows).sum();
        let bytes: u64 = self.runs.iter().map(Run::bytes).sum();
        let blocks = 2 * self.runs.len() * SPILL_BLOCK_ROWS;
        (bytes / rows.max(1)) as usize * (2 * ROUTE_PART_ROWS + blocks)
    }
}

impl Gathering {
    pub fn new(shape: Shape, live: Arc<Live>) -> Self {
        let counts = vec![Counts::default(); shape.sources];
        let routing = shape.frozen.clone();
        Self {
            shape,
            live,
            folder: spill::folder(),
            form: None,
            buffer: None,
            sorting: None,
            sorting_bytes: 0,
            runs: Vec::new(),
            routing,
            spans: BTreeMap::new(),
            stretches: BTreeMap::new(),
            counts,
            bytes: 0,
        }
    }

    /// Takes the next batch of the load at position `ordinal` of the set.
    pub async fn take(&mut self, ordinal: usize, prepared: &Prepared) -> Result<(), PipelineError> {
        let batch = &prepared.job.batch;
        let counts = &mut self.counts[ordinal];
        let (rejected, skipped) = (batch.rejects.len() as u64, batch.skipped);
        counts.read += rejected + skipped;
        counts.rejected += rejected;
        counts.skipped += skipped;
        let stretch = self.stretches.entry(ordinal).or_insert_with(|| Stretch {
            start: batch.span.start,
            end: batch.span.start,
            first_span: batch.span.window,
            spans: 0,
            first_row: batch.span.first_row,
            first_line: batch.span.first_line,
            rows: 0,
            lines: 0,
        });
        stretch.end = batch.span.end;
        stretch.spans += 1;
        stretch.rows += batch.read();
        stretch.lines += batch.span.lines;
        self.spans.entry(ordinal).or_default().push(batch.span);
        self.bytes += prepared.bytes;
        if batch.root.num_rows() == 0 {
            return Ok(());
        }
        let origin = |place: &crate::span::RowPlace| {
            Origin::new(ordinal, batch.span.window, place.row).ok_or(SpillError::TooMany)
        };
        let origins = match batch.places.is_empty() {
            false => batch.places.iter().map(origin).collect::<Result<Vec<_>, _>>()?,
            true => return Err(PipelineError::Lost("the places of a batch's records")),
        };
        let buffer = self.buffer(&batch.root.schema())?;
        buffer.push(&batch.root, origins)?;
        if buffer.bytes() >= self.shape.buffer_bytes {
            self.sort().await?;
        }
        Ok(())
    }

    fn buffer(&mut self, schema: &SchemaRef) -> Result<&mut SortBuffer, PipelineError> {
        let (_, keys, words) = match &mut self.form {
            Some(form) => form,
            none => {
                let types: Vec<_> = schema.fields().iter().map(|field| field.data_type()).collect();
                let keys = KeyPlan::new(&types, &self.shape.key)
                    .ok_or(PipelineError::Lost("a key that can be sorted"))?;
                let words = Arc::new(Words::new(types.iter().copied()));
                none.insert((Arc::clone(schema), keys, words))
            }
        };
        let new = || SortBuffer::new(Arc::clone(words), keys.clone());
        Ok(self.buffer.get_or_insert_with(new))
    }

    /// Hands the buffer to a sorting thread, once the one before is done.
    async fn sort(&mut self) -> Result<(), PipelineError> {
        let Some(buffer) = self.buffer.take().filter(|buffer| !buffer.is_empty()) else {
            return Ok(());
        };
        let routing = Arc::clone(match &self.routing {
            Some(routing) => routing,
            None => self.routing.insert(Arc::new(self.shape.routing(&buffer))),
        });
        self.await_sorted().await?;
        let folder = self.folder.clone();
        self.sorting_bytes = buffer.bytes();
        let live = Arc::clone(&self.live);
        self.sorting = Some(tokio::task::spawn_blocking(move || {
            let _working = live.work(Stage::Sort);
            buffer.write(&folder, |batch| routing.of_rows(batch))
        }));
        Ok(())
    }

    async fn await_sorted(&mut self) -> Result<(), PipelineError> {
        if let Some(sorting) = self.sorting.take() {
            let run = sorting.await.map_err(|_| PipelineError::Lost("a sorting thread"))??;
            self.runs.push(run);
            self.sorting_bytes = 0;
        }
        Ok(())
    }

    /// Whether the window must end here.
    pub fn is_full(&self) -> bool {
        // One run may be under way, and the buffer will be another.
        let held = self.buffer.as_ref().map_or(0, SortBuffer::bytes) + self.sorting_bytes;
        let bytes = self.runs.iter().map(Run::bytes).sum::<u64>() + held as u64;
        self.runs.len() + 2 > SPILL_RUNS_MAX || bytes > self.shape.spill_bytes_max
    }

    /// Ends the window. `None`: it has no row for any route.
    pub async fn finish(&mut self) -> Result<Option<Gathered>, PipelineError> {
        self.sort().await?;
        self.await_sorted().await?;
        let (Some((schema, keys, words)), Some(routing)) = (self.form.take(), self.routing.take())
        else {
            return Ok(None);
        };
        let runs = std::mem::take(&mut self.runs);
        let order = Order::new(keys, &words, schema, self.shape.last_wins);
        let mut rows = RouteRows::new();
        for run in &runs {
            for (&route, of_loads) in run.rows() {
                let of_route = rows.entry(route).or_default();
                for (&load, count) in of_loads {
                    *of_route.entry(load).or_default() += count;
                }
            }
        }
        let share = |(route, of_loads): (i64, BTreeMap<usize, u64>)| {
            let mut rows = vec![0; self.shape.sources];
            of_loads.iter().for_each(|(&load, &count)| rows[load] = count);
            let cuts = order.cuts(&runs, route, ROUTE_PART_ROWS);
            (route, Share { range: routing.range(route), rows, cuts })
        };
        let routes = rows.into_iter().map(share).collect();
        let spans = std::mem::take(&mut self.spans);
        Ok(Some(Gathered { runs, order, routing, routes, spans }))
    }
}

impl Shape {
    /// The routing of a new window, decided when the first rows are there.
    fn routing(&self, buffer: &SortBuffer) -> Routing {
        let Some(time) = self.time else { return Routing::one() };
        if !self.makes_partitions {
            return Routing::by_time(time, self.accepted.clone(), None);
        }
        let (mut with_rows, mut rows) = (BTreeSet::new(), 0);
        for batch in buffer.batches() {
            days(batch.column(time), &mut with_rows);
            rows += batch.num_rows() as u64;
        }
        let per_day = rows * self.sources as u64 / with_rows.len().max(1) as u64;
        Routing::by_time(time, self.accepted.clone(), Some(width_for(per_day, 0)))
    }
}

impl Gathered {
    /// The span of a row.
    pub fn span(&self, origin: Origin) -> Option<&Span> {
        let spans = self.spans.get(&origin.load())?;
        let first = spans.first()?.window;
        spans.get(origin.span().checked_sub(first)? as usize)
    }
}
