//! Market data: indexes that queries use, functions, and the role that may call them.

use super::{migrated, plan, refresh, texts};
use crate::support::{Client, TestDb};

/// Ticker 1 with bars of ten minutes in the last 40 days and of a day three years ago, ticker 2
/// with that day alone.
fn filled() -> TestDb<'static> {
    let db = migrated("market");
    db.client().execute(
        "INSERT INTO tickers (id, symbol) VALUES (1, 'A'), (2, 'B'), (3, 'C');
         SELECT tidegate.make_partitions('market_data', 'year', now() - interval '3 years',
             now() - interval '3 years' + interval '1 day');
         DO $$ BEGIN
             EXECUTE format('CREATE TABLE market_data_p_now PARTITION OF market_data
                 FOR VALUES FROM (%L) TO (%L)',
                 date_trunc('day', now(), 'UTC') - interval '60 days',
                 now() + interval '1 day');
         END $$;
         INSERT INTO market_data (ticker_id, interval, ts, open, high, low, close, volume)
         SELECT 1, '10m', date_trunc('hour', now()) - n * interval '10 minutes', n, n, n, n, 1
         FROM generate_series(0, 40 * 144) n
         UNION ALL
         SELECT t, '10m', date_trunc('day', now() - interval '3 years', 'UTC')
                + n * interval '10 minutes', n, n, n, n, 1
         FROM generate_series(1, 2) t, generate_series(0, 143) n",
    );
    // By itself: it runs in no transaction. Index-only scans need it.
    db.client().execute("VACUUM ANALYZE market_data");
    db
}

const LATEST: &str = "SELECT open, close FROM market_data WHERE ticker_id = 2 \
                      AND interval = '10m' AND ts < now() ORDER BY ts DESC LIMIT 1";
const WIDE: &str = "SELECT count(*), avg(volume) FROM market_data \
                    WHERE ts >= date_trunc('day', now() - interval '3 years', 'UTC') \
                      AND ts < date_trunc('day', now() - interval '3 years', 'UTC') \
                          + interval '1 day'";

#[test]
fn every_index_serves_its_query() {
    let db = filled();
    let latest = plan(&db, "SET enable_bitmapscan = off", LATEST);
    assert!(latest.contains("Index Only Scan using market_data_p"), "{latest}");
    // Rows in the order of time, on more pages than an index that begins with the ticker is worth.
    db.client().execute(
        "INSERT INTO market_data (ticker_id, interval, ts, close)
         SELECT t, '1m', date_trunc('day', now() - interval '3 years', 'UTC')
                + n * interval '1 minute', 1
         FROM generate_series(0, 7999) n, generate_series(10, 19) t;
         ANALYZE market_data",
    );
    let wide = plan(&db, "SET enable_indexscan = off; SET enable_indexonlyscan = off", WIDE);
    assert!(
        wide.contains("Bitmap Index Scan on market_data_p") && wide.contains("_ts_idx"),
        "{wide}"
    );
    // Once it is there, the index over the last days alone is the smallest one that will do.
    let done = refresh(&db, &["market_data_recent_idx"]);
    assert_eq!((&done[0]["state"], &done[0]["written"]), (&"refreshed".into(), &1.into()));
    assert_eq!(refresh(&db, &["market_data_recent_idx"])[0]["state"], "fresh already");
    let day: String =
        db.client().query_one("SELECT ((now() - interval '1 day')::timestamptz)::text");
    let sql = format!(
        "SELECT close FROM market_data WHERE ticker_id = 1 AND interval = '10m' AND ts >= '{day}'"
    );
    let recent = plan(&db, "SET enable_bitmapscan = off", &sql);
    assert!(recent.contains("_recent_"), "{recent}");
    let sizes = "SELECT pg_relation_size(r.indexrelid) < pg_relation_size(h.inhrelid) \
                 FROM pg_index r JOIN pg_class c ON c.oid = r.indexrelid, pg_inherits h \
                 JOIN pg_index l ON l.indexrelid = h.inhrelid \
                 WHERE c.relname ~ '_recent_' AND l.indrelid = r.indrelid \
                   AND h.inhparent = 'market_data_latest_idx'::regclass";
    assert!(db.client().query_one::<bool>(sizes), "an index over part of the rows is smaller");
    let accuracy = "SELECT count(*), avg(is_correct::int), avg(confidence) FROM predictions \
                    WHERE ticker_id = 1 AND ts >= now() - interval '30 days'";
    let blocks =
        accuracy.replace("predictions", "block_predictions").replace(" ts ", " block_start ");
    db.client().execute(
        "SELECT tidegate.make_partitions('predictions', 'year', now(), now() + interval '1 day'),
                tidegate.make_partitions('block_predictions', 'year', now(),
                    now() + interval '1 day')",
    );
    for sql in [accuracy, &blocks] {
        let plan = plan(&db, "SET enable_bitmapscan = off", sql);
        assert!(plan.contains("Index Only Scan using"), "{plan}");
    }
}

