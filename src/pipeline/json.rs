//! The reader's and the decoders' part for JSON: pieces with their records are cut, and become
//! batches. A source of lines is read on from where a resumed load goes on; any other is walked
//! from its first byte, for only that tells where an array of records is, but nothing of it is
//! decoded a second time.

use std::sync::Arc;

use super::budget::Lease;
use super::decoder::Decoder;
use super::reader::{Piece, PiecePlace, Reader, Start, Stopped, UnitResult, Walk, next_chunk};
use super::{Form, LoadPlan, PipelineError, Stage};
use crate::batch::Chunk;
use crate::decode::{JsonCutter, JsonDecoder, JsonPiece};
use crate::limit::{CHUNK_BYTES, CHUNK_LEASE_FACTOR};
use crate::mapping::JsonShape;
use crate::source::{ContentReader, Fingerprint};

impl Reader<'_> {
    /// Hands out the pieces of a JSON source that are asked for and not committed.
    pub(super) fn read_json(
        &self,
        walk: &Walk,
        fingerprint: &Fingerprint,
        shape: &JsonShape,
    ) -> Result<Result<(), PipelineError>, Stopped> {
        let plan = &self.loads[walk.load];
        let (from, end) = walk.stretch.unwrap_or((Start::SOURCE, None));
        let end = end.unwrap_or(fingerprint.bytes);
        let leaps = JsonCutter::can_start_anywhere(shape);
        let begin = if leaps { from } else { Start::SOURCE };
        let mut pieces = match Pieces::open(plan, fingerprint, shape, begin.at) {
            Ok(pieces) => pieces,
            Err(error) => return Ok(Err(error)),
        };
        let mut starts_at = Some((from.row, from.line));
        for window in begin.span.. {
            let done = plan.done.get(&window);
            if let Some(done) = done {
                starts_at = Some((done.next_row, done.next_line));
                if leaps {
                    pieces.leap(shape, done.span_end);
                    continue;
                }
            }
            let start = pieces.cutter.chunk_start();
            if start >= end {
                return Ok(Ok(()));
            }
            if self.cancel.is_set() {
                return Err(Stopped);
            }
            let lease = self.budget.lease(CHUNK_BYTES * CHUNK_LEASE_FACTOR, &self.cancel);
            let lease = lease.ok_or(Stopped)?;
            let working = self.live.work(Stage::Read);
            let (records, dropped) = match pieces.next() {
                Ok(cut) => cut,
                Err(error) => return Ok(Err(error)),
            };
            drop(working);
            let piece_end = pieces.cutter.chunk_start();
            match done {
                None if window < from.span => {}
                None => {
                    let last = piece_end >= fingerprint.bytes;
                    let place = PiecePlace { window, start, dropped, last };
                    let piece = Piece::Json { records, place };
                    self.hand_out(walk.load, piece, lease, starts_at.take())?;
                }
                Some(done) if done.span_end != piece_end => {
                    let source_name = Arc::clone(&plan.source);
                    let (expected, found) = (done.span_end, piece_end);
                    return Ok(Err(PipelineError::Changed { source_name, expected, found }));
                }
                Some(_) => {}
            }
        }
        Ok(Ok(()))
    }
}

/// The pieces of a JSON source, one after another.
struct Pieces {
    reader: ContentReader,
    cutter: JsonCutter,
    carried: Vec<u8>,
}

impl Pieces {
    fn open(
        plan: &LoadPlan,
        fingerprint: &Fingerprint,
        shape: &JsonShape,
        at: u64,
    ) -> Result<Self, PipelineError> {
        let reader = ContentReader::open(&plan.location, fingerprint.clone(), at)?;
        Ok(Self { reader, cutter: JsonCutter::new(shape, at), carried: Vec::new() })
    }

    fn leap(&mut self, shape: &JsonShape, to: u64) {
        self.carried.clear();
        self.reader.seek(to);
        self.cutter = JsonCutter::new(shape, to);
    }

    /// The next piece, and the bytes that were dropped behind it.
    fn next(&mut self) -> Result<(JsonPiece, u64), PipelineError> {
        let first = self.cutter.chunk_start() == 0;
        let cut = next_chunk(&mut self.reader, &mut self.cutter, &mut self.carried)?;
        let (records, chunk) = (self.cutter.take_records(), Arc::new(Chunk { bytes: cut.bytes }));
        Ok((JsonPiece { chunk, records, first }, cut.dropped))
    }
}

/// The piece that starts at byte `start` of a source, read again.
pub(super) fn read_piece(
    plan: &LoadPlan,
    fingerprint: &Fingerprint,
    shape: &JsonShape,
    start: u64,
) -> Result<JsonPiece, PipelineError> {
    let at = if JsonCutter::can_start_anywhere(shape) { start } else { 0 };
    let mut pieces = Pieces::open(plan, fingerprint, shape, at)?;
    while pieces.cutter.chunk_start() < start {
        pieces.next()?;
    }
    Ok(pieces.next()?.0)
}

impl Decoder<'_> {
    /// A piece of JSON becomes a batch.
    pub(super) fn json(
        &self,
        load: usize,
        piece: JsonPiece,
        place: PiecePlace,
        lease: Arc<Lease>,
        kept: &mut Option<(usize, JsonDecoder)>,
    ) -> UnitResult {
        let working = self.live.work(Stage::Decode);
        let plan = &self.loads[load];
        let mut decoder = match kept.take() {
            Some((of, decoder)) if of == load => decoder,
            _ => {
                let Form::Json { shape, .. } = &plan.form else {
                    return Err(PipelineError::Lost("the shape of a JSON source"));
                };
                JsonDecoder::new(&plan.mapping, shape).map_err(|cause| self.named(load, cause))?
            }
        };
        let decoded = decoder.decode(&piece).map_err(|cause| self.named(load, cause))?;
        *kept = Some((load, decoder));
        self.decoded(load, decoded, (piece.chunk, place), lease, working)
    }
}
