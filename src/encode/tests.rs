//! Whole rows, read back by a decoder of COPY's binary format that is written apart from the
//! encoder; and the faults that are found before sending.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int32Type};

use super::*;
use crate::column::PgType;

fn target(name: &str, pg_type: PgType) -> TargetColumn {
    TargetColumn {
        name: name.to_owned(),
        pg_type: Some(pg_type),
        type_name: pg_type.ddl().to_owned(),
        not_null: false,
        has_default: false,
        generated: false,
    }
}

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn encoder(batch: &RecordBatch, types: &[PgType]) -> Encoder {
    let targets: Vec<TargetColumn> =
        types.iter().enumerate().map(|(at, pg_type)| target(&format!("c{at}"), *pg_type)).collect();
    Encoder::new(&batch.schema(), &targets).unwrap()
}

/// The rows of a COPY without header and trailer.
fn rows(mut bytes: &[u8]) -> Vec<Vec<Option<Vec<u8>>>> {
    let mut take = |n: usize| {
        let (head, tail) = bytes.split_at(n);
        bytes = tail;
        (head.to_vec(), tail.is_empty())
    };
    let mut rows = Vec::new();
    let mut done = false;
    while !done {
        let fields = i16::from_be_bytes(take(2).0.try_into().unwrap());
        let row = (0..fields).map(|_| {
            let (len, end) = take(4);
            done = end;
            let len = usize::try_from(i32::from_be_bytes(len.try_into().unwrap())).ok()?;
            let (value, end) = take(len);
            done = end;
            Some(value)
        });
        rows.push(row.collect());
    }
    rows
}

fn ts(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
}

/// A row of every type, a row of NULLs, and one more.
fn every_type() -> (RecordBatch, Vec<PgType>) {
    let words: DictionaryArray<Int32Type> =
        vec![Some("1m"), None, Some("1h")].into_iter().collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-0.0)])),
        Arc::new(Float64Array::from(vec![Some(0.1), None, Some(2.0)])),
        Arc::new(Int64Array::from(vec![Some(-7), None, Some(40_000)])),
        Arc::new(Int32Array::from(vec![Some(9), None, Some(-1)])),
        Arc::new(StringArray::from(vec![Some("12.50"), None, Some("-3e2")])),
        Arc::new(StringArray::from(vec![Some("äb"), None, Some("")])),
        Arc::new(words),
        ts(vec![Some(946_684_800_000_001), None, Some(946_684_799_999_999)]),
        ts(vec![Some(946_684_800_000_001), None, Some(946_684_799_999_999)]),
        Arc::new(Date32Array::from(vec![Some(10_958), None, Some(0)])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
    ];
    let types = vec![
        PgType::Float8,
        PgType::Numeric(None),
        PgType::Int4,
        PgType::Int2,
        PgType::Numeric(Some((10, 2))),
        PgType::Text(Some(2)),
        PgType::Text(None),
        PgType::Timestamptz,
        PgType::Date,
        PgType::Date,
        PgType::Bool,
        PgType::Text(None),
    ];
    (batch(columns), types)
}

fn every_value() -> [Vec<Vec<u8>>; 2] {
    let first = vec![
        1.5_f64.to_be_bytes().to_vec(),
        b"0.1".to_vec(),
        (-7_i32).to_be_bytes().to_vec(),
        9_i16.to_be_bytes().to_vec(),
        b"12.50".to_vec(),
        "äb".as_bytes().to_vec(),
        b"1m".to_vec(),
        1_i64.to_be_bytes().to_vec(),
        0_i32.to_be_bytes().to_vec(),
        1_i32.to_be_bytes().to_vec(),
        vec![1],
        b"true".to_vec(),
    ];
    let last = vec![
        (-0.0_f64).to_be_bytes().to_vec(),
        b"2".to_vec(),
        40_000_i32.to_be_bytes().to_vec(),
        (-1_i16).to_be_bytes().to_vec(),
        b"-300".to_vec(),
        b"".to_vec(),
        b"1h".to_vec(),
        (-1_i64).to_be_bytes().to_vec(),
        (-1_i32).to_be_bytes().to_vec(),
        (-10_957_i32).to_be_bytes().to_vec(),
        vec![0],
        b"false".to_vec(),
    ];
    [first, last]
}

fn check_row(row: &[Option<Vec<u8>>], expected: &[Vec<u8>]) {
    assert_eq!(row.len(), expected.len());
    for (at, (value, expected)) in row.iter().zip(expected).enumerate() {
        let value = value.as_ref().expect("not NULL");
        let value = match at {
            1 | 4 => numeric::tests::decode(value).into_bytes(),
            _ => value.clone(),
        };
        assert_eq!(value, *expected, "column {at}");
    }
}

