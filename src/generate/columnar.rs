//! Records as Parquet, each column in the type that a careful program would give it: prices of bars
//! as doubles, decimals as decimals.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::records::{NONE, Records, Values};
use crate::mapping::ValueKind;

/// Digits of a decimal.
const DIGITS: u8 = 38;
/// Whole numbers up to here are doubles exactly.
const EXACT: i64 = 1 << 53;

/// Records as the bytes of a Parquet file.
///
/// # Errors
/// When a library refuses what it is given: a bug of ours.
pub fn parquet(records: &Records) -> Result<Vec<u8>, ParquetError> {
    let batch = batch(records)?;
    // Nothing in the file may change with the library's version or the day.
    let properties = WriterProperties::builder()
        .set_created_by("tidegate".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()));
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build()))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(bytes)
}

/// Records as a batch.
///
/// # Errors
/// When columns are of different lengths: a bug of ours.
pub fn batch(records: &Records) -> Result<RecordBatch, ArrowError> {
    let columns = records.names.iter().zip(&records.columns).map(|(name, column)| {
        let kind = records.dataset.column(name).map_or(ValueKind::Text, |column| column.kind);
        array(column, kind).map(|array| (*name, array, true))
    });
    RecordBatch::try_from_iter_with_nullable(columns.collect::<Result<Vec<_>, _>>()?)
}

fn array(column: &Values, kind: ValueKind) -> Result<ArrayRef, ArrowError> {
    let some = |value: &i64| (*value != NONE).then_some(*value);
    Ok(match column {
        Values::Words { .. } | Values::Text { .. } => {
            Arc::new(StringArray::from_iter((0..column.len()).map(|row| column.text(row))))
        }
        Values::Numbers { places, rows } if kind == ValueKind::Float => {
            let of = |value: &i64| some(value).map(|units| double(units, *places));
            Arc::new(Float64Array::from_iter(rows.iter().map(of)))
        }
        Values::Numbers { places, rows } if kind == ValueKind::Decimal => {
            let of = |value: &i64| some(value).map(i128::from);
            let scale = i8::try_from(*places).unwrap_or(i8::MAX);
            let array = Decimal128Array::from_iter(rows.iter().map(of));
            Arc::new(array.with_precision_and_scale(DIGITS, scale)?)
        }
        Values::Numbers { rows, .. } => Arc::new(Int64Array::from_iter(rows.iter().map(some))),
        Values::Times(rows) => {
            let times = TimestampMicrosecondArray::from_iter(rows.iter().map(some));
            Arc::new(times.with_timezone("UTC"))
        }
        Values::Days(rows) => {
            let of = |value: &i64| some(value).and_then(|days| i32::try_from(days).ok());
            Arc::new(Date32Array::from_iter(rows.iter().map(of)))
        }
        Values::Flags(rows) => Arc::new(BooleanArray::from_iter(rows.iter().copied())),
    })
}

/// The double that is nearest to units of 10^-places: what reading the text gives. Both numbers of
/// the division are exact, so it rounds once.
fn double(mut units: i64, mut places: u32) -> f64 {
    while units.abs() > EXACT && places > 0 && units % 10 == 0 {
        (units, places) = (units / 10, places - 1);
    }
    units as f64 / 10_i64.pow(places) as f64
}