#[test]
fn a_partial_index_is_rolled_forward() {
    let db = filled();
    let client = db.client();
    let _ = refresh(&db, &["market_data_recent_idx"]);
    let names = "SELECT relname FROM pg_class WHERE relname ~ '_recent_[0-9]{8}$' ORDER BY 1";
    let first = texts(&db, names);
    assert_eq!(first.len(), 1);
    // As if it had been built almost two months ago, and another partition had been recent then.
    let old = &first[0][0];
    let day: String = client.query_one("SELECT to_char(now() - interval '58 days', 'YYYYMMDD')");
    let renamed = format!("{}{day}", &old[..old.len() - 8]);
    client.execute(&format!("ALTER INDEX {old} RENAME TO {renamed}"));
    let other: String = client.query_one(
        "SELECT partition::text FROM tidegate.partitions('market_data') ORDER BY lower LIMIT 1",
    );
    client.execute(&format!("CREATE INDEX {other}_recent_20200101 ON {other} (ts)"));
    let done = refresh(&db, &["market_data_recent_idx"]);
    assert_eq!((&done[0]["written"], &done[0]["deleted"]), (&1.into(), &2.into()));
    assert_eq!(texts(&db, names), first);
}

#[test]
fn the_latest_price_is_found_wherever_it_is() {
    let db = filled();
    let latest = |ticker: i32| {
        let call = format!("get_latest_price({ticker}, '10m')");
        texts(
            &db,
            &format!(
                "SELECT close, ts = (SELECT max(ts) FROM market_data \
                             WHERE ticker_id = {ticker} AND ts <= now()) FROM {call}"
            ),
        )
    };
    assert_eq!(latest(1), [["0", "t"]]);
    assert_eq!(latest(2), [["143", "t"]]);
    for nothing in [3, 4, -1] {
        assert!(latest(nothing).is_empty(), "ticker {nothing}");
    }
    let client = db.client();
    let none = "SELECT count(*) FROM get_latest_price(1, '1h')";
    assert_eq!(client.query_one::<i64>(none), 0);
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM get_latest_price(NULL, '1h')"), 0);
    // A bar that begins later is not the latest yet.
    client.execute(
        "INSERT INTO market_data (ticker_id, interval, ts, close) \
         SELECT 1, '10m', least(now() + interval '1 minute', max(upper) - interval '1 second'), 9 \
         FROM tidegate.partitions('market_data')",
    );
    assert_eq!(latest(1), [["0", "t"]]);
}

#[test]
fn a_range_is_half_open_and_in_order() {
    let db = filled();
    let rows = texts(
        &db,
        "SELECT close FROM get_price_range(2, '10m', \
             date_trunc('day', now() - interval '3 years', 'UTC') + interval '10 minutes', \
             date_trunc('day', now() - interval '3 years', 'UTC') + interval '40 minutes')",
    );
    assert_eq!(rows, [["1"], ["2"], ["3"]]);
    let client = db.client();
    let outside = "SELECT count(*) FROM get_price_range(2, '10m', now(), now() - interval '1 day')";
    assert_eq!(client.query_one::<i64>(outside), 0);
}

#[test]
fn accuracy_counts_what_is_known() {
    let db = migrated("market");
    db.client().execute(
        "SELECT tidegate.make_partitions('predictions', 'month', now() - interval '40 days', now()),
                tidegate.make_partitions('block_predictions', 'month', now() - interval '40 days',
                    now());
         INSERT INTO predictions (ticker_id, interval, ts, predicted_direction, confidence,
             is_correct)
         VALUES (1, '1h', now() - interval '1 day', 'up', 0.5, true),
                (1, '1h', now() - interval '2 days', 'up', 0.7, false),
                (1, '1h', now() - interval '3 days', 'down', 0.9, true),
                (1, '1h', now() - interval '4 days', 'down', NULL, NULL),
                (1, '1h', now() - interval '35 days', 'up', 0.1, false),
                (2, '1h', now() - interval '1 day', 'up', 0.1, false);
         INSERT INTO block_predictions (ticker_id, block_start, predicted_direction, is_correct)
         VALUES (1, now() - interval '1 day', 'up', true)",
    );
    let of = |call: &str| {
        texts(
            &db,
            &format!(
                "SELECT predictions, settled, correct, round(accuracy::numeric, 4), up_accuracy, \
                 down_accuracy, round(average_confidence::numeric, 4) FROM {call}"
            ),
        )
    };
    let all = [["4", "3", "2", "0.6667", "0.5", "1", "0.7000"]];
    assert_eq!(of("get_prediction_accuracy(1, 30)"), all);
    assert_eq!(
        of("get_prediction_accuracy(9, 30)"),
        [["0", "0", "0", "NULL", "NULL", "NULL", "NULL"]]
    );
    assert_eq!(of("get_block_prediction_accuracy(1, 7)")[0][..4], ["1", "1", "1", "1.0000"]);
}

#[test]
fn a_reader_may_ask_and_change_nothing_and_many_may_ask_at_once() {
    let db = filled();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let url = db.url();
            std::thread::spawn(move || {
                let client = Client::connect(&url);
                client.execute("SET ROLE tidegate_reader");
                for _ in 0..25 {
                    let sql = "SELECT count(*) FROM get_latest_price(1, '10m')";
                    assert_eq!(client.query_one::<i64>(sql), 1);
                }
                for refused in [
                    "INSERT INTO tickers (symbol) VALUES ('X')",
                    "UPDATE market_data SET close = 1",
                    "DELETE FROM predictions",
                    "CREATE TABLE mine (x int)",
                ] {
                    let error = client.try_execute(refused).unwrap_err();
                    assert_eq!(error.code().unwrap().code(), "42501", "{refused}");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
    let public =
        "SELECT has_function_privilege('public', 'get_latest_price(integer, text)', 'EXECUTE')";
    assert!(!db.client().query_one::<bool>(public));
}
