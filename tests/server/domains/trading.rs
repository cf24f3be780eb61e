//! The trade engine: partitions ahead, the 19 indexes, statistics of the last day, and the trigger.

use super::{changed, migrated, places, plan, refresh, texts};
use crate::support::{TestDb, file, load};

const INDEXES: [(&str, &[&str]); 2] = [
    (
        "orders",
        &[
            "orders_pkey",
            "idx_orders_symbol",
            "idx_orders_symbol_status",
            "idx_orders_user_id",
            "idx_orders_status",
            "idx_orders_created_at",
            "idx_orders_client_order_id",
        ],
    ),
    (
        "trades",
        &[
            "trades_pkey",
            "idx_trades_symbol",
            "idx_trades_symbol_executed_at",
            "idx_trades_buyer_user_id",
            "idx_trades_seller_user_id",
            "idx_trades_executed_at",
            "idx_trades_buyer_order",
            "idx_trades_seller_order",
            "idx_trades_buyer_user_executed",
            "idx_trades_seller_user_executed",
            "idx_trades_symbol_time_volume",
            "idx_trades_maker_flag",
        ],
    ),
];

#[test]
fn partitions_reach_ahead_and_have_every_index() {
    let db = migrated("trading");
    for ((table, names), count) in INDEXES.iter().zip([12, 30]) {
        let sql = format!(
            "SELECT x.relname, count(h.inhrelid), bool_and(i.indisvalid AND p.indisvalid) \
             FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
             JOIN pg_inherits h ON h.inhparent = x.oid \
             JOIN pg_index p ON p.indexrelid = h.inhrelid \
             WHERE i.indrelid = '{table}'::regclass GROUP BY 1 ORDER BY 1"
        );
        let mut expected: Vec<Vec<String>> = (names.iter())
            .map(|name| vec![(*name).to_owned(), count.to_string(), "t".to_owned()])
            .collect();
        expected.sort();
        assert_eq!(texts(&db, &sql), expected);
    }
    let ahead = "SELECT min(lower) = date_trunc('day', now(), 'UTC'), \
                 max(upper) = date_trunc('day', now(), 'UTC') + interval '30 days', \
                 bool_and(upper = lower + interval '1 day') FROM tidegate.partitions('trades')";
    assert_eq!(texts(&db, ahead), [["t", "t", "t"]]);
}

#[test]
fn partition_functions_make_what_is_missing_and_drop_what_is_old() {
    let db = migrated("trading");
    let client = db.client();
    let call = |sql: &str| client.query_one::<i32>(sql);
    assert_eq!(call("SELECT create_trade_partition()"), 0);
    assert_eq!(call("SELECT create_trade_partition(90)"), 60);
    assert_eq!(call("SELECT create_order_partition(13)"), 1);
    client.execute(
        "SELECT tidegate.make_partitions('trades', 'day', now() - interval '95 days',
             now() - interval '85 days');
         INSERT INTO trades (trade_id, symbol, buyer_user_id, seller_user_id, price, quantity,
             is_buyer_maker, executed_at)
         SELECT n, 'X', 'a', 'b', 1, 1, true, now() - make_interval(days => n)
         FROM generate_series(86, 95) n",
    );
    assert_eq!(call("SELECT drop_old_trade_partitions(90)"), 5);
    let left = "SELECT count(*), min(executed_at) >= date_trunc('day', now(), 'UTC') \
                - interval '90 days' FROM trades";
    assert_eq!(texts(&db, left), [["5", "t"]]);
    let noted = "SELECT count(*), sum(rows), min(target) FROM tidegate.dropped_range";
    assert_eq!(texts(&db, noted), [["5", "5", "public.trades"]]);
    assert_eq!(call("SELECT drop_old_order_partitions()"), 0);
    // Beside wider partitions that are there, only the gap is filled.
    client.execute(
        "CREATE TABLE wide PARTITION OF trades FOR VALUES FROM ('2020-01-03') TO ('2020-01-09')",
    );
    let made = "SELECT tidegate.make_partitions('trades', 'month', '2020-01-01', '2020-02-01')";
    assert_eq!(call(made), 2);
    let around = "SELECT string_agg(upper::date::text, ' ' ORDER BY lower) \
                  FROM tidegate.partitions('trades') WHERE lower < '2021-01-01'";
    assert_eq!(client.query_one::<String>(around), "2020-01-03 2020-01-09 2020-02-01");
}

/// Trades of three symbols, one every 20 seconds or so, in the last 30 hours.
fn trades(db: &TestDb<'_>, prefix: &str, count: u32) {
    db.client().execute(&format!(
        "SELECT tidegate.make_partitions('trades', 'day', now() - interval '2 days', now());
         INSERT INTO trades (trade_id, symbol, buyer_user_id, seller_user_id, price, quantity,
             is_buyer_maker, executed_at)
         SELECT '{prefix}' || n, 'S' || n % 3, 'b' || n % 7, 's' || n % 5, 100 + n % 13,
                (n % 11 + 1) * 0.25, n % 2 = 0,
                now() - n * (interval '30 hours' / {count})
         FROM generate_series(1, {count}) n;
         ANALYZE trades"
    ));
}

const RAW: &str = "SELECT symbol, count(*), sum(quantity), sum(quantity * price), min(price), \
                   max(price) FROM trades WHERE executed_at >= now() - interval '24 hours' \
                   AND executed_at <= now() GROUP BY symbol";

