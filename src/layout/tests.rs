//! Recognition of whole files: fixtures, real files, renamed files, and files that nobody knows.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::limit::SAMPLE_BYTES;
use crate::mapping::{FieldSource, TimeFormat, Zone};

fn built_in() -> &'static [Layout] {
    registry().unwrap()
}

fn text<'a>(name: &'a str, bytes: &'a (impl AsRef<[u8]> + ?Sized)) -> Sample<'a> {
    Sample { name, head: SampleHead::Text { bytes: bytes.as_ref(), whole: true } }
}

fn given(symbol: &str, interval: &str) -> GivenFacts {
    let some = |word: &str| (!word.is_empty()).then(|| word.to_owned());
    GivenFacts { symbol: some(symbol), interval: some(interval), ..GivenFacts::default() }
}

fn auto(sample: &Sample<'_>) -> Result<Recognised, RecogniseError> {
    recognise(sample, &GivenFacts::default(), built_in(), None)
}

fn refusal(sample: &Sample<'_>) -> String {
    auto(sample).unwrap_err().to_string()
}

/// The folder of real files; says so when there is none.
fn real_data() -> Option<PathBuf> {
    let root = std::env::var_os("TIDEGATE_REAL_DATA").map(PathBuf::from);
    if root.is_none() {
        let mut out = std::io::stdout();
        let _ = writeln!(out, "TIDEGATE_REAL_DATA is not set: real files are not tried");
    }
    root
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// Reads a file's head as the loader does, and recognises it under `name`.
fn file(path: &Path, name: &str) -> Result<Recognised, RecogniseError> {
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let columns = parquet_columns(path);
        return auto(&Sample { name, head: SampleHead::Parquet { columns: &columns } });
    }
    let mut bytes = fs::read(path).unwrap();
    let whole = bytes.len() <= SAMPLE_BYTES;
    bytes.truncate(SAMPLE_BYTES);
    auto(&Sample { name, head: SampleHead::Text { bytes: &bytes, whole } })
}

fn parquet_columns(path: &Path) -> Vec<(String, String)> {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap();
    let fields = reader.schema().fields().iter();
    fields.map(|field| (field.name().clone(), field.data_type().to_string())).collect()
}

