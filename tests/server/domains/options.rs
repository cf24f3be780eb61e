//! Option aggregates: what they hold, and that a load makes anew exactly what it touched.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::fmt::Write as _;

use super::{changed, migrated, places, plan, refresh, texts};
use crate::support::{Program, TestDb, except_all, file, load};

const HEADER: &str = "symbol,expiry,strike,bucket_time,call_iv,call_delta,call_gamma,call_theta,\
    call_vega,call_volume,call_count,call_oi,put_iv,put_delta,put_gamma,put_theta,put_vega,\
    put_volume,put_count,put_oi,underlying_close";

/// Minutes of strikes with values that look random and come out the same every time.
fn minutes(strikes: u32, from: u32, to: u32, seed: u64) -> String {
    let mut state = seed | 1;
    let mut next = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = format!("{HEADER}\n");
    for minute in from..to {
        for strike in 0..strikes {
            if next(10) == 0 {
                continue;
            }
            let _ = write!(
                text,
                "NIFTY,2024-06-27,{},2024-06-{:02}T{:02}:{:02}:00Z",
                22_000 + 50 * strike,
                3 + minute / 1440,
                minute / 60 % 24,
                minute % 60
            );
            for _side in 0..2 {
                for _greek in 0..5 {
                    let _ = write!(text, ",0.{:06}", next(1_000_000));
                }
                let count = next(4);
                let oi = if next(5) == 0 { String::new() } else { next(9_999).to_string() };
                let _ = write!(text, ",{},{count},{oi}", next(500));
            }
            let _ = writeln!(text, ",{}.{:02}", 22_100 + next(100), next(100));
        }
    }
    text
}

fn load_minutes(db: &TestDb<'_>, name: &str, text: &str, args: &[&str]) {
    let path = file(db, name, text);
    load(db, [path.to_str().unwrap()].into_iter().chain(args.iter().copied()), 0);
}

/// Fails unless a table is what a plain recomputation from the minutes says.
fn is_right(db: &TestDb<'_>, minutes: u32) {
    let weighted = |of: &str, weight: &str| {
        format!(
            "coalesce(sum({of}::numeric * {weight}) / \
             nullif(sum({weight}) FILTER (WHERE {of} IS NOT NULL), 0), avg({of}::numeric))"
        )
    };
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE a.symbol IS NULL OR b.symbol IS NULL \
             OR (a.call_oi_sum, a.put_oi_sum, a.call_volume, a.put_count) IS DISTINCT FROM \
                (b.call_oi, b.put_oi, b.call_volume, b.put_count)), \
             coalesce(max(abs(a.call_iv_avg - b.call_iv)), 0) < 1e-12 \
             AND coalesce(max(abs(a.put_vega_avg - b.put_vega)), 0) < 1e-12, \
             count(*) FILTER (WHERE num_nulls(a.call_iv_avg, b.call_iv) = 1) \
         FROM fo_option_strike_bars_{minutes}min a FULL JOIN ( \
             SELECT symbol, expiry, strike, \
                    to_timestamp(floor(extract(epoch FROM bucket_time) / ({minutes} * 60)) \
                        * {minutes} * 60) AS bucket_time, \
                    max(call_oi) AS call_oi, max(put_oi) AS put_oi, \
                    sum(call_volume) AS call_volume, sum(put_count)::bigint AS put_count, \
                    {}::float8 AS call_iv, {}::float8 AS put_vega \
             FROM fo_option_strike_bars GROUP BY 1, 2, 3, 4) b \
         USING (symbol, expiry, strike, bucket_time)",
        weighted("call_iv", "call_count"),
        weighted("put_vega", "put_count"),
    );
    let row = texts(db, &sql).remove(0);
    assert_ne!(row[0], "0", "there are buckets");
    assert_eq!(row[1..], ["0", "t", "0"], "{minutes} minutes: wrong buckets");
}

