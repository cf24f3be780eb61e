//! Load-test data: the same rows in every form of files and straight into the database, loaded once
//! however often they are made, without a reject and without a warning.

use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::json;
use tidegate::dataset::{self, Column, Dataset};
use tidegate::mapping::ValueKind;

use crate::support::{BARS, Outcome, Program, TestDb, adds_up, load, totals};

/// Records of each dataset in these tests: more than a game's snapshots and a group of orders.
const ROWS: &str = "700";

fn generate<'a>(db: &TestDb<'_>, args: impl IntoIterator<Item = &'a str>) -> Program {
    Program::new(db).args(["generate", "--progress", "none"]).args(args)
}

/// Makes records straight into the database.
fn into(db: &TestDb<'_>, args: &[&str]) -> Outcome {
    let outcome = generate(db, args.iter().copied()).arg("--into").report_json().run();
    let outcome = outcome.expect_code(0);
    adds_up(db, &outcome);
    outcome
}

/// Makes files in a folder of the database's home.
fn files(db: &TestDb<'_>, folder: &str, args: &[&str]) -> PathBuf {
    let path = db.home().join(folder);
    let outcome = generate(db, args.iter().copied()).arg("--out").arg(&path).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    path
}

/// All rows of a dataset's tables, with tickers by name, sorted.
fn stored(db: &TestDb<'_>, dataset: &Dataset) -> Vec<Vec<Vec<Option<String>>>> {
    let tables = std::iter::once(dataset.table.to_string())
        .chain(dataset.children.iter().map(|child| child.table.to_string()));
    let client = db.client();
    tables
        .map(|table| {
            let sql = match dataset.ticker {
                Some(_) => format!(
                    "SELECT k.symbol, to_jsonb(t) - 'ticker_id' FROM {table} t \
                     JOIN public.tickers k ON k.id = t.ticker_id"
                ),
                None => format!("SELECT to_jsonb(t) FROM {table} t"),
            };
            // A decimal of a Parquet file has all its places.
            let trimmed = |column: &&Column| column.kind == ValueKind::Decimal;
            let decimals: Vec<String> = dataset
                .columns
                .iter()
                .filter(trimmed)
                .map(|column| format!("UPDATE {table} SET {0} = trim_scale({0});", column.name))
                .collect();
            if *table == dataset.table.to_string() {
                client.execute(&decimals.concat());
            }
            let mut rows = client.rows(&sql);
            rows.sort();
            rows
        })
        .collect()
}

#[test]
fn files_of_every_form_and_the_database_hold_the_same_rows() {
    let direct = TestDb::new("generate_into");
    for dataset in dataset::ALL {
        let args = [dataset.name, "--rows", ROWS];
        let outcome = into(&direct, &args);
        assert_eq!(totals(&outcome), [700, 700, 0, 0, 0, 0, 0], "{}", dataset.name);
        let report = outcome.report();
        assert_eq!(report["warnings_by_rule"], json!({}), "{}", dataset.name);
        assert_eq!(report["command"], "generate");
        // The same again adds nothing.
        let again = into(&direct, &args);
        assert_eq!(again.total("inserted"), 0, "{}", dataset.name);
        let entry = &again.report()["files"][0];
        assert_eq!(entry["already_loaded"], true, "{}", dataset.name);
    }
    for form in ["csv", "ndjson", "parquet", "archive"] {
        let db = TestDb::new(&format!("generate_{form}"));
        for dataset in dataset::ALL {
            let documents = !dataset.children.is_empty();
            let suits = match form {
                "archive" => documents,
                "ndjson" => true,
                _ => !documents,
            };
            if !suits {
                continue;
            }
            let args = [dataset.name, "--rows", ROWS, "--format", form];
            let folder = files(&db, dataset.name, &args);
            let outcome = load(&db, [folder], 0);
            assert_eq!(totals(&outcome), [700, 700, 0, 0, 0, 0, 0], "{}", dataset.name);
            assert!(stored(&db, dataset) == stored(&direct, dataset), "{form}: {}", dataset.name);
        }
    }
    // What was generated into the database is known when it comes as a file.
    let folder = files(&direct, "bars", &["bars", "--rows", ROWS]);
    let outcome = load(&direct, [folder], 0);
    assert_eq!(outcome.report()["files"][0]["already_loaded"], true);
    // Another seed is other data.
    let other = into(&direct, &["orders", "--rows", "100", "--seed", "2"]);
    assert_eq!(other.total("inserted"), 100);
}

