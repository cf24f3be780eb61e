//! The reader thread: walks the sources in plan order and hands out units of work, skipping what
//! is committed already. It finds where text may be cut and never looks into a record.

use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::budget::{Budget, Lease};
use super::live::{Live, add};
use super::{Cancel, Form, LoadPlan, PipelineError, Stage};
use crate::batch::Chunk;
use crate::decode::{self, Cutter, Cutting, FindEnds, JsonPiece, ParquetSource, ParquetUnit};
use crate::limit::{
    BATCH_ROWS, CHUNK_BYTES, CHUNK_LEASE_FACTOR, CHUNK_LEASE_LINES, LINE_LEASE_BYTES,
    PARQUET_UNIT_LEASE_BYTES, UNIT_BATCHES_QUEUED_MAX,
};
use crate::mapping::TextShape;
use crate::source::{ContentReader, Fingerprint, SourceError};

use super::decoder::Prepared;

/// What a unit's decoder sends on: batches in order, or why there are none.
pub(super) type UnitResult = Result<Box<Prepared>, PipelineError>;

/// A unit's place in the source order.
pub(super) struct Slot {
    /// Position of the load in the plan.
    pub load: usize,
    /// Record and line number of the unit's first, when they do not follow from the unit before.
    pub starts_at: Option<(u64, u64)>,
    /// Where its batches will come.
    pub batches: Receiver<UnitResult>,
}

/// What is to be decoded.
pub(super) enum Piece {
    Text(TextPiece),
    Json { records: JsonPiece, place: PiecePlace },
    Parquet { source: Arc<ParquetSource>, unit: ParquetUnit, first_window: u32, last: bool },
}

/// A chunk and where it is.
pub(super) struct TextPiece {
    pub chunk: Arc<Chunk>,
    pub place: PiecePlace,
}

/// Where a piece of a text or of JSON is.
#[derive(Debug, Clone, Copy)]
pub(super) struct PiecePlace {
    pub window: u32,
    pub start: u64,
    /// Bytes of an over-long record that were dropped behind the piece.
    pub dropped: u64,
    pub last: bool,
}

/// A unit of work.
pub(super) struct Work {
    pub load: usize,
    pub piece: Piece,
    pub lease: Arc<Lease>,
    pub out: Sender<UnitResult>,
}

/// What is read of a load: all that is not committed, or a stretch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    /// Position of the load in the plan.
    pub load: usize,
    /// Where it begins, and where it ends if not at the source's end.
    pub stretch: Option<(Start, Option<u64>)>,
}

/// A place between two spans of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// Byte or row.
    pub at: u64,
    /// Ordinal of the span that begins there.
    pub span: u32,
    /// Its first record's number, from 1.
    pub row: u64,
    /// Its first line's number, from 1.
    pub line: u64,
}

impl Start {
    /// Where a source begins.
    pub const SOURCE: Start = Start { at: 0, span: 0, row: 1, line: 1 };
}

/// The reader's surroundings.
pub(super) struct Reader<'a> {
    pub loads: &'a [LoadPlan],
    pub walks: &'a [Walk],
    pub budget: Arc<Budget>,
    pub cancel: Cancel,
    pub live: Arc<Live>,
    pub work: Sender<Work>,
    pub slots: Sender<Slot>,
}

/// Everything downstream is gone, or somebody asked to stop.
pub(super) struct Stopped;

