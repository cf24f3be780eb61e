//! Delimited text: a chunk becomes a batch.
//!
//! A chunk without a quote byte takes the fast path: fields are split with word-wide compares and
//! parsed in place, many lines at a time and column by column as long as none of them is refused:
//! one value beside the next of its kind is what a processor is good at. Any other is cut into
//! records by the state machine of [`super::record`], and only records that hold a quote are copied
//! to take their quotes off. All ways give the same rows.
//!
//! What is no record: a line whose only field is empty or blank, and a repeat of the header. What
//! is a reject: the first fault of a record, in this order: too long or never closed quote, NUL
//! byte, UTF-8, quotes, field count (a delimiter at the very end of a record is no field more),
//! then columns from left to right. A record whose time can be read and lies outside the window
//! counts as skipped, whatever its other columns hold; one whose time cannot be read is a reject.
//! Records of idle intervals, where the mapping says that there are some, count as skipped too, and
//! so do those that are another dataset's, broken or not: that one's load refuses them.

use memchr::{memchr, memchr_iter};

use super::cut::bom_len;
use super::fault::Broken;
use super::header::OtherHeader;
use super::number::trim;
use super::record::{Dialect, Fields, Lines, RecordScan, Scanned, content_end};
use super::rows::{Record, Rows};
use super::{DecodeError, Decoded};
use crate::batch::{Chunk, Rejects, Why};
use crate::limit::{FIELDS_MAX, RECORD_BYTES_MAX};
use crate::mapping::{Mapping, TextShape};
use crate::span::RowPlace;

/// Decodes chunks of one source, or of sources with the same shape and mapping. Not shared between
/// threads: each has its own.
#[derive(Debug)]
pub struct TextDecoder {
    frame: Frame,
    rows: Rows,
    fields: Fields,
    lines: Lines,
}

/// Lines that are taken together: few enough that their text and their fields stay in the fastest
/// cache from column to column.
const LINES: u32 = 128;
/// So many times lines of a chunk are taken together for nothing; then all are taken one by one.
const REFUSALS_MAX: u32 = 16;

/// What is known of records before any value is read.
#[derive(Debug)]
struct Frame {
    dialect: Dialect,
    head_lines: usize,
    fields_min: usize,
    fields_max: usize,
    /// Fields to split off: enough to see that there are too many, and to know a header.
    split_max: usize,
    header: Option<Vec<Vec<u8>>>,
    others: Option<OtherHeader>,
}

/// What a chunk has become so far.
struct Output<'a> {
    bytes: &'a [u8],
    /// Records so far.
    records: u32,
    places: Vec<RowPlace>,
    rejects: Rejects,
    skipped: u64,
    /// Whether each record must be looked at for NUL bytes, and for UTF-8.
    doubt_nul: bool,
    doubt_utf8: bool,
}

impl TextDecoder {
    /// A decoder for sources of this shape and mapping.
    ///
    /// # Errors
    /// Names the column whose constant is not of its kind, whose field no record has, or which
    /// lacks a time rule.
    pub fn new(mapping: &Mapping, shape: &TextShape) -> Result<Self, DecodeError> {
        let dialect = Dialect { delimiter: shape.delimiter, quote: shape.quote };
        let fields_max = shape.fields_max.min(FIELDS_MAX);
        let header = header_fields(shape, dialect);
        let frame = Frame {
            dialect,
            head_lines: shape.head_lines,
            fields_min: shape.fields_min,
            fields_max,
            split_max: fields_max.max(header.as_ref().map_or(0, Vec::len)),
            others: header
                .as_ref()
                .and_then(|names| OtherHeader::new(names, &mapping.columns, dialect)),
            header,
        };
        let rows = Rows::new(mapping, &shape.nulls, fields_max)?;
        Ok(Self { frame, rows, fields: Fields::default(), lines: Lines::default() })
    }

