//! Typed column builders: bytes go in, one value a row, and an Arrow array comes out. A row can be
//! taken back, so that a rejected record leaves no trace.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Date32Array, Float64Array, Int64Array,
    NullBufferBuilder, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;

use super::fault::Fault;
use super::number::{NumberFault, parse_float, parse_integer, push_decimal, trim};
use super::time::{TimeFault, TimeParser, checked_day, checked_instant};
use super::word::Words;
use super::zone::DAY_S;
use crate::json;
use crate::mapping::{TimeFormat, TimeRule, ValueKind, Zone};

/// The Arrow type that a kind becomes.
pub(super) fn data_type(kind: ValueKind) -> DataType {
    match kind {
        ValueKind::Word => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
        ValueKind::Text | ValueKind::Decimal | ValueKind::Json => DataType::Utf8,
        ValueKind::Float => DataType::Float64,
        ValueKind::Integer => DataType::Int64,
        ValueKind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ValueKind::Date => DataType::Date32,
        ValueKind::Bool => DataType::Boolean,
    }
}

/// A parser for a column's times; days may come without a rule and are ISO dates then.
pub(super) fn time_parser(rule: Option<&TimeRule>) -> TimeParser {
    let iso = TimeRule::new(TimeFormat::Auto, Zone::UTC);
    TimeParser::new(rule.unwrap_or(&iso))
}

/// The spellings of "nothing" in a source.
#[derive(Debug, Clone)]
pub(super) struct Nulls {
    spellings: Vec<Vec<u8>>,
    /// Whether some spelling starts with this byte.
    starts: [bool; 256],
}

impl Nulls {
    pub fn new(spellings: &[Vec<u8>]) -> Self {
        let mut starts = [false; 256];
        for first in spellings.iter().filter_map(|spelling| spelling.first()) {
            starts[usize::from(*first)] = true;
        }
        Self { spellings: spellings.to_vec(), starts }
    }

    /// Whether a trimmed value of this kind means "nothing". A word is nothing only when it is
    /// empty: `NA`, `NAN`, `NULL` and `TRUE` are tickers.
    #[inline]
    pub fn mean(&self, kind: ValueKind, value: &[u8]) -> bool {
        match value.first() {
            None => true,
            Some(first) if self.starts[usize::from(*first)] => {
                kind != ValueKind::Word && self.spellings.iter().any(|null| null == value)
            }
            Some(_) => false,
        }
    }
}

#[derive(Debug)]
enum Values {
    Word(Box<Words>),
    Text(Texts),
    Float(Vec<f64>),
    Decimal(Texts),
    Integer(Vec<i64>),
    Time(Vec<i64>, Box<TimeParser>),
    Date(Vec<i32>, Box<TimeParser>),
    Bool(BooleanBufferBuilder),
    Json(Texts),
}

/// Where a column stood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    rows: usize,
    /// Distinct words.
    words: usize,
}

/// Builds one column.
#[derive(Debug)]
pub(super) struct ColumnBuilder {
    values: Values,
    nulls: NullBufferBuilder,
    /// Rows of the array that was finished last: the best guess for the next.
    rows: usize,
}

impl ColumnBuilder {
    pub fn new(kind: ValueKind, rule: Option<&TimeRule>) -> Self {
        let values = match kind {
            ValueKind::Word => Values::Word(Box::default()),
            ValueKind::Text => Values::Text(Texts::new(0, 0)),
            ValueKind::Float => Values::Float(Vec::new()),
            ValueKind::Decimal => Values::Decimal(Texts::new(0, 0)),
            ValueKind::Integer => Values::Integer(Vec::new()),
            ValueKind::Time => Values::Time(Vec::new(), Box::new(time_parser(rule))),
            ValueKind::Date => Values::Date(Vec::new(), Box::new(time_parser(rule))),
            ValueKind::Bool => Values::Bool(BooleanBufferBuilder::new(0)),
            ValueKind::Json => Values::Json(Texts::new(0, 0)),
        };
        Self { values, nulls: NullBufferBuilder::new(0), rows: 0 }
    }

