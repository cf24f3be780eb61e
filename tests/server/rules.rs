//! Market rules: a breach is a reject that carries the rule, a warning loads and is reported, and
//! both can be switched off by name.

use crate::support::{TestDb, closes, file, load, totals};

/// A row that breaks one rule, under the header of a dataset.
struct Breach {
    header: &'static str,
    row: &'static str,
    rule: &'static str,
}

const fn breach(header: &'static str, row: &'static str, rule: &'static str) -> Breach {
    Breach { header, row, rule }
}

const BARS: &str = "symbol,interval,ts,open,high,low,close,volume";
const OPTIONS: &str = "underlying,expiry,strike,option_type,interval,ts,close,volume";
const TRADES: &str = "trade_id,ticker,count,yes_price,no_price,created_time";
const ORDERS: &str = "order_id,user_id,symbol,side,order_type,status,price,quantity,\
    filled_quantity,created_at,updated_at";

const BREACHES: [Breach; 16] = [
    breach(BARS, "A,1m,2024-03-04T09:00:00Z,10,9,8,9.5,1", "high_low"),
    breach(BARS, "A,1m,2024-03-04T09:00:00Z,10,11,10.5,10.7,1", "high_low"),
    breach(BARS, "A,1m,2024-03-04T09:00:00Z,10,11,9,10,-1", "negative_size"),
    breach(BARS, "A,1m,2094-03-04T09:00:00Z,10,11,9,10,1", "future_time"),
    breach("symbol,ts,price,size", "A,2024-03-04T09:00:00Z,10,-5", "negative_size"),
    breach(OPTIONS, "A,2024-03-01,10,call,1d,2024-03-04,1,1", "expiry_before_trade"),
    breach(OPTIONS, "A,2024-03-28,0,put,1d,2024-03-04,1,1", "bad_strike"),
    breach(TRADES, "t,M,5,61,40,2024-03-04T09:00:00Z", "yes_no_sum"),
    breach(TRADES, "t,M,5,161,-61,2024-03-04T09:00:00Z", "price_bounds"),
    breach(TRADES, "t,M,5,,,2024-03-04T09:00:00Z", "no_price"),
    breach(TRADES, "t,M,0,61,39,2024-03-04T09:00:00Z", "not_positive"),
    breach(ORDERS, "o,u,B/U,BUY,LIMIT,OPEN,5,2,3,2024-03-04,", "overfilled"),
    breach(ORDERS, "o,u,B/U,BUY,LIMIT,OPEN,0,2,1,2024-03-04,", "not_positive"),
    breach(ORDERS, "o,u,B/U,BUY,LIMIT,OPEN,5,2,1,2024-03-04,2024-03-03", "update_before_creation"),
    breach(ORDERS, "o,u,B/U,HOLD,LIMIT,OPEN,5,2,1,2024-03-04,", "unknown_value"),
    breach(BARS, "A,1m,2024-03-04T09:00:00Z,inf,inf,9,10,1", "not_finite"),
];

/// A row of the same header that breaks nothing.
fn good(header: &str) -> &'static str {
    match header {
        BARS => "B,1m,2024-03-04T09:00:00Z,10,11,9,10,1\nB,1m,2024-03-04T09:01:00Z,10,11,9,10,1",
        OPTIONS => "B,2024-03-28,10,call,1d,2024-03-04,1,1\nB,2024-03-28,11,C,1d,2024-03-04,1,1",
        TRADES => "g,M,5,61,39,2024-03-04T09:00:00Z\nh,M,5,61,,2024-03-04T09:00:00Z",
        ORDERS => {
            "g,u,B/U,BUY,LIMIT,OPEN,5,2,1,2024-03-04,\ng,u,B/U,BUY,MARKET,OPEN,,2,0,2024-03-05,"
        }
        _ => "B,2024-03-04T09:00:00Z,10,5\nB,2024-03-04T09:00:00Z,-10,5",
    }
}

