//! A batch: what one span of a source became. Decoders make it, checks thin it, writers store it.

mod rejects;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use crate::limit::REJECT_RAW_BYTES_MAX;
use crate::span::{RowPlace, Span};

pub use rejects::{Rejects, Why};

/// A source record that was refused, with all that a person needs to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Record ordinal inside the span, from 0.
    pub row: u32,
    /// Physical line inside the span, from 0.
    pub line: u32,
    /// Offset of the record from the span's start.
    pub offset: u64,
    /// Bytes of the record.
    pub len: u64,
    /// The rule that refused it, such as `bad_number`; stable, for counting and filtering.
    pub rule: Cow<'static, str>,
    /// The column at fault, if one is.
    pub column: Option<String>,
    /// The SQLSTATE, if the server refused it.
    pub sqlstate: Option<String>,
    /// What was wrong, for a person.
    pub reason: String,
    /// The record's original bytes, up to [`REJECT_RAW_BYTES_MAX`].
    pub raw: Vec<u8>,
}

/// The original bytes of a batch's records, so that a reject can show them.
#[derive(Debug, Clone)]
pub enum Original {
    /// The span's bytes; row places point into them.
    Text(Arc<Chunk>),
    /// The source has no bytes of its own for a record (Parquet): its values are shown as JSON.
    Columns,
}

/// A piece of a text source, cut at record ends.
#[derive(Debug)]
pub struct Chunk {
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Rows of a child table, each belonging to one row of the root.
#[derive(Debug, Clone)]
pub struct Child {
    /// The table's position in its dataset's list of tables.
    pub table: usize,
    /// The rows.
    pub rows: RecordBatch,
    /// For each child row the position of its root row. Ascending.
    pub root_of: Vec<u32>,
}

/// One span's records: a root batch, rows of child tables, and what was refused or skipped.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What it covers. `first_row` and `first_line` are filled in source order.
    pub span: Span,
    /// Whether the span ends its source.
    pub last: bool,
    /// The root table's rows, one for each record that is still good.
    pub root: RecordBatch,
    /// For each root row where its record is.
    pub places: Vec<RowPlace>,
    /// Rows of child tables.
    pub children: Vec<Child>,
    /// Records refused so far.
    pub rejects: Rejects,
    /// Records outside the window that was asked for.
    pub skipped: u64,
    /// Where original bytes are.
    pub original: Original,
}

impl Batch {
    /// Source records in the span.
    pub fn read(&self) -> u64 {
        self.root.num_rows() as u64 + self.rejects.len() as u64 + self.skipped
    }

    /// The records refused so far, each with its original bytes.
    pub fn rejected(&self) -> impl Iterator<Item = Reject> {
        self.rejects.iter(&self.original)
    }

    /// A reject of root row `at`, with its place and original bytes.
    pub fn reject(
        &self,
        at: usize,
        rule: impl Into<Cow<'static, str>>,
        column: Option<&str>,
        reason: impl Into<String>,
    ) -> Reject {
        let place = self.places[at];
        let raw = match &self.original {
            Original::Text(chunk) => {
                let start = place.offset as usize;
                let len = (place.len as usize).min(REJECT_RAW_BYTES_MAX);
                chunk.bytes[start..start + len].to_vec()
            }
            Original::Columns => row_as_json(&self.root, at).into_bytes(),
        };
        Reject {
            row: place.row,
            line: place.line,
            offset: u64::from(place.offset),
            len: u64::from(place.len),
            rule: rule.into(),
            column: column.map(str::to_owned),
            sqlstate: None,
            reason: reason.into(),
            raw,
        }
    }
}

/// One row as a JSON object: the form in which a record without bytes of its own is shown.
pub fn row_as_json(batch: &RecordBatch, row: usize) -> String {
    row_as_json_with(batch, row, |_| None)
}

/// The same, where `meaning` may say for a column's position what its value is shown as.
pub fn row_as_json_with(
    batch: &RecordBatch,
    row: usize,
    meaning: impl Fn(usize) -> Option<String>,
) -> String {
    let mut object = serde_json::Map::new();
    let columns = batch.schema_ref().fields().iter().zip(batch.columns()).enumerate();
    for (at, (field, column)) in columns {
        let value = meaning(at).or_else(|| value_as_text(column, row));
        let value = value.map_or(serde_json::Value::Null, Into::into);
        object.insert(field.name().clone(), value);
    }
    serde_json::Value::Object(object).to_string()
}

/// A rule that a root row breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Position of the row in the root batch.
    pub row: usize,
    /// The rule.
    pub rule: Cow<'static, str>,
    /// The column at fault, if one is.
    pub column: Option<String>,
    /// The SQLSTATE, if the server refused it.
    pub sqlstate: Option<String>,
    /// What is wrong, for a person.
    pub reason: String,
}