/// What is stored of bars, whatever the venue is.
const SAME: &str = "SELECT symbol, interval, ts, open, high, low, close, volume FROM (";

#[test]
fn files_in_the_layouts_of_vendors_hold_the_same_bars() {
    for (layout, args) in [
        ("binance_klines", ["--tickers", "BTCUSDT,ETHUSDT", "--interval", "1h"]),
        ("kraken_ohlcvt", ["--tickers", "SOLUSDT", "--interval", "5m"]),
        ("stooq", ["--tickers", "ACME.US", "--interval", "1d"]),
        ("databento_ohlcv", ["--tickers", "ACME,WONKA", "--interval", "1m"]),
        ("histdata", ["--tickers", "EURUSD", "--interval", "1m"]),
        ("firstrate", ["--tickers", "ACME", "--interval", "1m"]),
        ("polygon_aggregates", ["--tickers", "ACME,WONKA", "--interval", "1m"]),
    ] {
        let args = [&["bars", "--rows", "300"], &args[..]].concat();
        let db = TestDb::new(&format!("generate_{layout}"));
        let with_layout = [&args[..], &["--layout", layout]].concat();
        let folder = files(&db, "vendor", &with_layout);
        let outcome = load(&db, [folder], 0);
        assert_eq!(totals(&outcome), [300, 300, 0, 0, 0, 0, 0], "{layout}");
        for file in outcome.report()["files"].as_array().expect("files") {
            assert_eq!(file["layout"], layout);
        }
        let plain = TestDb::new("generate_plain");
        into(&plain, &args);
        let sql = format!("{SAME}{BARS}) b ORDER BY 1, 2, 3");
        assert_eq!(db.client().rows(&sql), plain.client().rows(&sql), "{layout}");
        // The same files without touching the disk.
        let again = into(&db, &with_layout);
        assert_eq!(again.total("inserted"), 0, "{layout}: known by its content");
    }
}

#[test]
fn a_layout_that_cannot_be_written_is_refused_with_the_reason() {
    let db = TestDb::new("generate_refused");
    let out = db.home().join("out");
    for (args, why) in [
        (["bars", "--layout", "metatrader4"], "of a clock that only the user knows"),
        (["bars", "--layout", "binance_klines_json"], "only layouts of text"),
        (["bars", "--layout", "no_such"], "there is no such layout"),
        (["orders", "--layout", "stooq"], "is of bars, not of orders"),
        (["bars", "--layout", "stooq"], "cannot be written"),
    ] {
        let outcome = generate(&db, args).args(["--rows", "10", "--out"]).arg(&out).run();
        assert!(outcome.code != Some(0) && outcome.stderr.contains(why), "{}", outcome.stderr);
    }
}

