//! Every dataset: its canonical CSV and the same rows as Parquet come back exactly as they are in
//! the file, and a second load finds nothing new.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use tidegate::dataset::{self, Column, Dataset};
use tidegate::mapping::ValueKind;

use crate::support::{TestDb, file, file_entry, fixture, load, totals};

type Rows = Vec<Vec<Option<String>>>;

fn canonical(dataset: &Dataset) -> PathBuf {
    fixture("datasets").join(format!("{}.csv", dataset.name))
}

/// The header's columns and the cells of a file.
fn read(path: &Path, dataset: &Dataset) -> (Vec<&'static Column>, Rows) {
    let mut reader = csv::Reader::from_path(path).expect("a fixture");
    let header = reader.headers().expect("a header").clone();
    let columns = header.iter().map(|name| dataset.column(name).expect("a column")).collect();
    let cell = |cell: &str| (!cell.is_empty()).then(|| cell.to_owned());
    let rows = reader.records().map(|row| row.expect("a record").iter().map(cell).collect());
    (columns, rows.collect())
}

/// A value in one spelling, whoever wrote it.
fn plain(kind: ValueKind, text: &str) -> String {
    match kind {
        ValueKind::Float => format!("{:?}", text.parse::<f64>().expect("a number")),
        ValueKind::Time => {
            let text = text.replace(' ', "T").replace("+00", "Z");
            let ts: jiff::Timestamp = text.parse().expect("a time");
            ts.as_microsecond().to_string()
        }
        ValueKind::Bool => text.starts_with('t').to_string(),
        _ => text.to_owned(),
    }
}

/// Rows in one spelling and order.
fn sorted(columns: &[&Column], rows: Rows) -> Rows {
    let spell = |(cell, column): (Option<String>, &&Column)| {
        let empty_id = column.name == "trade_id" && cell.as_deref() == Some("");
        cell.filter(|_| !empty_id).map(|cell| plain(column.kind, &cell))
    };
    let mut rows: Rows =
        rows.into_iter().map(|row| row.into_iter().zip(columns).map(spell).collect()).collect();
    rows.sort();
    rows
}

/// What is stored, in the columns of the file.
fn stored(db: &TestDb<'_>, dataset: &Dataset, columns: &[&Column]) -> Rows {
    let column = |column: &&Column| match dataset.ticker == Some(column.name) {
        true => "k.symbol".to_owned(),
        false => format!("t.\"{}\"", column.name),
    };
    let list: Vec<String> = columns.iter().map(column).collect();
    let join = match dataset.ticker {
        Some(_) => " JOIN public.tickers k ON k.id = t.ticker_id",
        None => "",
    };
    let sql =
        format!("SET TimeZone = 'UTC'; SELECT {} FROM {} t{join}", list.join(", "), dataset.table);
    sorted(columns, db.client().rows(&sql))
}

