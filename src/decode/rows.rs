//! Rows of a text or JSON batch: the fields of one record go to their columns, or leave no trace.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use super::DecodeError;
use super::column::{ColumnBuilder, Mark, Nulls};
use super::common::{Constant, Window, batch_schema};
use super::fault::Fault;
use super::number::trim;
use super::quirk;
use super::record::Lines;
use super::rewrite::Rewriter;
use crate::mapping::{FieldSource, MappedColumn, Mapping, Sieve, TimeFormat, ValueKind};

/// The columns of the batch that grows.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<Column>,
    schema: SchemaRef,
    nulls: Nulls,
    window: Option<Window>,
    /// Open, high, low and close, if a record without them is no record of a bar.
    idle: Option<[usize; 4]>,
    /// The same, if zeros mean that nothing was traded.
    untraded: Option<[usize; 4]>,
    /// Which records are taken, if not all.
    sieve: Option<Sieve>,
    /// A value that is not a field as it stands.
    made: Vec<u8>,
    /// Two fields that are joined before they are put right.
    joined: Vec<u8>,
    /// Rows of the last batch: the best guess for the next.
    expected: usize,
    /// Where the columns stood before the lines that are being taken.
    marks: Vec<Mark>,
}

#[derive(Debug)]
struct Column {
    name: String,
    source: Source,
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

/// Where a column's values come from.
#[derive(Debug)]
enum Source {
    Field(usize),
    Joined(usize, usize),
    Rewritten(usize, Rewriter),
    JoinedRewritten(usize, usize, Rewriter),
    Constant,
}

impl Source {
    fn of(column: &MappedColumn) -> Self {
        match (&column.source, &column.rewrite) {
            (FieldSource::Field(at), Some(rewrite)) => {
                Source::Rewritten(*at, Rewriter::new(rewrite))
            }
            (FieldSource::Field(at), None) => Source::Field(*at),
            (FieldSource::Joined(one, two), Some(rewrite)) => {
                Source::JoinedRewritten(*one, *two, Rewriter::new(rewrite))
            }
            (FieldSource::Joined(one, two), None) => Source::Joined(*one, *two),
            (FieldSource::Constant(_), _) => Source::Constant,
        }
    }
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
            let dayless = TimeFormat::MillisOfDay(None);
            let rule = column.time.as_ref().filter(|rule| rule.format != dayless);
            if column.kind == ValueKind::Time && rule.is_none() {
                return Err(DecodeError::NoTimeRule { column: name });
            }
            let constant = match &column.source {
                FieldSource::Constant(text) => Some(Constant::new(column, text)?),
                _ => None,
            };
            let column = Column {
                name,
                source: Source::of(column),
                kind: column.kind,
                required: column.required,
                builder: ColumnBuilder::new(column.kind, column.time.as_ref()),
                constant,
            };
            columns.push(column);
        }
        let prices = |asked: bool| asked.then(|| quirk::price_columns(mapping)).flatten();
        Ok(Self {
            schema: batch_schema(mapping),
            columns,
            nulls: Nulls::new(nulls),
            window: Window::of(mapping),
            idle: prices(mapping.quirks.idle_skipped),
            untraded: prices(mapping.quirks.zero_untraded),
            sieve: mapping.quirks.sieve.clone(),
            made: Vec::new(),
            joined: Vec::new(),
            expected: 0,
            marks: Vec::new(),
        })
    }

    /// Whether a record is another load's, whatever else may be wrong with it.
    #[inline]
    pub fn passes_over(&self, record: &impl Record) -> bool {
        self.sieve.as_ref().is_some_and(|sieve| !sieve.passes(record.field(sieve.field)))
    }

    /// Adds a record's row. `Ok(false)`: it lies outside the window, or tells of an idle interval.
    #[inline]
    pub fn take(&mut self, record: &impl Record, row: usize) -> Result<bool, ColumnFault> {
        if self.window.is_some() && self.is_outside(record) {
            return Ok(false);
        }
        for (at, column) in self.columns.iter_mut().enumerate() {
            let value = match &mut column.source {
                Source::Field(field) => record.field(*field),
                Source::Joined(one, two) => {
                    join(record, (*one, *two), &self.nulls, &mut self.made);
                    &self.made
                }
                Source::Rewritten(field, rewriter) => {
                    let value = record.field(*field);
                    if self.nulls.mean(column.kind, trim(value)) {
                        value
                    } else {
                        match rewriter.rewrite(value, &mut self.made) {
                            Ok(()) => &self.made,
                            Err(fault) => {
                                self.take_back(at, row);
                                return Err((at, fault));
                            }
                        }
                    }
                }
                Source::JoinedRewritten(one, two, rewriter) => {
                    join(record, (*one, *two), &self.nulls, &mut self.joined);
                    match rewriter.rewrite(&self.joined, &mut self.made) {
                        Ok(()) => &self.made,
                        Err(fault) => {
                            self.take_back(at, row);
                            return Err((at, fault));
                        }
                    }
                }
                Source::Constant => continue,
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
                self.take_back(at, row);
                let idle = fault == Fault::Null && self.is_idle(record);
                return if idle { Ok(false) } else { Err((at, fault)) };
            }
        }
        Ok(true)
    }

    /// Whether rows can be taken column by column: every column is a field as it stands, or the
    /// same for all, and every record is wanted.
    pub fn is_plain(&self) -> bool {
        let is_plain =
            |column: &Column| matches!(column.source, Source::Field(_) | Source::Constant);
        self.window.is_none() && self.sieve.is_none() && self.columns.iter().all(is_plain)
    }

    /// Adds the rows of all lines, or none: where some record is refused or passed over, they are
    /// to be taken one by one. Rows must be [plain](Rows::is_plain).
    pub fn take_all(&mut self, lines: &Lines, bytes: &[u8]) -> bool {
        self.marks.clear();
        self.marks.extend(self.columns.iter().map(|column| column.builder.mark()));
        let nulls = &self.nulls;
        let taken = self.columns.iter_mut().all(|column| {
            let Source::Field(field) = column.source else { return true };
            let fields = lines.column(bytes, field);
            column.builder.push_all(fields, nulls, (column.kind, column.required))
        });
        if !taken {
            for (column, mark) in self.columns.iter_mut().zip(&self.marks) {
                column.builder.undo(*mark);
            }
        }
        taken
    }

    /// Takes the row back from the columns before the one at fault.
    fn take_back(&mut self, at: usize, row: usize) {
        for column in &mut self.columns[..at] {
            column.builder.truncate(row);
        }
    }

    /// Whether the record is one of an interval in which nothing was traded.
    #[cold]
    fn is_idle(&self, record: &impl Record) -> bool {
        let nothing = |at: &usize| match &self.columns[*at].source {
            Source::Field(field) | Source::Rewritten(field, _) => {
                let value = record.field(*field);
                self.nulls.mean(self.columns[*at].kind, trim(value))
            }
            Source::Joined(..) | Source::JoinedRewritten(..) | Source::Constant => false,
        };
        self.idle.is_some_and(|prices| prices.iter().all(nothing))
    }

    fn is_outside(&mut self, record: &impl Record) -> bool {
        let Some(window) = self.window else { return false };
        let Some(column) = self.columns.get_mut(window.column) else { return false };
        let value = match &mut column.source {
            Source::Field(field) => record.field(*field),
            Source::Rewritten(field, rewriter) => {
                let value = record.field(*field);
                // What cannot be put right is refused when its row is taken.
                if rewriter.rewrite(value, &mut self.made).is_err() {
                    return false;
                }
                &self.made
            }
            Source::Joined(one, two) | Source::JoinedRewritten(one, two, _) => {
                join(record, (*one, *two), &self.nulls, &mut self.made);
                &self.made
            }
            Source::Constant => column.constant.as_ref().map_or(&b""[..], Constant::bytes),
        };
        column.builder.peek_time(value).is_some_and(|ts| window.excludes(ts))
    }

    /// The name of the column at fault, and what is wrong with its value.
    #[cold]
    pub fn explain(&mut self, fault: ColumnFault, record: &impl Record) -> (String, String) {
        let (at, fault) = fault;
        let column = &self.columns[at];
        let value = match column.source {
            Source::Field(field) | Source::Rewritten(field, _) => record.field(field),
            Source::Joined(one, two) | Source::JoinedRewritten(one, two, _) => {
                join(record, (one, two), &self.nulls, &mut self.made);
                &self.made
            }
            Source::Constant => b"",
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
        let mut arrays = arrays?;
        if let Some(prices) = self.untraded {
            quirk::untraded_to_null(&mut arrays, prices)?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?)
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
