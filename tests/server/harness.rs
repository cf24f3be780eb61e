//! The harness itself: what the other tests rely on is true.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{
    Bars, Client, Outcome, Program, Server, StopMode, TestDb, except_all, fixture, same_rows,
};

#[test]
fn two_tests_have_databases_of_their_own() {
    let (a, b) = (TestDb::new("same name"), TestDb::new("same name"));
    assert_ne!(a.url(), b.url());
    a.client().execute("CREATE TABLE t (x int, y text); INSERT INTO t VALUES (1, NULL), (2, 'b')");
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 't'";
    assert_eq!(a.client().query_one::<i64>(tables), 1);
    assert_eq!(b.client().query_one::<i64>(tables), 0);
    let text = |text: &str| Some(text.to_owned());
    let expected = vec![vec![text("1"), None], vec![text("2"), text("b")]];
    assert_eq!(a.client().rows("SELECT * FROM t ORDER BY x"), expected);
    assert!(a.client().try_execute("SELECT 1/0").is_err());
}

#[test]
fn a_killed_server_keeps_what_was_committed() {
    let server = Server::start(true);
    let db = TestDb::on(&server, "durable");
    let client = db.client();
    assert_eq!(client.query_one::<String>("SHOW fsync"), "on");
    client.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS x");
    client.execute("BEGIN; INSERT INTO t VALUES (0)");
    server.kill9();
    assert!(client.try_execute("COMMIT").is_err());
    assert!(Client::try_connect(&db.url()).is_err());
    server.restart();
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM t"), 1000);
    for mode in [StopMode::Immediate, StopMode::Fast, StopMode::Smart] {
        server.stop(mode);
        assert!(Client::try_connect(&db.url()).is_err());
        server.restart();
        assert_eq!(db.client().query_one::<i64>("SELECT sum(x) FROM t"), 500_500);
    }
}

#[test]
fn a_server_leaves_nothing_behind() {
    let server = Server::start(false);
    let (dir, pid) = (server.dir().to_owned(), server.pid());
    drop(server);
    assert!(!dir.exists(), "{}", dir.display());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

/// The child of the next test: starts a server, says where it is, and waits to be killed.
#[test]
#[ignore = "run by a_server_does_not_outlive_a_killed_test"]
#[expect(clippy::print_stdout, reason = "its parent reads it")]
fn starts_a_server_and_waits() {
    if std::env::var_os("TIDEGATE_TEST_WAITS").is_none() {
        return;
    }
    let server = Server::start(false);
    println!("server at {} pid {}.", server.dir().display(), server.pid());
    std::thread::park();
}

#[test]
fn a_server_does_not_outlive_a_killed_test() {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["harness::starts_a_server_and_waits", "--exact", "--ignored", "--nocapture"])
        .env("TIDEGATE_TEST_WAITS", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find_map(|line| {
        let line = line.unwrap();
        line.split_once("server at ").map(|(_, rest)| rest.trim_end_matches('.').to_owned())
    });
    let (dir, pid) = line.as_deref().and_then(|line| line.split_once(" pid ")).unwrap();
    assert!(std::path::Path::new(dir).join("data").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    while std::path::Path::new(dir).exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let lives = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z "));
    assert!(!lives, "server {pid} outlived its test");
}

#[test]
fn bars_are_the_same_every_time() {
    let bars = Bars { rows: 5, symbols: 2, seed: 1 };
    let csv = bars.csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0], Bars::HEADER);
    assert_eq!(lines[1], bars.line(0));
    assert!(lines[2].starts_with("S001,1m,2024-01-01T00:00:00Z,"), "{}", lines[2]);
    assert!(lines[5].starts_with("S000,1m,2024-01-01T00:02:00Z,"), "{}", lines[5]);
    let other = Bars { seed: 2, ..bars };
    assert_ne!(other.line(0), bars.line(0));
    let db = TestDb::new("bars");
    let client = db.client();
    client.execute(
        "CREATE TABLE b (line text, open numeric, high numeric, low numeric, close numeric)",
    );
    for line in (0..500).map(|row| Bars { rows: 500, symbols: 7, seed: 3 }.line(row)) {
        let fields: Vec<&str> = line.split(',').collect();
        let prices = fields[3..7].join(",");
        client.execute(&format!("INSERT INTO b VALUES ('{line}', {prices})"));
    }
    let broken = "SELECT count(*) FROM b WHERE high < greatest(open, close, low) \
                  OR low > least(open, close) OR low <= 0";
    assert_eq!(client.query_one::<i64>(broken), 0, "the bars keep the market's rules");
    assert!(bars.write(db.home(), "bars.csv").is_file());
}

#[test]
fn tables_that_differ_are_found_out() {
    let (a, b) = (TestDb::new("left"), TestDb::new("right"));
    for db in [&a, &b] {
        db.client().execute(
            "CREATE TABLE x (n int); INSERT INTO x VALUES (1), (2), (2); \
             CREATE TABLE y (n int); INSERT INTO y VALUES (2), (1), (2)",
        );
    }
    except_all(&a, "x", "SELECT n FROM y");
    same_rows(&a, &b, "SELECT * FROM x");
    b.client().execute("UPDATE x SET n = 1 WHERE ctid = (SELECT max(ctid) FROM x)");
    let fails =
        |test: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(test)).is_err();
    assert!(fails(&|| except_all(&b, "x", "y")));
    let more = "SELECT n FROM y UNION ALL SELECT 2";
    assert!(fails(&|| except_all(&b, "y", more)), "one row too many on the right");
    assert!(fails(&|| except_all(&b, more, "y")), "one row too many on the left");
    assert!(fails(&|| same_rows(&a, &b, "SELECT * FROM x")));
}

#[test]
fn the_program_runs_and_can_be_killed() {
    let db = TestDb::new("program");
    let ended: Outcome = Program::new(&db).arg("--version").run();
    assert_eq!(ended.signal, None, "{}", ended.stderr);
    let ended = ended.expect_code(0);
    assert!(ended.report.is_none());
    let report = serde_json::json!({"totals": {"read": 3}});
    let ended = Outcome { report: Some(report), ..ended };
    assert_eq!((ended.total("read"), ended.report().is_object()), (3, true));
    let mut running =
        Program::bare(db.home()).args(["--version"]).env("X", "y").report_json().spawn();
    running.signal(Signal::KILL);
    while running.is_running() {
        std::thread::yield_now();
    }
    assert!(running.stderr().is_empty());
    let ended = running.wait();
    assert!(ended.signal == Some(9) || ended.code.is_some(), "{ended:?}");
    assert!(fixture("x.csv").ends_with("fixtures/x.csv"));
}
