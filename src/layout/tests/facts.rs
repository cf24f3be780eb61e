//! What a name, a column, a flag or the times say: symbol, interval, zone, exchange.

use super::*;

#[test]
fn renaming_keeps_symbol_and_interval() {
    let cases = [
        ("XBTEUR_1440.csv", "old_XBTEUR_1440.csv", "XBTEUR", "1d"),
        ("XBTEUR_1440.csv", "/data/2024/XBTEUR_1440 (2).txt", "XBTEUR", "1d"),
        ("XBTEUR_1440.csv", "copy of xbteur_1440", "XBTEUR", "1d"),
        ("XBTEUR_1440.csv", "my_old_ETH2.SEUR_60_2.csv", "ETH2.SEUR", "1h"),
        ("ETHUSDT-1h-2024-12.csv", "ETHUSDT-1h-2024-12 (1).csv", "ETHUSDT", "1h"),
        ("ETHUSDT-1h-2024-12.csv", "copy ETHUSDT-1h.csv", "ETHUSDT", "1h"),
        ("ETHUSDT-1h-2024-12.csv", "ethusdt_1h.csv", "ETHUSDT", "1h"),
        ("ETHUSDT-1h-2024-12.csv", "1000SHIBUSDT-1mo-2024-12.csv", "1000SHIBUSDT", "1mo"),
        ("ETHUSDT-1h-2024-12.csv", "ETHUSDT_240628-15m-2024-05.csv", "ETHUSDT_240628", "15m"),
        ("acme_us_d.csv", "acme_us_d (copy).csv", "ACME.US", "1d"),
        ("acme_us_d.csv", "old_ACME_US_d.csv", "ACME.US", "1d"),
        ("acme_us_d.csv", "brk-b_us_m.csv", "BRK-B.US", "1mo"),
        ("eurusd_w.csv", "^spx_d.csv", "^SPX", "1d"),
        ("DAT_ASCII_GBPUSD_M1_2018.csv", "DAT_ASCII_GBPUSD_M1_2018 (1).csv", "GBPUSD", "1m"),
        ("DAT_ASCII_GBPUSD_M1_2018.csv", "x-dat_nt_gbpusd_m1.csv", "GBPUSD", "1m"),
        ("LINKUSDT_1h.parquet", "LINKUSDT_1h_backup.parquet", "LINKUSDT", "1h"),
        ("LINKUSDT_1h.parquet", "binance_LINKUSDT-60m.parquet", "LINKUSDT", "1h"),
        ("DOGEEUR_1h.csv", "copy-DOGEEUR-1h-v2.csv", "DOGEEUR", "1h"),
        ("DOGEEUR_1h.csv", "DOGE-EUR_1h.csv", "DOGE-EUR", "1h"),
        ("DOGEEUR_1h.csv", "0700.HK_daily.csv", "0700.HK", "1d"),
        ("DOGEEUR_1h.csv", "dogeeur-1D.csv", "", ""),
    ];
    for (path, name, symbol, interval) in cases {
        let found = file(&fixture("bars").join(path), name);
        if symbol.is_empty() {
            assert!(matches!(found, Err(RecogniseError::MissingFact { .. })), "{name}");
            continue;
        }
        let facts = found.unwrap().facts;
        assert_eq!(
            (facts.symbol.as_deref(), facts.interval.as_deref()),
            (Some(symbol), Some(interval)),
            "{name}"
        );
    }
}

#[test]
fn a_name_that_can_be_cut_in_two_ways_says_nothing() {
    for name in [
        "DOGE_EUR_1h.csv",
        "Gold_USD_1h.csv",
        "copy_1h.csv",
        "bars_1d.csv",
        "2024-01-02.csv",
        "DOGE_1M.csv",
    ] {
        let found = file(&fixture("bars/DOGEEUR_1h.csv"), name);
        assert!(matches!(found, Err(RecogniseError::MissingFact { .. })), "{name}: {found:?}");
    }
    let found = file(&fixture("bars/XBTEUR_1440.csv"), "xbt_eur_1440.csv");
    assert!(matches!(found, Err(RecogniseError::Unknown(_))), "{found:?}");
    let found = file(&fixture("bars/eurusd_w.csv"), "eur_usd_d.csv");
    assert!(matches!(found, Err(RecogniseError::MissingFact { .. })), "{found:?}");
}

