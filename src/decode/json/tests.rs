//! Cutter and decoder together, against another parser and against hand-made dirt.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::batch::{Chunk, Original, Reject};
use crate::decode::{Cut, Decoded};
use crate::limit::{RECORD_BYTES_MAX, REJECT_RAW_BYTES_MAX};
use crate::mapping::{
    FieldSource, JsonRecords, JsonShape, MappedColumn, Mapping, Quirks, TimeFormat, TimeRule,
    ValueKind, Zone,
};

fn path(keys: &str) -> Vec<String> {
    keys.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

fn array(keys: &str) -> JsonRecords {
    JsonRecords::Array(path(keys))
}

fn shape_of(records: JsonRecords) -> JsonShape {
    let fields = ["s", "t", "c.usd", "n", "x"].map(path).to_vec();
    JsonShape { records, fields, elements: None, nulls: vec![b"-".to_vec()] }
}

fn column(name: &str, at: usize, kind: ValueKind, required: bool) -> MappedColumn {
    let time = Some(TimeRule::new(TimeFormat::Auto, Zone::UTC));
    let (name, source) = (name.to_owned(), FieldSource::Field(at));
    MappedColumn { name, source, kind, rewrite: None, time, required }
}

fn mapping() -> Mapping {
    Mapping {
        dataset: "bars".to_owned(),
        columns: vec![
            column("symbol", 0, ValueKind::Word, true),
            column("ts", 1, ValueKind::Time, true),
            column("close", 2, ValueKind::Float, true),
            column("count", 3, ValueKind::Integer, false),
            column("extra", 4, ValueKind::Text, false),
        ],
        time_column: Some(1),
        from_us: None,
        to_us: None,
        quirks: Quirks::default(),
        nulls: Vec::new(),
    }
}

/// What a whole source became.
#[derive(Debug, Default)]
struct Loaded {
    symbols: Vec<String>,
    /// Rule, line from 1, and bytes.
    rejects: Vec<(String, u64, Vec<u8>)>,
    reasons: Vec<String>,
    ends: Vec<u64>,
    skipped: u64,
    read: u64,
    last: Option<Decoded>,
}

/// Cuts a source that arrives in pieces of these sizes, and decodes it.
fn load_pieces(text: &[u8], shape: &JsonShape, pieces: &[usize], chunk: u64) -> Loaded {
    let mut cutter = JsonCutter::new(shape, 0).with_chunks_of(chunk);
    let mut decoder = JsonDecoder::new(&mapping(), shape).unwrap();
    let mut pieces = pieces.iter().cycle();
    let (mut loaded, mut start, mut have, mut line) = (Loaded::default(), 0, 0, 1);
    while start < text.len() {
        let (len, mut dropped) = match cutter.cut(&text[start..have], have == text.len()) {
            Cut::NeedMore => {
                assert!(have < text.len(), "more is wanted at the end");
                have = (have + pieces.next().unwrap()).min(text.len());
                continue;
            }
            Cut::End(len) => (len, None),
            Cut::TooLong(len) => (len, Some(0)),
        };
        assert!(len > 0, "a chunk without bytes");
        let bytes = text[start..start + len].to_vec();
        let records = cutter.take_records();
        let piece = JsonPiece { chunk: Arc::new(Chunk { bytes }), records, first: start == 0 };
        let mut decoded = decoder.decode(&piece).unwrap();
        let chunk_start = start as u64;
        start += len;
        while let Some(so_far) = &mut dropped {
            let to = (start + *pieces.next().unwrap()).min(text.len());
            let end = cutter.drop_rest(&text[start..to]);
            let len = end.unwrap_or(to - start);
            (start, *so_far) = (start + len, *so_far + len as u64);
            if end.is_some() || start == text.len() {
                decoded.add_dropped(*so_far);
                break;
            }
        }
        have = have.max(start);
        assert_eq!(cutter.chunk_start(), start as u64);
        loaded.ends.push(start as u64);
        loaded.read += decoded.read();
        loaded.skipped += decoded.skipped;
        let words = decoded.root.column(0).as_dictionary::<Int32Type>();
        let values = words.values().as_string::<i32>();
        let symbols = words.keys().iter().flatten();
        loaded.symbols.extend(symbols.map(|key| values.value(key as usize).to_owned()));
        for place in &decoded.places {
            let raw = &piece.chunk.bytes[place.offset as usize..][..place.len as usize];
            assert!(raw.starts_with(b"{") && raw.ends_with(b"}"));
        }
        for reject in decoded.rejects.iter(&Original::Columns) {
            let from = (chunk_start + reject.offset) as usize;
            let range = from..from + (reject.len as usize).min(reject.raw.len());
            assert_eq!(&text[range], &reject.raw[..]);
            let own = text[..from].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            assert_eq!(line + u64::from(reject.line), own, "the line of a reject");
            loaded.rejects.push((reject.rule.to_string(), own, reject.raw.clone()));
            loaded.reasons.push(reject.reason.clone());
        }
        line += decoded.lines;
        loaded.last = Some(decoded);
    }
    loaded
}

fn load(text: &[u8], records: JsonRecords) -> Loaded {
    load_pieces(text, &shape_of(records), &[1 << 20], 1 << 22)
}

fn rules(loaded: &Loaded) -> Vec<&str> {
    loaded.rejects.iter().map(|(rule, ..)| rule.as_str()).collect()
}

fn good(symbol: &str) -> String {
    format!(r#"{{"s":"{symbol}","t":"2024-01-02T00:00:00Z","c":{{"usd":1.5}},"n":7}}"#)
}

#[test]
fn values_go_to_their_columns_by_the_rules_of_text() {
    let records = [
        concat!(
            r#"{"x":{"a":[1, 2]},"n":"6851.0","c":{"eur":9,"usd":"2.25","z":[]},"#,
            r#""t":1704153600,"s":"A"}"#
        ),
        concat!(
            r#"{"s":"B\u00e9\n","t":"1704153600000","c":{"usd":1e2},"n":null,"#,
            r#""x":"a\"b","y":[{"s":"no"}]}"#
        ),
        r#"{"s":5482,"t":1704153600.5,"c":{"usd":-0},"n":"-","x":true}"#,
        r#"{"t":"2024-01-02","c":{"usd":3},"s":"NA"}"#,
    ];
    let loaded = load(records.join("\n").as_bytes(), JsonRecords::Lines);
    assert_eq!(loaded.rejects, []);
    assert_eq!(loaded.symbols, ["A", "Bé\n", "5482", "NA"]);
    let root = loaded.last.unwrap().root;
    let close = root.column(2).as_primitive::<Float64Type>();
    assert_eq!(close.values()[..], [2.25, 100.0, -0.0, 3.0]);
    let counts: Vec<_> = root.column(3).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(counts, [Some(6851), None, None, None]);
    let extra: Vec<_> = root.column(4).as_string::<i32>().iter().collect();
    assert_eq!(extra, [Some(r#"{"a":[1, 2]}"#), Some("a\"b"), Some("true"), None]);
}

#[test]
fn each_fault_is_one_reject_and_its_neighbours_load() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep = format!(r#"{{"s":"X","t":1704153600,"c":{{"usd":1}},"y":{deep}}}"#);
    let cases: [(&[u8], &str); 21] = [
        (br#"{"s":"X","t":1704153600"#, "invalid_json"),
        (br#"{"s":"X,"t":1704153600,"c":{"usd":1}}"#, "invalid_json"),
        (br#"{"s":"X","t":1704153600,"c":{"usd":1]}"#, "invalid_json"),
        (br#"{"s":"X","t":1704153600,"c":{"usd":1},"s":"Y"}"#, "duplicate_key"),
        (br#"{"s":"X","t":1704153600,"c":{"usd":1},"c":{"usd":2}}"#, "duplicate_key"),
        (br#"{"s":"X","t":1704153600,"c":{"usd":1e400}}"#, "out_of_range"),
        (br#"{"s":"X","t":1704153600,"c":{"usd":1},"n":9223372036854775808}"#, "out_of_range"),
        (br#"{"s":"X","t":1704153600,"c":{"usd":NaN}}"#, "not_finite"),
        (br#"{"s":"\ud800","t":1704153600,"c":{"usd":1}}"#, "lone_surrogate"),
        (br#"{"s":"X\u0000","t":1704153600,"c":{"usd":1}}"#, "nul_byte"),
        (b"{\"s\":\"X\0\",\"t\":1704153600,\"c\":{\"usd\":1}}", "invalid_json"),
        (b"{\"s\":\"X\xff\",\"t\":1704153600,\"c\":{\"usd\":1}}", "invalid_utf8"),
        (br#"{"s":{"a":1},"t":1704153600,"c":{"usd":1}}"#, "nested_value"),
        (br#"{"s":"X","t":1704153600,"c":{"usd":true}}"#, "bad_number"),
        (br#"{"s":"X","t":1704153600,"c":1.5}"#, "null_value"),
        (br#"{"s":"X","t":"yesterday","c":{"usd":1}}"#, "bad_time"),
        (br#"{"s":"X","t":1704153600,"c":{"usd":"-"}}"#, "null_value"),
        (b"null", "no_record"),
        (b"[1,2]", "no_record"),
        (b"<html>", "invalid_json"),
        (deep.as_bytes(), "too_deep"),
    ];
    let (before, after) = (good("A"), good("B"));
    for (bad, rule) in cases {
        let shown = String::from_utf8_lossy(&bad[..bad.len().min(80)]).into_owned();
        let lines = [before.as_bytes(), bad, after.as_bytes(), b""].join(&b'\n');
        let loaded = load(&lines, JsonRecords::Lines);
        assert_eq!(loaded.symbols, ["A", "B"], "{shown}");
        assert_eq!(loaded.rejects, [(rule.to_owned(), 2, bad.to_vec())], "{shown}");

        let rows = [before.as_bytes(), bad, after.as_bytes()].join(&b",\n"[..]);
        let text = [b"{\"data\":[\n", &rows[..], b"\n], \"more\": 1}"].concat();
        let loaded = load(&text, array("data"));
        assert_eq!(loaded.symbols, ["A", "B"], "{shown}");
        assert_eq!(rules(&loaded), [rule], "{shown}");
        let trimmed = loaded.rejects[0].2.strip_suffix(b"}").unwrap_or(&loaded.rejects[0].2);
        assert!(bad.starts_with(trimmed) && loaded.rejects[0].1 == 3, "{shown}");
    }
}

#[test]
fn a_slip_in_a_record_of_several_lines_ends_with_the_record() {
    let record = |s: &str| {
        format!(
            "    {{\n      \"s\": {s},\n      \"t\": 1704153600,\n      \"c\": {{\"usd\": 1}},\n\
                 \x20     \"y\": [\n        {{\"s\": 1}}\n      ]\n    }}"
        )
    };
    for slip in ["\"X", "[\"X\"}", "{\"X\": {\"a\" {}}"] {
        let all = [record("\"A\""), record(slip), record("\"B\""), record("\"C\"")].join(",\n");
        let text = format!("{{\n  \"data\": [\n{all}\n  ],\n  \"n\": 3\n}}\n");
        let loaded = load(text.as_bytes(), array("data"));
        assert_eq!(loaded.symbols, ["A", "B", "C"], "{slip}");
        assert_eq!(rules(&loaded), ["invalid_json"], "{slip}");
        assert_eq!(loaded.rejects[0].2, record(slip).trim().as_bytes());
    }
}

#[test]
fn sources_that_are_cut_off_say_so() {
    let (a, b) = (good("A"), good("B"));
    let cases = [
        (format!("[{a},{b}"), vec!["A", "B"], "truncated_document", ""),
        (format!("[{a},{b},"), vec!["A", "B"], "truncated_document", ""),
        (format!("[{a},{}", &b[..20]), vec!["A"], "invalid_json", &b[..20]),
        (format!("{{\"data\":[{a},{b}]"), vec!["A", "B"], "truncated_document", ""),
        (format!("{{\"data\":[{a}],\"n\":"), vec!["A"], "truncated_document", ",\"n\":"),
        ("{\"n\":1,\"da".to_owned(), vec![], "truncated_document", "{\"n\":1,\"da"),
        (a[..30].to_owned(), vec![], "truncated_document", &a[..30]),
    ];
    for (text, symbols, rule, raw) in cases {
        let records = if text.starts_with('[') { array("") } else { array("data") };
        let loaded = load(text.as_bytes(), records);
        assert_eq!(loaded.symbols, symbols, "{text}");
        let rejects: Vec<_> = loaded.rejects.iter().map(|(r, _, b)| (&**r, &b[..])).collect();
        assert_eq!(rejects, [(rule, raw.as_bytes())], "{text}");
    }
}

#[test]
fn documents_that_are_others_are_told() {
    let a = good("A");
    let cases = [
        (format!("{{\"error\":\"slow down\"}}\n{{\"data\":[{a}]}}"), vec!["no_array"]),
        (format!("{{\"data\":null}}[1]{{\"data\":[{a}]}}"), vec!["no_array", "no_array"]),
        (format!("{{\"data\":[{a}],\"data\":[{a}]}}"), vec!["bad_tail"]),
        (format!("{{\"data\":[{a}]]}}"), vec!["bad_tail"]),
        (format!("{{\"data\":[{a}]}} and more"), vec!["no_array"]),
        (format!("oops\n{{\"data\":[{a}]}}"), vec!["no_array"]),
        (format!("{{\"data\":[{a}}}\n]}}"), vec!["invalid_json"]),
        (format!("\u{feff}{{\"data\" : [,{a} ,]}}"), vec![]),
    ];
    for (text, expected) in cases {
        let loaded = load(text.as_bytes(), array("data"));
        assert_eq!(rules(&loaded), expected, "{text}");
        assert_eq!(loaded.symbols, ["A"], "{text}");
    }
}

#[test]
fn a_record_that_is_too_long_is_one_reject() {
    let long = format!("{{\"s\":\"{}\"}}", "x".repeat(RECORD_BYTES_MAX + 70_000));
    let open = format!("{{\"s\":\"X\",\n{}", " \n".repeat(RECORD_BYTES_MAX / 2 + 9));
    for (bad, records) in [
        (&long, JsonRecords::Lines),
        (&long, JsonRecords::Documents),
        (&long, array("")),
        (&open, array("")),
    ] {
        let comma = if records == array("") { "," } else { "" };
        let text = [good("A"), bad.clone(), good("B"), good("C")].join(&format!("{comma}\n"));
        let text = if comma.is_empty() { text } else { format!("[\n{text}\n]") };
        let loaded = load_pieces(text.as_bytes(), &shape_of(records), &[65_536], 1 << 22);
        // Where a broken record that is too long ends is seen with the next one's first byte.
        let expected = if bad == &open { vec!["A", "C"] } else { vec!["A", "B", "C"] };
        assert_eq!(loaded.symbols, expected);
        assert_eq!(rules(&loaded), ["record_too_long"]);
        assert_eq!(loaded.rejects[0].2.len(), REJECT_RAW_BYTES_MAX);
    }
}

#[test]
fn arrays_are_read_by_position() {
    let mut mapping = mapping();
    mapping.columns = vec![
        column("symbol", 3, ValueKind::Word, true),
        column("close", 1, ValueKind::Float, true),
    ];
    mapping.time_column = None;
    let fields = (0..4).map(|at: usize| vec![at.to_string()]).collect();
    let shape = JsonShape { records: array(""), fields, elements: Some((4, 5)), nulls: Vec::new() };
    let rows = "[[0,1.5,[9],\"A\"],[0,\"2\",{},\"B\",7],[0,1,2],[1,2,3,\"X\",5,6],{\"3\":\"Y\"}]";
    let mut cutter = JsonCutter::new(&shape, 0);
    assert_eq!(cutter.cut(rows.as_bytes(), true), Cut::End(rows.len()));
    let chunk = Arc::new(Chunk { bytes: rows.as_bytes().to_vec() });
    let piece = JsonPiece { chunk, records: cutter.take_records(), first: true };
    let decoded = JsonDecoder::new(&mapping, &shape).unwrap().decode(&piece).unwrap();
    assert_eq!(decoded.root.column(1).as_primitive::<Float64Type>().values()[..], [1.5, 2.0]);
    let found = rejects(&decoded);
    let rules: Vec<&str> = found.iter().map(|reject| &*reject.rule).collect();
    assert_eq!(rules, ["too_few_fields", "too_many_fields", "no_record"]);
}

#[test]
fn documents_of_an_archive_are_one_piece() {
    let documents = [good("A"), "{\"s\"".to_owned(), good("B").replace(',', ",\n")];
    let piece = JsonPiece::of_documents(documents.iter().map(String::as_bytes));
    let shape = shape_of(JsonRecords::Documents);
    let decoded = JsonDecoder::new(&mapping(), &shape).unwrap().decode(&piece).unwrap();
    assert_eq!(decoded.root.num_rows(), 2);
    let reject = &rejects(&decoded)[0];
    assert_eq!(reject.raw, documents[1].as_bytes());
    assert_eq!((reject.row, reject.line), (1, 1));
}

/// Any JSON value.
fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<i32>().prop_map(|n| Json::from(f64::from(n) / 4.0)),
        "[ -~é\n\"\\\\\u{1}]{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-d\"{\\[]{0,2}", inner, 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn spelled(value: &Json, pretty: bool) -> String {
    let text =
        if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.unwrap()
}

#[test]
fn a_number_that_a_read_cuts_in_two_is_one() {
    let shape = shape_of(array(""));
    let whole = load_pieces(b"null 11", &shape, &[7], 6);
    let parts = load_pieces(b"null 11", &shape, &[1], 6);
    assert_eq!((whole.ends, whole.rejects), (parts.ends, parts.rejects));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever the records, they are found again, wherever they stand and however they arrive.
    #[test]
    fn records_are_found_where_they_are(
        values in prop::collection::vec(any_json(), 0..6),
        pretty in any::<bool>(),
        nested in any::<bool>(),
        pieces in prop::collection::vec(1_usize..40, 1..9),
        chunk in prop::sample::select(vec![5_u64, 40, 1 << 22]),
    ) {
        let (text, records) = if nested {
            let text = serde_json::json!({"a": {"b": values, "z": [1]}, "n": "]"});
            (spelled(&text, pretty), array("a.b"))
        } else {
            (spelled(&Json::from(values.clone()), pretty), array(""))
        };
        let shape = shape_of(records);
        let mut cutter = JsonCutter::new(&shape, 0).with_chunks_of(chunk);
        let (mut start, mut have, mut found) = (0, 0, Vec::new());
        let mut sizes = pieces.iter().cycle();
        while start < text.len() {
            match cutter.cut(&text.as_bytes()[start..have], have == text.len()) {
                Cut::NeedMore => have = (have + sizes.next().unwrap()).min(text.len()),
                Cut::End(len) => {
                    for record in cutter.take_records().unwrap() {
                        prop_assert_eq!(record.fault, None);
                        let from = start + record.start as usize;
                        let record = &text[from..from + record.len as usize];
                        found.push(serde_json::from_str::<Json>(record).unwrap());
                    }
                    start += len;
                }
                Cut::TooLong(_) => panic!("short records"),
            }
        }
        prop_assert_eq!(&found, &values);
        let counted = count_json_records(text.as_bytes(), &shape).unwrap();
        prop_assert_eq!(counted, Some(values.len() as u64));
    }

    /// Whatever the bytes: they end, in the same chunks and records however they arrive, and each
    /// reject shows its own bytes and line.
    #[test]
    fn dirt_is_read_the_same_way_however_it_arrives(
        text in "(\\{|\\}|\\[|\\]|\"|,|:|\n|\n\\{|\n  \\[| |\\\\|1|null|\"data\":\\[|é|\u{0}\
            |\\{\"s\":\"A\",\"t\":1704153600,\"c\":\\{\"usd\":1\\}\\}){0,30}",
        pieces in prop::collection::vec(1_usize..30, 1..9),
        chunk in prop::sample::select(vec![6_u64, 50, 1 << 22]),
        kind in 0_usize..4,
    ) {
        let records = [JsonRecords::Lines, JsonRecords::Documents, array(""), array("data")];
        let shape = shape_of(records[kind].clone());
        let whole = load_pieces(text.as_bytes(), &shape, &[text.len().max(1)], chunk);
        let parts = load_pieces(text.as_bytes(), &shape, &pieces, chunk);
        prop_assert_eq!(&whole.ends, &parts.ends);
        prop_assert_eq!(&whole.rejects, &parts.rejects);
        prop_assert_eq!(&whole.symbols, &parts.symbols);
        prop_assert_eq!(whole.read, whole.rejects.len() as u64 + whole.symbols.len() as u64);
        if let Some(counted) = count_json_records(text.as_bytes(), &shape).unwrap() {
            prop_assert_eq!(whole.read, counted);
        }
    }

    /// A record's fields mean what another parser says.
    #[test]
    fn fields_are_those_of_another_parser(record in any_json(), key in "[a-d]", inner in "[a-d]") {
        let fields = vec![vec![key.clone()], vec![key.clone(), inner.clone()]];
        let shape =
            JsonShape { records: JsonRecords::Lines, fields, elements: None, nulls: Vec::new() };
        let mapping = Mapping {
            columns: vec![
                column("whole", 0, ValueKind::Text, false),
                column("inner", 1, ValueKind::Text, false),
            ],
            time_column: None,
            ..mapping()
        };
        let text = spelled(&record, false);
        let piece = JsonPiece::of_documents([text.as_bytes()]);
        let decoded = JsonDecoder::new(&mapping, &shape).unwrap().decode(&piece).unwrap();
        let Json::Object(members) = &record else {
            prop_assert_eq!(&rejects(&decoded)[0].rule, "no_record");
            return Ok(());
        };
        let member = members.get(&key);
        let wanted = [member, member.and_then(|member| member.get(&inner))];
        if wanted.iter().flatten().any(|value| value.as_str().is_some_and(|t| t.contains('\0'))) {
            return Ok(());
        }
        prop_assert_eq!(decoded.rejects.len(), 0);
        for (at, wanted) in wanted.into_iter().enumerate() {
            let found = decoded.root.column(at).as_string::<i32>().iter().next().unwrap();
            match wanted {
                None | Some(Json::Null) => prop_assert_eq!(found, None),
                Some(Json::String(text)) if text.trim_matches([' ', '\t']).is_empty() => {
                    prop_assert_eq!(found, None);
                }
                Some(Json::String(text)) => prop_assert_eq!(found, Some(text.as_str())),
                Some(other) => {
                    let found: Json = serde_json::from_str(found.unwrap()).unwrap();
                    prop_assert_eq!(&found, other);
                }
            }
        }
    }
}

/// The rejects, whose bytes are kept with them.
fn rejects(decoded: &Decoded) -> Vec<Reject> {
    decoded.rejects.iter(&Original::Columns).collect()
}
