//! A server with TimescaleDB, where `TIDEGATE_TEST_TIMESCALE_URL` names one
//! (`scripts/timescale-dev` makes it): the same migrations, loads and checks.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::path::PathBuf;

use rustix::process::Signal;
use tidegate::command::Access;
use tidegate::command::upkeep::{
    self, Age, Compress, Outcome, Retention, UpkeepPlan, UpkeepReport,
};

use crate::support::{Bars, Client, Program, closes};

/// A database with the extension on that server, dropped at the end.
struct Timescale {
    server: String,
    name: String,
    home: PathBuf,
}

impl Timescale {
    #[expect(clippy::print_stderr, reason = "a test that does not run says so")]
    fn new(name: &str) -> Option<Self> {
        let Some(server) = std::env::var("TIDEGATE_TEST_TIMESCALE_URL").ok() else {
            eprintln!("TIDEGATE_TEST_TIMESCALE_URL is not set: nothing is tested on TimescaleDB");
            return None;
        };
        let name = format!("tidegate_test_{}_{name}", std::process::id());
        Client::connect(&server).execute(&format!("CREATE DATABASE {name}"));
        let home = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&home).unwrap();
        let this = Self { server, name, home };
        this.client().execute("CREATE EXTENSION IF NOT EXISTS timescaledb");
        Some(this)
    }

    fn url(&self) -> String {
        let (start, _) = self.server.rsplit_once('/').unwrap();
        format!("{start}/{}", self.name)
    }

    fn client(&self) -> Client {
        Client::connect(&self.url())
    }

    fn run(&self, plan: &UpkeepPlan) -> UpkeepReport {
        let access = Access { url: Some(self.url()) };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(upkeep::run(&access, plan)).unwrap()
    }

    /// Rows and the sum of their hashes.
    fn sum(&self, select: &str) -> String {
        self.client().query_one(&format!(
            "SELECT count(*) || ' ' || coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)\
             ::bigint), 0) FROM ({select}) t"
        ))
    }

    fn program(&self) -> Program {
        Program::bare(&self.home).env("DATABASE_URL", self.url())
    }
}

impl Drop for Timescale {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let _ = Client::try_connect(&self.server).map(|client| client.try_execute(&drop));
    }
}

#[test]
fn migrations_loads_and_checks_are_the_same() {
    let Some(db) = Timescale::new("same") else { return };
    for _ in 0..2 {
        let _ = db.program().args(["migrate", "up"]).run().expect_code(0);
    }
    let path = db.home.join("bars.csv");
    std::fs::write(&path, closes(&[(0, "1"), (1, "2"), (2, "3")])).unwrap();
    // A width that somebody chose stays.
    db.client().execute("SELECT set_chunk_time_interval('market_data', interval '14 days')");
    let load = || {
        let program = db.program().args(["backfill", "--progress", "none"]).arg(&path);
        program.report_json().run().expect_code(0)
    };
    let ended = load();
    assert_eq!(ended.total("inserted"), 3);
    assert!(ended.report()["database"]["timescaledb"].to_string().contains("2."));
    assert_eq!(load().total("inserted"), 0, "the same content is not loaded again");
    let width = "SELECT time_interval::text FROM timescaledb_information.dimensions \
                 WHERE hypertable_name = 'market_data'";
    assert_eq!(db.client().query_one::<String>(width), "14 days");
    let latest = "SELECT close \
                  FROM tickers t, get_price_range(t.id, '1m', '-infinity', 'infinity') \
                  ORDER BY ts DESC LIMIT 1";
    assert_eq!(db.client().query_one::<f64>(latest).to_string(), "3");
    let _ = db.program().arg("refresh").run().expect_code(0);
    let _ = db.program().arg("verify").run().expect_code(0);
    let _ =
        db.program().args(["migrate", "down", "--domain", "market", "--yes"]).run().expect_code(0);
}

const BARS_OF: &str =
    "SELECT t.symbol, m.* FROM market_data m JOIN tickers t ON t.id = m.ticker_id";
const BARS: &str = "SELECT symbol, interval, ts, open, high, low, close, volume FROM";

fn bars(db: &Timescale) -> String {
    // Ids of tickers are given as they come.
    db.sum(&format!("{BARS} ({BARS_OF}) b"))
}

#[test]
fn tables_that_were_never_loaded_become_hypertables_and_verify_knows_them() {
    let Some(db) = Timescale::new("hyper") else { return };
    let client = db.client();
    let _ = db.program().args(["migrate", "up"]).run().expect_code(0);
    let kinds = "SELECT string_agg(t || ' ' || tidegate.is_hypertable(t::regclass), ', ') FROM \
                 unnest(ARRAY['market_data', 'market_trades', 'option_bars', 'trades']) t";
    let expected = "market_data true, market_trades true, option_bars true, trades false";
    assert_eq!(client.query_one::<String>(kinds), expected);
    let chunk = "SELECT string_agg(time_interval::text, ' ' ORDER BY hypertable_name) \
                 FROM timescaledb_information.dimensions";
    assert_eq!(client.query_one::<String>(chunk), "7 days 1 day 7 days");
    let _ = db.program().arg("verify").run().expect_code(0);
    // Up again, down and up again: the same.
    let shape = || db.sum(include_str!("../../schema/query/verify/shape.sql"));
    let before = shape();
    let _ = db.program().args(["migrate", "up"]).run().expect_code(0);
    assert_eq!(shape(), before);
    for domain in ["kalshi", "killmails", "market", "options", "trading"] {
        let down = ["migrate", "down", "--domain", domain, "--yes"];
        let _ = db.program().args(down).run().expect_code(0);
    }
    assert!(client.query_one::<bool>("SELECT to_regclass('market_data') IS NULL"));
    let _ = db.program().args(["migrate", "up"]).run().expect_code(0);
    assert_eq!(shape(), before);
    // An index that a chunk lost is found.
    client.execute(
        "INSERT INTO market_data (ticker_id, interval, ts, close) VALUES (1, '1d', \
                    '2024-01-01 00:00+00', 1)",
    );
    let _ = db.program().args(["verify", "partitions"]).run().expect_code(0);
    let index = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisunique \
                 AND indrelid = (SELECT partition FROM tidegate.partitions('market_data')) LIMIT 1";
    let index = client.query_one::<String>(index);
    client.execute(&format!("DROP INDEX {index}"));
    let ended = db.program().args(["verify", "partitions"]).run().expect_code(1);
    assert!(ended.stdout.contains("a chunk of public.market_data"), "{}", ended.stdout);
}

