//! `gaps`: bars that were left out of a load are found again, by calendar, and nothing else is.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::support::{Program, TestDb};

/// Loads bars of one ticker at these times.
fn load(db: &TestDb<'_>, symbol: &str, interval: &str, times: &[Timestamp]) {
    let path = db.home().join(format!("{symbol}.csv"));
    let mut text = String::from("symbol,interval,ts,open,high,low,close,volume\n");
    for ts in times {
        text.push_str(&format!("{symbol},{interval},{ts},1,2,0.5,1.5,10\n"));
    }
    std::fs::write(&path, text).expect("the folder is writable");
    let program = Program::new(db).args(["backfill", "--progress", "none"]).arg(&path);
    let _ = program.run().expect_code(0);
}

fn gaps(db: &TestDb<'_>, args: &[&str]) -> Value {
    let outcome = Program::new(db).arg("gaps").args(args).arg("--json").run().expect_code(0);
    serde_json::from_str(&outcome.stdout).expect("JSON")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// So many steps of so many minutes from a time on.
fn every(minutes: i64, from: &str, count: i64) -> Vec<Timestamp> {
    let first = at(from).as_second();
    let time = |step: i64| Timestamp::from_second(first + step * minutes * 60).expect("a time");
    (0..count).map(time).collect()
}

#[test]
fn what_was_left_out_is_found() {
    let db = TestDb::new("gaps");
    // 3,000 hours, over several partitions, without these.
    let left_out: BTreeSet<i64> = [10, 11, 12, 500, 2_998].into();
    let all = every(60, "2024-01-01T00:00:00Z", 3_000);
    let kept = (0..).zip(&all).filter(|(at, _)| !left_out.contains(at)).map(|(_, ts)| *ts);
    load(&db, "COIN", "1h", &kept.collect::<Vec<_>>());
    load(&db, "FULL", "1h", &all);
    let found = gaps(&db, &[]);
    assert_eq!((&found["missing"], &found["expected"]), (&Value::from(5), &Value::from(6_000)));
    let coin = &found["series"][0];
    assert_eq!((&coin["symbol"], &coin["calendar"]), (&"COIN".into(), &"24x7".into()), "{found}");
    assert_eq!((&coin["gaps"], &coin["missing"]), (&3.into(), &5.into()), "{found}");
    let list = coin["list"].as_array().expect("a list");
    let ranges: Vec<(Timestamp, Timestamp)> = list
        .iter()
        .map(|gap| {
            (at(gap["from"].as_str().expect("a time")), at(gap["to"].as_str().expect("a time")))
        })
        .collect();
    assert_eq!(ranges, [(all[10], all[12]), (all[500], all[500]), (all[2_998], all[2_998])]);
    assert_eq!(found["series"][1]["missing"], 0);
    // A range that begins before the first bar and ends after the last lacks those too.
    let range = ["--ticker", "COIN", "--from", "2023-12-31", "--to", "2024-05-05T03:00:00Z"];
    let found = gaps(&db, &range);
    assert_eq!(found["series"].as_array().map(Vec::len), Some(1));
    assert_eq!(found["missing"], 24 + 5 + 3, "{found}");
    assert_eq!(gaps(&db, &["--interval", "1d"])["series"], serde_json::json!([]));
    let people = Program::new(&db).arg("gaps").run().expect_code(0);
    assert!(people.stdout.contains("COIN") && people.stderr.contains("5 bars"), "{people:?}");
    let _ = Program::new(&db).args(["gaps", "--ticker", "NONE"]).run().expect_code(1);
    let _ = Program::new(&db).args(["gaps", "--calendar", "moon"]).run().expect_code(2);
}

#[test]
fn sessions_holidays_and_early_closes_are_no_gaps() {
    let db = TestDb::new("sessions");
    // New York from 3 to 8 July 2024: an early close, a holiday, a day, a weekend, a day.
    let mut times = every(1, "2024-07-03T13:30:00Z", 210);
    times.extend(every(1, "2024-07-05T13:30:00Z", 390));
    times.extend(every(1, "2024-07-08T13:30:00Z", 390));
    times.remove(300);
    load(&db, "STOCK", "1m", &times);
    let found = gaps(&db, &["--calendar", "nyse"]);
    assert_eq!((&found["missing"], &found["expected"]), (&1.into(), &990.into()), "{found}");
    // Daily bars, one of which is missing; their own days tell that weekends are free.
    let days = ["2024-07-01", "2024-07-02", "2024-07-03", "2024-07-05", "2024-07-09"];
    let days = days.map(|day| at(&format!("{day}T00:00:00Z")));
    load(&db, "DAYS", "1d", &days);
    let missing = |calendar: &[&str]| {
        gaps(&db, &[&["--interval", "1d"], calendar].concat())["missing"].as_u64()
    };
    assert_eq!(missing(&["--calendar", "nyse"]), Some(1));
    assert_eq!(missing(&[]), Some(2), "weekdays, with the holiday");
    assert_eq!(missing(&["--calendar", "24x7"]), Some(4));
    let own = db.home().join("own.toml");
    let text = "name = \"own\"\nzone = \"America/New_York\"\nsessions = [\"09:30-16:00\"]\n\
        holidays = [\"2024-07-04\", \"2024-07-08\"]\n[early]\n\"2024-07-03\" = \"13:00\"\n";
    std::fs::write(&own, text).expect("the folder is writable");
    assert_eq!(missing(&["--calendar", own.to_str().expect("a plain path")]), Some(0));
}

#[test]
fn more_gaps_than_a_page_are_all_counted() {
    let db = TestDb::new("many gaps");
    let every_other: Vec<Timestamp> = every(2, "2024-01-01T00:00:00Z", 12_001);
    load(&db, "ODD", "1m", &every_other);
    let found = gaps(&db, &["--calendar", "24x7"]);
    assert_eq!((&found["missing"], &found["series"][0]["gaps"]), (&12_000.into(), &12_000.into()));
    assert_eq!(found["series"][0]["list"].as_array().map(Vec::len), Some(1_000));
}

#[test]
fn a_database_without_bars_has_no_gaps() {
    let db = TestDb::new("no bars");
    let found = gaps(&db, &[]);
    assert_eq!(found["missing"], 0);
    let _ = Program::new(&db).args(["migrate", "up"]).run().expect_code(0);
    assert_eq!(gaps(&db, &[])["series"], serde_json::json!([]));
}
