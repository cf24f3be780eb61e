//! Real vendors' files, from the folder that `TIDEGATE_REAL_DATA` names: every bar of each is
//! stored, once, with the file's own digits, at the right instant. What a file holds is read here
//! by a few lines of their own, which share nothing with the decoder.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::{
    BARS, Client, TestDb, count, except_all, file_entry, load, same_rows, totals,
};

/// A bar as the file has it: its time in words that the server reads, then open, high, low, close,
/// volume, quote volume and trade count; nothing where the file has no such column.
struct Bar {
    ts: String,
    values: [Option<String>; 7],
}

struct Vendor {
    file: &'static str,
    symbol: &'static str,
    venue: &'static str,
    interval: &'static str,
    /// Another name from which the same symbol and interval can be told.
    renamed: &'static str,
    read: fn(&Path) -> Vec<Bar>,
}

const fn binance(file: &'static str, renamed: &'static str) -> Vendor {
    let (symbol, venue, interval) = ("BTCUSDT", "binance", "1h");
    Vendor { file, symbol, venue, interval, renamed, read: read_binance }
}

const VENDORS: [Vendor; 12] = [
    binance("binance/BTCUSDT-1h-2024-11.csv", "btcusdt_1h.csv"),
    binance("binance/BTCUSDT-1h-2024-12.csv", "BTCUSDT-1h-december.csv"),
    binance("binance/BTCUSDT-1h-2025-01.csv", "BTCUSDT-1h-2030-01.csv"),
    binance("binance/BTCUSDT-1h-2025-02.csv", "BTCUSDT_1h_2.csv"),
    Vendor {
        file: "kraken/ETHUSD_1440.csv",
        symbol: "ETHUSD",
        venue: "kraken",
        interval: "1d",
        renamed: "ethusd_1440.csv",
        read: read_kraken,
    },
    Vendor {
        file: "kraken/XBTUSD_1440.csv",
        symbol: "XBTUSD",
        venue: "kraken",
        interval: "1d",
        renamed: "xbtusd_1440.csv",
        read: read_kraken,
    },
    Vendor {
        file: "stooq/aapl_us_d.csv",
        symbol: "AAPL.US",
        venue: "stooq",
        interval: "1d",
        renamed: "AAPL_US_d.csv",
        read: read_stooq,
    },
    Vendor {
        file: "stooq/btcusd_d.csv",
        symbol: "BTCUSD",
        venue: "stooq",
        interval: "1d",
        renamed: "BTCUSD_d.csv",
        read: read_stooq,
    },
    Vendor {
        file: "cryptodatadownload/Coinbase_BTCUSD_1h.csv",
        symbol: "BTCUSD",
        venue: "coinbase",
        interval: "1h",
        renamed: "coinbase_btcusd_1h.csv",
        read: read_cryptodatadownload,
    },
    Vendor {
        file: "cryptodatadownload/Coinbase_BTCUSD_d.csv",
        symbol: "BTCUSD",
        venue: "coinbase",
        interval: "1d",
        renamed: "COINBASE_BTCUSD_d.csv",
        read: read_cryptodatadownload,
    },
    Vendor {
        file: "histdata/DAT_NT_EURUSD_M1_201502.csv",
        symbol: "EURUSD",
        venue: "histdata",
        interval: "1m",
        renamed: "DAT_ASCII_EURUSD_M1_2015.csv",
        read: read_histdata,
    },
    Vendor {
        file: "parquet/BTCUSDT_1h.parquet",
        symbol: "BTCUSDT",
        venue: "",
        interval: "1h",
        renamed: "BTCUSDT-1h.parquet",
        read: read_parquet,
    },
];

/// The folder of real files, said once if there is none.
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn real_data() -> Option<PathBuf> {
    let folder = std::env::var_os("TIDEGATE_REAL_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("TIDEGATE_REAL_DATA is not set: real files are not tested");
    }
    folder
}

/// The fields of each line after the first `skip`.
fn lines(path: &Path, delimiter: char, skip: usize) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let fields = |line: &str| line.split(delimiter).map(str::to_owned).collect();
    text.lines().skip(skip).filter(|line| !line.is_empty()).map(fields).collect()
}

