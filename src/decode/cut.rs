//! The chunk cutter: says where chunks of a text source end, so that they can be decoded apart.
//!
//! A chunk that starts at byte `s` ends at the first record end at or after the first multiple of
//! [`CHUNK_BYTES`] beyond `s`; the last one ends with the source. This depends on content alone:
//! not on how reads were sized, nor on where reading began, if it began where a chunk ends.
//!
//! A chunk without a quote byte is cut at a line end found with `memchr`; any other is walked by
//! the decoder's own state machine. The cutter holds no bytes and reads nothing: the pipeline's
//! reader owns the buffer.

use memchr::{memchr, memchr2};

use super::record::{Dialect, RecordScan, Scanned, line_start};
use crate::limit::{CHUNK_BYTES, RECORD_BYTES_MAX};
use crate::mapping::TextShape;

/// What is to be done with the bytes of a chunk so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The chunk is the first so many bytes; the next chunk starts there.
    End(usize),
    /// The end is not among these bytes: pass them again with more.
    NeedMore,
    /// The chunk's last record is longer than [`RECORD_BYTES_MAX`]. The chunk is the first so many
    /// bytes: decode them (the record will be one reject), pass all that follows to
    /// [`Cutter::drop_line`] until it finds the record's end, and tell
    /// [`Decoded::add_dropped`](super::Decoded::add_dropped) how much that was.
    TooLong(usize),
}

/// Finds chunk ends, one after another.
#[derive(Debug)]
pub struct Cutter {
    dialect: Dialect,
    head_lines: usize,
    /// [`CHUNK_BYTES`], but for tests.
    chunk_bytes: u64,
    /// Offset in the source of the chunk that is looked for.
    chunk_start: u64,
    progress: Progress,
}

/// How far the chunk at hand was looked at; positions count from its first byte.
#[derive(Debug, Default)]
struct Progress {
    /// Whether preamble and header are behind.
    begun: bool,
    /// Head lines seen.
    head_lines: usize,
    /// End of preamble and header, 0 but in the source's first chunk.
    body: usize,
    /// Bytes known to hold no quote (and beyond the target no line end).
    plain: usize,
    /// The walk, once a quote was met.
    walk: Option<RecordScan>,
}

impl Cutter {
    /// A cutter for a source in `shape` that is read from byte `start_offset` of its decompressed
    /// text, which is 0 or a chunk's end.
    pub fn new(shape: &TextShape, start_offset: u64) -> Self {
        Self {
            dialect: Dialect { delimiter: shape.delimiter, quote: shape.quote },
            head_lines: shape.head_lines,
            chunk_bytes: CHUNK_BYTES as u64,
            chunk_start: start_offset,
            progress: Progress::default(),
        }
    }

    /// Offset in the source at which the chunk at hand starts.
    pub fn chunk_start(&self) -> u64 {
        self.chunk_start
    }

    /// Looks for the end of the chunk at hand in `bytes`, which start where it starts. `eof` says
    /// that the source ends with them. After [`Cut::NeedMore`] the same bytes must come again with
    /// more behind them; what was looked at is not looked at again.
    pub fn cut(&mut self, bytes: &[u8], eof: bool) -> Cut {
        let cut = self.find(bytes, eof);
        if let Cut::End(len) | Cut::TooLong(len) = cut {
            self.chunk_start += len as u64;
            self.progress = Progress::default();
        }
        cut
    }

    /// After [`Cut::TooLong`]: how many of `bytes`, which follow those kept, still belong to the
    /// record that was too long, its line end included. `None`: all of them, and it goes on.
    pub fn drop_line(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = memchr(b'\n', bytes).map(|found| found + 1);
        self.chunk_start += end.unwrap_or(bytes.len()) as u64;
        end
    }

    fn find(&mut self, bytes: &[u8], eof: bool) -> Cut {
        if !self.progress.begun
            && let Err(cut) = self.begin(bytes, eof)
        {
            return cut;
        }
        if self.progress.walk.is_none() {
            match self.find_plain(bytes, eof) {
                Ok(cut) => return cut,
                Err(quote) => {
                    let start = line_start(bytes, self.progress.body, quote);
                    self.progress.walk = Some(RecordScan::new(self.dialect, start));
                }
            }
        }
        self.find_by_walk(bytes, eof)
    }

    /// The least position at which the chunk may end.
    fn target(&self) -> usize {
        (self.chunk_bytes - self.chunk_start % self.chunk_bytes) as usize
    }

