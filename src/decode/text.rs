//! Delimited text: a chunk becomes a batch.
//!
//! A chunk without a quote byte takes the fast path: fields are split with word-wide compares and
//! parsed in place. Any other is cut into records by the state machine of [`super::record`], and
//! only records that hold a quote are copied to take their quotes off. Both give the same fields.
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
use super::number::trim;
use super::record::{Dialect, Fields, RecordScan, Scanned, content_end};
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
}

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
            header,
        };
        let rows = Rows::new(mapping, &shape.nulls, fields_max)?;
        Ok(Self { frame, rows, fields: Fields::default() })
    }

    /// Decodes a chunk, of at most a few times [`RECORD_BYTES_MAX`]. `first` says that it starts
    /// its source: a byte order mark and the head lines are stepped over then.
    ///
    /// # Errors
    /// Only if Arrow refuses the arrays, which would be a fault of this program.
    pub fn decode(&mut self, chunk: &Chunk, first: bool) -> Result<Decoded, DecodeError> {
        let bytes = chunk.bytes.as_slice();
        let (start, line) = if first { self.frame.skip_head(bytes) } else { (0, 0) };
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
        let mut at = start;
        while at < bytes.len() {
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
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int32Type, TimestampMicrosecondType};
    use proptest::prelude::*;

    use super::*;
    use crate::batch::{Original, Reject};
    use crate::decode::{Cut, Cutter, count_records};
    use crate::limit::REJECT_RAW_BYTES_MAX;
    use crate::mapping::{
        FieldSource, MappedColumn, Quirks, Rewrite, TimeFormat, TimeRule, ValueKind, Zone,
    };

    fn column(name: &str, source: FieldSource, kind: ValueKind, required: bool) -> MappedColumn {
        let time = (kind == ValueKind::Time).then_some(TimeRule::new(TimeFormat::Auto, Zone::UTC));
        MappedColumn { name: name.to_owned(), source, kind, rewrite: None, time, required }
    }

    fn mapping() -> Mapping {
        Mapping {
            dataset: "bars".to_owned(),
            columns: vec![
                column("symbol", FieldSource::Field(0), ValueKind::Word, true),
                column("interval", FieldSource::Constant("1m".into()), ValueKind::Word, true),
                column("ts", FieldSource::Field(1), ValueKind::Time, true),
                column("close", FieldSource::Field(2), ValueKind::Float, true),
                column("volume", FieldSource::Field(3), ValueKind::Float, false),
            ],
            time_column: Some(2),
            from_us: None,
            to_us: None,
            quirks: Quirks::default(),
            nulls: Vec::new(),
        }
    }

    fn shape() -> TextShape {
        TextShape {
            delimiter: b',',
            quote: b'"',
            head_lines: 1,
            header: None,
            header_bytes: b"symbol,ts,close,volume".to_vec(),
            fields_min: 3,
            fields_max: 4,
            nulls: vec![b"null".to_vec()],
        }
    }

    fn decode_as(text: &[u8], mapping: &Mapping, shape: &TextShape) -> Decoded {
        let mut decoder = TextDecoder::new(mapping, shape).unwrap();
        decoder.decode(&Chunk { bytes: text.to_vec() }, true).unwrap()
    }

    fn decode(text: &[u8]) -> Decoded {
        decode_as(text, &mapping(), &shape())
    }

    fn rejects_of(decoded: &Decoded, text: &[u8]) -> Vec<Reject> {
        let original = Original::Text(Arc::new(Chunk { bytes: text.to_vec() }));
        decoded.rejects.iter(&original).collect()
    }

    fn rules(decoded: &Decoded) -> Vec<(u32, u32, String)> {
        let rejects = decoded.rejects.iter(&Original::Columns);
        rejects.map(|reject| (reject.row, reject.line, reject.rule.to_string())).collect()
    }

    fn symbols(decoded: &Decoded) -> Vec<String> {
        let words = decoded.root.column(0).as_dictionary::<Int32Type>();
        let values = words.values().as_string::<i32>();
        words.keys().iter().flatten().map(|key| values.value(key as usize).to_owned()).collect()
    }

    const HEAD: &str = "symbol,ts,close,volume\n";

    #[test]
    fn a_plain_chunk_becomes_a_batch() {
        let text = format!(
            "\u{feff}{HEAD}A,2024-01-02T00:00:00Z,1.5,10\r\nB,2024-01-02T00:01:00Z,2,\n\n  \r\n\
             {HEAD}A,2024-01-02 00:02:00,3"
        );
        let decoded = decode(text.as_bytes());
        assert_eq!(rules(&decoded), []);
        assert_eq!((decoded.lines, decoded.read(), decoded.skipped), (7, 3, 0));
        assert_eq!(symbols(&decoded), ["A", "B", "A"]);
        let root = &decoded.root;
        assert_eq!(root.schema().field(1).name(), "interval");
        assert_eq!(root.column(1).len(), 3);
        let ts = root.column(2).as_primitive::<TimestampMicrosecondType>();
        assert_eq!(ts.value(2) - ts.value(0), 120_000_000);
        assert_eq!(root.column(3).as_primitive::<Float64Type>().values()[..], [1.5, 2.0, 3.0]);
        assert_eq!(root.column(4).null_count(), 2);
        for place in &decoded.places {
            let raw = &text.as_bytes()[place.offset as usize..][..place.len as usize];
            assert!(raw.starts_with(b"A,") || raw.starts_with(b"B,"));
            assert!(!raw.ends_with(b"\r"));
        }
        let places: Vec<_> = decoded.places.iter().map(|place| (place.row, place.line)).collect();
        assert_eq!(places, [(0, 1), (1, 2), (2, 6)]);
    }

    #[test]
    fn each_fault_has_its_rule_and_leaves_no_trace() {
        let good = "A,2024-01-02T00:00:00Z,1,1\n";
        let cases: [(&[u8], &str); 18] = [
            (b"A,2024-01-02\n", "too_few_fields"),
            (b"A,2024-01-02,1,1,1\n", "too_many_fields"),
            (b"X\0,2024-01-02,1,1\n", "nul_byte"),
            (b"X\xff,2024-01-02,1,1\n", "invalid_utf8"),
            (b",2024-01-02,1,1\n", "null_value"),
            (b"  ,2024-01-02,1,1\n", "null_value"),
            (b"X,2024-01-02,null,1\n", "null_value"),
            (b"X,yesterday,1,1\n", "bad_time"),
            (b"X,2024-02-30,1,1\n", "out_of_range"),
            (b"X,2024-01-02T00:00:00.0000001Z,1,1\n", "sub_microsecond"),
            (b"X,2024-01-02,one,1\n", "bad_number"),
            (b"X,2024-01-02,NaN,1\n", "not_finite"),
            (b"X,2024-01-02,1e999,1\n", "out_of_range"),
            (b"X,yesterday,one,1\n", "bad_time"),
            (b"X,2024-01-02,1,\"2\"2\n", "bad_quote"),
            (b"\"X\"\"\",2024-01-02,one,1\n", "bad_number"),
            (b"X,\"2024-01-02\n\",1,two\n", "bad_time"),
            (b"\"X,2024-01-02,1,1\nmore,of,it\n", "unterminated_quote"),
        ];
        for (bad, rule) in cases {
            let last = rule == "unterminated_quote";
            let tail = if last { "" } else { good };
            let text = [HEAD.as_bytes(), good.as_bytes(), bad, tail.as_bytes()].concat();
            let decoded = decode(&text);
            let shown = String::from_utf8_lossy(bad);
            assert_eq!(rules(&decoded), [(1, 2, rule.to_owned())], "{shown}");
            assert!(symbols(&decoded).iter().all(|symbol| symbol == "A"), "{shown}");
            let words = decoded.root.column(0).as_dictionary::<Int32Type>();
            assert_eq!(words.values().len(), 1, "{shown}: a rejected word stays behind");
            assert_eq!(decoded.read(), 3 - u64::from(last), "{shown}");
            let reject = &rejects_of(&decoded, &text)[0];
            let want = if last { bad } else { bad.strip_suffix(b"\n").unwrap() };
            assert_eq!((reject.offset, reject.len), (50, want.len() as u64), "{shown}");
            assert_eq!(reject.raw, want, "{shown}");
            let lines = 1 + [good.as_bytes(), bad, tail.as_bytes()]
                .concat()
                .iter()
                .filter(|byte| **byte == b'\n')
                .count() as u64;
            assert_eq!(decoded.lines, lines, "{shown}");
        }
    }

    #[test]
    fn a_reason_names_the_column_and_shows_the_value() {
        let decoded = decode(format!("{HEAD}A,2024-01-02,1.x,1\n").as_bytes());
        let reject = &rejects_of(&decoded, b"")[0];
        assert_eq!(reject.column.as_deref(), Some("close"));
        assert_eq!(reject.reason, r#"column close: "1.x" is not a number"#);
    }

    #[test]
    fn tickers_that_look_like_nulls_are_tickers() {
        let shape = TextShape { nulls: vec![b"NA".to_vec(), b"NULL".to_vec()], ..shape() };
        let text = format!("{HEAD}NA,2024-01-02,1,NA\nNULL,2024-01-02,1,1\n");
        let decoded = decode_as(text.as_bytes(), &mapping(), &shape);
        assert_eq!(symbols(&decoded), ["NA", "NULL"]);
        assert_eq!(decoded.root.column(4).null_count(), 1);
    }

    #[test]
    fn rows_outside_the_window_are_skipped_unless_their_time_is_unreadable() {
        let day = 1_704_153_600_000_000; // 2024-01-02
        let mapping =
            Mapping { from_us: Some(day), to_us: Some(day + 86_400_000_000), ..mapping() };
        let text = format!(
            "{HEAD}A,2024-01-01T23:59:59.999999Z,1,1\nB,2024-01-02,1,1\nC,2024-01-03,1,1\n\
             D,2024-01-05,bad,1\nE,bad,1,1\nF,2024-01-02,bad,1\n"
        );
        let decoded = decode_as(text.as_bytes(), &mapping, &shape());
        assert_eq!(symbols(&decoded), ["B"]);
        assert_eq!(decoded.root.column(0).as_dictionary::<Int32Type>().values().len(), 1);
        assert_eq!(decoded.skipped, 3);
        let want = [(4, 5, "bad_time".to_owned()), (5, 6, "bad_number".to_owned())];
        assert_eq!(rules(&decoded), want);
        assert_eq!(decoded.places[0].row, 1);
    }

    #[test]
    fn joined_fields_are_one_time() {
        let mut mapping = mapping();
        mapping.columns[2].source = FieldSource::Joined(1, 3);
        let pattern = TimeFormat::parse("%Y.%m.%d %H:%M").unwrap();
        mapping.columns[2].time = Some(TimeRule::new(pattern, Zone::Fixed(3_600)));
        mapping.columns.pop();
        let text = format!("{HEAD}A,2013.11.29,1, 12:00 \nB,2013.11.29,1,\n");
        let decoded = decode_as(text.as_bytes(), &mapping, &shape());
        let ts = decoded.root.column(2).as_primitive::<TimestampMicrosecondType>();
        assert_eq!(ts.value(0), 1_385_722_800_000_000);
        assert_eq!(
            rejects_of(&decoded, b"")[0].reason.split(" is ").next(),
            Some("column ts: \"2013.11.29\"")
        );
    }

    #[test]
    fn constants_are_checked_once() {
        let mut mapping = mapping();
        mapping.columns[3].source = FieldSource::Constant("one".into());
        let error = TextDecoder::new(&mapping, &shape()).unwrap_err().to_string();
        assert!(error.contains("column close") && error.contains("not a number"), "{error}");
        mapping.columns[3].source = FieldSource::Constant(" ".into());
        assert!(TextDecoder::new(&mapping, &shape()).is_err(), "required");
        mapping.columns[3].source = FieldSource::Constant("2.5".into());
        let mut decoder = TextDecoder::new(&mapping, &shape()).unwrap();
        for rows in [2, 3, 1, 0] {
            let text = "A,2024-01-02,x\n".repeat(rows);
            let decoded = decoder.decode(&Chunk { bytes: text.into_bytes() }, false).unwrap();
            assert_eq!(decoded.root.num_rows(), rows);
            let close = decoded.root.column(3).as_primitive::<Float64Type>();
            assert!(close.values().iter().all(|value| *value == 2.5));
            let interval = decoded.root.column(1).as_dictionary::<Int32Type>();
            assert_eq!(interval.values().len(), 1);
        }
    }

    #[test]
    fn fixed_point_prices_and_words_are_put_right() {
        let mut mapping = mapping();
        let nano = Rewrite::Number { comma: false, scale: 9, thousands: None };
        mapping.columns[3].rewrite = Some(nano);
        mapping.columns[1].source = FieldSource::Field(3);
        mapping.columns[1].rewrite = Some(Rewrite::Words(vec![("33".to_owned(), "1m".to_owned())]));
        let null = b"9223372036854775807".to_vec();
        let shape = TextShape { nulls: vec![null], head_lines: 0, ..shape() };
        let text = "A,2024-01-02,368200000000000,33\nA,2024-01-02,1.5,33\n\
                    A,2024-01-02,9223372036854775807,33\nA,2024-01-02,-25,34\n";
        let decoded = decode_as(text.as_bytes(), &mapping, &shape);
        let close = decoded.root.column(3).as_primitive::<Float64Type>();
        assert_eq!(close.values().to_vec(), [368_200.0, -0.000_000_025]);
        let words = decoded.root.column(1).as_dictionary::<Int32Type>();
        let words = words.values().as_string::<i32>();
        assert_eq!(words.iter().flatten().collect::<Vec<_>>(), ["1m", "34"]);
        let names: Vec<_> = rules(&decoded).into_iter().map(|(row, _, rule)| (row, rule)).collect();
        assert_eq!(names, [(1, "bad_number".to_owned()), (2, "null_value".to_owned())]);
        let reject = &rejects_of(&decoded, text.as_bytes())[0];
        assert_eq!(reject.column.as_deref(), Some("close"));
        assert_eq!(reject.reason, "column close: \"1.5\" is not a number");
    }

    #[test]
    fn idle_records_are_skipped_and_settlements_keep_their_close() {
        let mut mapping = mapping();
        let prices = ["open", "high", "low"].into_iter().enumerate();
        let prices = prices
            .map(|(at, name)| column(name, FieldSource::Field(at + 2), ValueKind::Float, false));
        mapping.columns.splice(3..3, prices);
        mapping.columns[6].source = FieldSource::Field(5);
        mapping.columns.truncate(7);
        let shape = TextShape { head_lines: 0, fields_min: 6, fields_max: 6, ..shape() };
        let text = "A,2024-01-02,1,2,0.5,1.5\nA,2024-01-03,null,,null,null\n\
                    A,2024-01-04,0,0,0.0,97.95,\nA,2024-01-05,1,null,null,null\n";
        let plain = decode_as(text.as_bytes(), &mapping, &shape);
        assert_eq!((plain.root.num_rows(), plain.rejects.len(), plain.skipped), (2, 2, 0));
        assert_eq!(plain.root.column(3).null_count(), 0);
        mapping.quirks = Quirks { idle_skipped: true, zero_untraded: true, ..Quirks::default() };
        let decoded = decode_as(text.as_bytes(), &mapping, &shape);
        assert_eq!((decoded.root.num_rows(), decoded.skipped, decoded.read()), (2, 1, 4));
        assert_eq!(rules(&decoded), [(3, 3, "null_value".to_owned())]);
        for at in 3..6 {
            assert!(decoded.root.column(at).is_null(1) && decoded.root.column(at).is_valid(0));
        }
        assert!(decoded.root.column(6).is_valid(1));
    }

    #[test]
    fn a_delimiter_at_the_end_is_no_field_more() {
        let text = format!("{HEAD}A,2024-01-02,1,1,\nB,2024-01-02,1,1,x\nC,2024-01-02,1,1,,\n");
        let decoded = decode(text.as_bytes());
        assert_eq!(symbols(&decoded), ["A"]);
        let rule = || "too_many_fields".to_owned();
        assert_eq!(rules(&decoded), [(1, 2, rule()), (2, 3, rule())]);
    }

    #[test]
    fn mappings_that_cannot_work_are_refused() {
        let mut wrong = mapping();
        wrong.columns[4].source = FieldSource::Field(4);
        let error = TextDecoder::new(&wrong, &shape()).unwrap_err().to_string();
        assert!(error.contains("column volume is read from field 5"), "{error}");
        let mut wrong = mapping();
        wrong.columns[2].time = None;
        assert!(matches!(TextDecoder::new(&wrong, &shape()), Err(DecodeError::NoTimeRule { .. })));
    }

    #[test]
    fn a_record_that_is_too_long_is_one_reject_and_its_neighbours_load() {
        for quote in ["", "\""] {
            let mut text = format!("{HEAD}A,2024-01-02,1,1\nB,{quote}").into_bytes();
            let from = text.len() - 2 - quote.len();
            text.resize(text.len() + RECORD_BYTES_MAX + 5_000, b'x');
            text.extend_from_slice(b"\nC,2024-01-02,1,1\n");
            let whole = decode(&text);
            assert_eq!(rules(&whole), [(1, 2, "record_too_long".to_owned())]);
            assert_eq!(symbols(&whole), ["A", "C"]);
            assert_eq!(rejects_of(&whole, &text)[0].raw.len(), REJECT_RAW_BYTES_MAX);

            let mut cutter = Cutter::new(&shape(), 0);
            let Cut::TooLong(kept) = cutter.cut(&text, true) else { panic!("too long") };
            let dropped = cutter.drop_line(&text[kept..]).unwrap();
            let mut cut = decode(&text[..kept]);
            cut.add_dropped(dropped as u64);
            assert_eq!(rules(&cut), rules(&whole));
            let reject = &rejects_of(&cut, &text)[0];
            assert_eq!(reject.offset, from as u64);
            assert_eq!(reject.offset + reject.len, (kept + dropped) as u64);
            assert_eq!(cut.lines, 3);
            assert_eq!(&text[kept + dropped..], b"C,2024-01-02,1,1\n");
        }
    }

    #[test]
    fn empty_and_header_only_sources_have_no_records() {
        for text in ["", "\u{feff}", "symbol,ts,close,volume", HEAD, "\n\n\n"] {
            let decoded = decode(text.as_bytes());
            assert_eq!((decoded.read(), decoded.root.num_rows()), (0, 0), "{text:?}");
        }
    }

    /// Every text file below the folder.
    fn text_files(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                text_files(&path, files);
            } else if path.extension().is_some_and(|ending| ending == "csv" || ending == "txt") {
                files.push(path);
            }
        }
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
    fn real_files_are_counted_the_same_by_both_counters() {
        let Some(folder) = std::env::var_os("TIDEGATE_REAL_DATA") else {
            eprintln!("TIDEGATE_REAL_DATA is not set: real text files were not read");
            return;
        };
        let mut files = Vec::new();
        text_files(folder.as_ref(), &mut files);
        let first = column("first", FieldSource::Field(0), ValueKind::Text, false);
        let mapping = Mapping { columns: vec![first], time_column: None, ..mapping() };
        for delimiter in [b',', b';', b'\t'] {
            let wide = TextShape { delimiter, head_lines: 0, header_bytes: Vec::new(), ..shape() };
            let wide = TextShape { fields_min: 1, fields_max: FIELDS_MAX, ..wide };
            for path in &files {
                let text = std::fs::read(path).unwrap();
                let mut decoder = TextDecoder::new(&mapping, &wide).unwrap();
                let (mut cutter, mut start, mut read) = (Cutter::new(&wide, 0), 0, 0);
                while start < text.len() {
                    let Cut::End(len) = cutter.cut(&text[start..], true) else {
                        panic!("a record that is too long in {}", path.display())
                    };
                    let chunk = Chunk { bytes: text[start..start + len].to_vec() };
                    read += decoder.decode(&chunk, start == 0).unwrap().read();
                    start += len;
                }
                let want = count_records(text.as_slice(), &wide).unwrap();
                assert_eq!(read, want, "{}", path.display());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Whatever the bytes: cut or whole, plain or by scan, and by another counter, the same
        /// records; and each record's range is where it says.
        #[test]
        fn all_ways_agree(
            text in "(A,2024-01-02,1,1|,|\"|\n|\r\n|\r|\t|symbol,ts,close,volume\r?\n| |x|\u{0}|é)\
                     {0,40}",
            head_lines in 0_usize..2,
        ) {
            let text = text.as_bytes();
            let shape = TextShape { head_lines, ..shape() };
            let decoded = decode_as(text, &mapping(), &shape);
            prop_assert_eq!(decoded.read(), count_records(text, &shape).unwrap());
            let lines = text.iter().filter(|byte| **byte == b'\n').count()
                + usize::from(!text.is_empty() && !text.ends_with(b"\n"));
            prop_assert_eq!(decoded.lines, lines as u64);
            let rejects = rejects_of(&decoded, text);
            let mut rows: Vec<_> = rejects.iter().map(|reject| reject.row).collect();
            rows.extend(decoded.places.iter().map(|place| place.row));
            rows.sort_unstable();
            prop_assert!(rows.iter().copied().eq(0..rows.len() as u32));
            for reject in &rejects {
                let range = reject.offset as usize..(reject.offset + reject.len) as usize;
                prop_assert_eq!(&text[range], &reject.raw[..]);
                let before = &text[..reject.offset as usize];
                let line = before.iter().filter(|byte| **byte == b'\n').count();
                prop_assert_eq!(reject.line as usize, line);
            }
        }
    }
}
