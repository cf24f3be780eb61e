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
    let mapping = Mapping { from_us: Some(day), to_us: Some(day + 86_400_000_000), ..mapping() };
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
    let prices =
        prices.map(|(at, name)| column(name, FieldSource::Field(at + 2), ValueKind::Float, false));
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
        let mut decoder = TextDecoder::new(&mapping(), &shape).unwrap();
        let decoded = decoder.decode(&Chunk { bytes: text.to_vec() }, true);
        if matches!(decoded, Err(DecodeError::OtherHeader { .. })) {
            return Ok(());
        }
        let decoded = decoded.unwrap();
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

    /// Taken together or one by one (a window that leaves nothing out sees to that): the same
    /// rows, words, places and rejects.
    #[test]
    fn lines_taken_together_are_those_taken_one_by_one(
        lines in prop::collection::vec(
            prop_oneof![
                60 => "[A-F],2024-01-0[1-9],[0-9]{1,3}(\\.[0-9]{1,4})?,([0-9]{0,5})",
                1 => "bad[A-F],2024-01-01,x,1|only[A-F],2024-01-01,,1|A,no time,1,1",
                1 => "symbol,ts,close,volume|  |symbol,2024-01-01,1,1|A,2024-01-02,1|,,,,,|A,B",
                1 => "A,2024-01-02,1,1,|A,2024-01-02,1,null\r| A ,2024-01-02, 1 ,null",
            ],
            0..400,
        ),
        end in "\n|",
    ) {
        let text = lines.join("\n") + &end;
        let one_by_one = Mapping { from_us: Some(i64::MIN), ..mapping() };
        let together = decode_as(text.as_bytes(), &mapping(), &shape());
        let apart = decode_as(text.as_bytes(), &one_by_one, &shape());
        prop_assert_eq!(&together.root, &apart.root);
        let words = |decoded: &Decoded| {
            decoded.root.column(0).as_dictionary::<Int32Type>().values().to_data()
        };
        prop_assert_eq!(words(&together), words(&apart));
        prop_assert_eq!(&together.places, &apart.places);
        prop_assert_eq!((together.lines, together.skipped), (apart.lines, apart.skipped));
        prop_assert_eq!(
            rejects_of(&together, text.as_bytes()),
            rejects_of(&apart, text.as_bytes())
        );
    }
}
