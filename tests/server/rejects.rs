//! What was refused is exported byte for byte, mended and replayed: then nothing is open, and no
//! row is in the table twice.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::support::{Bars, Outcome, Program, TestDb};

/// More than recognition looks at, so that it sees good records only.
const GOOD: u64 = 1_500;

fn bars() -> Bars {
    Bars { rows: GOOD, symbols: 5, seed: 1 }
}

/// A file of good bars followed by `records`.
fn write_file(db: &TestDb<'_>, name: &str, records: &[&[u8]]) -> PathBuf {
    let mut bytes = bars().csv().into_bytes();
    for record in records {
        bytes.extend_from_slice(record);
        bytes.push(b'\n');
    }
    let path = db.home().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn run(db: &TestDb<'_>, words: &[&str], code: i32) -> Outcome {
    Program::new(db).args(words.iter().copied()).run().expect_code(code)
}

fn load(db: &TestDb<'_>, path: &Path, more: &[&str], code: i32) {
    let program = Program::new(db).arg("backfill").arg(path).args(more.iter().copied());
    let _ = program.args(["--progress", "none"]).run().expect_code(code);
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// Exports the open rejects: id and record of each.
fn export(db: &TestDb<'_>) -> Vec<(String, Vec<u8>)> {
    let path = db.home().join("rejects.csv");
    let outcome = run(db, &["rejects", "export", "--json", "--out", path.to_str().unwrap()], 0);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let header = "reject_id,source,line,byte,rule,column,reason,record";
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>().join(","), header);
    let rows: Vec<_> = (reader.byte_records())
        .map(|row| row.unwrap())
        .map(|row| (String::from_utf8(row[0].to_vec()).unwrap(), row[7].to_vec()))
        .collect();
    let counts = json(&outcome);
    assert_eq!(
        (&counts["recorded"], &counts["exported"]),
        (&json!(rows.len()), &json!(rows.len()))
    );
    rows
}

/// Replays a file with these records, its columns in another order.
fn replay(db: &TestDb<'_>, records: &[(String, Vec<u8>)], code: i32) -> Value {
    let path = db.home().join("mended.csv");
    let mut writer = csv::Writer::from_path(&path).unwrap();
    writer.write_record(["record", "note", "reject_id"]).unwrap();
    for (id, record) in records {
        writer.write_record([record.as_slice(), b"mended", id.as_bytes()]).unwrap();
    }
    writer.flush().unwrap();
    json(&run(db, &["rejects", "replay", "--json", path.to_str().unwrap()], code))
}

fn open_rejects(db: &TestDb<'_>) -> i64 {
    db.client().query_one("SELECT count(*) FROM tidegate.reject WHERE resolved_at IS NULL")
}

fn count(db: &TestDb<'_>, table: &str) -> i64 {
    db.client().query_one(&format!("SELECT count(*) FROM {table}"))
}

const BAD: [&[u8]; 7] = [
    b"=S900,1m,2024-01-01T00:00:00Z,one,2,0.5,1.5,10",
    b"\"A \"\"B\"\"\nC\",1m,2024-01-01T00:00:00Z,1,2,0.5,\"y\",10",
    b"S\x00901,1m,2024-01-01T00:00:00Z,1,2,0.5,1.5,10",
    b"S\xff902,1m,2024-01-01T00:00:00Z,1,2,0.5,1.5,10",
    b"S903,1m,some day,1,2,0.5,1.5,10",
    b"'S904,1m,2024-01-01T00:00:00Z,1,2,0.5,-x,10",
    b"S905,1m",
];

#[test]
fn mended_rejects_are_loaded_once() {
    let db = TestDb::new("rejects");
    load(&db, &write_file(&db, "bars.csv", &BAD), &[], 3);
    assert_eq!(count(&db, "market_data"), GOOD as i64);
    let exported = export(&db);
    // A spreadsheet must not take a record for a formula; nothing else is changed.
    let cells: Vec<&[u8]> = exported.iter().map(|(_, cell)| cell.as_slice()).collect();
    let guarded = |record: &[u8]| [b"'", record].concat();
    let (formula, quote) = (guarded(BAD[0]), guarded(BAD[5]));
    assert_eq!(cells, [&formula, BAD[1], BAD[2], BAD[3], BAD[4], &quote, BAD[6]]);

    let unmended = replay(&db, &exported, 3);
    assert_eq!((&unmended["still_open"], &unmended["inserted"]), (&json!(7), &json!(0)));
    assert_eq!((open_rejects(&db), count(&db, "tidegate.reject")), (7, 7));

    let mut mended = exported;
    for (at, (_, record)) in mended.iter_mut().enumerate().skip(1) {
        *record = format!("S90{at},60sec,2024-02-01T00:00:00Z,1,2,0.5,1.5,10\r\n").into_bytes();
    }
    mended[1].1 = b"\"A \"\"B\"\"\nC\",1m,2024-02-01T00:00:00Z,1,9,0.5,\"7\",10".to_vec();
    mended[0].1 = b"'=S900,1m,2024-01-01T00:00:00Z,two,2,0.5,1.5,10".to_vec();
    let first = replay(&db, &mended, 3);
    assert_eq!((&first["inserted"], &first["still_open"]), (&json!(6), &json!(1)), "{first}");
    assert!(first["open"][0]["reason"].as_str().unwrap().contains("two"), "{first}");
    assert_eq!(count(&db, "market_data"), GOOD as i64 + 6);

    let again = replay(&db, &mended, 3);
    let expected = (&json!(0), &json!(6), &json!(1));
    assert_eq!((&again["inserted"], &again["resolved_before"], &again["still_open"]), expected);

    mended[0].1 = b"'=S900,1m,2024-01-01T00:00:00Z,1,2,0.5,1.5,10".to_vec();
    let last = replay(&db, &mended, 0);
    assert_eq!((&last["inserted"], &last["still_open"]), (&json!(1), &json!(0)));
    assert_eq!((open_rejects(&db), count(&db, "market_data")), (0, GOOD as i64 + 7));
    let symbol = "SELECT count(*) FROM market_data JOIN tickers ON id = ticker_id WHERE symbol IN \
                  ('=S900', E'A \"B\"\\nC')";
    assert_eq!(db.client().query_one::<i64>(symbol), 2);
    let runs = "SELECT count(*) FROM tidegate.run WHERE command = 'rejects replay' \
                AND finished_at IS NOT NULL";
    assert_eq!(db.client().query_one::<i64>(runs), 4);
    assert!(export(&db).is_empty());
    let listed = json(&run(&db, &["rejects", "list", "--resolved", "--json"], 0));
    assert_eq!(listed.as_array().unwrap().len(), 7);
}

#[test]
fn rejects_are_listed_and_shown() {
    let db = TestDb::new("listed");
    let nothing = run(&db, &["rejects", "list"], 0);
    assert!(nothing.stdout.is_empty(), "{}", nothing.stdout);
    load(&db, &write_file(&db, "bars.csv", &BAD), &[], 3);
    load(&db, &write_file(&db, "more.csv", &BAD[6..]), &[], 3);
    let list = |words: &[&str]| {
        let words = [&["rejects", "list", "--json"], words].concat();
        json(&run(&db, &words, 0)).as_array().unwrap().clone()
    };
    assert_eq!(list(&[]).len(), 8);
    assert_eq!(list(&["--source", "more"]).len(), 1);
    assert_eq!(list(&["--rule", "bad_number"]).len(), 3);
    assert_eq!(list(&["--limit", "2"]).len(), 2);
    let run_id = list(&["--source", "more"])[0]["run_id"].to_string();
    assert_eq!(list(&["--run", &run_id]).len(), 1);
    let table = run(&db, &["rejects", "list", "--limit", "3"], 0);
    assert_eq!(table.stdout.lines().count(), 4, "{}", table.stdout);
    assert!(table.stderr.contains("8 rejects open; the first 3"), "{}", table.stderr);
    let nul = list(&["--rule", "nul_byte"])[0]["id"].to_string();
    let shown = run(&db, &["rejects", "show", &nul], 0).stdout;
    assert!(shown.contains("S\\u{0}901,1m") && shown.contains("53 00 39"), "{shown}");
    let shown = json(&run(&db, &["rejects", "show", "--json", &nul], 0));
    assert_eq!(shown["record"].as_str().unwrap().as_bytes(), BAD[2]);
    assert!(run(&db, &["rejects", "show", "99"], 1).stderr.contains("no reject 99"));
    let piped = run(&db, &["rejects", "export", "--rule", "bad_time"], 0).stdout;
    assert!(piped.contains("S903,1m,some day"), "{piped}");
    assert!(run(&db, &["rejects", "export"], 1).stderr.contains("--out"));
}

#[test]
fn stored_keys_follow_the_policy_of_the_load() {
    let line = bars().line(3);
    let stored = line.as_bytes();
    for (policy, still_open) in [("skip", 0), ("reject", 1), ("update", 0)] {
        let db = TestDb::new(policy);
        load(&db, &write_file(&db, "bars.csv", &BAD[..1]), &["--on-conflict", policy], 3);
        let id = export(&db)[0].0.clone();
        let mut other = line[..line.rfind(',').unwrap()].to_owned();
        other.push_str(",77");
        let code = if still_open > 0 { 3 } else { 0 };
        let done = replay(&db, &[(id.clone(), other.into_bytes())], code);
        assert_eq!(done["still_open"], json!(still_open), "{done}");
        assert_eq!(done["updated"], json!(u64::from(policy == "update")), "{done}");
        assert_eq!(done["conflicting"], json!(u64::from(policy == "skip")), "{done}");
        assert_eq!(count(&db, "market_data"), GOOD as i64);
        assert_eq!(open_rejects(&db), still_open);
        if policy == "reject" {
            assert_eq!(done["open"][0]["rule"], "duplicate_key");
            let done = replay(&db, &[(id, [b"N", stored].concat())], 0);
            assert_eq!(done["inserted"], json!(1));
        }
    }
}

#[test]
fn what_the_server_refuses_stays_open() {
    let db = TestDb::new("server");
    db.client().execute(
        "CREATE TABLE \"My bars\" (symbol text, ts timestamptz, \"Close\" numeric(12, 4), \
             volume numeric CONSTRAINT small CHECK (volume < 1e6), PRIMARY KEY (symbol, ts))",
    );
    let line = |symbol: &str, volume: &str| {
        format!("{symbol},1m,2024-01-01T00:00:00Z,1,2,0.5,1.5,{volume}").into_bytes()
    };
    let bad = [line("T1", "1e7"), line("T2", "1e8"), line("T3", "1e9")];
    let bad: Vec<&[u8]> = bad.iter().map(Vec::as_slice).collect();
    let path = write_file(&db, "bars.csv", &bad);
    load(&db, &path, &["--table", "public.\"My bars\""], 3);
    let exported = export(&db);
    assert_eq!(exported.len(), 3);
    let ids: Vec<String> = exported.iter().map(|(id, _)| id.clone()).collect();
    let mended = vec![
        (ids[0].clone(), line("T1", "12.5")),
        (ids[1].clone(), line("T2", "2e8")),
        (ids[2].clone(), line("T3", "999999.99999")),
    ];
    let done = replay(&db, &mended, 3);
    assert_eq!((&done["inserted"], &done["still_open"]), (&json!(2), &json!(1)), "{done}");
    assert_eq!(done["open"][0]["rule"], "check:small");
    assert_eq!((open_rejects(&db), count(&db, "\"My bars\"")), (1, GOOD as i64 + 2));
    let exact = "SELECT volume::text FROM \"My bars\" WHERE symbol = 'T3'";
    assert_eq!(db.client().query_one::<String>(exact), "999999.99999");

    let stranger = db.home().join("stranger.csv");
    std::fs::write(&stranger, "reject_id,record\n4711,x\n").unwrap();
    let refused = run(&db, &["rejects", "replay", stranger.to_str().unwrap()], 1);
    assert!(refused.stderr.contains("no reject 4711"), "{}", refused.stderr);
    db.client().execute("DROP TABLE \"My bars\"");
    let path = db.home().join("mended.csv");
    let refused = run(&db, &["rejects", "replay", path.to_str().unwrap()], 1);
    assert!(refused.stderr.contains("is gone"), "{}", refused.stderr);
    assert_eq!(open_rejects(&db), 1);
}

#[test]
fn a_long_record_is_read_from_its_source_again() {
    let db = TestDb::new("long");
    let long = "x".repeat(1_500_000);
    let record = format!("{long},1m,2024-01-01T00:00:00Z,1,2,0.5,?,10");
    let path = write_file(&db, "bars.csv", &[record.as_bytes()]);
    load(&db, &path, &[], 3);
    let whole = export(&db);
    assert!(whole[0].1 == record.as_bytes(), "{} bytes", whole[0].1.len());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let cut = export(&db);
    assert!(cut[0].1 == record.as_bytes()[..1 << 20], "{} bytes", cut[0].1.len());
    let done = replay(&db, &cut, 3);
    assert_eq!(done["open"][0]["rule"], "record_cut", "{done}");
    let mended = [(whole[0].0.clone(), record.replace('?', "1").replace('x', "").into_bytes())];
    let done = replay(&db, &mended, 3);
    assert_eq!(done["open"][0]["rule"], "null_value", "{done}");
    let short = record.replace('?', "1").replace(&long, "x");
    let _ = replay(&db, &[(whole[0].0.clone(), short.into_bytes())], 0);
    assert_eq!((open_rejects(&db), count(&db, "market_data")), (0, GOOD as i64 + 1));
}

/// Hourly bars, the second without a close, the third with half of its prices.
fn write_parquet(path: &Path) {
    use arrow::array::{
        ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    };
    let n = 40;
    let symbols: StringArray = (0..n).map(|_| Some("P1")).collect();
    let intervals: StringArray = (0..n).map(|_| Some("1h")).collect();
    let start = 1_704_067_200_000_000_i64;
    let times: TimestampMicrosecondArray =
        (0..n).map(|hour| Some(start + hour * 3_600_000_000)).collect();
    let price = |null: i64| {
        let prices = (0..n).map(|row| (row != null).then_some(1.5));
        Arc::new(prices.collect::<Float64Array>()) as ArrayRef
    };
    let columns: [(&str, ArrayRef); 7] = [
        ("symbol", Arc::new(symbols)),
        ("interval", Arc::new(intervals)),
        ("timestamp", Arc::new(times.with_timezone("UTC"))),
        ("open", price(-1)),
        ("high", price(22)),
        ("low", price(-1)),
        ("close", price(21)),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn records_without_bytes_of_their_own_are_mended_as_json() {
    let db = TestDb::new("parquet");
    let path = db.home().join("bars.parquet");
    write_parquet(&path);
    load(&db, &path, &[], 3);
    assert_eq!(count(&db, "market_data"), 38);
    let mut exported = export(&db);
    assert_eq!(exported.len(), 2);
    let unmended = replay(&db, &exported, 3);
    assert_eq!(unmended["still_open"], json!(2), "{unmended}");
    for (_, record) in &mut exported {
        let mut object: Value = serde_json::from_slice(record).unwrap();
        for price in ["open", "high", "low", "close"] {
            object[price] = json!("1.25");
        }
        *record = object.to_string().into_bytes();
    }
    let done = replay(&db, &exported, 0);
    assert_eq!((&done["inserted"], open_rejects(&db)), (&json!(2), 0), "{done}");
    let whole = "SELECT count(*) FROM market_data JOIN tickers ON id = ticker_id \
                 WHERE symbol = 'P1' AND \"interval\" = '1h' AND high IS NOT NULL \
                 AND ts >= '2024-01-01Z' AND ts < '2024-01-02 16:00Z'";
    assert_eq!(db.client().query_one::<i64>(whole), 40);
}

#[test]
fn two_replays_at_once_load_once() {
    let db = TestDb::new("at once");
    // Without a key nothing but the reject's mark keeps a row from being there twice.
    db.client()
        .execute("CREATE TABLE b (symbol text, ts timestamptz, close float8, volume float8)");
    let record = |at: u64, close: &str| {
        format!("T{at},1m,2024-01-01T00:00:00Z,1,2,0.5,{close},10").into_bytes()
    };
    let bad: Vec<Vec<u8>> = (0..3_000).map(|at| record(at, "?")).collect();
    let bad: Vec<&[u8]> = bad.iter().map(Vec::as_slice).collect();
    load(&db, &write_file(&db, "bars.csv", &bad), &["--table", "b"], 3);
    let path = db.home().join("mended.csv");
    let mut writer = csv::Writer::from_path(&path).unwrap();
    writer.write_record(["reject_id", "record"]).unwrap();
    for (at, (id, _)) in (0..).zip(export(&db)) {
        writer.write_record([id.as_bytes(), &record(at, "1.5")]).unwrap();
    }
    writer.flush().unwrap();
    let words = ["rejects", "replay", "--json", path.to_str().unwrap()];
    let start = || Program::new(&db).args(words).spawn();
    let running = [start(), start(), start()];
    let mut inserted = 0;
    for one in running {
        inserted += json(&one.wait().expect_code(0))["inserted"].as_u64().unwrap();
    }
    assert_eq!((inserted, count(&db, "b")), (3_000, GOOD as i64 + 3_000));
    assert_eq!(open_rejects(&db), 0);
}
