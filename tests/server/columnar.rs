//! Files with types: what is loaded from Parquet, end to end. What a type becomes is tried beside
//! the decoder.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array,
    Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, TimestampNanosecondArray,
    UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::support::{Program, TestDb, file, file_entry, load, totals};

/// Writes a file with row groups of so many rows.
fn parquet(
    db: &TestDb<'_>,
    name: &str,
    columns: Vec<(&str, ArrayRef)>,
    group_rows: usize,
) -> PathBuf {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let path = db.home().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

fn row(words: &[&str]) -> Vec<Option<String>> {
    words.iter().map(|word| (*word != "-").then(|| (*word).to_owned())).collect()
}

#[test]
fn fixed_point_bytes_are_loaded_exactly_and_their_rejects_replayed() {
    let db = TestDb::new("columnar fixed point");
    let fixed = |values: [i128; 3]| {
        let values = values.map(|value| (value * 10_i128.pow(8)).to_le_bytes());
        Arc::new(FixedSizeBinaryArray::try_from_iter(values.iter()).unwrap()) as ArrayRef
    };
    let minute = 1_637_971_200_000_000_000_u64;
    let times = [minute, minute + 60_000_000_123, minute + 120_000_000_000];
    let times: ArrayRef = Arc::new(UInt64Array::from(times.to_vec()));
    let columns = vec![
        ("open", fixed([285_300_000, 285_400_000, 1])),
        ("high", fixed([285_500_000, 286_000_000, 1])),
        ("low", fixed([285_100_000, 285_300_000, 2])),
        ("close", fixed([285_400_000, 285_300_000, 1])),
        ("volume", fixed([3_630_000_000_000_000, 123, 0])),
        ("ts_event", Arc::clone(&times)),
        ("ts_init", times),
    ];
    let name = "catalog/ADABTC.BINANCE-1-MINUTE-LAST-EXTERNAL/part-0.parquet";
    let path = parquet(&db, name, columns, 100);
    let outcome = load(&db, [&path], 3);
    assert_eq!(file_entry(&outcome, "part-0.parquet")["layout"], "nautilus_bars");
    assert_eq!(totals(&outcome), [3, 2, 0, 0, 0, 1, 0]);
    let stored = "SELECT symbol, venue, interval, ts AT TIME ZONE 'UTC', open, low, volume \
         FROM market_data m JOIN tickers t ON t.id = m.ticker_id ORDER BY ts";
    assert_eq!(
        db.client().rows(stored),
        [
            row(&["ADABTC", "BINANCE", "1m", "2021-11-27 00:00:00", "2.853", "2.851", "36300000"]),
            row(&["ADABTC", "BINANCE", "1m", "2021-11-27 00:01:00", "2.854", "2.853", "1.23e-06"]),
        ]
    );
    let raw: Vec<u8> = db.client().query_one("SELECT raw FROM tidegate.reject");
    let raw = String::from_utf8(raw).unwrap();
    assert!(raw.contains("\"low\":\"2e-8\""), "{raw}");
    let export = db.home().join("rejects.csv");
    let export = export.to_str().unwrap();
    let tidegate = |args: &[&str]| drop(Program::new(&db).args(args).run().expect_code(0));
    tidegate(&["rejects", "export", "--out", export]);
    let mended = std::fs::read_to_string(export).unwrap().replace("2e-8", "1e-8");
    std::fs::write(export, mended).unwrap();
    tidegate(&["rejects", "replay", export]);
    let third = "SELECT open, low FROM market_data ORDER BY ts DESC LIMIT 1";
    assert_eq!(db.client().rows(third), [row(&["1e-08", "1e-08"])]);
}

/// A catalogue of NautilusTrader as a version of its Parquet library wrote it, whose prices have 8
/// digits: bar by bar an open that counts steps of `step`.
fn catalogue(writer: &str, step: i128, opens: [i128; 2]) -> Vec<u8> {
    let fixed = |values: [i128; 2]| {
        let values = values.map(|value| (value * step).to_le_bytes());
        Arc::new(FixedSizeBinaryArray::try_from_iter(values.iter()).unwrap()) as ArrayRef
    };
    let minute = 1_637_971_200_000_000_000_u64;
    let times: ArrayRef = Arc::new(UInt64Array::from(vec![minute, minute + 60_000_000_000]));
    let names = ["open", "high", "low", "close", "volume"];
    let columns = names.map(|name| (name, fixed(opens)));
    let times = ["ts_event", "ts_init"].map(|name| (name, Arc::clone(&times)));
    let batch = RecordBatch::try_from_iter(columns.into_iter().chain(times)).unwrap();
    let words = [("price_precision", "8"), ("bar_type", "ADABTC.BINANCE-1-MINUTE-LAST-EXTERNAL")];
    let words = words.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let schema =
        batch.schema().as_ref().clone().with_metadata(std::collections::HashMap::from(words));
    let batch = batch.with_schema(Arc::new(schema)).unwrap();
    let shape = WriterProperties::builder().set_created_by(writer.to_owned()).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(shape)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn catalogues_of_18_digits_are_told_from_those_of_16() {
    let (old, new) = ("parquet-rs version 53.3.0", "parquet-rs version 54.2.1");
    let (of_18, of_16) = (10_i128.pow(10), 10_i128.pow(8));
    for (writer, step, opens, open) in [
        (old, of_18, [2_853, 2_854], "2.853e-05"),
        (new, of_16, [2_853, 2_854], "2.853e-05"),
        // Finer than its prices would be: it is of 16 after all.
        (old, of_16, [2_853, 2_854], "2.853e-05"),
        // A newer writer is believed, whatever its prices are.
        (new, of_18, [2_853, 2_854], "0.002853"),
    ] {
        let db = TestDb::new("catalogue digits");
        let path = file(&db, "bars.parquet", catalogue(writer, step, opens));
        let outcome = load(&db, [&path], 0);
        assert_eq!(file_entry(&outcome, "bars.parquet")["layout"], "nautilus_bars");
        let stored = "SELECT symbol, venue, interval, open FROM market_data m \
             JOIN tickers t ON t.id = m.ticker_id ORDER BY ts LIMIT 1";
        let expected = [row(&["ADABTC", "BINANCE", "1m", open])];
        assert_eq!(db.client().rows(stored), expected, "{writer} {step}");
    }
}

#[test]
fn trades_and_option_bars_are_loaded_by_their_columns_names() {
    let db = TestDb::new("columnar datasets");
    let times: ArrayRef = Arc::new(
        TimestampMillisecondArray::from(vec![1_610_064_000_278, 1_610_064_000_310])
            .with_timezone("UTC"),
    );
    let prices = Decimal128Array::from(vec![39_432_480_000_000_001, 39_439_440_000_000_000]);
    let prices = prices.with_precision_and_scale(20, 12).unwrap();
    let trades = vec![
        ("timestamp", times),
        ("trade_id", Arc::new(Int64Array::from(vec![553_287_559, 553_287_560])) as ArrayRef),
        ("price", Arc::new(prices)),
        ("quantity", Arc::new(Float64Array::from(vec![0.000263, 0.004376]))),
        ("buyer_maker", Arc::new(BooleanArray::from(vec![true, false]))),
    ];
    let path = parquet(&db, "BTCUSDT-trades.parquet", trades, 100);
    let args = ["--dataset", "market_trades", "--symbol", "BTCUSDT"].map(Into::into);
    let mut args: Vec<_> = std::iter::once(path.into_os_string()).chain(args).collect();
    let outcome = load(&db, args.clone(), 0);
    assert_eq!(totals(&outcome), [2, 2, 0, 0, 0, 0, 0]);
    // Where the table has exact numbers, no digit is lost on the way.
    db.client().execute("CREATE TABLE exact (ts timestamptz, trade_id text, price numeric)");
    args.extend(["--table", "exact"].map(Into::into));
    load(&db, args, 0);
    let exact = "SELECT price FROM exact ORDER BY ts";
    let prices = [row(&["39432.480000000001"]), row(&["39439.440000000000"])];
    assert_eq!(db.client().rows(exact), prices);
    let stored = "SELECT trade_id, price, size FROM market_trades ORDER BY ts";
    assert_eq!(
        db.client().rows(stored),
        [row(&["553287559", "39432.48", "0.000263"]), row(&["553287560", "39439.44", "0.004376"]),]
    );
    let db = TestDb::new("columnar options");
    let day: ArrayRef =
        Arc::new(TimestampNanosecondArray::from(vec![1_577_923_200_000_000_000; 2]));
    let strikes = Decimal128Array::from(vec![1_200_000, 1_200_050]);
    let options = vec![
        ("underlying", Arc::new(StringArray::from(vec!["NIFTY", "NIFTY"])) as ArrayRef),
        ("expiry", Arc::new(Date32Array::from(vec![18_291, 18_291]))),
        ("strike", Arc::new(strikes.with_precision_and_scale(9, 2).unwrap())),
        ("option_type", Arc::new(StringArray::from(vec!["call", "put"]))),
        ("interval", Arc::new(StringArray::from(vec!["1d", "1d"]))),
        ("ts", day),
        ("open", Arc::new(Float64Array::from(vec![Some(100.0), None]))),
        ("high", Arc::new(Float64Array::from(vec![Some(110.0), None]))),
        ("low", Arc::new(Float64Array::from(vec![Some(90.0), None]))),
        ("close", Arc::new(Float64Array::from(vec![105.0, 97.95]))),
        ("volume", Arc::new(Int64Array::from(vec![500, 0]))),
        ("open_interest", Arc::new(UInt64Array::from(vec![20_000, 75]))),
    ];
    let outcome = load(&db, [parquet(&db, "options.parquet", options, 100)], 0);
    assert_eq!(totals(&outcome), [2, 2, 0, 0, 0, 0, 0]);
    let stored = "SELECT underlying, expiry, strike, open, close, open_interest \
         FROM option_bars ORDER BY strike";
    assert_eq!(
        db.client().rows(stored),
        [
            row(&["NIFTY", "2020-01-30", "12000", "100", "105", "20000"]),
            row(&["NIFTY", "2020-01-30", "12000.5", "-", "97.95", "75"]),
        ]
    );
}

#[test]
fn row_groups_outside_from_and_to_are_skipped_and_counted() {
    let db = TestDb::new("columnar window");
    let rows = 70_000;
    let times = (0..rows).map(|at| 1_704_067_200_000 + at * 60_000);
    let times = TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC");
    let price = || Arc::new(Float64Array::from_iter_values((0..rows).map(|at| at as f64 + 1.0)));
    let columns = vec![
        ("ts", Arc::new(times) as ArrayRef),
        ("open", price()),
        ("high", price()),
        ("low", price()),
        ("close", price()),
    ];
    let path = parquet(&db, "ACME_1m.parquet", columns, 10);
    let window = ["--from", "2024-01-11", "--to", "2024-01-13"].map(Into::into);
    let args = || std::iter::once(path.clone().into_os_string()).chain(window.clone());
    let outcome = load(&db, args(), 0);
    assert_eq!(totals(&outcome), [70_000, 2_880, 0, 0, 0, 0, 67_120]);
    let sums = "SELECT concat_ws(' ', min(open), max(open), min(ts) AT TIME ZONE 'UTC') \
         FROM market_data";
    assert_eq!(db.client().query_one::<String>(sums), "14401 17280 2024-01-11 00:00:00");
    assert_eq!(totals(&load(&db, args(), 0)), [0; 7]);
    let whole = load(&db, [&path], 0);
    assert_eq!(totals(&whole), [70_000, 67_120, 0, 2_880, 0, 0, 0]);
}

#[test]
fn feather_files_and_streams_are_loaded_like_parquet() {
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
    let db = TestDb::new("columnar arrow");
    let times = TimestampMillisecondArray::from_iter_values((0..100).map(|at| at * 60_000));
    let price = || Arc::new(Float64Array::from_iter_values((0..100).map(f64::from))) as ArrayRef;
    let columns = [
        ("ts", Arc::new(times.with_timezone("UTC")) as ArrayRef),
        ("open", price()),
        ("high", price()),
        ("low", price()),
        ("close", price()),
    ];
    let columns = columns.map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let create = |name: &str| std::fs::File::create(db.home().join(name)).unwrap();
    let options = IpcWriteOptions::default();
    let options = options.try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let (file, schema) = (create("ACME_1m.feather"), batch.schema());
    let mut writer = FileWriter::try_new_with_options(file, &schema, options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let mut writer = StreamWriter::try_new(create("ACME_1m.arrows"), &schema).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let outcome = load(&db, [db.home().join("ACME_1m.feather")], 0);
    assert_eq!(totals(&outcome), [100, 100, 0, 0, 0, 0, 0]);
    // Packed in an archive's way it is the same: the file is taken out for seeking.
    let stream = db.home().join("ACME_1m.arrows");
    let packed = std::process::Command::new("gzip").arg("-k").arg(&stream).status();
    assert!(packed.is_ok_and(|status| status.success()));
    let outcome = load(&db, [db.home().join("ACME_1m.arrows.gz")], 0);
    assert_eq!(totals(&outcome), [100, 0, 0, 100, 0, 0, 0]);
    assert_eq!(totals(&load(&db, [&stream], 0)), [0; 7]);
    // Two put together are no file, and one of a folder that is damaged is not passed over.
    let two = std::fs::read(&stream).unwrap().repeat(2);
    let error = load(&db, [crate::support::file(&db, "two/ACME_1m.arrows", two)], 1).stderr;
    assert!(error.contains("something follows its end"), "{error}");
    let file = std::fs::read(db.home().join("ACME_1m.feather")).unwrap();
    crate::support::file(&db, "folder/ACME_1m.feather", &file[..file.len() / 2]);
    let error = load(&db, [db.home().join("folder")], 1).stderr;
    assert!(error.contains("is not a readable Arrow file"), "{error}");
}