/// `column=position` for each field, `column=word` for each constant.
fn sources(recognised: &Recognised) -> String {
    let parts = recognised.fields.iter().map(|field| match &field.source {
        FieldSource::Field(at) => format!("{}={at}", field.column),
        FieldSource::Joined(date, time) => format!("{}={date}+{time}", field.column),
        FieldSource::Constant(word) => format!("{}={word}", field.column),
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// Layout, sources, zone, venue, and for texts head lines and fields.
fn summary(recognised: &Recognised) -> String {
    let shape = recognised.shape.as_ref().map_or(String::new(), |shape| {
        format!(" | {} lines, {} fields", shape.head_lines, shape.fields_max)
    });
    let venue = recognised.facts.venue.as_deref().unwrap_or("-");
    format!(
        "{} | {} | {} {venue}{shape}",
        recognised.layout,
        sources(recognised),
        recognised.facts.zone
    )
}

const KLINES: &str = "ts=0 open=1 high=2 low=3 close=4 volume=5 quote_volume=7 trade_count=8 \
                      | UTC binance";
const OHLCVT: &str = "ts=0 open=1 high=2 low=3 close=4 volume=5 trade_count=6 | UTC kraken \
                      | 0 lines, 7 fields";

#[test]
fn every_fixture_has_its_layout() {
    let cases = [
        (
            "canonical.csv",
            "canonical | symbol=0 interval=1 ts=2 open=3 high=4 low=5 close=6 volume=7 \
             quote_volume=8 trade_count=9 | UTC - | 1 lines, 10 fields"
                .to_owned(),
        ),
        (
            "DOGEEUR_1h.csv",
            "canonical | symbol=DOGEEUR interval=1h ts=0 open=2 high=3 low=4 close=1 volume=5 \
             | UTC - | 1 lines, 6 fields"
                .to_owned(),
        ),
        (
            "ETHUSDT-1h-2024-12.csv",
            format!("binance_klines | symbol=ETHUSDT interval=1h {KLINES} | 0 lines, 12 fields"),
        ),
        (
            "ETHUSDT-1h-2025-01.csv",
            format!("binance_klines | symbol=ETHUSDT interval=1h {KLINES} | 0 lines, 12 fields"),
        ),
        (
            "SOLUSDT-1d-2024-05.csv",
            format!("binance_klines | symbol=SOLUSDT interval=1d {KLINES} | 1 lines, 12 fields"),
        ),
        ("XBTEUR_1440.csv", format!("kraken_ohlcvt | symbol=XBTEUR interval=1d {OHLCVT}")),
        ("ADAUSD_60.csv", format!("kraken_ohlcvt | symbol=ADAUSD interval=1h {OHLCVT}")),
        (
            "acme_us_d.csv",
            "stooq | symbol=ACME.US interval=1d ts=0 open=1 high=2 low=3 close=4 volume=5 \
             | UTC stooq | 1 lines, 6 fields"
                .to_owned(),
        ),
        (
            "eurusd_w.csv",
            "stooq | symbol=EURUSD interval=1w ts=0 open=1 high=2 low=3 close=4 \
             | UTC stooq | 1 lines, 5 fields"
                .to_owned(),
        ),
        (
            "Coinbase_LTCUSD_1h.csv",
            "cryptodatadownload | symbol=1 interval=1h ts=0 open=2 high=3 low=4 close=5 volume=6 \
             quote_volume=7 | UTC coinbase | 2 lines, 8 fields"
                .to_owned(),
        ),
        (
            "Coinbase_LTCUSD_d.csv",
            "cryptodatadownload | symbol=1 interval=1d ts=0 open=2 high=3 low=4 close=5 volume=6 \
             quote_volume=7 | UTC coinbase | 2 lines, 8 fields"
                .to_owned(),
        ),
        (
            "Binance_XRPUSDT_1h.csv",
            "cryptodatadownload | symbol=2 interval=1h ts=0 open=3 high=4 low=5 close=6 volume=7 \
             quote_volume=8 trade_count=9 | UTC binance | 2 lines, 10 fields"
                .to_owned(),
        ),
        (
            "DAT_ASCII_GBPUSD_M1_2018.csv",
            "histdata | symbol=GBPUSD interval=1m ts=0 open=1 high=2 low=3 close=4 volume=5 \
             | UTC-05:00 histdata | 0 lines, 6 fields"
                .to_owned(),
        ),
        (
            "DAT_NT_USDCHF_M1_201803.csv",
            "histdata | symbol=USDCHF interval=1m ts=0 open=1 high=2 low=3 close=4 volume=5 \
             | UTC-05:00 histdata | 0 lines, 6 fields"
                .to_owned(),
        ),
        (
            "LINKUSDT_1h.parquet",
            "parquet_bars | symbol=LINKUSDT interval=1h ts=0 open=1 high=2 low=3 close=4 volume=5 \
             | UTC -"
                .to_owned(),
        ),
    ];
    for (name, expected) in &cases {
        let path = fixture("bars").join(name);
        let found = file(&path, name).map(|recognised| summary(&recognised));
        assert_eq!(found.as_ref(), Ok(expected), "{name}");
    }
    let all = fs::read_dir(fixture("bars")).unwrap().count();
    assert_eq!(all, cases.len(), "a fixture is not listed here");
}

#[test]
fn broken_fixtures_are_recognised_all_the_same() {
    for entry in fs::read_dir(fixture("broken")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".csv") {
            continue;
        }
        let found = file(&path, &name);
        match name.as_str() {
            "empty.csv" => assert!(found.unwrap_err().is_empty_file()),
            "html_error_page.csv" => assert!(found.unwrap_err().no_market_data()),
            _ => assert_eq!(
                found.map(|recognised| summary(&recognised)).as_deref(),
                Ok("canonical | symbol=0 interval=1 ts=2 open=3 high=4 low=5 close=6 volume=7 \
                    | UTC - | 1 lines, 8 fields"),
                "{name}"
            ),
        }
    }
}

#[test]
fn real_files_have_their_layouts() {
    let Some(root) = real_data() else { return };
    let klines =
        format!("binance_klines | symbol=BTCUSDT interval=1h {KLINES} | 0 lines, 12 fields");
    let cdd = |interval: &str| {
        format!(
            "cryptodatadownload | symbol=1 interval={interval} ts=0 open=2 high=3 low=4 close=5 \
             volume=6 quote_volume=7 | UTC coinbase | 2 lines, 8 fields"
        )
    };
    let cases = [
        ("binance/BTCUSDT-1h-2024-11.csv", klines.clone()),
        ("binance/BTCUSDT-1h-2024-12.csv", klines.clone()),
        ("binance/BTCUSDT-1h-2025-01.csv", klines.clone()),
        ("binance/BTCUSDT-1h-2025-02.csv", klines),
        ("kraken/ETHUSD_1440.csv", format!("kraken_ohlcvt | symbol=ETHUSD interval=1d {OHLCVT}")),
        ("kraken/XBTUSD_1440.csv", format!("kraken_ohlcvt | symbol=XBTUSD interval=1d {OHLCVT}")),
        (
            "stooq/aapl_us_d.csv",
            "stooq | symbol=AAPL.US interval=1d ts=0 open=1 high=2 low=3 close=4 volume=5 \
             | UTC stooq | 1 lines, 6 fields"
                .to_owned(),
        ),
        (
            "stooq/btcusd_d.csv",
            "stooq | symbol=BTCUSD interval=1d ts=0 open=1 high=2 low=3 close=4 \
             | UTC stooq | 1 lines, 5 fields"
                .to_owned(),
        ),
        ("cryptodatadownload/Coinbase_BTCUSD_1h.csv", cdd("1h")),
        ("cryptodatadownload/Coinbase_BTCUSD_d.csv", cdd("1d")),
        (
            "histdata/DAT_NT_EURUSD_M1_201502.csv",
            "histdata | symbol=EURUSD interval=1m ts=0 open=1 high=2 low=3 close=4 volume=5 \
             | UTC-05:00 histdata | 0 lines, 6 fields"
                .to_owned(),
        ),
        (
            "parquet/BTCUSDT_1h.parquet",
            "parquet_bars | symbol=BTCUSDT interval=1h ts=0 open=1 high=2 low=3 close=4 volume=5 \
             | UTC -"
                .to_owned(),
        ),
    ];
    for (path, expected) in &cases {
        let path = root.join(path);
        let name = path.to_string_lossy().into_owned();
        let found = file(&path, &name).map(|recognised| summary(&recognised));
        assert_eq!(found.as_ref(), Ok(expected), "{name}");
    }
}

/// Files that hold no bars must not be guessed to; books and quotes are refused by name.
#[test]
fn real_files_of_other_kinds_are_not_taken_for_bars() {
    let Some(root) = real_data() else { return };
    for path in [
        "databento/test_data.trades.csv",
        "kalshi/kalshi_markets.csv",
        "nse/fo_legacy/fo_old_2008-10-24.csv",
        "nse/fo_udiff/fo_udiff_2025-09-02.csv",
        "parquet/btcusdt-trades.parquet",
        "parquet/bars-fixed-size-binary.parquet",
    ] {
        let found = file(&root.join(path), path);
        let as_bars = found.as_ref().is_ok_and(|found| found.dataset == "bars");
        assert!(!as_bars, "{path}: {found:?}");
    }
    for path in [
        "tardis/binance-futures_book_snapshot_5_BTCUSDT.csv",
        "tardis/deribit_incremental_book_L2_BTC-PERPETUAL.csv",
        "tardis/huobi-dm-swap_quotes_BTC-USD.csv",
        "databento/test_data.mbo.csv",
        "databento/test_data.mbp-1.csv",
        "databento/test_data.tbbo.csv",
    ] {
        let found = file(&root.join(path), path);
        let Err(error @ RecogniseError::Refused { .. }) = found else {
            panic!("{path}: {found:?}")
        };
        assert!(error.no_market_data(), "in a folder it is only listed");
        assert!(error.to_string().contains("order books"), "{error}");
    }
    let trades = "tardis/bitmex_trades_XBTUSD.csv";
    let found = file(&root.join(trades), trades).map(|found| found.dataset);
    assert_eq!(found, Ok("market_trades".to_owned()), "its header says it all");
    let joined = file(&root.join("backtrader/2006-min-005.txt"), "min_5m.txt");
    let joined = recognised_with(&joined, &root.join("backtrader/2006-min-005.txt"));
    assert!(sources(&joined).starts_with("symbol=MIN interval=5m ts=0+1 "));
}

/// A file that needs flags, with them.
fn recognised_with(found: &Result<Recognised, RecogniseError>, path: &Path) -> Recognised {
    let Err(RecogniseError::MissingFact { .. }) = found else { panic!("{found:?}") };
    let bytes = fs::read(path).unwrap();
    recognise(&text("x.txt", &bytes), &given("MIN", "5m"), built_in(), None).unwrap()
}

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
fn only_lists_side_by_side_are_refused_as_such() {
    let lists = r#"{"s":"ok","t":[1704067200],"o":[1],"h":[2],"l":[1],"c":[1],"v":[5]}"#;
    assert!(refusal(&text("x.json", lists)).contains("in lists side by side"));
    let record = r#"{"s":"ok","t":1704067200,"o":1,"h":2,"l":1,"c":1,"v":5}"#;
    let found = auto(&text("ACME_1h.json", record)).unwrap();
    assert_eq!(found.layout, "canonical_json", "as the refusal says to turn them");
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
fn dates_and_units_that_read_both_ways_are_not_guessed() {
    let daily = "DATE,OPEN,HIGH,LOW,CLOSE\n01/02/2024,1,2,1,1\n";
    assert!(refusal(&text("prices.csv", daily)).contains("say --layout cboe_history"));
    let both = "Ticker,Date/Time,Open,High,Low,Close,Volume\nACME,1/2/2024,1,2,1,1,5\n";
    assert!(matches!(auto(&text("x.csv", both)), Err(RecogniseError::Ambiguous { .. })));
    // Lots of 100 are those of the mainland alone.
    let rows = "ts_code,trade_date,open,high,low,close,vol,amount\n00700.HK,20240131,1,2,1,1,5,6\n";
    assert!(auto(&text("x.csv", rows)).is_err());
}

const ROWS: &str = "ts,open,high,low,close\n2024-01-02 10:00,1,2,0.5,1.5\n";

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
fn an_unknown_file_is_explained() {
    let message =
        refusal(&text("mystery.csv", "When;First;High;Low;Last\n02.01.2024;1;2;0.5;1.5\n"));
    assert!(
        message.starts_with(
            "no layout recognises mystery.csv\n  first line: When;First;High;Low;Last\n"
        ),
        "{message}"
    );
    assert!(
        message.contains(
            " layouts were tried; these came nearest:
    canonical: its header has no field for ts (ts, timestamp, time, date, datetime, open_time, \
bucket), open (open, o, open_price), close (close, c, close_price)
"
        ),
        "{message}"
    );
    assert!(
        message.ends_with(
            "
  `tidegate inspect` shows what it looks like and drafts a layout for it
  if one of them is right, say --layout NAME, and what the file does not
  say with --symbol, --interval and --tz; else describe the file in a
  layout file and say --layout FILE.toml:
    name = \"mine\"
    dataset = \"bars\"
    [text]
    delimiter = \";\"
    header = \"required\"
    [columns] # names in the header
    ts = { name = \"the header's ts\", time = \"auto\" }
    open = \"the header's open\"
    high = \"High\"
    low = \"Low\"
    close = \"the header's close\"
    volume = \"the header's volume\""
        ),
        "{message}"
    );
}

#[test]
fn the_layout_file_that_is_shown_parses() {
    for rows in ["a,b\n1,2\n", "1,2\n", "x", "a;\"b\"\"\\;c\n", "Datum|Close|\u{7}\n", "\n\n5\t6\n"]
    {
        let RecogniseError::Unknown(unknown) = auto(&text("x", rows)).unwrap_err() else {
            panic!("{rows:?} is recognised")
        };
        Layout::parse(&unknown.example, "example").unwrap();
    }
    let columns = [("a".to_owned(), "Int64".to_owned())];
    let head = SampleHead::Parquet { columns: &columns };
    let RecogniseError::Unknown(unknown) = auto(&Sample { name: "x", head }).unwrap_err() else {
        panic!("recognised")
    };
    assert_eq!(unknown.first_line, "a Int64");
    Layout::parse(&unknown.example, "example").unwrap();
}

#[test]
fn near_misses_say_what_is_wrong() {
    let why = |name: &str, rows: &str, layout: &str| {
        let RecogniseError::Unknown(unknown) = auto(&text(name, rows)).unwrap_err() else {
            panic!("{rows:?} is recognised")
        };
        unknown.tried.into_iter().find(|(name, _)| name == layout).unwrap().1
    };
    let slashes = "Time,Open,High,Low,Close\n03/01/1971 00:00:00,1,2,0.5,1.5\n";
    assert_eq!(
        why("x.csv", slashes, "canonical"),
        "1 of 1 sample records cannot be read: line 2: ts \"03/01/1971 00:00:00\" is no \
         ISO or epoch time"
    );
    let twice = "timestamp,date,open,high,low,close\n1704067200,2024-01-01,1,2,0.5,1.5\n";
    assert_eq!(why("x.csv", twice, "canonical"), "its fields timestamp and date may each be ts");
    let seven = "1381017600,1,2,0.5,1.5,7,3\n";
    assert_eq!(
        why("x.csv", seven, "kraken_ohlcvt"),
        "its records fit, but their shape alone says too little and its name is not like \
         XBTUSD_1440.csv; if it is one, say --layout kraken_ohlcvt"
    );
    let slashes = text("BTCUSD_PERP-1h-2024-11.csv", slashes);
    assert!(refusal(&slashes).contains("first line: Time,Open,High,Low,Close"));
    let others = "1730419200000,70,71,69,70,8,9,59,12,44,31,0\n";
    assert_eq!(
        why("x.csv", others, "binance_klines"),
        "1 of 1 sample records cannot be read: line 1: field 7 is \"9\""
    );
}

#[test]
fn a_layout_that_is_asked_for_needs_no_name() {
    let rows = "1381017600,1,2,0.5,1.5,7,3\n";
    let sample = text("x.csv", rows);
    let flags = given("XBTUSD", "1d");
    let found = recognise(&sample, &flags, built_in(), Some("kraken_ohlcvt")).unwrap();
    assert_eq!(summary(&found), format!("kraken_ohlcvt | symbol=XBTUSD interval=1d {OHLCVT}"));
    assert_eq!(
        recognise(&sample, &flags, built_in(), Some("histdata")).unwrap_err().to_string(),
        "x.csv does not have the layout histdata: its records have 1 field, not 6\
         \n  first line: 1381017600,1,2,0.5,1.5,7,3"
    );
    let known: Vec<&str> = built_in().iter().map(|layout| layout.name.as_str()).collect();
    assert_eq!(
        recognise(&sample, &flags, built_in(), Some("stoq")).unwrap_err().to_string(),
        format!("no layout is called \"stoq\", did you mean stooq?; known: {}", known.join(", "))
    );
    let found = recognise(&sample, &flags, built_in(), Some("parquet_bars")).unwrap_err();
    assert!(found.to_string().contains("it is for Parquet files, and this is text"));
}

#[test]
fn equal_ranks_are_asked_about() {
    let twin = |name: &str| {
        let text = format!("name = {name:?}\ndataset = \"bars\"\n[recognise]\naliases = true");
        Layout::parse(&text, name).unwrap()
    };
    let layouts = [twin("one"), twin("two")];
    let flags = given("ACME", "1h");
    let found = recognise(&text("x.csv", ROWS), &flags, &layouts, None).unwrap_err();
    assert_eq!(
        found.to_string(),
        "x.csv fits several layouts: one, two; say which with --layout one or --layout two"
    );
    assert!(recognise(&text("x.csv", ROWS), &flags, &layouts, Some("two")).is_ok());
}

#[test]
fn marks_line_ends_and_dirt_do_not_matter() {
    let rows = "\u{feff}\r\nDATE;Open;HIGH;\"low\";close;Extra, field\r\n\
                2024-01-02;oops;2;0.5;1.5;a\r\n2024-01-03;1;2;0.5;1.5;b\r\n\
                2024-01-04;1;2;0.5;1.5;c\r\n";
    let found = auto(&text("ACME_1d.csv", rows)).unwrap();
    let shape = found.shape.unwrap();
    assert_eq!((shape.delimiter, shape.head_lines, shape.fields_min), (b';', 2, 6));
    assert_eq!(shape.header_bytes, b"DATE;Open;HIGH;\"low\";close;Extra, field");
    assert_eq!(found.other_fields, [("Extra, field".to_owned(), 5)]);
    let bad_half = "ts,open,high,low,close\nx,1,2,0.5,1.5\n2024-01-02,1,2,0.5,1.5\n";
    assert!(auto(&text("ACME_1d.csv", bad_half)).is_err(), "half is no majority");
}

#[test]
fn a_header_alone_is_recognised() {
    let found = auto(&text("ACME_1d.csv", "ts,open,high,low,close")).unwrap();
    assert_eq!(found.shape.unwrap().head_lines, 1);
}

#[test]
fn optional_headers_name_the_other_fields_either_way() {
    for name in ["ETHUSDT-1h-2024-12.csv", "SOLUSDT-1d-2024-05.csv"] {
        let found = file(&fixture("bars").join(name), name).unwrap();
        let others: Vec<&str> = found.other_fields.iter().map(|(name, _)| name.as_str()).collect();
        let expected = ["close_time", "taker_buy_volume", "taker_buy_quote_volume", "ignore"];
        assert_eq!(others, expected, "{name}");
        let time = found.fields.iter().find_map(|field| field.time.as_ref()).unwrap();
        assert_eq!(time.format, TimeFormat::Epoch);
    }
}

#[test]
fn parquet_columns_are_found_by_name_and_type() {
    let try_columns = |columns: &[(&str, &str)]| {
        let columns: Vec<(String, String)> =
            columns.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let head = SampleHead::Parquet { columns: &columns };
        auto(&Sample { name: "ACME_1d.parquet", head }).map(|found| sources(&found))
    };
    let prices =
        [("Open", "Float64"), ("High", "Float64"), ("Low", "Float64"), ("Close", "Float64")];
    let with = |more: &[(&'static str, &'static str)]| [&prices[..], more].concat();
    let expected = "symbol=ACME interval=1d ts=4 open=0 high=1 low=2 close=3";
    for index in ["Date", "Datetime", "__index_level_0__", "index"] {
        let found = try_columns(&with(&[(index, "Timestamp(ns, \"UTC\")")]));
        assert_eq!(found.as_deref(), Ok(expected), "{index}");
    }
    let reason = |columns: &[(&str, &str)]| try_columns(columns).unwrap_err().to_string();
    let range = with(&[("__index_level_0__", "Int64")]);
    assert!(reason(&range).contains("its column __index_level_0__ is Int64, which is no ts"));
    let opaque = [("open", "FixedSizeBinary(8)")];
    let opaque = [&opaque[..], &prices[1..], &[("ts", "UInt64")]].concat();
    assert!(
        reason(&opaque).contains("its column open is FixedSizeBinary(8), which holds no plain")
    );
    let nothing = with(&[("ts", "UInt64"), ("volume", "Null")]);
    assert!(try_columns(&nothing).is_ok_and(|found| found.ends_with("volume=5")));
}

#[test]
fn a_layout_says_what_bytes_mean() {
    use crate::mapping::Rewrite;
    let columns = ["open", "high", "low", "close", "volume"]
        .map(|name| (name.to_owned(), "FixedSizeBinary(16)".to_owned()));
    let times = ["ts_event", "ts_init"].map(|name| (name.to_owned(), "UInt64".to_owned()));
    let columns = [&columns[..], &times[..]].concat();
    let head = SampleHead::Parquet { columns: &columns };
    let name = "catalog/bar/ADABTC.BINANCE-5-MINUTE-LAST-EXTERNAL/part-0.parquet";
    let found = auto(&Sample { name, head }).unwrap();
    assert_eq!(found.layout, "nautilus_bars");
    assert_eq!(
        sources(&found),
        "symbol=ADABTC interval=5m ts=5 open=0 high=1 low=2 close=3 volume=4"
    );
    assert_eq!(found.facts.venue.as_deref(), Some("BINANCE"));
    let open = found.fields.iter().find(|field| field.column == "open").unwrap();
    assert_eq!(open.rewrite, Some(Rewrite::Bytes { big_endian: false, scale: 16 }));
}

/// Layout and fields of a text that is recognised, or the refusal.
fn outcome(name: &str, rows: &str, flags: &GivenFacts) -> String {
    match recognise(&text(name, rows), flags, built_in(), None) {
        Ok(found) => summary(&found),
        Err(error) => error.to_string(),
    }
}

#[test]
fn krakens_two_forms_are_told_apart() {
    let none = GivenFacts::default();
    let trailing = "1381017600,1,2,0.5,1.5,7.25,3,\n".repeat(3);
    assert_eq!(
        outcome("XBTUSD_1440.csv", &trailing, &none),
        format!("kraken_ohlcvt | symbol=XBTUSD interval=1d {OHLCVT}")
    );
    let rest = "1381017600,1,2,0.5,1.5,1.1,7.25,3\n".repeat(3);
    assert_eq!(
        outcome("XBTUSD_1440.csv", &rest, &none),
        "kraken_rest | symbol=XBTUSD interval=1d ts=0 open=1 high=2 low=3 close=4 volume=6 \
         trade_count=7 | UTC kraken | 0 lines, 8 fields"
    );
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
fn what_cannot_be_said_of_a_file_is_a_mistake() {
    let layout = |format: &str, rest: &str| {
        let text = format!("name = \"mine\"\ndataset = \"bars\"\nformat = \"{format}\"\n{rest}");
        Layout::parse(&text, "mine.toml").map_err(|error| error.to_string())
    };
    let bars = "open = \"o\"\nhigh = \"h\"\nlow = \"l\"\nclose = \"c\"\n";
    for (format, rest, says) in [
        (
            "parquet",
            format!("[columns]\nts = {{ name = \"t\", stamp = \"end\" }}\n{bars}"),
            "stamp is not for them",
        ),
        (
            "text",
            format!("[columns]\nts = \"t\"\n{bars}[facts]\nkeys = {{ symbol = \"s\" }}\n"),
            "only JSON has keys around its records",
        ),
        (
            "text",
            "[columns]\nts = \"t\"\nclose = { name = \"c\", amount = true, scale = 2 }\n"
                .to_owned(),
            "an amount is read as people write it",
        ),
        (
            "text",
            "[columns]\nts = { name = \"t\", amount = true }\nclose = \"c\"\n".to_owned(),
            "only a number of one field is an amount",
        ),
        (
            "text",
            "[columns]\nts = \"t\"\nclose = { name = \"c\", stamp = \"end\" }\n".to_owned(),
            "close is no time",
        ),
        (
            "json",
            format!("[json]\npath = \"a.*.b\"\n[columns]\nts = \"t\"\n{bars}"),
            "only the last key may stand for any key",
        ),
        (
            "json",
            format!("[recognise]\ndocument_keys = \"x\"\n[columns]\nts = \"t\"\n{bars}"),
            "only a layout of files that are not loaded has it",
        ),
    ] {
        let error = layout(format, &rest).map(|_| ()).unwrap_err();
        assert!(error.contains(says), "{rest}: {error}");
    }
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
