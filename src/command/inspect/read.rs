//! A whole file, batch by batch, as a load would see it: the same cuts, the same decoder, no
//! database. Holds one chunk and its batch at a time.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::batch::{Chunk, Original};
use crate::command::CommandError;
use crate::decode::{Cut, Cutter, DecodeError, Decoded, ParquetSource, TextDecoder};
use crate::limit::{CHUNK_BYTES, KIB};
use crate::mapping::{Mapping, TextShape};

/// Bytes by which a chunk grows while its last record's end is looked for.
const TAIL_BYTES: usize = 64 * KIB;

/// A batch and where it is.
#[derive(Debug)]
pub(super) struct Piece {
    pub decoded: Decoded,
    /// Where its records' original bytes are.
    pub original: Original,
    /// Physical line on which it starts, from 1; 0 for a file without lines.
    pub first_line: u64,
    /// Record number of its first, from 1.
    pub first_row: u64,
}

/// Decodes all of a text and hands each batch to `take`.
pub(super) fn text(
    path: &Path,
    shape: &TextShape,
    mapping: &Mapping,
    mut take: impl FnMut(Piece),
) -> Result<(), CommandError> {
    let mut decoder = TextDecoder::new(mapping, shape).map_err(named(path))?;
    let mut file = File::open(path).map_err(CommandError::file(path))?;
    let mut cutter = Cutter::new(shape, 0);
    let mut carried = Vec::new();
    let (mut first, mut first_line, mut first_row) = (true, 1, 1);
    loop {
        let mut read = |into: &mut Vec<u8>, max: usize| {
            file.by_ref().take(max as u64).read_to_end(into).map_err(CommandError::file(path))
        };
        let Some((bytes, dropped)) = next_chunk(&mut read, &mut cutter, &mut carried)? else {
            return Ok(());
        };
        let chunk = Arc::new(Chunk { bytes });
        let mut decoded = decoder.decode(&chunk, first).map_err(named(path))?;
        decoded.add_dropped(dropped);
        let (lines, rows) = (decoded.lines, decoded.read());
        take(Piece { decoded, original: Original::Text(chunk), first_line, first_row });
        first = false;
        first_line += lines;
        first_row += rows;
    }
}

/// Reads until the chunk's end is found: its bytes, and how many of an over-long record were
/// dropped behind it. `None`: the file ended before.
fn next_chunk(
    read: &mut impl FnMut(&mut Vec<u8>, usize) -> Result<usize, CommandError>,
    cutter: &mut Cutter,
    carried: &mut Vec<u8>,
) -> Result<Option<(Vec<u8>, u64)>, CommandError> {
    let mut bytes = Vec::with_capacity(CHUNK_BYTES + 2 * TAIL_BYTES);
    bytes.append(carried);
    let whole = CHUNK_BYTES - (cutter.chunk_start() % CHUNK_BYTES as u64) as usize;
    loop {
        let wanted = if bytes.len() < whole { whole - bytes.len() } else { TAIL_BYTES };
        let at_end = read(&mut bytes, wanted)? < wanted;
        if at_end && bytes.is_empty() {
            return Ok(None);
        }
        match cutter.cut(&bytes, at_end) {
            Cut::NeedMore => {}
            Cut::End(end) => {
                carried.extend_from_slice(&bytes[end..]);
                bytes.truncate(end);
                return Ok(Some((bytes, 0)));
            }
            Cut::TooLong(end) => {
                let rest = bytes.split_off(end);
                let dropped = drop_line(read, cutter, carried, rest)?;
                return Ok(Some((bytes, dropped)));
            }
        }
    }
}

/// Passes over the rest of a record that is too long; what follows it is carried.
fn drop_line(
    read: &mut impl FnMut(&mut Vec<u8>, usize) -> Result<usize, CommandError>,
    cutter: &mut Cutter,
    carried: &mut Vec<u8>,
    mut rest: Vec<u8>,
) -> Result<u64, CommandError> {
    let mut dropped = 0;
    loop {
        if let Some(line_end) = cutter.drop_line(&rest) {
            carried.extend_from_slice(&rest[line_end..]);
            return Ok(dropped + line_end as u64);
        }
        dropped += rest.len() as u64;
        rest.clear();
        if read(&mut rest, TAIL_BYTES)? == 0 {
            return Ok(dropped);
        }
    }
}

/// Decodes all of a Parquet file and hands each batch to `take`.
pub(super) fn parquet(
    path: &Path,
    mapping: &Mapping,
    mut take: impl FnMut(Piece),
) -> Result<(), CommandError> {
    let plain = |error: DecodeError| CommandError::Refused(error.to_string());
    let source = ParquetSource::open(path).map_err(plain)?;
    for unit in source.units() {
        let mut first_row = unit.first_row + 1;
        for decoded in source.read_unit(&unit, mapping).map_err(plain)? {
            let decoded = decoded.map_err(plain)?;
            let rows = decoded.read();
            take(Piece { decoded, original: Original::Columns, first_line: 0, first_row });
            first_row += rows;
        }
    }
    Ok(())
}

fn named(path: &Path) -> impl Fn(DecodeError) -> CommandError {
    move |error| CommandError::Refused(format!("{}: {error}", path.display()))
}
