//! Every type becomes the kinds that a column can have.

use super::*;

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
fn nanoseconds_that_would_be_lost_are_refused() {
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_001, -1_000]));
    let file = write(vec![("t", times)], 100);
    let decoded = read_one(&file, &mapping(vec![column("ts", 0, ValueKind::Time, true)]));
    assert_eq!(rules(&decoded), [(0, "sub_microsecond".to_owned())]);
    assert_eq!(decoded.root.num_rows(), 1);
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
