//! Rows of a text batch: the fields of one record go to their columns, or leave no trace.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::DecodeError;
use super::column::{ColumnBuilder, Nulls, data_type};
use super::fault::Fault;
use super::number::trim;
use super::record::Fields;
use crate::mapping::{FieldSource, Mapping, ValueKind};

/// The columns of the batch that grows.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<Column>,
    schema: SchemaRef,
    nulls: Nulls,
    /// Position of the time column, and the times `[from, to)` that are kept.
    window: Option<(usize, i64, i64)>,
    /// Two fields joined.
    joined: Vec<u8>,
    /// Rows of the last batch: the best guess for the next.
    expected: usize,
}

#[derive(Debug)]
struct Column {
    name: String,
    source: FieldSource,
    kind: ValueKind,
    required: bool,
    builder: ColumnBuilder,
    /// For a constant the array of the longest batch so far.
    constant: Option<ArrayRef>,
}

/// Column at fault, and its fault.
pub(super) type ColumnFault = (usize, Fault);

impl Rows {
    pub fn new(
        mapping: &Mapping,
        nulls: &[Vec<u8>],
        fields_max: usize,
    ) -> Result<Self, DecodeError> {
        let mut columns = Vec::with_capacity(mapping.columns.len());
        for column in &mapping.columns {
            let last = match &column.source {
                FieldSource::Field(at) => *at,
                FieldSource::Joined(one, two) => *one.max(two),
                FieldSource::Constant(_) => 0,
            };
            let name = column.name.clone();
            if last >= fields_max && !matches!(column.source, FieldSource::Constant(_)) {
                let (column, field) = (name, last + 1);
                return Err(DecodeError::NoSuchField { column, field, fields: fields_max });
            }
            if column.kind == ValueKind::Time && column.time.is_none() {
                return Err(DecodeError::NoTimeRule { column: name });
            }
            let mut column = Column {
                name,
                source: column.source.clone(),
                kind: column.kind,
                required: column.required,
                builder: ColumnBuilder::new(column.kind, column.time.as_ref()),
                constant: None,
            };
            column.check_constant()?;
            columns.push(column);
        }
        let from = mapping.from_us.unwrap_or(i64::MIN);
        let to = mapping.to_us.unwrap_or(i64::MAX);
        let bounded = mapping.from_us.is_some() || mapping.to_us.is_some();
        Ok(Self {
            schema: batch_schema(mapping),
            columns,
            nulls: Nulls::new(nulls),
            window: mapping.time_column.filter(|_| bounded).map(|at| (at, from, to)),
            joined: Vec::new(),
            expected: 0,
        })
    }

    /// Adds a record's row. `Ok(false)`: it lies outside the window.
    #[inline]
    pub fn take(&mut self, fields: &Fields, view: &[u8], row: usize) -> Result<bool, ColumnFault> {
        if self.window.is_some() && self.is_outside(fields, view) {
            return Ok(false);
        }
        for (at, column) in self.columns.iter_mut().enumerate() {
            let value = match column.source {
                FieldSource::Field(field) => fields.get(view, field).unwrap_or_default(),
                FieldSource::Joined(one, two) => {
                    join(fields, view, (one, two), &self.nulls, &mut self.joined);
                    &self.joined
                }
                FieldSource::Constant(_) => continue,
            };
            let taken = if !self.nulls.mean(column.kind, trim(value)) {
                column.builder.push(value)
            } else if column.required {
                Err(Fault::Null)
            } else {
                column.builder.push_null();
                Ok(())
            };
            if let Err(fault) = taken {
                for column in &mut self.columns[..at] {
                    column.builder.truncate(row);
                }
                return Err((at, fault));
            }
        }
        Ok(true)
    }

    fn is_outside(&mut self, fields: &Fields, view: &[u8]) -> bool {
        let Some((at, from, to)) = self.window else { return false };
        let Some(column) = self.columns.get_mut(at) else { return false };
        let value = match &column.source {
            FieldSource::Field(field) => fields.get(view, *field).unwrap_or_default(),
            FieldSource::Joined(one, two) => {
                join(fields, view, (*one, *two), &self.nulls, &mut self.joined);
                &self.joined
            }
            FieldSource::Constant(text) => text.as_bytes(),
        };
        column.builder.peek_time(value).is_some_and(|ts| ts < from || ts >= to)
    }

    /// The name of the column at fault, and what is wrong with its value.
    #[cold]
    pub fn explain(
        &mut self,
        fault: ColumnFault,
        fields: &Fields,
        view: &[u8],
    ) -> (String, String) {
        let (at, fault) = fault;
        let column = &self.columns[at];
        let value = match column.source {
            FieldSource::Field(field) => fields.get(view, field).unwrap_or_default(),
            FieldSource::Joined(one, two) => {
                join(fields, view, (one, two), &self.nulls, &mut self.joined);
                &self.joined
            }
            FieldSource::Constant(_) => b"",
        };
        (column.name.clone(), fault.reason(&column.name, value))
    }

    /// Rows to make room for.
    pub fn expected(&self) -> usize {
        self.expected
    }

    /// The batch of all rows taken.
    pub fn finish(&mut self, rows: usize) -> Result<RecordBatch, DecodeError> {
        self.expected = rows;
        let arrays: Result<Vec<ArrayRef>, DecodeError> =
            self.columns.iter_mut().map(|column| column.finish(rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays?, &options)?)
    }
}

/// The schema of a mapping's batches.
pub(super) fn batch_schema(mapping: &Mapping) -> SchemaRef {
    let fields = mapping.columns.iter();
    let fields = fields.map(|column| Field::new(&column.name, data_type(column.kind), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The two fields with a space between them; one that means "nothing" is left out.
fn join(
    fields: &Fields,
    view: &[u8],
    (one, two): (usize, usize),
    nulls: &Nulls,
    out: &mut Vec<u8>,
) {
    out.clear();
    for field in [one, two] {
        let value = trim(fields.get(view, field).unwrap_or_default());
        if !nulls.mean(ValueKind::Text, value) {
            if !out.is_empty() {
                out.push(b' ');
            }
            out.extend_from_slice(value);
        }
    }
}

impl Column {
    /// Refuses a constant that is not of the column's kind.
    fn check_constant(&mut self) -> Result<(), DecodeError> {
        let FieldSource::Constant(text) = &self.source else { return Ok(()) };
        let fault = if !trim(text.as_bytes()).is_empty() {
            let result = self.builder.push(text.as_bytes());
            self.builder.truncate(0);
            result.err()
        } else {
            self.required.then_some(Fault::Null)
        };
        match fault {
            None => Ok(()),
            Some(fault) => Err(DecodeError::Constant {
                column: self.name.clone(),
                reason: fault.reason(&self.name, text.as_bytes()),
            }),
        }
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, DecodeError> {
        let FieldSource::Constant(text) = &self.source else {
            return Ok(self.builder.finish()?);
        };
        if let Some(array) = self.constant.as_ref().filter(|array| array.len() >= rows) {
            return Ok(array.slice(0, rows));
        }
        for _ in 0..rows {
            // Checked when the decoder was made: a constant that is no value is null.
            if trim(text.as_bytes()).is_empty() || self.builder.push(text.as_bytes()).is_err() {
                self.builder.push_null();
            }
        }
        let array = self.builder.finish()?;
        self.constant = Some(Arc::clone(&array));
        Ok(array)
    }
}