#[test]
fn aggregates_are_exact_and_untouched_buckets_are_not_written() {
    let db = migrated("options");
    load_minutes(&db, "a.csv", &minutes(8, 0, 600, 1), &[]);
    let done = refresh(&db, &["fo_option_strike_bars_5min", "fo_option_strike_bars_15min"]);
    assert!(done.iter().all(|one| one["state"] == "refreshed"), "{done:?}");
    is_right(&db, 5);
    is_right(&db, 15);
    let again = refresh(&db, &["fo_option_strike_bars_5min"]);
    assert_eq!(again[0]["state"], "fresh already");

    let places = "SELECT bucket_time, strike, xmin, ctid FROM fo_option_strike_bars_5min \
                  ORDER BY 1, 2";
    let before = texts(&db, places);
    // Late minutes of a later day, and a minute that a vendor restated.
    load_minutes(&db, "b.csv", &minutes(8, 2_000, 2_060, 2), &[]);
    let restated = format!(
        "{HEADER}\nNIFTY,2024-06-27,22050,2024-06-03T03:07:00Z,0.5,0.5,0.5,0.5,0.5,7,2,88888,\
         0.5,0.5,0.5,0.5,0.5,7,2,99999,22100\n"
    );
    load_minutes(&db, "c.csv", &restated, &["--on-conflict", "update"]);
    let done = refresh(&db, &["fo_option_strike_bars_5min", "fo_option_strike_bars_15min"]);
    assert_eq!(done[0]["ranges"], 2, "{done:?}");
    is_right(&db, 5);
    is_right(&db, 15);
    let after = texts(&db, places);
    let changed: Vec<_> = before.iter().filter(|row| !after.contains(row)).collect();
    assert_eq!(changed.len(), 1, "one bucket was made anew: {changed:?}");
    assert!(changed[0][0].contains("03:05:00"), "{changed:?}");
    // Rows that are taken out by hand are gone from the aggregates once somebody says so.
    db.client().execute(
        "DELETE FROM fo_option_strike_bars WHERE bucket_time < '2024-06-03 01:00+00';
         INSERT INTO tidegate.touched (target, from_ts, to_ts) VALUES
             ('public.fo_option_strike_bars', '2024-06-03 00:00+00', '2024-06-03 01:00+00')",
    );
    let done = refresh(&db, &["fo_option_strike_bars_5min", "fo_option_strike_bars_15min"]);
    assert_eq!(done[0]["deleted"], 12 * 8);
    is_right(&db, 5);
    is_right(&db, 15);
}

/// Fails unless a table is what the one definition of its buckets says of all minutes, to the last
/// digit: sums are taken in the order of time.
fn is_recomputed(db: &TestDb<'_>, minutes: u32) {
    is_recomputed_to(db, minutes, "2024-07-01");
}

/// The same of all minutes before `to`.
fn is_recomputed_to(db: &TestDb<'_>, minutes: u32, to: &str) {
    let table = format!("fo_option_strike_bars_{minutes}min");
    let whole = format!(
        "SELECT * FROM fo_option_strike_buckets({minutes}, '2024-06-01 00:00+00', \
         '{to} 00:00+00')"
    );
    except_all(db, &table, &whole);
}

#[test]
fn random_loads_replacements_and_late_rows_give_what_a_full_recomputation_gives() {
    for seed in [11, 12, 13] {
        let db = migrated("options");
        let mut state: u32 = seed;
        let mut next = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for step in 0..5 {
            // A stretch of minutes that may lie before, after or upon what is there, with other
            // values: late rows and replacements.
            let from = next(3_000);
            let text = minutes(1 + next(5), from, from + 1 + next(200), u64::from(seed + step));
            let policy = ["update", "skip"][next(2) as usize];
            load_minutes(&db, &format!("{step}.csv"), &text, &["--on-conflict", policy]);
            if step % 2 == 1 {
                continue;
            }
            let names = ["fo_option_strike_bars_5min", "fo_option_strike_bars_15min"];
            let before = names.map(|name| places(&db, name));
            let _ = refresh(&db, &names);
            for (name, before) in names.iter().zip(&before) {
                let _ = changed(before, &places(&db, name));
            }
            for width in [5, 15] {
                is_recomputed(&db, width);
                is_right(&db, width);
            }
        }
    }
}