#[test]
fn bars_are_like_those_of_a_file() {
    let db = TestDb::new("generate_like");
    let args = ["bars", "--rows", "6000", "--tickers", "ETHUSDT", "--interval", "5m"];
    let folder = files(&db, "real", &[&args[..], &["--layout", "binance_klines"]].concat());
    let real = std::fs::read_dir(&folder).expect("files").next().expect("a file").expect("one");
    let out = db.home().join("made");
    let outcome = generate(&db, ["bars", "--rows", "3000", "--tickers", "LIKE", "--seed", "9"])
        .args(["--format", "csv", "--like"])
        .arg(real.path())
        .arg("--out")
        .arg(&out)
        .run()
        .expect_code(0);
    assert!(outcome.stderr.contains("around the clock"), "{}", outcome.stderr);
    let read = |folder: &PathBuf| {
        let outcome = load(&db, [folder], 0);
        assert_eq!(outcome.total("rejected"), 0);
        assert_eq!(outcome.report()["warnings_by_rule"], json!({}));
    };
    read(&folder);
    read(&out);
    let figures = |symbol: &str| {
        let sql = format!(
            "SELECT interval, round(avg(ln(close))::numeric, 2)::float8, \
             stddev(ln(close / open)), avg(volume), avg(trade_count)::float8 \
             FROM market_data m JOIN tickers k ON k.id = m.ticker_id WHERE symbol = '{symbol}' \
             GROUP BY 1"
        );
        let rows = db.client().rows(&sql);
        assert_eq!(rows.len(), 1, "one interval");
        assert_eq!(rows[0][0].as_deref(), Some("5m"));
        let number = |at: usize| rows[0][at].as_deref().expect("a number").parse::<f64>();
        [1, 2, 3, 4].map(|at| number(at).expect("a number"))
    };
    let (one, other) = (figures("ETHUSDT"), figures("LIKE"));
    assert!((one[0] - other[0]).abs() < 0.4, "level: {one:?} {other:?}");
    for at in 1..4 {
        let ratio = other[at] / one[at];
        assert!((0.4..2.5).contains(&ratio), "{at}: {one:?} {other:?}");
    }
}

#[test]
fn files_are_whole_or_not_there_and_are_not_replaced_unasked() {
    let db = TestDb::new("generate_files");
    let out = db.home().join("out");
    let args = ["orders", "--rows", "400k", "--rate", "50000"];
    let mut running = generate(&db, args).arg("--out").arg(&out).spawn();
    while !out.join("orders-1-00001.csv").exists() && running.is_running() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running.signal(Signal::INT);
    let outcome = running.wait().expect_code(130);
    assert!(outcome.stderr.contains("interrupted"), "{}", outcome.stderr);
    let mut there: Vec<String> = std::fs::read_dir(&out)
        .expect("a folder")
        .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    there.sort();
    assert!(!there.is_empty() && there.len() < 4, "{there:?}");
    for name in &there {
        let text = std::fs::read_to_string(out.join(name)).expect("a file");
        assert_eq!((text.lines().count(), text.ends_with('\n')), (100_001, true), "{name}");
    }
    let small = ["orders", "--rows", "20"];
    let refused = generate(&db, small).arg("--out").arg(&out).run().expect_code(1);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    let replaced = generate(&db, small).arg("--yes").arg("--out").arg(&out).run();
    assert_eq!(replaced.code, Some(0), "{}", replaced.stderr);
    let text = std::fs::read_to_string(out.join("orders-1-00001.csv")).expect("a file");
    assert_eq!(text.lines().count(), 21);
}

#[test]
fn games_and_markets_make_snapshots_with_prices() {
    let db = TestDb::new("generate_games");
    for (dataset, rows) in
        [("games", "3"), ("game_states", "900"), ("kalshi_markets", "6"), ("kalshi_trades", "3000")]
    {
        into(&db, &[dataset, "--rows", rows, "--tickers", "3"]);
    }
    let migrated = Program::new(&db).args(["migrate", "up"]).run();
    assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
    let refreshed = Program::new(&db).args(["refresh"]).run();
    assert_eq!(refreshed.code, Some(0), "{}", refreshed.stderr);
    let priced: i64 = db.client().query_one(
        "SELECT count(*) FROM derived.snapshot_features_trade_v1 \
         WHERE home_price IS NOT NULL AND away_price IS NOT NULL",
    );
    assert!(priced > 850, "{priced} of 900 snapshots have prices");
}
