//! Objects of stores and files behind URLs: found, read in parts, tried again, and refused; and
//! that the same rows give the same table in every form.

use std::io::Write;
use std::sync::Arc;

use crate::support::{
    BARS, Bars, Faults, Outcome, Program, S3, TestDb, Web, adds_up, backfill, except_all, file,
    file_entry, load, same_rows, totals,
};

/// Several blocks of text, and several chunks.
const ROWS: Bars = Bars { rows: 90_000, symbols: 3, seed: 21 };

const NO_FAULTS: Faults = Faults { unavailable: 0, cut: 0, no_ranges: false };

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).and_then(|()| to.finish()).expect("memory takes all")
}

fn zip(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default()).expect("a name");
    writer.write_all(bytes).expect("memory takes all");
    writer.finish().expect("memory takes all").into_inner()
}

/// The fields of a canonical file's lines.
fn records(csv: &str) -> impl Iterator<Item = Vec<&str>> {
    csv.lines().skip(1).map(|line| line.split(',').collect())
}

fn ndjson(csv: &str) -> String {
    let names: Vec<&str> = Bars::HEADER.split(',').collect();
    let mut text = String::new();
    for record in records(csv) {
        let fields = names.iter().zip(record).map(|(name, value)| match *name {
            "symbol" | "interval" | "ts" => format!("\"{name}\":\"{value}\""),
            _ => format!("\"{name}\":{value}"),
        });
        text.push_str(&format!("{{{}}}\n", fields.collect::<Vec<_>>().join(",")));
    }
    text
}

fn parquet(csv: &str) -> Vec<u8> {
    use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
    let records: Vec<Vec<&str>> = records(csv).collect();
    let words = |at: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(records.iter().map(|record| record[at])))
    };
    let numbers = |at: usize| -> ArrayRef {
        let numbers = records.iter().map(|record| record[at].parse().expect("a number"));
        Arc::new(Float64Array::from_iter_values(numbers))
    };
    let times = records
        .iter()
        .map(|record| record[2].parse::<jiff::Timestamp>().expect("a time").as_microsecond());
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let columns = Bars::HEADER.split(',').enumerate().map(|(at, name)| match at {
        0 | 1 => (name, words(at)),
        2 => (name, Arc::new(times.clone()) as ArrayRef),
        _ => (name, numbers(at)),
    });
    let batch = arrow::array::RecordBatch::try_from_iter(columns).expect("a batch");
    // Several row groups, and too large for one block.
    let shape = parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(65_536))
        .set_dictionary_enabled(false)
        .build();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), Some(shape))
        .expect("a writer");
    writer.write(&batch).expect("memory takes all");
    writer.into_inner().expect("memory takes all")
}

fn on(s3: &S3, program: Program) -> Program {
    s3.env().into_iter().fold(program, |program, (name, value)| program.env(name, value))
}

/// Loads from the store.
fn load_from(s3: &S3, db: &TestDb<'_>, args: &[&str], code: i32) -> Outcome {
    let outcome = on(s3, backfill(db, args.iter().copied())).run().expect_code(code);
    adds_up(db, &outcome);
    assert!(!outcome.stderr.contains("CANARY"), "{}", outcome.stderr);
    outcome
}

#[test]
fn the_same_rows_in_every_form_give_equal_tables() {
    let db = TestDb::new("equal tables");
    let csv = Bars { rows: 20_000, ..ROWS }.csv();
    let forms = [
        ("csv", file(&db, "bars.csv", &csv)),
        ("gz", file(&db, "bars.csv.gz", gzip(csv.as_bytes()))),
        ("ndjson", file(&db, "bars.ndjson", ndjson(&csv))),
        ("parquet", file(&db, "bars.parquet", parquet(&csv))),
        ("zip", file(&db, "bars.zip", zip("d/bars.csv", csv.as_bytes()))),
    ];
    let mut forms: Vec<(&str, String)> =
        forms.into_iter().map(|(name, path)| (name, path.display().to_string())).collect();
    let s3 = S3::start();
    if let Some(s3) = &s3 {
        s3.put("forms", b"");
        s3.put("forms/bars.csv", csv.as_bytes());
        s3.put("forms/bars.parquet", &parquet(&csv));
        forms.push(("s3", "s3://forms/bars.csv".to_owned()));
        forms.push(("s3_parquet", "s3://forms/bars.parquet".to_owned()));
    }
    for (name, source) in &forms {
        let table = format!("form_{name}");
        db.client().execute(&format!(
            "CREATE TABLE {table} (symbol text, \"interval\" text, ts timestamptz, \
             open double precision, high double precision, low double precision, \
             close double precision, volume double precision)"
        ));
        let program = backfill(&db, ["--table", &format!("public.{table}"), "--verify", source]);
        let program = match &s3 {
            Some(s3) => on(s3, program),
            None => program,
        };
        let outcome = program.run().expect_code(0);
        adds_up(&db, &outcome);
        assert_eq!(totals(&outcome), [20_000, 20_000, 0, 0, 0, 0, 0], "{name}");
        except_all(&db, &table, "form_csv");
    }
}

