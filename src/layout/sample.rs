//! The first records of a text, split just well enough to try layouts on them. Not a decoder: it
//! sees at most the sample, keeps no positions for rejects and never fails.

/// The head of a text, without byte order mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    /// The bytes.
    pub(super) bytes: &'a [u8],
    /// Whether they are the whole file.
    pub(super) whole: bool,
}

/// One physical line, or the lines of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its ordinal, from 0; of several lines that of the last one.
    pub(super) at: usize,
    /// Offset of its first byte.
    pub(super) start: usize,
    /// Its bytes without line end.
    pub(super) bytes: &'a [u8],
    /// Offset of the line after it.
    pub(super) next: usize,
}

/// One record of the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Physical line on which it starts, from 1.
    pub(super) line: usize,
    /// Its fields, unquoted and trimmed; bytes that are no UTF-8 are replaced.
    pub(super) fields: Vec<String>,
}

impl<'a> Text<'a> {
    /// The complete lines. A last line that the sample cuts off is left out.
    pub(super) fn lines(self) -> impl Iterator<Item = Line<'a>> {
        let mut start = 0;
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty())?;
            let (len, next) = match memchr::memchr(b'\n', rest) {
                Some(end) => (end, start + end + 1),
                None if self.whole => (rest.len(), self.bytes.len()),
                None => return None,
            };
            let bytes = rest[..len].strip_suffix(b"\r").unwrap_or(&rest[..len]);
            let line = Line { at, start, bytes, next };
            (start, at) = (next, at + 1);
            Some(line)
        })
    }

    /// The record that begins with `line`: more than the line where a quote is open at its end. A
    /// record that the sample cuts off is none.
    pub(super) fn record_at(
        self,
        line: Line<'a>,
        (delimiter, quote): (u8, u8),
    ) -> Option<Line<'a>> {
        let rest = &self.bytes[line.start..];
        let mut splitter = Splitter { delimiter, quote, rest, line: line.at };
        let (_, ended) = splitter.next_record()?;
        let len = rest.len() - splitter.rest.len();
        let content = rest[..len].strip_suffix(b"\n").unwrap_or(&rest[..len]);
        let bytes = content.strip_suffix(b"\r").unwrap_or(content);
        let at = line.at + bytes.iter().filter(|byte| **byte == b'\n').count();
        (ended || self.whole).then_some(Line {
            at,
            start: line.start,
            bytes,
            next: line.start + len,
        })
    }

    /// Up to `max` records from byte `start`, which is on physical line `line` (from 1). Blank
    /// lines are no records; a last record that the sample cuts off is left out.
    pub(super) fn records(
        self,
        start: usize,
        line: usize,
        (delimiter, quote): (u8, u8),
        max: usize,
    ) -> Vec<Record> {
        let mut splitter = Splitter { delimiter, quote, rest: &self.bytes[start..], line };
        let mut records = Vec::new();
        while records.len() < max
            && let Some((record, ended)) = splitter.next_record()
        {
            if !ended && !self.whole {
                break;
            }
            if record.fields.len() > 1 || record.fields.iter().any(|field| !field.is_empty()) {
                records.push(record);
            }
        }
        records
    }
}

/// The fields of one line.
pub(super) fn split_line(bytes: &[u8], delimiter: u8, quote: u8) -> Vec<String> {
    let mut splitter = Splitter { delimiter, quote, rest: bytes, line: 1 };
    splitter.next_record().map_or_else(Vec::new, |(record, _)| record.fields)
}

struct Splitter<'a> {
    delimiter: u8,
    quote: u8,
    rest: &'a [u8],
    line: usize,
}

impl Splitter<'_> {
    /// The next record, and whether a line end closed it.
    fn next_record(&mut self) -> Option<(Record, bool)> {
        if self.rest.is_empty() {
            return None;
        }
        let first_line = self.line;
        let mut fields = Vec::new();
        let mut field = Vec::new();
        let (mut quoted, mut opened, mut at) = (false, false, 0);
        let mut ended = false;
        while let Some(&byte) = self.rest.get(at) {
            at += 1;
            self.line += usize::from(byte == b'\n');
            if quoted {
                if byte != self.quote {
                    field.push(byte);
                } else if self.rest.get(at) == Some(&self.quote) {
                    field.push(byte);
                    at += 1;
                } else {
                    quoted = false;
                }
            } else if byte == self.quote && field.is_empty() && !opened {
                (quoted, opened) = (true, true);
            } else if byte == self.delimiter {
                fields.push(text(&field));
                field.clear();
                opened = false;
            } else if byte == b'\n' {
                ended = true;
                break;
            } else {
                field.push(byte);
            }
        }
        self.rest = &self.rest[at..];
        fields.push(text(&field));
        Some((Record { line: first_line, fields }, ended))
    }
}

/// Trimming also takes the carriage return before a line end.
fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, whole: bool) -> Vec<Vec<String>> {
        let text = Text { bytes: text.as_bytes(), whole };
        text.records(0, 1, (b',', b'"'), 20).into_iter().map(|record| record.fields).collect()
    }

    #[test]
    fn records_are_split_as_csv() {
        assert_eq!(
            rows("a,\"b,\"\"c\nd\",e\r\n\r\nf\n", false),
            [vec!["a", "b,\"c\nd", "e"], vec!["f"]]
        );
    }

    #[test]
    fn a_record_takes_the_lines_that_its_quotes_hold() {
        let text = Text { bytes: b"x\na,\"b\n\nc\",d\r\n1,2,3\n\"e\nf", whole: false };
        let at = |n: usize| text.lines().nth(n).and_then(|l| text.record_at(l, (b',', b'"')));
        let taken = |n: usize| at(n).map(|line| (line.at, line.bytes, line.next));
        assert_eq!(taken(0), Some((0, &b"x"[..], 2)));
        assert_eq!(taken(1), Some((3, &b"a,\"b\n\nc\",d"[..], 14)));
        assert_eq!(taken(4), Some((4, &b"1,2,3"[..], 20)));
        assert_eq!(taken(5), None, "the sample ends in it");
    }

    #[test]
    fn a_record_that_the_sample_cuts_off_is_left_out() {
        assert_eq!(rows("a,b\nc,d", false), [["a", "b"]]);
        assert_eq!(rows("a,b\nc,d", true), [["a", "b"], ["c", "d"]]);
    }

    #[test]
    fn lines_know_their_place() {
        let text = Text { bytes: b"a\r\n\nb", whole: true };
        let lines: Vec<_> = text.lines().map(|line| (line.at, line.bytes, line.next)).collect();
        assert_eq!(lines, [(0, &b"a"[..], 3), (1, &b""[..], 4), (2, &b"b"[..], 5)]);
        assert_eq!(Text { whole: false, ..text }.lines().count(), 2);
    }

    #[test]
    fn records_know_their_line() {
        let text = Text { bytes: b"\"a\nb\"\nc\n", whole: true };
        let lines: Vec<usize> =
            text.records(0, 1, (b',', b'"'), 9).iter().map(|record| record.line).collect();
        assert_eq!(lines, [1, 3]);
    }
}