/// The rows as Parquet, each column in the type that a program would give it.
fn parquet(db: &TestDb<'_>, dataset: &Dataset) -> PathBuf {
    let (columns, rows) = read(&canonical(dataset), dataset);
    let arrays = columns.iter().enumerate().map(|(at, column)| {
        let cells = rows.iter().map(|row| row[at].as_deref());
        let array: ArrayRef = match column.kind {
            ValueKind::Float => Arc::new(Float64Array::from_iter(
                cells.map(|cell| cell.map(|cell| cell.parse::<f64>().expect("a number"))),
            )),
            ValueKind::Integer => Arc::new(Int64Array::from_iter(
                cells.map(|cell| cell.map(|cell| cell.parse::<i64>().expect("a number"))),
            )),
            ValueKind::Bool => {
                Arc::new(BooleanArray::from_iter(cells.map(|cell| cell.map(|cell| cell == "true"))))
            }
            ValueKind::Time => {
                let us = |cell: &str| plain(ValueKind::Time, cell).parse::<i64>().expect("µs");
                let times = TimestampMicrosecondArray::from_iter(cells.map(|cell| cell.map(us)));
                Arc::new(times.with_timezone("UTC"))
            }
            ValueKind::Date => {
                let epoch = jiff::civil::date(1970, 1, 1);
                let days = |cell: &str| {
                    let date: jiff::civil::Date = cell.parse().expect("a date");
                    (date - epoch).get_days()
                };
                Arc::new(Date32Array::from_iter(cells.map(|cell| cell.map(days))))
            }
            _ => Arc::new(StringArray::from_iter(cells)),
        };
        (column.name, array, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(arrays).expect("columns of one length");
    let path = db.home().join(format!("{}.parquet", dataset.name));
    let out = File::create(&path).expect("the home is writable");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(out, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    path
}

fn loads_exactly_once(db: &TestDb<'_>, dataset: &Dataset, path: &Path) {
    let (columns, rows) = read(&canonical(dataset), dataset);
    let count = rows.len() as u64;
    let first = load(db, [path], 0);
    assert_eq!(totals(&first), [count, count, 0, 0, 0, 0, 0], "{}", dataset.name);
    let name = path.file_name().expect("a name").to_string_lossy();
    assert_eq!(file_entry(&first, &name)["dataset"], dataset.name);
    assert_eq!(stored(db, dataset, &columns), sorted(&columns, rows), "{}", dataset.name);
    let again = load(db, [path], 0);
    assert_eq!(totals(&again), [0; 7], "{}", dataset.name);
    let reloaded = load(db, [path.as_os_str(), "--reload".as_ref()], 0);
    assert_eq!(totals(&reloaded), [count, 0, 0, count, 0, 0, 0], "{}", dataset.name);
}

#[test]
fn canonical_csv_comes_back_exactly_and_only_once() {
    let db = TestDb::new("canonical csv");
    for dataset in dataset::ALL {
        if canonical(dataset).is_file() {
            loads_exactly_once(&db, dataset, &canonical(dataset));
        }
    }
}

#[test]
fn parquet_comes_back_exactly_and_only_once() {
    let db = TestDb::new("canonical parquet");
    for dataset in dataset::ALL {
        if canonical(dataset).is_file() {
            loads_exactly_once(&db, dataset, &parquet(&db, dataset));
        }
    }
}

/// The rows as JSON, a record a line: numbers bare, nothing as null.
fn ndjson(db: &TestDb<'_>, dataset: &Dataset) -> PathBuf {
    let (columns, rows) = read(&canonical(dataset), dataset);
    let member = |(cell, column): (&Option<String>, &&Column)| {
        let value = match (cell, column.kind) {
            (None, _) => "null".to_owned(),
            (
                Some(cell),
                ValueKind::Float | ValueKind::Decimal | ValueKind::Integer | ValueKind::Bool,
            ) => cell.clone(),
            (Some(cell), _) => serde_json::Value::from(cell.as_str()).to_string(),
        };
        format!("\"{}\":{value}", column.name)
    };
    let line = |row: &Vec<Option<String>>| {
        let members: Vec<String> = row.iter().zip(&columns).map(member).collect();
        format!("{{{}}}\n", members.join(","))
    };
    let text: String = rows.iter().map(line).collect();
    file(db, &format!("{}.ndjson", dataset.name), text)
}

#[test]
fn ndjson_comes_back_exactly_and_only_once() {
    let db = TestDb::new("canonical ndjson");
    // Open interest alone has too few keys to be known by them.
    let known = |dataset: &&&Dataset| canonical(dataset).is_file() && !dataset.marks.is_empty();
    for dataset in dataset::ALL.iter().filter(known) {
        loads_exactly_once(&db, dataset, &ndjson(&db, dataset));
    }
}

#[test]
fn every_dataset_of_single_rows_has_a_canonical_file_with_all_its_columns() {
    for dataset in dataset::ALL.iter().filter(|dataset| dataset.children.is_empty()) {
        let (columns, rows) = read(&canonical(dataset), dataset);
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let own: Vec<&str> = dataset.columns.iter().map(|column| column.name).collect();
        assert_eq!(names, own, "{}: the columns in their order", dataset.name);
        assert!(rows.len() > 1, "{}", dataset.name);
    }
}

#[test]
fn all_files_of_a_folder_go_to_their_tables_at_once() {
    let db = TestDb::new("all datasets");
    let outcome = load(&db, [fixture("datasets")], 0);
    assert_eq!(outcome.total("inserted"), outcome.total("read"));
    let mut inserted = BTreeMap::new();
    for entry in outcome.report()["files"].as_array().expect("files") {
        inserted.insert(entry["dataset"].as_str().expect("a dataset"), &entry["inserted"]);
    }
    for dataset in dataset::ALL.iter().filter(|dataset| canonical(dataset).is_file()) {
        let sql = format!("SELECT count(*) FROM {}", dataset.table);
        let count = db.client().query_one::<i64>(&sql);
        assert_eq!(inserted[dataset.name].as_i64(), Some(count), "{}", dataset.name);
    }
}

#[test]
fn equal_prints_without_an_id_stay_whatever_the_window_and_the_name() {
    let db = TestDb::new("equal prints");
    let text = "symbol,ts,price,size\n\
        ACME,2024-03-04T14:30:00Z,41.5,100\n\
        ACME,2024-03-04T14:30:00Z,41.5,100\n\
        ACME,2024-03-05T14:30:00Z,41.5,100\n\
        ACME,2024-03-05T14:30:00Z,41.5,100\n";
    let first = file(&db, "a.csv", text);
    let part = load(&db, [first.as_os_str(), "--to".as_ref(), "2024-03-05".as_ref()], 0);
    assert_eq!(totals(&part), [4, 2, 0, 0, 0, 0, 2]);
    // The whole of it meets its own rows, also under another name.
    let second = file(&db, "b.csv", text);
    let whole = load(&db, [&second], 0);
    assert_eq!(totals(&whole), [4, 2, 0, 2, 0, 0, 0]);
    // The same trades from another content are other trades: nothing says that they are not.
    let other = file(&db, "c.csv", text.replace("size\n", "size \n"));
    assert_eq!(totals(&load(&db, [&other], 0))[1], 4);
    let sql = "SELECT count(DISTINCT content), count(*) FROM market_trades WHERE trade_id = ''";
    let counts = db.client().rows(sql);
    assert_eq!(counts, [[Some("2".to_owned()), Some("8".to_owned())]]);
}

#[test]
fn a_mended_print_is_known_again_by_its_place() {
    let db = TestDb::new("mended print");
    let text = "symbol,ts,price,size\nACME,2024-03-04T14:30:00Z,41.5,100\n\
        GLOBEX,2024-03-04T14:30:00Z,41.5,100\nACME,2024-03-04T14:30:00Z,4l.5,100\n";
    let path = file(&db, "ticks.csv", text);
    assert_eq!(totals(&load(&db, [&path], 3)), [3, 2, 0, 0, 0, 1, 0]);
    let id: i64 = db.client().query_one("SELECT id FROM tidegate.reject");
    let mended = format!("reject_id,record\n{id},\"ACME,2024-03-04T14:30:00Z,41.5,100\"\n");
    let mended = file(&db, "mended.csv", mended);
    let replay =
        || crate::support::Program::new(&db).args(["rejects", "replay"]).arg(&mended).run();
    assert_eq!(replay().code, Some(0));
    let sql = "SELECT row_no FROM market_trades ORDER BY row_no";
    let offsets = [text.find("ACME"), text.find("GLOBEX"), text.rfind("ACME")];
    let stored: Vec<Option<usize>> =
        db.client().rows(sql).iter().map(|row| row[0].as_ref()?.parse().ok()).collect();
    assert_eq!(stored, offsets);
}

#[test]
fn words_are_stored_in_one_spelling_and_unknown_ones_refused() {
    let db = TestDb::new("words");
    let header = "underlying,expiry,strike,option_type,interval,ts,close\n";
    let row =
        |kind: &str, strike: u32| format!("NIFTY,2024-03-28,{strike},{kind},daily,2024-03-04,10\n");
    let text = [row("CE", 1), row("p", 2), row("Call", 3), row("XX", 4)].concat();
    let path = file(&db, "options.csv", format!("{header}{text}"));
    let outcome = load(&db, [&path], 3);
    assert_eq!(totals(&outcome), [4, 3, 0, 0, 0, 1, 0]);
    assert_eq!(outcome.report()["rejects_by_rule"]["unknown_value"], 1);
    let sql = "SELECT option_type FROM option_bars ORDER BY strike";
    let kinds: Vec<Option<String>> = db.client().rows(sql).into_iter().flatten().collect();
    assert_eq!(kinds, ["call", "put", "call"].map(|kind| Some(kind.to_owned())));
}

#[test]
fn a_header_that_two_datasets_fit_asks_which() {
    let db = TestDb::new("which dataset");
    let header = "trade_id,symbol,buyer_user_id,seller_user_id,price,quantity,is_buyer_maker,ts\n";
    let text = format!("{header}1,BTC/USDT,a,b,1.5,2,true,2024-03-04T14:30:00Z\n");
    let path = file(&db, "which.csv", text);
    let asked = load(&db, [&path], 1);
    let stderr = asked.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(stderr.contains("--dataset market_trades or --dataset trades"), "{stderr}");
    let told = load(&db, [path.as_os_str(), "--dataset".as_ref(), "trades".as_ref()], 0);
    assert_eq!(totals(&told)[1], 1);
}