#[test]
fn a_days_statistics_are_exact_at_any_moment() {
    let db = migrated("trading");
    let same = |of: &str| {
        // One transaction, so that both see one `now()`.
        let sql = format!(
            "SELECT count(*) FROM ((SELECT * FROM get_24h_volume() EXCEPT ALL {RAW}) UNION ALL \
             ({RAW} EXCEPT ALL SELECT * FROM get_24h_volume())) x"
        );
        assert_eq!(db.client().query_one::<i64>(&sql), 0, "{of}");
    };
    same("no trades");
    trades(&db, "a", 5_000);
    same("a view that is empty");
    assert_eq!(refresh(&db, &["mv_24h_statistics"])[0]["state"], "refreshed");
    same("a fresh view");
    trades(&db, "b", 3);
    db.client().execute(
        "INSERT INTO trades (trade_id, symbol, buyer_user_id, seller_user_id, price, quantity, \
         is_buyer_maker, executed_at) VALUES ('tail', 'S9', 'a', 'b', 7, 2, true, now())",
    );
    let _ = refresh(&db, &[]);
    same("trades after the last slice");
    let one = "SELECT * FROM get_24h_statistics('S9')";
    assert_eq!(texts(&db, one), [["7", "7", "2", "1"]]);
    let none = "SELECT * FROM get_24h_statistics('NONE')";
    assert_eq!(texts(&db, none), [["NULL", "NULL", "0", "0"]]);
}

#[test]
fn slices_without_new_trades_are_not_written_again() {
    let db = migrated("trading");
    trades(&db, "a", 4_000);
    let view = "mv_24h_statistics";
    loop {
        let _ = refresh(&db, &[view]);
        let before = places(&db, view);
        assert!(before.len() > 100, "{}", before.len());
        let late = "INSERT INTO trades SELECT 'late', 'LATE', 'b', 's', NULL, NULL, 1, 1, true, \
                    NULL, NULL, date_bin('5 minutes', now(), 'epoch'::timestamptz) \
                    - interval '2 hours' ON CONFLICT DO NOTHING";
        db.client().execute(late);
        let _ = refresh(&db, &[view]);
        let after = places(&db, view);
        // All slices say until when they are complete: five minutes may have passed meanwhile.
        if before.keys().filter(|row| after.contains_key(*row)).count() == 0 {
            db.client().execute("DELETE FROM trades WHERE trade_id = 'late'");
            continue;
        }
        assert_eq!(changed(&before, &after), [1, 0]);
        break;
    }
}

#[test]
fn critical_queries_use_their_indexes() {
    let db = migrated("trading");
    trades(&db, "a", 3_000);
    db.client().execute(
        "INSERT INTO orders (order_id, client_order_id, user_id, symbol, side, order_type, status,
             price, quantity, created_at)
         SELECT n, 'c' || n, 'u' || n % 50, 'S' || n % 20, 'BUY', 'LIMIT',
                (ARRAY['OPEN', 'FILLED', 'CANCELLED'])[1 + n % 3], 1, 1, now()
         FROM generate_series(1, 5000) n;
         ANALYZE orders",
    );
    // Index-only scans need it, and it runs in no transaction.
    db.client().execute("VACUUM trades");
    for (sql, index) in [
        ("SELECT * FROM orders WHERE symbol = 'S1' AND status = 'OPEN' LIMIT 100", "symbol_status"),
        (
            "SELECT * FROM trades WHERE symbol = 'S1' ORDER BY executed_at DESC LIMIT 100",
            "symbol_executed_at",
        ),
        (
            "SELECT max(price), min(price), sum(quantity), count(*) FROM trades \
             WHERE symbol = 'S1' AND executed_at >= now() - interval '24 hours'",
            "symbol_executed_at_quantity_price",
        ),
        ("SELECT * FROM orders WHERE order_id = 'x'", "pkey"),
        ("SELECT * FROM orders WHERE client_order_id = 'x'", "client_order_id"),
        ("SELECT * FROM trades WHERE buyer_order_id = 'x'", "buyer_order_id"),
        (
            "SELECT * FROM trades WHERE seller_user_id = 's1' ORDER BY executed_at DESC LIMIT 9",
            "seller_user_id_executed_at",
        ),
        (
            "SELECT count(*) FROM trades WHERE symbol = 'S1' AND is_buyer_maker \
             AND executed_at >= now() - interval '1 hour'",
            "symbol_is_buyer_maker_executed_at",
        ),
    ] {
        let plan = plan(&db, "SET enable_bitmapscan = off; SET enable_sort = off", sql);
        assert!(plan.contains(index), "{index}: {plan}");
    }
}

#[test]
fn a_changed_order_says_when_and_a_load_says_what_its_source_says() {
    let db = migrated("trading");
    let header = "order_id,user_id,symbol,side,order_type,status,price,quantity,filled_quantity,\
                  created_at,updated_at";
    let line = |status: &str| {
        format!(
            "{header}\no1,u1,S,BUY,LIMIT,{status},1,2,0,2024-06-03T09:00:00Z,2024-06-03T09:00:01Z\n"
        )
    };
    let first = file(&db, "a.csv", line("OPEN"));
    load(&db, [first.to_str().unwrap()], 0);
    let second = file(&db, "b.csv", line("FILLED"));
    let ended = load(&db, [second.to_str().unwrap(), "--on-conflict", "update"], 0);
    let strategy = ended.report()["strategy"].to_string();
    assert!(strategy.contains("direct"), "the trigger does not slow loads down: {strategy}");
    let row = "SELECT status, updated_at AT TIME ZONE 'UTC' FROM orders";
    assert_eq!(texts(&db, row), [["FILLED", "2024-06-03 09:00:01"]]);
    db.client().execute("UPDATE orders SET status = 'CANCELLED'");
    let since = "SELECT updated_at > now() - interval '1 hour' FROM orders";
    assert_eq!(texts(&db, since), [["t"]]);
    db.client().execute("UPDATE orders SET updated_at = '2024-01-01'");
    assert_eq!(texts(&db, row)[0][1], "2024-01-01 00:00:00");
}