    /// Steps over byte order mark, preamble and header: their quotes mean nothing.
    fn begin(&mut self, bytes: &[u8], eof: bool) -> Result<(), Cut> {
        let progress = &mut self.progress;
        if self.chunk_start == 0 {
            if bytes.len() < 3 && !eof {
                return Err(Cut::NeedMore);
            }
            if progress.body == 0 {
                progress.body = bom_len(bytes);
                progress.plain = progress.body;
            }
            while progress.head_lines < self.head_lines {
                let Some(found) = memchr(b'\n', &bytes[progress.plain..]) else {
                    progress.plain = bytes.len();
                    return Err(match bytes.len() {
                        len if len - progress.body > RECORD_BYTES_MAX => {
                            Cut::TooLong(progress.body + RECORD_BYTES_MAX + 1)
                        }
                        len if eof => Cut::End(len),
                        _ => Cut::NeedMore,
                    });
                };
                let line_end = progress.plain + found;
                if line_end - progress.body > RECORD_BYTES_MAX {
                    return Err(Cut::TooLong(progress.body + RECORD_BYTES_MAX + 1));
                }
                progress.body = line_end + 1;
                progress.plain = progress.body;
                progress.head_lines += 1;
            }
        }
        self.progress.begun = true;
        Ok(())
    }

    /// The chunk's end if no quote comes before it, or the position of the first quote.
    fn find_plain(&mut self, bytes: &[u8], eof: bool) -> Result<Cut, usize> {
        let target = self.target();
        let progress = &mut self.progress;
        if progress.body >= target {
            return Ok(Cut::End(progress.body));
        }
        // The byte before the target may be the line end that makes the target a record end.
        let before = bytes.len().min(target - 1);
        if progress.plain < before {
            if let Some(found) = memchr(self.dialect.quote, &bytes[progress.plain..before]) {
                return Err(progress.plain + found);
            }
            progress.plain = before;
        }
        if bytes.len() < target {
            return Ok(if eof { Cut::End(bytes.len()) } else { Cut::NeedMore });
        }
        let found = memchr2(self.dialect.quote, b'\n', &bytes[progress.plain..]);
        let found = found.map(|found| progress.plain + found);
        let limit = line_start(bytes, progress.body, target - 1) + RECORD_BYTES_MAX;
        match found {
            Some(at) if bytes[at] != b'\n' => Err(at),
            Some(at) if at <= limit => Ok(Cut::End(at + 1)),
            None if bytes.len() <= limit && eof => Ok(Cut::End(bytes.len())),
            None if bytes.len() <= limit => {
                progress.plain = bytes.len();
                Ok(Cut::NeedMore)
            }
            _ => Ok(Cut::TooLong(limit + 1)),
        }
    }

    fn find_by_walk(&mut self, bytes: &[u8], eof: bool) -> Cut {
        let target = self.target();
        let Some(walk) = &mut self.progress.walk else { return Cut::NeedMore };
        loop {
            match walk.next(bytes, eof) {
                Scanned::End(next) if next < target => {}
                Scanned::End(next) => return Cut::End(next),
                Scanned::TooLong(kept) => return Cut::TooLong(kept),
                Scanned::Open if eof => return Cut::End(bytes.len()),
                Scanned::Open => return Cut::NeedMore,
            }
        }
    }
}

