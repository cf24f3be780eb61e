//! Every fixture, and every real file, has the layout that it should have.

use super::*;

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
