//! Each exit code with a real cause, and what the program says with it.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{
    BARS, Bars, Program, TestDb, adds_up, backfill, closes, file, fixture, load, same_rows, totals,
};

/// The advisory lock of migrations: "tidegate" in ASCII.
const MIGRATION_LOCK: i64 = 0x7469_6465_6761_7465;

#[test]
fn a_missing_file_fails_and_is_named() {
    let db = TestDb::new("missing");
    let ended = backfill(&db, ["nowhere/bars.csv"]).run().expect_code(1);
    assert!(ended.stderr.contains("nowhere/bars.csv"), "{}", ended.stderr);
    let there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'tidegate'";
    assert_eq!(db.client().query_one::<i64>(there), 0, "nothing was begun");
}

#[test]
fn an_unknown_file_shows_its_first_line_and_what_to_do() {
    let db = TestDb::new("unknown");
    let path = file(&db, "mystery.csv", "when;what;how much\nyesterday;tea;two\n");
    let good = fixture("bars/canonical.csv");
    let ended = load(&db, [&path, &good], 1);
    for word in ["mystery.csv", "when;what;how much", "tried", "--layout", "--symbol", "--tz"] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    assert_eq!(ended.total("inserted"), 120, "its neighbour is loaded");
}

#[test]
fn a_folder_may_hold_other_files() {
    let db = TestDb::new("folder");
    file(&db, "in/readme.txt", "These are our bars.\n");
    file(&db, "in/deep/bars.csv", closes(&[(0, "1"), (1, "2")]));
    let ended = load(&db, [db.home().join("in")], 0);
    assert_eq!(ended.total("inserted"), 2);
    let ignored = ended.report()["ignored"].as_array().unwrap();
    assert_eq!(ignored.len(), 1);
    assert!(ignored[0].as_str().unwrap().ends_with("readme.txt"));
}

