//! The cron job: a week of nights with everything that happens in one, its lock, and its
//! configuration.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    BARS, Faults, Outcome, Program, Running, Server, StopMode, TestDb, Web, adds_up, count,
    equations, file, load, opens, same_rows,
};

/// Minute bars of a day, from midnight on; `level` moves their prices.
fn bars(day: &str, rows: u32, level: u32) -> String {
    let mut text = String::from("symbol,interval,ts,open,high,low,close,volume\n");
    for row in 0..rows {
        let (hour, minute, price) = (row / 60, row % 60, level + row % 7);
        let _ = writeln!(
            text,
            "ACME,1m,{day}T{hour:02}:{minute:02}:00Z,{price},{},{price},{price},5",
            price + 1
        );
    }
    text
}

/// Writes the configuration.
fn config(db: &TestDb<'_>, text: &str) -> PathBuf {
    file(db, "nightly.toml", text)
}

fn program(db: &TestDb<'_>, today: &str) -> Program {
    let config = db.home().join("nightly.toml");
    let program = Program::new(db).arg("nightly").arg(config).args(["--today", today]);
    let scratch = scratch(db);
    let program = program.env("TIDEGATE_SPILL_DIR", &scratch).env("TMPDIR", &scratch);
    program.report_json()
}

/// Where nights of this test put what is temporary.
fn scratch(db: &TestDb<'_>) -> PathBuf {
    let folder = db.home().join("scratch");
    std::fs::create_dir_all(&folder).expect("the home is writable");
    folder
}

