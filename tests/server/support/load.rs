//! Loads through the program, with its accounts checked against the ledger each time.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use super::{Client, Outcome, Program, TestDb};

/// The counts of records, as reports and ledger name them.
pub const COUNTS: [&str; 7] =
    ["read", "inserted", "updated", "duplicate", "conflicting", "rejected", "skipped"];

/// What is stored, with tickers by name: the same in any database, whatever their ids are.
pub const BARS: &str = "SELECT k.symbol, k.venue, m.interval, m.ts, m.open, m.high, m.low, \
     m.close, m.volume, m.quote_volume, m.trade_count \
     FROM market_data m JOIN tickers k ON k.id = m.ticker_id";

/// `backfill` with a JSON report and no progress, not started yet.
pub fn backfill<A: Into<std::ffi::OsString>>(
    db: &TestDb<'_>,
    args: impl IntoIterator<Item = A>,
) -> Program {
    Program::new(db).args(["backfill", "--progress", "none"]).args(args).report_json()
}

/// Loads, expects this exit code, and checks that the accounts add up.
pub fn load<A: Into<std::ffi::OsString>>(
    db: &TestDb<'_>,
    args: impl IntoIterator<Item = A>,
    code: i32,
) -> Outcome {
    let outcome = backfill(db, args).run().expect_code(code);
    adds_up(db, &outcome);
    outcome
}

/// Writes a file into the database's folder.
pub fn file(db: &TestDb<'_>, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = db.home().join(name);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).expect("the home is writable");
    }
    std::fs::write(&path, content).expect("the home is writable");
    path
}

/// A canonical file of one ticker's minute bars: `(minute, close)` of each; open, high and low are
/// the close.
pub fn closes(bars: &[(u32, &str)]) -> String {
    let mut text = String::from("symbol,interval,ts,open,high,low,close,volume\n");
    for (minute, close) in bars {
        let (hour, minute) = (9 + minute / 60, minute % 60);
        let ts = format!("2024-06-03T{hour:02}:{minute:02}:00Z");
        let _ = writeln!(text, "ACME,1m,{ts},{close},{close},{close},{close},1");
    }
    text
}

/// A count in an object of a report.
pub fn count(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_else(|| panic!("{name} is no count: {object}"))
}

/// The totals in the order of [`COUNTS`].
pub fn totals(outcome: &Outcome) -> [u64; 7] {
    COUNTS.map(|name| outcome.total(name))
}

/// The entry of a report for the source whose name ends so.
pub fn file_entry<'a>(outcome: &'a Outcome, name: &str) -> &'a Value {
    let files = outcome.report()["files"].as_array().expect("a list of files");
    let found = files.iter().find(|file| file["source"].as_str().unwrap_or("").ends_with(name));
    found.unwrap_or_else(|| panic!("{name} is not in the report: {files:?}"))
}

/// Fails unless the report balances, file by file and in total, and is what the ledger says of the
/// run, and every sealed load of it balances with its portions and rejects.
pub fn adds_up(db: &TestDb<'_>, outcome: &Outcome) {
    let report = outcome.report();
    let balanced = |object: &Value| {
        let [read, inserted, updated, duplicate, conflicting, rejected, skipped] =
            COUNTS.map(|name| count(object, name));
        assert_eq!(read, inserted + updated + duplicate + rejected + skipped, "{object}");
        assert!(conflicting <= duplicate, "{object}");
    };
    balanced(&report["totals"]);
    let files = report["files"].as_array().expect("a list of files");
    files.iter().for_each(balanced);
    for name in COUNTS {
        let own = files.iter().filter(|file| file["already_loaded"] == false);
        let sum: u64 = own.map(|file| count(file, name)).sum();
        assert_eq!(sum, outcome.total(name), "the files' {name}");
    }
    let client = db.client();
    let run = report["run_id"].as_str().expect("a run's number");
    for name in COUNTS {
        let sql = format!(
            "SELECT coalesce(sum((SELECT sum(n) FROM unnest({name}) n)), 0)::bigint \
             FROM tidegate.portion WHERE run_id = {run}"
        );
        assert_eq!(client.query_one::<i64>(&sql) as u64, outcome.total(name), "ledger's {name}");
    }
    rejects_are_recorded(&client, report, run);
    let open = "SELECT source FROM tidegate.load l WHERE sealed_at IS NOT NULL AND (\
        read <> inserted + updated + duplicate + rejected + skipped \
        OR rejected <> (SELECT count(*) FROM tidegate.reject r WHERE r.load_id = l.id) \
        OR read <> (SELECT sum(p.read[l.set_ordinal]) FROM tidegate.portion p \
                    WHERE p.set_id = l.set_id) AND span_end > 0 \
        OR span_end <> (SELECT coalesce(max(p.span_end), 0) FROM (\
            SELECT span_end, 1 AS set_ordinal, p.set_id FROM tidegate.portion p \
                JOIN tidegate.load_set s ON s.id = p.set_id AND s.strategy = 'direct' \
            UNION ALL SELECT span_end, set_ordinal, set_id FROM tidegate.stretch) p \
            WHERE p.set_id = l.set_id AND p.set_ordinal = l.set_ordinal))";
    assert_eq!(client.rows(open), Vec::<Vec<_>>::new(), "sealed loads that do not balance");
}

fn rejects_are_recorded(client: &Client, report: &Value, run: &str) {
    let sql = format!(
        "SELECT rule, count(*) FROM tidegate.reject WHERE run_id = {run} GROUP BY 1 ORDER BY 1"
    );
    let recorded: Vec<(String, String)> = client
        .rows(&sql)
        .into_iter()
        .map(|row| (row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default()))
        .collect();
    let rules = report["rejects_by_rule"].as_object().expect("rejects by rule");
    let mut reported: Vec<(String, String)> =
        rules.iter().map(|(rule, n)| (rule.clone(), n.to_string())).collect();
    reported.sort();
    assert_eq!(reported, recorded, "rejects by rule");
}
