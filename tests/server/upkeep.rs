//! What keeps a database in order: partitions ahead, retention, and care.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::future::Future;

use tidegate::command::Access;
use tidegate::command::upkeep::{
    self, Action, Age, Ahead, Outcome, Refreshed, Retention, UpkeepPlan, UpkeepReport,
};

use crate::support::{Program, S3, TestDb, closes, except_all, file, load};

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(work)
}

fn run(db: &TestDb<'_>, plan: &UpkeepPlan) -> UpkeepReport {
    wait(upkeep::run(&Access { url: Some(db.url()) }, plan)).unwrap()
}

fn migrated(domain: &str) -> TestDb<'static> {
    let db = TestDb::new(&format!("upkeep {domain}"));
    let _ = Program::new(&db).args(["migrate", "up", "--domain", domain]).run().expect_code(0);
    db
}

fn keep(table: &str, days: u32) -> Retention {
    Retention { table: table.to_owned(), keep: Age::of_days(days), archive: None }
}

fn only<'a>(report: &'a UpkeepReport, kind: &str) -> &'a Action {
    let mut of_kind = report.actions.iter().filter(|action| action.kind == kind);
    let action = of_kind.next().unwrap_or_else(|| panic!("{kind}: {report:#?}"));
    assert!(of_kind.next().is_none(), "{report:#?}");
    action
}

/// A value of every kind that a table may have, some of them awkward.
const EVERY_KIND: &str = "\
CREATE TABLE every_kind (at timestamptz NOT NULL, n int NOT NULL, b boolean, s smallint, l bigint,
    f real, d double precision, exact numeric(12, 4), free numeric, wide numeric, odd numeric,
    word text, short varchar(9), blank char(5), day date, local timestamp, doc json, docb jsonb,
    id uuid, \"sum of\" bigint GENERATED ALWAYS AS (n + 1) STORED, PRIMARY KEY (n, at))
    PARTITION BY RANGE (at);
CREATE TABLE every_kind_p2020 PARTITION OF every_kind
    FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2021-01-01 00:00+00');
INSERT INTO every_kind
SELECT '2020-06-01 00:00:00.123456+00'::timestamptz + n * interval '1 minute', n, n % 2 = 0, n,
       n * 10000000000, 0.1 + n, CASE n % 4 WHEN 0 THEN '-0' WHEN 1 THEN 0.1 WHEN 2 THEN 1e300
       ELSE 1e-300 END::float8, n * 1.2345, n * 0.123456789, n * 1e30::numeric + 1e-30::numeric,
       CASE n % 3 WHEN 0 THEN 1e-60 WHEN 1 THEN 1e60 ELSE n END::numeric,
       E'a\\nb \"é\" ' || n, 'x' || n, 'y', '1850-03-15'::date + n,
       '1999-12-31 23:59:59.999999'::timestamp + n * interval '1 day', '{\"a\": [1,  2]}',
       '{\"a\": [1,  2]}', md5(n::text)::uuid
FROM generate_series(1, 300) n;
INSERT INTO every_kind (at, n) VALUES ('2020-07-01 00:00+00', 0)";

/// Trades of `days` days that end `back` days ago, so many a day.
fn trades(db: &TestDb<'_>, days: i32, back: i32, a_day: i32) {
    db.client().execute(&format!(
        "SELECT tidegate.make_partitions('trades', 'day', \
             date_trunc('day', now(), 'UTC') - {} * interval '1 day', now()); \
         INSERT INTO trades (trade_id, symbol, buyer_user_id, seller_user_id, price, quantity, \
             is_buyer_maker, executed_at) \
         SELECT d || '-' || n, 'S' || n % 7, 'b', 's', 1.50 + n, 0.001 * n + 1, n % 2 = 0, \
             date_trunc('day', now(), 'UTC') - d * interval '1 day' + n * interval '1 second' \
         FROM generate_series({back}, {}) d, generate_series(1, {a_day}) n",
        days + back - 1,
        days + back - 1,
    ));
}

