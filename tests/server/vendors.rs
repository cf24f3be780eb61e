//! The layouts of vendors: each fixture of `fixtures/vendors` is recognised and loads as
//! `expected.json` says, which its maker wrote without a look at the loader.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Client, TestDb, adds_up, backfill, file_entry};

fn vendors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vendors")
}

/// What each fixture must load as.
fn expected() -> Vec<Value> {
    let text = std::fs::read_to_string(vendors().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Every stored bar in order of time: symbol, interval, time, prices, volumes, count.
fn stored(client: &Client) -> Vec<Vec<Option<String>>> {
    client.rows(
        "SELECT k.symbol, m.interval, to_char(m.ts AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), \
         m.open, m.high, m.low, m.close, m.volume, m.quote_volume, m.trade_count \
         FROM market_data m JOIN tickers k ON k.id = m.ticker_id \
         ORDER BY m.ts, k.symbol COLLATE \"C\"",
    )
}

/// Whether a stored value is the expected one; numbers to their last bit.
fn same(found: Option<&str>, expected: &Value) -> bool {
    match (found, expected) {
        (None, Value::Null) => true,
        (Some(found), Value::String(text)) => found == text,
        (Some(found), Value::Number(number)) => {
            found.parse::<f64>().unwrap().to_bits() == number.as_f64().unwrap().to_bits()
        }
        _ => false,
    }
}

/// What is wrong with the load of a fixture, if something is.
fn fault(vendor: &Value) -> Option<String> {
    let name = vendor["file"].as_str().unwrap();
    let db = TestDb::new(name);
    let flags = vendor["args"].as_array().unwrap().iter();
    let flags = flags.map(|flag| flag.as_str().unwrap().to_owned());
    let file = vendors().join(name).to_str().unwrap().to_owned();
    let outcome = backfill(&db, std::iter::once(file).chain(flags)).run();
    if outcome.code != Some(0) {
        return Some(outcome.stderr);
    }
    adds_up(&db, &outcome);
    let layout = &file_entry(&outcome, name)["layout"];
    if *layout != vendor["layout"] {
        return Some(format!("it is recognised as {layout}"));
    }
    let rows = stored(&db.client());
    let counts = [rows.len() as u64, outcome.total("skipped")];
    if counts != [&vendor["bars"], &vendor["skipped"]].map(|count| count.as_u64().unwrap()) {
        return Some(format!("{counts:?} bars are stored and skipped"));
    }
    for (row, expected) in [(rows.first(), &vendor["first"]), (rows.last(), &vendor["last"])] {
        let (row, expected) = (row.unwrap(), expected.as_array().unwrap());
        if !row.iter().zip(expected).all(|(found, want)| same(found.as_deref(), want)) {
            return Some(format!("{row:?} is stored, not {expected:?}"));
        }
    }
    let venues = db.client().rows("SELECT DISTINCT venue FROM tickers");
    let venue = venues[0][0].as_deref();
    (venue != vendor["venue"].as_str()).then(|| format!("its venue is {venue:?}"))
}

#[test]
fn every_vendors_file_is_recognised_and_loads_as_it_stands() {
    let told = |vendor: &Value| fault(vendor).map(|why| format!("{}: {why}", vendor["file"]));
    let faults: Vec<String> = expected().iter().filter_map(told).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_layout_of_bars_in_text_has_a_fixture() {
    let vendors = expected();
    let own = vendors.iter().map(|vendor| vendor["layout"].as_str().unwrap().to_owned());
    let others = crate::records::tried().into_iter().chain(crate::exports::tried());
    let tried: BTreeSet<String> = own.chain(others).collect();
    // These have theirs in fixtures/bars.
    let elsewhere = ["cryptodatadownload", "histdata", "kraken_ohlcvt", "stooq"];
    for layout in tidegate::layout::registry().unwrap() {
        let text = layout.format == tidegate::layout::Format::Text && layout.refuse.is_none();
        let name = layout.name.as_str();
        let known = tried.contains(name) || elsewhere.contains(&name);
        assert!(known || !text || layout.dataset.name != "bars", "{name} has no fixture");
    }
}

/// What an independent script counts in the files of real vendors; nothing if they are not here.
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn figures(folder: &Path) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/real-figures");
    let output = match Command::new("python3").arg(&script).arg(folder).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("python3 does not run ({error}): real files are not compared");
            return Vec::new();
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is wrong with the load of a real file, if something is.
fn real_fault(folder: &Path, known: &Value) -> Option<String> {
    let name = known["file"].as_str().unwrap();
    let db = TestDb::new(name);
    let flags = known["args"].as_array().unwrap().iter();
    let flags = flags.map(|flag| flag.as_str().unwrap().to_owned());
    // What the script counts is all that is there, bars that break a market rule among it.
    let flags = flags.chain(["--no-check".to_owned(), "all".to_owned()]);
    let path = folder.join(name).to_str().unwrap().to_owned();
    let outcome = backfill(&db, std::iter::once(path).chain(flags)).run();
    if outcome.code != Some(0) {
        return Some(outcome.stderr);
    }
    adds_up(&db, &outcome);
    let layout = &outcome.report()["files"][0]["layout"];
    let counts = [outcome.total("read"), outcome.total("inserted")];
    if *layout != known["layout"]
        || counts != [&known["records"], &known["bars"]].map(|count| count.as_u64().unwrap())
    {
        return Some(format!("layout {layout}, {counts:?} records and bars"));
    }
    let rows = stored(&db.client());
    for (row, expected) in [(rows.first(), &known["first"]), (rows.last(), &known["last"])] {
        let (row, expected) = (row.unwrap(), expected.as_array().unwrap());
        let at = [0, 2, 3, 4, 5, 6, 7];
        if !at.iter().zip(expected).all(|(at, want)| same(row[*at].as_deref(), want)) {
            return Some(format!("{row:?} is stored, not {expected:?}"));
        }
    }
    let sql = "SELECT min(low), max(high), min(close), max(close), max(volume), min(interval) \
               FROM market_data";
    let extremes = db.client().rows(sql).remove(0);
    let names = ["low", "high", "least_close", "most_close", "most_volume", "interval"];
    let right = |(found, name): (&Option<String>, &&str)| same(found.as_deref(), &known[*name]);
    let all = extremes.iter().zip(&names).all(right);
    (!all).then(|| format!("{names:?} are {extremes:?}"))
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn real_files_hold_what_a_script_counts_in_them() {
    let Some(folder) = std::env::var_os("TIDEGATE_REAL_DATA").map(PathBuf::from) else {
        eprintln!("TIDEGATE_REAL_DATA is not set: real files are not compared");
        return;
    };
    let told =
        |file: &Value| real_fault(&folder, file).map(|why| format!("{}: {why}", file["file"]));
    let faults: Vec<String> = figures(&folder).iter().filter_map(told).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