/// A bar whose values stand at these positions.
fn bar(ts: String, fields: &[String], at: &[usize]) -> Bar {
    let mut values: [Option<String>; 7] = Default::default();
    for (value, at) in values.iter_mut().zip(at) {
        *value = fields.get(*at).cloned();
    }
    Bar { ts, values }
}

fn epoch(digits: &str) -> String {
    let number: i64 = digits.parse().unwrap();
    let micros = match digits.len() {
        10 => number * 1_000_000,
        13 => number * 1_000,
        16 => number,
        _ => panic!("{digits} is no time of 2001 to 2286"),
    };
    jiff::Timestamp::from_microsecond(micros).unwrap().to_string()
}

fn read_binance(path: &Path) -> Vec<Bar> {
    let lines = lines(path, ',', 0);
    lines.iter().map(|f| bar(epoch(&f[0]), f, &[1, 2, 3, 4, 5, 7, 8])).collect()
}

fn read_kraken(path: &Path) -> Vec<Bar> {
    let mut bars: Vec<Bar> =
        lines(path, ',', 0).iter().map(|f| bar(epoch(&f[0]), f, &[1, 2, 3, 4, 5])).collect();
    for (bar, fields) in bars.iter_mut().zip(lines(path, ',', 0)) {
        bar.values[6] = Some(fields[6].clone());
    }
    bars
}

fn read_stooq(path: &Path) -> Vec<Bar> {
    let lines = lines(path, ',', 1);
    lines.iter().map(|f| bar(format!("{} 00:00+00", f[0]), f, &[1, 2, 3, 4, 5])).collect()
}

fn read_cryptodatadownload(path: &Path) -> Vec<Bar> {
    let ts = |text: &str| match text.split_once(' ') {
        None => format!("{text} 00:00+00"),
        Some((day, clock)) => {
            let (hour, half) = clock.split_once('-').unwrap();
            let hour = hour.parse::<u32>().unwrap() % 12 + if half == "PM" { 12 } else { 0 };
            format!("{day} {hour:02}:00+00")
        }
    };
    let lines = lines(path, ',', 2);
    lines.iter().map(|f| bar(ts(&f[0]), f, &[2, 3, 4, 5, 6, 7])).collect()
}

/// Eastern Standard Time all year: five hours behind UTC.
fn read_histdata(path: &Path) -> Vec<Bar> {
    let ts = |text: &str| format!("{} {}-05", &text[..8], &text[9..]);
    let lines = lines(path, ';', 0);
    lines.iter().map(|f| bar(ts(&f[0]), f, &[1, 2, 3, 4, 5])).collect()
}

fn read_parquet(path: &Path) -> Vec<Bar> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut bars = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let schema = batch.schema();
        let column = |name: &str| {
            let at = schema.fields().iter().position(|f| f.name().to_lowercase() == name)?;
            Some(batch.column(at))
        };
        // A double as Rust writes it: the fewest digits that name it, and no point at their end.
        let text = |name: &str| -> Option<StringArray> {
            let values = column(name)?;
            match values.as_primitive_opt::<Float64Type>() {
                Some(doubles) => Some(doubles.iter().map(|v| v.map(|v| v.to_string())).collect()),
                None => Some(cast(values, &DataType::Utf8).unwrap().as_string::<i32>().clone()),
            }
        };
        let times = ["ts", "timestamp", "time", "date", "datetime", "open_time"];
        let times = times.into_iter().find_map(column).expect("a column of times");
        assert!(matches!(times.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, Some(_))));
        let times = cast(times, &DataType::Int64).unwrap();
        let times = times.as_primitive::<Int64Type>();
        let values = ["open", "high", "low", "close", "volume"].map(text);
        for row in 0..batch.num_rows() {
            let value = |column: &Option<StringArray>| {
                let column = column.as_ref()?;
                column.is_valid(row).then(|| column.value(row).to_owned())
            };
            let ts = jiff::Timestamp::from_nanosecond(times.value(row).into()).unwrap();
            let mut bar = Bar { ts: ts.to_string(), values: Default::default() };
            for (to, column) in bar.values.iter_mut().zip(&values) {
                *to = value(column);
            }
            bars.push(bar);
        }
    }
    bars
}

