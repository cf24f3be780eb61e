//! The fixtures: the good ones load whole, each broken one loses exactly its broken record.

use crate::support::{BARS, TestDb, file_entry, fixture, load, same_rows, totals};

#[test]
fn all_good_fixtures_load_in_one_run_and_only_once() {
    let db = TestDb::new("good fixtures");
    let folder = fixture("bars");
    let first = load(&db, [&folder], 0);
    let files = std::fs::read_dir(&folder).unwrap().count() as u64;
    assert_eq!(first.total("files"), files);
    assert_eq!(first.total("inserted"), first.total("read"));
    assert!(first.total("read") > 1_000);
    let stored = "SELECT count(*) FROM market_data";
    assert_eq!(db.client().query_one::<i64>(stored) as u64, first.total("inserted"));
    for file in first.report()["files"].as_array().unwrap() {
        assert_eq!(file["sealed"], true, "{file}");
        assert_eq!(file["dataset"], "bars");
        assert_eq!(file["error"], serde_json::Value::Null);
    }
    let second = load(&db, [&folder], 0);
    assert_eq!(totals(&second), [0; 7]);
    assert_eq!(second.total("files"), files);
    assert_eq!(db.client().query_one::<i64>(stored) as u64, first.total("inserted"));
    for file in second.report()["files"].as_array().unwrap() {
        assert_eq!(file["already_loaded"], true, "{file}");
        assert_eq!(file["sealed"], true, "{file}");
    }
    assert!(second.stderr.contains("loaded before"), "{}", second.stderr);
}

#[test]
fn fixtures_one_by_one_are_the_same_as_all_at_once() {
    let (together, alone) = (TestDb::new("together"), TestDb::new("one by one"));
    load(&together, [fixture("bars")], 0);
    let mut files: Vec<_> =
        std::fs::read_dir(fixture("bars")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().rev() {
        load(&alone, [file], 0);
    }
    same_rows(&together, &alone, BARS);
}

/// A broken file's one reject.
struct Broken {
    file: &'static str,
    rule: &'static str,
    column: Option<&'static str>,
    line: usize,
}

const BROKEN: [Broken; 8] = [
    Broken { file: "bad_number.csv", rule: "bad_number", column: Some("open"), line: 12 },
    Broken { file: "bad_time.csv", rule: "out_of_range", column: Some("ts"), line: 12 },
    Broken { file: "too_few_fields.csv", rule: "too_few_fields", column: None, line: 12 },
    Broken { file: "nul_byte.csv", rule: "nul_byte", column: None, line: 12 },
    Broken { file: "invalid_utf8.csv", rule: "invalid_utf8", column: None, line: 12 },
    Broken { file: "null_price.csv", rule: "null_value", column: Some("close"), line: 12 },
    Broken { file: "out_of_range.csv", rule: "out_of_range", column: Some("open"), line: 12 },
    Broken { file: "unterminated_quote.csv", rule: "unterminated_quote", column: None, line: 22 },
];

#[test]
fn a_broken_record_is_rejected_as_it_stands_and_its_neighbours_load() {
    for broken in BROKEN {
        let db = TestDb::new(broken.file);
        let path = fixture("broken").join(broken.file);
        let outcome = load(&db, [path.as_os_str(), "--verify".as_ref()], 3);
        assert_eq!(totals(&outcome), [21, 20, 0, 0, 0, 1, 0], "{}", broken.file);
        assert_eq!(outcome.report()["rejects_by_rule"][broken.rule], 1, "{}", broken.file);
        assert_eq!(file_entry(&outcome, broken.file)["sealed"], true);

        let bytes = std::fs::read(&path).unwrap();
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let start: usize = lines[..broken.line - 1].iter().map(|line| line.len()).sum();
        let raw = lines[broken.line - 1].strip_suffix(b"\n").unwrap();
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        let found = db.client().rows(
            "SELECT rule, column_name, line_no, row_no, byte_offset, \
             left(encode(raw, 'hex'), length(encode(raw, 'hex'))), source, byte_len, resolved_at \
             FROM tidegate.reject",
        );
        assert_eq!(found.len(), 1);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(found[0][0], text(broken.rule), "{}", broken.file);
        assert_eq!(found[0][1].as_deref(), broken.column, "{}", broken.file);
        assert_eq!(found[0][2], text(&broken.line.to_string()), "{}", broken.file);
        assert_eq!(found[0][3], text(&(broken.line - 1).to_string()), "{}", broken.file);
        assert_eq!(found[0][4], text(&start.to_string()), "{}", broken.file);
        let stored = found[0][5].clone().unwrap();
        assert_eq!(stored.trim_end_matches("0a"), hex.trim_end_matches("0a"), "{}", broken.file);
        assert!(found[0][6].as_ref().unwrap().ends_with(broken.file));
        assert_eq!(found[0][8], None);

        let good = "SELECT count(*) FROM market_data m JOIN tickers t ON t.id = m.ticker_id \
                    WHERE t.symbol = 'ACME' AND ts BETWEEN '2024-06-03T09:00Z' AND \
                    '2024-06-03T09:19Z'";
        assert_eq!(db.client().query_one::<i64>(good), 20, "{}", broken.file);
    }
}

#[test]
fn a_key_that_comes_twice_in_a_file_is_a_duplicate_with_other_values() {
    let db = TestDb::new("duplicate key");
    let outcome = load(&db, [fixture("broken/duplicate_key.csv")], 0);
    assert_eq!(totals(&outcome), [21, 20, 0, 1, 1, 0, 0]);
    let close = "SELECT close FROM market_data WHERE ts = '2024-06-03T09:00Z'";
    assert!((db.client().query_one::<f64>(close) - 12.30).abs() < 1e-9, "the first one stays");
}

#[test]
fn files_without_a_record_are_legal() {
    for name in ["empty.csv", "header_only.csv"] {
        let db = TestDb::new(name);
        let outcome = load(&db, [fixture("broken").join(name)], 0);
        assert_eq!(totals(&outcome), [0; 7], "{name}");
        let again = load(&db, [fixture("broken").join(name)], 0);
        assert_eq!(totals(&again), [0; 7], "{name}");
    }
}

#[test]
fn an_error_page_is_an_error_when_named_and_ignored_by_a_pattern() {
    let db = TestDb::new("error page");
    let named = load(&db, [fixture("broken/html_error_page.csv")], 1);
    assert!(named.stderr.contains("html_error_page.csv"), "{}", named.stderr);
    assert!(named.stderr.to_lowercase().contains("html"), "{}", named.stderr);
    let folder = load(&db, [fixture("broken/*.csv")], 3);
    let ignored = folder.report()["ignored"].as_array().unwrap();
    let page = |name: &serde_json::Value| name.as_str().unwrap().ends_with("html_error_page.csv");
    assert!(ignored.iter().any(page), "{ignored:?}");
    assert_eq!(folder.total("rejected"), 8);
    assert_eq!(folder.total("inserted"), 20, "all broken files have the same good bars");
}
