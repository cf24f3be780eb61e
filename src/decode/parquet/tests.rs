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

#[test]
fn units_join_row_groups_until_they_hold_a_batch() {
    let full = BATCH_ROWS as u64;
    let units = units_of(&[full, 1, 0, full - 1, 10, 0, 5, 0]);
    let got: Vec<_> = units.iter().map(|u| (u.row_groups.clone(), u.first_row, u.rows)).collect();
    assert_eq!(got, [(0..1, 0, full), (1..4, full, full), (4..8, 2 * full, 15)]);
    assert_eq!(units_of(&[]), []);
    assert_eq!(units_of(&[0, 0]), []);
}

#[test]
fn batches_do_not_depend_on_row_groups() {
    let rows = BATCH_ROWS + 40_000;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    let words: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("w{}", row % 7))));
    let wanted = mapping(vec![
        column("n", 0, ValueKind::Integer, true),
        column("w", 1, ValueKind::Word, true),
    ]);
    for (group_rows, sizes) in [
        (rows, &[vec![BATCH_ROWS, 40_000]][..]),
        (60_000, &[vec![BATCH_ROWS, 40_000]]),
        (30_000, &[vec![BATCH_ROWS, 90_000 - BATCH_ROWS], vec![rows - 90_000]]),
    ] {
        let columns = vec![("n", Arc::clone(&numbers)), ("w", Arc::clone(&words))];
        let file = write(columns, group_rows);
        let source = ParquetSource::open(file.path()).unwrap();
        assert_eq!(source.rows(), rows as u64);
        assert_eq!(source.group_rows.len(), rows.div_ceil(group_rows));
        let mut next = 0;
        for (unit, sizes) in source.units().iter().zip(sizes) {
            assert_eq!(unit.first_row, next as u64);
            let batches: Vec<_> =
                source.read_unit(unit, &wanted).unwrap().map(Result::unwrap).collect();
            let got: Vec<_> = batches.iter().map(|batch| batch.root.num_rows()).collect();
            assert_eq!(got, *sizes, "{group_rows}");
            for batch in batches {
                let values = batch.root.column(0).as_primitive::<Int64Type>();
                assert!(values.values().iter().copied().eq(next..next + values.len() as i64));
                assert_eq!(batch.places[3].row, 3);
                next += values.len() as i64;
            }
        }
        assert_eq!(next, rows as i64);
    }
}

#[test]
fn a_thousand_one_row_groups_are_one_batch() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
    let file = write(vec![("n", numbers)], 1);
    let decoded = read_one(&file, &mapping(vec![column("n", 0, ValueKind::Float, true)]));
    assert_eq!(decoded.root.num_rows(), 1_000);
}

/// One value and one null of a type, and the kinds that it can become with what they show.
type Case = (ArrayRef, Vec<(ValueKind, &'static str)>);

fn number_cases() -> Vec<Case> {
    use ValueKind::*;
    let stamp = 1_704_067_200; // 2024-01-01
    vec![
        (Arc::new(Int8Array::from(vec![Some(-7), None])), vec![(Float, "-7.0"), (Word, "-7")]),
        (Arc::new(Int16Array::from(vec![Some(7), None])), vec![(Integer, "7"), (Decimal, "7")]),
        (
            Arc::new(Int32Array::from(vec![Some(stamp), None])),
            vec![(Time, "2024-01-01T00:00:00Z"), (Date, "2024-01-01")],
        ),
        (Arc::new(Int64Array::from(vec![Some(1), None])), vec![(Bool, "true"), (Text, "1")]),
        (Arc::new(UInt8Array::from(vec![Some(255), None])), vec![(Integer, "255")]),
        (Arc::new(UInt16Array::from(vec![Some(65_535), None])), vec![(Integer, "65535")]),
        (Arc::new(UInt32Array::from(vec![Some(u32::MAX), None])), vec![(Integer, "4294967295")]),
        (
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])),
            vec![(Decimal, "18446744073709551615"), (Float, "1.8446744073709552e19")],
        ),
        (
            Arc::new(Float32Array::from(vec![Some(0.1), None])),
            vec![(Decimal, "0.1"), (Float, "0.10000000149011612")],
        ),
        (
            Arc::new(Float64Array::from(vec![Some(1e5), None])),
            vec![(Integer, "100000"), (Decimal, "100000"), (Float, "100000.0")],
        ),
        (
            Arc::new(Float64Array::from(vec![Some(1_704_067_200.25), None])),
            vec![(Time, "2024-01-01T00:00:00.250Z")],
        ),
        (
            Arc::new(
                Decimal128Array::from(vec![Some(-123_400), None])
                    .with_precision_and_scale(20, 4)
                    .unwrap(),
            ),
            vec![(Decimal, "-12.3400"), (Float, "-12.34"), (Text, "-12.3400")],
        ),
        (
            Arc::new(
                Decimal256Array::from(vec![Some(i256::from(5)), None])
                    .with_precision_and_scale(60, 1)
                    .unwrap(),
            ),
            vec![(Decimal, "0.5"), (Float, "0.5")],
        ),
    ]
}