/// A night that has ended, however it did, has left nothing behind but its reports and rows: no
/// temporary files, no sessions, nothing prepared, no advisory locks, no live figures, a lease that
/// is free.
fn left_nothing(db: &TestDb<'_>) {
    let left: Vec<_> = std::fs::read_dir(scratch(db)).expect("it is there").collect();
    assert!(left.is_empty(), "temporary files: {left:?}");
    let client = db.client();
    let none = |what: &str, sql: &str| {
        // The server notices the end of a connection a moment later.
        let started = std::time::Instant::now();
        while client.query_one::<i64>(sql) != 0 {
            assert!(started.elapsed() < Duration::from_secs(20), "{what}: {sql}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    none(
        "sessions",
        "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'tidegate%'",
    );
    none("prepared transactions", "SELECT count(*) FROM pg_prepared_xacts");
    none(
        "advisory locks",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = \
         (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    none("live figures", "SELECT count(*) FROM tidegate.live");
    none("leases", "SELECT count(*) FROM tidegate.lease WHERE released_at IS NULL");
    none("temporary tables", "SELECT count(*) FROM pg_class WHERE relpersistence = 't'");
    none("indexes that are not valid", "SELECT count(*) FROM pg_index WHERE NOT indisvalid");
}

/// A night that ends with this code, its accounts checked.
fn night(db: &TestDb<'_>, today: &str, code: i32) -> Outcome {
    let outcome = program(db, today).run().expect_code(code);
    adds_up(db, &outcome);
    assert_eq!(outcome.report()["exit_code"], code);
    assert_eq!(outcome.report()["command"], "nightly");
    outcome
}

/// What the report says of a source.
fn source<'a>(outcome: &'a Outcome, name: &str) -> &'a Value {
    let sources = outcome.report()["sources"].as_array().expect("a list of sources");
    let found = sources.iter().find(|source| source["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {sources:?}"))
}

fn stored(db: &TestDb<'_>) -> i64 {
    db.client().query_one("SELECT count(*) FROM market_data")
}

const ONE: &str = "[[source]]\nname = \"acme\"\npaths = \"in/{date:%Y-%m-%d}.csv\"\ndays = 3\n\
                   calendar = \"24x7\"\non_conflict = \"update\"\n";

#[test]
fn only_new_and_changed_files_are_read() {
    let db = TestDb::new("nightly news");
    config(&db, ONE);
    file(&db, "in/2024-06-03.csv", bars("2024-06-03", 100, 10));
    let first = night(&db, "2024-06-03", 0);
    assert_eq!(first.total("inserted"), 100);
    // What was just written could be written to again unnoticed.
    std::thread::sleep(Duration::from_secs(4));
    let again = night(&db, "2024-06-03", 0);
    assert_eq!(again.report()["files"][0]["already_loaded"], true);
    let acme = source(&first, "acme");
    assert_eq!(acme["missing_days"], serde_json::json!(["2024-05-31", "2024-06-01", "2024-06-02"]));
    assert_eq!(acme["newest_at"], "2024-06-03T01:39:00.000Z");
    assert!(acme["last_success_at"].is_string() && acme["lag_s"].as_f64().unwrap() > 0.0);

    let second = night(&db, "2024-06-03", 0);
    assert_eq!(count(source(&second, "acme"), "unchanged"), 1);
    assert_eq!(second.report()["files"].as_array().unwrap().len(), 0, "nothing was read");
    assert_eq!(source(&second, "acme")["newest_at"], "2024-06-03T01:39:00.000Z");

    // Touched: read again, and the ledger knows it.
    let path = file(&db, "in/2024-06-03.csv", bars("2024-06-03", 100, 10));
    let third = night(&db, "2024-06-03", 0);
    assert_eq!(count(source(&third, "acme"), "unchanged"), 0);
    assert_eq!(third.report()["files"][0]["already_loaded"], true);

    // Rewritten in place: 10 bars more, all others other.
    std::fs::write(&path, bars("2024-06-03", 110, 20)).unwrap();
    let rewritten = night(&db, "2024-06-04", 0);
    let restated = &source(&rewritten, "acme")["restated"][0];
    assert_eq!([count(restated, "inserted"), count(restated, "updated")], [10, 100]);
    assert!(rewritten.stderr.contains("was rewritten"), "{}", rewritten.stderr);
    let sum = |db: &TestDb<'_>| {
        db.client().query_one::<f64>("SELECT sum(open) FROM market_data WHERE open >= 20")
    };
    let newer = sum(&db);
    // And back to what it was: the ledger has that content as done, and the table has the other.
    std::fs::write(&path, bars("2024-06-03", 100, 10)).unwrap();
    let back = night(&db, "2024-06-04", 0);
    assert_eq!(count(&source(&back, "acme")["restated"][0], "updated"), 100);
    assert!(sum(&db) < newer && stored(&db) == 110);
    let status = Program::new(&db).args(["status"]).run().expect_code(0);
    assert!(status.stdout.contains("nightly"), "{}", status.stdout);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(text.as_bytes()).and_then(|()| to.finish()).expect("memory takes all")
}

fn wait_until(running: &mut Running, what: &str, mut condition: impl FnMut() -> bool) {
    while !condition() {
        assert!(running.is_running(), "ended before {what}: {}", running.stderr());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Portions that a load has committed, of whatever run.
fn portions(db: &TestDb<'_>) -> i64 {
    db.client().query_one("SELECT count(*) FROM tidegate.portion")
}

/// A metric's value in a file, by its name and a part of its labels.
fn metric(path: &Path, name: &str, labels: &str) -> f64 {
    let text = std::fs::read_to_string(path).expect("metrics were written");
    let line = text
        .lines()
        .find(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(labels));
    let line = line.unwrap_or_else(|| panic!("{name} {labels} is not in {text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

const WEEK: &str = r#"
[lock]
stale_after = "1h"

[[source]]
name = "acme"
paths = "acme/{date:%Y-%m-%d}.csv"
days = 7
calendar = "weekdays"
on_conflict = "update"
manifest = "counts.csv"
max_rows_per_sec = 4000

[[source]]
name = "packed"
paths = "packed/*.csv.gz"
max_rejects = 3

[report]
json = "out/night.json"
html = "out/night.html"
prom = "out/night.prom"
"#;

/// The other source's ticker.
fn packed(day: &str, rows: u32) -> String {
    bars(day, rows, 50).replace("ACME", "PACK")
}

/// What every night leaves behind.
fn reports(db: &TestDb<'_>, outcome: &Outcome, code: i32) {
    let out = |ending: &str| db.home().join(format!("out/night.{ending}"));
    let json: Value =
        serde_json::from_slice(&std::fs::read(out("json")).expect("a report is whole"))
            .expect("a report is whole");
    assert_eq!(json["run_id"], outcome.report()["run_id"]);
    assert_eq!(json["exit_code"], code);
    let page = std::fs::read_to_string(out("html")).expect("a report is whole");
    assert!(page.contains("acme") && page.contains("packed"), "the page names the sources");
    let _ = opens(&out("html"), &json, db.home());
    assert_eq!(metric(&out("prom"), "tidegate_run_exit_code", "nightly"), f64::from(code));
    let last = metric(&out("prom"), "tidegate_last_success_timestamp_seconds", "nightly");
    let start = metric(&out("prom"), "tidegate_run_start_timestamp_seconds", "nightly");
    assert_eq!(last >= start, matches!(code, 0 | 3), "{last} {start}");
    for source in json["sources"].as_array().expect("a report is whole") {
        let labels = format!("source=\"{}\"", source["name"].as_str().expect("a report is whole"));
        let shown = |name: &str| metric(&out("prom"), name, &labels);
        assert_eq!(
            shown("tidegate_source_exit_code"),
            source["exit_code"].as_f64().expect("a report is whole")
        );
        let read = source["totals"]["read"].as_f64().expect("a report is whole");
        assert_eq!(
            metric(&out("prom"), "tidegate_source_rows", &format!("{labels},fate=\"read\"")),
            read
        );
    }
    let mut left: Vec<String> = std::fs::read_dir(db.home().join("out"))
        .expect("a report is whole")
        .map(|entry| entry.expect("a report is whole").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["night.html", "night.json", "night.prom"], "nothing else is left behind");
}

/// A night of the week, with its reports.
fn week_night(db: &TestDb<'_>, today: &str, code: i32) -> Outcome {
    let outcome = night(db, today, code);
    reports(db, &outcome, code);
    left_nothing(db);
    outcome
}

#[test]
fn a_week_of_nights_ends_with_the_truth() {
    let server = Server::start(true);
    let db = TestDb::on(&server, "nightly week");
    config(&db, WEEK);
    std::fs::create_dir(db.home().join("out")).unwrap();
    let manifest = |counts: &[(&str, u32)]| {
        let mut text = String::from("date,ticker,count\n");
        counts.iter().for_each(|(day, count)| text.push_str(&format!("{day},ACME,{count}\n")));
        file(&db, "counts.csv", text);
    };
    let acme = |day: &str, rows: u32, level: u32| {
        file(&db, &format!("acme/{day}.csv"), bars(day, rows, level))
    };

    // Monday: the first files of both. The week before is missing, but not its weekend.
    manifest(&[("2024-06-03", 300)]);
    acme("2024-06-03", 300, 10);
    file(&db, "packed/a.csv.gz", gzip(&packed("2024-06-03", 40)));
    let monday = week_night(&db, "2024-06-03", 0);
    assert_eq!(monday.total("inserted"), 340);
    let missing = source(&monday, "acme")["missing_days"].as_array().unwrap();
    assert_eq!(missing.len(), 5, "{missing:?}");
    // The map has the days of the sources, by ticker.
    let map = &monday.report()["coverage"][0];
    assert_eq!([&map["table"], &map["unit"]], ["public.market_data", "day"], "{map}");
    assert_eq!(map["columns"].as_array().map(Vec::len), Some(8), "{map}");
    let last = |name: &str, what: &str, map: &Value| {
        let series = map["series"].as_array().unwrap().iter().find(|row| row["name"] == name);
        let cells = series.unwrap_or_else(|| panic!("{name}: {map}"))[what].as_array().unwrap();
        cells.iter().map(|cell| cell.as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(last("ACME", "rows", map), [0, 0, 0, 0, 0, 0, 0, 300]);
    assert_eq!(last("PACK", "rows", map), [0, 0, 0, 0, 0, 0, 0, 40]);
    assert_eq!(count(source(&monday, "acme"), "full_days"), 1);

    // Tuesday: a new file, and Monday's was rewritten.
    manifest(&[("2024-06-03", 310), ("2024-06-04", 200)]);
    acme("2024-06-03", 310, 20);
    acme("2024-06-04", 200, 10);
    let tuesday = week_night(&db, "2024-06-04", 0);
    let restated = &source(&tuesday, "acme")["restated"][0];
    assert_eq!([count(restated, "inserted"), count(restated, "updated")], [10, 300]);
    let map = &tuesday.report()["coverage"][0];
    assert_eq!(last("ACME", "rows", map), [0, 0, 0, 0, 0, 0, 310, 200]);
    assert_eq!(last("PACK", "missing", map), [0, 0, 0, 0, 0, 0, 0, 1], "not of Tuesday");
    assert_eq!(last("about here", "restated", map)[6], 300, "{map}");

    // Wednesday: one source's file is cut short on its way; the other is not stopped by it.
    acme("2024-06-05", 200, 10);
    let whole = gzip(&packed("2024-06-05", 400));
    file(&db, "packed/b.csv.gz", &whole[..whole.len() / 2]);
    let wednesday = week_night(&db, "2024-06-05", 1);
    assert_eq!(source(&wednesday, "acme")["exit_code"], 0);
    assert_eq!(wednesday.total("inserted"), 200);
    let packed_source = source(&wednesday, "packed");
    assert_eq!(packed_source["exit_code"], 1);
    assert!(packed_source["message"].as_str().unwrap().contains("b.csv.gz"), "{packed_source}");
    for words in ["packed: FAILED", "b.csv.gz", "--source packed", "exit code 1"] {
        assert!(wednesday.stderr.contains(words), "{words}: {}", wednesday.stderr);
    }

    // Thursday: it came again, whole. Rows of Tuesday were lost from the table: they are loaded
    // again. Of Wednesday the file itself lacks some, which is said, once.
    file(&db, "packed/b.csv.gz", &whole);
    manifest(&[("2024-06-03", 310), ("2024-06-04", 200), ("2024-06-05", 205)]);
    db.client()
        .execute("DELETE FROM market_data WHERE ts >= '2024-06-04' AND ts < '2024-06-04 00:30+00'");
    acme("2024-06-06", 100, 10);
    let thursday = week_night(&db, "2024-06-06", 0);
    assert_eq!(thursday.total("inserted"), 400 + 30 + 100);
    let short = &source(&thursday, "acme")["short_days"];
    let expected = json!([{ "day": "2024-06-05", "ticker": "ACME", "expected": 205, "found": 200,
        "reloaded": true }]);
    assert_eq!(*short, expected);
    let again = week_night(&db, "2024-06-06", 0);
    assert_eq!(again.total("read"), 0, "a day that stays short is not loaded every night");
    assert_eq!(source(&again, "acme")["short_days"][0]["reloaded"], false);

    // Friday: a few bad records; then too many, which ends that source alone.
    file(&db, "packed/c.csv.gz", gzip(&packed("2024-06-07", 60).replace(",51,", ",x,")));
    let friday = week_night(&db, "2024-06-07", 4);
    assert_eq!(source(&friday, "packed")["exit_code"], 4);
    assert!(friday.stderr.contains("rejects list --run"), "{}", friday.stderr);
    let mut two = packed("2024-06-07", 62);
    for minute in ["00:05", "00:06"] {
        let line = two.lines().find(|line| line.contains(&format!("T{minute}"))).unwrap();
        two = two.replace(line, &line.replace(",5", ",five"));
    }
    file(&db, "packed/c.csv.gz", gzip(&two));
    let friday = week_night(&db, "2024-06-07", 3);
    assert_eq!(friday.total("rejected"), 2);
    assert!(friday.stderr.contains("rejects export"), "{}", friday.stderr);

    killed_and_restarted(&server, &db, &acme);
    // Once more: nothing is left to do.
    assert_eq!(week_night(&db, "2024-06-09", 0).total("read"), 0);

    let truth = TestDb::on(&server, "nightly truth");
    let _ = load(&truth, [db.home().join("acme")], 0);
    let _ = load(&truth, [db.home().join("packed")], 3);
    same_rows(&db, &truth, BARS);
}

/// Saturday: killed in the middle, and the next run goes on. Sunday: the server restarts under it.
fn killed_and_restarted(
    server: &Server,
    db: &TestDb<'_>,
    acme: &impl Fn(&str, u32, u32) -> PathBuf,
) {
    for day in ["2024-06-07", "2024-06-08"] {
        acme(day, 1_440, 10);
    }
    for day in 1..=2 {
        // Before the first night, and not in the calendar: looked at all the same.
        acme(&format!("2024-06-0{day}"), 1_440, 10);
    }
    let before = portions(db);
    let mut running = program(db, "2024-06-08").spawn();
    wait_until(&mut running, "the first commit", || portions(db) > before);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
    let part = stored(db);
    let saturday = week_night(db, "2024-06-08", 0);
    assert!(saturday.stderr.contains("ended without a word"), "{}", saturday.stderr);
    assert!(saturday.total("inserted") > 0 && saturday.total("inserted") < 4 * 1_440);
    assert_eq!(stored(db) - part, saturday.total("inserted").cast_signed());

    for day in ["2024-06-02", "2024-06-08", "2024-06-09"] {
        acme(day, 1_440, 30);
    }
    let before = portions(db);
    let mut running = program(db, "2024-06-09").spawn();
    wait_until(&mut running, "the first commit", || portions(db) > before);
    server.stop(StopMode::Immediate);
    server.restart();
    let sunday = running.wait().expect_code(0);
    adds_up(db, &sunday);
    reports(db, &sunday, 0);
    left_nothing(db);
    assert_eq!(sunday.total("updated") + sunday.total("inserted"), 3 * 1_440);
}

/// A source of several files that takes a few seconds.
fn slow(db: &TestDb<'_>, more: &str) {
    for part in 0..8 {
        let day = format!("2024-06-{:02}", part + 1);
        file(db, &format!("in/{part}.csv"), bars(&day, 500, 10));
    }
    config(
        db,
        &format!(
            "{more}[[source]]\nname = \"slow\"\npaths = \"in/*.csv\"\n\
             max_rows_per_sec = 1000\nwriters = 2\n"
        ),
    );
    let _ = Program::new(db).args(["migrate", "up"]).run().expect_code(0);
}

#[test]
fn two_runs_at_once_are_one() {
    let db = TestDb::new("nightly twice");
    slow(&db, "");
    let mut first = program(&db, "2024-06-08").spawn();
    wait_until(&mut first, "the first commit", || portions(&db) > 0);
    let second = program(&db, "2024-06-08").run().expect_code(75);
    for words in ["another nightly run", "tidegate status", "process"] {
        assert!(second.stderr.contains(words), "{words}: {}", second.stderr);
    }
    assert!(second.report.is_none(), "the reports are those of the run that is at it");
    let dry = Program::new(&db).arg("nightly").arg(db.home().join("nightly.toml"));
    let dry = dry.arg("--dry-run").run();
    assert!(dry.stderr.contains("another nightly run"), "{}", dry.stderr);
    let first = first.wait().expect_code(0);
    adds_up(&db, &first);
    assert_eq!(first.total("inserted"), 4_000);
    assert_eq!(night(&db, "2024-06-08", 0).total("read"), 0, "the lock is free again");
}

#[test]
fn a_run_that_fell_asleep_is_taken_over_and_stops() {
    let db = TestDb::new("nightly asleep");
    slow(&db, "[lock]\nstale_after = \"3s\"\n");
    let mut first = program(&db, "2024-06-08").spawn();
    wait_until(&mut first, "the first commit", || portions(&db) > 0);
    first.signal(Signal::STOP);
    let mut tries = 0;
    let second = loop {
        let second = program(&db, "2024-06-08").spawn().wait();
        if second.code != Some(75) {
            break second.expect_code(0);
        }
        tries += 1;
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(tries > 0, "it was not taken over while it might have been alive");
    assert!(second.stderr.contains("ended without a word"), "{}", second.stderr);
    first.signal(Signal::CONT);
    let first = first.wait().expect_code(75);
    assert!(first.stderr.contains("another nightly run took over"), "{}", first.stderr);
    assert_eq!(stored(&db), 4_000);
    equations(&db);
    assert_eq!(night(&db, "2024-06-08", 0).total("read"), 0);
}

#[test]
fn an_interrupted_night_is_resumed() {
    let db = TestDb::new("nightly interrupted");
    slow(&db, "[[source]]\nname = \"before\"\npaths = \"in/0.csv\"\n");
    let mut running = program(&db, "2024-06-08").spawn();
    wait_until(&mut running, "the second commit", || portions(&db) > 1);
    running.signal(Signal::TERM);
    let ended = running.wait().expect_code(130);
    adds_up(&db, &ended);
    assert_eq!(ended.report()["interrupted"], true);
    assert!(ended.stderr.contains("goes on where it stopped"), "{}", ended.stderr);
    let resumed = night(&db, "2024-06-08", 0);
    assert_eq!(ended.total("inserted") + resumed.total("inserted"), 4_000);
    assert_eq!(stored(&db), 4_000);
}

#[test]
fn a_full_disk_fails_one_source_and_is_made_good() {
    let server = Server::start(true);
    let db = TestDb::on(&server, "nightly full");
    let Some(disk) = Disk::mount(&db) else { return };
    db.client().execute(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.0.display()));
    db.client().execute(
        "CREATE TABLE roomy (symbol text, \"interval\" text, ts timestamptz, open float8, \
             high float8, low float8, close float8, volume float8, PRIMARY KEY (symbol, ts)); \
         CREATE TABLE tight (LIKE roomy INCLUDING ALL) TABLESPACE small",
    );
    for part in 0..12 {
        file(
            &db,
            &format!("in/{part:02}.csv"),
            bars(&format!("2024-06-{:02}", part + 1), 1_440, 9),
        );
    }
    let source = |name: &str| {
        format!(
            "[[source]]\nname = \"{name}\"\npaths = \"in/*.csv\"\ntable = \"public.{name}\"\n\
             retry_deadline = \"2s\"\nwriters = 2\n"
        )
    };
    config(&db, &format!("{}{}", source("tight"), source("roomy")));
    let full = night(&db, "2024-06-12", 1);
    let sources: Vec<&Value> = full.report()["sources"].as_array().unwrap().iter().collect();
    assert_eq!([&sources[0]["exit_code"], &sources[1]["exit_code"]], [1, 0]);
    assert!(full.stderr.contains("No space left"), "the disk was full: {}", full.stderr);
    disk.size("64m");
    let good = night(&db, "2024-06-12", 0);
    assert!(good.total("inserted") < 12 * 1_440, "it went on where it stopped");
    crate::support::except_all(&db, "tight", "roomy");
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM tight"), 12 * 1_440);
    db.client().execute("DROP TABLE tight; ");
    db.client().execute("DROP TABLESPACE small");
}

/// A small disk in memory, unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    #[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
    fn mount(db: &TestDb<'_>) -> Option<Self> {
        let folder = db.home().join("disk");
        std::fs::create_dir(&folder).expect("the home is writable");
        let owner = std::fs::metadata(db.home().parent()?).ok()?;
        use std::os::unix::fs::MetadataExt;
        let options = format!("size=600k,uid={},gid={},mode=700", owner.uid(), owner.gid());
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("not checked: a full disk: this user may not mount one");
        None
    }

    fn size(&self, size: &str) {
        let options = format!("remount,size={size}");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
        assert!(done.expect("mount runs").success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn files_behind_urls_are_fetched_when_their_tag_changes() {
    let db = TestDb::new("nightly web");
    let web = Web::start(Faults { unavailable: 0, cut: 0, no_ranges: false });
    web.put("2024-06-03.csv", bars("2024-06-03", 50, 10).as_bytes());
    web.put("counts.json", b"{\"20240603\": 50, \"20240601\": 7}");
    let paths = web.url("{date:%Y-%m-%d}.csv");
    config(
        &db,
        &format!(
            "[[source]]\nname = \"web\"\npaths = \"{paths}\"\ndays = 2\ncalendar = \"24x7\"\n\
             manifest = \"{}\"\non_conflict = \"update\"\ndataset = \"bars\"\n",
            web.url("counts.json")
        ),
    );
    let first = night(&db, "2024-06-03", 0);
    assert_eq!(first.total("inserted"), 50);
    let of = source(&first, "web");
    assert_eq!(of["missing_days"], json!(["2024-06-01", "2024-06-02"]));
    assert_eq!(of["short_days"][0]["day"], "2024-06-01");
    let before = web.requests();
    let second = night(&db, "2024-06-03", 0);
    assert_eq!(count(source(&second, "web"), "unchanged"), 1);
    // Each day is asked for, and the manifest; nothing is read but that.
    assert!(web.requests() - before <= 5, "{} requests", web.requests() - before);
    web.put("2024-06-03.csv", bars("2024-06-03", 55, 10).as_bytes());
    let third = night(&db, "2024-06-03", 0);
    assert_eq!(count(&source(&third, "web")["restated"][0], "inserted"), 5);
}

#[test]
fn what_is_wrong_with_a_configuration_is_said_before_anything_is_begun() {
    let db = TestDb::new("nightly config");
    for (text, words) in [
        ("[[source]]\nname = \"a\"\npath = \"x\"\n", ["line 3", "source.path", "paths?"]),
        ("[databse]\n", ["line 1", "databse", "database?"]),
        (
            "[[source]]\nname = \"a\"\npaths = \"x\"\ncalendar = \"mars\"\n",
            ["source a", "calendar", "nyse"],
        ),
        ("[maintenance]\nvacum = \"weekly\"\n", ["line 2", "vacum", "vacuum?"]),
        ("", ["nightly.toml", "source", "missing"]),
    ] {
        config(&db, text);
        let ended = program(&db, "2024-06-03").run().expect_code(2);
        assert!(words.iter().all(|word| ended.stderr.contains(word)), "{}", ended.stderr);
    }
    let ended = Program::new(&db).args(["nightly", "nowhere.toml"]).run().expect_code(2);
    assert!(ended.stderr.contains("nowhere.toml"), "{}", ended.stderr);
    let there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'tidegate'";
    assert_eq!(db.client().query_one::<i64>(there), 0, "nothing was begun");
    config(&db, ONE);
    let ended = program(&db, "2024-06-03").arg("--source").arg("nobody").run().expect_code(2);
    assert!(ended.stderr.contains("acme"), "{}", ended.stderr);
    let example = Program::new(&db).args(["nightly", "--example"]).run().expect_code(0);
    assert!(example.stdout.contains("[[source]]") && example.stdout.contains("[maintenance]"));
}

#[test]
fn a_dry_run_says_what_would_be_loaded_and_writes_nothing() {
    let db = TestDb::new("nightly dry");
    config(&db, ONE);
    file(&db, "in/2024-06-03.csv", bars("2024-06-03", 10, 10));
    let dry = || {
        let program = Program::new(&db).arg("nightly").arg(db.home().join("nightly.toml"));
        let program = program.args(["--today", "2024-06-03", "--dry-run", "--json"]);
        let ended = program.run().expect_code(0);
        serde_json::from_str::<Value>(&ended.stdout).expect("JSON")
    };
    let answer = dry();
    assert_eq!(answer["sources"][0]["to_load"], 1);
    assert_eq!(answer["sources"][0]["absent_days"].as_array().unwrap().len(), 3);
    let there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'tidegate'";
    assert_eq!(db.client().query_one::<i64>(there), 0, "nothing was written");
    let _ = night(&db, "2024-06-03", 0);
    let answer = dry();
    assert_eq!(answer["sources"][0]["to_load"], 0, "{answer}");
}

#[test]
fn upkeep_comes_after_loading_and_its_failure_is_told() {
    let db = TestDb::new("nightly upkeep");
    file(&db, "in/2024-06-03.csv", bars("2024-06-03", 10, 10));
    file(&db, "in/2024-06-02.csv", bars("2024-06-02", 10, 10));
    config(&db, &format!("{ONE}[maintenance]\nanalyze = true\n"));
    let plain = night(&db, "2024-06-03", 0);
    assert_eq!(stored(&db), 20, "without retention nothing is dropped");
    let actions = plain.report()["maintenance"].as_array().unwrap();
    assert!(actions.iter().any(|action| action["action"] == "analyze"), "{actions:?}");
    config(
        &db,
        &format!("{ONE}[maintenance]\npartitions_ahead = {{ nowhere = 5 }}\nanalyze = true\n"),
    );
    file(&db, "in/2024-06-03.csv", bars("2024-06-03", 12, 10));
    let failed = night(&db, "2024-06-03", 1);
    assert_eq!(failed.total("inserted"), 2, "loading came first");
    assert_eq!(source(&failed, "acme")["exit_code"], 0);
    assert!(failed.stderr.contains("upkeep: FAILED: partitions of"), "{}", failed.stderr);
    let of_acme = program(&db, "2024-06-03").args(["--source", "acme"]).run().expect_code(0);
    assert_eq!(of_acme.report()["maintenance"], json!([]));
    // Old bars go when a table is named, and what is missing then is not short.
    config(&db, &format!("{ONE}[maintenance.retention]\nmarket_data = {{ keep = \"1d\" }}\n"));
    let _ = night(&db, "2024-06-03", 0);
    assert_eq!(stored(&db), 0);
    assert_eq!(night(&db, "2024-06-03", 0).total("read"), 0, "and is not loaded again");
}

#[test]
fn a_database_that_is_away_leaves_a_report() {
    let db = TestDb::new("nightly away");
    let url = "postgres://nobody@127.0.0.1:9/none";
    config(&db, &format!("{ONE}[database]\nurl = \"{url}\"\n[report]\nprom = \"night.prom\"\n"));
    let ended = program(&db, "2024-06-03").run().expect_code(1);
    assert_eq!(ended.report()["exit_code"], 1);
    assert!(ended.report()["messages"][0].as_str().unwrap().contains("127.0.0.1"));
    let prom = db.home().join("night.prom");
    assert_eq!(metric(&prom, "tidegate_run_exit_code", "nightly"), 1.0);
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn the_units_of_systemd_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/systemd");
    let units =
        ["tidegate-nightly.service", "tidegate-nightly.timer"].map(|unit| folder.join(unit));
    // The program is looked for where the unit says it is.
    let copies = tempfile::tempdir().unwrap();
    let copied: Vec<PathBuf> = units
        .iter()
        .map(|unit| {
            let text = std::fs::read_to_string(unit).unwrap();
            let copy = copies.path().join(unit.file_name().unwrap());
            let text = text.replace("/usr/local/bin/tidegate", env!("CARGO_BIN_EXE_tidegate"));
            std::fs::write(&copy, text).unwrap();
            copy
        })
        .collect();
    let Ok(checked) = Command::new("systemd-analyze").arg("verify").args(&copied).output() else {
        eprintln!("not checked: systemd-analyze is not there: the units of systemd");
        return;
    };
    let said = String::from_utf8_lossy(&checked.stderr);
    let about: Vec<&str> = said.lines().filter(|line| line.contains("tidegate")).collect();
    assert!(about.is_empty(), "{said}");
}