/// Bytes of the UTF-8 byte order mark at the start of a source: 3 or 0.
pub(super) fn bom_len(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(head_lines: usize) -> TextShape {
        TextShape {
            delimiter: b',',
            quote: b'"',
            head_lines,
            header: None,
            header_bytes: Vec::new(),
            fields_min: 1,
            fields_max: 9,
            nulls: Vec::new(),
        }
    }

    /// Chunk ends when the source arrives in pieces of these sizes, and bytes dropped.
    fn ends(text: &[u8], mut cutter: Cutter, pieces: &[usize]) -> (Vec<u64>, u64) {
        let mut pieces = pieces.iter().cycle();
        let (mut ends, mut dropped) = (Vec::new(), 0);
        let mut start = cutter.chunk_start() as usize;
        let mut have = start;
        while start < text.len() {
            match cutter.cut(&text[start..have], have == text.len()) {
                Cut::NeedMore => {
                    assert!(have < text.len(), "more is wanted at the end");
                    have = (have + pieces.next().unwrap()).min(text.len());
                }
                Cut::End(len) => {
                    assert!(len > 0);
                    start += len;
                    ends.push(start as u64);
                }
                Cut::TooLong(len) => {
                    start += len;
                    let drop = cutter.drop_line(&text[start..]);
                    let drop = drop.unwrap_or(text.len() - start);
                    dropped += drop as u64;
                    start += drop;
                    have = have.max(start);
                    ends.push(start as u64);
                }
            }
            assert_eq!(cutter.chunk_start(), start as u64 - if have < start { 1 } else { 0 });
        }
        (ends, dropped)
    }

    /// The rule itself, by the plainest means.
    fn by_the_rule(text: &[u8], head_lines: usize, chunk: u64) -> Vec<u64> {
        let mut at = bom_len(text);
        for _ in 0..head_lines {
            at = memchr(b'\n', &text[at..]).map_or(text.len(), |lf| at + lf + 1);
        }
        let mut record_ends = vec![at as u64];
        let mut scan = RecordScan::new(Dialect { delimiter: b',', quote: b'"' }, at);
        while let Scanned::End(next) = scan.next(text, true) {
            record_ends.push(next as u64);
        }
        let (mut ends, mut start) = (Vec::new(), 0);
        while start < text.len() as u64 {
            let target = (start / chunk + 1) * chunk;
            let end = record_ends.iter().copied().find(|end| *end >= target);
            start = end.unwrap_or(text.len() as u64);
            ends.push(start);
        }
        ends
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn ends_are_a_function_of_content(
            text in "(\u{feff})?([a-c]{0,7}[,,\n\n]|\"|\r\n|,\"[ab\n]{0,9}\"\n){0,60}",
            head_lines in 0_usize..3,
            pieces in prop::collection::vec(1_usize..40, 1..20),
            chunk in prop::sample::select(vec![4_u64, 16, 50]),
        ) {
            let text = text.as_bytes();
            let shape = shape(head_lines);
            let cutter = |start| Cutter { chunk_bytes: chunk, ..Cutter::new(&shape, start) };
            let want = by_the_rule(text, head_lines, chunk);
            prop_assert_eq!(&ends(text, cutter(0), &pieces).0, &want);
            prop_assert_eq!(&ends(text, cutter(0), &[text.len().max(1)]).0, &want);
            for (at, restart) in want.iter().enumerate() {
                let got = ends(text, cutter(*restart), &pieces).0;
                prop_assert_eq!(&got[..], &want[at + 1..], "restarted at {}", restart);
            }
        }
    }

    #[test]
    fn chunks_end_at_the_first_record_end_at_or_after_the_multiple() {
        let line = b"0123456789abcde\n";
        let text = line.repeat(CHUNK_BYTES / 16 * 2 + 5);
        let want = vec![CHUNK_BYTES as u64, 2 * CHUNK_BYTES as u64, text.len() as u64];
        assert_eq!(ends(&text, Cutter::new(&shape(0), 0), &[1 << 20]).0, want);
        let mut shifted = b"x\n".to_vec();
        shifted.extend_from_slice(&text);
        let got = ends(&shifted, Cutter::new(&shape(0), 0), &[700_001]).0;
        assert_eq!(got[..2], [CHUNK_BYTES as u64 + 2, 2 * CHUNK_BYTES as u64 + 2]);
    }

    #[test]
    fn quotes_in_the_preamble_mean_nothing() {
        let text = b"it is 5\" long\n\"ts\",close\n1,2\n3,4\n".to_vec();
        let cutter = Cutter { chunk_bytes: 28, ..Cutter::new(&shape(2), 0) };
        assert_eq!(ends(&text, cutter, &[1]).0, [29, 33]);
    }

    #[test]
    fn a_record_that_is_too_long_ends_with_a_line_quotes_or_not() {
        for (head, tail) in [(&b"1,2\n\"open"[..], &b"rest\"\n"[..]), (b"1,2\nlong", b"rest\n")] {
            let mut text = head.to_vec();
            text.resize(4 + RECORD_BYTES_MAX + 100, b'x');
            text.extend_from_slice(tail);
            let end = text.len() as u64;
            text.extend_from_slice(b"3,4\n");
            for pieces in [&[1 << 20][..], &[5_000_011], &[64 << 20]] {
                let (got, dropped) = ends(&text, Cutter::new(&shape(0), 0), pieces);
                assert_eq!(got, [end, end + 4]);
                assert_eq!(dropped, end - (4 + RECORD_BYTES_MAX as u64 + 1));
            }
        }
    }

    #[test]
    fn the_longest_record_allowed_is_one() {
        for (extra, long) in [(0, false), (1, true)] {
            for quoted in [false, true] {
                let mut text = vec![b'x'; RECORD_BYTES_MAX + extra];
                if quoted {
                    text[0] = b'"';
                    text[9] = b'\n';
                    text[RECORD_BYTES_MAX - 1 + extra] = b'"';
                }
                text.extend_from_slice(b"\n1\n");
                let mut cutter = Cutter::new(&shape(0), 0);
                let cut = cutter.cut(&text, true);
                let want = RECORD_BYTES_MAX + 1;
                assert_eq!(cut, if long { Cut::TooLong(want) } else { Cut::End(want) });
            }
        }
    }

    #[test]
    fn a_head_without_end_takes_bounded_memory() {
        let text = vec![b'<'; RECORD_BYTES_MAX + 9];
        let mut cutter = Cutter::new(&shape(1), 0);
        assert_eq!(cutter.cut(&text, false), Cut::TooLong(RECORD_BYTES_MAX + 1));
        assert_eq!(cutter.drop_line(b"<<"), None);
        assert_eq!(cutter.drop_line(b"<\n1"), Some(2));
    }
}
