//! Recognition of whole files: fixtures, real files, renamed files, and files that nobody knows.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::limit::SAMPLE_BYTES;
use crate::mapping::{FieldSource, TimeFormat, Zone};

mod corpus;
mod facts;
mod lookalikes;
mod refused;
mod written;

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

/// Layout and fields of a text that is recognised, or the refusal.
fn outcome(name: &str, rows: &str, flags: &GivenFacts) -> String {
    match recognise(&text(name, rows), flags, built_in(), None) {
        Ok(found) => summary(&found),
        Err(error) => error.to_string(),
    }
}

const KLINES: &str = "ts=0 open=1 high=2 low=3 close=4 volume=5 quote_volume=7 trade_count=8 \
                      | UTC binance";
const OHLCVT: &str = "ts=0 open=1 high=2 low=3 close=4 volume=5 trade_count=6 | UTC kraken \
                      | 0 lines, 7 fields";
const ROWS: &str = "ts,open,high,low,close\n2024-01-02 10:00,1,2,0.5,1.5\n";

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
