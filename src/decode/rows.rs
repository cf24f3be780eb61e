//! Rows of a text or JSON batch: the fields of one record go to their columns, or leave no trace.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use super::DecodeError;
use super::column::{ColumnBuilder, Nulls};
use super::common::{Constant, Window, batch_schema};
use super::fault::Fault;
use super::number::trim;
use crate::mapping::{FieldSource, Mapping, ValueKind};

/// The columns of the batch that grows.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<Column>,
    schema: SchemaRef,
    nulls: Nulls,
    window: Option<Window>,
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
    constant: Option<Constant>,
}

/// One record, taken apart.
pub(super) trait Record {
    /// The bytes of the field at this position; empty if the record has none there.
    fn field(&self, at: usize) -> &[u8];
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
            let constant = match &column.source {
                FieldSource::Constant(text) => Some(Constant::new(column, text)?),
                _ => None,
            };
            let column = Column {
                name,
                source: column.source.clone(),
                kind: column.kind,
                required: column.required,
                builder: ColumnBuilder::new(column.kind, column.time.as_ref()),
                constant,
            };
            columns.push(column);
        }
        Ok(Self {
            schema: batch_schema(mapping),
            columns,
            nulls: Nulls::new(nulls),
            window: Window::of(mapping),
            joined: Vec::new(),
            expected: 0,
        })
    }

    /// Adds a record's row. `Ok(false)`: it lies outside the window.
    #[inline]
    pub fn take(&mut self, record: &impl Record, row: usize) -> Result<bool, ColumnFault> {
        if self.window.is_some() && self.is_outside(record) {
            return Ok(false);
        }
        for (at, column) in self.columns.iter_mut().enumerate() {
            let value = match column.source {
                FieldSource::Field(field) => record.field(field),
                FieldSource::Joined(one, two) => {
                    join(record, (one, two), &self.nulls, &mut self.joined);
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

    fn is_outside(&mut self, record: &impl Record) -> bool {
        let Some(window) = self.window else { return false };
        let Some(column) = self.columns.get_mut(window.column) else { return false };
        let value = match &column.source {
            FieldSource::Field(field) => record.field(*field),
            FieldSource::Joined(one, two) => {
                join(record, (*one, *two), &self.nulls, &mut self.joined);
                &self.joined
            }
            FieldSource::Constant(text) => text.as_bytes(),
        };
        column.builder.peek_time(value).is_some_and(|ts| window.excludes(ts))
    }

    /// The name of the column at fault, and what is wrong with its value.
    #[cold]
    pub fn explain(&mut self, fault: ColumnFault, record: &impl Record) -> (String, String) {
        let (at, fault) = fault;
        let column = &self.columns[at];
        let value = match column.source {
            FieldSource::Field(field) => record.field(field),
            FieldSource::Joined(one, two) => {
                join(record, (one, two), &self.nulls, &mut self.joined);
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

/// The two fields with a space between them; one that means "nothing" is left out.
fn join(record: &impl Record, (one, two): (usize, usize), nulls: &Nulls, out: &mut Vec<u8>) {
    out.clear();
    for field in [one, two] {
        let value = trim(record.field(field));
        if !nulls.mean(ValueKind::Text, value) {
            if !out.is_empty() {
                out.push(b' ');
            }
            out.extend_from_slice(value);
        }
    }
}

impl Column {
    fn finish(&mut self, rows: usize) -> Result<ArrayRef, DecodeError> {
        match &mut self.constant {
            Some(constant) => constant.array(rows),
            None => Ok(self.builder.finish()?),
        }
    }
}
