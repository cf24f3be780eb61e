//! `plan`: what it shows, that it writes nothing, and loading in parts.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{
    BARS, Client, Outcome, Program, TestDb, backfill, closes, file, fixture, load, same_rows,
};

fn plan<A: Into<std::ffi::OsString>>(
    db: &TestDb<'_>,
    args: impl IntoIterator<Item = A>,
    code: i32,
) -> (Outcome, Value) {
    let ended = Program::new(db).args(["plan", "--json"]).args(args).run().expect_code(code);
    let json = serde_json::from_str(&ended.stdout).unwrap();
    (ended, json)
}

fn units(json: &Value) -> &Vec<Value> {
    json["units"].as_array().unwrap_or_else(|| panic!("no units: {json}"))
}

fn sources(json: &Value) -> Vec<&str> {
    units(json).iter().map(|unit| unit["source"].as_str().unwrap()).collect()
}

/// Everything that is not the server's own.
fn objects(client: &Client) -> Vec<Vec<Option<String>>> {
    client.rows(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
         WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' \
         UNION ALL SELECT nspname, NULL FROM pg_namespace \
         WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')",
    )
}

#[test]
fn a_plan_writes_nothing() {
    let db = TestDb::new("fresh");
    let files = std::fs::read_dir(fixture("bars")).unwrap().count();
    let (_, json) = plan(&db, [fixture("bars")], 0);
    assert_eq!(units(&json).len(), files);
    assert!(json["bytes_to_load"].as_u64().unwrap() > 10_000);
    let args = ["backfill", "--dry-run"];
    let dry = Program::new(&db).args(args).arg(fixture("bars")).run().expect_code(0);
    assert!(dry.stdout.contains("to load"), "{}", dry.stdout);
    assert!(dry.stderr.contains("nothing was written"), "{}", dry.stderr);
    assert_eq!(objects(&db.client()), Vec::<Vec<_>>::new());
    let files_of_ours = std::fs::read_dir(db.home()).unwrap().map(|entry| entry.unwrap().path());
    let others: Vec<PathBuf> =
        files_of_ours.filter(|path| !path.to_string_lossy().contains("run-")).collect();
    assert_eq!(others, Vec::<PathBuf>::new(), "no file was written either");
}

#[test]
fn partitions_and_time_are_told_and_nothing_is_written() {
    let db = TestDb::new("forecast");
    let hours: Vec<(u32, &str)> = (0..24).map(|hour| (hour, "1")).collect();
    let one = file(&db, "a.csv", closes(&hours));
    let (ended, json) = plan(&db, [&one], 0);
    let made = json["partitions"].as_array().unwrap().clone();
    assert!(!made.is_empty(), "{json}");
    assert_eq!(made[0]["table"], "public.market_data");
    assert_eq!(json["expected_by_runs"], 0);
    assert!(ended.stderr.contains("a guess"), "{}", ended.stderr);
    assert_eq!(objects(&db.client()), Vec::<Vec<_>>::new());
    load(&db, [&one], 0);
    let there = db.client().rows(
        "SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i \
         JOIN pg_class c ON c.oid = i.inhrelid WHERE inhparent = 'market_data'::regclass",
    );
    assert_eq!(there.len(), made.len(), "as many as were foretold: {there:?} {made:?}");
    let from = made[0]["from"].as_str().unwrap();
    assert!(there[0][0].as_ref().unwrap().contains(from), "{there:?} {made:?}");
    // What is there is not made again, and the ledger, once there, is only read.
    let before = (objects(&db.client()), ledger(&db.client()));
    let (_, json) = plan(&db, [one.to_str().unwrap(), "--reload"], 0);
    assert_eq!(json["partitions"], serde_json::json!([]));
    assert_eq!((objects(&db.client()), ledger(&db.client())), before);
}

/// Every row of the ledger.
fn ledger(client: &Client) -> Vec<Vec<Option<String>>> {
    let tables = ["run", "content", "load_set", "load", "portion", "reject", "stretch", "route"];
    let all = tables.map(|table| format!("SELECT t::text FROM tidegate.{table} t"));
    client.rows(&format!("SELECT * FROM ({}) a ORDER BY 1", all.join(" UNION ALL ")))
}

#[test]
fn time_is_told_by_past_runs() {
    let db = TestDb::new("pace");
    let line = |at: u32| {
        let (day, rest) = (at / 86_400, at % 86_400);
        let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
        format!("ACME,1s,2024-01-{:02}T{hour:02}:{minute:02}:{second:02}Z,1,2,0.5,1,7\n", day + 1)
    };
    let header = "symbol,interval,ts,open,high,low,close,volume\n";
    let text: String = std::iter::once(header.to_owned()).chain((0..40_000).map(line)).collect();
    let done = file(&db, "a.csv", text.clone());
    load(&db, [&done], 0);
    let next = file(&db, "b.csv", text.replace("ACME", "EMCA"));
    let (ended, json) = plan(&db, [&next], 0);
    assert_eq!(json["expected_by_runs"], 1, "{json}");
    assert!(ended.stderr.contains("as 1 run made"), "{}", ended.stderr);
    assert!(json["expected_s"].as_f64().unwrap() > 0.0, "{json}");
}

