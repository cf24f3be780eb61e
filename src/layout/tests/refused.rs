//! What is refused by name.

use super::*;

#[test]
fn only_lists_side_by_side_are_refused_as_such() {
    let lists = r#"{"s":"ok","t":[1704067200],"o":[1],"h":[2],"l":[1],"c":[1],"v":[5]}"#;
    assert!(refusal(&text("x.json", lists)).contains("in lists side by side"));
    let record = r#"{"s":"ok","t":1704067200,"o":1,"h":2,"l":1,"c":1,"v":5}"#;
    let found = auto(&text("ACME_1h.json", record)).unwrap();
    assert_eq!(found.layout, "canonical_json", "as the refusal says to turn them");
}

#[test]
fn answers_that_hold_no_data_are_refused_by_name() {
    let mail = r#"{"killmail_id":1,"killmail_hash":"ab","kill_time":"2024-01-02","system_id":3}"#;
    for (name, rows, says) in [
        ("daily_ACME.csv", r#"{"Information":"25 requests per day"}"#, "instead of data"),
        (
            "ACME.json",
            r#"{"status":"ERROR","request_id":"1","error":"Unknown"}"#,
            "instead of data",
        ),
        ("mail.json", mail, "eve-kill's form"),
        ("totals.json", r#"{"20211203":12345,"20211204":12001}"#, "EVE Ref's totals"),
        ("20211203.json", r#"{"97123456":"ab12","97123457":"cd34"}"#, "zKillboard's history"),
        ("eurusd.csv", "20140101 00:00,1,1,1,1,0,1,1,1,1,0\n", "Lean quotes of hours and days"),
        ("equity/usa/factor_files/a.csv", "19980102,1,0.997307,572.84\n", "Lean factor files"),
    ] {
        let refusal = refusal(&text(name, rows));
        assert!(refusal.contains(" is not loaded: ") && refusal.contains(says), "{refusal}");
    }
    let data = r#"{"code":"0","msg":"","data":[{"ts":1704067200,"o":1,"h":1,"l":1,"c":1}]}"#;
    assert_eq!(auto(&text("ACME_1h.json", data)).unwrap().layout, "canonical_json");
}

#[test]
fn quotes_books_and_binary_files_are_refused_by_name() {
    let none = GivenFacts::default();
    let quotes = "time,bid,ask,bid_size,ask_size\n1381017600,1,2,3,4\n";
    assert_eq!(
        outcome("x.csv", quotes, &none),
        "x.csv is not loaded: quotes (bid and ask): quotes have no table here: ask the vendor \
         for bars or trades\n  first line: time,bid,ask,bid_size,ask_size"
    );
    let book = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n\
                deribit,X,1585699200245000,1585699200355684,true,ask,6421.5,18640\n";
    assert!(outcome("x.csv", book, &none).contains("Tardis.dev order books"));
    let binary = outcome("x.dbn", "DBN\u{1}rest", &none);
    assert!(binary.contains("Databento's binary encoding (DBN)"), "{binary}");
    let page = outcome("x.csv", "<html><body>Exceeded the daily hits limit</body>", &none);
    assert!(
        page.ends_with("first line: <html><body>Exceeded the daily hits limit</body>"),
        "{page}"
    );
    for rows in ["Try it again later\n", "DATE,RATE\n1954-07-01,1.03\n", "No records"] {
        let refusal = outcome("x.csv", rows, &none);
        let first = rows.lines().next().unwrap();
        assert!(refusal.contains(&format!("first line: {first}")), "{refusal}");
    }
}

#[test]
fn frames_of_several_tickers_are_not_guessed_at() {
    let rows = "Price,Close,Close,High,High,Low,Low,Open,Open\nTicker,A,B,A,B,A,B,A,B\n\
                Date,,,,,,,,\n2024-01-02,1,2,1,2,1,2,1,2\n";
    let refusal = outcome("x.csv", rows, &given("A", "1d"));
    assert!(refusal.starts_with("x.csv is not loaded"), "{refusal}");
    assert!(refusal.contains("its tickers stand side by side"), "{refusal}");
}

/// What is shaped like trades or bars of trades and holds something else is told by its name or by
/// its keys, and by nothing else.
#[test]
fn what_only_a_name_tells_from_trades_is_refused() {
    let none = GivenFacts::default();
    let tardis = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n\
                  acmex,ACMEUSD,1583020803145000,1583020803307160,,sell,8531.5,2152\n";
    for name in ["acmex_liquidations_2020-03-01_ACMEUSD.csv", "acmex/liquidations/2020/03/01/x.csv"]
    {
        let refusal = outcome(name, tardis, &none);
        assert!(refusal.contains("Tardis.dev liquidations: liquidations are"), "{refusal}");
        let asked = recognise(&text(name, tardis), &none, built_in(), Some("tardis_trades"));
        assert!(asked.is_ok(), "{asked:?}");
    }
    let trades = outcome("acmex_trades_2020-03-01_ACMEUSD.csv", tardis, &none);
    assert!(trades.starts_with("tardis_trades | "), "{trades}");

    let kline = "1730419200000,70,71,69,70,8,1730422799999,59,12,44,31,0\n".repeat(2);
    let json = r#"[[1730419200000,"70","71","69","70","8",1730422799999,"59",12,"4","3","0"]]"#;
    for (text, layout) in [(kline.as_str(), "binance_klines"), (json, "binance_klines_json")] {
        for folder in ["markPriceKlines", "indexPriceKlines", "premiumIndexKlines"] {
            let name = format!("futures/um/monthly/{folder}/BTCUSDT/1h/BTCUSDT-1h-2024-11.zip");
            let refusal = outcome(&name, text, &none);
            assert!(refusal.contains(&format!("say --layout {layout} with")), "{refusal}");
        }
        let name = "futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-11.csv";
        let found = outcome(name, text, &none);
        assert!(found.starts_with(&format!("{layout} | ")), "{found}");
    }
}

#[test]
fn rates_depths_and_batches_are_refused_by_name() {
    let none = GivenFacts::default();
    for (text, says) in [
        (
            "calc_time,funding_interval_hours,last_funding_rate\n1706745600000,8,0.0010\n",
            "funding rates",
        ),
        (
            "instrument_name,funding_rate,funding_time\nX-USDT-SWAP,0.0001,1748707200000\n",
            "funding rates",
        ),
        (
            "timestamp,percentage,depth,notional\n2023-01-01 00:00:10,-5,7294.23,118\n",
            "Binance depth",
        ),
        (
            r#"[{"symbol":"XUSDT","fundingTime":1706745600000,"fundingRate":"0.1"}]"#,
            "funding rates (JSON)",
        ),
        (
            r#"{"data":[{"instId":"X","fundingRate":"0.1","fundingTime":"1706745600000"}]}"#,
            "funding rates (JSON)",
        ),
        (
            r#"{"orderbook_fp":{"yes_dollars":[["0.35","200"]],"no_dollars":[]}}"#,
            "a Kalshi order book",
        ),
        (
            r#"{"markets":[{"market_ticker":"KX","candlesticks":[{"end_period_ts":1704067200}]}]}"#,
            "jq -c '.markets[] | {ticker: .market_ticker} + .candlesticks[]'",
        ),
        (
            r#"{"market_tickers":["KX"],"market_candlesticks":[[{"end_period_ts":1704067200}]]}"#,
            "jq -c '[.market_tickers, .market_candlesticks] | transpose[]",
        ),
        (
            r#"{"result":{"ticks":[1766483460000],"open":[1],"high":[2],"low":[1],"close":[1]}}"#,
            "jq -c '.result | [.ticks, .open,",
        ),
    ] {
        let refusal = outcome("BTCUSDT_1h.csv", text, &none);
        assert!(refusal.contains(" is not loaded: ") && refusal.contains(says), "{refusal}");
    }
}