#[test]
fn each_breach_is_a_reject_with_its_rule() {
    let db = TestDb::new("breaches");
    for (at, Breach { header, row, rule }) in BREACHES.iter().enumerate() {
        let text = format!("{header}\n{}\n{row}\n", good(header));
        let path = file(&db, &format!("{at}.csv"), &text);
        let outcome = load(&db, [&path], 3);
        let [read, _, _, _, _, rejected, _] = totals(&outcome);
        assert_eq!((read, rejected), (3, 1), "{row}");
        let rules = outcome.report()["rejects_by_rule"].as_object().expect("rules");
        assert_eq!(rules.keys().collect::<Vec<_>>(), [rule], "{row}");
    }
}

#[test]
fn a_rule_that_is_off_refuses_nothing() {
    let db = TestDb::new("rules off");
    let rows = [BREACHES[0].row, BREACHES[2].row.trim_end_matches("-1"), "-1"].concat();
    let text = format!("{BARS}\n{}\n{}\n", BREACHES[0].row, good(BARS));
    assert!(rows.contains("-1"));
    let path = file(&db, "bars.csv", &text);
    let off = load(&db, [path.as_os_str(), "--no-check".as_ref(), "high_low,gap".as_ref()], 0);
    assert_eq!(totals(&off)[1], 3);
    let unknown =
        crate::support::backfill(&db, [path.as_os_str()]).args(["--no-check", "high-low"]).run();
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("high_low"), "{}", unknown.stderr);
}

#[test]
fn a_mended_record_is_held_to_the_same_rules() {
    let db = TestDb::new("rules replay");
    let text = format!("{BARS}\n{}\n{}\n", BREACHES[0].row, good(BARS));
    let path = file(&db, "bars.csv", &text);
    load(&db, [&path], 3);
    let id: i64 = db.client().query_one("SELECT id FROM tidegate.reject");
    let replay = |record: &str| {
        let mended = file(&db, "mended.csv", format!("reject_id,record\n{id},\"{record}\"\n"));
        crate::support::Program::new(&db).args(["rejects", "replay"]).arg(&mended).run().code
    };
    assert_eq!(replay(BREACHES[0].row), Some(3), "as bad as before");
    assert_eq!(replay("A,1m,2024-03-04T09:00:00Z,10,11,8,9.5,1"), Some(0));
}

/// Minute bars with a jump by 100, a gap of an hour, fillers, and a bar on the half minute.
fn odd() -> String {
    let mut text = closes(&[(0, "10"), (1, "1000"), (2, "1000"), (62, "1000"), (63, "12")]);
    for minute in 4..8 {
        let zero = if minute % 2 == 0 { "10.5,10.5,10.5,10.5,0" } else { "10.5,11,10,10.5,0" };
        text.push_str(&format!("ACME,1m,2024-06-03T10:0{minute}:00Z,{zero}\n"));
    }
    text + "ACME,1m,2024-06-03T10:07:30Z,10.5,11,10,10.5,2\n"
}

#[test]
fn warnings_load_and_are_reported_whatever_the_writers() {
    let db = TestDb::new("warnings");
    let path = file(&db, "odd.csv", odd());
    let first = load(&db, [path.as_os_str(), "--writers".as_ref(), "1".as_ref()], 0);
    assert_eq!(totals(&first)[1], 10);
    let warnings = &first.report()["warnings_by_rule"];
    let expected = serde_json::json!({
        "unit_jump": 1, "gap": 1, "flat_bar": 1, "zero_volume": 3, "granularity": 1
    });
    assert_eq!(*warnings, expected);
    assert!(first.stderr.contains("warning: unit_jump: 1 bar in 1 file"), "{}", first.stderr);
    let again = ["--reload", "--writers", "8"].map(std::ffi::OsString::from);
    let again = load(&db, std::iter::once(path.clone().into()).chain(again), 0);
    assert_eq!(again.report()["warnings_by_rule"], expected);
    let off = ["--reload", "--no-check", "all"].map(std::ffi::OsString::from);
    let off = load(&db, std::iter::once(path.into()).chain(off), 0);
    assert_eq!(off.report()["warnings_by_rule"], serde_json::json!({}));
}
