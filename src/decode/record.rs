//! Where records end and fields lie: the one state machine that cutter and decoder share, so that
//! a chunk never ends where the decoder would not end a record.
//!
//! A record ends at LF, or CRs and LF, outside quotes; a CR elsewhere is a byte like any other. A
//! quote opens only as the first byte of a field; inside quotes a doubled quote is one quote; after
//! a closing quote the field goes on unquoted to the next delimiter. It reads bytes that somebody
//! else holds and judges no value.

use memchr::{memchr, memchr2, memrchr};

use crate::limit::RECORD_BYTES_MAX;

/// How records and fields are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub delimiter: u8,
    pub quote: u8,
}

/// What [`RecordScan::next`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    /// A record ends; the next one starts at this position.
    End(usize),
    /// The record that is open goes on beyond the bytes.
    Open,
    /// The record holds more than [`RECORD_BYTES_MAX`]. Its first `RECORD_BYTES_MAX + 1` bytes end
    /// at this position; it ends with the next LF at or after it, quotes or not.
    TooLong(usize),
}

/// Finds record ends one after another. Remembers its place, so that the same bytes with more at
/// their end can be passed again.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordScan {
    dialect: Dialect,
    /// First byte of the record that is open.
    start: usize,
    /// First byte that was not looked at.
    at: usize,
    inside: bool,
}

impl RecordScan {
    /// A scan that starts at a record's first byte.
    pub fn new(dialect: Dialect, start: usize) -> Self {
        Self { dialect, start, at: start, inside: false }
    }

    /// First byte of the record that is open.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Whether the bytes so far end inside quotes.
    pub fn inside(&self) -> bool {
        self.inside
    }

    /// The next record's end. After [`Scanned::TooLong`] start a new scan at the next record.
    pub fn next(&mut self, bytes: &[u8], eof: bool) -> Scanned {
        let limit = self.start + RECORD_BYTES_MAX;
        loop {
            let found = if self.inside { self.close(bytes, eof) } else { self.step(bytes) };
            match found {
                Step::End(next) if next - 1 > limit => return Scanned::TooLong(limit + 1),
                Step::End(next) => {
                    self.start = next;
                    return Scanned::End(next);
                }
                Step::On if self.at <= limit => {}
                Step::On | Step::Open if bytes.len() > limit => {
                    return Scanned::TooLong(limit + 1);
                }
                Step::On => {}
                Step::Open => return Scanned::Open,
            }
        }
    }

    /// Outside quotes: up to the record's end or an opening quote.
    fn step(&mut self, bytes: &[u8]) -> Step {
        let Some(found) = memchr2(self.dialect.quote, b'\n', &bytes[self.at..]) else {
            self.at = bytes.len();
            return Step::Open;
        };
        let position = self.at + found;
        self.at = position + 1;
        if bytes[position] == b'\n' {
            return Step::End(position + 1);
        }
        self.inside = position == self.start || bytes[position - 1] == self.dialect.delimiter;
        Step::On
    }

    /// Inside quotes: up to the byte after the closing quote.
    fn close(&mut self, bytes: &[u8], eof: bool) -> Step {
        let Some(found) = memchr(self.dialect.quote, &bytes[self.at..]) else {
            self.at = bytes.len();
            return Step::Open;
        };
        let position = self.at + found;
        match bytes.get(position + 1) {
            Some(&byte) if byte == self.dialect.quote => self.at = position + 2,
            None if !eof => {
                // The next byte decides whether this quote closes: look at it again then.
                self.at = position;
                return Step::Open;
            }
            _ => {
                self.at = position + 1;
                self.inside = false;
            }
        }
        Step::On
    }
}

enum Step {
    End(usize),
    On,
    Open,
}

/// The first byte of the line that holds position `at`, but not before `floor`.
pub(super) fn line_start(bytes: &[u8], floor: usize, at: usize) -> usize {
    memrchr(b'\n', &bytes[floor..at]).map_or(floor, |found| floor + found + 1)
}