#[test]
fn whole_partitions_go_and_what_went_is_recorded_with_it() {
    let db = migrated("trading");
    trades(&db, 5, 88, 10);
    let client = db.client();
    // Nobody asked: nothing goes.
    let report = run(&db, &UpkeepPlan::default());
    assert_eq!(report.actions, []);
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM trades"), 50);
    let plan = UpkeepPlan { retention: vec![keep("trades", 90)], ..UpkeepPlan::default() };
    let report = run(&db, &plan);
    let action = only(&report, "retention");
    // The days 92 and 91 ended 90 days ago or more.
    assert_eq!((&action.outcome, action.parts, action.rows), (&Outcome::Done, 2, 20));
    assert!(action.bytes > 0 && report.failed() == 0, "{report:?}");
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM trades"), 30);
    let recorded = "SELECT count(*)::text || ' ' || sum(rows) || ' ' || bool_and(target = \
                    'public.trades') || ' ' || bool_and(to_ts - from_ts = '1 day') \
                    FROM tidegate.dropped_range";
    assert_eq!(client.query_one::<String>(recorded), "2 20 true true");
    assert_eq!(only(&run(&db, &plan), "retention").outcome, Outcome::Nothing);
    let _ = Program::new(&db).args(["verify", "partitions"]).run().expect_code(0);
}

#[test]
fn a_retirement_that_was_cut_short_is_finished_whatever_the_plan_says() {
    let db = migrated("trading");
    trades(&db, 3, 100, 4);
    let client = db.client();
    let part = |back: i32| {
        client.query_one::<String>(&format!(
            "SELECT partition::text FROM tidegate.partitions('trades') WHERE lower = \
             date_trunc('day', now(), 'UTC') - {back} * interval '1 day'"
        ))
    };
    let begun = |name: &str| {
        client.execute(&format!(
            "INSERT INTO tidegate.retired (target, partition, from_ts, to_ts) \
             SELECT 'public.trades', 'public.{name}', lower, upper \
             FROM tidegate.partitions('trades') WHERE partition::text = '{name}'"
        ));
    };
    // One was recorded and no more, one detached, one dropped by somebody.
    let (recorded, detached, gone) = (part(100), part(101), part(102));
    for name in [&recorded, &detached, &gone] {
        begun(name);
    }
    client.execute(&format!("ALTER TABLE trades DETACH PARTITION {detached}; DROP TABLE {gone}"));
    let report = run(&db, &UpkeepPlan::default());
    let outcomes: Vec<&str> = report.actions.iter().map(|action| action.outcome.word()).collect();
    assert_eq!(outcomes, ["done", "done", "failed"], "{report:#?}");
    assert!(report.actions[2].outcome.why().unwrap().contains("somebody else dropped it"));
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'trades\\_p%' AND relkind = 'r' \
                AND to_regclass('public.' || relname) IN (SELECT to_regclass(partition) \
                FROM tidegate.retired)";
    assert_eq!(client.query_one::<i64>(left), 0);
    assert_eq!(client.query_one::<i64>("SELECT sum(rows)::bigint FROM tidegate.dropped_range"), 8);
    assert_eq!(run(&db, &UpkeepPlan::default()).actions, []);
}

#[test]
fn one_action_that_fails_does_not_stop_the_others() {
    let db = migrated("trading");
    let client = db.client();
    client.execute("CREATE TABLE plain (x int)");
    let ahead = |table: &str, age| Ahead { table: table.to_owned(), ahead: age };
    let plan = UpkeepPlan {
        partitions_ahead: vec![
            ahead("nothing", Age::of_days(3)),
            ahead("trades", Age::of_days(90)),
            ahead("public.orders", Age::of_months(24)),
            ahead("plain", Age::of_days(1)),
        ],
        retention: vec![keep("plain", 1), keep("orders", 1)],
        refresh: Refreshed::All,
        analyze: true,
        vacuum: Some(Age::of_days(7)),
        ..UpkeepPlan::default()
    };
    let report = run(&db, &plan);
    let words: Vec<&str> = report.actions[..6].iter().map(|a| a.outcome.word()).collect();
    assert_eq!(words, ["failed", "done", "done", "skipped", "failed", "nothing to do"]);
    assert_eq!(report.failed(), 2);
    let reach = "SELECT (max(upper) > now() + interval '89 days')::text || count(*) \
                 FROM tidegate.partitions('trades')";
    assert_eq!(client.query_one::<String>(reach), "true91");
    let days =
        "SELECT max(upper) > now() + interval '23 months' FROM tidegate.partitions('orders')";
    assert!(client.query_one::<bool>(days));
    assert_eq!(only(&report, "refresh").target, "public.mv_24h_statistics");
    let vacuumed: Vec<&str> = (report.actions.iter().filter(|action| action.kind == "vacuum"))
        .map(|action| action.target.as_str())
        .collect();
    assert!(vacuumed.contains(&"public.trades") && vacuumed.contains(&"tidegate.portion"));
    let figures = report.figures.unwrap();
    let ahead: Vec<&str> =
        figures.partitions_ahead_days.iter().map(|(table, _)| table.as_str()).collect();
    assert_eq!(ahead, ["public.orders", "public.trades"]);
    assert!(figures.partitions_ahead_days.iter().all(|(_, days)| *days > 80.0), "{figures:?}");
    assert!(figures.connections > 0 && figures.connections_max >= 20);
    // A week is not over: no more of it tonight.
    let plan = UpkeepPlan { vacuum: plan.vacuum, ..UpkeepPlan::default() };
    assert_eq!(run(&db, &plan).actions, []);
}