/// The batches of a Parquet file.
fn batches(path: &Path) -> Vec<arrow::array::RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

/// Microseconds of each row of a column of times.
fn micros(batch: &arrow::array::RecordBatch, name: &str) -> Vec<i64> {
    let values = batch.column_by_name(name).unwrap();
    let nanos = match values.data_type() {
        DataType::UInt64 | DataType::Int64 => cast(values, &DataType::Int64).unwrap(),
        _ => {
            let zone = Some("UTC".into());
            let stamps = cast(values, &DataType::Timestamp(TimeUnit::Nanosecond, zone)).unwrap();
            cast(&stamps, &DataType::Int64).unwrap()
        }
    };
    nanos.as_primitive::<Int64Type>().values().iter().map(|nanos| nanos / 1_000).collect()
}

/// Rows in one spelling and order: numbers as doubles have them.
fn spelled(rows: Vec<Vec<Option<String>>>) -> Vec<Vec<Option<String>>> {
    let spell = |cell: String| match cell.parse::<f64>() {
        Ok(number) => format!("{number:?}"),
        Err(_) => cell,
    };
    let mut rows: Vec<Vec<_>> =
        rows.into_iter().map(|row| row.into_iter().map(|cell| cell.map(spell)).collect()).collect();
    rows.sort();
    rows
}

#[test]
fn trades_in_parquet_have_the_takers_side() {
    let Some(folder) = real_data() else { return };
    let path = folder.join("parquet/btcusdt-trades.parquet");
    let db = TestDb::new("parquet trades");
    let outcome = load(&db, [&path], 0);
    let mut trades = Vec::new();
    for batch in batches(&path) {
        let text = |name: &str| cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
        let [id, price, size, maker] = ["trade_id", "price", "quantity", "buyer_maker"].map(text);
        for (row, ts) in micros(&batch, "timestamp").into_iter().enumerate() {
            let cell = |column: &dyn Array| Some(column.as_string::<i32>().value(row).to_owned());
            let sold = maker.as_string::<i32>().value(row).eq_ignore_ascii_case("true");
            let side = if sold { "sell" } else { "buy" };
            trades.push(vec![
                Some("BTCUSDT".to_owned()),
                Some(ts.to_string()),
                cell(&id),
                cell(&price),
                cell(&size),
                Some(side.to_owned()),
            ]);
        }
    }
    assert_eq!(outcome.total("inserted"), trades.len() as u64);
    let stored = db.client().rows(
        "SELECT symbol, (extract(epoch FROM ts) * 1000000)::bigint, trade_id, price, size, side \
         FROM market_trades m JOIN tickers t ON t.id = m.ticker_id",
    );
    assert!(spelled(stored) == spelled(trades), "trades differ");
}

#[test]
fn bars_of_fixed_bytes_are_what_the_bytes_mean() {
    let Some(folder) = real_data() else { return };
    let path = folder.join("parquet/bars-fixed-size-binary.parquet");
    let db = TestDb::new("fixed bytes");
    load(&db, [&path], 0);
    let mut bars = Vec::new();
    for batch in batches(&path) {
        let raw = |name: &str, row: usize| {
            let bytes = batch.column_by_name(name).unwrap().as_fixed_size_binary().value(row);
            i128::from_le_bytes(bytes.try_into().unwrap())
        };
        // A hundred thousand of the coin were worth about three bitcoins then.
        let digits = (9..=18)
            .find(|&digits| (1e-5..1e-4).contains(&(raw("open", 0) as f64 / 10_f64.powi(digits))));
        let digits = digits.unwrap() as usize;
        for (row, ts) in micros(&batch, "ts_event").into_iter().enumerate() {
            let number = |name: &str| {
                let text = format!("{:0>width$}", raw(name, row), width = digits + 1);
                let (whole, part) = text.split_at(text.len() - digits);
                Some(format!("{whole}.{part}"))
            };
            let values = ["open", "high", "low", "close", "volume"].map(number);
            bars.push([vec![Some(ts.to_string())], values.to_vec()].concat());
        }
    }
    assert_eq!(bars.len(), 10);
    let stored = db.client().rows(
        "SELECT (extract(epoch FROM ts) * 1000000)::bigint, open, high, low, close, volume \
         FROM market_data",
    );
    assert_eq!(spelled(stored), spelled(bars));
}