/// A record's bytes without its CR, where `end` is the position of its LF or the end of the bytes.
/// Programs that write CR LF through a text mode that adds another leave two.
pub(super) fn content_end(bytes: &[u8], start: usize, mut end: usize) -> usize {
    while end > start && bytes[end - 1] == b'\r' {
        end -= 1;
    }
    end
}

/// The fields of one record. Reused from record to record.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// First byte of the first field.
    start: usize,
    /// For each field the position one past its last byte. The next field starts one byte later.
    ends: Vec<usize>,
    /// The bytes that positions point into, if quotes had to be taken off.
    unquoted: Vec<u8>,
    /// Whether some field has text after its closing quote.
    pub bad_quote: bool,
}

impl Fields {
    /// How many fields there are. Beyond the limit given to the splitters they are not counted on.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of the field at `index`, where `bytes` are those given to [`Fields::view`].
    #[inline]
    pub fn get<'a>(&self, view: &'a [u8], index: usize) -> Option<&'a [u8]> {
        (index < self.ends.len()).then(|| field_of(view, self.start, &self.ends, index))
    }

    /// Splits the line that starts at `start`, which is known to hold no quote, and returns the
    /// position of its LF or the end of the bytes. Stops storing fields beyond `fields_max + 1`.
    pub fn split_line(
        &mut self,
        bytes: &[u8],
        start: usize,
        delimiter: u8,
        fields_max: usize,
    ) -> usize {
        self.start = start;
        self.ends.clear();
        self.bad_quote = false;
        split_plain(&mut self.ends, bytes, start, delimiter, fields_max)
    }

    /// Splits a record that may hold quotes; `record` comes without its line end.
    pub fn split_quoted(&mut self, record: &[u8], dialect: Dialect, fields_max: usize) {
        self.start = 0;
        self.ends.clear();
        self.unquoted.clear();
        self.bad_quote = false;
        let mut at = 0;
        loop {
            at = self.take_field(record, at, dialect);
            self.ends.push(self.unquoted.len());
            // A byte between fields, as in a plain line, so that both are read the same way.
            self.unquoted.push(dialect.delimiter);
            if at >= record.len() || self.ends.len() > fields_max {
                return;
            }
            at += 1;
        }
    }

    /// Copies the field that starts at `at`, without its quotes; returns its end in the record.
    fn take_field(&mut self, record: &[u8], mut at: usize, dialect: Dialect) -> usize {
        let quoted = record.get(at) == Some(&dialect.quote);
        if quoted {
            at += 1;
            loop {
                let Some(found) = memchr(dialect.quote, &record[at..]) else {
                    self.unquoted.extend_from_slice(&record[at..]);
                    return record.len();
                };
                self.unquoted.extend_from_slice(&record[at..at + found]);
                at += found + 1;
                if record.get(at) != Some(&dialect.quote) {
                    break;
                }
                self.unquoted.push(dialect.quote);
                at += 1;
            }
        }
        let rest = &record[at..];
        let rest = &rest[..memchr(dialect.delimiter, rest).unwrap_or(rest.len())];
        self.unquoted.extend_from_slice(rest);
        self.bad_quote |= quoted && rest.iter().any(|byte| *byte != b' ');
        at + rest.len()
    }

    /// The bytes that [`Fields::split_quoted`] left.
    pub fn take_unquoted(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unquoted)
    }

    /// Gives the buffer back for the next record.
    pub fn give_unquoted(&mut self, buffer: Vec<u8>) {
        self.unquoted = buffer;
    }
}

/// Lines without quotes, one after another, that have equally many fields: their fields by column.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Fields of each line.
    fields: usize,
    /// First byte of each line.
    starts: Vec<usize>,
    /// For each field of each line the position one past its last byte.
    ends: Vec<usize>,
}

