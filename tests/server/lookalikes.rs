//! Files in the shape or under the name of a vendor's that are not: they are not loaded as its, and
//! what is said of them leads to rows.

use std::fmt::Write as _;

use crate::support::{Program, TestDb, equations, file, load};

/// Bars of days in the shape of Kraken's history, with prices in the order that `places` says.
fn seven_fields(places: [usize; 4]) -> String {
    let mut text = String::new();
    for at in 0..60_u32 {
        let price = |at: u32| 100.0 + f64::from(at * 7_919 % 101) / 10.0;
        let (open, close) = (price(at), price(at + 1));
        let bar = [open, open.max(close) + 0.25, open.min(close) - 0.25, close];
        let [a, b, c, d] = places.map(|place| bar[place]);
        let _ = writeln!(text, "{},{a},{b},{c},{d},{at}.5,{at}", 1_700_006_400 + 86_400 * at);
    }
    text
}

#[test]
fn seven_fields_with_other_prices_are_not_krakens() {
    let db = TestDb::new("seven fields");
    let usual = file(&db, "LKAUSD_1440.csv", seven_fields([0, 1, 2, 3]));
    assert_eq!(load(&db, [&usual], 0).total("inserted"), 60);
    // High, low, close, open: what would be the high is below what would be the low.
    let name = "LKBUSD_1440.csv";
    let other = file(&db, name, seven_fields([1, 2, 3, 0]));
    let refused = load(&db, [&other], 1);
    assert!(refused.stderr.contains("the high is not the highest price"), "{refused:?}");
    let stored = "SELECT count(*) FROM tickers WHERE symbol = 'LKBUSD'";
    assert_eq!(db.client().query_one::<i64>(stored), 0);
    // A layout that is drafted of its values loads it.
    let inspect = Program::new(&db).args(["inspect", name, "--write-layout", "other.toml"]);
    let _ = inspect.run().expect_code(0);
    let args = ["backfill", name, "--layout", "other.toml", "--symbol", "LKBUSD"];
    let loaded = Program::new(&db).args(args).args(["--progress", "none"]).report_json().run();
    assert_eq!(loaded.expect_code(0).total("inserted"), 60);
    let same = "SELECT count(*) FROM market_data a JOIN market_data b USING (ts, interval) \
                WHERE a.ticker_id < b.ticker_id AND \
                (a.open, a.high, a.low, a.close) = (b.open, b.high, b.low, b.close)";
    assert_eq!(db.client().query_one::<i64>(same), 60);
    equations(&db);
}

#[test]
fn closes_alone_are_refused_with_the_layout_that_loads_them() {
    let db = TestDb::new("closes alone");
    let closes = "DATE,LKVX\n09/17/2007,87.730000\n09/18/2007,82.39\n";
    let path = file(&db, "LKVX_History.csv", closes);
    let refused = load(&db, [&path], 1);
    assert!(refused.stderr.contains("a Cboe index history with closes alone"), "{refused:?}");
    let toml = "name = \"closes\"\ndataset = \"bars\"\n[columns]\n\
                ts = { name = \"DATE\", time = \"%m/%d/%Y\", interval = \"1d\" }\n\
                close = \"LKVX\"\n";
    let layout = file(&db, "closes.toml", toml);
    let flags = ["--layout", layout.to_str().expect("a plain path"), "--symbol", "LKVX"];
    let args = std::iter::once(path.to_str().expect("a plain path")).chain(flags);
    assert_eq!(load(&db, args, 0).total("inserted"), 2);
    let rows =
        db.client().rows("SELECT ts::date, interval, open, close FROM market_data ORDER BY ts");
    let row = |day: &str, close: &str| {
        vec![Some(day.to_owned()), Some("1d".to_owned()), None, Some(close.to_owned())]
    };
    assert_eq!(rows, [row("2007-09-17", "87.73"), row("2007-09-18", "82.39")]);
}