/// Puts the file's bars into a `TABLE` or `TEMPORARY TABLE` called file, in the file's order.
fn tell_server(client: &Client, table: &str, bars: &[Bar]) {
    client.execute(&format!(
        "DROP TABLE IF EXISTS file; CREATE {table} file (n bigint, ts timestamptz, open text, \
         high text, low text, close text, volume text, quote_volume text, trade_count text)",
    ));
    for (at, chunk) in bars.chunks(2_000).enumerate() {
        let mut sql = String::from("INSERT INTO file VALUES ");
        for (row, bar) in chunk.iter().enumerate() {
            let comma = if row == 0 { "" } else { "," };
            let _ = write!(sql, "{comma}({}, '{}'", at * 2_000 + row, bar.ts);
            for value in &bar.values {
                match value {
                    Some(text) => write!(sql, ", '{text}'").unwrap(),
                    None => sql.push_str(", NULL"),
                }
            }
            sql.push(')');
        }
        client.execute(&sql);
    }
}

/// The bars of the file, the first of each key, as doubles.
const FILE_AS_DOUBLES: &str = "SELECT DISTINCT ON (ts) ts, open::float8, high::float8, \
     low::float8, close::float8, volume::float8, quote_volume::float8, trade_count::bigint \
     FROM file ORDER BY ts, n";

fn stored(vendor: &Vendor) -> String {
    format!(
        "SELECT ts, open, high, low, close, volume, quote_volume, trade_count \
         FROM market_data m JOIN tickers t ON t.id = m.ticker_id \
         WHERE symbol = '{}' AND venue = '{}' AND interval = '{}'",
        vendor.symbol, vendor.venue, vendor.interval
    )
}

#[test]
fn every_bar_of_every_file_is_stored_as_it_stands() {
    let Some(folder) = real_data() else { return };
    for vendor in &VENDORS {
        let db = TestDb::new(vendor.file);
        let client = db.client();
        let path = folder.join(vendor.file);
        let bars = (vendor.read)(&path);
        let outcome = load(&db, [path.as_os_str(), "--verify".as_ref()], 0);
        assert_eq!(outcome.total("read"), bars.len() as u64, "{}", vendor.file);
        assert_eq!(outcome.total("rejected"), 0, "{}", vendor.file);
        tell_server(&client, "TABLE", &bars);
        let distinct = client.query_one::<i64>("SELECT count(DISTINCT ts) FROM file") as u64;
        assert_eq!(outcome.total("inserted"), distinct, "{}", vendor.file);
        assert_eq!(outcome.total("duplicate"), bars.len() as u64 - distinct, "{}", vendor.file);
        except_all(&db, &format!("SELECT * FROM ({FILE_AS_DOUBLES}) f"), &stored(vendor));
        assert_eq!(
            client.query_one::<i64>("SELECT count(*) FROM market_data") as u64,
            distinct,
            "nothing but this file is stored"
        );
        first_and_last(&client, vendor, &bars);
    }
}

/// The bars that the file has first and last, looked up by their times.
fn first_and_last(client: &Client, vendor: &Vendor, bars: &[Bar]) {
    for bar in [&bars[0], &bars[bars.len() - 1]] {
        let sql = format!("{} AND ts = '{}'", stored(vendor), bar.ts);
        let rows = client.rows(&sql);
        assert_eq!(rows.len(), 1, "{}: {}", vendor.file, bar.ts);
        for (found, expected) in rows[0][1..].iter().zip(&bar.values) {
            let number = |text: &Option<String>| text.as_ref().map(|t| t.parse::<f64>().unwrap());
            let bits = |text: &Option<String>| number(text).map(f64::to_bits);
            assert_eq!(bits(found), bits(expected), "{}: {found:?} {expected:?}", vendor.file);
        }
    }
}