impl Reader<'_> {
    /// Reads all loads. A load that fails does not keep the others from being read.
    pub fn run(self) {
        // Members of one compressed archive are read in one pass over it.
        let mut before = None;
        for walk in self.walks {
            let at = walk.load;
            let read = match &self.loads[at].form {
                Form::Json { fingerprint, shape } => self.read_json(walk, fingerprint, shape),
                Form::Text { fingerprint, shape } => {
                    self.read_text(walk, fingerprint, shape, &mut before)
                }
                Form::Parquet { fingerprint } => self.read_parquet(walk, fingerprint),
            };
            match read {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    if self.fail(at, error).is_err() {
                        return;
                    }
                }
                Err(Stopped) => return,
            }
        }
    }

    /// Puts the failure in the load's place in the order.
    fn fail(&self, load: usize, error: PipelineError) -> Result<(), Stopped> {
        let (out, batches) = bounded(1);
        let _ = out.send(Err(error));
        self.slots.send(Slot { load, starts_at: None, batches }).map_err(|_| Stopped)
    }

    pub(super) fn hand_out(
        &self,
        load: usize,
        piece: Piece,
        lease: Arc<Lease>,
        starts_at: Option<(u64, u64)>,
    ) -> Result<(), Stopped> {
        let (out, batches) = bounded(UNIT_BATCHES_QUEUED_MAX);
        self.slots.send(Slot { load, starts_at, batches }).map_err(|_| Stopped)?;
        add(&self.live.chunks_waiting, 1);
        self.work.send(Work { load, piece, lease, out }).map_err(|_| Stopped)
    }

    fn read_text(
        &self,
        walk: &Walk,
        fingerprint: &Fingerprint,
        shape: &TextShape,
        before: &mut Option<ContentReader>,
    ) -> Result<Result<(), PipelineError>, Stopped> {
        let load = walk.load;
        let plan = &self.loads[load];
        let (from, end) = walk.stretch.unwrap_or((Start::SOURCE, None));
        let end = end.unwrap_or(fingerprint.bytes);
        let opened = match before.take() {
            Some(reader) => reader.follow(&plan.location, fingerprint.clone(), from.at),
            None => ContentReader::open(&plan.location, fingerprint.clone(), from.at),
        };
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut cutter = Cutter::new(shape, from.at);
        let mut carried = Vec::new();
        let mut starts_at = Some((from.row, from.line));
        for window in from.span.. {
            if let Some(done) = plan.done.get(&window) {
                carried.clear();
                reader.seek(done.span_end);
                cutter = Cutter::new(shape, done.span_end);
                starts_at = Some((done.next_row, done.next_line));
                continue;
            }
            let start = cutter.chunk_start();
            if start >= end {
                *before = Some(reader);
                return Ok(Ok(()));
            }
            if self.cancel.is_set() {
                return Err(Stopped);
            }
            let lease = self.budget.lease(CHUNK_BYTES * CHUNK_LEASE_FACTOR, &self.cancel);
            let lease = lease.ok_or(Stopped)?;
            let working = self.live.work(Stage::Read);
            let chunk = match next_chunk(&mut reader, &mut cutter, &mut carried) {
                Ok(chunk) => chunk,
                Err(error) => return Ok(Err(error)),
            };
            drop(working);
            let lease = self.lease_lines(lease, &chunk.bytes).ok_or(Stopped)?;
            let last = cutter.chunk_start() >= fingerprint.bytes;
            let place = PiecePlace { window, start, dropped: chunk.dropped, last };
            let piece = TextPiece { chunk: Arc::new(Chunk { bytes: chunk.bytes }), place };
            self.hand_out(load, Piece::Text(piece), lease, starts_at.take())?;
        }
        Ok(Ok(()))
    }

    /// Exchanges a chunk's lease for a larger one where its lines are so many that rows or rejects
    /// will take more than usual. Chunks before it have all they need, so waiting for them is safe.
    fn lease_lines(&self, lease: Arc<Lease>, bytes: &[u8]) -> Option<Arc<Lease>> {
        let lines = memchr::memchr_iter(b'\n', bytes).count();
        let more = lines.saturating_sub(CHUNK_LEASE_LINES) * LINE_LEASE_BYTES;
        if more == 0 {
            return Some(lease);
        }
        drop(lease);
        self.budget.lease(CHUNK_BYTES * CHUNK_LEASE_FACTOR + more, &self.cancel)
    }

    fn read_parquet(
        &self,
        walk: &Walk,
        fingerprint: &Fingerprint,
    ) -> Result<Result<(), PipelineError>, Stopped> {
        let load = walk.load;
        let plan = &self.loads[load];
        let (from, end) = walk.stretch.unwrap_or((Start::SOURCE, None));
        let source = match open_parquet(plan, fingerprint) {
            Ok(source) => Arc::new(source),
            Err(error) => return Ok(Err(error)),
        };
        let units = source.units();
        let (mut window, count) = (0, units.len());
        for (at, unit) in units.into_iter().enumerate() {
            let first_window = window;
            window += unit.rows.div_ceil(BATCH_ROWS as u64) as u32;
            let outside = unit.first_row < from.at || end.is_some_and(|end| unit.first_row >= end);
            if outside || (first_window..window).all(|window| plan.done.contains_key(&window)) {
                continue;
            }
            if self.cancel.is_set() {
                return Err(Stopped);
            }
            let lease = self.budget.lease(PARQUET_UNIT_LEASE_BYTES, &self.cancel);
            let lease = lease.ok_or(Stopped)?;
            let starts_at = Some((unit.first_row + 1, 0));
            let last = at + 1 == count;
            let source = Arc::clone(&source);
            let piece = Piece::Parquet { source, unit, first_window, last };
            self.hand_out(load, piece, lease, starts_at)?;
        }
        Ok(Ok(()))
    }
}

/// Opens a Parquet file, if it is what was fingerprinted.
fn open_parquet(
    plan: &LoadPlan,
    fingerprint: &Fingerprint,
) -> Result<ParquetSource, PipelineError> {
    let bytes = plan.location.bytes(Some(fingerprint))?;
    let source = ParquetSource::over(Path::new(&*plan.source), Arc::clone(&bytes));
    // First whether it is the same, then what is wrong with it.
    bytes.check().map_err(|error| SourceError::of(&plan.location, error))?;
    source.map_err(|cause| PipelineError::Decode { source_name: Arc::clone(&plan.source), cause })
}

/// The bytes of a span of a text source, read again.
pub(super) fn read_span(plan: &LoadPlan, start: u64, end: u64) -> Result<Vec<u8>, PipelineError> {
    let Form::Text { fingerprint, .. } = &plan.form else {
        return Err(PipelineError::Lost("the bytes of a source without any"));
    };
    let mut reader = ContentReader::open(&plan.location, fingerprint.clone(), start)?;
    let wanted = (end - start) as usize;
    let mut bytes = Vec::with_capacity(wanted);
    while bytes.len() < wanted {
        let left = wanted - bytes.len();
        if reader.read_more(&mut bytes, left)? == 0 {
            break;
        }
    }
    Ok(bytes)
}

/// The next chunk of a source.
pub(super) fn next_chunk(
    reader: &mut ContentReader,
    cutter: &mut impl FindEnds,
    carried: &mut Vec<u8>,
) -> Result<Cutting, PipelineError> {
    let read = |into: &mut Vec<u8>, max| {
        reader.read_more(into, max)?;
        Ok(reader.at_end())
    };
    decode::next_chunk(read, cutter, carried)
}
