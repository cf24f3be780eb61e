//! Chunk after chunk of a source, whatever its cutter: bytes are asked for until a chunk's end is
//! found, and what was read beyond it is carried to the next. Owns no I/O: the pipeline's reader
//! and `inspect` say where bytes come from.

use super::cut::{Cut, Cutter};
use super::json::JsonCutter;
use crate::limit::{CHUNK_BYTES, KIB};

/// Bytes by which a chunk grows while its last record's end is looked for.
const TAIL_BYTES: usize = 64 * KIB;

/// What finds the ends of chunks.
pub trait FindEnds {
    /// Offset of the chunk that is looked for.
    fn chunk_start(&self) -> u64;
    /// Looks for its end in `bytes`; `eof` says that the source ends with them.
    fn cut(&mut self, bytes: &[u8], eof: bool) -> Cut;
    /// After [`Cut::TooLong`]: looks for the end of the record that is too long.
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

/// A chunk that was cut.
#[derive(Debug)]
pub struct Cutting {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Bytes of an over-long record that were dropped behind it.
    pub dropped: u64,
}

/// Reads until the chunk's end is found. `read` appends at most so many bytes as it is told, and
/// says whether the source is at its end. What was read beyond the chunk is `carried` to the next.
///
/// # Errors
/// Those of `read`.
pub fn next_chunk<E>(
    mut read: impl FnMut(&mut Vec<u8>, usize) -> Result<bool, E>,
    cutter: &mut impl FindEnds,
    carried: &mut Vec<u8>,
) -> Result<Cutting, E> {
    let mut bytes = Vec::with_capacity(CHUNK_BYTES + 2 * TAIL_BYTES);
    bytes.append(carried);
    let start = cutter.chunk_start();
    let whole = CHUNK_BYTES - (start % CHUNK_BYTES as u64) as usize;
    loop {
        let wanted = if bytes.len() < whole { whole - bytes.len() } else { TAIL_BYTES };
        let at_end = read(&mut bytes, wanted)?;
        match cutter.cut(&bytes, at_end) {
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
                    read(&mut rest, TAIL_BYTES)?;
                    if rest.is_empty() {
                        return Ok(Cutting { bytes, dropped });
                    }
                }
            }
        }
    }
}
