//! `loadtest`: rows at a rate, queries beside, targets held or missed, nothing left behind.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Program, TestDb};

fn migrated(domain: &str) -> TestDb<'static> {
    let db = TestDb::new("loadtest");
    let _ = Program::new(&db).args(["migrate", "up", "--domain", domain]).run().expect_code(0);
    db
}

fn test(db: &TestDb<'_>, args: &[&str]) -> (i32, Value, String) {
    let program = Program::new(db).args(["loadtest", "--json", "--batch-interval", "100ms"]);
    let ended = program.args(args.iter().copied()).run();
    let json = serde_json::from_str(&ended.stdout).unwrap_or_default();
    (ended.code.unwrap(), json, ended.stderr)
}

fn count(db: &TestDb<'_>, table: &str) -> i64 {
    db.client().query_one(&format!("SELECT count(*) FROM {table}"))
}

#[test]
fn rows_are_written_at_the_rate_and_queries_asked_beside() {
    let db = migrated("trading");
    // Whether targets hold is the machine's business here; that all is told is ours.
    let (code, json, stderr) =
        test(&db, &["--rate", "500", "--duration", "3s", "--queries", "2", "--keep"]);
    assert!(code == 0 || code == 1, "{stderr}");
    let level = &json["levels"][0];
    assert_eq!(code == 0, level["held"] == true, "{stderr}");
    let (due, written) =
        (level["rows_due"].as_u64().unwrap(), level["rows_written"].as_u64().unwrap());
    assert_eq!(due, 1_500, "{level:#}");
    // Those before the first question came on top.
    assert_eq!(count(&db, "trades") as u64, written + 500);
    let batches = level["write_latency"]["count"].as_u64().unwrap();
    assert!(batches >= level["batches"].as_u64().unwrap() && batches > 0, "{level:#}");
    let queries = level["queries"].as_array().unwrap();
    for name in ["recent_trades", "volume_24h", "statistics_24h"] {
        let query = queries.iter().find(|query| query["query"] == name).unwrap();
        let latency = &query["latency"];
        // Two workers, ten times a second, three queries in turn, 3 seconds.
        assert_eq!(latency["count"], 20, "every question counts, however late: {query:#}");
        assert!(latency["p50_ms"].as_f64() <= latency["p95_ms"].as_f64(), "{query:#}");
        assert!(query["service"]["count"].as_u64() <= latency["count"].as_u64());
    }
    assert!(level["server"]["wal_bytes"].as_f64().unwrap() > 0.0, "{level:#}");
    // Times are of now, keys are marked, and the table is not empty any more.
    let client = db.client();
    let wrong: i64 = client.query_one(
        "SELECT count(*) FROM trades WHERE trade_id NOT LIKE 'loadtest-%' \
         OR executed_at NOT BETWEEN now() - interval '10 minutes' AND now() + interval '1 minute'",
    );
    assert_eq!(wrong, 0);
    let (code, _, stderr) = test(&db, &["--duration", "1s"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("--yes") && stderr.contains("--clean"), "{stderr}");
    client.execute(
        "INSERT INTO trades (trade_id, symbol, buyer_user_id, seller_user_id, price, quantity, \
         is_buyer_maker, executed_at) VALUES ('mine', 'X', 'a', 'b', 1, 1, true, now())",
    );
    let (code, ..) = test(&db, &["--clean"]);
    assert_eq!((code, count(&db, "trades")), (0, 1));
}

#[test]
fn what_was_written_goes_and_what_was_there_stays() {
    let db = migrated("trading");
    let mine = "INSERT INTO trades (trade_id, symbol, buyer_user_id, seller_user_id, price, \
                quantity, is_buyer_maker, executed_at) \
                VALUES ('mine', 'X', 'a', 'b', 1, 1, true, now())";
    db.client().execute(mine);
    let (_, json, stderr) =
        test(&db, &["--rate", "2000", "--rows", "900", "--yes", "--queries", "0"]);
    let level = &json["levels"][0];
    assert_eq!(level["ended_early"], true, "the rows were spent: {stderr}");
    assert_eq!(json["rows_removed"], 1_800.min(level["rows_written"].as_u64().unwrap() + 900));
    assert_eq!(
        db.client().query_one::<String>("SELECT string_agg(trade_id, '') FROM trades"),
        "mine"
    );
}

#[test]
fn a_ramp_ends_at_the_rate_that_misses() {
    let db = migrated("trading");
    // No server writes a million rows a second through twelve indexes.
    let (code, json, stderr) = test(
        &db,
        &[
            "--rate",
            "20",
            "--ramp=100",
            "--step",
            "2s",
            "--queries",
            "0",
            "--rows",
            "60000",
            "--duration",
            "60s",
        ],
    );
    let levels = json["levels"].as_array().unwrap();
    assert!(levels.len() >= 2, "{stderr}");
    assert_eq!((code, &levels[0]["held"]), (0, &Value::Bool(true)), "{stderr}");
    let knee = json["knee_rows_per_s"].as_f64().unwrap();
    assert!((20.0..=2_000.0).contains(&knee), "{json:#}");
    assert_eq!(count(&db, "trades"), 0);
}

#[test]
fn ctrl_c_ends_it_with_what_was_measured() {
    let db = migrated("trading");
    let program =
        Program::new(&db).args(["loadtest", "--json", "--rate", "200", "--duration", "2m"]);
    let mut running = program.spawn();
    while running.is_running() && count(&db, "trades") < 400 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["interrupted"], true);
    assert!(json["levels"][0]["rows_written"].as_u64().unwrap() > 0, "{json:#}");
    assert_eq!(count(&db, "trades"), 0, "{}", ended.stderr);
}

#[test]
fn other_datasets_are_marked_in_their_own_way() {
    for (dataset, domain, table) in [
        ("orders", "trading", "orders"),
        ("bars", "market", "market_data"),
        ("market_trades", "market", "market_trades"),
        ("option_bars", "options", "option_bars"),
        ("option_strike_bars", "options", "fo_option_strike_bars"),
        ("predictions", "market", "predictions"),
        ("block_predictions", "market", "block_predictions"),
        ("kalshi_trades", "kalshi", "kalshi.trades"),
        ("game_states", "kalshi", "espn.game_states"),
    ] {
        let db = migrated(domain);
        let args = ["--dataset", dataset, "--rate", "300", "--duration", "1s", "--queries", "0"];
        let (code, json, stderr) = test(&db, &[&args[..], &["--keep"]].concat());
        // A busy machine may miss the rate.
        assert!(code == 0 || code == 1, "{dataset}: {stderr}");
        assert!(json["levels"][0]["rows_written"].as_u64() > Some(0), "{dataset}: {json:#}");
        let (code, ..) = test(&db, &["--dataset", dataset, "--clean"]);
        assert_eq!((code, count(&db, table)), (0, 0), "{dataset}");
    }
    let db = migrated("killmails");
    let (code, _, stderr) = test(&db, &["--dataset", "killmails"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("they write trades"), "{stderr}");
    assert!(stderr.contains("generate killmails --into --rate"), "{stderr}");
    let db = migrated("kalshi");
    let (_, json, stderr) =
        test(&db, &["--dataset", "kalshi_trades", "--rate", "300", "--duration", "1s"]);
    assert!(stderr.contains("only the writers were measured"), "{stderr}");
    assert_eq!((count(&db, "kalshi.trades"), &json["levels"][0]["queries"]), (0, &json!([])));
}
