//! What trading programs, brokers' sites and exchanges' interfaces hand out: each fixture of
//! `fixtures/exports` is recognised and loads as `expected.json` says, every row of it, which was
//! written by hand beside the file.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate::dataset;

use crate::records::{stored, texts, wanted};
use crate::support::{TestDb, adds_up, backfill, file, file_entry, load, totals};

fn exports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/exports")
}

fn expected() -> Vec<Value> {
    let text = std::fs::read_to_string(exports().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Layouts that have a fixture here.
pub fn tried() -> BTreeSet<String> {
    expected().iter().map(|export| export["layout"].as_str().unwrap().to_owned()).collect()
}

/// What is wrong with the load of a fixture, if something is. No two have a ticker in common.
fn fault(db: &TestDb<'_>, export: &Value) -> Option<String> {
    let name = export["file"].as_str().unwrap();
    let flags = texts(&export["args"]).into_iter().map(str::to_owned);
    let path = exports().join(name).to_str().unwrap().to_owned();
    let outcome = backfill(db, std::iter::once(path).chain(flags)).run();
    if outcome.code != Some(0) {
        return Some(outcome.stderr);
    }
    let layout = &file_entry(&outcome, name)["layout"];
    if *layout != export["layout"] {
        return Some(format!("it is recognised as {layout}"));
    }
    let rows = export["rows"].as_array().unwrap();
    let skipped = export["skipped"].as_u64().unwrap();
    let counts = ["read", "inserted", "skipped"].map(|name| outcome.total(name));
    if counts != [rows.len() as u64 + skipped, rows.len() as u64, skipped] {
        return Some(format!("{counts:?} records are read, inserted and skipped"));
    }
    let dataset = dataset::by_name(export["dataset"].as_str().unwrap()).unwrap();
    let columns = texts(&export["columns"]);
    let wanted = wanted(dataset, &columns, &export["rows"]);
    let tickers: BTreeSet<&Option<String>> = wanted.iter().map(|row| &row[0]).collect();
    let mut found = stored(db, dataset, &columns);
    found.retain(|row| tickers.contains(&row[0]));
    if found != wanted {
        return Some(format!("{found:?} is stored, not {wanted:?}"));
    }
    let venue = export["venue"].as_str()?;
    let symbol = wanted[0][0].as_deref().unwrap();
    let sql = format!("SELECT venue FROM tickers WHERE symbol = '{symbol}'");
    let venues = db.client().rows(&sql);
    (venues != [[Some(venue.to_owned())]]).then(|| format!("its venue is {venues:?}"))
}

#[test]
fn every_export_is_recognised_and_loads_as_it_stands() {
    let db = TestDb::new("exports");
    let told = |export: &Value| fault(&db, export).map(|why| format!("{}: {why}", export["file"]));
    let faults: Vec<String> = expected().iter().filter_map(told).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn bars_of_the_end_need_an_interval_that_clocks_measure() {
    let db = TestDb::new("stamped end");
    let text = "\"Date\",\"Time\",\"Open\",\"High\",\"Low\",\"Close\",\"Vol\",\"OI\"\n\
                01/02/2024,16:00,1,1,1,1,5,0\n01/31/2024,16:00,1,1,1,1,5,0\n";
    let path = file(&db, "DAYS.txt", text);
    let flags = |interval| ["--symbol", "DAYS", "--tz", "UTC", "--interval", interval];
    let with = |interval| {
        let flags = flags(interval).map(str::to_owned);
        std::iter::once(path.to_str().unwrap().to_owned()).chain(flags)
    };
    let refused = load(&db, with("1d"), 1);
    assert!(refused.stderr.contains("only bars of seconds, minutes and hours"), "{refused:?}");
    let outcome = load(&db, with("1h"), 0);
    adds_up(&db, &outcome);
    assert_eq!(totals(&outcome), [2, 2, 0, 0, 0, 0, 0]);
    let first: String = db.client().query_one("SELECT min(ts)::text FROM market_data");
    assert!(first.starts_with("2024-01-02 15:00:00"), "{first}");
}

#[test]
fn rejects_of_bars_stamped_with_their_end_are_put_back_once() {
    let db = TestDb::new("stamped end, replayed");
    let text = "20240102 143100;10;11;9;x;120\n20240102 143200;10;11;9;10;7\n\
                20240102 143300;10;11;9;10;7\n";
    let path = file(&db, "ACME 03-24.Last.txt", text);
    let outcome = load(&db, [&path], 3);
    assert_eq!(totals(&outcome), [3, 2, 0, 0, 0, 1, 0]);
    let rejects = db.home().join("rejects.csv");
    let words = ["rejects", "export", "--out", rejects.to_str().unwrap()];
    let exported = crate::support::Program::new(&db).args(words).run();
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let mended = std::fs::read_to_string(&rejects).unwrap().replace(";x;", ";10.5;");
    std::fs::write(&rejects, mended).unwrap();
    let words = ["rejects", "replay", rejects.to_str().unwrap()];
    let replayed = crate::support::Program::new(&db).args(words).run();
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let times = db.client().rows(
        "SELECT to_char(ts AT TIME ZONE 'UTC', 'HH24:MI') FROM market_data \
                                  ORDER BY ts",
    );
    let expected = ["14:30", "14:31", "14:32"].map(|clock| [Some(clock.to_owned())]);
    assert_eq!(times, expected);
}

#[test]
fn an_answer_with_several_arrays_is_not_loaded_in_part() {
    let db = TestDb::new("several arrays");
    let bar = r#"{"t":"2024-01-31T14:30:00Z","o":1,"h":1,"l":1,"c":1,"v":1}"#;
    let two = format!(r#"{{"bars":{{"ONE":[{bar}],"TWO":[{bar}]}}}}"#);
    let path = file(&db, "bars_1m.json", two);
    let outcome = load(&db, [&path], 1);
    assert!(outcome.stderr.contains("bars.ONE, bars.TWO: split it, as by jq"), "{outcome:?}");
    // Behind the sample, the second array is a reject, and what is before it is loaded.
    let many: Vec<String> = (0..20_000)
        .map(|at| {
            bar.replace("14:30", &format!("{:02}:{:02}", at / 60 % 24, at % 60))
                .replace("2024-01-31", &format!("20{:02}-01-31", at / 1440 + 10))
        })
        .collect();
    let long = format!(r#"{{"bars":{{"ONE":[{}],"TWO":[{bar}]}}}}"#, many.join(","));
    let path = file(&db, "long_1m.json", long);
    let outcome = load(&db, [&path], 3);
    adds_up(&db, &outcome);
    assert_eq!((outcome.total("inserted"), outcome.total("rejected")), (20_000, 1));
}

#[test]
fn what_is_no_table_of_records_is_refused_by_its_name() {
    let db = TestDb::new("refused exports");
    for (name, text, says) in [
        (
            "query.json",
            r#"{"Meta Data": {"2. Symbol": "IBM"}, "Time Series (1min)": {"2024-01-31": {}}}"#,
            "datatype=csv",
        ),
        ("20240131.json", r#"{"119455394": "d291a", "119455395": "d291b"}"#, "data.everef.net"),
        (
            "AAPL.json",
            r#"{"chart": {"result": [{"timestamp": [1], "indicators": {}}], "error": null}}"#,
            "let yfinance write a table",
        ),
        ("udf.json", r#"{"s":"ok","t":[1],"o":[1],"h":[1],"l":[1],"c":[1],"v":[1]}"#, "transpose"),
        (
            "wide.csv",
            "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n\
             Ticker,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT\n\
             Date,,,,,,,,,,\n2024-01-02,1,1,1,1,1,1,1,1,1,1\n",
            "stack(level=1)",
        ),
        (
            "old.csv",
            ",Adj Close,Adj Close,Close,Close,High,High,Low,Low,Open,Open\n\
             ,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT\n\
             Date,,,,,,,,,,\n2024-01-02,1,1,1,1,1,1,1,1,1,1\n",
            "stack(level=1)",
        ),
        (
            "20240102.csv",
            "#symbol_id,symbol_value,open,high,low,close,volume,open_interest\n\
             ACME 1,ACME,1,1,1,1,1,\n",
            "Lean option universes",
        ),
        ("bitfinex_trades.json", "[[1,1704067200123,-0.5,42241]]", "sign of the amount"),
        ("DAT_NT_EURUSD_T_BID_201902.csv", "20190201 000000;1.14;0\n", "minute bars (M1)"),
        (
            "ticks.csv",
            "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\n2024.01.02\t00:00:00.1\t1\t2\t\t\n",
            "quotes",
        ),
        ("day.pcap", "\n\r\r\n\u{1}ab", "packets"),
    ] {
        let path = file(&db, name, text);
        let outcome = load(&db, [&path], 1);
        let stderr = outcome.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(stderr.contains(says), "{name}: {stderr}");
    }
}

#[test]
fn dates_that_read_both_ways_are_asked_about() {
    let db = TestDb::new("both ways");
    let text = "\"Date\",\"Price\",\"Open\",\"High\",\"Low\",\"Vol.\",\"Change %\"\n\
                \"01/02/2024\",\"1\",\"1\",\"1\",\"1\",\"1M\",\"0%\"\n\
                \"01/01/2024\",\"1\",\"1\",\"1\",\"1\",\"1M\",\"0%\"\n";
    let path = file(&db, "ACME Historical Data.csv", text);
    let with = |flags: &[&str]| {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
        std::iter::once(path.to_str().unwrap().to_owned()).chain(flags)
    };
    let asked = load(&db, with(&["--interval", "1mo"]), 1);
    assert!(asked.stderr.contains("--layout investing_day_first"), "{asked:?}");
    load(&db, with(&["--interval", "1mo", "--layout", "investing_day_first"]), 0);
    let last: String = db.client().query_one("SELECT max(ts)::date::text FROM market_data");
    assert_eq!(last, "2024-02-01");
}