#[test]
fn what_changed_is_analysed_and_indexes_are_built_anew_when_their_time_comes() {
    let db = migrated("trading");
    trades(&db, 3, 1, 500);
    let client = db.client();
    let analyze = UpkeepPlan { analyze: true, ..UpkeepPlan::default() };
    let of_trades = |report: &UpkeepReport| {
        let of = |action: &&Action| action.target == "public.trades";
        report.actions.iter().find(of).map(|action| action.parts)
    };
    assert_eq!(of_trades(&run(&db, &analyze)), Some(1), "the parent, with all its parts");
    let known = "SELECT count(*) FROM pg_stats WHERE tablename = 'trades' AND inherited";
    assert!(client.query_one::<i64>(known) > 0);
    client.execute("UPDATE trades SET price = 2 WHERE trade_id = '2-7'; SELECT pg_sleep(0)");
    // Statistics of changes are sent when a transaction ends, at the latest by the next.
    client.execute("SELECT pg_stat_force_next_flush()");
    assert_eq!(of_trades(&run(&db, &analyze)), Some(1), "the part that changed");

    let reindex = UpkeepPlan { reindex: Some(Age::of_months(3)), ..UpkeepPlan::default() };
    let node = "SELECT relfilenode FROM pg_class WHERE relname = (SELECT \
                indexrelid::regclass::text \
                FROM pg_index WHERE indrelid = (SELECT max(partition::oid) FROM \
                tidegate.partitions('trades')) ORDER BY 1 LIMIT 1)";
    let before = client.query_one::<u32>(node);
    assert_eq!(run(&db, &reindex).actions, [], "the time counts from the first run");
    client.execute(
        "UPDATE tidegate.upkeep SET done_at = done_at - interval '4 months' \
         WHERE target = 'public.trades'",
    );
    let report = run(&db, &reindex);
    let action = only(&report, "reindex");
    assert_eq!((action.target.as_str(), &action.outcome), ("public.trades", &Outcome::Done));
    assert_ne!(client.query_one::<u32>(node), before);
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(client.query_one::<i64>(invalid), 0);
    assert_eq!(run(&db, &reindex).actions, []);
}

fn archived(table: &str, days: u32, to: &str) -> Retention {
    Retention { archive: Some(to.parse().unwrap()), ..keep(table, days) }
}

/// Loads archives again, with `--table` or `--dataset`.
fn load_again(db: &TestDb<'_>, into: [&str; 2], files: &[String]) {
    let args = ["backfill", "--progress", "none", into[0], into[1]];
    let program = Program::new(db).args(args).args(files.iter().cloned());
    let _ = program.run().expect_code(0);
}

fn files(db: &TestDb<'_>) -> Vec<String> {
    let sql = "SELECT file FROM tidegate.retired WHERE file IS NOT NULL ORDER BY id";
    db.client().rows(sql).into_iter().map(|row| row[0].clone().unwrap()).collect()
}

