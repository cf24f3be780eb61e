//! Files in the shape or under the name of a vendor's that are another's, or hold something else:
//! none is taken for what it is not, and what is refused says what to do.

use super::*;

/// Layout, symbol and interval of a file that is recognised, or the refusal.
fn found(name: &str, rows: &str) -> String {
    match auto(&text(name, rows)) {
        Ok(found) => {
            let fact = |fact: Option<String>| fact.unwrap_or_else(|| "-".to_owned());
            let (symbol, interval) = (fact(found.facts.symbol), fact(found.facts.interval));
            format!("{} {symbol} {interval} {}", found.layout, fact(found.facts.venue))
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn krakens_prices_stand_in_krakens_order() {
    let usual = "1700006400,10,12,9,11,500,3\n1700092800,11,13,10,12,7,3\n";
    let high_first = "1700006400,12,9,11,10,500,3\n1700092800,13,10,12,11,7,3\n";
    let flat = "1700006400,10,10,10,10,500,3\n1700092800,11,11,11,11,7,3\n";
    for rows in [usual, flat] {
        assert_eq!(found("XBTUSD_1440.csv", rows), "kraken_ohlcvt XBTUSD 1d kraken");
    }
    let with_vwap = |rows: &str| rows.replace(",500,", ",10.5,500,").replace(",7,", ",11.5,7,");
    assert_eq!(found("XBTUSD_1440.csv", &with_vwap(usual)), "kraken_rest XBTUSD 1d kraken");
    for (rows, layout) in
        [(high_first.to_owned(), "kraken_ohlcvt"), (with_vwap(high_first), "kraken_rest")]
    {
        let refusal = found("XBTUSD_1440.csv", &rows);
        let says = format!("{layout}: its records fit, but in 2 of 2 the high is not the highest");
        assert!(refusal.contains(&says), "{refusal}");
    }
}

#[test]
fn futures_of_freqtrade_are_told_from_its_pairs_and_its_rates() {
    let bars = "[[1704067200000,10.5,11.5,10.25,11,3],[1704070800000,11,11.25,10.5,10.75,2]]";
    for (name, expected) in [
        ("data/okx/futures/A1_USDT_USDT-1h-futures.json", "A1/USDT:USDT 1h okx"),
        ("BTC_USD_BTC-1Mo-futures.json", "BTC/USD:BTC 1mo -"),
    ] {
        assert_eq!(found(name, bars), format!("freqtrade_futures {expected}"));
    }
    for (name, expected) in
        [("data/okx/A1_USDT-1h.json", "A1/USDT 1h okx"), ("A1_USDT-1Mo.json", "A1/USDT 1mo -")]
    {
        assert_eq!(found(name, bars), format!("ccxt_candles {expected}"));
    }
    for kind in ["mark", "index", "premiumIndex", "funding_rate"] {
        let name = format!("data/okx/futures/A1_USDT_USDT-1h-{kind}.json");
        let refusal = found(&name, bars);
        assert!(refusal.contains("load the files without -mark"), "{refusal}");
    }
    let close_first =
        "[[1704067200000,10.5,11,11.5,10.25,3],[1704070800000,11,10.75,11.25,10.5,2]]";
    let refusal = found("A1_USDT_USDT-1h-futures.json", close_first);
    assert!(refusal.contains("freqtrade_futures: its records fit, but in 2 of 2"), "{refusal}");
}

#[test]
fn the_folder_tells_what_gates_archive_holds() {
    let deals = "1577830575.771538,215782675,0.0329,500,1\n1577824851,215777760,0.0329,439,2\n";
    assert_eq!(found("BTC_USDT-202001.csv", deals), "gate_deals BTC_USDT - gate");
    let path = "spot/deals/202001/BTC_USDT-202001.csv";
    assert_eq!(found(path, deals), "gate_deals BTC_USDT - gate");
    let unnamed = found("deals.csv", deals);
    assert!(unnamed.contains("its name is not like ADA_BTC-201801.csv"), "{unnamed}");
    for (path, rows) in [
        ("futures_usdt/trades/202001/BTC_USDT-202001.csv", "1577836738.742477,5427,41.31,-2\n"),
        ("futures_btc/mark_prices/202001/BTC_USD-202001.csv", "1577836738,41.3,41.31,41.32\n"),
        ("futures_usdt/funding_applies/202001/BTC_USDT-202001.csv", "1577836800,0.0001\n"),
        (
            "spot/orderbooks/202107/BTC_USDT-2021071308.csv",
            "1626163200.2,2,take,33173.25,0.0017,3922620467,1\n",
        ),
    ] {
        let refusal = found(path, rows);
        assert!(refusal.contains("load the folders spot/deals and candlesticks_*"), "{refusal}");
    }
}

#[test]
fn closes_alone_are_refused_by_the_name_that_they_have() {
    let closes = "DATE,VVIX\n09/17/2007,87.730000\n09/18/2007,82.39\n";
    let refusal = found("VVIX_History.csv", closes);
    assert!(refusal.contains("VVIX_History.csv is not loaded: a Cboe index history"), "{refusal}");
    let bars = "DATE,OPEN,HIGH,LOW,CLOSE\n01/02/1990,17.24,17.5,17,17.24\n";
    assert_eq!(found("VIX_History.csv", bars), "cboe_history VIX 1d cboe");
    // Whoever else writes a series of two columns is not told that it is Cboe's.
    for (name, rows) in [
        ("rates.csv", "DATE,RATE\n09/17/2007,5.25\n"),
        ("GDP_History.csv", "DATE,GDP\n2007-09-17,5.25\n"),
        ("X_History.csv", "DATE,A,B\n09/17/2007,5.25,1\n"),
    ] {
        let refusal = found(name, rows);
        assert!(refusal.starts_with("no layout recognises"), "{refusal}");
    }
}

/// Records that are so many seconds apart.
fn spaced(steps: &[i64], record: impl Fn(i64) -> String) -> String {
    let mut at = 1_704_153_600;
    let mut text = record(at);
    for step in steps {
        at += step;
        text.push_str(&record(at));
    }
    text
}

const DAY: i64 = 86_400;

fn day(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap().strftime("%Y-%m-%d").to_string()
}

#[test]
fn the_time_between_bars_tells_what_they_are() {
    let candles = |step: i64| {
        let text = spaced(&[step; 4], |at| format!(",[{at}000,10.5,11.5,10.25,11]"));
        format!("[{}]", &text[1..])
    };
    for (step, interval) in [(1_800, "30m"), (14_400, "4h"), (4 * DAY, "4d"), (DAY, "1d")] {
        let found = found("coingecko_BTC-USD.json", &candles(step));
        assert_eq!(found, format!("coingecko_ohlc BTC-USD {interval} coingecko"));
    }
    let other = found("BTC-USD.json", &candles(1_800));
    assert!(other.contains("its name is not like coingecko_BTC-USD.json"), "{other}");
    let uneven = spaced(&[60, 120, 240, 480], |at| format!(",[{at}000,10.5,11.5,10.25,11]"));
    let asked = found("coingecko_BTC-USD.json", &format!("[{}]", &uneven[1..]));
    assert!(asked.contains("says the interval"), "{asked}");
    let few = "[[1704153600000,10.5,11.5,10.25,11],[1704157200000,11,11.25,10.5,10.75]]";
    assert!(found("coingecko_BTC-USD.json", few).contains("says the interval"));
}

#[test]
fn days_are_days_apart() {
    let saved = |steps: &[i64]| {
        let header = "\"Date\",\"Time\",\"Open\",\"High\",\"Low\",\"Close\",\"Vol\",\"OI\"\n";
        let rows = spaced(steps, |at| {
            let time = jiff::Timestamp::from_second(at + 3_600).unwrap();
            format!("{},1,2,1,2,5,0\n", time.strftime("%m/%d/%Y,%H:%M"))
        });
        found("x.txt", &format!("{header}{rows}"))
    };
    for days in [[DAY; 4], [DAY, DAY, 3 * DAY, DAY]] {
        assert!(saved(&days).starts_with("x.txt (tradestation_daily)"), "{}", saved(&days));
    }
    for others in [[300; 4], [7 * DAY; 4], [DAY, 300, 300, 300]] {
        assert!(saved(&others).starts_with("x.txt (tradestation):"), "{}", saved(&others));
    }
    assert!(saved(&[DAY, DAY]).starts_with("x.txt (tradestation):"), "too few");

    let iqfeed = |step: i64| {
        found("HDX_ACME.csv", &spaced(&[step; 4], |at| format!("{},12,9,10,11,5,0\n", day(at))))
    };
    assert_eq!(iqfeed(DAY), "iqfeed_daily ACME 1d iqfeed");
    assert!(iqfeed(7 * DAY).contains("most are 1w apart, not 1d"), "{}", iqfeed(7 * DAY));
}

#[test]
fn the_high_before_the_open_is_iqfeeds() {
    let bars = |prices: &str| {
        spaced(&[60; 4], |at| {
            let time = jiff::Timestamp::from_second(at).unwrap();
            format!("{},{prices},500,20,3\n", time.strftime("%Y-%m-%d %H:%M:%S"))
        })
    };
    assert_eq!(found("HIX_ACME.csv", &bars("12,9,10,11")), "iqfeed ACME 1m iqfeed");
    let usual = found("HIX_ACME.csv", &bars("10,12,9,11"));
    assert!(usual.contains("iqfeed: its records fit, but in 5 of 5"), "{usual}");
    let flat = found("x.csv", &bars("10,10,10,10"));
    assert!(flat.contains("its name is not like iqfeed_AAPL.csv"), "{flat}");
}

#[test]
fn times_of_new_york_are_those_of_whoever_is_named() {
    let header = "timestamp,open,high,low,close,volume,count,vwap\n";
    let row = "2024-01-02T09:30:00.000,10,12,9,11,500,3,10.5\n";
    let rows = format!("{header}{row}");
    assert_eq!(found("ACME_1m.csv", &rows), "canonical ACME 1m -");
    let asked = found("thetadata_ACME.csv", &rows);
    assert!(asked.starts_with("thetadata_ACME.csv (thetadata_v3)"), "one record has no step");
    let two = "ms_of_day,open,high,low,close,volume,count,date\n";
    let rows = spaced(&[60; 4], |at| {
        format!("{},10,12,9,11,500,3,20240702\n", (at - 1_704_153_600) * 1_000 + 34_200_000)
    });
    assert_eq!(found("thetadata_ACME.csv", &format!("{two}{rows}")), "thetadata ACME 1m thetadata");
}
