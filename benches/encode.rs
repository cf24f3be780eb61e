//! How fast rows are encoded: a batch of bars, as doubles and as exact decimals, in the order of
//! the batch and shuffled, into messages of the size that writers send.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidegate::column::{PgType, TargetColumn};
use tidegate::encode::Encoder;
use tidegate::limit::{BATCH_ROWS, COPY_MESSAGE_BYTES};

/// Names, target types and values of one bar's columns.
type Columns = Vec<(&'static str, PgType, ArrayRef)>;

fn price(row: usize, of: usize) -> i64 {
    6_500_000 + ((row * 7_919 + of * 104_729) % 100_003) as i64
}

/// `ticker_id interval ts open high low close volume`, prices by `prices`.
fn bars(prices: impl Fn(usize) -> (PgType, ArrayRef)) -> Columns {
    let rows = 0..BATCH_ROWS;
    let intervals: DictionaryArray<Int32Type> = rows.clone().map(|_| "1m").collect();
    let times = rows.clone().map(|row| 1_735_689_600_000_000 + row as i64 * 60_000_000);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let tickers = Int32Array::from_iter_values(rows.map(|row| (row % 50) as i32));
    let mut columns: Columns = vec![
        ("ticker_id", PgType::Int4, Arc::new(tickers)),
        ("interval", PgType::Text(None), Arc::new(intervals)),
        ("ts", PgType::Timestamptz, Arc::new(times)),
    ];
    for (of, name) in ["open", "high", "low", "close", "volume"].into_iter().enumerate() {
        let (pg_type, values) = prices(of);
        columns.push((name, pg_type, values));
    }
    columns
}

fn doubles(of: usize) -> (PgType, ArrayRef) {
    let values = (0..BATCH_ROWS).map(|row| price(row, of) as f64 / 100.0);
    (PgType::Float8, Arc::new(Float64Array::from_iter_values(values)))
}

fn doubles_to_numeric(of: usize) -> (PgType, ArrayRef) {
    (PgType::Numeric(None), doubles(of).1)
}

fn decimals(of: usize) -> (PgType, ArrayRef) {
    let values = (0..BATCH_ROWS).map(|row| {
        let price = price(row, of);
        format!("{}.{:02}000000", price / 100, price % 100)
    });
    (PgType::Numeric(Some((18, 8))), Arc::new(StringArray::from_iter_values(values)))
}

fn bench(criterion: &mut Criterion, name: &str, columns: &Columns, shuffled: bool) {
    let field = |(name, _, values): &(&str, PgType, ArrayRef)| {
        Field::new(*name, values.data_type().clone(), true)
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let targets: Vec<TargetColumn> = columns
        .iter()
        .map(|(name, pg_type, _)| TargetColumn {
            name: (*name).to_owned(),
            pg_type: Some(*pg_type),
            type_name: pg_type.ddl().to_owned(),
            not_null: true,
            has_default: false,
            generated: false,
        })
        .collect();
    let values = columns.iter().map(|(_, _, values)| Arc::clone(values)).collect();
    let Ok(batch) = RecordBatch::try_new(Arc::clone(&schema), values) else { return };
    let Ok(encoder) = Encoder::new(&schema, &targets) else { return };
    let rows = BATCH_ROWS as u32;
    let stride = if shuffled { 40_503 } else { 1 };
    let order: Vec<u32> = (0..rows).map(|row| row.wrapping_mul(stride) % rows).collect();

    let mut out = BytesMut::new();
    let encode = |out: &mut BytesMut| {
        let mut total = 0;
        let Ok(mut bound) = encoder.bind(&batch) else { return total };
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            out.clear();
            let Ok(count) = bound.message(rest, COPY_MESSAGE_BYTES, out) else { break };
            total += black_box(&out[..]).len();
            rest = &rest[count..];
        }
        total
    };
    let bytes = encode(&mut out) as u64;
    let mut group = criterion.benchmark_group(format!("encode/{name}"));
    group.throughput(Throughput::Elements(u64::from(rows)));
    group.bench_function("rows", |bencher| bencher.iter(|| encode(&mut out)));
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("bytes", |bencher| bencher.iter(|| encode(&mut out)));
    group.throughput(Throughput::Elements(u64::from(rows)));
    group.bench_function("faults", |bencher| bencher.iter(|| encoder.faults(&batch)));
    group.finish();
}

fn all(criterion: &mut Criterion) {
    bench(criterion, "bars", &bars(doubles), false);
    bench(criterion, "bars_shuffled", &bars(doubles), true);
    bench(criterion, "bars_decimal_to_numeric", &bars(decimals), false);
    bench(criterion, "bars_double_to_numeric", &bars(doubles_to_numeric), false);
}

criterion_group!(benches, all);
criterion_main!(benches);
