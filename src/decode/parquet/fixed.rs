//! Fixed-point numbers of which the file does not say how many digits stand behind the point.
//! NautilusTrader writes 16 bytes with 16 digits; catalogues of before 2025, by a Parquet library
//! older than 54, have 18. Read as the other they would be wrong by a factor of a hundred.

use std::path::Path;

use arrow::array::{Array, FixedSizeBinaryArray};
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use super::file::SharedFile;
use super::guarded;

/// Rows that are looked at.
const ROWS: usize = 8_192;
/// The last version of the library that wrote 18 digits.
const OLD_WRITER: u32 = 53;
/// Digits of the old catalogues.
const DIGITS: u32 = 18;

/// Whether the fixed-point numbers of 16 bytes have 18 digits behind the point: an old writer, and
/// prices of which nothing is finer than the file says its prices are.
pub(super) fn has_18_digits(path: &Path, file: &SharedFile, known: &ArrowReaderMetadata) -> bool {
    let about = known.metadata().file_metadata();
    let words = known.schema().metadata();
    let precision = words.get("price_precision").and_then(|word| word.parse::<u32>().ok());
    let Some(precision) = precision.filter(|digits| *digits <= DIGITS) else { return false };
    let version = about.created_by().and_then(|by| by.strip_prefix("parquet-rs version "));
    let version = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    if version.is_none_or(|version| version > OLD_WRITER) {
        return false;
    }
    let step = 10_i128.pow(DIGITS - precision);
    guarded(path, || steps(file, known, step)).ok().flatten().unwrap_or(false)
}

/// Whether all prices of the first rows are multiples of `step`, and one of them is not zero.
fn steps(file: &SharedFile, known: &ArrowReaderMetadata, step: i128) -> Option<bool> {
    let fields = known.schema().fields().iter().enumerate();
    let prices = fields.filter(|(_, field)| {
        *field.data_type() == DataType::FixedSizeBinary(16)
            && ["open", "high", "low", "close", "price"].contains(&field.name().as_str())
    });
    let roots: Vec<usize> = prices.map(|(at, _)| at).collect();
    if roots.is_empty() {
        return None;
    }
    let mask = ProjectionMask::roots(known.parquet_schema(), roots);
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), known.clone());
    let mut reader = reader.with_projection(mask).with_batch_size(ROWS).build().ok()?;
    let batch = reader.next()?.ok()?;
    let mut any = false;
    for column in batch.columns() {
        let column = column.as_any().downcast_ref::<FixedSizeBinaryArray>()?;
        for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
            let value = i128::from_le_bytes(column.value(row).try_into().ok()?);
            if value % step != 0 {
                return Some(false);
            }
            any |= value != 0;
        }
    }
    Some(any)
}
