use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use parquet::arrow::ArrowWriter;
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType as DataPages, FixedLenByteArrayType,
    Int32Type as Int32Pages, Int64Type as Int64Pages, Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use tempfile::NamedTempFile;

use super::*;
use crate::batch::{Original, value_as_text};
use crate::mapping::{
    FieldSource, MappedColumn, Quirks, Rewrite, Sieve, TimeFormat, TimeRule, ValueKind, Zone,
};

mod arrow_files;
mod groups;
mod types;

fn write(columns: Vec<(&str, ArrayRef)>, group_rows: usize) -> NamedTempFile {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let file = NamedTempFile::new().unwrap();
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut writer =
        ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

fn column(name: &str, at: usize, kind: ValueKind, required: bool) -> MappedColumn {
    let time = Some(TimeRule::new(TimeFormat::Auto, Zone::Fixed(3_600)));
    let source = FieldSource::Field(at);
    MappedColumn { name: name.to_owned(), source, kind, rewrite: None, time, required }
}

fn with(mut column: MappedColumn, rewrite: Rewrite) -> MappedColumn {
    column.rewrite = Some(rewrite);
    column
}

fn mapping(columns: Vec<MappedColumn>) -> Mapping {
    Mapping {
        dataset: "bars".to_owned(),
        columns,
        time_column: None,
        from_us: None,
        to_us: None,
        quirks: Quirks::default(),
        nulls: Vec::new(),
    }
}

fn read(file: &NamedTempFile, mapping: &Mapping) -> Result<Vec<Decoded>, DecodeError> {
    let source = ParquetSource::open(file.path())?;
    let mut all = Vec::new();
    for unit in source.units() {
        for decoded in source.read_unit(&unit, mapping)? {
            all.push(decoded?);
        }
    }
    Ok(all)
}

fn read_one(file: &NamedTempFile, mapping: &Mapping) -> Decoded {
    let mut all = read(file, mapping).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// The first column as text, nulls as `-`.
fn texts(decoded: &Decoded) -> Vec<String> {
    let array = decoded.root.column(0);
    let text = |row| value_as_text(array, row).unwrap_or_else(|| "-".to_owned());
    (0..array.len()).map(text).collect()
}

fn rules(decoded: &Decoded) -> Vec<(u32, String)> {
    decoded
        .rejects
        .iter(&Original::Columns)
        .map(|reject| (reject.row, reject.rule.to_string()))
        .collect()
}

/// One value and one null of a type, and the kinds that it can become with what they show.
type Case = (ArrayRef, Vec<(ValueKind, &'static str)>);

#[test]
fn rows_at_fault_are_rejects_and_leave_no_trace() {
    let words: ArrayRef = Arc::new(StringArray::from(vec!["A", "X", "B", "Y", "A", "Z", " "]));
    let closes: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(1.0),
        Some(f64::NAN),
        Some(2.0),
        None,
        Some(3.0),
        Some(f64::INFINITY),
        Some(4.0),
    ]));
    let times: ArrayRef =
        Arc::new(TimestampNanosecondArray::from(vec![0, 1, 0, 0, 0, 0, 0]).with_timezone("UTC"));
    let counts: ArrayRef = Arc::new(UInt64Array::from(vec![0, 0, u64::MAX, 0, 0, 0, 0]));
    let file = write(vec![("w", words), ("c", closes), ("t", times), ("n", counts)], 100);
    let wanted = mapping(vec![
        column("symbol", 0, ValueKind::Word, true),
        column("close", 1, ValueKind::Float, true),
        column("ts", 2, ValueKind::Time, true),
        column("count", 3, ValueKind::Integer, false),
    ]);
    let decoded = read_one(&file, &wanted);
    let want = [
        (1, "not_finite"),
        (2, "out_of_range"),
        (3, "null_value"),
        (5, "not_finite"),
        (6, "null_value"),
    ];
    assert_eq!(rules(&decoded), want.map(|(row, rule)| (row, rule.to_owned())));
    assert_eq!(texts(&decoded), ["A", "A"]);
    assert_eq!(decoded.root.column(0).as_dictionary::<Int32Type>().values().len(), 1);
    assert_eq!(decoded.places.iter().map(|place| place.row).collect::<Vec<_>>(), [0, 4]);
    assert_eq!(decoded.read(), 7);
    let reject = decoded.rejects.iter(&Original::Columns).nth(1).unwrap();
    assert_eq!(reject.reason, r#"column count: "18446744073709551615" is a number too large"#);
    let raw: serde_json::Value = serde_json::from_slice(&reject.raw).unwrap();
    assert_eq!(raw["w"], "B");
}

#[test]
fn rows_outside_the_window_are_skipped_whatever_else_they_hold() {
    let times: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![0, 10, 20, 30]).with_timezone("UTC"));
    let closes: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 1.0, f64::NAN, 1.0]));
    let file = write(vec![("t", times), ("c", closes)], 100);
    let wanted = Mapping {
        time_column: Some(1),
        from_us: Some(10),
        to_us: Some(30),
        ..mapping(vec![
            column("close", 1, ValueKind::Float, true),
            column("ts", 0, ValueKind::Time, true),
        ])
    };
    let decoded = read_one(&file, &wanted);
    assert_eq!(decoded.skipped, 2);
    assert_eq!(rules(&decoded), [(2, "not_finite".to_owned())]);
    assert_eq!(texts(&decoded), ["1.0"]);
}