#[test]
fn a_column_of_tickers_wins_over_the_name() {
    for (head, row, symbol) in [
        ("Date,Name,Open,High,Low,Close,Adj Close", "2024-01-02,ACME,1,2,0.5,1.5,1.5", "symbol=1"),
        ("Date,Name,Ticker,Open,High,Low,Close,Adj Close", "2024-01-02,A,B,1,2,1,1,1", "symbol=2"),
        ("Date,Open,High,Low,Close,Adj Close", "2024-01-02,1,2,0.5,1.5,1.5", "symbol=SP500"),
        (
            "Date,Name,Open,High,Low,Close,Adj Close",
            "2024-01-02,Acme Inc,1,2,1,1,1",
            "symbol=SP500",
        ),
        ("Date,Company,Open,High,Low,Close,Adj Close", "2024-01-02,Acme,1,2,1,1,1", "symbol=SP500"),
        // A data frame's numbers are no tickers.
        ("index,Date,Open,High,Low,Close,Adj Close", "0,2024-01-02,1,2,1,1,1", "symbol=SP500"),
        ("index,Date,Open,High,Low,Close,Adj Close", "HSI,2024-01-02,1,2,1,1,1", "symbol=0"),
    ] {
        let file = format!("{head}\n{row}\n");
        let found = auto(&text("SP500.csv", &file)).unwrap();
        assert!(sources(&found).starts_with(symbol), "{head}: {}", sources(&found));
    }
    let told = GivenFacts { symbol: Some("TOLD".to_owned()), ..GivenFacts::default() };
    for (head, symbol) in [("Name", "symbol=TOLD"), ("Ticker", "symbol=1")] {
        let file =
            format!("Date,{head},Open,High,Low,Close,Adj Close\n2024-01-02,ACME,1,2,1,1,1\n");
        let found = recognise(&text("SP500.csv", &file), &told, built_in(), None).unwrap();
        assert!(sources(&found).starts_with(symbol), "{head}: {}", sources(&found));
    }
}

#[test]
fn words_in_names_are_no_tickers() {
    for word in ["forex", "train", "historical", "intraday", "download", "FX", "STOCKS", "live"] {
        let name = format!("{word}_1h.csv");
        let found = file(&fixture("bars/DOGEEUR_1h.csv"), &name);
        let Err(RecogniseError::MissingFact { facts, .. }) = &found else {
            panic!("{name}: {found:?}")
        };
        assert_eq!(facts, &["symbol"], "{name}");
    }
}

#[test]
fn files_of_indian_exchanges_are_those_of_their_source() {
    let refused = refusal(&text(
        "EQ010124.CSV",
        "SC_CODE,SC_NAME,SC_GROUP,SC_TYPE,OPEN,HIGH,LOW,CLOSE,NO_TRADES,NO_OF_SHRS,NET_TURNOV\n\
         599999,ACME LTD,A ,Q,10,11,9,10,3,40,400\n",
    ));
    assert!(refused.contains("EQ_ISINCODE_010124.CSV"), "{refused}");
    let head = "TradDt,BizDt,Sgmt,Src,FinInstrmTp,TckrSymb,SctySrs,OpnPric,HghPric,LwPric,ClsPric,\
                TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd";
    for (source, layout) in [("NSE", "nse_equity_udiff"), ("BSE", "bse_equity_udiff")] {
        let row = format!("2024-07-08,2024-07-08,CM,{source},STK,ACME,A,10,11,9,10,40,400,3");
        let found = auto(&text("x.csv", &format!("{head}\n{row}\n"))).unwrap();
        assert_eq!(found.layout, layout);
    }
}