fn other_cases() -> Vec<Case> {
    use ValueKind::*;
    let stamp = 1_704_067_200_i64; // 2024-01-01
    vec![
        (
            Arc::new(StringArray::from(vec![Some("2024-01-01T00:00:00"), None])),
            vec![(Time, "2023-12-31T23:00:00Z"), (Date, "2024-01-01")],
        ),
        (
            Arc::new(LargeStringArray::from(vec![Some("1.50"), None])),
            vec![(Decimal, "1.50"), (Float, "1.5"), (Word, "1.50")],
        ),
        (
            Arc::new(StringViewArray::from(vec![Some(" AB "), None])),
            vec![(Word, "AB"), (Text, " AB ")],
        ),
        (Arc::new(BinaryArray::from(vec![Some(&b"yes"[..]), None])), vec![(Bool, "true")]),
        (
            Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("x"), None])),
            vec![(Word, "x"), (Text, "x")],
        ),
        (
            Arc::new(BooleanArray::from(vec![Some(false), None])),
            vec![(Bool, "false"), (Text, "false")],
        ),
        (
            Arc::new(Date32Array::from(vec![Some(19_723), None])),
            vec![(Date, "2024-01-01"), (Time, "2023-12-31T23:00:00Z")],
        ),
        (
            Arc::new(Date64Array::from(vec![Some(stamp * 1_000), None])),
            vec![(Time, "2023-12-31T23:00:00Z")],
        ),
        (
            Arc::new(TimestampSecondArray::from(vec![Some(100), None]).with_timezone("UTC")),
            vec![(Time, "1970-01-01T00:01:40Z")],
        ),
        (
            Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None])),
            vec![(Time, "1969-12-31T22:59:59.999Z"), (Date, "1969-12-31")],
        ),
        (
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(-1), None])
                    .with_timezone("America/New_York"),
            ),
            vec![(Time, "1969-12-31T23:59:59.999999Z"), (Date, "1970-01-01")],
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![Some(1_000), None])),
            vec![(Time, "1969-12-31T23:00:00.000001Z")],
        ),
    ]
}

#[test]
fn every_type_becomes_its_kinds() {
    for (array, kinds) in number_cases().into_iter().chain(other_cases()) {
        let found = array.data_type().clone();
        let file = write(vec![("x", array)], 10);
        for (kind, want) in kinds {
            let decoded = read_one(&file, &mapping(vec![column("x", 0, kind, false)]));
            assert_eq!(rules(&decoded), [], "{found} as {kind:?}");
            let data_type = decoded.root.column(0).data_type();
            assert_eq!(*data_type, crate::decode::column::data_type(kind));
            assert_eq!(texts(&decoded), [want, "-"], "{found} as {kind:?}");
        }
    }
}

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
fn nanoseconds_that_would_be_lost_are_refused() {
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_001, -1_000]));
    let file = write(vec![("t", times)], 100);
    let decoded = read_one(&file, &mapping(vec![column("ts", 0, ValueKind::Time, true)]));
    assert_eq!(rules(&decoded), [(0, "sub_microsecond".to_owned())]);
    assert_eq!(decoded.root.num_rows(), 1);
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
fn constants_and_joined_fields_work() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![19_723, 19_724]));
    let clocks: ArrayRef = Arc::new(Time32SecondArray::from(vec![Some(34_200), None]));
    let file = write(vec![("d", days), ("c", clocks)], 100);
    let mut ts = column("ts", 0, ValueKind::Time, true);
    ts.source = FieldSource::Joined(0, 1);
    let mut symbol = column("symbol", 0, ValueKind::Word, true);
    symbol.source = FieldSource::Constant("BTC".into());
    let decoded = read_one(&file, &mapping(vec![ts, symbol.clone()]));
    assert_eq!(texts(&decoded), ["2024-01-01T08:30:00Z", "2024-01-01T23:00:00Z"]);
    let decoded = read_one(&file, &mapping(vec![symbol]));
    assert_eq!(texts(&decoded), ["BTC", "BTC"], "no column is read, rows are counted");
}

