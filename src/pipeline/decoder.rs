//! Decoder threads: a unit becomes batches that are decoded, checked, resolved to tickers, and
//! sorted by the target's key: all that can be done before a connection is taken.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::{max, min};
use arrow::datatypes::TimestampMicrosecondType;
use crossbeam_channel::{Receiver, Sender};

use super::budget::Lease;
use super::clock::Running;
use super::crossing::TickerDesk;
use super::live::{Live, sub};
use super::reader::{Piece, PiecePlace, TextPiece, UnitResult, Work};
use super::{Form, LoadPlan, PipelineError, Stage, prepare};
use crate::batch::{Batch, Chunk, Original};
use crate::db::ledger::PortionKey;
use crate::decode::{DecodeError, Decoded, JsonDecoder, ParquetSource, ParquetUnit, TextDecoder};
use crate::limit::BATCH_ROWS;
use crate::source::SourceError;
use crate::span::Span;
use crate::write::{Job, WriteError};

/// Microseconds in a day.
pub(super) const DAY_US: i64 = 86_400_000_000;

/// A batch on its way to a writer.
pub(super) struct Prepared {
    /// Position of its load in the plan.
    pub load: usize,
    /// What is to be written.
    pub job: Job,
    /// Hashes of its keys, sorted.
    pub keys: Vec<u64>,
    /// Days since 1970 on which it has rows, where partitions may have to be made.
    pub days: BTreeSet<i64>,
    /// Its share of the source's bytes, for the progress display.
    pub bytes: u64,
    /// A committed portion, which only counts for the numbering of those after it.
    pub committed_before: bool,
    /// Whether it is the last batch of its unit of reading: only there can reading begin anew.
    pub ends_unit: bool,
    /// Its memory; held until it is written.
    pub _lease: Arc<Lease>,
}

/// A decoder thread's surroundings.
pub(super) struct Decoder<'a> {
    pub loads: &'a [LoadPlan],
    pub run_id: i64,
    pub desk: &'a TickerDesk,
    pub live: &'a Live,
}