    /// Adds a value that is not null; on a fault nothing is added.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match &mut self.values {
            Values::Word(words) => words.push(trim(bytes))?,
            Values::Text(texts) => texts.push(bytes),
            Values::Float(values) => values.push(parse_float(bytes)?),
            Values::Decimal(texts) => {
                push_decimal(bytes, &mut texts.bytes)?;
                texts.end();
            }
            Values::Integer(values) => values.push(parse_integer(bytes)?),
            Values::Time(values, parser) => values.push(parser.parse(bytes)?),
            Values::Date(values, parser) => values.push(parser.parse_date(bytes)?),
            Values::Bool(values) => values.append(parse_bool(trim(bytes))?),
            Values::Json(texts) => {
                json::check(bytes)?;
                texts.push(bytes);
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Adds the values of one field of many records; one that means "nothing" is null. Returns
    /// whether all could be taken; if not, [`ColumnBuilder::undo`] what was.
    pub fn push_all<'a>(
        &mut self,
        fields: impl Iterator<Item = &'a [u8]>,
        nulls: &Nulls,
        (kind, required): (ValueKind, bool),
    ) -> bool {
        /// One loop for each kind, with nothing in it but that kind.
        fn each<'a>(
            mut fields: impl Iterator<Item = &'a [u8]>,
            is_null: impl Fn(&[u8]) -> bool,
            valid: &mut NullBufferBuilder,
            mut push: impl FnMut(Option<&[u8]>) -> bool,
        ) -> bool {
            fields.all(|field| {
                let field = trim(field);
                let value = (!is_null(field)).then_some(field);
                let taken = push(value);
                valid.append(value.is_some());
                taken
            })
        }
        let valid = &mut self.nulls;
        match &mut self.values {
            Values::Float(values) => each(
                fields,
                |field| nulls.mean(ValueKind::Float, field),
                valid,
                |value| {
                    let number = value.map_or(Ok(0.0), parse_float);
                    values.push(number.unwrap_or_default());
                    number.is_ok() && (value.is_some() || !required)
                },
            ),
            Values::Time(values, parser) => each(
                fields,
                |field| nulls.mean(ValueKind::Time, field),
                valid,
                |value| {
                    let instant = value.map_or(Ok(0), |value| parser.parse(value));
                    values.push(instant.unwrap_or_default());
                    instant.is_ok() && (value.is_some() || !required)
                },
            ),
            Values::Word(words) => each(
                fields,
                |field| nulls.mean(ValueKind::Word, field),
                valid,
                |value| match value {
                    Some(word) => words.push(word).is_ok(),
                    None => {
                        words.push_null();
                        !required
                    }
                },
            ),
            _ => {
                for field in fields {
                    let is_null = nulls.mean(kind, trim(field));
                    if (is_null && required) || (!is_null && self.push(field).is_err()) {
                        return false;
                    }
                    if is_null {
                        self.push_null();
                    }
                }
                true
            }
        }
    }

    /// Where the column stands, for [`ColumnBuilder::undo`].
    pub fn mark(&self) -> Mark {
        let words = match &self.values {
            Values::Word(words) => words.len(),
            _ => 0,
        };
        Mark { rows: self.nulls.len(), words }
    }

    /// Takes back everything since the mark.
    pub fn undo(&mut self, mark: Mark) {
        if let Values::Word(words) = &mut self.values {
            words.forget(mark.words);
        }
        self.truncate(mark.rows);
    }

    /// Adds a value that has a type already; on a fault nothing is added.
    pub fn push_value(&mut self, value: Value) -> Result<(), Fault> {
        match (&mut self.values, value) {
            (Values::Float(values), Value::Float(value)) => values.push(finite(value)?),
            (Values::Float(values), Value::Single(value)) => {
                values.push(finite(f64::from(value))?);
            }
            (Values::Float(values), Value::Integer(value)) => values.push(value as f64),
            (Values::Float(values), Value::Unsigned(value)) => values.push(value as f64),
            (Values::Integer(values), Value::Integer(value)) => values.push(value),
            (Values::Time(values, parser), Value::Integer(value)) => {
                values.push(parser.parse_integer(value)?);
            }
            (Values::Time(values, _), Value::Instant(us)) => values.push(checked_instant(us)?),
            (Values::Time(values, parser), Value::Local(us)) => {
                values.push(parser.instant_of_local(us)?);
            }
            (Values::Time(values, parser), Value::Day(days)) => {
                values.push(parser.instant_of_local(i64::from(days) * DAY_S * 1_000_000)?);
            }
            (Values::Date(values, _), Value::Day(days)) => values.push(checked_day(days)?),
            (Values::Date(values, parser), Value::Instant(us)) => values.push(parser.date_of(us)?),
            (Values::Date(values, _), Value::Local(us)) => {
                let days = us.div_euclid(DAY_S * 1_000_000);
                values.push(i32::try_from(days).map_err(|_| TimeFault::OutOfRange)?);
            }
            (Values::Bool(values), Value::Bool(value)) => values.append(value),
            (_, value) => return self.push(value.to_text()?.as_bytes()),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    pub fn push_null(&mut self) {
        match &mut self.values {
            Values::Word(words) => words.push_null(),
            Values::Text(texts) | Values::Decimal(texts) | Values::Json(texts) => texts.end(),
            Values::Float(values) => values.push(0.0),
            Values::Integer(values) | Values::Time(values, _) => values.push(0),
            Values::Date(values, _) => values.push(0),
            Values::Bool(values) => values.append(false),
        }
        self.nulls.append_null();
    }

    /// The instant that a value of a time column means, without adding it.
    pub fn peek_time(&mut self, bytes: &[u8]) -> Option<i64> {
        match &mut self.values {
            Values::Time(_, parser) => parser.parse(bytes).ok(),
            _ => None,
        }
    }

    /// Takes back the rows from `rows` on; at most the last one has been added.
    pub fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Word(words) => words.truncate(rows),
            Values::Text(texts) | Values::Decimal(texts) | Values::Json(texts) => {
                texts.truncate(rows);
            }
            Values::Float(values) => values.truncate(rows),
            Values::Integer(values) | Values::Time(values, _) => values.truncate(rows),
            Values::Date(values, _) => values.truncate(rows),
            Values::Bool(values) => values.truncate(rows),
        }
        self.nulls.truncate(rows);
    }

    /// The array of all rows; the builder starts anew.
    pub fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.rows = self.nulls.len();
        let room = self.rows + self.rows / 16;
        let nulls = self.nulls.finish();
        Ok(match &mut self.values {
            Values::Word(words) => words.finish(room, nulls)?,
            Values::Text(texts) | Values::Decimal(texts) | Values::Json(texts) => {
                Arc::new(texts.finish(room, nulls)?)
            }
            Values::Float(values) => {
                Arc::new(Float64Array::try_new(take(values, room).into(), nulls)?)
            }
            Values::Integer(values) => {
                Arc::new(Int64Array::try_new(take(values, room).into(), nulls)?)
            }
            Values::Time(values, _) => Arc::new(
                TimestampMicrosecondArray::try_new(take(values, room).into(), nulls)?
                    .with_timezone("UTC"),
            ),
            Values::Date(values, _) => {
                Arc::new(Date32Array::try_new(take(values, room).into(), nulls)?)
            }
            Values::Bool(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
        })
    }
}