#[test]
fn every_type_is_encoded_in_the_order_asked_for() {
    let (batch, types) = every_type();
    let mut out = BytesMut::new();
    encoder(&batch, &types).rows(&batch, &[2, 1, 0, 2], &mut out).unwrap();
    let rows = rows(&out);
    let [first, last] = every_value();
    assert_eq!(rows.len(), 4);
    check_row(&rows[0], &last);
    assert!(rows[1].iter().all(Option::is_none) && rows[1].len() == types.len());
    check_row(&rows[2], &first);
    check_row(&rows[3], &last);
    assert_eq!(encoder(&batch, &types).faults(&batch).unwrap(), []);
}

#[test]
fn columns_without_nulls_and_slices_are_encoded_alike() {
    let (batch, types) = every_type();
    let mut out = BytesMut::new();
    let slice = batch.slice(2, 1);
    encoder(&batch, &types).rows(&slice, &[0], &mut out).unwrap();
    check_row(&rows(&out)[0], &every_value()[1]);
}

#[test]
fn a_copy_has_its_header_and_trailer_and_positions_if_asked() {
    let batch = batch(vec![Arc::new(Int32Array::from(vec![5, 6]))]);
    let encoder = encoder(&batch, &[PgType::Int4]).with_position();
    let mut out = BytesMut::new();
    encoder.header(&mut out);
    encoder.rows(&batch, &[1], &mut out).unwrap();
    encoder.trailer(&mut out);
    let expected = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\
        \0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x04\0\0\0\x06\xff\xff";
    assert_eq!(&out[..], expected);
}

#[test]
fn messages_keep_to_their_limit_and_lose_no_row() {
    let texts: Vec<String> = (0..500_usize).map(|n| "x".repeat(n * 7 % 90)).collect();
    let batch = batch(vec![
        Arc::new(StringArray::from(texts.clone())),
        Arc::new(Float64Array::from_iter((0..500).map(|n| (n % 3 > 0).then_some(f64::from(n))))),
    ]);
    let encoder = encoder(&batch, &[PgType::Text(None), PgType::Float8]);
    let order: Vec<u32> = (0..500).rev().collect();
    let mut whole = BytesMut::new();
    encoder.rows(&batch, &order, &mut whole).unwrap();
    let mut bound = encoder.bind(&batch).unwrap();
    let (mut joined, mut rest) = (BytesMut::new(), order.as_slice());
    while !rest.is_empty() {
        let mut out = BytesMut::new();
        let count = bound.message(rest, 200, &mut out).unwrap();
        assert!(count > 0 && out.len() <= 200);
        joined.extend_from_slice(&out);
        rest = &rest[count..];
    }
    assert_eq!(joined, whole);
    let rows = rows(&whole);
    for (row, at) in rows.iter().zip(&order) {
        let at = *at as usize;
        assert_eq!(row[0].as_deref(), Some(texts[at].as_bytes()));
        assert_eq!(row[1].is_none(), at.is_multiple_of(3));
    }
    let mut out = BytesMut::new();
    assert_eq!(bound.message(&order, 1, &mut out).unwrap(), 1, "a row is never cut");
    assert_eq!(bound.message(&[], 200, &mut out).unwrap(), 0);
}

#[test]
fn a_value_that_does_not_fit_is_an_error_and_leaves_the_buffer_as_it_was() {
    let batch = batch(vec![
        Arc::new(Int64Array::from(vec![1, 3_000_000_000])),
        Arc::new(StringArray::from(vec!["1.25", "1.255"])),
    ]);
    let types = [PgType::Int4, PgType::Numeric(Some((8, 2)))];
    let encoder = encoder(&batch, &types);
    let mut out = BytesMut::from(&b"before"[..]);
    let error = encoder.rows(&batch, &[0, 1], &mut out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 1 of the batch, column \"c1\": 1.255 has more digits after the point than numeric \
         takes: reject the row or mend it"
    );
    assert_eq!(error.class(), Class::StepDown);
    assert_eq!(&out[..], b"before");
    let error = encoder.rows(&batch, &[7], &mut out).unwrap_err();
    assert!(matches!(error, EncodeError::NoSuchRow { row: 7, rows: 2 }));
}

fn rules(batch: &RecordBatch, types: &[PgType]) -> Vec<(u32, usize, &'static str)> {
    let faults = encoder(batch, types).faults(batch).unwrap();
    faults.iter().map(|fault| (fault.row, fault.column, fault.rule)).collect()
}