#[test]
fn columns_that_cannot_fit_are_named() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![1]));
    let file = write(vec![("day", days)], 100);
    let source = ParquetSource::open(file.path()).unwrap();
    assert_eq!(source.columns(), [("day".to_owned(), "Date32".to_owned())]);
    let unit = &source.units()[0];
    let wanted = mapping(vec![column("close", 0, ValueKind::Float, true)]);
    let error = source.read_unit(unit, &wanted).unwrap_err().to_string();
    assert!(
        error.contains("close") && error.contains("day") && error.contains("Date32"),
        "{error}"
    );
    let wanted = mapping(vec![column("close", 1, ValueKind::Float, true)]);
    assert!(matches!(source.read_unit(unit, &wanted), Err(DecodeError::NoSuchField { .. })));
}

#[test]
fn int96_times_are_read() {
    let schema = Arc::new(parse_message_type("message m { required int96 t; }").unwrap());
    let file = NamedTempFile::new().unwrap();
    let mut writer =
        SerializedFileWriter::new(file.reopen().unwrap(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut pages = group.next_column().unwrap().unwrap();
    let mut value = Int96::new();
    // Nanoseconds of the day, low and high, and the Julian day of 1970-01-02.
    value.set_data(5_000, 0, 2_440_589);
    pages.typed::<Int96Type>().write_batch(&[value], None, None).unwrap();
    pages.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let decoded = read_one(&file, &mapping(vec![column("ts", 0, ValueKind::Time, true)]));
    assert_eq!(texts(&decoded), ["1970-01-01T23:00:00.000005Z"]);
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

fn with(mut column: MappedColumn, rewrite: Rewrite) -> MappedColumn {
    column.rewrite = Some(rewrite);
    column
}

/// Writes the next column of a row group as its physical type has it.
fn column_of<T: DataPages>(group: &mut SerializedRowGroupWriter<'_, File>, values: &[T::T]) {
    let mut pages = group.next_column().unwrap().unwrap();
    pages.typed::<T>().write_batch(values, None, None).unwrap();
    pages.close().unwrap();
}

#[test]
fn decimals_are_exact_however_they_are_stored() {
    let schema = "message m { required int32 a (decimal(9,2)); required int64 b (decimal(18,4)); \
        required fixed_len_byte_array(9) c (decimal(20,3)); required binary d (decimal(20,5)); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = NamedTempFile::new().unwrap();
    let mut writer =
        SerializedFileWriter::new(file.reopen().unwrap(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    column_of::<Int32Pages>(&mut group, &[-12_345]);
    column_of::<Int64Pages>(&mut group, &[987_654_321_098_765_432]);
    let fixed = 12_345_678_901_234_567_891_i128.to_be_bytes()[7..].to_vec();
    column_of::<FixedLenByteArrayType>(&mut group, &[ByteArray::from(fixed).into()]);
    column_of::<ByteArrayType>(&mut group, &[ByteArray::from(vec![0xff, 0x85])]);
    group.close().unwrap();
    writer.close().unwrap();
    let want = ["-123.45", "98765432109876.5432", "12345678901234567.891", "-0.00123"];
    for (at, want) in want.into_iter().enumerate() {
        let decoded = read_one(&file, &mapping(vec![column("x", at, ValueKind::Decimal, true)]));
        assert_eq!(texts(&decoded), [want]);
        let decoded = read_one(&file, &mapping(vec![column("x", at, ValueKind::Float, true)]));
        assert_eq!(texts(&decoded)[0].parse::<f64>().unwrap(), want.parse::<f64>().unwrap());
    }
}

#[test]
fn rare_types_become_their_kinds() {
    let halves: ArrayRef = Arc::new(Float16Array::from_iter_values([half(1.5), half(-0.25)]));
    let fixed = [&b"AB\0\0"[..], &b"CDEF"[..]];
    let fixed: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter(fixed.into_iter()).unwrap());
    let nothing: ArrayRef = Arc::new(NullArray::new(2));
    let nanos: ArrayRef = Arc::new(UInt64Array::from(vec![1_704_067_200_000_001_000, 5]));
    let file = write(vec![("h", halves), ("f", fixed), ("n", nothing), ("t", nanos)], 10);
    let of = |at, kind, required| read_one(&file, &mapping(vec![column("x", at, kind, required)]));
    assert_eq!(texts(&of(0, ValueKind::Decimal, true)), ["1.5", "-0.25"]);
    assert_eq!(texts(&of(1, ValueKind::Word, true)), ["AB", "CDEF"]);
    assert_eq!(texts(&of(2, ValueKind::Float, false)), ["-", "-"]);
    assert_eq!(rules(&of(2, ValueKind::Float, true)).len(), 2);
    let times = of(3, ValueKind::Time, true);
    assert_eq!(texts(&times), ["2024-01-01T00:00:00.000001Z"]);
    assert_eq!(rules(&times), [(1, "out_of_range".to_owned())]);
    let numbers = mapping(vec![column("x", 1, ValueKind::Float, true)]);
    let error = read(&file, &numbers).unwrap_err().to_string();
    assert!(error.contains("FixedSizeBinary(4)"), "{error}");
}

fn half(value: f32) -> <Float16Type as ArrowPrimitiveType>::Native {
    <Float16Type as ArrowPrimitiveType>::Native::from_f32(value)
}

#[test]
fn bytes_are_fixed_point_where_the_layout_says_so() {
    let prices = [28_530_000_000_000_i128, -5, i128::MAX].map(i128::to_le_bytes);
    let prices: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter(prices.iter()).unwrap());
    let symbols: ArrayRef = Arc::new(StringArray::from(vec!["A", "", "B"]));
    let file = write(vec![("p", prices), ("s", symbols)], 10);
    let rewrite = Rewrite::Bytes { big_endian: false, scale: 16 };
    let wanted = mapping(vec![
        with(column("open", 0, ValueKind::Decimal, true), rewrite),
        column("symbol", 1, ValueKind::Word, true),
    ]);
    let decoded = read_one(&file, &wanted);
    let most = format!("{}.{}", "17014118346046923173168", "7303715884105727");
    assert_eq!(texts(&decoded), ["0.0028530000000000", &most]);
    // A reject shows what the bytes mean, so that it can be mended.
    let reject = decoded.rejects.iter(&Original::Columns).next().unwrap();
    let raw: serde_json::Value = serde_json::from_slice(&reject.raw).unwrap();
    assert_eq!(raw["p"], "-0.0000000000000005");
}

#[test]
fn scales_words_and_cuts_work_as_in_texts() {
    let cents: ArrayRef = Arc::new(Int64Array::from(vec![12_345, i64::MAX]));
    let lakhs: ArrayRef = Arc::new(Float64Array::from(vec![1.25, f64::NAN]));
    let sides: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    let codes: ArrayRef = Arc::new(Int32Array::from(vec![60, 1440]));
    let times: ArrayRef =
        Arc::new(TimestampNanosecondArray::from(vec![1_999, -1]).with_timezone("UTC"));
    let grouped: ArrayRef = Arc::new(StringArray::from(vec!["1,234.5", "null"]));
    let columns =
        vec![("c", cents), ("l", lakhs), ("s", sides), ("i", codes), ("t", times), ("g", grouped)];
    let file = write(columns, 10);
    let pairs = |pairs: &[(&str, &str)]| {
        let owned = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        Rewrite::Words(pairs.iter().map(owned).collect())
    };
    let cases = [
        (
            0,
            ValueKind::Decimal,
            Rewrite::Number { comma: false, scale: 2, thousands: None },
            ["123.45", "-"],
        ),
        (
            0,
            ValueKind::Float,
            Rewrite::Number { comma: false, scale: 2, thousands: None },
            ["123.45", "-"],
        ),
        (
            1,
            ValueKind::Float,
            Rewrite::Number { comma: false, scale: -5, thousands: None },
            ["125000.0", "-"],
        ),
        (2, ValueKind::Word, pairs(&[("true", "sell"), ("false", "buy")]), ["sell", "buy"]),
        (3, ValueKind::Word, pairs(&[("60", "1h"), ("1440", "1d")]), ["1h", "1d"]),
        (
            4,
            ValueKind::Time,
            Rewrite::CutToMicros,
            ["1970-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z"],
        ),
        (
            5,
            ValueKind::Float,
            Rewrite::Number { comma: false, scale: 0, thousands: Some(b',') },
            ["1234.5", "-"],
        ),
    ];
    for (at, kind, rewrite, want) in cases {
        let mut wanted = mapping(vec![with(column("x", at, kind, false), rewrite)]);
        wanted.nulls = ["NaN", "null", "9223372036854775807"].map(|null| null.into()).to_vec();
        let decoded = read_one(&file, &wanted);
        assert_eq!(rules(&decoded), [], "{at}");
        assert_eq!(texts(&decoded), want, "{at}");
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

/// 5,000 row groups of ten rows, one a second; every seventh price is none.
fn tiny_groups() -> NamedTempFile {
    let times = TimestampMillisecondArray::from_iter_values((0..50_000).map(|at| at * 1_000));
    let prices = (0..50_000).map(|at| if at % 7 == 0 { f64::NAN } else { at as f64 });
    let prices = Float64Array::from_iter_values(prices);
    write(vec![("t", Arc::new(times.with_timezone("UTC"))), ("p", Arc::new(prices))], 10)
}

fn windowed(from_s: i64, to_s: i64) -> Mapping {
    Mapping {
        time_column: Some(0),
        from_us: Some(from_s * 1_000_000),
        to_us: Some(to_s * 1_000_000),
        ..mapping(vec![
            column("ts", 0, ValueKind::Time, true),
            column("price", 1, ValueKind::Float, true),
        ])
    }
}

#[test]
fn row_groups_outside_the_window_are_counted_and_not_read() {
    let file = tiny_groups();
    let source = ParquetSource::open(file.path()).unwrap();
    assert_eq!((source.group_rows.len(), source.units().len()), (5_000, 1));
    let wanted = windowed(20_005, 20_025);
    let whole = read_one(&file, &mapping(wanted.columns.clone()));
    let decoded = read_one(&file, &wanted);
    assert_eq!((decoded.read(), decoded.skipped), (50_000, 49_980));
    let inside = |row: &u32| (20_005..20_025).contains(row);
    let rows = |decoded: &Decoded| decoded.places.iter().map(|p| p.row).collect::<Vec<_>>();
    assert_eq!(rows(&decoded), rows(&whole).into_iter().filter(inside).collect::<Vec<_>>());
    let refused: Vec<u32> = rules(&whole).into_iter().map(|(row, _)| row).filter(inside).collect();
    assert_eq!(rules(&decoded).into_iter().map(|(row, _)| row).collect::<Vec<_>>(), refused);
    assert_eq!(read_one(&file, &windowed(-5, 0)).skipped, 50_000, "nothing is read at all");
    // Pages that are not wanted may be damaged.
    let mut bytes = std::fs::read(file.path()).unwrap();
    let Form::Parquet(metadata) = &source.form else { panic!("Parquet") };
    let (start, len) = metadata.metadata().row_group(7).column(1).byte_range();
    bytes[start as usize..(start + len) as usize].fill(0xff);
    std::fs::write(file.path(), bytes).unwrap();
    assert!(read(&file, &mapping(wanted.columns.clone())).is_err());
    assert_eq!(read_one(&file, &wanted).read(), 50_000);
}

#[test]
fn what_statistics_do_not_tell_is_read() {
    let wanted = windowed(100, 200);
    let decode = |times: ArrayRef| {
        let prices: ArrayRef = Arc::new(Float64Array::from(vec![1.0; times.len()]));
        read_one(&write(vec![("t", times), ("p", prices)], 2), &wanted)
    };
    // A row without a time is a reject, wherever its neighbours are.
    let times: ArrayRef =
        Arc::new(TimestampSecondArray::from(vec![Some(5), None, Some(150)]).with_timezone("UTC"));
    let decoded = decode(times);
    assert_eq!(rules(&decoded), [(1, "null_value".to_owned())]);
    assert_eq!((decoded.skipped, decoded.root.num_rows()), (1, 1));
    // Between a second and a millisecond of 2024 lies any time there is.
    let mixed: ArrayRef = Arc::new(Int64Array::from(vec![1_704_067_200, 1_704_067_200_000]));
    assert_eq!(decode(mixed).skipped, 2);
    let times: ArrayRef = Arc::new(StringArray::from(vec!["1970-01-01T00:02:00Z", "2024-01-01"]));
    assert_eq!(decode(times).skipped, 1);
    // Local times: the group's edges are read in the column's zone.
    let local: ArrayRef = Arc::new(TimestampSecondArray::from(vec![3_650, 3_660, 3_700, 3_750]));
    let decoded = decode(local);
    assert_eq!((decoded.skipped, decoded.places[0].row), (2, 2));
}

/// The batch as an Arrow file and as a stream.
fn arrow_files(batches: &[RecordBatch]) -> Vec<NamedTempFile> {
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
    let mut files = Vec::new();
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let options = || IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let schema = batches[0].schema();
        let file = NamedTempFile::new().unwrap();
        let to = file.reopen().unwrap();
        let mut writer = FileWriter::try_new_with_options(to, &schema, options()).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        files.push(file);
        let file = NamedTempFile::new().unwrap();
        let to = file.reopen().unwrap();
        let mut writer = StreamWriter::try_new_with_options(to, &schema, options()).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        files.push(file);
    }
    files
}

fn symbols_and_prices(rows: Range<i64>) -> RecordBatch {
    let words = rows.clone().map(|row| ["AAA", "BBB", "CCC"][row as usize % 3]);
    let words: DictionaryArray<Int32Type> = words.collect();
    let prices =
        Float64Array::from_iter(rows.clone().map(|row| (row % 5 != 0).then_some(row as f64)));
    let unused = Int64Array::from_iter_values(rows);
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("n", Arc::new(unused), true),
        ("p", Arc::new(prices), true),
        ("w", Arc::new(words), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

#[test]
fn arrow_files_and_streams_are_read_as_parquet_is() {
    let batches = [symbols_and_prices(0..999), symbols_and_prices(999..100_000)];
    let wanted = mapping(vec![
        column("symbol", 2, ValueKind::Word, true),
        column("price", 1, ValueKind::Float, false),
    ]);
    for file in arrow_files(&batches) {
        let source = ParquetSource::open(file.path()).unwrap();
        assert_eq!(source.rows(), 100_000);
        assert_eq!(source.columns()[1], ("p".to_owned(), "Float64".to_owned()));
        let all = read(&file, &wanted).unwrap();
        assert_eq!(all.iter().map(Decoded::read).collect::<Vec<_>>(), [65_536, 34_464]);
        let prices = all[1].root.column(1).as_primitive::<Float64Type>();
        assert_eq!((prices.value(1), prices.is_null(4)), (65_537.0, true));
        assert_eq!(texts(&all[0])[..3], ["AAA", "BBB", "CCC"]);
    }
}

#[test]
fn damaged_arrow_files_are_errors_that_name_them() {
    let wanted = mapping(vec![
        column("symbol", 2, ValueKind::Word, true),
        column("price", 1, ValueKind::Float, false),
    ]);
    let damaged = NamedTempFile::new().unwrap();
    let try_bytes = |bytes: &[u8]| {
        std::fs::write(damaged.path(), bytes).unwrap();
        read(&damaged, &wanted)
    };
    for (at, file) in arrow_files(&[symbols_and_prices(0..500)]).iter().enumerate() {
        let whole = std::fs::read(file.path()).unwrap();
        assert_eq!(try_bytes(&whole).unwrap()[0].read(), 500);
        for len in (9..whole.len() - 16).step_by(whole.len() / 60) {
            let error = try_bytes(&whole[..len]).unwrap_err().to_string();
            assert!(error.contains("is not a readable"), "{at}: {len}: {error}");
        }
        // A flipped bit may give an error or other values; it must not bring anything down.
        for place in (0..whole.len()).step_by(whole.len() / 300 + 1) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            drop(try_bytes(&bytes));
        }
    }
}