/// A value that comes with a type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Integer(i64),
    Unsigned(u64),
    Single(f32),
    Float(f64),
    Bool(bool),
    /// Days from 1970-01-01.
    Day(i32),
    /// Microseconds from 1970 UTC.
    Instant(i64),
    /// Microseconds from 1970 in the column's zone.
    Local(i64),
}

impl Value {
    /// The shortest text that reads back as the same value.
    fn to_text(self) -> Result<String, Fault> {
        Ok(match self {
            Value::Integer(value) => value.to_string(),
            Value::Unsigned(value) => value.to_string(),
            Value::Single(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Bool(value) => value.to_string(),
            // Kinds that could not take these were refused before any value was read.
            Value::Day(_) | Value::Instant(_) | Value::Local(_) => {
                return Err(TimeFault::Bad.into());
            }
        })
    }
}

fn finite(value: f64) -> Result<f64, Fault> {
    if value.is_finite() { Ok(value) } else { Err(NumberFault::NotFinite.into()) }
}

/// The vector, with an empty one of the given room in its place.
pub(super) fn take<T>(values: &mut Vec<T>, room: usize) -> Vec<T> {
    std::mem::replace(values, Vec::with_capacity(room))
}

fn parse_bool(value: &[u8]) -> Result<bool, Fault> {
    let is = |word: &str| value.eq_ignore_ascii_case(word.as_bytes());
    if ["true", "t", "yes", "y", "1"].into_iter().any(is) {
        Ok(true)
    } else if ["false", "f", "no", "n", "0"].into_iter().any(is) {
        Ok(false)
    } else {
        Err(Fault::Boolean)
    }
}

/// Strings, one after another.
#[derive(Debug)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Where each string starts, and where the last one ends. A chunk is far below 2 GiB.
    offsets: Vec<i32>,
}