#[test]
fn loads_into_hypertables_are_exactly_once_by_every_strategy() {
    let rows = Bars { rows: 150_000, symbols: 40, seed: 5 };
    let mut sums = Vec::new();
    for strategy in ["direct", "stage", "exchange"] {
        let Some(db) = Timescale::new(strategy) else { return };
        let path = rows.write(&db.home, "bars.csv");
        let program = || {
            let args = ["backfill", "--progress", "none", "--strategy", strategy];
            db.program().args(args).arg(&path)
        };
        let plan = db.program().args(["plan", "--strategy", strategy]).arg(&path).run();
        let _ = plan.expect_code(0);
        // Killed once it has written something, and run again to its end.
        let mut running = program().spawn();
        let some = "SELECT coalesce((SELECT count(*) FROM pg_class WHERE relname = 'portion'), 0)";
        while running.is_running() && db.client().query_one::<i64>(some) == 0 {
            std::thread::yield_now();
        }
        let any = "SELECT count(*) FROM tidegate.portion";
        while running.is_running() && db.client().query_one::<i64>(any) == 0 {
            std::thread::yield_now();
        }
        running.signal(Signal::KILL);
        let _ = running.wait();
        let _ = program().run().expect_code(0);
        let again = program().report_json().run().expect_code(0);
        assert_eq!(again.total("inserted"), 0, "{strategy}");
        let chunked = "SELECT tidegate.is_hypertable('market_data') AND \
                       (SELECT count(*) FROM tidegate.partitions('market_data')) > 0";
        assert!(db.client().query_one::<bool>(chunked));
        // As dense as it is, a day is worth a chunk.
        let width = "SELECT time_interval::text FROM timescaledb_information.dimensions \
                     WHERE hypertable_name = 'market_data'";
        assert_eq!(db.client().query_one::<String>(width), "1 day");
        sums.push(bars(&db));
    }
    assert!(sums[0].starts_with("150000 "), "{sums:?}");
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
}

#[test]
fn old_chunks_go_to_archives_that_can_be_loaded_again() {
    let Some(db) = Timescale::new("archive") else { return };
    let _ = db.program().args(["migrate", "up"]).run().expect_code(0);
    let client = db.client();
    client.execute(
        "INSERT INTO tickers (id, symbol) VALUES (1, 'A');
         INSERT INTO market_data (ticker_id, interval, ts, close, volume)
         SELECT 1, '1h', now() - n * interval '1 hour', n * 0.1, n
         FROM generate_series(1, 24 * 60) n",
    );
    let before = bars(&db);
    let chunks = "SELECT count(*) FROM tidegate.partitions('market_data')";
    let had = client.query_one::<i64>(chunks);
    let to = db.home.join("archive").to_str().unwrap().parse().unwrap();
    let plan = UpkeepPlan {
        retention: vec![Retention {
            table: "market_data".to_owned(),
            keep: Age::of_days(30),
            archive: Some(to),
        }],
        compress: vec![Compress { table: "market_data".to_owned(), after: Age::of_days(7) }],
        ..UpkeepPlan::default()
    };
    let report = db.run(&plan);
    assert_eq!(report.failed(), 0, "{report:#?}");
    let gone = report.actions[0].parts;
    assert!(gone >= 3 && client.query_one::<i64>(chunks) == had - gone.cast_signed());
    let recorded = "SELECT sum(rows)::bigint FROM tidegate.dropped_range";
    assert_eq!(client.query_one::<i64>(recorded), report.actions[0].rows.cast_signed());
    assert_ne!(bars(&db), before);
    let is_apache = client.query_one::<String>("SHOW timescaledb.license") == "apache";
    match &report.actions[1].outcome {
        Outcome::Skipped(why) => assert!(is_apache && why.contains("Apache"), "{why}"),
        outcome => assert!(!is_apache && *outcome == Outcome::Done, "{outcome:?}"),
    }
    let files = "SELECT file FROM tidegate.retired ORDER BY id";
    let files = client.rows(files).into_iter().map(|row| row[0].clone().unwrap());
    let args = ["backfill", "--progress", "none"];
    let _ = db.program().args(args).args(files).run().expect_code(0);
    assert_eq!(bars(&db), before);
    let _ = db.program().arg("refresh").run().expect_code(0);
    let recent = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%\\_recent\\_%' AND \
                  tablename LIKE '\\_hyper%'";
    assert!(client.query_one::<i64>(recent) >= 4);
    for what in ["schema", "partitions"] {
        let _ = db.program().args(["verify", what]).run().expect_code(0);
    }
}
