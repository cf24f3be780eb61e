//! Features of games' snapshots, against the form before it was made fast.

use super::{changed, migrated, places, refresh, texts};
use crate::support::TestDb;

const PLAIN: &str = include_str!("../../../schema/query/oracle/snapshot_features.sql");
/// The form that the view was made from, which benchmarks compare it with.
const BEFORE: &str = include_str!("../../../schema/query/oracle/snapshot_features_before.sql");
const VIEW: &str = "derived.snapshot_features_trade_v1";

/// Games with markets on both sides (one has but one), trades of which many share a second and some
/// an instant, and snapshots before, in and after them.
fn filled() -> TestDb<'static> {
    let db = migrated("kalshi");
    db.client().execute(
        "INSERT INTO espn.games
         SELECT 'g' || g, 'nba', 2024, 'H' || g, 'A' || g,
                timestamptz '2024-01-01 00:00+00' + g * interval '1 day',
                CASE WHEN g % 2 = 0
                    THEN timestamptz '2024-01-01 02:30+00' + g * interval '1 day' END
         FROM generate_series(1, 6) g;
         INSERT INTO espn.game_states
         SELECT 'g' || g, n, timestamptz '2024-01-01 00:00+00' + g * interval '1 day'
                + n * interval '25.5 seconds' - interval '2 minutes', 1, 0, n / 10, n / 12,
                n / 100.0
         FROM generate_series(1, 6) g, generate_series(1, 60) n;
         INSERT INTO kalshi.markets (ticker, espn_event_id, team_side)
         SELECT 'M' || g || s || k, 'g' || g, s
         FROM generate_series(1, 5) g, unnest(ARRAY['home', 'away']) s, generate_series(1, 2) k
         WHERE NOT (g = 5 AND s = 'away');
         INSERT INTO kalshi.markets (ticker) VALUES ('other');
         SELECT tidegate.make_partitions('kalshi.trades', 'month', '2023-12-01', '2024-02-01');
         INSERT INTO kalshi.trades (trade_id, ticker, count, yes_price, no_price, taker_side,
             created_time, row_no)
         SELECT CASE WHEN n % 5 = 0 THEN '' ELSE md5(n::text) END,
                'M' || 1 + n % 5 || (ARRAY['home', 'away'])[1 + n / 7 % 2] || 1 + n / 3 % 2,
                (1 + n % 50) + n % 3 * 0.25,
                CASE WHEN n % 7 <> 0 THEN (1 + n * 31 % 9800 / 100.0)::numeric(6, 2) END,
                CASE WHEN n % 7 = 0 OR n % 2 = 0
                    THEN 100 - (1 + n * 31 % 9800 / 100.0)::numeric(6, 2) END, 'yes',
                timestamptz '2024-01-01 00:00+00' + (1 + n % 5) * interval '1 day'
                    + n * 7919 % 1800 * interval '1 second' + n % 4 * interval '1 millisecond'
                    - interval '3 minutes', n
         FROM generate_series(1, 6000) n;
         ANALYZE",
    );
    db
}

fn differ(db: &TestDb<'_>) -> Vec<Vec<String>> {
    let select = |left: &str, right: &str| {
        format!("(SELECT * FROM ({left}) l EXCEPT SELECT * FROM ({right}) r)")
    };
    let fast = format!("SELECT * FROM {VIEW}");
    let pairs = [(PLAIN, fast.as_str()), (&fast, PLAIN), (PLAIN, BEFORE), (BEFORE, PLAIN)];
    let all: Vec<String> = pairs.iter().map(|(left, right)| select(left, right)).collect();
    texts(db, &format!("{} LIMIT 3", all.join(" UNION ALL ")))
}

#[test]
fn the_fast_form_says_what_the_plain_one_says() {
    let db = filled();
    assert_eq!(refresh(&db, &[VIEW])[0]["state"], "refreshed");
    assert_eq!(differ(&db), Vec::<Vec<String>>::new());
    let counts = "SELECT count(*), count(home_price) > 100, count(away_price) > 100, \
                  sum(home_trade_count) > 0, count(*) FILTER (WHERE home_ticker IS NULL) > 0 \
                  FROM derived.snapshot_features_trade_v1";
    assert_eq!(texts(&db, counts), [["360", "t", "t", "t", "t"]]);
    // Only when something came, and then beside readers.
    let before = places(&db, VIEW);
    assert_eq!(refresh(&db, &[VIEW])[0]["state"], "fresh already");
    db.client().execute(
        "INSERT INTO kalshi.trades (trade_id, ticker, count, yes_price, created_time) \
         VALUES ('late', 'M1home1', 3, 50, '2024-01-02 00:05+00'); \
         INSERT INTO tidegate.touched (target) VALUES ('kalshi.trades')",
    );
    assert_eq!(refresh(&db, &[VIEW])[0]["state"], "refreshed");
    assert_eq!(differ(&db), Vec::<Vec<String>>::new());
    // The snapshots of one game at most.
    let [fresh, gone] = changed(&before, &places(&db, VIEW));
    assert!(fresh == gone && fresh <= 60, "{fresh} {gone}");
}

#[test]
fn trades_are_read_once_and_aggregated_in_one_hash_table() {
    let db = filled();
    let client = db.client();
    let view: String =
        client.query_one("SELECT pg_get_viewdef('derived.snapshot_features_trade_v1')");
    client.execute("SET work_mem = '64MB'");
    let rows = client.rows(&format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {view}"));
    let plan: Vec<String> = rows.into_iter().flatten().flatten().collect();
    let text = plan.join("\n");
    let scans = plan.iter().filter(|line| line.contains(" on trades_p2024_01 ")).count();
    assert_eq!(scans, 1, "the window does not scan trades: {text}");
    let start = plan.iter().position(|line| line.contains("CTE trade_agg_core"));
    let at = start.unwrap_or_else(|| panic!("no CTE trade_agg_core: {text}"));
    assert!(plan[at + 1].contains("HashAggregate"), "{text}");
    let batches = plan[at..].iter().find(|line| line.contains("Batches:"));
    assert!(batches.is_some_and(|line| line.contains("Batches: 1 ")), "{text}");
    assert!(!text.contains("GroupAggregate"), "{text}");
}
