//! A content whose layout is known: it is decoded, and what it holds is summed up.

use std::collections::{BTreeMap, VecDeque};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

use super::Reading;
use super::quality::{Places, Quality};
use super::read::{self, Piece};
use super::subject::{Subject, open_columns};
use crate::batch::{Reject, value_as_text};
use crate::command::CommandError;
use crate::dataset::{self, Dataset};
use crate::layout::Recognised;
use crate::mapping::{FieldSource, MappedColumn, Mapping, ValueKind};

/// Records that are shown from each end of the file.
const SAMPLE_ROWS: usize = 3;
/// Rules of rejects that are counted apart.
const RULES_MAX: usize = 100;

/// One column and what is in it.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    /// The field it comes from, as a person says it.
    pub from: String,
    pub kind: &'static str,
    pub nulls: u64,
    /// Least and greatest value, for numbers and times.
    pub range: Option<(String, String)>,
    bounds: Option<(f64, f64)>,
}

/// Rejects of one rule.
#[derive(Debug)]
pub(super) struct Refused {
    pub count: u64,
    /// Line (or record) and reason of the first.
    pub first: (u64, String),
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Known {
    pub columns: Vec<Column>,
    /// Names of fields that nothing loads.
    pub unused: Vec<String>,
    pub records: u64,
    pub good: u64,
    /// Records that another dataset takes, or that hold nothing.
    pub skipped: u64,
    /// Whether it was read to its end.
    pub whole: bool,
    /// Least and greatest time.
    pub range_us: Option<(i64, i64)>,
    pub refused: BTreeMap<String, Refused>,
    pub head: Vec<Vec<String>>,
    pub tail: VecDeque<Vec<String>>,
    /// Rows of other tables that belong to the records, by table.
    pub children: Vec<(String, u64)>,
    pub quality: Quality,
}

/// Reads a content, as far as it is not too large.
pub(super) fn inspect(
    subject: &Subject,
    recognised: &Recognised,
    reading: &mut Reading,
) -> Result<Known, CommandError> {
    let dataset = dataset::by_name(&recognised.dataset).ok_or_else(|| {
        CommandError::Refused(format!("{} is no dataset of this version", recognised.dataset))
    })?;
    let mapping = mapping(recognised, dataset);
    let names = names(subject, recognised);
    let columns = mapping.columns.iter().map(|column| Column {
        name: column.name.clone(),
        from: from(column, &names),
        kind: kind_name(column.kind),
        nulls: 0,
        range: None,
        bounds: None,
    });
    let mut known = Known {
        columns: columns.collect(),
        unused: recognised.other_fields.iter().map(|(name, _)| name.clone()).collect(),
        records: 0,
        good: 0,
        skipped: 0,
        whole: true,
        range_us: None,
        refused: BTreeMap::new(),
        head: Vec::new(),
        tail: VecDeque::new(),
        children: dataset.children.iter().map(|child| (child.table.to_string(), 0)).collect(),
        quality: Quality::new(places(&mapping, dataset), now_us()),
    };
    let take = |piece: Piece| known.add(&piece, &mapping);
    known.whole = match (&recognised.shape, &recognised.json, subject.location()) {
        (Some(shape), _, _) => {
            reading.content(subject, |input| read::text(input, shape, &mapping, take))?
        }
        (None, Some(shape), _) => {
            reading.content(subject, |input| read::json(input, shape, &mapping, take))?
        }
        (None, None, Some(location)) => {
            let source = open_columns(location, &subject.name)?;
            read::columns(&source, reading.rows_max, &mapping, take)?
        }
        (None, None, None) => false,
    };
    Ok(known)
}

/// Names of its fields by position.
fn names(subject: &Subject, recognised: &Recognised) -> Vec<String> {
    if let Some(shape) = &recognised.shape {
        return shape.header.clone().unwrap_or_default();
    }
    if let Some(shape) = &recognised.json {
        return shape.fields.iter().map(|path| path.join(".")).collect();
    }
    subject.parquet.iter().flatten().map(|(name, _)| name.clone()).collect()
}

fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// The mapping of a load into the dataset's own table.
pub(in crate::command) fn mapping(recognised: &Recognised, dataset: &Dataset) -> Mapping {
    let mut columns = Vec::new();
    for field in &recognised.fields {
        let Some(column) = dataset.column(&field.column) else { continue };
        columns.push(MappedColumn {
            name: column.name.to_owned(),
            source: field.source.clone(),
            kind: column.kind,
            time: field.time.clone(),
            rewrite: field.rewrite.clone(),
            required: column.required,
        });
    }
    let time_column = columns.iter().position(|column| Some(column.name.as_str()) == dataset.time);
    let dataset = dataset.name.to_owned();
    let (quirks, nulls) = (recognised.quirks.clone(), recognised.nulls.clone());
    Mapping { dataset, columns, time_column, from_us: None, to_us: None, quirks, nulls }
}

fn places(mapping: &Mapping, dataset: &Dataset) -> Places {
    let at = |name: &str| mapping.columns.iter().position(|column| column.name == name);
    let key: Vec<usize> = dataset.key.iter().filter_map(|name| at(name)).collect();
    let is_word = |at: &usize| mapping.columns[*at].kind == ValueKind::Word;
    let time = dataset.time.and_then(at);
    let other = |at: &usize| !is_word(at) && Some(*at) != time;
    let number = |name| at(name).filter(|at| mapping.columns[*at].kind == ValueKind::Float);
    let in_key = |at: &usize| key.contains(at) || Some(*at) == time;
    let compared = |at: &usize| !in_key(at) && mapping.columns[*at].kind != ValueKind::Json;
    let id = dataset.position.map(|position| at(position.id));
    Places {
        series: key.iter().copied().filter(is_word).collect(),
        extra: key.iter().copied().filter(other).collect(),
        time,
        bar: ["open", "high", "low", "close", "volume"].map(number),
        values: (0..mapping.columns.len()).filter(compared).collect(),
        id,
        stepwise: dataset.column("interval").is_some(),
    }
}

/// `field 3 "close"`, `fields 1 and 2`, `always BTCUSDT`.
fn from(column: &MappedColumn, names: &[String]) -> String {
    let field = |at: usize| match names.get(at).filter(|name| !name.is_empty()) {
        Some(name) => format!("{} {name:?}", at + 1),
        None => (at + 1).to_string(),
    };
    match &column.source {
        FieldSource::Field(at) => format!("field {}", field(*at)),
        FieldSource::Joined(one, two) => format!("fields {} and {}", field(*one), field(*two)),
        FieldSource::Constant(value) => format!("always {value}"),
    }
}

fn kind_name(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Word => "word",
        ValueKind::Text => "text",
        ValueKind::Float | ValueKind::Decimal => "number",
        ValueKind::Integer => "whole number",
        ValueKind::Time => "time",
        ValueKind::Date => "day",
        ValueKind::Bool => "true or false",
        ValueKind::Json => "JSON",
    }
}

