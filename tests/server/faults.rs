//! Disasters: after each the load is resumed to its end, the table equals an undisturbed load, and
//! the accounts add up. Seeds are printed. A short set runs always, the whole set with
//! `TIDEGATE_FAULTS=all` (`scripts/faults`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;

use crate::support::{
    Bars, Client, Lines, Outcome, Program, Running, Server, StopMode, TestDb, equations, except_all,
};

/// Six chunks of text, so at least six batches.
const BARS: Bars = Bars { rows: 330_000, symbols: 7, seed: 11 };
/// Rows whose volume is no number.
const BAD: usize = 40;
/// Rows whose volume the server refuses.
const REFUSED: usize = 8;

fn whole_set() -> bool {
    std::env::var_os("TIDEGATE_FAULTS").is_some_and(|set| set == "all")
}

/// As many times as asked for in the whole set, else a few.
fn times(all: usize, few: usize) -> usize {
    if whole_set() { all } else { few }
}

/// Random numbers from `TIDEGATE_FAULTS_SEED`, else the clock; the seed is printed.
#[expect(clippy::print_stderr, reason = "whoever sees a failure needs the seed")]
fn random(test: &str) -> StdRng {
    let given = std::env::var("TIDEGATE_FAULTS_SEED").ok().and_then(|seed| seed.parse().ok());
    let clock = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::from(now.map_or(0, |now| now.subsec_nanos()))
    };
    let seed: u64 = given.unwrap_or_else(clock);
    eprintln!("{test}: TIDEGATE_FAULTS_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// A table to load under fire, and a twin that is loaded in peace.
struct Scene<'a> {
    db: &'a TestDb<'a>,
    file: PathBuf,
    portions: i64,
}

const TABLES: &str = "CREATE TABLE calm (symbol text, \"interval\" text, ts timestamptz, \
         open double precision, high double precision, low double precision, \
         close double precision, volume double precision CONSTRAINT sane CHECK (volume <> 4242), \
         PRIMARY KEY (symbol, \"interval\", ts)); \
     CREATE TABLE bars (LIKE calm INCLUDING ALL)";

/// The file of all scenes.
fn text() -> &'static [u8] {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut lines = Lines::of(&BARS);
        for at in 0..BAD {
            lines.set_field(at * 7_999 + 5, 7, "many");
        }
        for at in 0..REFUSED {
            lines.set_field(at * 39_999 + 7, 7, "4242");
        }
        // A bar that comes again, far away.
        let first = lines.row(3).to_vec();
        lines.set(320_100, first);
        lines.bytes()
    })
}

impl<'a> Scene<'a> {
    fn new(db: &'a TestDb<'a>) -> Self {
        db.client().execute(TABLES);
        let file = db.home().join("bars.csv");
        std::fs::write(&file, text()).expect("the folder is writable");
        let calm = Program::new(db).args(["backfill", "--progress", "none", "--table"]);
        let calm = calm.arg("public.calm").arg(&file).report_json().run().expect_code(3);
        let counts = ["read", "inserted", "duplicate", "rejected"].map(|name| calm.total(name));
        let bad = (BAD + REFUSED) as u64;
        assert_eq!(counts, [BARS.rows, BARS.rows - bad - 1, 1, bad]);
        // Its twin is loaded by the same program, so it is compared with the file itself.
        let lines = text().split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let volume = |line: &[u8]| {
            let last = line.rsplit(|&byte| byte == b',').next().map(String::from_utf8_lossy);
            last.and_then(|volume| volume.parse::<i64>().ok()).filter(|&volume| volume != 4242)
        };
        let twice = volume(Lines::of(&Bars { rows: 4, ..BARS }).row(3)).unwrap_or_default();
        let sum: i64 = lines.filter_map(volume).sum::<i64>() - twice;
        let found: String =
            db.client().query_one("SELECT count(*) || ' ' || sum(volume)::bigint FROM calm");
        assert_eq!(found, format!("{} {sum}", BARS.rows - bad - 1), "rows and volume stored");
        let portions = db.client().query_one("SELECT count(*) FROM tidegate.portion");
        assert!(portions >= 6, "there are several batches: {portions}");
        Self { db, file, portions }
    }

