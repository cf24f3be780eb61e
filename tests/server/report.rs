//! The report: every key of the contract with its type and a value that is true; progress; and
//! what no output may hold.

use serde_json::Value;

use crate::support::{
    Bars, COUNTS, Program, TestDb, closes, count, file, file_entry, fixture, load,
};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(|k| &**k).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn every_key_is_there_with_its_type() {
    let db = TestDb::new("keys");
    file(&db, "in/bars.csv", closes(&[(0, "1"), (1, "2"), (1, "3"), (2, "x")]));
    file(&db, "in/note.txt", "not market data\n");
    let ended = load(&db, [db.home().join("in")], 3);
    let report = ended.report();
    for key in ["run_id", "command", "started_at", "finished_at", "strategy"] {
        assert!(report[key].is_string(), "{key}: {}", report[key]);
    }
    assert_eq!(report["command"], "backfill");
    assert_eq!(report["strategy"], "direct");
    assert_eq!(report["exit_code"], 3);
    let time = |key: &str| report[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time("started_at") <= time("finished_at"));
    assert!(number(&report["elapsed_s"]) > 0.0);
    assert!(report["peak_memory_bytes"].as_u64().unwrap() > 1_000_000);
    assert_eq!(report["ignored"].as_array().unwrap().len(), 1);
    assert!(report["ignored"][0].as_str().unwrap().ends_with("in/note.txt"));

    let database = &report["database"];
    assert_eq!(keys(database).len(), 3);
    let version = db.client().query_one::<String>("SHOW server_version");
    let said = database["server_version"].as_str().unwrap();
    assert!(version.starts_with(said), "{said} of {version}");
    assert_eq!(database["timescaledb"], Value::Null);
    assert_eq!(database["embedded"], false);

    let throughput = &report["throughput"];
    assert!(number(&throughput["rows_per_s"]) > 0.0);
    assert!(number(&throughput["bytes_per_s"]) > 0.0);
    for key in ["copy_batches", "insert_batches", "row_attempts", "retries"] {
        assert!(report["ladder"][key].is_u64(), "{key}");
    }
    assert_eq!(report["ladder"]["copy_batches"], 1);
    assert_eq!(report["rejects_by_rule"], serde_json::json!({"bad_number": 1}));
    let table = serde_json::json!({"inserted": 2, "updated": 0, "deleted": 0});
    assert_eq!(report["tables"]["public.market_data"], table);
    assert_eq!(keys(&report["tables"]), ["public.market_data"]);

    let totals = &report["totals"];
    for key in COUNTS.iter().chain(&["files", "bytes_read"]) {
        assert!(totals[key].is_u64(), "totals.{key}");
    }
    let size = std::fs::metadata(db.home().join("in/bars.csv")).unwrap().len();
    assert_eq!((count(totals, "files"), count(totals, "bytes_read")), (1, size));
    assert_eq!(COUNTS.map(|name| count(totals, name)), [4, 2, 0, 1, 1, 1, 0]);

    let entry = &report["files"][0];
    for key in COUNTS {
        assert!(entry[key].is_u64(), "files.{key}");
    }
    assert!(entry["source"].as_str().unwrap().ends_with("in/bars.csv"));
    let bytes = std::fs::read(db.home().join("in/bars.csv")).unwrap();
    assert_eq!(entry["content_hash"], blake3::hash(&bytes).to_hex().as_str());
    assert_eq!((&entry["layout"], &entry["dataset"]), (&"canonical".into(), &"bars".into()));
    assert_eq!(entry["sealed"], true);
}

