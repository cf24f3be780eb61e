//! What text and Parquet share: the schema of a mapping's batches, the window of times that are
//! kept, and columns that hold one value throughout.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::DecodeError;
use super::column::{ColumnBuilder, data_type};
use super::fault::Fault;
use super::number::trim;
use crate::column::CHECKED_JSON;
use crate::mapping::{MappedColumn, Mapping, ValueKind};

/// The schema of a mapping's batches.
pub(super) fn batch_schema(mapping: &Mapping) -> SchemaRef {
    let fields = mapping.columns.iter();
    let fields = fields.map(|column| {
        let field = Field::new(&column.name, data_type(column.kind), true);
        if column.kind == ValueKind::Json { of_checked_json(field) } else { field }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The field of a column whose texts were all found to be JSON.
pub(super) fn of_checked_json(field: Field) -> Field {
    field.with_metadata([(CHECKED_JSON.to_owned(), String::new())])
}

/// The times that are kept: `[from_us, to_us)` of one column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Position of the time column.
    pub column: usize,
    from_us: i64,
    to_us: i64,
}

impl Window {
    /// The mapping's window, if it has one.
    pub fn of(mapping: &Mapping) -> Option<Self> {
        if mapping.from_us.is_none() && mapping.to_us.is_none() {
            return None;
        }
        Some(Self {
            column: mapping.time_column?,
            from_us: mapping.from_us.unwrap_or(i64::MIN),
            to_us: mapping.to_us.unwrap_or(i64::MAX),
        })
    }

    /// Whether all times from the first to the last are outside.
    pub fn excludes_all(&self, first_us: i64, last_us: i64) -> bool {
        last_us < self.from_us || first_us >= self.to_us
    }

    #[inline]
    pub fn excludes(&self, ts_us: i64) -> bool {
        ts_us < self.from_us || ts_us >= self.to_us
    }
}

/// A column that holds one value throughout; an empty text is null.
#[derive(Debug)]
pub(super) struct Constant {
    text: String,
    builder: ColumnBuilder,
    /// The array of the longest batch so far.
    longest: Option<ArrayRef>,
}

impl Constant {
    /// Refuses a text that is not of the column's kind.
    pub fn new(column: &MappedColumn, text: &str) -> Result<Self, DecodeError> {
        let mut builder = ColumnBuilder::new(column.kind, column.time.as_ref());
        let fault = if trim(text.as_bytes()).is_empty() {
            column.required.then_some(Fault::Null)
        } else {
            let fault = builder.push(text.as_bytes()).err();
            builder.truncate(0);
            fault
        };
        match fault {
            None => Ok(Self { text: text.to_owned(), builder, longest: None }),
            Some(fault) => Err(DecodeError::Constant {
                column: column.name.clone(),
                reason: fault.reason(&column.name, text.as_bytes()),
            }),
        }
    }

    /// The value as it was given.
    pub fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The value, so many times.
    pub fn array(&mut self, rows: usize) -> Result<ArrayRef, DecodeError> {
        if let Some(array) = self.longest.as_ref().filter(|array| array.len() >= rows) {
            return Ok(array.slice(0, rows));
        }
        for _ in 0..rows {
            // Checked above: what is no value is null.
            let empty = trim(self.text.as_bytes()).is_empty();
            if empty || self.builder.push(self.text.as_bytes()).is_err() {
                self.builder.push_null();
            }
        }
        let array = self.builder.finish()?;
        self.longest = Some(Arc::clone(&array));
        Ok(array)
    }
}