impl Decoder<'_> {
    /// Decodes units until there are no more.
    pub fn run(&self, work: &Receiver<Work>) {
        // The decoders of the loads that were decoded last: their buffers are used again.
        let mut kept: Option<(usize, TextDecoder)> = None;
        let mut kept_json: Option<(usize, JsonDecoder)> = None;
        for Work { load, piece, lease, out } in work {
            sub(&self.live.chunks_waiting, 1);
            let outcome = match piece {
                Piece::Text(piece) => self.text(load, piece, lease, &mut kept).map(|prepared| {
                    let _ = out.send(Ok(prepared));
                }),
                Piece::Json { records, place } => {
                    self.json(load, records, place, lease, &mut kept_json).map(|prepared| {
                        let _ = out.send(Ok(prepared));
                    })
                }
                Piece::Parquet { source, unit, first_window, last } => {
                    self.parquet(load, &source, &unit, (first_window, last), &lease, &out)
                }
            };
            if let Err(error) = outcome {
                let _ = out.send(Err(error));
            }
        }
    }

    fn text(
        &self,
        load: usize,
        piece: TextPiece,
        lease: Arc<Lease>,
        kept: &mut Option<(usize, TextDecoder)>,
    ) -> Result<Box<Prepared>, PipelineError> {
        let working = self.live.work(Stage::Decode);
        let plan = &self.loads[load];
        let mut decoder = match kept.take() {
            Some((of, decoder)) if of == load => decoder,
            _ => {
                let Form::Text { shape, .. } = &plan.form else {
                    return Err(PipelineError::Lost("the shape of a text source"));
                };
                TextDecoder::new(&plan.mapping, shape).map_err(|cause| self.named(load, cause))?
            }
        };
        let TextPiece { chunk, place } = piece;
        let decoded =
            decoder.decode(&chunk, place.start == 0).map_err(|cause| self.named(load, cause))?;
        *kept = Some((load, decoder));
        self.decoded(load, decoded, (chunk, place), lease, working)
    }

    /// What a chunk became is a batch in its place.
    pub(super) fn decoded(
        &self,
        load: usize,
        mut decoded: Decoded,
        (chunk, place): (Arc<Chunk>, PiecePlace),
        lease: Arc<Lease>,
        working: Running<'_>,
    ) -> UnitResult {
        decoded.add_dropped(place.dropped);
        let bytes = chunk.bytes.len() as u64 + place.dropped;
        let span = Span {
            window: place.window,
            start: place.start,
            end: place.start + bytes,
            first_row: 0,
            first_line: 0,
            lines: decoded.lines,
        };
        let batch = batch(decoded, span, place.last, Original::Text(chunk));
        let prepared = self.prepare(load, batch, bytes, lease);
        drop(working);
        prepared
    }

    fn parquet(
        &self,
        load: usize,
        source: &ParquetSource,
        unit: &ParquetUnit,
        (first_window, last_unit): (u32, bool),
        lease: &Arc<Lease>,
        out: &Sender<UnitResult>,
    ) -> Result<(), PipelineError> {
        let plan = &self.loads[load];
        let mut working = self.live.work(Stage::Decode);
        let reader = source.read_unit(unit, &plan.mapping);
        let reader = reader.map_err(|cause| self.named(load, cause))?;
        let total = source.rows().max(1);
        let (mut window, mut start) = (first_window, unit.first_row);
        for decoded in reader {
            // Before the rows are claimed, and before what is read of a file that changed is
            // blamed on the file as it was.
            check_parquet(plan, source)?;
            let decoded = decoded.map_err(|cause| self.named(load, cause))?;
            let end = start + decoded.read();
            let span = Span { window, start, end, ..Span::default() };
            let last = last_unit && end == unit.first_row + unit.rows;
            let bytes =
                (u128::from(plan.bytes) * u128::from(end - start) / u128::from(total)) as u64;
            let batch = batch(decoded, span, last, Original::Columns);
            let mut prepared = self.prepare(load, batch, bytes, Arc::clone(lease))?;
            prepared.ends_unit = end == unit.first_row + unit.rows;
            prepared.committed_before = plan.done.contains_key(&window);
            drop(working);
            if out.send(Ok(prepared)).is_err() {
                return Ok(());
            }
            working = self.live.work(Stage::Decode);
            (window, start) = (window + 1, end);
        }
        let found = start - unit.first_row;
        if found != unit.rows
            || window != first_window + unit.rows.div_ceil(BATCH_ROWS as u64) as u32
        {
            let source_name = Arc::clone(&plan.source);
            return Err(PipelineError::Changed { source_name, expected: unit.rows, found });
        }
        Ok(())
    }

    pub(super) fn named(&self, load: usize, cause: DecodeError) -> PipelineError {
        PipelineError::Decode { source_name: Arc::clone(&self.loads[load].source), cause }
    }

    /// Tickers, checks, order.
    pub(super) fn prepare(
        &self,
        load: usize,
        mut batch: Batch,
        bytes: u64,
        lease: Arc<Lease>,
    ) -> Result<Box<Prepared>, PipelineError> {
        let plan = &self.loads[load];
        if let Some(tickers) = &plan.tickers {
            let ids = self.desk.ids(&tickers.venue, &prepare::symbols(&batch.root, tickers))?;
            batch.root = prepare::put_ids(&batch.root, tickers, &ids).map_err(WriteError::from)?;
        }
        if let Some(identity) = &plan.identity {
            batch.root = prepare::put_identity(&batch.root, identity, |row| place(&batch, row))
                .map_err(WriteError::from)?;
        }
        prepare::check(&mut batch, plan.interval_column, &plan.checker, &plan.target)?;
        if let Some(quality) = &plan.quality
            && !plan.done.contains_key(&batch.span.window)
        {
            self.live.met(plan.id, batch.span.window, quality.look(&batch.root));
        }
        let key =
            PortionKey { set_id: plan.set_id, route: "*".to_owned(), window: batch.span.window };
        if plan.scattered {
            let job = Job::unordered(key, (plan.id, self.run_id), Arc::clone(&plan.source), batch);
            return Ok(Box::new(Prepared {
                load,
                job,
                keys: Vec::new(),
                days: BTreeSet::new(),
                bytes,
                committed_before: false,
                ends_unit: true,
                _lease: lease,
            }));
        }
        let days = match plan.mapping.time_column {
            Some(column) if plan.makes_partitions => days(batch.root.column(column)),
            _ => BTreeSet::new(),
        };
        let source = Arc::clone(&plan.source);
        let job = Job::new(&plan.target, key, (plan.id, self.run_id), source, batch)?;
        let keys = job.key_hashes(&plan.target);
        Ok(Box::new(Prepared {
            load,
            job,
            keys,
            days,
            bytes,
            committed_before: false,
            ends_unit: true,
            _lease: lease,
        }))
    }
}

/// Fails if a Parquet file that is open is not the one that was fingerprinted, or was written to.
pub(super) fn check_parquet(plan: &LoadPlan, source: &ParquetSource) -> Result<(), PipelineError> {
    Ok(source.check().map_err(|error| SourceError::of(&plan.location, error))?)
}

/// Where the record of a row is in its content: the byte of a text, the row of a file with columns.
/// A pure function of the content, so that the record has the same place in every load of it.
fn place(batch: &Batch, row: usize) -> i64 {
    let place = &batch.places[row];
    let inside = match batch.original {
        Original::Text(_) => u64::from(place.offset),
        Original::Columns => u64::from(place.row),
    };
    (batch.span.start + inside) as i64
}

fn batch(decoded: Decoded, span: Span, last: bool, original: Original) -> Batch {
    Batch {
        span,
        last,
        root: decoded.root,
        places: decoded.places,
        children: decoded.children,
        rejects: decoded.rejects,
        skipped: decoded.skipped,
        original,
    }
}

/// The days on which a time column has values.
fn days(column: &ArrayRef) -> BTreeSet<i64> {
    let times = column.as_primitive::<TimestampMicrosecondType>();
    let (Some(first), Some(last)) = (min(times), max(times)) else { return BTreeSet::new() };
    let (first, last) = (first.div_euclid(DAY_US), last.div_euclid(DAY_US));
    if first == last {
        return BTreeSet::from([first]);
    }
    let mut days = BTreeSet::new();
    let mut before = i64::MIN;
    for ts in times.iter().flatten() {
        let day = ts.div_euclid(DAY_US);
        if day != before {
            days.insert(day);
            before = day;
        }
    }
    days
}