#[test]
fn an_archive_that_is_loaded_again_gives_the_same_rows() {
    let db = migrated("trading");
    trades(&db, 3, 89, 2_000);
    let client = db.client();
    client.execute(EVERY_KIND);
    client.execute("CREATE TABLE before AS TABLE trades");
    let to = db.home().join("archive");
    let to = to.to_str().unwrap();
    let plan = UpkeepPlan {
        retention: vec![archived("trades", 90, to), archived("every_kind", 100, to)],
        ..UpkeepPlan::default()
    };
    let report = run(&db, &plan);
    assert_eq!(report.failed(), 0, "{report:#?}");
    assert_eq!(report.actions.iter().map(|a| a.rows).collect::<Vec<_>>(), [2_000, 301]);
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM trades"), 4_000);
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM every_kind"), 0);
    let files = files(&db);
    assert!(files[0].starts_with(&format!("{to}/public.trades/20")), "{files:?}");
    let hidden = std::fs::read_dir(format!("{to}/public.trades")).unwrap().count();
    assert_eq!(hidden, 1, "nothing but the archive is left");
    load_again(&db, ["--dataset", "trades"], &files[..1]);
    except_all(&db, "trades", "before");
    // Loaded again, it is old again: it goes to an archive of its own.
    assert_eq!(only_of(&run(&db, &plan), "trades").rows, 2_000);
    assert_eq!(client.query_one::<i64>("SELECT count(DISTINCT file) FROM tidegate.retired"), 3);
}

fn only_of<'a>(report: &'a UpkeepReport, target: &str) -> &'a Action {
    report.actions.iter().find(|action| action.target == target).unwrap()
}

#[test]
fn an_archive_that_was_cut_short_is_neither_lost_nor_doubled() {
    let db = migrated("trading");
    trades(&db, 4, 100, 50);
    let client = db.client();
    client.execute("CREATE TABLE before AS TABLE trades");
    let to = db.home().join("archive");
    let to = to.to_str().unwrap();
    let plan = UpkeepPlan { retention: vec![archived("trades", 90, to)], ..UpkeepPlan::default() };
    // Fails where the drop is recorded: the archive is in its place and written down.
    client.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN RAISE EXCEPTION 'planted'; END$$; \
         CREATE TRIGGER planted BEFORE INSERT ON tidegate.dropped_range \
             FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let report = run(&db, &plan);
    assert_eq!(report.failed(), 1, "{report:#?}");
    assert!(report.actions[0].outcome.why().unwrap().contains("planted"), "{report:#?}");
    assert_eq!(files(&db).len(), 1);
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM trades"), 150);
    let detached = client.query_one::<String>("SELECT partition FROM tidegate.retired");
    assert_eq!(client.query_one::<i64>(&format!("SELECT count(*) FROM {detached}")), 50);
    client.execute("DROP TRIGGER planted ON tidegate.dropped_range");
    // Somebody changes a row meanwhile: the archive is written anew, not believed.
    client.execute(&format!("UPDATE {detached} SET price = 77 WHERE trade_id LIKE '%-7'"));
    client.execute("UPDATE before SET price = 77 WHERE trade_id = '103-7'");
    let report = run(&db, &plan);
    let why = report.actions[0].outcome.why().unwrap();
    assert!(why.contains("was changed since it was archived"), "{why}");
    let report = run(&db, &plan);
    assert_eq!(report.failed(), 0, "{report:#?}");
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM trades"), 0);
    assert_eq!(
        client.query_one::<i64>("SELECT sum(rows)::bigint FROM tidegate.dropped_range"),
        200
    );
    let files = files(&db);
    assert_eq!(files.len(), 4);
    load_again(&db, ["--dataset", "trades"], &files);
    except_all(&db, "trades", "before");

    // Archives have a time of their own, counted from when they were written.
    client.execute(
        "UPDATE tidegate.retired SET written_at = written_at - interval '61 months' \
         WHERE id = (SELECT min(id) FROM tidegate.retired)",
    );
    let kept = UpkeepPlan { archives_kept: Some(Age::of_months(60)), ..UpkeepPlan::default() };
    assert_eq!(only(&run(&db, &kept), "archives").parts, 1);
    assert!(!std::path::Path::new(&files[0]).exists() && std::path::Path::new(&files[1]).exists());
    assert_eq!(only(&run(&db, &kept), "archives").outcome, Outcome::Nothing);
}

#[test]
fn nothing_is_detached_for_an_archive_that_cannot_be_written() {
    let db = migrated("trading");
    trades(&db, 2, 100, 5);
    let client = db.client();
    std::fs::write(db.home().join("file"), "no folder").unwrap();
    let to = db.home().join("file/archive");
    let plan = UpkeepPlan {
        retention: vec![archived("trades", 90, to.to_str().unwrap())],
        ..UpkeepPlan::default()
    };
    assert_eq!(run(&db, &plan).failed(), 1);
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM trades"), 10);
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM tidegate.retired"), 0);
}

