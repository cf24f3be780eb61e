//! A batch of Parquet rows becomes a batch of the mapping's columns, column by column.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter;
use arrow::datatypes::{Int32Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;

use super::cells::{Cells, can_be_joined, can_become};
use crate::batch::{Reject, Rejects, row_as_json, value_as_text};
use crate::decode::column::{ColumnBuilder, Nulls};
use crate::decode::common::{Constant, Window, batch_schema};
use crate::decode::fault::Fault;
use crate::decode::{DecodeError, Decoded};
use crate::limit::REJECT_RAW_BYTES_MAX;
use crate::mapping::{FieldSource, MappedColumn, Mapping, ValueKind};
use crate::span::RowPlace;

/// Converts the projected batches of one file.
#[derive(Debug)]
pub(super) struct Converter {
    columns: Vec<Column>,
    schema: SchemaRef,
    window: Option<Window>,
    nulls: Nulls,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: ValueKind,
    required: bool,
    from: From,
    builder: ColumnBuilder,
}

/// Where a column comes from; numbers are positions in the projected batch.
#[derive(Debug)]
enum From {
    One(usize),
    Joined(usize, usize),
    Constant(Constant),
}

/// For each row at fault the first column at fault, and its fault.
type Faults = BTreeMap<usize, (usize, Fault)>;

impl Converter {
    /// A converter for a mapping, and the positions of the file's columns that it reads, in order.
    pub fn new(schema: &SchemaRef, mapping: &Mapping) -> Result<(Self, Vec<usize>), DecodeError> {
        let mut roots: Vec<usize> = Vec::new();
        for column in &mapping.columns {
            match column.source {
                FieldSource::Field(one) => roots.push(one),
                FieldSource::Joined(one, two) => roots.extend([one, two]),
                FieldSource::Constant(_) => {}
            }
            check_types(schema, column)?;
        }
        roots.sort_unstable();
        roots.dedup();
        let projected = |root: usize| roots.partition_point(|other| *other < root);
        let mut columns = Vec::with_capacity(mapping.columns.len());
        for column in &mapping.columns {
            columns.push(Column {
                name: column.name.clone(),
                kind: column.kind,
                required: column.required,
                from: match &column.source {
                    FieldSource::Field(one) => From::One(projected(*one)),
                    FieldSource::Joined(one, two) => From::Joined(projected(*one), projected(*two)),
                    FieldSource::Constant(text) => From::Constant(Constant::new(column, text)?),
                },
                builder: ColumnBuilder::new(column.kind, column.time.as_ref()),
            });
        }
        let converter = Self {
            columns,
            schema: batch_schema(mapping),
            window: Window::of(mapping),
            nulls: Nulls::new(&[]),
        };
        Ok((converter, roots))
    }

    pub fn convert(&mut self, source: &RecordBatch) -> Result<Decoded, DecodeError> {
        let rows = source.num_rows();
        let mut faults = Faults::new();
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter_mut().enumerate() {
            arrays.push(column.convert(at, source, &self.nulls, &mut faults)?);
        }
        let mut keep = vec![true; rows];
        let skipped = self.skip(&arrays, &mut faults, &mut keep);
        let mut rejects = Rejects::default();
        for (row, (at, fault)) in faults {
            keep[row] = false;
            rejects.push(self.columns[at].reject(source, row, fault));
        }
        if skipped > 0 || !rejects.is_empty() {
            arrays = self.thin(&arrays, &keep)?;
        }
        let kept = keep.iter().enumerate().filter(|(_, keep)| **keep);
        let places: Vec<RowPlace> =
            kept.map(|(row, _)| RowPlace { row: row as u32, ..RowPlace::default() }).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        let root = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        Ok(Decoded { root, places, rejects, skipped, lines: 0 })
    }

    /// Marks rows outside the window and takes back their faults; returns how many there are.
    fn skip(&self, arrays: &[ArrayRef], faults: &mut Faults, keep: &mut [bool]) -> u64 {
        let Some(window) = self.window else { return 0 };
        let times = arrays.get(window.column);
        let Some(times) = times.and_then(|a| a.as_primitive_opt::<TimestampMicrosecondType>())
        else {
            return 0;
        };
        let mut skipped = 0;
        for (row, ts) in times.iter().enumerate() {
            if ts.is_some_and(|ts| window.excludes(ts)) {
                keep[row] = false;
                faults.remove(&row);
                skipped += 1;
            }
        }
        skipped
    }

    /// The rows that are kept. Words are coded anew, for those of other rows must leave no trace.
    fn thin(&self, arrays: &[ArrayRef], keep: &[bool]) -> Result<Vec<ArrayRef>, ArrowError> {
        let mask = BooleanArray::from(keep.to_vec());
        let thin = |(column, array): (&Column, &ArrayRef)| match column.kind {
            ValueKind::Word => recode(array, keep),
            _ => filter(array, &mask),
        };
        self.columns.iter().zip(arrays).map(thin).collect()
    }
}

fn recode(words: &ArrayRef, keep: &[bool]) -> Result<ArrayRef, ArrowError> {
    let words = words.as_dictionary::<Int32Type>();
    let values = words.values().as_string::<i32>();
    let mut builder = ColumnBuilder::new(ValueKind::Word, None);
    for (key, _) in words.keys().iter().zip(keep).filter(|(_, keep)| **keep) {
        match key {
            // A word has no fault.
            Some(key) => drop(builder.push(values.value(key as usize).as_bytes())),
            None => builder.push_null(),
        }
    }
    builder.finish()
}

impl Column {
    fn convert(
        &mut self,
        at: usize,
        source: &RecordBatch,
        nulls: &Nulls,
        faults: &mut Faults,
    ) -> Result<ArrayRef, DecodeError> {
        let cells = match &mut self.from {
            From::One(one) => Cells::new(source.column(*one))?,
            From::Joined(one, two) => Cells::joined(source.column(*one), source.column(*two))?,
            From::Constant(constant) => return constant.array(source.num_rows()),
        };
        if let Some(array) = cells.as_it_is(self.kind, self.required) {
            return Ok(array);
        }
        for row in 0..source.num_rows() {
            if let Err(fault) = cells.push(row, self.kind, self.required, nulls, &mut self.builder)
            {
                faults.entry(row).or_insert((at, fault));
                self.builder.push_null();
            }
        }
        Ok(self.builder.finish()?)
    }

    fn reject(&self, source: &RecordBatch, row: usize, fault: Fault) -> Reject {
        let value = match self.from {
            From::One(one) => shown(source.column(one), row),
            From::Joined(one, two) => {
                format!("{} {}", shown(source.column(one), row), shown(source.column(two), row))
            }
            From::Constant(_) => String::new(),
        };
        let mut raw = row_as_json(source, row).into_bytes();
        raw.truncate(REJECT_RAW_BYTES_MAX);
        Reject {
            row: row as u32,
            line: 0,
            offset: 0,
            len: 0,
            rule: fault.rule().into(),
            column: Some(self.name.clone()),
            sqlstate: None,
            reason: fault.reason(&self.name, value.as_bytes()),
            raw,
        }
    }
}

fn shown(array: &ArrayRef, row: usize) -> String {
    value_as_text(array, row).unwrap_or_default()
}

/// Refuses a column whose type in the file cannot become what the batch needs.
fn check_types(schema: &SchemaRef, column: &MappedColumn) -> Result<(), DecodeError> {
    let parts: &[usize] = match &column.source {
        FieldSource::Field(one) => &[*one],
        FieldSource::Joined(one, two) => &[*one, *two],
        FieldSource::Constant(_) => return Ok(()),
    };
    if column.kind == ValueKind::Time && column.time.is_none() {
        return Err(DecodeError::NoTimeRule { column: column.name.clone() });
    }
    for part in parts {
        let Some(field) = schema.fields().get(*part) else {
            let (column, field) = (column.name.clone(), part + 1);
            return Err(DecodeError::NoSuchField { column, field, fields: schema.fields().len() });
        };
        let fits = match parts {
            [_] => can_become(field.data_type(), column.kind),
            _ => can_be_joined(field.data_type()),
        };
        if !fits {
            return Err(DecodeError::Incompatible {
                column: column.name.clone(),
                field: field.name().clone(),
                found: field.data_type().to_string(),
                wanted: match (parts.len(), column.kind) {
                    (2, _) => "a date or a time of day",
                    (_, ValueKind::Word | ValueKind::Text) => "text",
                    (_, ValueKind::Float | ValueKind::Decimal) => "numbers",
                    (_, ValueKind::Integer) => "whole numbers",
                    (_, ValueKind::Time) => "times",
                    (_, ValueKind::Date) => "days",
                    (_, ValueKind::Bool) => "true and false",
                    (_, ValueKind::Json) => "JSON text",
                }
                .to_owned(),
            });
        }
    }
    Ok(())
}
