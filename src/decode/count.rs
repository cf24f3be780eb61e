//! An independent count of a text source's records, for `--verify`: written with the `csv` crate,
//! sharing no code with the decoder, so that a fault in one shows as a difference.
//!
//! It counts what the decoder calls a record: not blank lines, not repeats of the header, and one
//! for a record of more than [`RECORD_BYTES_MAX`], which ends with the next line end after that.

use std::io::{self, BufRead, BufReader, Read};

use csv::{ByteRecord, ReaderBuilder, Terminator};

use crate::limit::{MIB, RECORD_BYTES_MAX};
use crate::mapping::TextShape;

/// Bytes that are looked at together: more than the longest record.
const WINDOW_BYTES: usize = RECORD_BYTES_MAX + 4 * MIB;

/// Records of a text source, after its head lines. Holds at most some 40 MiB at once.
///
/// # Errors
/// Those of `source`.
pub fn count_records<R: Read>(source: R, shape: &TextShape) -> io::Result<u64> {
    let mut source = BufReader::new(source);
    for _ in 0..shape.head_lines {
        skip_line(&mut source)?;
    }
    let mut counter = Counter::new(shape)?;
    let mut window = Vec::new();
    let mut head = shape.head_lines == 0;
    loop {
        let room = WINDOW_BYTES - window.len();
        source.by_ref().take(room as u64).read_to_end(&mut window)?;
        let eof = window.len() < WINDOW_BYTES;
        if std::mem::take(&mut head) && window.starts_with(b"\xef\xbb\xbf") {
            window.drain(..3);
        }
        let used = counter.count(&window, eof)?;
        match used {
            Used::All => return Ok(counter.records),
            Used::Bytes(len) => {
                window.drain(..len);
            }
            Used::TooLong => {
                window.drain(..=RECORD_BYTES_MAX);
                match window.iter().position(|byte| *byte == b'\n') {
                    Some(end) => {
                        window.drain(..=end);
                    }
                    None => {
                        window.clear();
                        skip_line(&mut source)?;
                    }
                }
            }
        }
    }
}

/// What became of a window.
enum Used {
    /// Everything was counted, and the source ends with it.
    All,
    /// So many bytes were counted; a record that may go on starts there.
    Bytes(usize),
    /// The record at the window's first byte is too long, and was counted.
    TooLong,
}

struct Counter {
    builder: ReaderBuilder,
    header: Option<ByteRecord>,
    records: u64,
}

impl Counter {
    fn new(shape: &TextShape) -> io::Result<Self> {
        let mut builder = ReaderBuilder::new();
        builder
            .delimiter(shape.delimiter)
            .quote(shape.quote)
            .terminator(Terminator::Any(b'\n'))
            .has_headers(false)
            .flexible(true);
        let mut header = ByteRecord::new();
        let found = builder
            .from_reader(shape.header_bytes.as_slice())
            .read_byte_record(&mut header)
            .map_err(io::Error::from)?;
        let header = found.then(|| without_cr(&header));
        Ok(Self { builder, header, records: 0 })
    }

    fn count(&mut self, window: &[u8], eof: bool) -> io::Result<Used> {
        // The reader would drop a byte order mark at its start, and only that of the file is none
        // of a record's bytes.
        let lead: &[u8] = if window.starts_with(b"\xef\xbb\xbf") { b"\n" } else { b"" };
        let mut reader = self.builder.from_reader(lead.chain(window));
        let mut record = ByteRecord::new();
        let mut start = 0;
        loop {
            // The reader steps over empty lines before a record.
            start += window[start..].iter().take_while(|byte| **byte == b'\n').count();
            let found = reader.read_byte_record(&mut record).map_err(io::Error::from)?;
            let end = (reader.position().byte() as usize).saturating_sub(lead.len());
            let length = end - start - usize::from(end > start && window[end - 1] == b'\n');
            if length > RECORD_BYTES_MAX {
                if start > 0 {
                    return Ok(Used::Bytes(start));
                }
                self.records += 1;
                return Ok(Used::TooLong);
            }
            if !eof && end == window.len() {
                return Ok(Used::Bytes(start));
            }
            if !found {
                return Ok(Used::All);
            }
            self.records += u64::from(self.is_record(&record));
            start = end;
        }
    }

