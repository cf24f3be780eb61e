//! What is done to every batch between decoding and writing, whether it comes from a source or from
//! mended records: symbols become ticker ids, and rows that break a rule become rejects. Asks
//! nobody: the ids are the caller's to find.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::error::ArrowError;

use super::{Identity, Tickers};
use crate::batch::{Batch, Fault};
use crate::check::{Checker, respell};
use crate::encode::Encoder;
use crate::layout::normalise_interval;
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

/// Fills the columns by which records without an id are known again; `place` tells where a row's
/// record is in its content. Records with an id get zeros there.
///
/// # Errors
/// Arrow's own, which would be a bug of ours.
pub fn put_identity(
    root: &RecordBatch,
    identity: &Identity,
    place: impl Fn(usize) -> i64,
) -> Result<RecordBatch, ArrowError> {
    let ids = root.column(identity.id).as_string::<i32>();
    let has_id = |row: usize| !ids.is_null(row) && !ids.value(row).trim().is_empty();
    let rows = 0..root.num_rows();
    let mut columns: Vec<ArrayRef> = root.columns().to_vec();
    let number = |row: usize| if has_id(row) { 0 } else { identity.number };
    columns[identity.content] = Arc::new(rows.clone().map(number).collect::<Int64Array>());
    let row_no = |row: usize| if has_id(row) { 0 } else { place(row) };
    columns[identity.row] = Arc::new(rows.clone().map(row_no).collect::<Int64Array>());
    let id = |row: usize| Some(if has_id(row) { ids.value(row).trim() } else { "" });
    columns[identity.id] = Arc::new(rows.map(id).collect::<StringArray>());
    RecordBatch::try_new(root.schema(), columns)
}

/// Turns the rows that break a rule, or hold what the target's columns cannot, into rejects, and
/// spells the words of `interval_column`, if there is one, and of columns that take few words, as
/// our tables do.
///
/// # Errors
/// When a column of the batch cannot go to its target's column at all.
pub fn check(
    batch: &mut Batch,
    interval_column: Option<usize>,
    checker: &Checker,
    target: &Target,
) -> Result<(), WriteError> {
    let mut faults = Vec::new();
    let spelled = spell(&batch.root, interval_column, checker, &mut faults)?;
    let root = spelled.as_ref().unwrap_or(&batch.root);
    faults.extend(checker.faults(root)?);
    let encoder = Encoder::new(root.schema_ref(), &target.root().columns)?;
    let of_root = faults_of(&encoder, root, |row| row)?;
    // What a part of a record does not say is not missing.
    let is_missing = |fault: &Fault| fault.rule == NULL_VALUE;
    faults.extend(
        of_root.filter(|fault| !(is_missing(fault) && target.meeting.is_part(root, fault.row))),
    );
    for child in &batch.children {
        let columns = &target.tables[child.table].columns;
        let encoder = Encoder::new(child.rows.schema_ref(), columns)?;
        faults.extend(faults_of(&encoder, &child.rows, |row| child.root_of[row] as usize)?);
    }
    // A reject shows what the record said, so spelling comes after.
    batch.refuse(faults)?;
    if spelled.is_some()
        && let Some(spelled) = spell(&batch.root, interval_column, checker, &mut Vec::new())?
    {
        batch.root = spelled;
    }
    Ok(())
}

/// The rule of the encoder for what is missing.
const NULL_VALUE: &str = "null_value";

/// What of some rows cannot be sent, as faults of the root rows that `root_of` gives.
fn faults_of(
    encoder: &Encoder,
    rows: &RecordBatch,
    root_of: impl Fn(usize) -> usize,
) -> Result<impl Iterator<Item = Fault>, WriteError> {
    Ok(encoder.faults(rows)?.into_iter().map(move |fault| Fault {
        row: root_of(fault.row as usize),
        rule: fault.rule.into(),
        column: Some(encoder.column_name(fault.column).to_owned()),
        sqlstate: None,
        reason: fault.reason,
    }))
}

/// Spells everything that has one spelling. `None`: it is spelled so.
fn spell(
    root: &RecordBatch,
    interval_column: Option<usize>,
    checker: &Checker,
    faults: &mut Vec<Fault>,
) -> Result<Option<RecordBatch>, ArrowError> {
    let intervals = match interval_column {
        Some(column) => spell_intervals(root, column, faults)?,
        None => None,
    };
    let words = checker.spell(intervals.as_ref().unwrap_or(root), faults)?;
    Ok(words.or(intervals))
}

/// Spells the intervals of a word column as our tables do (`60min` is `1h`), so that one bar has
/// one key. What is no interval is a fault. `None`: they are spelled so.
fn spell_intervals(
    root: &RecordBatch,
    column: usize,
    faults: &mut Vec<Fault>,
) -> Result<Option<RecordBatch>, ArrowError> {
    let spelled = respell(root.column(column), normalise_interval, |row, value| {
        faults.push(Fault {
            row,
            rule: "bad_interval".into(),
            column: Some(root.schema_ref().field(column).name().clone()),
            sqlstate: None,
            reason: format!("{value:?} is no interval such as 1m, 1h or 1d"),
        });
    });
    let Some(spelled) = spelled else { return Ok(None) };
    let mut columns: Vec<ArrayRef> = root.columns().to_vec();
    columns[column] = spelled;
    RecordBatch::try_new(root.schema(), columns).map(Some)
}
