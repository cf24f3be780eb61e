//! What keeps a database in order: partitions ahead, retention, and care.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::future::Future;

use tidegate::command::Access;
use tidegate::command::upkeep::{
    self, Action, Age, Ahead, Outcome, Refreshed, Retention, UpkeepPlan, UpkeepReport,
};

use crate::support::{Program, TestDb};

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