    fn is_record(&self, record: &ByteRecord) -> bool {
        let blank = |field: &[u8]| field.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
        if record.len() == 1 && blank(&record[0]) {
            return false;
        }
        match &self.header {
            Some(header) if header.get(0) == record.get(0) => *header != without_cr(record),
            Some(header) if header.len() == 1 => *header != without_cr(record),
            _ => true,
        }
    }
}

/// The record without the CRs of its line end.
fn without_cr(record: &ByteRecord) -> ByteRecord {
    let last = record.len().saturating_sub(1);
    let fields = record.iter().enumerate().map(|(at, field)| match at == last {
        true => &field[..field.len() - field.iter().rev().take_while(|b| **b == b'\r').count()],
        false => field,
    });
    fields.collect()
}

fn skip_line(source: &mut impl BufRead) -> io::Result<()> {
    // Not `read_until`, which would keep the line: it may be the whole file.
    loop {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        match bytes.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                source.consume(end + 1);
                return Ok(());
            }
            None => {
                let len = bytes.len();
                source.consume(len);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(head_lines: usize, header: &[u8]) -> TextShape {
        TextShape {
            delimiter: b',',
            quote: b'"',
            head_lines,
            header: None,
            header_bytes: header.to_vec(),
            fields_min: 1,
            fields_max: 9,
            nulls: Vec::new(),
        }
    }

    #[test]
    fn blank_lines_and_repeated_headers_are_no_records() {
        let head = "\u{feff}# note \"\nts,close\r\n";
        let rest = "1,2\r\n\r\n  \n\nts,close\r\n\"3\n\",4\n\"ts\",close\n\"\"\n5,6";
        let text = [head, rest].concat();
        assert_eq!(count_records(text.as_bytes(), &shape(2, b"ts,close")).unwrap(), 3);
        assert_eq!(count_records(&b""[..], &shape(0, b"")).unwrap(), 0);
        assert_eq!(count_records(&b"a\r\na\r\nb"[..], &shape(0, b"a")).unwrap(), 1);
    }

    #[test]
    fn a_byte_order_mark_behind_the_head_is_of_a_record() {
        let text = &b"\n\xef\xbb\xbf\r\n\n\xb4\n\x0b"[..];
        assert_eq!(count_records(text, &shape(1, b"ts,close")).unwrap(), 3);
        let twice = &b"\xef\xbb\xbf\xef\xbb\xbf\r\na\n"[..];
        assert_eq!(count_records(twice, &shape(0, b"")).unwrap(), 2);
    }

    #[test]
    fn windows_lose_no_record() {
        let line = b"2024-01-02,1.5,\"two\nlines\"\r\n";
        let lines = 2 * WINDOW_BYTES / line.len() + 7;
        let text = line.repeat(lines);
        assert_eq!(count_records(text.as_slice(), &shape(0, b"")).unwrap(), lines as u64);
    }

    #[test]
    fn a_quote_that_is_never_closed_swallows_no_more_than_the_longest_record() {
        let mut text = b"1,2\n\"open,2\n".to_vec();
        let line = b"0123456789abcde\n";
        text.extend(line.repeat(2 * RECORD_BYTES_MAX / line.len()));
        let rest = text.len() - 4 - (RECORD_BYTES_MAX + 1);
        // The record ends with the line in which the limit falls.
        let want = 2 + (rest / line.len()) as u64;
        assert_eq!(count_records(text.as_slice(), &shape(0, b"")).unwrap(), want);
    }
}