#[test]
fn objects_are_found_by_name_folder_and_pattern() {
    let Some(s3) = S3::start() else { return };
    let (db, plain) = (TestDb::new("s3 objects"), TestDb::new("s3 plain"));
    let part = |seed| Bars { rows: 3_000, symbols: 2 + seed, seed }.csv();
    let (one, two) = (part(1), part(2));
    s3.put("market", b"");
    s3.put("market/2024/a.csv.gz", &gzip(one.as_bytes()));
    s3.put("market/2024/sub/b.zip", &zip("d/b.csv", two.as_bytes()));
    s3.put("market/2024/.hidden.csv", b"x");
    // As consoles mark a folder.
    s3.put("market/2024/", b"");
    s3.put("market/2024/sub/", b"");
    s3.put("market/2024/readme.txt", b"These are bars. Enjoy them.\n");
    s3.put("market/2023/c.csv", one.as_bytes());
    let paths = [file(&plain, "a.csv", &one), file(&plain, "b.csv", &two)];
    let expected = load(&plain, paths, 0);
    let outcome = load_from(&s3, &db, &["s3://market/2024/"], 0);
    assert_eq!(totals(&outcome), totals(&expected));
    same_rows(&db, &plain, BARS);
    let shown = "s3://market/2024/sub/b.zip!d/b.csv";
    assert_eq!(file_entry(&outcome, shown)["source"], shown);
    let ignored = outcome.report()["ignored"].to_string();
    assert_eq!(ignored, "[\"s3://market/2024/readme.txt\"]");
    // By any name, and as a file, they are the contents that they were.
    for again in ["s3://market/2024/a.csv.gz", "s3://market/20*/c.csv", "s3://market"] {
        assert_eq!(load_from(&s3, &db, &[again], 0).total("read"), 0, "{again}");
    }
    let file = file(&db, "a.csv", &one);
    assert_eq!(load(&db, [file], 0).total("read"), 0);
}

#[test]
fn what_is_not_there_or_not_allowed_is_said() {
    let Some(s3) = S3::start() else { return };
    let db = TestDb::new("s3 errors");
    s3.put("market", b"");
    s3.put("market/d/a.csv", b"x");
    for (url, says) in [
        ("s3://market/none.csv", "no such object"),
        ("s3://market/d", "end it in /"),
        ("s3://no-such-bucket/a.csv", "no such bucket"),
        ("s3://no-such-bucket/", "no such bucket"),
        ("s3://market/none/", "nothing is there"),
        ("s3://market/d/*.parquet", "nothing is there"),
        ("ftp://host/a.csv", "URLs of this kind"),
    ] {
        let outcome = on(&s3, backfill(&db, [url])).run().expect_code(1);
        assert!(outcome.stderr.contains(says), "{url}: {}", outcome.stderr);
        let folder = url.rsplit_once('/').expect("a URL has one").0;
        assert!(outcome.stderr.contains(folder), "{}", outcome.stderr);
    }
}

#[test]
fn parquet_is_read_by_ranges() {
    let db = TestDb::new("ranges");
    let csv = Bars { rows: 200_000, ..ROWS }.csv();
    let bytes = parquet(&csv);
    let web = Web::start(NO_FAULTS);
    web.put("bars.parquet", &bytes);
    let outcome = load(&db, [web.url("bars.parquet"), "--verify".to_owned()], 0);
    assert_eq!(outcome.total("inserted"), 200_000);
    let path = file(&db, "bars.parquet", &bytes);
    assert_eq!(load(&db, [path], 0).total("read"), 0, "the same content");
}