impl Batch {
    /// Turns the rows with faults into rejects and takes them, with their children, out of the
    /// batch. Of several faults of one row the first counts.
    ///
    /// # Errors
    /// Arrow's own, which would be a bug of ours.
    pub fn refuse(&mut self, mut faults: Vec<Fault>) -> Result<(), ArrowError> {
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by_key(|fault| fault.row);
        faults.dedup_by_key(|fault| fault.row);
        let mut keep = vec![true; self.root.num_rows()];
        for fault in faults {
            keep[fault.row] = false;
            let Fault { row, rule, column, sqlstate, reason } = fault;
            match &self.original {
                Original::Text(_) => {
                    let why = Why { rule, column, sqlstate, reason: reason.into() };
                    self.rejects.add(self.places[row], why);
                }
                Original::Columns => {
                    let reject = self.reject(row, rule, column.as_deref(), reason);
                    self.rejects.push(Reject { sqlstate, ..reject });
                }
            }
        }
        self.retain(&keep)
    }

    /// Keeps the root rows that are marked, with their places and children.
    fn retain(&mut self, keep: &[bool]) -> Result<(), ArrowError> {
        self.root = filter_record_batch(&self.root, &BooleanArray::from(keep.to_vec()))?;
        let mut at = 0;
        self.places.retain(|_| {
            at += 1;
            keep[at - 1]
        });
        let mut new_position = 0;
        let positions: Vec<u32> = keep
            .iter()
            .map(|&kept| {
                new_position += u32::from(kept);
                new_position.wrapping_sub(1)
            })
            .collect();
        for child in &mut self.children {
            let mask: Vec<bool> = child.root_of.iter().map(|&root| keep[root as usize]).collect();
            child.rows = filter_record_batch(&child.rows, &BooleanArray::from(mask.clone()))?;
            child.root_of = (child.root_of.iter().zip(&mask))
                .filter(|(_, kept)| **kept)
                .map(|(&root, _)| positions[root as usize])
                .collect();
        }
        Ok(())
    }
}

/// One value as a person reads it; `None` for null. Instants are shown in UTC.
pub fn value_as_text(column: &ArrayRef, row: usize) -> Option<String> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    if column.is_null(row) {
        return None;
    }
    let mut value = column.slice(row, 1);
    if let DataType::Timestamp(unit, Some(_)) = column.data_type() {
        // Arrow knows named zones, "UTC" among them, only with a database that we do not carry.
        let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
        value = arrow::compute::cast(&value, &utc).ok()?;
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(value.as_ref(), &options).ok()?;
    Some(formatter.value(0).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array, TimestampMicrosecondArray};

    fn numbers(values: &[i64]) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[test]
    fn a_refused_root_takes_its_children_along() {
        let place = |row| RowPlace { row, line: row, offset: row * 2, len: 1 };
        let mut batch = Batch {
            span: Span::default(),
            last: true,
            root: numbers(&[10, 11, 12]),
            places: (0..3).map(place).collect(),
            children: vec![Child {
                table: 1,
                rows: numbers(&[100, 110, 111, 120]),
                root_of: vec![0, 1, 1, 2],
            }],
            rejects: Rejects::default(),
            skipped: 0,
            original: Original::Text(Arc::new(Chunk { bytes: b"a\nb\nc\n".to_vec() })),
        };
        let fault = |reason: &str| Fault {
            row: 1,
            rule: "rule".into(),
            column: None,
            sqlstate: None,
            reason: reason.into(),
        };
        batch.refuse(vec![fault("first"), fault("second")]).unwrap();
        assert_eq!(batch.root, numbers(&[10, 12]));
        assert_eq!(batch.children[0].rows, numbers(&[100, 120]));
        assert_eq!(batch.children[0].root_of, [0, 1]);
        assert_eq!(batch.places.iter().map(|p| p.row).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(batch.rejects.len(), 1);
        let reject = batch.rejected().next().unwrap();
        assert_eq!((reject.raw.as_slice(), &*reject.reason), (&b"b"[..], "first"));
        assert_eq!(batch.read(), 3);
    }

    #[test]
    fn a_row_is_shown_with_its_instants_in_utc() {
        let ts = TimestampMicrosecondArray::from(vec![0, 1_500_000]).with_timezone("UTC");
        let close = Float64Array::from(vec![Some(1.5), None]);
        let columns: [(&str, ArrayRef); 2] = [("ts", Arc::new(ts)), ("close", Arc::new(close))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(row_as_json(&batch, 0), r#"{"close":"1.5","ts":"1970-01-01T00:00:00Z"}"#);
        assert_eq!(row_as_json(&batch, 1), r#"{"close":null,"ts":"1970-01-01T00:00:01.500Z"}"#);
    }
}