#[test]
fn every_digit_reaches_numeric_columns() {
    let Some(folder) = real_data() else { return };
    let db = TestDb::new("exact");
    let client = db.client();
    for vendor in &VENDORS {
        client.execute(
            "DROP TABLE IF EXISTS exact; CREATE TABLE exact (symbol text NOT NULL, \
             interval text NOT NULL, ts timestamptz NOT NULL, open numeric, high numeric, \
             low numeric, close numeric, volume numeric, quote_volume numeric, \
             trade_count numeric)",
        );
        let path = folder.join(vendor.file);
        let bars = (vendor.read)(&path);
        let outcome = load(&db, [path.as_os_str(), "--table".as_ref(), "exact".as_ref()], 0);
        assert_eq!(outcome.total("inserted"), bars.len() as u64, "{}", vendor.file);
        tell_server(&client, "TABLE", &bars);
        let names = ["open", "high", "low", "close", "volume", "quote_volume", "trade_count"];
        let text = |cast: &str| names.map(|name| format!("{name}{cast}::text")).join(", ");
        except_all(
            &db,
            &format!("SELECT ts, {} FROM file", text("::numeric")),
            &format!("SELECT ts, {} FROM exact", text("")),
        );
        let wrong = format!(
            "SELECT count(*) FROM exact WHERE symbol <> '{}' OR interval <> '{}'",
            vendor.symbol, vendor.interval
        );
        assert_eq!(client.query_one::<i64>(&wrong), 0, "{}", vendor.file);
        if vendor.file.ends_with(".csv") {
            let last = &bars[bars.len() - 1];
            let sql = format!("SELECT close::text FROM exact WHERE ts = '{}'", last.ts);
            assert_eq!(Some(client.query_one::<String>(&sql)), last.values[3], "{}", vendor.file);
        }
    }
}

#[test]
fn zones_and_units_are_the_vendors() {
    let Some(folder) = real_data() else { return };
    let db = TestDb::new("zones");
    load(&db, [folder.join("histdata"), folder.join("binance")], 0);
    let client = db.client();
    let first = "SELECT (min(ts) AT TIME ZONE 'UTC')::text FROM market_data m \
                 JOIN tickers t ON t.id = m.ticker_id WHERE symbol = ";
    let histdata = client.query_one::<String>(&format!("{first} 'EURUSD'"));
    assert_eq!(histdata, "2015-02-01 22:00:00", "17:00 in New York without daylight saving");
    assert_eq!(client.query_one::<String>(&format!("{first} 'BTCUSDT'")), "2024-11-01 00:00:00");
    let gaps = "SELECT count(*) FILTER (WHERE ts - before <> interval '1 hour') || ' of ' || \
                       count(*) \
                FROM (SELECT ts, lag(ts) OVER (ORDER BY ts) AS before FROM market_data m \
                      JOIN tickers t ON t.id = m.ticker_id WHERE symbol = 'BTCUSDT') b";
    let hours = (30 + 31 + 31 + 28) * 24;
    assert_eq!(client.query_one::<String>(gaps), format!("0 of {hours}"));
}

fn all(folder: &Path) -> Vec<PathBuf> {
    VENDORS.iter().map(|vendor| folder.join(vendor.file)).collect()
}

