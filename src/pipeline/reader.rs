//! The reader thread: walks the sources in plan order and hands out units of work, skipping what
//! is committed already. It finds where text may be cut and never looks into a record.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::budget::{Budget, Lease};
use super::live::Live;
use super::{Cancel, Form, LoadPlan, PipelineError, Stage};
use crate::batch::Chunk;
use crate::decode::{Cut, Cutter, JsonPiece, ParquetSource, ParquetUnit};
use crate::limit::{
    BATCH_ROWS, CHUNK_BYTES, CHUNK_LEASE_FACTOR, KIB, PARQUET_UNIT_LEASE_BYTES,
    UNIT_BATCHES_QUEUED_MAX,
};
use crate::mapping::TextShape;
use crate::source::{BlockReader, Fingerprint};

use super::decoder::Prepared;

/// Bytes by which a chunk grows while its last record's end is looked for.
const TAIL_BYTES: usize = 64 * KIB;

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
    pub window: u32,
    pub start: u64,
    /// Bytes of an over-long record that were dropped behind the chunk.
    pub dropped: u64,
    pub last: bool,
}

/// Where a piece of JSON is.
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

/// The reader's surroundings.
pub(super) struct Reader<'a> {
    pub loads: &'a [LoadPlan],
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
        for at in 0..self.loads.len() {
            let read = match &self.loads[at].form {
                Form::Text { fingerprint, shape } => self.read_text(at, fingerprint, shape),
                Form::Json { fingerprint, shape } => self.read_json(at, fingerprint, shape),
                Form::Parquet { fingerprint } => self.read_parquet(at, fingerprint),
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
        self.work.send(Work { load, piece, lease, out }).map_err(|_| Stopped)
    }

    fn read_text(
        &self,
        load: usize,
        fingerprint: &Fingerprint,
        shape: &TextShape,
    ) -> Result<Result<(), PipelineError>, Stopped> {
        let plan = &self.loads[load];
        let mut reader = match BlockReader::open(&plan.path, fingerprint.clone(), 0) {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut cutter = Cutter::new(shape, 0);
        let mut carried = Vec::new();
        let mut starts_at = Some((1, 1));
        for window in 0.. {
            if let Some(done) = plan.done.get(&window) {
                carried.clear();
                reader.seek(done.span_end);
                cutter = Cutter::new(shape, done.span_end);
                starts_at = Some((done.next_row, done.next_line));
                continue;
            }
            let start = cutter.chunk_start();
            if start >= fingerprint.bytes {
                return Ok(Ok(()));
            }
            if self.cancel.is_set() {
                return Err(Stopped);
            }
            let lease = self.budget.lease(CHUNK_BYTES * CHUNK_LEASE_FACTOR, &self.cancel);
            let lease = lease.ok_or(Stopped)?;
            let began = Instant::now();
            let chunk = match next_chunk(&mut reader, &mut cutter, &mut carried) {
                Ok(chunk) => chunk,
                Err(error) => return Ok(Err(error)),
            };
            self.live.worked(Stage::Read, began);
            let piece = TextPiece {
                last: cutter.chunk_start() >= fingerprint.bytes,
                chunk: Arc::new(Chunk { bytes: chunk.bytes }),
                window,
                start,
                dropped: chunk.dropped,
            };
            self.hand_out(load, Piece::Text(piece), lease, starts_at.take())?;
        }
        Ok(Ok(()))
    }

    fn read_parquet(
        &self,
        load: usize,
        fingerprint: &Fingerprint,
    ) -> Result<Result<(), PipelineError>, Stopped> {
        let plan = &self.loads[load];
        let source = match ParquetSource::open(&plan.path) {
            Ok(source) => Arc::new(source),
            Err(cause) => {
                let source_name = Arc::clone(&plan.source);
                return Ok(Err(PipelineError::Decode { source_name, cause }));
            }
        };
        if let Err(error) = super::decoder::check_parquet(plan, fingerprint, &source) {
            return Ok(Err(error));
        }
        let units = source.units();
        let (mut window, count) = (0, units.len());
        for (at, unit) in units.into_iter().enumerate() {
            let first_window = window;
            window += unit.rows.div_ceil(BATCH_ROWS as u64) as u32;
            if (first_window..window).all(|window| plan.done.contains_key(&window)) {
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

/// What finds the ends of chunks.
pub(super) trait FindEnds {
    /// Offset of the chunk that is looked for.
    fn chunk_start(&self) -> u64;
    /// Looks for its end.
    fn cut(&mut self, bytes: &[u8], eof: bool) -> Cut;
    /// Looks for the end of a record that is too long.
    fn drop_rest(&mut self, bytes: &[u8]) -> Option<usize>;
}

impl FindEnds for Cutter {
    fn chunk_start(&self) -> u64 {
        self.chunk_start()
    }

    fn cut(&mut self, bytes: &[u8], eof: bool) -> Cut {
        self.cut(bytes, eof)
    }

    fn drop_rest(&mut self, bytes: &[u8]) -> Option<usize> {
        self.drop_line(bytes)
    }
}

/// A chunk that was cut.
pub(super) struct Cutting {
    pub bytes: Vec<u8>,
    pub dropped: u64,
}

/// Reads until the chunk's end is found. What was read beyond it is carried to the next chunk.
pub(super) fn next_chunk(
    reader: &mut BlockReader,
    cutter: &mut impl FindEnds,
    carried: &mut Vec<u8>,
) -> Result<Cutting, PipelineError> {
    let mut bytes = Vec::with_capacity(CHUNK_BYTES + 2 * TAIL_BYTES);
    bytes.append(carried);
    let start = cutter.chunk_start();
    let whole = CHUNK_BYTES - (start % CHUNK_BYTES as u64) as usize;
    loop {
        let wanted = if bytes.len() < whole { whole - bytes.len() } else { TAIL_BYTES };
        reader.read_more(&mut bytes, wanted)?;
        match cutter.cut(&bytes, reader.at_end()) {
            Cut::NeedMore => {}
            Cut::End(end) => {
                carried.extend_from_slice(&bytes[end..]);
                bytes.truncate(end);
                return Ok(Cutting { bytes, dropped: 0 });
            }
            Cut::TooLong(end) => {
                let mut rest = bytes.split_off(end);
                let mut dropped = 0;
                loop {
                    if let Some(record_end) = cutter.drop_rest(&rest) {
                        carried.extend_from_slice(&rest[record_end..]);
                        dropped += record_end as u64;
                        return Ok(Cutting { bytes, dropped });
                    }
                    dropped += rest.len() as u64;
                    rest.clear();
                    if reader.read_more(&mut rest, TAIL_BYTES)? == 0 {
                        return Ok(Cutting { bytes, dropped });
                    }
                }
            }
        }
    }
}