#[test]
fn a_server_that_fails_for_a_while_is_asked_again() {
    let plain = TestDb::new("web plain");
    let csv = ROWS.csv();
    let _ = load(&plain, [file(&plain, "bars.csv", &csv)], 0);
    for no_ranges in [false, true] {
        let db = TestDb::new("web faults");
        let web = Web::start(Faults { unavailable: 3, cut: 3, no_ranges });
        web.put("d/bars.csv", csv.as_bytes());
        let url = web.url("d/bars.csv?signature=CANARY");
        let outcome = load(&db, [url], 0);
        assert_eq!(totals(&outcome), [ROWS.rows, ROWS.rows, 0, 0, 0, 0, 0]);
        same_rows(&db, &plain, BARS);
        assert!(web.requests() >= 7, "the faults fired: {}", web.requests());
        let shown = outcome.report().to_string() + &outcome.stderr;
        assert!(!shown.contains("CANARY"), "{shown}");
        assert_eq!(file_entry(&outcome, "d/bars.csv")["source"], web.url("d/bars.csv"));
    }
    let db = TestDb::new("web deadline");
    let web = Web::start(Faults { unavailable: usize::MAX, ..NO_FAULTS });
    let args = [web.url("a.csv"), "--retry-deadline".to_owned(), "1s".to_owned()];
    let outcome = backfill(&db, args).run().expect_code(1);
    assert!(outcome.stderr.contains("503"), "{}", outcome.stderr);
}

#[test]
fn an_object_that_changes_while_it_is_loaded_is_noticed() {
    let db = TestDb::new("web changed");
    let web = Web::start(NO_FAULTS);
    let bars = Bars { rows: 330_000, symbols: 7, seed: 11 };
    for (name, first, second) in [
        ("bars.csv", bars.csv().into_bytes(), Bars { seed: 12, ..bars }.csv().into_bytes()),
        ("bars.parquet", parquet(&bars.csv()), parquet(&Bars { seed: 12, ..bars }.csv())),
    ] {
        web.put(name, &first);
        let slow = ["--writers", "2", "--memory", "32MiB", "--max-rows-per-sec", "60000"];
        let mut running = backfill(&db, slow).arg(web.url(name)).spawn();
        let portions = |db: &TestDb<'_>| {
            let made = "SELECT to_regclass('tidegate.portion') IS NOT NULL";
            let sum = "SELECT count(*) FROM tidegate.portion";
            if db.client().query_one::<bool>(made) { db.client().query_one::<i64>(sum) } else { 0 }
        };
        let before = portions(&db);
        while running.is_running() && portions(&db) == before {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        web.put(name, &second);
        let outcome = running.wait().expect_code(1);
        assert!(outcome.stderr.contains("changed while"), "{name}: {}", outcome.stderr);
        adds_up(&db, &outcome);
        assert_eq!(file_entry(&outcome, name)["sealed"], false, "{name}");
    }
}

#[test]
fn objects_are_inspected_as_files_are() {
    let csv = Bars { rows: 20_000, ..ROWS }.csv();
    let db = TestDb::new("inspect objects");
    let web = Web::start(NO_FAULTS);
    web.put("bars.csv", csv.as_bytes());
    web.put("bars.csv.gz", &gzip(csv.as_bytes()));
    web.put("bars.parquet", &parquet(&csv));
    let mut urls: Vec<String> =
        ["bars.csv", "bars.csv.gz", "bars.parquet"].iter().map(|name| web.url(name)).collect();
    let s3 = S3::start();
    if let Some(s3) = &s3 {
        s3.put("market", b"");
        s3.put("market/bars.csv", csv.as_bytes());
        urls.push("s3://market/".to_owned());
    }
    for url in urls {
        let program = Program::bare(db.home()).args(["inspect", "--json", &url]);
        let program = match &s3 {
            Some(s3) => on(s3, program),
            None => program,
        };
        let outcome = program.run().expect_code(0);
        assert!(outcome.stdout.contains("\"records\": 20000"), "{url}: {}", outcome.stdout);
    }
}