    /// The load, slow enough that there is time for disasters.
    fn program(&self) -> Program {
        let program = Program::new(self.db).args(["backfill", "--progress", "none"]);
        let program = program.args(["--memory", "32MiB", "--writers", "2", "--table"]);
        let rate = if whole_set() { "130000" } else { "220000" };
        program.args(["public.bars", "--max-rows-per-sec", rate]).arg(&self.file).report_json()
    }

    /// Batches that are committed now.
    fn committed(&self) -> i64 {
        self.try_committed().expect("the server answers")
    }

    fn try_committed(&self) -> Option<i64> {
        let client = Client::try_connect(&self.db.url()).ok()?;
        Some(client.query_one::<i64>("SELECT count(*) FROM tidegate.portion") - self.portions)
    }

    /// Waits until the load has committed something.
    fn wait_for_a_commit(&self, running: &mut Running) {
        while self.try_committed().is_none_or(|committed| committed == 0) {
            assert!(running.is_running(), "ended too early: {}", running.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether there is so much left to do that a disaster will meet the load.
    fn is_far_from_done(&self) -> bool {
        self.try_committed().is_some_and(|committed| committed < self.portions - 2)
    }

    /// Fails unless the load is complete and equals the one that was not disturbed.
    fn is_whole(&self) {
        equations(self.db);
        except_all(self.db, "bars", "calm");
        let per_load = self.db.client().rows(
            "SELECT DISTINCT read, inserted, updated, duplicate, rejected FROM tidegate.load",
        );
        assert_eq!(per_load.len(), 1, "all loads of this file have the same counts: {per_load:?}");
        let rejects = |target: &str| {
            format!(
                "SELECT row_no, line_no, byte_offset, byte_len, rule, raw FROM tidegate.reject \
                 WHERE load_id IN (SELECT l.id FROM tidegate.load l JOIN tidegate.content c \
                    ON c.id = l.content_id WHERE c.target = '{target}')"
            )
        };
        except_all(self.db, &rejects("public.bars"), &rejects("public.calm"));
        let left = "SELECT count(*) FROM pg_class WHERE relname LIKE '%tidegate_stage%' \
                    OR relname LIKE '%tidegate_probe%' OR relname LIKE '%tidegate_class%'";
        assert_eq!(self.db.client().query_one::<i64>(left), 0, "temporary tables are gone");
    }
}

fn pause(random: &mut StdRng, from_ms: u64, to_ms: u64) {
    std::thread::sleep(Duration::from_millis(random.random_range(from_ms..to_ms)));
}

fn retries(outcome: &Outcome) -> u64 {
    outcome.report()["ladder"]["retries"].as_u64().expect("a counter")
}

#[test]
fn the_program_is_killed_again_and_again() {
    let mut random = random("program");
    let (mut kills, mut amid) = (0, 0);
    while kills < times(20, 4) {
        let db = TestDb::new("killed program");
        let scene = Scene::new(&db);
        loop {
            let mut running = scene.program().spawn();
            // Every other time at any moment at all, else while batches are being written.
            let before = scene.committed();
            while kills % 2 == 0 && running.is_running() && scene.committed() == before {
                std::thread::sleep(Duration::from_millis(10));
            }
            pause(&mut random, 0, if kills % 2 == 0 { 400 } else { 1_500 });
            if kills < times(20, 4) {
                running.signal(Signal::KILL);
            }
            let outcome = running.wait();
            if outcome.signal.is_none() {
                names_all_rejects(&outcome.expect_code(3));
                break;
            }
            assert_eq!(outcome.signal, Some(9));
            kills += 1;
            let committed = scene.committed();
            amid += usize::from(committed > 0 && committed < scene.portions);
        }
        scene.is_whole();
        // Once more: nothing is left to do.
        let again = scene.program().run().expect_code(0);
        assert_eq!(again.total("read"), 0);
    }
    assert!(amid > 0, "no kill met a load half done");
}

/// Killed late, the runs before had recorded all rejects: the last one names them all the same.
fn names_all_rejects(outcome: &Outcome) {
    let before = outcome.report()["files"][0]["rejected_before"].as_u64().expect("a count");
    assert_eq!(outcome.total("rejected") + before, (BAD + REFUSED) as u64);
    assert!(outcome.stderr.contains("rejects export --run"), "{}", outcome.stderr);
}

#[test]
fn a_run_that_only_seals_names_the_rejects_of_the_one_before() {
    let db = TestDb::new("only seals");
    let scene = Scene::new(&db);
    let _ = scene.program().run().expect_code(3);
    // As a kill between the last batch and the seal leaves it.
    db.client().execute(
        "UPDATE tidegate.load l SET sealed_at = NULL, read = NULL, inserted = NULL, \
             updated = NULL, duplicate = NULL, conflicting = NULL, rejected = NULL, skipped = NULL \
         FROM tidegate.content c WHERE c.id = l.content_id AND c.target = 'public.bars'",
    );
    let outcome = scene.program().run().expect_code(3);
    assert_eq!(outcome.total("read"), 0, "only the seal was left");
    names_all_rejects(&outcome);
    scene.is_whole();
    let _ = scene.program().run().expect_code(0);
}

#[test]
fn our_own_tables_survive_a_killed_program() {
    let mut random = random("own tables");
    let db = TestDb::new("killed program own");
    let path = Bars { rows: 200_000, symbols: 7, seed: 3 }.write(db.home(), "bars.csv");
    let program = || {
        let program = Program::new(&db).args(["backfill", "--progress", "none"]);
        program.args(["--memory", "32MiB", "--max-rows-per-sec", "100000"]).arg(&path)
    };
    let mut kills = 0;
    loop {
        let mut running = program().spawn();
        pause(&mut random, 200, 1_200);
        running.signal(Signal::KILL);
        let outcome = running.wait();
        if outcome.signal.is_none() {
            let _ = outcome.expect_code(0);
            break;
        }
        kills += 1;
        if kills == times(10, 2) {
            let _ = program().run().expect_code(0);
            break;
        }
    }
    assert!(kills > 0, "the program was never killed");
    db.client().execute(TABLES);
    let calm = Program::new(&db).args(["backfill", "--progress", "none", "--table", "public.calm"]);
    let _ = calm.arg(&path).run();
    let ours = "SELECT t.symbol, m.\"interval\", m.ts, m.open, m.high, m.low, m.close, m.volume \
                FROM market_data m JOIN tickers t ON t.id = m.ticker_id";
    except_all(&db, ours, "SELECT * FROM calm");
    equations(&db);
}

/// Ends the server again and again while a load runs, until it has happened `moments` times.
fn server_ends(name: &str, moments: usize, end: impl Fn(&Server)) {
    let mut random = random(name);
    let server = Server::start(true);
    let mut ends = 0;
    while ends < moments {
        let db = TestDb::on(&server, name);
        let scene = Scene::new(&db);
        let mut running = scene.program().spawn();
        scene.wait_for_a_commit(&mut running);
        let before = ends;
        while ends < moments && scene.is_far_from_done() && running.is_running() {
            pause(&mut random, 0, 900);
            if !scene.is_far_from_done() {
                break;
            }
            end(&server);
            ends += 1;
            pause(&mut random, 0, 400);
            server.restart();
            pause(&mut random, 300, 900);
        }
        assert!(ends > before, "the server was not ended in time");
        // By itself, without a second run.
        let _ = running.wait().expect_code(3);
        scene.is_whole();
    }
}

#[test]
fn the_server_is_killed_again_and_again() {
    server_ends("killed_server", times(10, 2), Server::kill9);
}

#[test]
fn the_server_is_stopped_again_and_again() {
    server_ends("stopped_at_once", times(10, 1), |server| server.stop(StopMode::Immediate));
    server_ends("stopped_fast", times(10, 1), |server| server.stop(StopMode::Fast));
}

#[test]
fn backends_are_terminated_amid_their_copy() {
    let db = TestDb::new("terminated");
    let scene = Scene::new(&db);
    let mut running = scene.program().spawn();
    let client = db.client();
    let mut ended = 0;
    while ended < times(20, 3) && running.is_running() {
        let hit: i64 = client.query_one(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'tidegate' \
               AND state = 'active' AND query LIKE 'COPY%'",
        );
        ended += usize::try_from(hit).expect("a count");
        std::thread::sleep(Duration::from_millis(if hit > 0 { 200 } else { 1 }));
    }
    let outcome = running.wait().expect_code(3);
    assert!(ended > 0 && retries(&outcome) > 0, "{ended} ended, {} retries", retries(&outcome));
    scene.is_whole();
}

#[test]
fn two_processes_share_a_list() {
    let db = TestDb::new("two processes");
    let scene = Scene::new(&db);
    let (one, two) = (scene.program().spawn(), scene.program().spawn());
    let outcomes = [one.wait(), two.wait()];
    let read: u64 = outcomes.iter().map(|outcome| outcome.total("read")).sum();
    assert_eq!(read, BARS.rows, "each record was read for good by one of them");
    for outcome in outcomes {
        assert!(matches!(outcome.code, Some(0 | 3)), "{:?}: {}", outcome.code, outcome.stderr);
    }
    let runs = "SELECT count(DISTINCT run_id) FROM tidegate.portion";
    assert_eq!(db.client().query_one::<i64>(runs), 3, "both wrote, and the calm load");
    scene.is_whole();
}

#[test]
fn a_table_locked_for_a_while_is_waited_for() {
    let db = TestDb::new("locked");
    let scene = Scene::new(&db);
    let client = db.client();
    client.execute("BEGIN; LOCK TABLE bars IN ACCESS EXCLUSIVE MODE");
    let running = scene.program().spawn();
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'bars'::regclass";
    let watch = db.client();
    while watch.query_one::<i64>(waiting) < 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Longer than the lock timeout of a batch, in the whole set.
    std::thread::sleep(Duration::from_secs(if whole_set() { 65 } else { 1 }));
    client.execute("ROLLBACK");
    let outcome = running.wait().expect_code(3);
    assert!(!whole_set() || retries(&outcome) > 0, "the lock timeout did not fire");
    scene.is_whole();
}

#[test]
fn a_deadlock_is_retried() {
    let db = TestDb::new("deadlock");
    let scene = Scene::new(&db);
    let client = db.client();
    client.execute("SET deadlock_timeout = '60s'; BEGIN; LOCK TABLE bars IN ACCESS EXCLUSIVE MODE");
    let running = scene.program().spawn();
    // The portion's lock of a writer that waits for the table.
    let portion = "SELECT p.classid::bigint << 32 | p.objid::bigint \
         FROM pg_locks p JOIN pg_locks w USING (pid) \
         WHERE p.locktype = 'advisory' AND NOT w.granted AND w.relation = 'bars'::regclass LIMIT 1";
    let watch = db.client();
    let lock = loop {
        let rows = watch.rows(portion);
        match rows.first().and_then(|row| row[0].clone()) {
            Some(lock) => break lock,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    // Now each waits for the other. The writer's deadlock_timeout ends first.
    client.execute(&format!("SELECT pg_advisory_xact_lock({lock}); ROLLBACK"));
    let outcome = running.wait().expect_code(3);
    assert!(retries(&outcome) > 0, "the deadlock did not fire");
    scene.is_whole();
}

/// A role with so many connections at most, which owns the tables.
fn limited_role(db: &TestDb<'_>, limit: usize) -> (String, String) {
    let role = format!("limited_{}_{limit}", std::process::id());
    let name = db.url().rsplit('/').next().unwrap_or_default().to_owned();
    db.client().execute(&format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT {limit}; ALTER TABLE bars OWNER TO {role}; \
         GRANT ALL ON DATABASE {name} TO {role}; \
         GRANT ALL ON SCHEMA tidegate TO {role}; \
         GRANT ALL ON ALL TABLES IN SCHEMA tidegate TO {role}; \
         GRANT ALL ON ALL SEQUENCES IN SCHEMA tidegate TO {role}"
    ));
    (db.url().replacen("postgres@", &format!("{role}@"), 1), role)
}

#[test]
fn too_many_connections_are_waited_for() {
    // Five of six taken: the program comes in, its writers do not. Six of six: nor does it.
    for taken in [5, 6] {
        let db = TestDb::new("too many connections");
        let scene = Scene::new(&db);
        let (url, role) = limited_role(&db, 6);
        let others: Vec<Client> = (0..taken).map(|_| Client::connect(&url)).collect();
        let mut running = scene.program().env("DATABASE_URL", &url).spawn();
        std::thread::sleep(Duration::from_secs(2));
        assert!(running.is_running(), "gave up: {}", running.stderr());
        assert_eq!(scene.committed(), 0, "nothing could be written");
        assert!(Client::try_connect(&url).is_err(), "there is no room");
        drop(others);
        let _ = running.wait().expect_code(3);
        scene.is_whole();
        db.client().execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    }
}

#[test]
fn a_source_that_changes_stops_its_load() {
    let db = TestDb::new("changed");
    let scene = Scene::new(&db);
    let original = std::fs::read(&scene.file).expect("the file is there");
    let mut running = scene.program().spawn();
    scene.wait_for_a_commit(&mut running);
    let mut changed = original.clone();
    let digit = changed.len() - 3;
    changed[digit] = if changed[digit] == b'1' { b'2' } else { b'1' };
    std::fs::write(&scene.file, &changed).expect("the file is writable");
    let outcome = running.wait().expect_code(1);
    assert!(outcome.stderr.contains("changed"), "{}", outcome.stderr);
    let committed = scene.committed();
    assert!(committed > 0 && committed < scene.portions, "{committed}");
    let foreign = "SELECT count(*) FROM (SELECT * FROM bars EXCEPT ALL SELECT * FROM calm) x";
    assert_eq!(db.client().query_one::<i64>(foreign), 0, "only rows of the file as it was");
    let sealed = "SELECT count(*) FROM tidegate.load WHERE sealed_at IS NOT NULL";
    assert_eq!(db.client().query_one::<i64>(sealed), 1, "only the calm load is sealed");
    // As it was, it is resumed.
    std::fs::write(&scene.file, &original).expect("the file is writable");
    let _ = scene.program().run().expect_code(3);
    scene.is_whole();
}

#[test]
fn a_source_that_is_gone_can_come_back() {
    let db = TestDb::new("gone");
    let scene = Scene::new(&db);
    let mut running = scene.program().spawn();
    scene.wait_for_a_commit(&mut running);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
    let elsewhere = moved(&scene.file);
    let outcome = scene.program().run();
    assert!(matches!(outcome.code, Some(1 | 2)), "{:?}", outcome.code);
    assert!(outcome.stderr.contains("bars.csv"), "{}", outcome.stderr);
    std::fs::rename(&elsewhere, &scene.file).expect("it comes back");
    let _ = scene.program().run().expect_code(3);
    scene.is_whole();
}

#[test]
fn a_source_deleted_while_it_is_loaded_is_loaded_whole_or_resumed() {
    let db = TestDb::new("deleted");
    let scene = Scene::new(&db);
    let mut running = scene.program().spawn();
    scene.wait_for_a_commit(&mut running);
    let elsewhere = moved(&scene.file);
    let outcome = running.wait();
    std::fs::rename(&elsewhere, &scene.file).expect("it comes back");
    if outcome.code != Some(3) {
        let _ = outcome.expect_code(1);
        let _ = scene.program().run().expect_code(3);
    }
    scene.is_whole();
}

fn moved(file: &Path) -> PathBuf {
    let elsewhere = file.with_extension("moved");
    std::fs::rename(file, &elsewhere).expect("the file is there");
    elsewhere
}

#[test]
fn a_parquet_file_that_changes_stops_its_load() {
    let db = TestDb::new("changed parquet");
    db.client().execute(TABLES);
    let (file, other) = (db.home().join("bars.parquet"), db.home().join("other.parquet"));
    write_parquet(&file, 5 * 65_536, 1.0);
    write_parquet(&other, 5 * 65_536, 2.0);
    let program = |table: &str| {
        let program = Program::new(&db).args(["backfill", "--progress", "none", "--table", table]);
        let program = program.args(["--memory", "32MiB", "--max-rows-per-sec", "100000"]);
        program.arg(&file).spawn()
    };
    let original = std::fs::read(&file).expect("the file is there");
    let mut running = program("public.bars");
    while db.client().query_one::<i64>("SELECT count(*) FROM bars") == 0 {
        assert!(running.is_running(), "ended too early: {}", running.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::copy(&other, &file).expect("it is written to");
    let outcome = running.wait().expect_code(1);
    assert!(outcome.stderr.contains("changed"), "{}", outcome.stderr);
    let foreign = "SELECT count(*) FROM bars WHERE open <> 1";
    assert_eq!(db.client().query_one::<i64>(foreign), 0, "only rows of the file as it was");
    std::fs::write(&file, original).expect("the file is writable");
    for table in ["public.bars", "public.calm"] {
        let _ = program(table).wait().expect_code(0);
    }
    equations(&db);
    except_all(&db, "bars", "calm");
}

/// Bars of one symbol, all with the same price.
fn write_parquet(path: &Path, rows: i64, price: f64) {
    use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
    let minutes = (0..rows).map(|row| 1_704_067_200_000_000 + row * 60_000_000);
    let ts: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from_iter_values(minutes).with_timezone("UTC"));
    let count = usize::try_from(rows).expect("few rows");
    let words = |word: &str| -> ArrayRef { Arc::new(StringArray::from(vec![word; count])) };
    let prices: ArrayRef = Arc::new(Float64Array::from(vec![price; count]));
    let numbers = ["open", "high", "low", "close", "volume"].map(|name| (name, prices.clone()));
    let columns = [("symbol", words("S000")), ("interval", words("1m")), ("ts", ts)];
    let batch = arrow::array::RecordBatch::try_from_iter(columns.into_iter().chain(numbers));
    let batch = batch.expect("a batch");
    let rows = parquet::file::properties::WriterProperties::builder();
    let rows = rows.set_max_row_group_row_count(Some(65_536)).build();
    let file = std::fs::File::create(path).expect("the folder is writable");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(rows)).expect("a writer");
    writer.write(&batch).expect("the folder is writable");
    writer.close().expect("the folder is writable");
}

#[test]
fn interrupted_loads_say_so_and_go_on() {
    let db = TestDb::new("interrupted");
    let scene = Scene::new(&db);
    let mut running = scene.program().spawn();
    scene.wait_for_a_commit(&mut running);
    let asked = Instant::now();
    running.signal(Signal::INT);
    let _ = running.wait().expect_code(130);
    assert!(asked.elapsed() < Duration::from_secs(30), "it finishes what is in hand, no more");
    assert!(scene.committed() < scene.portions);
    let _ = scene.program().run().expect_code(3);
    scene.is_whole();
}