    /// Decodes a chunk, of at most a few times [`RECORD_BYTES_MAX`]. `first` says that it starts
    /// its source: a byte order mark and the head lines are stepped over then.
    ///
    /// # Errors
    /// [`DecodeError::OtherHeader`] with its line in the chunk; else only if Arrow refuses the
    /// arrays, which would be a fault of this program.
    pub fn decode(&mut self, chunk: &Chunk, first: bool) -> Result<Decoded, DecodeError> {
        let bytes = chunk.bytes.as_slice();
        let (start, line) = if first { self.frame.skip_head(bytes) } else { (0, 0) };
        if let Some(others) = &self.frame.others {
            let refused = others.refuse(&bytes[start..]);
            refused.map_err(|error| error.starting_at(u64::from(line) + 1))?;
        }
        let mut out = Output {
            bytes,
            records: 0,
            places: Vec::with_capacity(self.rows.expected()),
            rejects: Rejects::default(),
            skipped: 0,
            doubt_nul: memchr(0, bytes).is_some(),
            doubt_utf8: std::str::from_utf8(bytes).is_err(),
        };
        let lines = if memchr(self.frame.dialect.quote, &bytes[start..]).is_none() {
            self.decode_plain(start, line, &mut out)
        } else {
            self.decode_quoted(start, line, &mut out)
        };
        let root = self.rows.finish(out.places.len())?;
        Ok(Decoded {
            root,
            places: out.places,
            children: Vec::new(),
            rejects: out.rejects,
            skipped: out.skipped,
            lines: u64::from(lines),
        })
    }

    /// Every line is a record. Returns the number of lines.
    fn decode_plain(&mut self, start: usize, mut line: u32, out: &mut Output<'_>) -> u32 {
        let bytes = out.bytes;
        let delimiter = self.frame.dialect.delimiter;
        let in_doubt = out.doubt_nul || out.doubt_utf8;
        let mut together = if in_doubt || !self.rows.is_plain() { 0 } else { REFUSALS_MAX };
        let mut at = start;
        // Lines before this byte are taken one by one.
        let mut one_by_one = start;
        while at < bytes.len() {
            if together > 0 && at >= one_by_one {
                let (taken, next) = self.take_lines(at, line, out);
                match taken {
                    Some(lines) => {
                        (at, line) = (next, line + lines);
                        one_by_one = if lines < LINES { next + 1 } else { next };
                    }
                    None => (together, one_by_one) = (together - 1, next),
                }
                continue;
            }
            let end = self.fields.split_line(bytes, at, delimiter, self.frame.split_max);
            let place = out.place(at, content_end(bytes, at, end), line);
            if end - at > RECORD_BYTES_MAX {
                out.refuse(place, Broken::TooLong { max: RECORD_BYTES_MAX });
            } else {
                take_record(&self.frame, &mut self.rows, &self.fields, bytes, place, out);
            }
            at = end + 1;
            line += 1;
        }
        line
    }

    /// Takes many lines column by column, up to the first that is not like the others; none if
    /// some record of them is to be refused. Returns how many were taken, and where the lines end
    /// that were looked at.
    fn take_lines(
        &mut self,
        start: usize,
        line: u32,
        out: &mut Output<'_>,
    ) -> (Option<u32>, usize) {
        let bytes = out.bytes;
        let Frame { dialect, split_max, .. } = self.frame;
        let lines = &mut self.lines;
        lines.clear();
        let mut at = start;
        while at < bytes.len() && lines.len() < LINES as usize {
            let Some(end) = lines.add(bytes, at, dialect.delimiter, split_max) else { break };
            if end - at > RECORD_BYTES_MAX || self.frame.is_odd(lines, bytes) {
                lines.take_back();
                break;
            }
            at = end + 1;
        }
        if !self.rows.take_all(lines, bytes) {
            return (None, at);
        }
        for ordinal in 0..lines.len() {
            let (start, end) = lines.place(ordinal);
            out.places.push(out.place(start, end, line + ordinal as u32));
            out.records += 1;
        }
        (Some(lines.len() as u32), at)
    }

