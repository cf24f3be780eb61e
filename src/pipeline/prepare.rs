//! What is done to every batch between decoding and writing, whether it comes from a source or from
//! mended records: symbols become ticker ids, and rows that break a rule become rejects. Asks
//! nobody: the ids are the caller's to find.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::error::ArrowError;

use super::Tickers;
use crate::batch::{Batch, Fault};
use crate::check::Checker;
use crate::encode::Encoder;
use crate::write::{Target, WriteError};

/// The symbols of a batch, each once, in the order in which [`put_ids`] takes their ids.
pub fn symbols<'a>(root: &'a RecordBatch, tickers: &Tickers) -> Vec<&'a str> {
    let words = root.column(tickers.column).as_dictionary::<Int32Type>();
    let values = words.values().as_string::<i32>();
    values.iter().map(|value| value.unwrap_or_default()).collect()
}

/// Replaces the symbol column by ticker ids, one for each of [`symbols`].
///
/// # Errors
/// Arrow's own, which would be a bug of ours.
pub fn put_ids(
    root: &RecordBatch,
    tickers: &Tickers,
    ids: &[i32],
) -> Result<RecordBatch, ArrowError> {
    let words = root.column(tickers.column).as_dictionary::<Int32Type>();
    let ids: Int32Array =
        words.keys().iter().map(|code| code.map(|code| ids[code as usize])).collect();
    let mut columns: Vec<ArrayRef> = root.columns().to_vec();
    columns[tickers.column] = Arc::new(ids);
    let mut fields: Vec<Arc<Field>> = root.schema_ref().fields().iter().cloned().collect();
    fields[tickers.column] = Arc::new(Field::new(&tickers.id_name, DataType::Int32, true));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Turns the rows that break a rule, or hold what the target's columns cannot, into rejects.
///
/// # Errors
/// When a column of the batch cannot go to its target's column at all.
pub fn check(batch: &mut Batch, checker: &Checker, target: &Target) -> Result<(), WriteError> {
    let mut faults = checker.faults(&batch.root);
    let encoder = Encoder::new(batch.root.schema_ref(), &target.root().columns)?;
    faults.extend(encoder.faults(&batch.root)?.into_iter().map(|fault| Fault {
        row: fault.row as usize,
        rule: fault.rule.into(),
        column: Some(encoder.column_name(fault.column).to_owned()),
        sqlstate: None,
        reason: fault.reason,
    }));
    Ok(batch.refuse(faults)?)
}