#[test]
fn dates_and_units_that_read_both_ways_are_not_guessed() {
    let daily = "DATE,OPEN,HIGH,LOW,CLOSE\n01/02/2024,1,2,1,1\n";
    assert!(refusal(&text("prices.csv", daily)).contains("say --layout cboe_history"));
    let both = "Ticker,Date/Time,Open,High,Low,Close,Volume\nACME,1/2/2024,1,2,1,1,5\n";
    assert!(matches!(auto(&text("x.csv", both)), Err(RecogniseError::Ambiguous { .. })));
    // Lots of 100 are those of the mainland alone.
    let rows = "ts_code,trade_date,open,high,low,close,vol,amount\n00700.HK,20240131,1,2,1,1,5,6\n";
    assert!(auto(&text("x.csv", rows)).is_err());
}

#[test]
fn flags_win_over_the_name() {
    let sample = text("ACME_1h.csv", ROWS);
    let mut flags = given("GLOBEX", "60min");
    flags.zone = Some("America/New_York".to_owned());
    let found = recognise(&sample, &flags, built_in(), None).unwrap();
    assert_eq!(found.facts.symbol.as_deref(), Some("GLOBEX"));
    assert_eq!(found.facts.interval.as_deref(), Some("1h"));
    assert_eq!(found.facts.zone, "America/New_York");
    assert_eq!(
        found.why,
        [
            "layout canonical: CSV with a header",
            "header ts,open,high,low,close",
            "times without an offset are in America/New_York, from --tz",
            "symbol GLOBEX from --symbol",
            "symbol ACME from the name ACME_1h.csv is not used",
            "interval 1h from --interval",
        ]
    );
}

#[test]
fn a_column_wins_over_its_flag() {
    let rows = "ticker,timeframe,ts,open,high,low,close\nACME,1h,1704067200,1,2,0.5,1.5\n";
    let found = recognise(&text("x.csv", rows), &given("GLOBEX", "1d"), built_in(), None).unwrap();
    assert_eq!(sources(&found), "symbol=0 interval=1 ts=2 open=3 high=4 low=5 close=6");
    assert_eq!((found.facts.symbol, found.facts.interval), (None, None));
    assert!(
        found.why.contains(&"--symbol GLOBEX is not used: the file has a column for it".to_owned())
    );
}

#[test]
fn a_zone_that_changes_nothing_is_not_part_of_the_facts() {
    let mut flags = GivenFacts { zone: Some("UTC+3".to_owned()), ..GivenFacts::default() };
    let bytes = fs::read(fixture("bars/XBTEUR_1440.csv")).unwrap();
    let sample = text("XBTEUR_1440.csv", &bytes);
    let found = recognise(&sample, &flags, built_in(), None).unwrap();
    assert_eq!(found.facts.zone, "UTC");
    let columns = parquet_columns(&fixture("bars/LINKUSDT_1h.parquet"));
    let head = SampleHead::Parquet { columns: &columns };
    let sample = Sample { name: "LINKUSDT_1h.parquet", head };
    assert_eq!(recognise(&sample, &flags, built_in(), None).unwrap().facts.zone, "UTC");

    let bytes = fs::read(fixture("bars/DAT_ASCII_GBPUSD_M1_2018.csv")).unwrap();
    let sample = text("DAT_ASCII_GBPUSD_M1_2018.csv", &bytes);
    let found = recognise(&sample, &flags, built_in(), None).unwrap();
    let time = found.fields.iter().find_map(|field| field.time.clone()).unwrap();
    assert_eq!((found.facts.zone.as_str(), time.zone), ("UTC+03:00", Zone::Fixed(10_800)));

    flags.zone = Some("Mars".to_owned());
    assert_eq!(
        recognise(&sample, &flags, built_in(), None).unwrap_err().to_string(),
        "--tz \"Mars\": unknown time zone \"Mars\": use UTC, UTC-5, +05:30 or a name like \
         Europe/Paris"
    );
}