    /// Records may span lines. Returns the number of lines.
    fn decode_quoted(&mut self, start: usize, mut line: u32, out: &mut Output<'_>) -> u32 {
        let bytes = out.bytes;
        let dialect = self.frame.dialect;
        let mut scan = RecordScan::new(dialect, start);
        loop {
            let at = scan.start();
            if at >= bytes.len() {
                return line;
            }
            let next = match scan.next(bytes, true) {
                Scanned::End(next) => {
                    self.take_scanned(at, next - 1, line, out);
                    next
                }
                Scanned::Open if scan.inside() => {
                    // A lone quote at the very end holds nothing, like a blank line.
                    if bytes[at + 1..].iter().any(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) {
                        let place = out.place(at, bytes.len(), line);
                        out.refuse(place, Broken::UnterminatedQuote);
                    }
                    bytes.len()
                }
                Scanned::Open => {
                    self.take_scanned(at, bytes.len(), line, out);
                    bytes.len()
                }
                Scanned::TooLong(kept) => {
                    let end = memchr(b'\n', &bytes[kept..]).map_or(bytes.len(), |lf| kept + lf);
                    let place = out.place(at, content_end(bytes, at, end), line);
                    out.refuse(place, Broken::TooLong { max: RECORD_BYTES_MAX });
                    let next = bytes.len().min(end + 1);
                    scan = RecordScan::new(dialect, next);
                    next
                }
            };
            let record = &bytes[at..next];
            let open = u32::from(!record.ends_with(b"\n"));
            line += memchr_iter(b'\n', record).count() as u32 + open;
            if next == bytes.len() {
                return line;
            }
        }
    }

    /// Takes a whole record whose LF, or the end of the bytes, is at `end`.
    fn take_scanned(&mut self, at: usize, end: usize, line: u32, out: &mut Output<'_>) {
        let bytes = out.bytes;
        let Dialect { delimiter, quote } = self.frame.dialect;
        let end = content_end(bytes, at, end);
        let place = out.place(at, end, line);
        if memchr(quote, &bytes[at..end]).is_none() {
            self.fields.split_line(&bytes[..end], at, delimiter, self.frame.split_max);
            take_record(&self.frame, &mut self.rows, &self.fields, bytes, place, out);
        } else {
            let dialect = self.frame.dialect;
            self.fields.split_quoted(&bytes[at..end], dialect, self.frame.split_max);
            let view = self.fields.take_unquoted();
            take_record(&self.frame, &mut self.rows, &self.fields, &view, place, out);
            self.fields.give_unquoted(view);
        }
    }
}

/// The header's fields, by which repeats of it are known.
fn header_fields(shape: &TextShape, dialect: Dialect) -> Option<Vec<Vec<u8>>> {
    let bytes = shape.header_bytes.as_slice();
    let bytes = &bytes[..content_end(bytes, 0, bytes.len())];
    if bytes.is_empty() {
        return None;
    }
    let mut fields = Fields::default();
    fields.split_quoted(bytes, dialect, FIELDS_MAX);
    let view = fields.take_unquoted();
    Some((0..fields.len()).filter_map(|at| fields.get(&view, at).map(<[u8]>::to_vec)).collect())
}

/// A record's fields, and the bytes that they point into.
struct Line<'a> {
    fields: &'a Fields,
    view: &'a [u8],
}

impl Record for Line<'_> {
    #[inline]
    fn field(&self, at: usize) -> &[u8] {
        self.fields.get(self.view, at).unwrap_or_default()
    }
}

