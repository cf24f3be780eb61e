//! What is seen of a load from outside: the page in a real browser, metrics as Prometheus reads
//! them, the live view from another connection, and politeness towards other sessions.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Bars, Client, Program, Server, TestDb, closes, file, opens};

/// A file whose name would be a script if a page let it.
const EVIL: &str = "<script>alert(1)<&.csv";

/// Loads good bars, a file with a reject and an evil name, and writes all three reports.
fn reports(db: &TestDb<'_>) -> [PathBuf; 3] {
    let bars = Bars { rows: 20_000, symbols: 5, seed: 3 };
    let inputs = [
        bars.write(db.home(), "bars.csv"),
        file(db, EVIL, closes(&[(0, "1"), (1, "</script>"), (2, "3")])),
    ];
    let reports = ["r.json", "r.html", "bars.prom"].map(|name| db.home().join(name));
    let program = Program::new(db).args(["backfill", "--progress", "none"]).args(inputs);
    let program = program.args(reports.iter().flat_map(|path| ["--report".into(), path.clone()]));
    let _ = program.run().expect_code(3);
    reports
}

#[test]
fn the_page_opens_in_a_browser_and_says_what_the_json_says() {
    let db = TestDb::new("page");
    let [json, html, _] = reports(&db);
    let json: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(json["timeline"]["points"].as_array().is_some_and(|points| !points.is_empty()));
    let Some(dom) = opens(&html, &json, db.home()) else { return };
    // No file's name became an element.
    assert_eq!(dom.matches("<script").count(), 2);
    assert!(dom.contains("&lt;script&gt;alert(1)&lt;&amp;.csv"));
    assert!(dom.contains("<button type=\"button\">read</button>"), "the page's script ran");
}

/// A strict reading of the text format: every sample by its whole name with its labels.
fn metrics(text: &str) -> std::collections::BTreeMap<String, f64> {
    let word = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !text.starts_with(|c: char| c.is_ascii_digit())
    };
    assert!(text.ends_with('\n'));
    let (mut found, mut helped, mut typed) = (std::collections::BTreeMap::new(), "", "");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help.split_once(' ').expect("a help text").0;
            assert!(word(helped) && !text.contains(&format!("\n# HELP {helped} \n")));
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert_eq!(kind.split_once(' ').expect("a type"), (helped, "gauge"));
            typed = helped;
        } else {
            let (name, rest) = line.split_once('{').expect("labels");
            assert_eq!(name, typed, "samples stand under their head");
            let (labels, value) = rest.rsplit_once("} ").expect("a value");
            let mut rest = labels;
            while !rest.is_empty() {
                let (label, quoted) = rest.split_once("=\"").expect("a label");
                assert!(word(label), "{label}");
                let mut escaped = false;
                let end = quoted.find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                rest = &quoted[end.expect("a quote") + 1..];
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            let value = value.parse::<f64>().expect("a number");
            assert_eq!(
                found.insert(line.rsplit_once(' ').expect("a value").0.to_owned(), value),
                None
            );
        }
    }
    found
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let db = TestDb::new("metrics");
    let [json, _, prom] = reports(&db);
    let json: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let found = metrics(&std::fs::read_to_string(prom).unwrap());
    let of = |name: &str, more: &str| {
        let key = format!("tidegate_{name}{{command=\"backfill\",name=\"bars\"{more}}}");
        *found.get(&key).unwrap_or_else(|| panic!("no {key} in {found:?}"))
    };
    for fate in ["read", "inserted", "updated", "duplicate", "conflicting", "rejected", "skipped"] {
        let value = of("run_rows", &format!(",fate=\"{fate}\""));
        assert_eq!(value, json["totals"][fate].as_f64().unwrap(), "{fate}");
    }
    assert_eq!(of("run_exit_code", ""), 3.0);
    assert_eq!(of("run_success", ""), 1.0);
    assert_eq!(of("run_rejects", ",rule=\"bad_number\""), 1.0);
    assert_eq!(of("run_duration_seconds", ""), json["elapsed_s"].as_f64().unwrap());
    assert_eq!(of("run_read_bytes", ""), json["totals"]["bytes_read"].as_f64().unwrap());
    assert!(of("last_success_timestamp_seconds", "") >= of("run_start_timestamp_seconds", ""));
    assert_eq!(json["job"], "bars", "the ledger knows the job by the file's name");
}