#[test]
fn a_table_that_lost_its_rows_is_noticed() {
    let db = TestDb::new("truncated");
    let path = file(&db, "bars.csv", closes(&[(0, "1"), (1, "2")]));
    load(&db, [&path], 0);
    db.client().execute("TRUNCATE market_data");
    let ended = load(&db, [&path], 1);
    assert!(ended.stderr.contains("truncated"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--reload"), "{}", ended.stderr);
    let again = load(&db, [path.as_os_str(), "--reload".as_ref()], 0);
    assert_eq!(totals(&again), [2, 2, 0, 0, 0, 0, 0]);
}

#[test]
fn a_table_that_was_made_again_is_noticed() {
    let db = TestDb::new("made again");
    let table = "CREATE TABLE mine (symbol text, interval text, ts timestamptz, close float8, \
                 PRIMARY KEY (symbol, interval, ts))";
    db.client().execute(table);
    let path = file(&db, "bars.csv", closes(&[(0, "1"), (1, "2")]));
    let args = [path.to_str().unwrap(), "--table", "mine"];
    load(&db, args, 0);
    db.client().execute(&format!("DROP TABLE mine; {table}"));
    let ended = load(&db, args, 1);
    assert!(ended.stderr.contains("made again"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--reload"), "{}", ended.stderr);
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM mine"), 0);
    let again = load(&db, [args[0], args[1], args[2], "--reload"], 0);
    assert_eq!(again.total("inserted"), 2);
    assert_eq!(totals(&load(&db, args, 0)), [0; 7]);
}

#[test]
fn a_wrong_command_line_is_usage() {
    let db = TestDb::new("usage");
    let path = file(&db, "bars.csv", closes(&[(0, "1")]));
    let path = path.to_str().unwrap();
    let wrong: [&[&str]; 9] = [
        &[],
        &[path, "--no-such-flag"],
        &[path, "--dataset", "tulips"],
        &[path, "--from", "2024-02-01", "--to", "2024-01-01"],
        &[path, "--from", "yesterday"],
        &[path, "--interval", "sometimes"],
        &[path, "--shard", "3/3"],
        &[path, "--layout", "no_such_layout"],
        &[path, "--strategy", "magic"],
    ];
    for args in wrong {
        let ended = Program::new(&db).arg("backfill").args(args.iter().copied()).run();
        let ended = ended.expect_code(2);
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{args:?}");
    }
    let there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'tidegate'";
    assert_eq!(db.client().query_one::<i64>(there), 0);
}

/// Seventeen good bars and three bad ones, in no order.
fn three_bad() -> String {
    let bars: Vec<(u32, &str)> =
        (0..20).map(|at| (at, if at % 7 == 3 { "x" } else { "1.5" })).collect();
    closes(&bars)
}

#[test]
fn rejects_end_in_3_and_too_many_in_4() {
    let cases: [(&[&str], i32); 6] = [
        (&[], 3),
        (&["--max-rejects", "3"], 3),
        (&["--max-rejects", "2"], 4),
        (&["--max-rejects", "0"], 4),
        (&["--max-rejects", "16%"], 3),
        (&["--max-rejects", "14%"], 4),
    ];
    for (more, code) in cases {
        let db = TestDb::new("budget");
        let path = file(&db, "bars.csv", three_bad());
        let mut args = vec![path.to_str().unwrap()];
        args.extend(more);
        let ended = load(&db, args, code);
        assert_eq!(ended.report()["exit_code"], code, "{more:?}");
        let run = "SELECT exit_code FROM tidegate.run ORDER BY id DESC LIMIT 1";
        assert_eq!(db.client().query_one::<i32>(run), code, "{more:?}");
        if code == 4 {
            assert!(ended.stderr.contains("--max-rejects"), "{}", ended.stderr);
        }
        if ended.report()["files"][0]["sealed"] == false {
            assert!(ended.stderr.contains("line 5, bad_number"), "{}", ended.stderr);
            // With a larger budget the same load goes on and ends.
            assert_eq!(code, 4, "{more:?}");
            assert!(ended.report()["resume_command"].is_string());
            load(&db, [path.to_str().unwrap(), "--max-rejects", "3"], 3);
        }
        let rows = "SELECT count(*) FROM market_data";
        assert_eq!(db.client().query_one::<i64>(rows), 17, "{more:?}");
        let rejects = "SELECT count(*) FROM tidegate.reject";
        assert_eq!(db.client().query_one::<i64>(rejects), 3, "{more:?}");
    }
}

#[test]
fn a_clean_load_is_within_any_budget() {
    for budget in ["0", "0%"] {
        let db = TestDb::new("clean");
        let path = file(&db, "bars.csv", closes(&[(0, "1"), (1, "2")]));
        load(&db, [path.to_str().unwrap(), "--max-rejects", budget], 0);
    }
}

#[test]
fn accounts_that_do_not_add_up_are_70() {
    let db = TestDb::new("accounts");
    let _ = Program::new(&db).args(["migrate", "up"]).run().expect_code(0);
    db.client().execute(
        "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         NEW.skipped[1] := NEW.skipped[1] + 1; RETURN NEW; END $$; \
         CREATE TRIGGER forge BEFORE INSERT OR UPDATE ON tidegate.portion \
         FOR EACH ROW EXECUTE FUNCTION forge()",
    );
    let path = file(&db, "bars.csv", closes(&[(0, "1"), (1, "2")]));
    let ended = backfill(&db, [&path]).run().expect_code(70);
    assert_eq!(ended.report()["exit_code"], 70);
    assert_eq!(ended.report()["files"][0]["sealed"], false);
    let sealed = "SELECT count(*) FROM tidegate.load WHERE sealed_at IS NOT NULL";
    assert_eq!(db.client().query_one::<i64>(sealed), 0);
    assert!(ended.stderr.contains("bars.csv"), "{}", ended.stderr);
}

#[test]
fn a_migration_beside_a_migration_is_75() {
    let db = TestDb::new("locked");
    let holder = db.client();
    holder.execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"));
    let ended = Program::new(&db).args(["migrate", "up"]).run().expect_code(75);
    assert!(!ended.stderr.is_empty());
    holder.execute("COMMIT");
    let _ = Program::new(&db).args(["migrate", "up"]).run().expect_code(0);
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    // No limit: a test that hangs says where it hangs.
    let mut said = false;
    let began = std::time::Instant::now();
    while !is_so() {
        std::thread::sleep(Duration::from_millis(20));
        if began.elapsed() > Duration::from_secs(30) && !std::mem::replace(&mut said, true) {
            #[expect(clippy::print_stderr, reason = "it is said to whoever waits")]
            {
                eprintln!("still waiting for: {what}");
            }
        }
    }
}

fn parts(db: &TestDb<'_>) -> Vec<String> {
    let part =
        |n| Bars { rows: 500, symbols: 1 + n, seed: n }.write(db.home(), &format!("{n}.csv"));
    (0..12).map(|n| part(n).display().to_string()).collect()
}

#[test]
fn an_interrupted_load_is_resumed_by_the_same_command() {
    let db = TestDb::new("interrupted");
    let _ = Program::new(&db).args(["migrate", "up"]).run().expect_code(0);
    let files = parts(&db);
    let slow = ["--max-rows-per-sec", "1000", "--writers", "2"].map(str::to_owned);
    let mut running = backfill(&db, files.iter().cloned().chain(slow)).spawn();
    let client = db.client();
    wait_until("the second batch", || {
        client.query_one::<i64>("SELECT count(*) FROM tidegate.portion") >= 2
    });
    running.signal(Signal::INT);
    let ended = running.wait().expect_code(130);
    adds_up(&db, &ended);
    assert_eq!(ended.report()["interrupted"], true);
    assert_eq!(ended.report()["exit_code"], 130);
    let resume = ended.report()["resume_command"].as_str().unwrap();
    assert!(resume.contains("tidegate backfill") && resume.contains("0.csv"), "{resume}");
    assert!(ended.stderr.contains(resume), "{}", ended.stderr);
    let part = client.query_one::<i64>("SELECT count(*) FROM market_data");
    assert_eq!(part as u64, ended.total("inserted"));
    assert!(ended.total("read") < 6_000, "it was stopped before its end");

    let resumed = load(&db, &files, 0);
    assert_eq!(resumed.total("read") + ended.total("read"), 6_000, "nothing is read twice");
    let whole = TestDb::new("uninterrupted");
    load(&whole, parts(&whole), 0);
    same_rows(&db, &whole, BARS);
    assert_eq!(totals(&load(&db, &files, 0)), [0; 7]);
}

#[test]
fn a_second_interrupt_stops_at_once() {
    let db = TestDb::new("twice");
    let _ = Program::new(&db).args(["migrate", "up"]).run().expect_code(0);
    let path = file(&db, "bars.csv", closes(&[(0, "1"), (1, "2")]));
    let holder = db.client();
    holder.execute("BEGIN; LOCK TABLE market_data IN ACCESS EXCLUSIVE MODE");
    let mut running = backfill(&db, [&path]).spawn();
    let client = db.client();
    wait_until("a writer at the locked table", || {
        client.query_one::<i64>("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0
    });
    running.signal(Signal::INT);
    wait_until("the message", || running.stderr().contains("press Ctrl-C again"));
    running.signal(Signal::INT);
    let ended = running.wait().expect_code(130);
    assert!(ended.report.is_none(), "it stopped at once");
    holder.execute("COMMIT");
    let resumed = load(&db, [&path], 0);
    assert_eq!(resumed.total("inserted"), 2);
}