/// Decides what a record is, and takes its row if it is a good one.
#[inline]
fn take_record(
    frame: &Frame,
    rows: &mut Rows,
    fields: &Fields,
    view: &[u8],
    mut place: RowPlace,
    out: &mut Output<'_>,
) {
    if frame.is_no_record(fields, view) {
        return;
    }
    let record = Line { fields, view };
    if rows.passes_over(&record) {
        out.records += 1;
        out.skipped += 1;
        return;
    }
    if let Some(broken) = frame.broken(fields, view, place, out) {
        out.refuse(place, broken);
        return;
    }
    place.row = out.records;
    out.records += 1;
    match rows.take(&record, out.places.len()) {
        Ok(true) => out.places.push(place),
        Ok(false) => out.skipped += 1,
        Err(fault) => {
            let (column, reason) = rows.explain(fault, &record);
            let (rule, column, sqlstate) = (fault.1.rule().into(), Some(column), None);
            out.rejects.add(place, Why { rule, column, sqlstate, reason: reason.into() });
        }
    }
}

impl Frame {
    /// End of byte order mark and head lines, and the lines stepped over.
    fn skip_head(&self, bytes: &[u8]) -> (usize, u32) {
        let mut at = bom_len(bytes);
        let mut lines = 0;
        for _ in 0..self.head_lines {
            if at >= bytes.len() {
                break;
            }
            at = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |lf| at + lf + 1);
            lines += 1;
        }
        (at, lines)
    }

    /// Whether the last line may be no record, or one of too few or too many fields.
    #[inline]
    fn is_odd(&self, lines: &Lines, bytes: &[u8]) -> bool {
        let (fields, max) = (lines.fields(), self.fields_max);
        let first = || lines.last(bytes, 0);
        let repeats = |header: &Vec<Vec<u8>>| header.first().is_some_and(|name| name == first());
        let trailing = || fields == max + 1 && trim(lines.last(bytes, max)).is_empty();
        fields < self.fields_min.max(2)
            || (fields > max && !trailing())
            || self.header.as_ref().is_some_and(repeats)
    }

    /// Whether the line is blank or repeats the header.
    #[inline]
    fn is_no_record(&self, fields: &Fields, view: &[u8]) -> bool {
        let first = fields.get(view, 0).unwrap_or_default();
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
        if fields.len() == 1 && first.iter().all(blank) {
            return true;
        }
        self.header.as_ref().is_some_and(|header| {
            header.len() == fields.len()
                && header[0].first() == first.first()
                && header[0] == first
                && header.iter().enumerate().all(|(at, name)| fields.get(view, at) == Some(name))
        })
    }

    #[inline]
    fn broken(
        &self,
        fields: &Fields,
        view: &[u8],
        place: RowPlace,
        out: &Output<'_>,
    ) -> Option<Broken> {
        if out.doubt_nul && memchr(0, out.raw(place)).is_some() {
            return Some(Broken::NulByte);
        }
        if out.doubt_utf8 && std::str::from_utf8(out.raw(place)).is_err() {
            return Some(Broken::InvalidUtf8);
        }
        if fields.bad_quote {
            return Some(Broken::BadQuote);
        }
        let found = fields.len();
        if found < self.fields_min {
            return Some(Broken::TooFewFields { found, min: self.fields_min });
        }
        let trailing = || fields.get(view, self.fields_max).is_some_and(|v| trim(v).is_empty());
        if found <= self.fields_max || (found == self.fields_max + 1 && trailing()) {
            return None;
        }
        Some(Broken::TooManyFields { max: self.fields_max })
    }
}

impl Output<'_> {
    fn place(&self, start: usize, end: usize, line: u32) -> RowPlace {
        let len = (end - start) as u32;
        RowPlace { row: self.records, line, offset: start as u32, len }
    }

    fn raw(&self, place: RowPlace) -> &[u8] {
        &self.bytes[place.offset as usize..][..place.len as usize]
    }

    /// A record that is broken as a whole is one reject.
    #[cold]
    fn refuse(&mut self, mut place: RowPlace, broken: Broken) {
        place.row = self.records;
        self.records += 1;
        let (rule, reason) = (broken.rule().into(), broken.reason());
        self.rejects.add(place, Why { rule, column: None, sqlstate: None, reason });
    }
}

#[cfg(test)]
mod tests;
