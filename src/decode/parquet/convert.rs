//! A batch of Parquet rows becomes a batch of the mapping's columns, column by column.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter;
use arrow::datatypes::{Int32Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;

use super::cells::{Cells, Nothing, Reading, can_be_joined, can_become, is_ordered};
use crate::batch::{Reject, Rejects, row_as_json_with, value_as_text};
use crate::decode::column::ColumnBuilder;
use crate::decode::common::{Constant, Window, batch_schema};
use crate::decode::fault::Fault;
use crate::decode::quirk;
use crate::decode::{DecodeError, Decoded};
use crate::limit::REJECT_RAW_BYTES_MAX;
use crate::mapping::{FieldSource, MappedColumn, Mapping, Rewrite, Sieve, TimeFormat, ValueKind};
use crate::span::RowPlace;

/// Converts the projected batches of one file.
#[derive(Debug)]
pub(super) struct Converter {
    columns: Vec<Column>,
    schema: SchemaRef,
    window: Option<Window>,
    /// Open, high, low and close, if a row without them is no row of a bar.
    idle: Option<[usize; 4]>,
    /// The same, if zeros mean that nothing was traded.
    untraded: Option<[usize; 4]>,
    /// Which rows are taken, if not all, and the projected position of the field that tells.
    sieve: Option<(usize, Sieve)>,
}

#[derive(Debug)]
struct Column {
    name: String,
    reading: Reading,
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

/// Which rows of a span a batch has.
#[derive(Debug, Clone, Default)]
pub(super) struct Picked {
    /// Rows of the span.
    pub rows: usize,
    /// For each row of the batch its place in the span; `None`: they are all there.
    pub places: Option<Vec<u32>>,
}

impl Picked {
    fn place(&self, row: usize) -> u32 {
        self.places.as_ref().map_or(row as u32, |places| places[row])
    }
}

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
        let sieve = mapping.quirks.sieve.clone();
        let sieve = sieve.filter(|sieve| sieve.field < schema.fields().len());
        roots.extend(sieve.as_ref().map(|sieve| sieve.field));
        roots.sort_unstable();
        roots.dedup();
        let projected = |root: usize| roots.partition_point(|other| *other < root);
        let nothing = Nothing::new(&mapping.nulls);
        let mut columns = Vec::with_capacity(mapping.columns.len());
        for column in &mapping.columns {
            let rewrite = column.rewrite.as_ref();
            let kind = (column.kind, column.required);
            columns.push(Column {
                name: column.name.clone(),
                reading: Reading::new(kind, rewrite, nothing.clone()),
                from: match &column.source {
                    FieldSource::Field(one) => From::One(projected(*one)),
                    FieldSource::Joined(one, two) => From::Joined(projected(*one), projected(*two)),
                    FieldSource::Constant(text) => From::Constant(Constant::new(column, text)?),
                },
                builder: ColumnBuilder::new(column.kind, column.time.as_ref()),
            });
        }
        let prices = |asked: bool| asked.then(|| quirk::price_columns(mapping)).flatten();
        let converter = Self {
            columns,
            schema: batch_schema(mapping),
            window: Window::of(mapping),
            idle: prices(mapping.quirks.idle_skipped),
            untraded: prices(mapping.quirks.zero_untraded),
            sieve: sieve.map(|sieve| (projected(sieve.field), sieve)),
        };
        Ok((converter, roots))
    }

    /// The rows that a batch has of a span. What it has not is counted as skipped.
    pub fn convert(
        &mut self,
        source: &RecordBatch,
        picked: &Picked,
    ) -> Result<Decoded, DecodeError> {
        let rows = source.num_rows();
        let mut faults = Faults::new();
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter_mut().enumerate() {
            arrays.push(column.convert(at, source, &mut faults)?);
        }
        let mut keep = vec![true; rows];
        let skipped = self.pass_over(source, &mut faults, &mut keep)?
            + self.skip(&arrays, &mut faults, &mut keep)
            + self.skip_idle(source, &mut faults, &mut keep)?;
        let mut rejects = Rejects::default();
        for (row, (at, fault)) in faults {
            keep[row] = false;
            rejects.push(self.reject(source, row, (at, fault), picked.place(row)));
        }
        if skipped > 0 || !rejects.is_empty() {
            arrays = self.thin(&arrays, &keep)?;
        }
        if let Some(prices) = self.untraded {
            quirk::untraded_to_null(&mut arrays, prices)?;
        }
        let kept = keep.iter().enumerate().filter(|(_, keep)| **keep);
        let place = |row: usize| RowPlace { row: picked.place(row), ..RowPlace::default() };
        let places: Vec<RowPlace> = kept.map(|(row, _)| place(row)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        let root = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        let skipped = skipped + (picked.rows - rows) as u64;
        Ok(Decoded { root, places, children: Vec::new(), rejects, skipped, lines: 0 })
    }

    /// A span of which nothing was read, for all of it lies outside the window.
    pub fn nothing(&self, rows: usize) -> Decoded {
        Decoded {
            root: RecordBatch::new_empty(Arc::clone(&self.schema)),
            places: Vec::new(),
            children: Vec::new(),
            rejects: Rejects::default(),
            skipped: rows as u64,
            lines: 0,
        }
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
            if keep[row] && ts.is_some_and(|ts| window.excludes(ts)) {
                keep[row] = false;
                faults.remove(&row);
                skipped += 1;
            }
        }
        skipped
    }

    /// The same for rows that are another load's.
    fn pass_over(
        &self,
        source: &RecordBatch,
        faults: &mut Faults,
        keep: &mut [bool],
    ) -> Result<u64, DecodeError> {
        let Some((field, sieve)) = &self.sieve else { return Ok(0) };
        let cells = Cells::new(source.column(*field))?;
        let (mut text, mut skipped) = (Vec::new(), 0);
        for (row, keep) in keep.iter_mut().enumerate() {
            text.clear();
            if source.column(*field).is_valid(row) {
                cells.write(row, &mut text);
            }
            if !sieve.passes(&text) {
                *keep = false;
                faults.remove(&row);
                skipped += 1;
            }
        }
        Ok(skipped)
    }

    /// The same for rows without any price, where they tell of an interval without a trade.
    fn skip_idle(
        &self,
        source: &RecordBatch,
        faults: &mut Faults,
        keep: &mut [bool],
    ) -> Result<u64, DecodeError> {
        let Some(prices) = self.idle.filter(|_| !faults.is_empty()) else { return Ok(0) };
        let mut cells = Vec::with_capacity(prices.len());
        for column in prices.map(|at| &self.columns[at]) {
            let From::One(one) = column.from else { return Ok(0) };
            cells.push((Cells::new(source.column(one))?, &column.reading));
        }
        let idle = |row: usize| {
            cells
                .iter()
                .all(|(cells, reading)| cells.is_nothing(row, reading.kind, &reading.nothing))
        };
        let before = faults.len();
        faults.retain(|row, (_, fault)| {
            let idle = *fault == Fault::Null && idle(*row);
            keep[*row] &= !idle;
            !idle
        });
        Ok((before - faults.len()) as u64)
    }

    /// The rows that are kept. Words are coded anew, for those of other rows must leave no trace.
    fn thin(&self, arrays: &[ArrayRef], keep: &[bool]) -> Result<Vec<ArrayRef>, ArrowError> {
        let mask = BooleanArray::from(keep.to_vec());
        let thin = |(column, array): (&Column, &ArrayRef)| match column.reading.kind {
            ValueKind::Word => recode(array, keep),
            _ => filter(array, &mask),
        };
        self.columns.iter().zip(arrays).map(thin).collect()
    }

    /// The window, and the instants that values of its column's field mean; a value that means
    /// none is null.
    pub fn instants(
        &mut self,
        values: &ArrayRef,
    ) -> Result<Option<(Window, ArrayRef)>, ArrowError> {
        let Some(window) = self.window else { return Ok(None) };
        let Some(column) = self.columns.get_mut(window.column) else { return Ok(None) };
        let cells = Cells::new(values)?;
        for row in 0..values.len() {
            if cells.push(row, &mut column.reading, &mut column.builder).is_err() {
                column.builder.push_null();
            }
        }
        Ok(Some((window, column.builder.finish()?)))
    }

    fn reject(
        &self,
        source: &RecordBatch,
        row: usize,
        (at, fault): (usize, Fault),
        place: u32,
    ) -> Reject {
        let column = &self.columns[at];
        let value = match column.from {
            From::One(one) => shown(source.column(one), row),
            From::Joined(one, two) => {
                format!("{} {}", shown(source.column(one), row), shown(source.column(two), row))
            }
            From::Constant(_) => String::new(),
        };
        // What was put right is shown as what it means: bytes would say nothing to anybody.
        let raw = row_as_json_with(source, row, |one| self.meaning(source, row, one));
        let mut raw = raw.into_bytes();
        raw.truncate(REJECT_RAW_BYTES_MAX);
        Reject {
            row: place,
            line: 0,
            offset: 0,
            len: 0,
            rule: fault.rule().into(),
            column: Some(column.name.clone()),
            sqlstate: None,
            reason: fault.reason(&column.name, value.as_bytes()),
            raw,
        }
    }

    /// What a field's value means, where a column puts it right and can.
    fn meaning(&self, source: &RecordBatch, row: usize, one: usize) -> Option<String> {
        let of_field = |column: &&Column| matches!(column.from, From::One(field) if field == one);
        let column = self.columns.iter().find(of_field)?;
        Cells::new(source.column(one)).ok()?.meaning(row, &column.reading)
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
        faults: &mut Faults,
    ) -> Result<ArrayRef, DecodeError> {
        let cells = match &mut self.from {
            From::One(one) => Cells::new(source.column(*one))?,
            From::Joined(one, two) => Cells::joined(source.column(*one), source.column(*two))?,
            From::Constant(constant) => return constant.array(source.num_rows()),
        };
        if let Some(array) = cells.as_it_is(&self.reading) {
            return Ok(array);
        }
        for row in 0..source.num_rows() {
            if let Err(fault) = cells.push(row, &mut self.reading, &mut self.builder) {
                faults.entry(row).or_insert((at, fault));
                self.builder.push_null();
            }
        }
        Ok(self.builder.finish()?)
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
            [_] => can_become(field.data_type(), column.kind, column.rewrite.as_ref()),
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

/// The field of a mapping's window, if its values are ordered as the times that they mean.
pub(super) fn ordered_time(schema: &SchemaRef, mapping: &Mapping) -> Option<usize> {
    let column = mapping.columns.get(Window::of(mapping)?.column)?;
    let FieldSource::Field(field) = column.source else { return None };
    let plain = matches!(column.rewrite, None | Some(Rewrite::CutToMicros));
    let format = column.time.as_ref().map(|rule| &rule.format);
    let by_value = !matches!(format, None | Some(TimeFormat::Pattern(_)));
    let data_type = schema.fields().get(field)?.data_type();
    (plain && by_value && is_ordered(data_type)).then_some(field)
}