#[test]
fn units_say_what_was_recognised() {
    let db = TestDb::new("units");
    let (ended, json) = plan(&db, [fixture("bars").as_os_str(), "--units".as_ref()], 0);
    let unit = |name: &str| {
        let of = |unit: &&Value| unit["source"].as_str().unwrap().ends_with(name);
        units(&json).iter().find(of).unwrap_or_else(|| panic!("{name}: {json}"))
    };
    for (name, layout, symbol, interval, zone) in [
        ("ETHUSDT-1h-2025-01.csv", "binance_klines", "ETHUSDT", "1h", "UTC"),
        ("XBTEUR_1440.csv", "kraken_ohlcvt", "XBTEUR", "1d", "UTC"),
        ("DAT_NT_USDCHF_M1_201803.csv", "histdata", "USDCHF", "1m", "UTC-05:00"),
        ("acme_us_d.csv", "stooq", "ACME.US", "1d", "UTC"),
        ("canonical.csv", "canonical", "in file", "in file", "UTC"),
        ("LINKUSDT_1h.parquet", "parquet_bars", "LINKUSDT", "1h", "UTC"),
    ] {
        let unit = unit(name);
        let found = ["layout", "symbol", "interval", "zone"].map(|key| unit[key].as_str().unwrap());
        assert_eq!(found, [layout, symbol, interval, zone], "{name}");
        assert_eq!((&unit["state"], &unit["strategy"]), (&"to load".into(), &"direct".into()));
        assert_eq!(unit["target"], "public.market_data");
        assert_eq!(unit["size"], std::fs::metadata(fixture("bars").join(name)).unwrap().len());
    }
    let why = ended.stderr.lines().filter(|line| line.contains("unit ")).count();
    assert!(why >= units(&json).len(), "each unit says why: {}", ended.stderr);
}

#[test]
fn the_state_of_each_file_is_shown() {
    let db = TestDb::new("states");
    let loaded = file(&db, "a.csv", closes(&[(0, "1"), (1, "2")]));
    let stopped = file(&db, "b.csv", closes(&[(2, "1"), (3, "x"), (4, "2")]));
    let new = file(&db, "c.csv", closes(&[(5, "1")]));
    load(&db, [&loaded], 0);
    let _ = backfill(&db, [stopped.to_str().unwrap(), "--max-rejects", "0"]).run().expect_code(4);
    let state = |args: &[&str], code| {
        let files = [&loaded, &stopped, &new].map(|path| path.to_str().unwrap());
        let (ended, json) = plan(&db, files.iter().chain(args), code);
        let states = units(&json).iter().map(|unit| unit["state"].as_str().unwrap().to_owned());
        (ended, states.collect::<Vec<_>>())
    };
    let (_, states) = state(&[], 0);
    assert_eq!((&*states[0], &*states[2]), ("loaded before", "to load"));
    assert!(states[1].starts_with("to resume"), "{states:?}");
    let (ended, states) = state(&["--on-conflict", "update"], 1);
    assert_eq!(states, ["loaded before", "blocked", "to load"]);
    assert!(ended.stderr.contains("--on-conflict skip"), "{}", ended.stderr);
    let (_, states) = state(&["--reload"], 0);
    assert_eq!((&*states[0], &*states[2]), ("to load", "to load"), "{states:?}");
    let (_, states) = state(&["--to", "2024-06-04"], 0);
    assert_eq!(states, ["to load"; 3], "another window is another load");
    db.client().execute("TRUNCATE market_data");
    let (ended, states) = state(&[], 1);
    assert_eq!(states[0], "blocked");
    assert!(ended.stderr.contains("truncated"), "{}", ended.stderr);
}

#[test]
fn shards_are_disjoint_and_together_everything() {
    let (sharded, whole) = (TestDb::new("shards"), TestDb::new("one"));
    let folder = fixture("bars");
    let (_, all) = plan(&sharded, [&folder], 0);
    let mut seen = BTreeSet::new();
    let mut parts = 0;
    for shard in ["0/3", "1/3", "2/3"] {
        let args = [folder.to_str().unwrap(), "--shard", shard];
        let (_, json) = plan(&sharded, args, 0);
        parts += units(&json).len();
        seen.extend(sources(&json).into_iter().map(str::to_owned));
        assert!(!units(&json).is_empty(), "{shard}");
        let ended = load(&sharded, args, 0);
        assert_eq!(ended.total("files"), units(&json).len() as u64);
    }
    assert_eq!(parts, units(&all).len(), "no file is in two shards");
    assert_eq!(seen, sources(&all).into_iter().map(str::to_owned).collect());
    load(&whole, [&folder], 0);
    same_rows(&sharded, &whole, BARS);
}

#[test]
fn units_can_be_chosen_by_number() {
    let db = TestDb::new("range");
    let folder = fixture("bars");
    let (_, all) = plan(&db, [&folder], 0);
    for (range, expected) in [("2", &sources(&all)[1..2]), ("2-4", &sources(&all)[1..4])] {
        let args = [folder.to_str().unwrap(), "--units", range];
        let (_, json) = plan(&db, [folder.to_str().unwrap(), &format!("--units={range}")], 0);
        assert_eq!(sources(&json), expected, "{range}");
        let ended = load(&db, args, 0);
        let files = ended.report()["files"].as_array().unwrap();
        let found: Vec<_> = files.iter().map(|file| file["source"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "{range}");
    }
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM tidegate.load"), 3);
}