impl Known {
    fn add(&mut self, piece: &Piece, mapping: &Mapping) {
        let batch = &piece.decoded.root;
        self.records += piece.decoded.read();
        self.good += batch.num_rows() as u64;
        self.skipped += piece.decoded.skipped;
        for child in &piece.decoded.children {
            // The root is the first of a dataset's tables.
            if let Some((_, rows)) = self.children.get_mut(child.table.wrapping_sub(1)) {
                *rows += child.rows.num_rows() as u64;
            }
        }
        self.quality.add(piece);
        for (at, column) in self.columns.iter_mut().enumerate() {
            column.add(batch.column(at));
        }
        if let Some(at) = mapping.time_column {
            let times = batch.column(at).as_primitive_opt::<TimestampMicrosecondType>();
            let bounds = times
                .and_then(|times| Some((arrow::compute::min(times)?, arrow::compute::max(times)?)));
            if let Some((min, max)) = bounds {
                let (least, most) = self.range_us.unwrap_or((min, max));
                self.range_us = Some((least.min(min), most.max(max)));
            }
        }
        let row = |row: usize| -> Vec<String> {
            let text = |column| value_as_text(column, row).unwrap_or_default();
            batch.columns().iter().map(text).collect()
        };
        let mut after_head = 0;
        while self.head.len() < SAMPLE_ROWS && after_head < batch.num_rows() {
            self.head.push(row(after_head));
            after_head += 1;
        }
        let last = batch.num_rows().saturating_sub(SAMPLE_ROWS).max(after_head);
        for at in last..batch.num_rows() {
            if self.tail.len() == SAMPLE_ROWS {
                self.tail.pop_front();
            }
            self.tail.push_back(row(at));
        }
        for reject in piece.decoded.rejects.iter(&piece.original) {
            self.refuse(&reject, piece);
        }
    }

    fn refuse(&mut self, reject: &Reject, piece: &Piece) {
        if let Some(refused) = self.refused.get_mut(&*reject.rule) {
            refused.count += 1;
        } else if self.refused.len() < RULES_MAX {
            let at = match piece.first_line {
                0 => piece.first_row + u64::from(reject.row),
                line => line + u64::from(reject.line),
            };
            let refused = Refused { count: 1, first: (at, reject.reason.clone()) };
            self.refused.insert(reject.rule.to_string(), refused);
        }
    }

    /// Whether every record would be rejected. One alone may be what is wrong, not the layout.
    pub fn nothing_good(&self) -> bool {
        self.good == 0 && self.rejected() > 1
    }

    /// Records that were refused.
    pub fn rejected(&self) -> u64 {
        self.refused.values().map(|refused| refused.count).sum()
    }
}

impl Column {
    fn add(&mut self, values: &dyn Array) {
        self.nulls += values.null_count() as u64;
        if let Some(times) = values.as_primitive_opt::<TimestampMicrosecondType>() {
            let bounds = (arrow::compute::min(times), arrow::compute::max(times));
            if let (Some(min), Some(max)) = bounds {
                self.widen(min as f64, max as f64, |us| super::show::instant(us as i64));
            }
            return;
        }
        let bounds = if let Some(numbers) = values.as_primitive_opt::<Float64Type>() {
            arrow::compute::min(numbers).zip(arrow::compute::max(numbers))
        } else if let Some(numbers) = values.as_primitive_opt::<Int64Type>() {
            let bounds = arrow::compute::min(numbers).zip(arrow::compute::max(numbers));
            bounds.map(|(min, max)| (min as f64, max as f64))
        } else {
            None
        };
        if let Some((min, max)) = bounds {
            self.widen(min, max, |number| number.to_string());
        }
    }

    fn widen(&mut self, min: f64, max: f64, show: impl Fn(f64) -> String) {
        let (least, most) = self.bounds.unwrap_or((min, max));
        let (least, most) = (least.min(min), most.max(max));
        self.bounds = Some((least, most));
        self.range = Some((show(least), show(most)));
    }
}