#[test]
fn another_connection_sees_a_load_while_it_runs_and_not_after() {
    let db = TestDb::new("watched");
    let bars = Bars { rows: 240_000, symbols: 3, seed: 5 }.write(db.home(), "bars.csv");
    let load = Program::new(&db).args(["backfill", "--max-rows-per-sec", "30000"]).arg(bars);
    let mut load = load.spawn();
    let watch = Program::new(&db).args(["status", "--watch", "--json"]).spawn();
    let seen = |text: &str| -> Vec<Value> {
        let lines = text.lines().filter(|line| line.ends_with('}'));
        let views = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        views.flat_map(|view| view["loads"].as_array().unwrap().clone()).collect()
    };
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60)
        && !seen(&watch.stdout()).iter().any(|load| load["rows_written"].as_u64() > Some(0))
    {
        std::thread::sleep(Duration::from_millis(100));
    }
    let loads = seen(&watch.stdout());
    let last = loads.last().expect("the load was seen");
    assert_eq!((&last["lost"], &last["files_total"]), (&Value::Bool(false), &1.into()));
    assert!(last["bytes_total"].as_u64() > Some(0) && last["stages"].is_array());
    let mut watch = watch;
    watch.signal(Signal::INT);
    assert_eq!(watch.wait().expect_code(0).stderr, "", "it ends quietly");
    load.signal(Signal::INT);
    let _ = load.wait().expect_code(130);
    let rows = "SELECT count(*) FROM tidegate.live";
    assert_eq!(db.client().query_one::<i64>(rows), 0, "a load that ended is not live");
}

#[test]
fn a_dead_load_is_told_from_a_living_one_and_swept() {
    let db = TestDb::new("dead load");
    let bars = file(&db, "bars.csv", closes(&[(0, "1")]));
    let _ = Program::new(&db).arg("backfill").arg(bars).run().expect_code(0);
    let client = db.client();
    client.execute(
        "INSERT INTO tidegate.run (command, program) VALUES ('backfill', 'x'), ('backfill', 'x'); \
         INSERT INTO tidegate.live (run_id, host, pid, heartbeat, figures) \
         SELECT id, 'h', 1, now() - CASE id WHEN 2 THEN interval '1 minute' \
                                            ELSE interval '2 hours' END, '{}' \
         FROM tidegate.run WHERE id > 1",
    );
    let watch = Program::new(&db).args(["status", "--watch"]).spawn();
    let started = Instant::now();
    while watch.stdout().lines().count() < 2 && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut watch = watch;
    watch.signal(Signal::TERM);
    let said = watch.wait().expect_code(0).stdout;
    assert!(said.contains("run 2, no sign of life for 1 min 0"), "{said}");
    // The next load that publishes anything clears away what is long dead.
    let bars = Bars { rows: 40_000, symbols: 3, seed: 5 }.write(db.home(), "more.csv");
    let program = Program::new(&db).args(["backfill", "--max-rows-per-sec", "15000"]).arg(bars);
    let _ = program.run().expect_code(0);
    let left = client.rows("SELECT run_id::text FROM tidegate.live ORDER BY 1");
    assert_eq!(left, [[Some("2".to_owned())]]);
}

#[test]
fn a_rate_is_never_exceeded() {
    let db = TestDb::new("rate");
    let bars = Bars { rows: 6_000, symbols: 2, seed: 5 };
    let inputs = [bars.write(db.home(), "1.csv"), {
        let other = Bars { seed: 6, ..bars }.csv().replace("S00", "T00");
        file(&db, "2.csv", other)
    }];
    let report = db.home().join("r.json");
    let program = Program::new(&db).args(["backfill", "--max-rows-per-sec", "4000"]).args(inputs);
    let _ = program.arg("--report").arg(&report).run().expect_code(0);
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["totals"]["inserted"], 12_000);
    let rate = report["throughput"]["rows_per_s"].as_f64().unwrap();
    assert!(rate <= 4_000.0, "{rate}");
    let held = report["waits"]["max_rows_per_sec"].as_f64().unwrap();
    assert!(held > 2.0, "{held} s of about 3 s");
    assert_eq!(report["bottleneck"], "held back");
}

