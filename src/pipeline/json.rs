//! The reader's and the decoders' part for JSON: pieces with their records are cut, and become
//! batches. A source of lines is read on from where a resumed load goes on; any other is walked
//! from its first byte, for only that tells where an array of records is, but nothing of it is
//! decoded a second time.

use std::sync::Arc;
use std::time::Instant;

use super::budget::Lease;
use super::decoder::{Decoder, batch};
use super::reader::{FindEnds, Piece, PiecePlace, Reader, Stopped, UnitResult, next_chunk};
use super::{Form, PipelineError, Stage};
use crate::batch::{Chunk, Original};
use crate::decode::{Cut, JsonCutter, JsonDecoder, JsonPiece};
use crate::limit::{CHUNK_BYTES, CHUNK_LEASE_FACTOR};
use crate::mapping::JsonShape;
use crate::source::{BlockReader, Fingerprint};
use crate::span::Span;

impl FindEnds for JsonCutter {
    fn chunk_start(&self) -> u64 {
        self.chunk_start()
    }

    fn cut(&mut self, bytes: &[u8], eof: bool) -> Cut {
        self.cut(bytes, eof)
    }

    fn drop_rest(&mut self, bytes: &[u8]) -> Option<usize> {
        self.drop_rest(bytes)
    }
}

impl Reader<'_> {
    /// Hands out the pieces of a JSON source that are not committed.
    pub(super) fn read_json(
        &self,
        load: usize,
        fingerprint: &Fingerprint,
        shape: &JsonShape,
    ) -> Result<Result<(), PipelineError>, Stopped> {
        let plan = &self.loads[load];
        let mut reader = match BlockReader::open(&plan.path, fingerprint.clone(), 0) {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut cutter = JsonCutter::new(shape, 0);
        let mut carried = Vec::new();
        let mut starts_at = Some((1, 1));
        for window in 0.. {
            let done = plan.done.get(&window);
            if let Some(done) = done {
                starts_at = Some((done.next_row, done.next_line));
                if JsonCutter::can_start_anywhere(shape) {
                    carried.clear();
                    reader.seek(done.span_end);
                    cutter = JsonCutter::new(shape, done.span_end);
                    continue;
                }
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
            let cut = match next_chunk(&mut reader, &mut cutter, &mut carried) {
                Ok(cut) => cut,
                Err(error) => return Ok(Err(error)),
            };
            self.live.worked(Stage::Read, began);
            let records = cutter.take_records();
            let end = cutter.chunk_start();
            if let Some(done) = done {
                if done.span_end != end {
                    let source_name = Arc::clone(&plan.source);
                    let (expected, found) = (done.span_end, end);
                    return Ok(Err(PipelineError::Changed { source_name, expected, found }));
                }
                continue;
            }
            let chunk = Arc::new(Chunk { bytes: cut.bytes });
            let last = end >= fingerprint.bytes;
            let place = PiecePlace { window, start, dropped: cut.dropped, last };
            let records = JsonPiece { chunk, records, first: start == 0 };
            self.hand_out(load, Piece::Json { records, place }, lease, starts_at.take())?;
        }
        Ok(Ok(()))
    }
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
        let began = Instant::now();
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
        let mut decoded = decoder.decode(&piece).map_err(|cause| self.named(load, cause))?;
        decoded.add_dropped(place.dropped);
        *kept = Some((load, decoder));
        let bytes = piece.chunk.bytes.len() as u64 + place.dropped;
        let span = Span {
            window: place.window,
            start: place.start,
            end: place.start + bytes,
            first_row: 0,
            first_line: 0,
            lines: decoded.lines,
        };
        let batch = batch(decoded, span, place.last, Original::Text(piece.chunk));
        let prepared = self.prepare(load, batch, bytes, lease);
        self.live.worked(Stage::Decode, began);
        prepared
    }
}