#[test]
fn what_no_load_would_take_back_is_not_archived() {
    let db = migrated("trading");
    let client = db.client();
    client.execute(EVERY_KIND);
    client.execute("UPDATE every_kind SET d = 'NaN' WHERE n = 5");
    let to = db.home().join("archive");
    let plan = UpkeepPlan {
        retention: vec![archived("every_kind", 100, to.to_str().unwrap())],
        ..UpkeepPlan::default()
    };
    let report = run(&db, &plan);
    assert!(report.actions[0].outcome.why().unwrap().contains("column d has values"));
    // It stays where it is until that is mended.
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM every_kind"), 301);
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM tidegate.retired"), 0);
    client.execute("UPDATE every_kind SET d = 5 WHERE n = 5");
    assert_eq!(run(&db, &plan).actions[0].rows, 301);
}

/// The child of the next test, for credentials come from the environment: runs upkeep there.
#[test]
#[ignore = "run by an_archive_in_a_store_is_compared_and_loaded_from_there"]
fn runs_upkeep_of_its_environment() {
    let var = |name: &str| std::env::var(name).ok();
    let (Some(url), Some(to)) = (var("TIDEGATE_TEST_UPKEEP_DB"), var("TIDEGATE_TEST_UPKEEP_TO"))
    else {
        return;
    };
    let plan = UpkeepPlan {
        retention: vec![archived("trades", 90, &to)],
        archives_kept: Some(Age::of_months(60)),
        ..UpkeepPlan::default()
    };
    let report = wait(upkeep::run(&Access { url: Some(url) }, &plan)).unwrap();
    assert_eq!(report.failed(), 0, "{report:#?}");
}

#[test]
fn an_archive_in_a_store_is_compared_and_loaded_from_there() {
    let Some(s3) = S3::start() else { return };
    let db = migrated("trading");
    trades(&db, 2, 100, 30);
    let client = db.client();
    client.execute("CREATE TABLE before AS TABLE trades");
    s3.put("cold", b"");
    let upkeep = || {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["upkeep::runs_upkeep_of_its_environment", "--exact", "--ignored"])
            .env("TIDEGATE_TEST_UPKEEP_DB", db.url())
            .env("TIDEGATE_TEST_UPKEEP_TO", "s3://cold/old")
            .envs(s3.env())
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    };
    upkeep();
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM trades"), 0);
    let files = files(&db);
    assert!(files[1].starts_with("s3://cold/old/public.trades/20"), "{files:?}");
    let args = ["backfill", "--progress", "none", "--dataset", "trades", "s3://cold/old/"];
    let load = || s3.env().into_iter().fold(Program::new(&db).args(args), |p, (k, v)| p.env(k, v));
    let _ = load().run().expect_code(0);
    except_all(&db, "trades", "before");
    // Those whose time is up are removed from the store.
    client.execute("UPDATE tidegate.retired SET written_at = written_at - interval '61 months'");
    upkeep();
    let removed = "SELECT count(*) FROM tidegate.retired WHERE removed_at IS NOT NULL";
    assert_eq!(client.query_one::<i64>(removed), 2);
    let args = ["backfill", "--progress", "none", "--dataset", "trades", &files[0]];
    let load = s3.env().into_iter().fold(Program::new(&db).args(args), |p, (k, v)| p.env(k, v));
    let _ = load.run().expect_code(1);
}

#[test]
fn what_retention_took_is_no_loss_and_can_come_back() {
    let db = migrated("market");
    let path = file(&db, "bars.csv", closes(&[(0, "1"), (1, "2"), (70, "3")]));
    load(&db, [path.to_str().unwrap()], 0);
    let client = db.client();
    client.execute("CREATE TABLE before AS TABLE market_data");
    let to = db.home().join("archive");
    let plan = UpkeepPlan {
        retention: vec![archived("market_data", 300, to.to_str().unwrap())],
        ..UpkeepPlan::default()
    };
    let verify = |code: i32| {
        let ended = Program::new(&db).args(["verify", "data"]).run();
        let _ = ended.expect_code(code);
    };
    verify(0);
    assert_eq!(only(&run(&db, &plan), "retention").rows, 3);
    verify(0);
    load_again(&db, ["--dataset", "bars"], &files(&db));
    except_all(&db, "market_data", "before");
    verify(0);
    // What goes without a word is loss.
    client.execute("DELETE FROM market_data WHERE close = 2");
    verify(1);
}