#[test]
fn every_fault_is_found_with_its_rule() {
    let batch = batch(vec![
        Arc::new(Float64Array::from(vec![1.0, 1e39, 1.0])),
        Arc::new(Float64Array::from(vec![1.5, f64::NAN, 3.0])),
        Arc::new(Int64Array::from(vec![40_000, 0, -40_000])),
        Arc::new(StringArray::from(vec!["1234.5", "123.456", "abc"])),
        Arc::new(StringArray::from(vec!["a\0", "äöü", "four"])),
        ts(vec![Some(i64::MIN), Some(0), None]),
    ]);
    let types = [
        PgType::Float4,
        PgType::Int8,
        PgType::Int2,
        PgType::Numeric(Some((5, 2))),
        PgType::Text(Some(3)),
        PgType::Timestamptz,
    ];
    assert_eq!(
        rules(&batch, &types),
        [
            (0, 1, "precision_loss"),
            (0, 2, "out_of_range"),
            (0, 3, "out_of_range"),
            (0, 4, "nul_byte"),
            (0, 5, "out_of_range"),
            (1, 0, "out_of_range"),
            (1, 1, "out_of_range"),
            (1, 3, "precision_loss"),
            (2, 2, "out_of_range"),
            (2, 3, "bad_number"),
            (2, 4, "too_long"),
        ]
    );
    let faults = encoder(&batch, &types).faults(&batch).unwrap();
    assert_eq!(faults[1].reason, "40000 is out of range for smallint");
}

#[test]
fn null_is_a_fault_where_the_column_refuses_it() {
    let batch = batch(vec![Arc::new(Float64Array::from(vec![Some(1.0), None]))]);
    let mut column = target("close", PgType::Float8);
    column.not_null = true;
    column.has_default = true;
    let encoder = Encoder::new(&batch.schema(), &[column]).unwrap();
    let faults = encoder.faults(&batch).unwrap();
    assert_eq!((faults.len(), faults[0].row, faults[0].rule), (1, 1, "null_value"));
    assert_eq!(encoder.column_name(faults[0].column), "close");
    assert_eq!(faults[0].reason, "the column does not take NULL and the record has no value");
}

#[test]
fn bad_dictionary_words_are_faults_only_where_they_are_used() {
    let words = DictionaryArray::<Int32Type>::new(
        vec![Some(0), None, Some(0)].into(),
        Arc::new(StringArray::from(vec!["1m", "a\0b"])),
    );
    let good = batch(vec![Arc::new(words)]);
    assert_eq!(rules(&good, &[PgType::Text(None)]), []);
    let words: DictionaryArray<Int32Type> = ["1m", "a\0b", "1m", "long"].into_iter().collect();
    let bad = batch(vec![Arc::new(words)]);
    let found = rules(&bad, &[PgType::Text(Some(3))]);
    assert_eq!(found, [(1, 0, "nul_byte"), (3, 0, "too_long")]);
}

#[test]
fn pairs_without_a_meaning_are_refused_with_advice() {
    let batch = batch(vec![Arc::new(StringArray::from(vec!["x"]))]);
    let refused =
        |column: TargetColumn| Encoder::new(&batch.schema(), &[column]).unwrap_err().to_string();
    assert_eq!(
        refused(target("ts", PgType::Timestamptz)),
        "column \"ts\": Utf8 cannot be sent to timestamptz: leave the column out, or make it \
         text, varchar, numeric, double precision, real, json, jsonb or uuid in the table"
    );
    let mut generated = target("mid", PgType::Text(None));
    generated.generated = true;
    assert_eq!(
        refused(generated),
        "column \"mid\": Utf8 cannot be sent to text: the server generates this column: leave it \
         out of the mapping"
    );
    let mut unknown = target("span", PgType::Text(None));
    (unknown.pg_type, unknown.type_name) = (None, "tstzrange".to_owned());
    assert!(refused(unknown).contains("Utf8 cannot be sent to tstzrange"));
    let error = Encoder::new(&batch.schema(), &[]).unwrap_err();
    assert!(matches!(error, EncodeError::ColumnCount { columns: 1, targets: 0 }));
}

#[test]
fn a_batch_of_another_schema_is_refused() {
    let made_for = batch(vec![Arc::new(Int64Array::from(vec![1]))]);
    let encoder = encoder(&made_for, &[PgType::Int8]);
    let other = batch(vec![Arc::new(Int32Array::from(vec![1]))]);
    assert!(matches!(encoder.bind(&other).unwrap_err(), EncodeError::BatchType { .. }));
    assert!(matches!(encoder.faults(&other).unwrap_err(), EncodeError::BatchType { .. }));
}