impl Lines {
    /// Makes room for other lines.
    pub fn clear(&mut self) {
        self.starts.clear();
        self.ends.clear();
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Splits the line that starts at `start` and is known to hold no quote, and returns the
    /// position of its LF or the end of the bytes. `None`, and no line more, where it has another
    /// number of fields than the first.
    #[inline]
    pub fn add(
        &mut self,
        bytes: &[u8],
        start: usize,
        delimiter: u8,
        fields_max: usize,
    ) -> Option<usize> {
        let before = self.ends.len();
        let end = split_plain(&mut self.ends, bytes, start, delimiter, fields_max);
        let fields = self.ends.len() - before;
        if self.starts.is_empty() {
            self.fields = fields;
        }
        if fields != self.fields {
            self.ends.truncate(before);
            return None;
        }
        self.starts.push(start);
        Some(end)
    }

    /// Takes the last line back.
    pub fn take_back(&mut self) {
        self.starts.pop();
        self.ends.truncate(self.starts.len() * self.fields);
    }

    /// Fields of each line.
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// A field of the last line; empty if it has none there.
    #[inline]
    pub fn last<'a>(&self, bytes: &'a [u8], at: usize) -> &'a [u8] {
        let ends = &self.ends[self.ends.len() - self.fields..];
        field_of(bytes, self.starts.last().copied().unwrap_or_default(), ends, at)
    }

    /// The first byte of a line, and the end of its content.
    pub fn place(&self, line: usize) -> (usize, usize) {
        (self.starts[line], self.ends[(line + 1) * self.fields - 1])
    }

    /// The field at `at` of every line; empty ones if lines have none there.
    #[inline]
    pub fn column<'a>(&self, bytes: &'a [u8], at: usize) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.ends.chunks_exact(self.fields.max(1)).zip(&self.starts);
        lines.map(move |(ends, start)| field_of(bytes, *start, ends, at))
    }
}

/// The field at `at` of the line that starts at `start`, by its fields' ends; empty if it has none.
#[inline]
fn field_of<'a>(bytes: &'a [u8], start: usize, ends: &[usize], at: usize) -> &'a [u8] {
    let Some(end) = ends.get(at) else { return b"" };
    let start = if at == 0 { start } else { ends[at - 1] + 1 };
    bytes.get(start..*end).unwrap_or_default()
}

/// Appends the end of each field of the line that starts at `start` and holds no quote, and returns
/// the position of its LF or the end of the bytes. Beyond `fields_max` fields the rest is one more.
#[inline]
fn split_plain(
    ends: &mut Vec<usize>,
    bytes: &[u8],
    start: usize,
    delimiter: u8,
    fields_max: usize,
) -> usize {
    let most = ends.len() + fields_max;
    let mut at = start;
    while let Some(word) = bytes.get(at..at + 8).and_then(|word| word.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let mut hits = equal_bytes(word, delimiter) | equal_bytes(word, b'\n');
        while hits != 0 {
            let position = at + (hits.trailing_zeros() / 8) as usize;
            hits &= hits - 1;
            if bytes[position] == b'\n' {
                ends.push(content_end(bytes, start, position));
                return position;
            }
            ends.push(position);
            if ends.len() > most {
                return rest_of_line(ends, bytes, position);
            }
        }
        at += 8;
    }
    for (offset, &byte) in bytes[at..].iter().enumerate() {
        if byte == b'\n' {
            ends.push(content_end(bytes, start, at + offset));
            return at + offset;
        }
        if byte == delimiter {
            ends.push(at + offset);
            if ends.len() > most {
                return rest_of_line(ends, bytes, at + offset);
            }
        }
    }
    ends.push(content_end(bytes, start, bytes.len()));
    bytes.len()
}

/// Too many fields already: the rest of the line is one more.
fn rest_of_line(ends: &mut Vec<usize>, bytes: &[u8], at: usize) -> usize {
    let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |found| at + found);
    ends.push(content_end(bytes, at, end));
    end
}