#[test]
fn a_polite_load_lets_others_have_their_locks() {
    let db = TestDb::new("polite");
    let bars = Bars { rows: 200_000, symbols: 3, seed: 5 };
    let client = db.client();
    client.execute(
        "CREATE TABLE bars (symbol text, interval text, ts timestamptz, open float8, high float8, \
         low float8, close float8, volume float8); \
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
         $$BEGIN PERFORM pg_sleep(4); RETURN NULL; END$$; \
         CREATE TRIGGER slow AFTER INSERT ON bars FOR EACH STATEMENT EXECUTE FUNCTION slow()",
    );
    let report = db.home().join("r.json");
    let program = Program::new(&db).args(["backfill", "--polite", "--table", "public.bars"]);
    let program = program.args(["--writers", "1", "--progress", "json"]);
    let mut load =
        program.arg(bars.write(db.home(), "bars.csv")).arg("--report").arg(&report).spawn();
    // A session that wants the table for itself waits for the load's transaction.
    let locked = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                  WHERE c.relname = 'bars' AND l.mode = 'RowExclusiveLock' AND l.granted";
    while load.is_running() && client.query_one::<i64>(locked) == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let other = Client::connect(&db.url());
    other.execute("BEGIN; LOCK TABLE bars IN ACCESS EXCLUSIVE MODE; COMMIT");
    let ended = load.wait().expect_code(0);
    assert!(ended.stderr.contains("1 other session waits for a lock"), "{}", ended.stderr);
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(report["waits"]["lock_waits"].as_f64().unwrap() > 0.0, "{}", report["waits"]);
    assert_eq!(report["totals"]["inserted"], 200_000);
}

#[test]
fn a_polite_load_waits_for_a_replica_that_is_behind() {
    let server = Server::start(false);
    let replica = server.replica();
    let db = TestDb::on(&server, "polite replica");
    let standby = Client::connect(&replica.url("postgres"));
    standby.execute("ALTER SYSTEM SET wal_receiver_status_interval = '1s'");
    standby.execute("SELECT pg_reload_conf()");
    let client = db.client();
    let until = |what: &str, client: &Client, sql: &str| {
        let started = Instant::now();
        while !client.query_one::<bool>(sql) {
            assert!(started.elapsed() < Duration::from_secs(120), "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let caught_up = "SELECT coalesce(bool_and(replay_lsn = pg_current_wal_lsn()), false) \
                     FROM pg_stat_replication WHERE state = 'streaming'";
    let _ = Program::new(&db).args(["migrate", "up", "--domain", "market"]).run().expect_code(0);
    until("the replica catches up", &client, caught_up);

    // It still receives everything, and replays nothing.
    standby.execute("SELECT pg_wal_replay_pause()");
    let report = db.home().join("r.json");
    let bars = Bars { rows: 500_000, symbols: 5, seed: 5 }.write(db.home(), "bars.csv");
    let program = Program::new(&db).args(["backfill", "--polite", "--progress", "json"]);
    let program = program.args(["--max-rows-per-sec", "25000", "--strategy", "direct"]);
    let mut load = program.arg(bars).arg("--report").arg(&report).spawn();
    while !load.stderr().contains("replica") {
        assert!(load.is_running(), "it did not wait: {}", load.stderr());
        std::thread::sleep(Duration::from_millis(100));
    }
    // The batches in hand are finished; then nothing is written any more.
    let stored = || client.query_one::<i64>("SELECT count(*) FROM market_data");
    std::thread::sleep(Duration::from_secs(2));
    let before = stored();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(stored(), before, "it waits as long as the replica is behind");
    assert!(before < 500_000 && load.is_running(), "{before}");

    standby.execute("SELECT pg_wal_replay_resume()");
    let ended = load.wait().expect_code(0);
    assert!(ended.stderr.contains("replica"), "{}", ended.stderr);
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["totals"]["inserted"], 500_000);
    let waited = report["waits"]["replica_lag"].as_f64().unwrap();
    assert!(waited >= 4.0, "{}", report["waits"]);
    until("the replica catches up", &client, caught_up);
    let name = db.client().query_one::<String>("SELECT current_database()::text");
    let there = Client::connect(&replica.url(&name));
    assert_eq!(there.query_one::<i64>("SELECT count(*) FROM market_data"), 500_000);
}