#[test]
fn totals_are_the_files_and_the_tables() {
    let db = TestDb::new("totals");
    let ended = load(&db, [fixture("bars"), fixture("broken/bad_number.csv")], 3);
    let files = ended.report()["files"].as_array().unwrap();
    assert_eq!(ended.total("files"), files.len() as u64);
    let bytes: u64 = files.iter().map(|file| count(file, "bytes_read")).sum();
    assert_eq!(ended.total("bytes_read"), bytes);
    let on_disk: u64 = std::fs::read_dir(fixture("bars"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let broken = std::fs::metadata(fixture("broken/bad_number.csv")).unwrap().len();
    assert_eq!(bytes, on_disk + broken);
    let client = db.client();
    let rows = client.query_one::<i64>("SELECT count(*) FROM market_data") as u64;
    assert_eq!(ended.total("inserted"), rows);
    assert_eq!(count(&ended.report()["tables"]["public.market_data"], "inserted"), rows);
    let rate = ended.total("read") as f64 / number(&ended.report()["elapsed_s"]);
    let said = number(&ended.report()["throughput"]["rows_per_s"]);
    assert!((said / rate - 1.0).abs() < 0.01, "{said} {rate}");
    let replay = ended.report()["replay_command"].as_str().unwrap();
    assert!(replay.contains("rejects replay"), "{replay}");
    assert!(ended.stderr.contains("bad_number"), "{}", ended.stderr);
    assert_eq!(count(file_entry(&ended, "bad_number.csv"), "rejected"), 1);
}

#[test]
fn a_report_can_be_written_to_several_files_and_is_never_half() {
    let db = TestDb::new("several");
    let path = file(&db, "bars.csv", closes(&[(0, "1")]));
    let (a, b) = (db.home().join("a.json"), db.home().join("b.json"));
    let program = Program::new(&db).arg("backfill").arg(path);
    let _ = program.arg("--report").arg(&a).arg("--report").arg(&b).run().expect_code(0);
    let read = |path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    assert_eq!(read(&a), read(&b));
    assert_eq!(read(&a)["totals"]["inserted"], 1);
}

#[test]
fn the_ending_of_a_report_says_its_form_and_others_are_refused_before_anything_is_loaded() {
    let db = TestDb::new("endings");
    let path = file(&db, "bars.csv", closes(&[(0, "1")]));
    for name in ["x.xml", "x.json.gz", "x"] {
        let program = Program::new(&db).arg("backfill").arg(&path).args(["--report", name]);
        let ended = program.run().expect_code(2);
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
        assert!(ended.stderr.contains(".json, .html or .prom"), "{}", ended.stderr);
        assert!(!db.home().join(name).exists());
    }
    let program = Program::new(&db).arg("backfill").arg(&path).args(["--report", "not/there.json"]);
    let ended = program.run().expect_code(2);
    assert!(ended.stderr.contains("not/there.json: its folder is not there"), "{}", ended.stderr);
    let there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'tidegate'";
    assert_eq!(db.client().query_one::<i64>(there), 0);
}

#[test]
fn a_run_that_cannot_begin_has_a_report_too() {
    let db = TestDb::new("cannot begin");
    let path = file(&db, "bars.csv", closes(&[(0, "1")]));
    let names = ["r.json", "r.html", "r.prom"].map(|name| db.home().join(name));
    let run = |url: &str| {
        let program = Program::new(&db).env("DATABASE_URL", url).arg("backfill").arg(&path);
        program.args(names.iter().flat_map(|name| ["--report".into(), name.clone()])).run()
    };
    let metric = |name: &str| {
        let text = std::fs::read_to_string(&names[2]).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let _ = run(&db.url()).expect_code(0);
    let success = metric("tidegate_last_success_timestamp_seconds");
    assert!(success > 1.7e9);
    let nowhere = db.url().replace("cannot_begin", "nowhere");
    assert_ne!(nowhere, db.url());
    let failed = run(&nowhere).expect_code(1);
    let report: Value = serde_json::from_slice(&std::fs::read(&names[0]).unwrap()).unwrap();
    assert_eq!(report["exit_code"], 1);
    let said = report["messages"][0].as_str().unwrap();
    assert!(failed.stderr.contains(said), "{said}");
    assert!(std::fs::read_to_string(&names[1]).unwrap().contains("Failed"));
    assert_eq!(metric("tidegate_run_success"), 0.0);
    assert_eq!(metric("tidegate_run_exit_code"), 1.0);
    let kept = metric("tidegate_last_success_timestamp_seconds");
    assert_eq!(kept, success, "a dead man's switch needs it");
}

/// Standard error of a load of two small files, shown so.
fn progress(how: &str) -> String {
    let db = TestDb::new(how);
    let bars = Bars { rows: 2_000, symbols: 1, seed: 1 };
    let other = bars.csv().replace("S000", "OTHER");
    let files = [bars.write(db.home(), "1.csv"), file(&db, "2.csv", other)];
    // Slow enough for a line before the last.
    let program = Program::new(&db).arg("backfill").args(files);
    let program = program.args(["--progress", how, "--max-rows-per-sec", "1500"]);
    let ended = program.run().expect_code(0);
    assert_eq!(ended.stdout, "", "results only, and a load has none");
    ended.stderr
}

#[test]
fn progress_for_machines_is_an_object_a_line() {
    let said = progress("json");
    let events: Vec<Value> = said
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(events.len() >= 2, "{said}");
    for event in &events {
        for key in [
            "elapsed_s",
            "bytes_total",
            "bytes_done",
            "rows_read",
            "rows_written",
            "rejects",
            "retries",
            "files_total",
            "files_done",
            "rows_per_s",
            "bytes_per_s",
        ] {
            assert!(event[key].is_number(), "{key}: {event}");
        }
    }
    assert_eq!(events[0]["event"], "progress");
    let last = events.last().unwrap();
    assert_eq!(last["event"], "finished");
    assert_eq!(last["bytes_done"], last["bytes_total"]);
    assert_eq!((count(last, "rows_written"), count(last, "files_done")), (4_000, 2));
}

#[test]
fn progress_for_logs_is_a_line_now_and_then() {
    let said = progress("plain");
    assert!(said.contains("finished after") && said.contains("4,000 rows"), "{said}");
    assert!(said.contains("2 of 2 files"), "{said}");
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "no control characters: {said:?}");
}

#[test]
fn no_progress_is_no_line_but_the_report() {
    let said = progress("none");
    assert!(!said.contains("finished after") && !said.contains("\"event\""), "{said}");
    assert!(said.contains("read 4,000 = inserted 4,000"), "{said}");
    assert!(progress("auto").contains("finished after"), "no terminal: lines");
}

#[test]
fn a_password_is_in_no_output() {
    const CANARY: &str = "c4nary-p4ssw0rd";
    let db = TestDb::new("canary");
    let url = db.url().replace("postgres@", &format!("postgres:{CANARY}@"));
    assert_ne!(url, db.url());
    let path = file(&db, "bars.csv", closes(&[(0, "1"), (1, "x")]));
    let path = path.to_str().unwrap();
    let nowhere = url.replace("_canary", "_nowhere");
    let runs: [(&[&str], &str); 8] = [
        (&["plan", path], &url),
        (&["backfill", path, "--progress", "json", "--max-rejects", "0"], &url),
        (&["backfill", path, "--progress", "plain"], &url),
        (&["backfill", path], &nowhere),
        (&["status"], &url),
        (&["status", "1", "--json"], &url),
        (&["doctor"], &url),
        (&["migrate", "status"], &url),
    ];
    for by_flag in [false, true] {
        for (args, url) in &runs {
            let mut program = Program::new(&db).args(args.iter().copied());
            program = match by_flag {
                true => program.arg("--database-url").arg(*url),
                false => program.env("DATABASE_URL", *url),
            };
            if args[0] == "backfill" {
                program = program.report_json();
            }
            let ended = program.run();
            let report = ended.report.as_ref().map(Value::to_string).unwrap_or_default();
            for said in [&ended.stdout, &ended.stderr, &report] {
                assert!(!said.contains(CANARY), "{args:?}: {said}");
            }
            assert!(!ended.stdout.is_empty() || !ended.stderr.is_empty(), "{args:?}");
        }
    }
    let client = db.client();
    for table in ["run", "content", "load_set", "load", "portion", "reject"] {
        let sql =
            format!("SELECT count(*) FROM tidegate.{table} t WHERE t::text LIKE '%{CANARY}%'");
        assert_eq!(client.query_one::<i64>(&sql), 0, "{table}");
    }
    let names = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%c4nary%'";
    assert_eq!(client.query_one::<i64>(names), 0);
}
