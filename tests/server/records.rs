//! Vendors' files that are no plain bars: each fixture of `fixtures/records` is recognised and
//! loads as `expected.json` says, row by row, which its maker wrote without a look at the loader.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tidegate::dataset::{self, Dataset};
use tidegate::mapping::ValueKind;

use crate::support::{Outcome, TestDb, adds_up, backfill, count, file, load, totals};

fn records() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/records")
}

/// What each fixture must load as.
fn expected() -> Vec<Value> {
    let text = std::fs::read_to_string(records().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// A value in one spelling, whoever wrote it.
fn plain(kind: ValueKind, text: &str) -> String {
    match kind {
        ValueKind::Float | ValueKind::Decimal | ValueKind::Integer => {
            format!("{:?}", text.parse::<f64>().unwrap())
        }
        _ => text.to_owned(),
    }
}

/// The rows of a dataset's table in one spelling and order.
pub fn stored(db: &TestDb<'_>, dataset: &Dataset, columns: &[&str]) -> Vec<Vec<Option<String>>> {
    let kinds: Vec<ValueKind> =
        columns.iter().map(|name| dataset.column(name).unwrap().kind).collect();
    let cell = |(name, kind): (&&str, &ValueKind)| match kind {
        _ if dataset.ticker == Some(*name) => "k.symbol".to_owned(),
        ValueKind::Time => {
            format!("to_char(t.\"{name}\" AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
        }
        _ => format!("t.\"{name}\"::text"),
    };
    let list: Vec<String> = columns.iter().zip(&kinds).map(cell).collect();
    let join = match dataset.ticker {
        Some(_) => " JOIN public.tickers k ON k.id = t.ticker_id",
        None => "",
    };
    let rows =
        db.client().rows(&format!("SELECT {} FROM {} t{join}", list.join(", "), dataset.table));
    let spell = |row: Vec<Option<String>>| {
        row.into_iter()
            .zip(&kinds)
            .map(|(cell, kind)| cell.map(|cell| plain(*kind, &cell)))
            .collect()
    };
    let mut rows: Vec<Vec<Option<String>>> = rows.into_iter().map(spell).collect();
    rows.sort();
    rows
}

/// What the maker says, in the same spelling and order.
pub fn wanted(dataset: &Dataset, columns: &[&str], rows: &Value) -> Vec<Vec<Option<String>>> {
    let cell = |(cell, name): (&Value, &&str)| {
        let kind = dataset.column(name).unwrap().kind;
        match cell {
            Value::Null => None,
            Value::String(text) => Some(plain(kind, text)),
            other => Some(plain(kind, &other.to_string())),
        }
    };
    let row = |row: &Value| row.as_array().unwrap().iter().zip(columns).map(cell).collect();
    let mut rows: Vec<Vec<Option<String>>> = rows.as_array().unwrap().iter().map(row).collect();
    rows.sort();
    rows
}

/// The report's entries for one dataset; an archive has one for each member.
fn entries(outcome: &Outcome, dataset: &str) -> Vec<Value> {
    let report = outcome.report();
    let files = report["files"].as_array().unwrap();
    files.iter().filter(|file| file["dataset"] == dataset).cloned().collect()
}

/// A count over the report's entries for one dataset.
fn sum(outcome: &Outcome, dataset: &str, name: &str) -> u64 {
    entries(outcome, dataset).iter().map(|entry| count(entry, name)).sum()
}

/// What is wrong with one of the loads of a file, if something is.
fn load_fault(db: &TestDb<'_>, outcome: &Outcome, wants: &Value) -> Option<String> {
    let dataset = dataset::by_name(wants["dataset"].as_str().unwrap()).unwrap();
    let entries = entries(outcome, dataset.name);
    if entries.is_empty() {
        return Some(format!("nothing is loaded into {}", dataset.name));
    }
    if let Some(entry) = entries.iter().find(|entry| entry["layout"] != wants["layout"]) {
        return Some(format!("it is recognised as {}", entry["layout"]));
    }
    let rows = wants["rows"].as_array().unwrap().len() as u64;
    let counts = ["read", "inserted", "skipped"].map(|name| sum(outcome, dataset.name, name));
    if counts != [wants["read"].as_u64().unwrap(), rows, wants["skipped"].as_u64().unwrap()] {
        return Some(format!("{counts:?} records are read, inserted and skipped"));
    }
    let columns = texts(&wants["columns"]);
    let found = stored(db, dataset, &columns);
    let wanted = wanted(dataset, &columns, &wants["rows"]);
    if let Some((found, wanted)) = found.iter().zip(&wanted).find(|(one, other)| one != other) {
        return Some(format!("{found:?} is stored, not {wanted:?}"));
    }
    let venue = wants["venue"].as_str()?;
    let venues = db.client().rows("SELECT DISTINCT venue FROM tickers");
    (venues != [[Some(venue.to_owned())]]).then(|| format!("its venue is {venues:?}"))
}

/// What is wrong with the load of a file in this folder, if something is.
fn fault(folder: &Path, vendor: &Value, flags: &[&str]) -> Option<String> {
    let name = vendor["file"].as_str().unwrap();
    let db = TestDb::new(name);
    let path = folder.join(name).to_str().unwrap().to_owned();
    let flags = texts(&vendor["args"]).into_iter().chain(flags.iter().copied());
    let flags = flags.map(str::to_owned);
    let outcome = backfill(&db, std::iter::once(path).chain(flags)).run();
    if outcome.code != Some(0) {
        return Some(outcome.stderr);
    }
    adds_up(&db, &outcome);
    let loads = vendor["loads"].as_array().unwrap();
    let files = outcome.report()["files"].as_array().unwrap().iter();
    let datasets: BTreeSet<&str> = files.map(|file| file["dataset"].as_str().unwrap()).collect();
    if datasets.len() != loads.len() {
        return Some(format!("it is loaded into {datasets:?}"));
    }
    loads.iter().find_map(|wants| load_fault(&db, &outcome, wants))
}

#[test]
fn every_vendors_record_is_recognised_and_loads_as_it_stands() {
    let told = |vendor: &Value| {
        fault(&records(), vendor, &[]).map(|why| format!("{}: {why}", vendor["file"]))
    };
    let faults: Vec<String> = expected().iter().filter_map(told).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Layouts that have a fixture here.
pub fn tried() -> BTreeSet<String> {
    let mut tried: BTreeSet<String> = BTreeSet::new();
    for vendor in expected() {
        let loads = vendor["loads"].as_array().unwrap().clone();
        tried.extend(loads.iter().map(|load| load["layout"].as_str().unwrap().to_owned()));
    }
    tried
}

#[test]
fn every_layout_of_records_has_a_fixture() {
    let tried: BTreeSet<String> = tried().into_iter().chain(crate::exports::tried()).collect();
    for layout in tidegate::layout::registry().unwrap() {
        let name = layout.name.as_str();
        let own = layout.recognise.rank > 20 && layout.refuse.is_none();
        let parquet = layout.format == tidegate::layout::Format::Parquet;
        let elsewhere = ["bars", "killmails"].contains(&layout.dataset.name);
        assert!(tried.contains(name) || !own || parquet || elsewhere, "{name} has no fixture");
    }
}

#[test]
fn a_file_of_two_datasets_is_two_loads_in_archives_too() {
    let db = TestDb::new("two datasets");
    let name = "fo02JAN2020bhav.csv";
    let text = std::fs::read(records().join(name)).unwrap();
    let plain = file(&db, name, &text);
    let zip = db.home().join("fo02JAN2020bhav.csv.zip");
    let zipped = Command::new("python3")
        .args([
            "-c",
            "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED); \
                      [z.write(sys.argv[2], n) for n in ('a/fo02JAN2020bhav.csv', 'b/other.csv')]",
        ])
        .args([&zip, &plain])
        .status()
        .unwrap();
    assert!(zipped.success());
    // The two members are one content: the second is not loaded again.
    let first = load(&db, [&zip], 0);
    adds_up(&db, &first);
    assert_eq!(totals(&first), [12, 6, 0, 0, 0, 0, 6]);
    assert_eq!(first.report()["files"].as_array().unwrap().len(), 2);
    // Loaded once in any form, in both datasets.
    let again = load(&db, [&plain], 0);
    assert_eq!(totals(&again), [0; 7]);
    for (dataset, rows, skipped) in [("option_bars", 4, 2), ("bars", 2, 4)] {
        let counts = ["inserted", "skipped"].map(|name| sum(&first, dataset, name));
        assert_eq!(counts, [rows, skipped], "{dataset}");
    }
}

#[test]
fn one_of_two_datasets_may_be_asked_for() {
    let db = TestDb::new("one of two");
    let path = records().join("fo02JAN2020bhav.csv");
    let outcome = load(&db, [path.as_os_str(), "--dataset".as_ref(), "bars".as_ref()], 0);
    assert_eq!(totals(&outcome), [6, 2, 0, 0, 0, 0, 4]);
    db.client().execute("CREATE TABLE mine (symbol text, ts timestamptz, close numeric)");
    let mine = [path.as_os_str(), "--table".as_ref(), "mine".as_ref()];
    let outcome = load(&db, mine, 1);
    assert!(outcome.stderr.contains("say which with --dataset"), "{}", outcome.stderr);
    let told = mine.into_iter().chain(["--dataset".as_ref(), "bars".as_ref()]);
    assert_eq!(totals(&load(&db, told, 0))[1], 2);
}

#[test]
fn a_broken_record_is_refused_in_the_dataset_that_it_belongs_to() {
    let db = TestDb::new("broken of two");
    let text = std::fs::read_to_string(records().join("fo02JAN2020bhav.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // Two records on one line, as in some originals: one of a future, one of an option.
    let glued = |at: usize| format!("{}{}\n", lines[at], lines[at]);
    let text = format!("{text}{}{}", glued(1), glued(3));
    let path = file(&db, "fo02JAN2020bhav.csv", text);
    let outcome = load(&db, [&path], 3);
    adds_up(&db, &outcome);
    for dataset in ["option_bars", "bars"] {
        let counts = ["read", "rejected"].map(|name| sum(&outcome, dataset, name));
        assert_eq!(counts, [8, 1], "{dataset}");
    }
    assert_eq!(outcome.report()["rejects_by_rule"]["too_many_fields"], 2);
}

#[test]
fn prices_and_open_interest_of_a_contract_meet_in_one_row() {
    let merged = "SELECT count(*) FROM option_bars WHERE close IS NOT NULL AND open_interest > 0";
    let bars = records().join("acme_trade_american_put_125000_20150117.csv");
    let interest = records().join("acme_openinterest_american_put_125000_20150117.csv");
    for files in [[&bars, &interest], [&interest, &bars]] {
        let db = TestDb::new("open interest");
        assert_eq!(totals(&load(&db, [files[0]], 0))[1], 3);
        // What is stored stays, unless the user says otherwise.
        let kept = load(&db, [files[1]], 0);
        assert_eq!(totals(&kept), [3, 0, 0, 3, 3, 0, 0]);
        assert_eq!(db.client().query_one::<i64>(merged), 0);
        let flags = ["--on-conflict", "update", "--reload"].map(AsRef::as_ref);
        let added = load(&db, [files[1].as_os_str()].into_iter().chain(flags), 0);
        assert_eq!(totals(&added), [3, 0, 3, 0, 0, 0, 0]);
        assert_eq!(db.client().query_one::<i64>(merged), 3);
    }
}

#[test]
fn nanoseconds_that_a_table_has_no_place_for_are_lost_with_a_word() {
    let db = TestDb::new("no nanos");
    let path = records().join("glbx-mdp3-20240701.trades.csv");
    let client = db.client();
    client.execute("CREATE TABLE mine (symbol text, ts timestamptz, price numeric)");
    let outcome = load(&db, [path.as_os_str(), "--table".as_ref(), "mine".as_ref()], 0);
    let says = "nanoseconds are cut off: public.mine has no column ts_nanos";
    assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
}

#[test]
fn pages_of_trades_one_behind_the_other_are_all_read() {
    let db = TestDb::new("pages");
    let text = std::fs::read_to_string(records().join("page.json")).unwrap();
    let next = text.replace("e7aefcae", "f7aefcae");
    let path = file(&db, "pages.ndjson", format!("{text}\n{next}\n"));
    assert_eq!(totals(&load(&db, [&path], 0)), [16, 16, 0, 0, 0, 0, 0]);
}

#[test]
fn what_has_no_table_is_refused_by_its_name() {
    let db = TestDb::new("refused");
    for (name, text, says) in [
        (
            "test.mbo.json",
            "{\"ts_event\": 1609099225061045683, \"order_id\": 6, \"action\": \"A\"}\n",
            "Databento order books",
        ),
        (
            "chain.csv",
            "exchange,symbol,timestamp,local_timestamp,type,strike_price,mark_price\n\
             deribit,BTC-28MAR25-1-C,1,1,call,1,1\n",
            "Tardis.dev order books, quotes, option chains",
        ),
        ("20140501_acme_minute_quote.csv", "0,1,2,1,2,5,1,2,1,2,5\n", "Lean quotes"),
        ("ticks.json", "[{\"time\": 1704067200, \"bid\": 1, \"ask\": 2}]", "quotes (bid and ask)"),
        ("ticks.csv", "time,ask,bid,ask_volume,bid_volume\n1,2,3,4,5\n", "quotes (bid and ask)"),
        ("trades.dbn", "DBN\u{1}\u{0}\u{0}GLBX.MDP3", "Databento's binary encoding (DBN)"),
    ] {
        let path = file(&db, name, text);
        let outcome = load(&db, [&path], 1);
        let stderr = outcome.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(stderr.contains(says), "{name}: {stderr}");
    }
}

/// What an independent script reads in the files of real vendors; nothing if they are not here.
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn real_records(folder: &Path) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/real-records");
    match Command::new("python3").arg(&script).arg(folder).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout).unwrap()
        }
        Err(error) => {
            eprintln!("python3 does not run ({error}): real files are not compared");
            Vec::new()
        }
    }
}

/// What is wrong with the refusal of a file, if something is.
fn refusal_fault(folder: &Path, file: &Value) -> Option<String> {
    let name = file["file"].as_str().unwrap();
    let db = TestDb::new(name);
    let outcome = backfill(&db, [folder.join(name)]).run();
    let stderr = outcome.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let says = file["refused"].as_str().unwrap();
    // A file without a byte is legal: it is ignored.
    let code = if says == "ignored" { 0 } else { 1 };
    (outcome.code != Some(code) || !stderr.contains(says))
        .then(|| format!("{:?}: {stderr}", outcome.code))
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn real_records_are_what_a_script_reads_in_them() {
    let Some(folder) = std::env::var_os("TIDEGATE_REAL_DATA").map(PathBuf::from) else {
        eprintln!("TIDEGATE_REAL_DATA is not set: real files are not compared");
        return;
    };
    let mut faults = Vec::new();
    for file in real_records(&folder) {
        let why = if file["unknown"] == true {
            eprintln!("{} is not compared: no script reads it", file["file"]);
            None
        } else if file["refused"].is_string() {
            refusal_fault(&folder, &file)
        } else {
            // What the script reads is all that is there, what breaks a market rule among it.
            fault(&folder, &file, &["--no-check", "all"])
        };
        faults.extend(why.map(|why| format!("{}: {why}", file["file"])));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