#[test]
fn buckets_outlive_minutes_that_retention_dropped() {
    let db = migrated("options");
    load_minutes(&db, "a.csv", &minutes(3, 0, 60, 8), &[]);
    let later = minutes(3, 0, 60, 9).replace("2024-06-03", "2025-08-03");
    let later = later.replace("2024-06-27", "2025-08-28");
    load_minutes(&db, "b.csv", &later, &[]);
    let _ = refresh(&db, &[]);
    let client = db.client();
    client.execute("CREATE TABLE before AS TABLE fo_option_strike_bars_5min");
    let drop = "SELECT tidegate.drop_partitions('fo_option_strike_bars', '2025-01-01 00:00+00')";
    assert!(client.query_one::<i32>(drop) > 0);
    let _ = refresh(&db, &["--full", "fo_option_strike_bars_5min"]);
    except_all(&db, "fo_option_strike_bars_5min", "before");
    let rebuild = ["refresh", "--rebuild", "fo_option_strike_bars_5min"];
    let ended = Program::new(&db).args(rebuild).run().expect_code(1);
    assert!(ended.stderr.contains("would lose them"), "{}", ended.stderr);
    // Loaded again, they count again.
    load_minutes(&db, "a.csv", &minutes(3, 0, 60, 8), &["--reload"]);
    let _ = refresh(&db, &["--full", "fo_option_strike_bars_5min"]);
    is_recomputed_to(&db, 5, "2025-09-01");
}

#[test]
fn one_new_minute_changes_one_latest_strike() {
    let db = migrated("options");
    load_minutes(&db, "a.csv", &minutes(20, 0, 30, 6), &[]);
    let _ = refresh(&db, &[]);
    let before = places(&db, "fo_option_strike_latest");
    let minute = format!(
        "{HEADER}\nNIFTY,2024-06-27,22050,2024-06-03T00:31:00Z,0.5,0.5,0.5,0.5,0.5,7,2,88888,\
         0.5,0.5,0.5,0.5,0.5,7,2,99999,22100\n"
    );
    load_minutes(&db, "b.csv", &minute, &[]);
    let _ = refresh(&db, &[]);
    assert_eq!(changed(&before, &places(&db, "fo_option_strike_latest")), [1, 1]);
}

#[test]
fn a_table_that_is_made_anew_takes_the_place_of_the_old_one() {
    let db = migrated("options");
    load_minutes(&db, "a.csv", &minutes(4, 0, 120, 3), &[]);
    let _ = refresh(&db, &[]);
    let client = db.client();
    client.execute(
        "UPDATE fo_option_strike_bars_5min SET call_oi_sum = -1; \
         GRANT SELECT ON fo_option_strike_bars_5min, fo_expiry_metrics_5min TO PUBLIC",
    );
    let _ = refresh(&db, &["--rebuild", "fo_option_strike_bars_5min"]);
    is_right(&db, 5);
    let granted = "SELECT bool_and(has_table_privilege('public', t, 'SELECT')) FROM \
                   unnest(ARRAY['fo_option_strike_bars_5min', 'fo_expiry_metrics_5min']) t";
    assert!(client.query_one::<bool>(granted));
    client
        .execute("REVOKE SELECT ON fo_option_strike_bars_5min, fo_expiry_metrics_5min FROM PUBLIC");
    let _ = Program::new(&db).args(["verify", "schema"]).run().expect_code(0);
    let strikes =
        "SELECT count(DISTINCT strikes) > 0, min(call_oi) >= 0 FROM fo_expiry_metrics_5min";
    assert_eq!(texts(&db, strikes), [["t", "t"]]);
}

