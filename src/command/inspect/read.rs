//! A content, batch by batch, as a load would see it: the same cuts, the same decoder, no
//! database. Holds one chunk and its batch at a time, and stops where enough was seen.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use crate::batch::{Chunk, Original};
use crate::command::CommandError;
use crate::decode::{
    Cutter, DecodeError, Decoded, FindEnds, JsonCutter, JsonDecoder, JsonPiece, ParquetSource,
    TextDecoder, next_chunk,
};
use crate::mapping::{JsonShape, Mapping, TextShape};

/// A batch and where it is.
#[derive(Debug)]
pub(in crate::command) struct Piece {
    /// What its bytes became.
    pub decoded: Decoded,
    /// Where its records' original bytes are.
    pub original: Original,
    /// Physical line on which it starts, from 1; 0 for a file without lines.
    pub first_line: u64,
    /// Record number of its first, from 1.
    pub first_row: u64,
    /// Its first byte; of a file with columns, its first row, from 0.
    pub start: u64,
}

/// Bytes, their name, and how many of them are enough.
pub(in crate::command) struct Input<'a> {
    /// For people.
    pub name: &'a str,
    /// From the first on.
    pub bytes: &'a mut dyn BufRead,
    /// No chunk is begun at or after this byte.
    pub enough: u64,
}

impl Input<'_> {
    /// Hands each chunk to `take`, with the bytes that were dropped behind it. `true`: to the end.
    fn chunks<C: FindEnds>(
        &mut self,
        mut cutter: C,
        mut take: impl FnMut(&mut C, Vec<u8>, u64) -> Result<(), CommandError>,
    ) -> Result<bool, CommandError> {
        let failed =
            |name: &str, cause: io::Error| CommandError::Refused(format!("{name}: {cause}"));
        let mut carried = Vec::new();
        loop {
            let rest = self.bytes.fill_buf().map_err(|cause| failed(self.name, cause))?;
            if rest.is_empty() && carried.is_empty() {
                return Ok(true);
            }
            if cutter.chunk_start() >= self.enough {
                return Ok(false);
            }
            let read = |into: &mut Vec<u8>, max: usize| {
                (&mut *self.bytes).take(max as u64).read_to_end(into)?;
                Ok(self.bytes.fill_buf()?.is_empty())
            };
            let chunk = next_chunk(read, &mut cutter, &mut carried);
            let chunk = chunk.map_err(|cause| failed(self.name, cause))?;
            take(&mut cutter, chunk.bytes, chunk.dropped)?;
        }
    }
}

/// Counts lines and records from piece to piece.
struct Counting {
    first_line: u64,
    first_row: u64,
    start: u64,
}

impl Counting {
    fn piece(&mut self, mut decoded: Decoded, dropped: u64, chunk: Arc<Chunk>) -> Piece {
        decoded.add_dropped(dropped);
        let Self { first_line, first_row, start } = *self;
        self.start += chunk.bytes.len() as u64 + dropped;
        self.first_line += decoded.lines;
        self.first_row += decoded.read();
        Piece { decoded, original: Original::Text(chunk), first_line, first_row, start }
    }
}

/// Decodes a text and hands each batch to `take`. Whether it came to the end.
pub(in crate::command) fn text(
    mut input: Input<'_>,
    shape: &TextShape,
    mapping: &Mapping,
    mut take: impl FnMut(Piece),
) -> Result<bool, CommandError> {
    let name = input.name.to_owned();
    let mut decoder = TextDecoder::new(mapping, shape).map_err(named(&name))?;
    let mut counting = Counting { first_line: 1, first_row: 1, start: 0 };
    let mut first = true;
    input.chunks(Cutter::new(shape, 0), |_, bytes, dropped| {
        let chunk = Arc::new(Chunk { bytes });
        let decoded = decoder.decode(&chunk, std::mem::replace(&mut first, false));
        let decoded = decoded.map_err(|error| error.starting_at(counting.first_line));
        take(counting.piece(decoded.map_err(named(&name))?, dropped, chunk));
        Ok(())
    })
}

/// Decodes JSON and hands each batch to `take`. Whether it came to the end.
pub(in crate::command) fn json(
    mut input: Input<'_>,
    shape: &JsonShape,
    mapping: &Mapping,
    mut take: impl FnMut(Piece),
) -> Result<bool, CommandError> {
    let name = input.name.to_owned();
    let mut decoder = JsonDecoder::new(mapping, shape).map_err(named(&name))?;
    let mut counting = Counting { first_line: 1, first_row: 1, start: 0 };
    let mut first = true;
    input.chunks(JsonCutter::new(shape, 0), |cutter, bytes, dropped| {
        let (records, chunk) = (cutter.take_records(), Arc::new(Chunk { bytes }));
        let first = std::mem::replace(&mut first, false);
        let piece = JsonPiece { chunk: Arc::clone(&chunk), records, first };
        let decoded = decoder.decode(&piece).map_err(named(&name))?;
        take(counting.piece(decoded, dropped, chunk));
        Ok(())
    })
}

/// Decodes a Parquet file and hands each batch to `take`. Whether it came to the end.
pub(in crate::command) fn columns(
    source: &ParquetSource,
    rows_max: u64,
    mapping: &Mapping,
    mut take: impl FnMut(Piece),
) -> Result<bool, CommandError> {
    for unit in source.units() {
        if unit.first_row >= rows_max {
            return Ok(false);
        }
        let mut start = unit.first_row;
        for decoded in source.read_unit(&unit, mapping).map_err(|error| plain(&error))? {
            let decoded = decoded.map_err(|error| plain(&error))?;
            let (rows, first_row) = (decoded.read(), start + 1);
            take(Piece { decoded, original: Original::Columns, first_line: 0, first_row, start });
            start += rows;
        }
    }
    Ok(true)
}

fn plain(error: &DecodeError) -> CommandError {
    CommandError::Refused(error.to_string())
}

fn named(name: &str) -> impl Fn(DecodeError) -> CommandError {
    move |error| CommandError::Refused(format!("{name}: {error}"))
}