impl Texts {
    pub(super) fn new(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { bytes: Vec::with_capacity(bytes), offsets }
    }

    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.end();
    }

    pub(super) fn end(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
    }

    pub(super) fn get(&self, at: usize) -> &[u8] {
        &self.bytes[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    pub(super) fn finish(
        &mut self,
        room: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<StringArray, ArrowError> {
        let texts = std::mem::replace(self, Texts::new(room, self.bytes.len()));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(texts.offsets));
        StringArray::try_new(offsets, Buffer::from_vec(texts.bytes), nulls)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn words(array: &ArrayRef) -> (Vec<String>, Vec<Option<i32>>) {
        let dictionary = array.as_dictionary::<Int32Type>();
        let values = dictionary.values().as_string::<i32>();
        (values.iter().flatten().map(str::to_owned).collect(), dictionary.keys().iter().collect())
    }

    #[test]
    fn words_are_coded_by_first_appearance_and_taken_back() {
        let mut column = ColumnBuilder::new(ValueKind::Word, None);
        for word in ["B", " A ", "B"] {
            column.push(word.as_bytes()).unwrap();
        }
        column.push_null();
        column.push(b"X").unwrap();
        column.truncate(4);
        column.push(b"C").unwrap();
        column.push(b"X").unwrap();
        let array = column.finish().unwrap();
        let want = ["B", "A", "C", "X"].map(str::to_owned).to_vec();
        assert_eq!(words(&array), (want, vec![Some(0), Some(1), Some(0), None, Some(2), Some(3)]));
        column.push(b"A").unwrap();
        assert_eq!(words(&column.finish().unwrap()), (vec!["A".to_owned()], vec![Some(0)]));
    }

    #[test]
    fn a_known_word_taken_back_stays_known() {
        let mut column = ColumnBuilder::new(ValueKind::Word, None);
        column.push(b"A").unwrap();
        column.push(b"A").unwrap();
        column.truncate(1);
        column.push(b"X").unwrap();
        column.truncate(1);
        column.push(b"A").unwrap();
        column.truncate(1);
        let array = column.finish().unwrap();
        assert_eq!(words(&array), (vec!["A".to_owned()], vec![Some(0)]));
    }

    #[test]
    fn many_words_are_told_apart() {
        let mut column = ColumnBuilder::new(ValueKind::Word, None);
        let all: Vec<String> = (0..3_000).map(|i| format!("ticker-{}-{i}", i % 7)).collect();
        for word in all.iter().chain(&all) {
            column.push(word.as_bytes()).unwrap();
        }
        let array = column.finish().unwrap();
        let (values, keys) = words(&array);
        assert_eq!(values, all);
        assert!(keys.iter().enumerate().all(|(row, key)| *key == Some((row % 3_000) as i32)));
    }

    #[test]
    fn every_kind_takes_rows_back_and_has_its_type() {
        let samples: [(ValueKind, &str); 9] = [
            (ValueKind::Word, "w"),
            (ValueKind::Text, "text"),
            (ValueKind::Float, "1.5"),
            (ValueKind::Decimal, "1.50"),
            (ValueKind::Integer, "7"),
            (ValueKind::Time, "2024-01-02T03:04:05Z"),
            (ValueKind::Date, "2024-01-02"),
            (ValueKind::Bool, "True"),
            (ValueKind::Json, "{\"a\": 1}"),
        ];
        for (kind, text) in samples {
            let mut column = ColumnBuilder::new(kind, None);
            column.push(text.as_bytes()).unwrap();
            column.push_null();
            column.push(text.as_bytes()).unwrap();
            column.truncate(2);
            column.push(text.as_bytes()).unwrap();
            let array = column.finish().unwrap();
            assert_eq!(*array.data_type(), data_type(kind));
            assert_eq!((array.len(), array.null_count()), (3, 1), "{kind:?}");
            assert!(array.is_null(1));
            assert_eq!(array.slice(0, 1).to_data(), array.slice(2, 1).to_data(), "{kind:?}");
            assert_eq!(column.finish().unwrap().len(), 0);
        }
    }

    #[test]
    fn null_spellings_are_exact_and_spare_words() {
        let nulls = Nulls::new(&[b"null".to_vec(), b"-".to_vec()]);
        assert!(nulls.mean(ValueKind::Float, b"") && nulls.mean(ValueKind::Word, b""));
        assert!(nulls.mean(ValueKind::Float, b"null") && nulls.mean(ValueKind::Text, b"-"));
        assert!(!nulls.mean(ValueKind::Float, b"NULL") && !nulls.mean(ValueKind::Float, b"-1"));
        assert!(!nulls.mean(ValueKind::Word, b"null"));
    }

    #[test]
    fn booleans_have_their_spellings() {
        assert_eq!(parse_bool(b"TRUE"), Ok(true));
        assert_eq!(parse_bool(b"0"), Ok(false));
        assert_eq!(parse_bool(b"maybe"), Err(Fault::Boolean));
    }
}