#[test]
fn the_latest_strikes_need_no_join_and_views_say_what_is_there() {
    let db = migrated("options");
    load_minutes(&db, "a.csv", &minutes(63, 0, 30, 4), &[]);
    let _ = refresh(&db, &[]);
    let latest = "SELECT * FROM fo_option_strike_bars_5min WHERE symbol = 'NIFTY' \
                  AND bucket_time = (SELECT max(bucket_time) FROM fo_option_strike_bars_5min \
                                     WHERE symbol = 'NIFTY') ORDER BY expiry, strike LIMIT 63";
    let planned = plan(&db, "", latest);
    assert!(!planned.contains("Join") && !planned.contains("Nested Loop"), "{planned}");
    assert!(planned.contains("symbol_bucket_time_expiry_str_idx"), "{planned}");
    assert_eq!(texts(&db, latest).len(), 63);
    let money = "SELECT strike FROM fo_option_strike_bars_5min WHERE symbol = 'NIFTY' \
                 AND expiry = '2024-06-27' AND moneyness BETWEEN -0.01 AND 0.01";
    let planned = plan(&db, "SET enable_bitmapscan = off", money);
    assert!(planned.contains("moneyness"), "{planned}");
    let snapshot = "SELECT count(*), max(bucket_time)::text FROM fo_option_strike_latest";
    assert_eq!(texts(&db, snapshot), [["63", "2024-06-03 00:29:00+00"]]);
    let complete = texts(&db, "SELECT * FROM fo_option_completeness ORDER BY total DESC");
    assert_eq!(
        complete.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(),
        ["1min", "5min", "15min"]
    );
    let parts = complete[1][1..].iter().map(|count| count.parse::<u64>().unwrap());
    let [total, calls, puts] = parts.collect::<Vec<_>>()[..] else { panic!("{complete:?}") };
    assert!(total == 63 * 6 && calls <= total && puts <= total && calls > 0, "{complete:?}");
}

#[test]
fn strikes_are_derived_of_contracts_and_their_own_source_wins() {
    let db = migrated("options");
    let client = db.client();
    client.execute(
        "SELECT tidegate.make_partitions('option_bars', 'month', '2024-06-01', '2024-07-01');
         INSERT INTO option_bars (underlying, expiry, strike, option_type, interval, ts, close,
             volume, open_interest, underlying_close)
         SELECT 'N', '2024-06-27', 100, o, '1m', '2024-06-03 09:00+00'::timestamptz
                + m * interval '1 minute', 1, m, 10 * m, 101
         FROM unnest(ARRAY['call', 'put']) o, generate_series(1, 10) m;
         INSERT INTO tidegate.touched (target, from_ts, to_ts) VALUES ('public.option_bars',
             '2024-06-03 09:00+00', '2024-06-03 09:20+00');
         SELECT tidegate.make_partitions('fo_option_strike_bars', 'month', '2024-06-01',
             '2024-07-01');
         INSERT INTO fo_option_strike_bars (symbol, expiry, strike, bucket_time, call_iv, call_oi)
         VALUES ('N', '2024-06-27', 100, '2024-06-03 09:05+00', 0.2, 7)",
    );
    let done = refresh(&db, &["fo_option_strike_bars"]);
    assert_eq!(done[0]["written"], 9, "{done:?}");
    let own = "SELECT call_oi, put_oi FROM fo_option_strike_bars WHERE bucket_time = \
               '2024-06-03 09:05+00'";
    assert_eq!(texts(&db, own), [["7", "NULL"]]);
    let _ = refresh(&db, &[]);
    let sums = "SELECT sum(call_volume), max(put_oi_sum) FROM fo_option_strike_bars_15min";
    assert_eq!(texts(&db, sums), [["50", "100"]]);
}