#[test]
fn what_nothing_says_is_asked_for_at_once() {
    let sample = text("prices.csv", ROWS);
    assert_eq!(
        refusal(&sample),
        "prices.csv (canonical): neither the file nor its name says the symbol and the interval: \
         say it with --symbol BTCUSDT --interval 1h, or give the file a name like BTCUSDT_1h.csv"
    );
    let found = recognise(&sample, &given("ACME", ""), built_in(), None).unwrap_err();
    assert_eq!(
        found.to_string(),
        "prices.csv (canonical): neither the file nor its name says the interval: \
         say it with --interval 1h, or give the file a name like BTCUSDT_1h.csv"
    );
    let found = recognise(&sample, &given("ACME", "fast"), built_in(), None).unwrap_err();
    assert_eq!(
        found.to_string(),
        "--interval \"fast\": no interval: use 1s, 1m, 5m, 1h, 4h, 1d, 1w, 1mo or the like"
    );
}

#[test]
fn times_and_name_must_not_contradict_each_other() {
    let path = fixture("bars/Coinbase_LTCUSD_1h.csv");
    assert_eq!(
        file(&path, "LTC_d.csv").unwrap_err().to_string(),
        "LTC_d.csv (cryptodatadownload): the interval is 1h by how its times are written, and 1d \
         by its name: say which with --interval"
    );
    assert_eq!(file(&path, "renamed.csv").unwrap().facts.interval.as_deref(), Some("1h"));
}

#[test]
fn what_only_the_user_knows_is_asked_for() {
    let rows = "2013.11.29,12:00,1.36,1.37,1.35,1.36,3593\n";
    assert_eq!(
        outcome("EURUSD60.csv", rows, &GivenFacts::default()),
        "EURUSD60.csv (metatrader4): neither the file nor its name says the zone: \
         say it with --tz Europe/Athens"
    );
    let athens = GivenFacts { zone: Some("Europe/Athens".to_owned()), ..GivenFacts::default() };
    assert_eq!(
        outcome("EURUSD60.csv", rows, &athens),
        "metatrader4 | symbol=EURUSD interval=1h ts=0+1 open=2 high=3 low=4 close=5 volume=6 \
         | Europe/Athens metatrader | 0 lines, 7 fields"
    );
    let rows = text("spy.csv", "34200000,1662000,1663000,1661000,1662500,7\n");
    let lean = |date: Option<&str>| {
        let date = date.map(str::to_owned);
        let flags = GivenFacts { date, ..given("SPY", "1m") };
        recognise(&rows, &flags, built_in(), Some("lean_equity"))
    };
    let refusal = lean(None).unwrap_err().to_string();
    assert!(refusal.contains("says the date: say it with --date 2024-01-31"), "{refusal}");
    let found = lean(Some("2013-10-09")).unwrap();
    assert_eq!(found.facts.date.as_deref(), Some("2013-10-09"));
    let ts = found.fields.iter().find(|field| field.column == "ts").unwrap();
    let format = ts.time.as_ref().map(|rule| rule.format.clone());
    assert_eq!(format, Some(TimeFormat::MillisOfDay(Some(15_987))));
    let refusal = lean(Some("yesterday")).unwrap_err().to_string();
    assert!(refusal.starts_with("--date \"yesterday\": no date"), "{refusal}");
}