/// The high bit of each byte of `word` that equals `byte`, and no other bit.
#[inline]
pub(super) fn equal_bytes(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let difference = word ^ (u64::from(byte) * 0x0101_0101_0101_0101);
    !(((difference & LOW) + LOW) | difference | LOW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIALECT: Dialect = Dialect { delimiter: b',', quote: b'"' };

    /// All records of a text, by scan and split.
    fn records(text: &[u8], plain: bool) -> Vec<Vec<Vec<u8>>> {
        let mut fields = Fields::default();
        let mut records = Vec::new();
        let mut scan = RecordScan::new(DIALECT, 0);
        let mut start = 0;
        while start < text.len() {
            let next = match scan.next(text, true) {
                Scanned::End(next) => next,
                Scanned::Open | Scanned::TooLong(_) => text.len(),
            };
            let lf = if text[next - 1] == b'\n' { next - 1 } else { next };
            let end = if scan.inside() { next } else { content_end(text, start, lf) };
            if plain {
                assert_eq!(fields.split_line(text, start, b',', 100), lf);
                records.push((0..fields.len()).map(|i| field(&fields, text, i)).collect());
            } else {
                fields.split_quoted(&text[start..end], DIALECT, 100);
                let view = fields.take_unquoted();
                records.push((0..fields.len()).map(|i| field(&fields, &view, i)).collect());
            }
            start = next;
        }
        records.retain(|record: &Vec<Vec<u8>>| !(record.len() == 1 && record[0].is_empty()));
        records
    }

    fn field(fields: &Fields, view: &[u8], index: usize) -> Vec<u8> {
        fields.get(view, index).unwrap().to_vec()
    }

    fn by_the_csv_crate(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
        let records = reader
            .byte_records()
            .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
        records.filter(|record| !(record.len() == 1 && record[0].is_empty())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn plain_text_splits_as_the_csv_crate_splits_it(
            text in "([a-c0-9 .;é]{0,12}[,,,\n]|\r\n){0,40}[a-c]{0,3}",
        ) {
            let text = text.as_bytes();
            prop_assert_eq!(records(text, true), by_the_csv_crate(text));
            prop_assert_eq!(records(text, false), by_the_csv_crate(text));
        }

        #[test]
        fn quoted_text_splits_as_the_csv_crate_splits_it(
            text in "([ab\"\",\n]|\"\"|\r\n|,\"){0,60}",
        ) {
            let text = text.as_bytes();
            prop_assert_eq!(records(text, false), by_the_csv_crate(text));
        }

        #[test]
        fn a_scan_does_not_depend_on_how_bytes_arrive(
            text in "([ab\"\",\n]|\"\"|\r\n|,\"){0,60}",
            cuts in prop::collection::vec(1_usize..9, 1..80),
        ) {
            let text = text.as_bytes();
            let ends = |steps: &[usize]| {
                let mut scan = RecordScan::new(DIALECT, 0);
                let (mut ends, mut have) = (Vec::new(), 0);
                let mut steps = steps.iter().cycle();
                loop {
                    match scan.next(&text[..have], have == text.len()) {
                        Scanned::End(next) => ends.push(next),
                        _ if have == text.len() => return ends,
                        _ => have = (have + steps.next().unwrap()).min(text.len()),
                    }
                }
            };
            prop_assert_eq!(ends(&cuts), ends(&[text.len().max(1)]));
        }
    }

    #[test]
    fn equal_bytes_has_no_false_hit() {
        for byte in 0..=255_u8 {
            for other in 0..=255_u8 {
                let word = u64::from_le_bytes([other, byte, other, 0, 1, other, 0x80, 0xff]);
                let want = word.to_le_bytes().map(|b| if b == byte { 0x80 } else { 0 });
                assert_eq!(equal_bytes(word, byte), u64::from_le_bytes(want));
            }
        }
    }

    #[test]
    fn text_after_a_closing_quote_is_seen() {
        let mut fields = Fields::default();
        fields.split_quoted(br#""a"b,"c" ,d"e"#, DIALECT, 9);
        assert!(fields.bad_quote);
        assert_eq!(fields.len(), 3);
        fields.split_quoted(br#"a,"c" ,d"e"#, DIALECT, 9);
        assert!(!fields.bad_quote, "a space, or a quote in the middle, harms nobody");
    }

    #[test]
    fn fields_beyond_the_limit_are_not_stored() {
        let mut fields = Fields::default();
        let line = [b",".repeat(5_000), b"\nx".to_vec()].concat();
        assert_eq!(fields.split_line(&line, 0, b',', 10), 5_000);
        assert_eq!(fields.len(), 12);
        fields.split_quoted(&line[..5_000], DIALECT, 10);
        assert_eq!(fields.len(), 11);
    }
}