#[test]
fn a_unit_with_fewer_rows_than_its_footer_says_is_an_error() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    let file = write(vec![("n", numbers)], 100);
    let source = ParquetSource::open(file.path()).unwrap();
    let wanted = mapping(vec![column("n", 0, ValueKind::Integer, true)]);
    for (rows, message) in [(11, "it ends 1 rows before"), (9, "it has more rows than")] {
        let unit = ParquetUnit { row_groups: 0..1, first_row: 0, rows };
        let results: Vec<_> = source.read_unit(&unit, &wanted).unwrap().collect();
        let error = results.last().unwrap().as_ref().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn damaged_files_are_errors_that_name_them() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5_000));
    let words: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..5_000).map(|row| format!("{row}"))));
    let whole = std::fs::read(write(vec![("n", numbers), ("w", words)], 1_000).path()).unwrap();
    let wanted = mapping(vec![
        column("n", 0, ValueKind::Integer, true),
        column("w", 1, ValueKind::Word, true),
    ]);
    let damaged = NamedTempFile::new().unwrap();
    let try_bytes = |bytes: &[u8]| {
        std::fs::write(damaged.path(), bytes).unwrap();
        read(&damaged, &wanted)
    };
    assert_eq!(try_bytes(&whole).unwrap().len(), 1);
    for len in (0..whole.len()).step_by(whole.len() / 60) {
        let error = try_bytes(&whole[..len]).unwrap_err().to_string();
        assert!(error.contains("is not a readable Parquet file"), "{error}");
    }
    for text in [&b"symbol,ts\n"[..], b"PAR1", b"PAR1PAR1", b"PAR1\xff\xff\xff\x7fPAR1"] {
        let error = try_bytes(text).unwrap_err().to_string();
        assert!(error.contains("fetch it again"), "{error}");
    }
    // A flipped bit may give an error or other values; it must not bring anything down.
    for at in (0..whole.len()).step_by(whole.len() / 400) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        drop(try_bytes(&bytes));
    }
    assert!(matches!(
        ParquetSource::open(Path::new("/nonexistent.parquet")),
        Err(DecodeError::Io { .. })
    ));
}

#[test]
fn readers_may_move_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<UnitReader>();
    is_send::<ParquetSource>();
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
fn real_files_are_read_whole() {
    let Some(folder) = std::env::var_os("TIDEGATE_REAL_DATA") else {
        eprintln!("TIDEGATE_REAL_DATA is not set: real Parquet files were not read");
        return;
    };
    for entry in std::fs::read_dir(Path::new(&folder).join("parquet")).unwrap() {
        let source = ParquetSource::open(&entry.unwrap().path()).unwrap();
        let schema = source.schema();
        let wanted = mapping(
            (0..source.columns().len())
                .filter_map(|at| {
                    let found = schema.field(at).data_type();
                    // What such bytes mean, only a layout says.
                    if matches!(found, DataType::FixedSizeBinary(_)) {
                        return None;
                    }
                    let kind = [ValueKind::Time, ValueKind::Float, ValueKind::Text]
                        .into_iter()
                        .find(|kind| cells::can_become(found, *kind, None))?;
                    Some(column(schema.field(at).name(), at, kind, false))
                })
                .filter(|column| column.kind != ValueKind::Time || column.name.contains("time"))
                .collect(),
        );
        let mut read = 0;
        for unit in source.units() {
            for decoded in source.read_unit(&unit, &wanted).unwrap() {
                let decoded = decoded.unwrap();
                assert_eq!(rules(&decoded), [], "{}", source.path.display());
                read += decoded.read();
            }
        }
        assert_eq!(read, source.rows(), "{}", source.path.display());
    }
}

#[test]
fn quirks_of_rows_are_those_of_records() {
    let prices = |values: [Option<f64>; 4]| Arc::new(Float64Array::from(values.to_vec()));
    let (one, gone) = (Some(1.0), None);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("open", prices([one, gone, Some(0.0), gone])),
        ("high", prices([one, gone, Some(0.0), one])),
        ("low", prices([one, gone, Some(0.0), one])),
        ("close", prices([one, gone, Some(9.5), one])),
    ];
    let file = write(columns, 10);
    let names = ["open", "high", "low", "close"].into_iter().enumerate();
    let required = |(at, name)| column(name, at, ValueKind::Float, at != 1 && at != 2);
    let mut wanted = mapping(names.map(required).collect());
    assert_eq!(rules(&read_one(&file, &wanted)).len(), 2);
    wanted.quirks = Quirks { idle_skipped: true, zero_untraded: true, order: None, sieve: None };
    let decoded = read_one(&file, &wanted);
    assert_eq!(rules(&decoded), [(3, "null_value".to_owned())]);
    assert_eq!((decoded.skipped, decoded.read()), (1, 4));
    assert_eq!(texts(&decoded), ["1.0", "-"]);
    assert_eq!(decoded.places.iter().map(|place| place.row).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn rows_of_another_dataset_are_passed_over_and_nanoseconds_taken_apart() {
    let kinds: ArrayRef = Arc::new(StringArray::from(vec!["FUTIDX", "OPTIDX", "FUTSTK"]));
    let times: ArrayRef =
        Arc::new(TimestampNanosecondArray::from(vec![1_007, 1, 2_000]).with_timezone("UTC"));
    let file = write(vec![("kind", kinds), ("t", times)], 10);
    let mut wanted = mapping(vec![
        with(column("nanos", 1, ValueKind::Integer, true), Rewrite::Nanos),
        with(column("ts", 1, ValueKind::Time, true), Rewrite::CutToMicros),
    ]);
    let words = vec!["FUT*".to_owned()];
    wanted.quirks.sieve = Some(Sieve { field: 0, words, takes: true });
    let decoded = read_one(&file, &wanted);
    assert_eq!((decoded.skipped, decoded.read()), (1, 3));
    assert_eq!(texts(&decoded), ["7", "0"]);
}