#[test]
fn any_column_may_be_told_by_the_name() {
    let layout = |facts: &str| {
        let text = format!(
            "name = \"mine\"\ndataset = \"bars\"\n[text]\nheader = \"none\"\n[recognise]\n\
             fields = 2\n[columns]\nts = {{ at = 0, time = \"epoch\", cut = true }}\n{facts}"
        );
        Layout::parse(&text, "mine")
    };
    let missing = layout("").unwrap_err().to_string();
    assert!(missing.contains("close is missing"), "{missing}");
    let facts = "[facts]\nnames = ['^(?P<symbol>[a-z]+)_(?P<close>[0-9]+)']\nclose = { scale = 4 }";
    let layouts = [layout(facts).unwrap()];
    let sample = text("acme_12345.csv", "1789718400831008119,x\n");
    let found = recognise(&sample, &given("", "1d"), &layouts, None).unwrap();
    assert_eq!(sources(&found), "symbol=acme interval=1d ts=0 close=1.2345");
    let ts = found.fields.iter().find(|field| field.column == "ts").unwrap();
    assert_eq!(ts.rewrite, Some(crate::mapping::Rewrite::CutToMicros));
}

#[test]
fn the_exchange_of_cryptodatadownload_is_in_the_name() {
    let rows = "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD\n\
                1646106180,2022-03-01 03:43:00,BTC/USD,1,2,0.5,1.5,3,4\n";
    for (name, interval, venue) in [
        ("Binance_BTCUSDT_2022_minute.csv", "1m", "binance"),
        ("Bitstamp_BTCUSD_2021_minute.csv", "1m", "bitstamp"),
        ("BTCUSDT_Binance_futures_data_hour.csv", "1h", "binance"),
        ("BTCUSDT_Binance_futures_data_day.csv", "1d", "binance"),
        ("FTX_Futures_BTCPERP_minute.csv", "1m", "ftx"),
        ("Newex_BTCUSD_1h.csv", "1h", "newex"),
        ("Newex_1INCHUSD_2022_minute.csv", "1m", "newex"),
        ("old_Coinbase_BTCUSD_d (copy).csv", "1d", "coinbase"),
        ("copy_BTCUSD_d.csv", "1d", "-"),
        ("BTCUSDT_2022_minute.csv", "1m", "-"),
    ] {
        let found = auto(&text(name, rows)).unwrap();
        let facts = (found.facts.interval.as_deref(), found.facts.venue.as_deref());
        assert_eq!(facts, (Some(interval), Some(venue).filter(|venue| *venue != "-")), "{name}");
    }
}

#[test]
fn days_tell_no_interval_that_they_do_not_have() {
    let missing = |name: &str, rows: &[String]| {
        let head = rows.join("\n") + "\n";
        match auto(&text(name, &head)) {
            Err(RecogniseError::MissingFact { facts, .. }) => facts,
            Ok(recognised) => vec![recognised.facts.interval.map_or("none", |_| "known")],
            Err(error) => panic!("{name}: {error}"),
        }
    };
    let yahoo = |step: i64| {
        let from = jiff::civil::date(2024, 1, 5);
        let day = |at: i64| from.saturating_add(jiff::Span::new().days(at * step));
        let rows = (0..9).map(|at| format!("{},1,2,1,2,2,100", day(at)));
        let header = "Date,Open,High,Low,Close,Adj Close,Volume".to_owned();
        std::iter::once(header).chain(rows).collect::<Vec<_>>()
    };
    assert_eq!(missing("AAPL.csv", &yahoo(1)), ["known"]);
    assert_eq!(missing("AAPL.csv", &yahoo(7)), ["interval"], "weeks");
    assert_eq!(missing("AAPL.csv", &yahoo(7)[..5]), ["known"], "too few to say so");
    let clock = |minute: u32| format!("EURUSD,20240102,{}00,1,2,1,2,4", 2301 + minute);
    let header = "<TICKER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>".to_owned();
    let minutes: Vec<String> = std::iter::once(header).chain((0..9).map(clock)).collect();
    assert_eq!(missing("EURUSD.txt", &minutes), ["zone"]);
    let zoned = GivenFacts { zone: Some("UTC".to_owned()), ..GivenFacts::default() };
    let head = minutes.join("\n") + "\n";
    let found = recognise(&text("EURUSD.txt", &head), &zoned, built_in(), None);
    assert!(
        matches!(&found, Err(RecogniseError::MissingFact { facts, .. }) if facts == &["interval"]),
        "{found:?}"
    );
}