#[test]
fn files_loaded_again_add_nothing_whatever_their_order_and_name() {
    let Some(folder) = real_data() else { return };
    let db = TestDb::new("again");
    let files = all(&folder);
    let first = load(&db, &files, 0);
    let rows = "SELECT count(*) FROM market_data";
    let stored = db.client().query_one::<i64>(rows);
    assert_eq!(stored as u64, first.total("inserted"));

    let copies = db.home().join("copies");
    let mut renamed = Vec::new();
    for (at, vendor) in VENDORS.iter().enumerate() {
        let to = copies.join(at.to_string());
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(folder.join(vendor.file), to.join(vendor.renamed)).unwrap();
        renamed.push(to.join(vendor.renamed));
    }
    let backwards: Vec<PathBuf> = files.iter().rev().cloned().collect();
    for (paths, writers) in [(&files, "1"), (&backwards, "7"), (&renamed, "3")] {
        let mut args: Vec<PathBuf> = paths.clone();
        args.extend(["--writers".into(), writers.into()]);
        let again = load(&db, args, 0);
        assert_eq!(totals(&again), [0; 7], "{paths:?}");
        assert_eq!(again.total("files"), VENDORS.len() as u64);
        for file in again.report()["files"].as_array().unwrap() {
            assert_eq!(file["already_loaded"], true, "{file}");
        }
        assert!(again.stderr.contains("loaded before"), "{}", again.stderr);
        assert_eq!(db.client().query_one::<i64>(rows), stored);
    }
    let tickers: BTreeSet<_> = VENDORS.iter().map(|v| (v.symbol, v.venue)).collect();
    let known = db.client().query_one::<i64>("SELECT count(*) FROM tickers");
    assert_eq!(known as usize, tickers.len(), "no ticker was added under another name");
}

#[test]
fn reload_meets_its_own_rows_as_equal_duplicates() {
    let Some(folder) = real_data() else { return };
    let db = TestDb::new("reload");
    let files = all(&folder);
    let first = load(&db, &files, 0);
    let mut args = files;
    args.push("--reload".into());
    let again = load(&db, args, 0);
    assert_eq!(again.total("read"), first.total("read"));
    assert_eq!(again.total("inserted"), 0);
    assert_eq!(again.total("duplicate"), first.total("read"));
    // A file that repeats a key with other values meets itself.
    assert_eq!(again.total("conflicting"), first.total("conflicting"));
    let rows = db.client().query_one::<i64>("SELECT count(*) FROM market_data");
    assert_eq!(rows as u64, first.total("inserted"));
}

#[test]
fn windows_load_what_they_should_and_join_to_the_whole() {
    let Some(folder) = real_data() else { return };
    let cut = "2017-11-12T10:00:00Z";
    let (windowed, whole) = (TestDb::new("windows"), TestDb::new("whole"));
    for name in ["cryptodatadownload/Coinbase_BTCUSD_1h.csv", "parquet/BTCUSDT_1h.parquet"] {
        let vendor = VENDORS.iter().find(|vendor| vendor.file == name).unwrap();
        let path = folder.join(name);
        let bars = (vendor.read)(&path);
        let client = windowed.client();
        tell_server(&client, "TEMPORARY TABLE", &bars);
        let cut = match vendor.venue {
            "coinbase" => cut.to_owned(),
            _ => client.query_one::<String>(
                "SELECT replace((percentile_disc(0.4) WITHIN GROUP (ORDER BY ts))::text, ' ', 'T') \
                 FROM file",
            ),
        };
        let cut = cut.replace("+00", "Z").replace("ZZ", "Z");
        let before = format!("SELECT count(*) FROM file WHERE ts < '{cut}'");
        let before = client.query_one::<i64>(&before) as u64;
        let total = bars.len() as u64;
        assert!(before > 0 && before < total);

        let early = load(&windowed, [path.as_os_str(), "--to".as_ref(), cut.as_ref()], 0);
        let accepted = |outcome| {
            count(file_entry(outcome, name), "inserted")
                + count(file_entry(outcome, name), "duplicate")
        };
        assert_eq!((early.total("read"), early.total("skipped")), (total, total - before));
        assert_eq!(accepted(&early), before);
        let wrong = format!("SELECT count(*) FROM ({}) x WHERE ts >= '{cut}'", stored(vendor));
        assert_eq!(windowed.client().query_one::<i64>(&wrong), 0);

        let late = load(&windowed, [path.as_os_str(), "--from".as_ref(), cut.as_ref()], 0);
        assert_eq!((late.total("read"), late.total("skipped")), (total, before));
        assert_eq!(accepted(&late), total - before);
        load(&whole, [&path], 0);
    }
    same_rows(&windowed, &whole, BARS);
}
