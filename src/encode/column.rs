//! One column: which pairs of Arrow type and target type can be encoded, and how. The one table of
//! pairs, [`Column::feed`], serves both the writer and the fault finder. It changes no value and
//! looks at no database.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Field, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};

use super::EncodeError;
use super::numeric::{self, Decimal, Limits};
use super::value::{self, Wrong};
use crate::column::{CHECKED_JSON, PgType, TargetColumn};

/// The only version of the binary form of `jsonb`, which goes before its text.
const JSONB_VERSION: u8 = 1;

/// What a batch column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Float,
    Long,
    Int,
    Text,
    Word,
    Time,
    Day,
    Bool,
}

impl Source {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Float64 => Source::Float,
            DataType::Int64 => Source::Long,
            DataType::Int32 => Source::Int,
            DataType::Utf8 => Source::Text,
            DataType::Dictionary(key, word)
                if **key == DataType::Int32 && **word == DataType::Utf8 =>
            {
                Source::Word
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => Source::Time,
            DataType::Date32 => Source::Day,
            DataType::Boolean => Source::Bool,
            _ => return None,
        })
    }

    /// Whether a column of this type can be sent to a column of that one.
    fn goes_to(self, target: PgType) -> bool {
        use PgType::{
            Bool, Date, Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Numeric, Text, Timestamp,
            Timestamptz, Uuid,
        };
        match self {
            Source::Float | Source::Long | Source::Int => {
                matches!(target, Int2 | Int4 | Int8 | Float4 | Float8 | Numeric(_) | Text(_))
            }
            Source::Text => {
                matches!(target, Numeric(_) | Float4 | Float8 | Text(_) | Json | Jsonb | Uuid)
            }
            Source::Word => matches!(target, Text(_)),
            Source::Time | Source::Day => matches!(target, Timestamptz | Timestamp | Date),
            Source::Bool => matches!(target, Bool | Text(_)),
        }
    }

    /// Types that a column of this type can be sent to, for advice.
    fn targets(self) -> &'static str {
        match self {
            Source::Float | Source::Long | Source::Int => {
                "double precision, real, numeric, bigint, integer, smallint or text"
            }
            Source::Text => "text, varchar, numeric, double precision, real, json, jsonb or uuid",
            Source::Word => "text or varchar",
            Source::Time | Source::Day => "timestamptz, timestamp or date",
            Source::Bool => "boolean or text",
        }
    }
}

/// How one column is encoded.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) source: Source,
    pub(super) target: PgType,
    data_type: DataType,
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) not_null: bool,
    /// Whether its texts were found to be JSON before.
    checked_json: bool,
}

impl Plan {
    pub(super) fn new(field: &Field, target: &TargetColumn) -> Result<Self, EncodeError> {
        let data_type = field.data_type();
        let unsupported = |advice: String| EncodeError::Unsupported {
            column: target.name.clone(),
            arrow: data_type.clone(),
            target: target.type_name.clone(),
            advice,
        };
        if target.generated {
            return Err(unsupported(
                "the server generates this column: leave it out of the mapping".to_owned(),
            ));
        }
        let Some(source) = Source::of(data_type) else {
            return Err(unsupported("leave the column out, or convert the source".to_owned()));
        };
        match target.pg_type {
            Some(pg_type) if source.goes_to(pg_type) => Ok(Self {
                source,
                target: pg_type,
                data_type: data_type.clone(),
                name: target.name.clone(),
                type_name: target.type_name.clone(),
                not_null: target.not_null,
                checked_json: field.metadata().contains_key(CHECKED_JSON),
            }),
            _ => Err(unsupported(format!(
                "leave the column out, or make it {} in the table",
                source.targets()
            ))),
        }
    }

    /// Bytes of a value on the wire, without its length, if all values have as many.
    pub(super) fn width(&self) -> Option<usize> {
        match self.target {
            PgType::Bool => Some(1),
            PgType::Int2 => Some(2),
            PgType::Int4 | PgType::Float4 | PgType::Date => Some(4),
            PgType::Int8 | PgType::Float8 | PgType::Timestamptz | PgType::Timestamp => Some(8),
            PgType::Uuid => Some(16),
            PgType::Numeric(_) | PgType::Text(_) | PgType::Json | PgType::Jsonb => None,
        }
    }

    /// Whether every value that is not NULL can be sent.
    fn is_total(&self) -> bool {
        if self.checked_json && self.target == PgType::Json {
            return true;
        }
        matches!(
            (self.source, self.target),
            (Source::Float, PgType::Float8)
                | (Source::Long, PgType::Int8)
                | (Source::Int, PgType::Int8 | PgType::Int4 | PgType::Float8)
                | (Source::Float | Source::Long | Source::Int | Source::Bool, PgType::Text(None))
                | (Source::Long | Source::Int, PgType::Numeric(None))
                | (Source::Bool, PgType::Bool)
        )
    }
}

/// A dictionary's words, ready to be copied with their lengths.
#[derive(Debug)]
pub(super) struct Words {
    bytes: Vec<u8>,
    /// For each word where it is in `bytes`, or why it cannot be sent.
    places: Vec<Result<(u32, u32), Wrong>>,
}

impl Words {
    fn new(words: &StringArray, chars_max: Option<u32>) -> Self {
        let mut bytes = Vec::new();
        let places = words.iter().map(|word| {
            let word = word.unwrap_or_default().as_bytes();
            value::text_fits(word, chars_max)?;
            let start = bytes.len() as u32;
            bytes.extend_from_slice(&(word.len() as u32).to_be_bytes());
            bytes.extend_from_slice(word);
            Ok((start, bytes.len() as u32))
        });
        let places = places.collect();
        Self { bytes, places }
    }

    fn get(&self, key: i32) -> Result<&[u8], Wrong> {
        let place = self.places.get(key as usize).copied().unwrap_or(Err(Wrong::Null))?;
        Ok(&self.bytes[place.0 as usize..place.1 as usize])
    }
}

/// The values of a column, typed once for a batch.
#[derive(Debug)]
enum Values<'a> {
    Float(&'a [f64]),
    Long(&'a [i64]),
    Int(&'a [i32]),
    Text(&'a StringArray),
    Word(&'a [i32], Words),
    Bool(&'a BooleanArray),
}

/// A column of one batch, ready to be encoded or checked.
#[derive(Debug)]
pub(super) struct Column<'a> {
    /// Its position in the batch.
    pub(super) at: usize,
    pub(super) plan: &'a Plan,
    values: Values<'a>,
    nulls: Option<NullBuffer>,
}

/// What is done with a column's values: measured, written or checked. `value` is asked only for
/// rows that are not NULL.
pub(super) trait Sink {
    /// Values of one width; `N` counts the four bytes of the length, which the value includes.
    fn fixed<const N: usize>(
        &mut self,
        value: impl Fn(usize) -> Result<[u8; N], Wrong>,
    ) -> Result<(), (usize, Wrong)>;

    /// Values that stand somewhere as they are sent, with their length.
    fn framed<'v>(
        &mut self,
        value: impl Fn(usize) -> Result<&'v [u8], Wrong>,
    ) -> Result<(), (usize, Wrong)>;

    /// Values that stand somewhere as they are sent, without their length.
    fn plain<'v>(
        &mut self,
        value: impl Fn(usize) -> &'v [u8],
        check: impl Fn(&'v [u8]) -> Result<(), Wrong>,
    ) -> Result<(), (usize, Wrong)>;

    /// Values that have to be built, without their length. `check` says whether `build` will do,
    /// and may leave anything in the scratch that it gets.
    fn built(
        &mut self,
        build: impl Fn(usize, &mut Vec<u8>) -> Result<(), Wrong>,
        check: impl Fn(usize, &mut Vec<u8>) -> Result<(), Wrong>,
    ) -> Result<(), (usize, Wrong)>;
}

impl<'a> Column<'a> {
    /// Columns of a batch, in order.
    pub(super) fn bind(
        plans: &'a [Plan],
        batch: &'a RecordBatch,
    ) -> Result<Vec<Self>, EncodeError> {
        if plans.len() != batch.num_columns() {
            return Err(EncodeError::ColumnCount {
                columns: batch.num_columns(),
                targets: plans.len(),
            });
        }
        let pairs = plans.iter().zip(batch.columns()).enumerate();
        pairs.map(|(at, (plan, array))| Self::new(at, plan, array)).collect()
    }

    fn new(at: usize, plan: &'a Plan, array: &'a ArrayRef) -> Result<Self, EncodeError> {
        if *array.data_type() != plan.data_type {
            return Err(EncodeError::BatchType {
                column: plan.name.clone(),
                expected: plan.data_type.clone(),
                found: array.data_type().clone(),
            });
        }
        let values = match plan.source {
            Source::Float => Values::Float(array.as_primitive::<Float64Type>().values()),
            Source::Long => Values::Long(array.as_primitive::<Int64Type>().values()),
            Source::Int => Values::Int(array.as_primitive::<Int32Type>().values()),
            Source::Text => Values::Text(array.as_string::<i32>()),
            Source::Time => Values::Long(array.as_primitive::<TimestampMicrosecondType>().values()),
            Source::Day => Values::Int(array.as_primitive::<Date32Type>().values()),
            Source::Bool => Values::Bool(array.as_boolean()),
            Source::Word => {
                let chars_max = match plan.target {
                    PgType::Text(max) => max,
                    _ => None,
                };
                let words = array.as_dictionary::<Int32Type>();
                let spelled = Words::new(words.values().as_string::<i32>(), chars_max);
                Values::Word(words.keys().values(), spelled)
            }
        };
        let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        Ok(Self { at, plan, values, nulls })
    }

    /// The rows that are NULL, if there is one.
    pub(super) fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// Whether every value of this batch can be sent, as far as types alone can tell.
    pub(super) fn is_sure(&self) -> bool {
        match &self.values {
            Values::Word(_, words) => words.places.iter().all(Result::is_ok),
            _ => self.plan.is_total(),
        }
    }

    /// Hands the values to `sink` in the form that the target type has on the wire.
    pub(super) fn feed(&self, sink: &mut impl Sink) -> Result<(), (usize, Wrong)> {
        match (&self.values, self.plan.source) {
            (Values::Float(values), _) => floats(values, self.plan.target, sink),
            (Values::Long(values), Source::Time) => times(values, self.plan.target, sink),
            (Values::Long(values), _) => integers(|row| values[row], self.plan.target, sink),
            (Values::Int(values), Source::Day) => days(values, self.plan.target, sink),
            (Values::Int(values), _) => {
                integers(|row| i64::from(values[row]), self.plan.target, sink)
            }
            (Values::Text(values), _) if self.plan.is_total() => {
                sink.plain(|row| values.value(row).as_bytes(), |_| Ok(()))
            }
            (Values::Text(values), _) => texts(values, self.plan.target, sink),
            (Values::Word(keys, words), _) => sink.framed(|row| words.get(keys[row])),
            (Values::Bool(values), _) => bools(values, self.plan.target, sink),
        }
    }
}

type Fed = Result<(), (usize, Wrong)>;

fn floats(values: &[f64], target: PgType, sink: &mut impl Sink) -> Fed {
    match target {
        PgType::Float8 => sink.fixed(|row| Ok(field8(values[row].to_be_bytes()))),
        PgType::Float4 => {
            sink.fixed(|row| Ok(field4(value::float_to_float4(values[row])?.to_be_bytes())))
        }
        PgType::Numeric(limits) => {
            let build =
                |row: usize, out: &mut Vec<u8>| numeric::encode_float(values[row], limits, out);
            if limits.is_some() {
                return sink.built(build, build);
            }
            let finite = |row: usize| values[row].is_finite();
            sink.built(build, |row, _| finite(row).then_some(()).ok_or(Wrong::NotFinite))
        }
        PgType::Text(max) => {
            let build = |row: usize, out: &mut Vec<u8>| put_display(values[row], max, out);
            sink.built(build, build)
        }
        PgType::Int8 => {
            sink.fixed(|row| Ok(field8(value::float_to_integer(values[row])?.to_be_bytes())))
        }
        PgType::Int4 => sink.fixed(|row| int4(value::float_to_integer(values[row])?)),
        PgType::Int2 => sink.fixed(|row| int2(value::float_to_integer(values[row])?)),
        _ => Ok(()),
    }
}

fn integers(value: impl Fn(usize) -> i64, target: PgType, sink: &mut impl Sink) -> Fed {
    match target {
        PgType::Int8 => sink.fixed(|row| Ok(field8(value(row).to_be_bytes()))),
        PgType::Int4 => sink.fixed(|row| int4(value(row))),
        PgType::Int2 => sink.fixed(|row| int2(value(row))),
        PgType::Float8 => {
            sink.fixed(|row| Ok(field8(value::integer_to_float8(value(row))?.to_be_bytes())))
        }
        PgType::Float4 => {
            sink.fixed(|row| Ok(field4(value::integer_to_float4(value(row))?.to_be_bytes())))
        }
        PgType::Numeric(limits) => sink.built(
            |row, out| {
                numeric::integer_fits(value(row), limits)?;
                numeric::encode_integer(value(row), out);
                Ok(())
            },
            |row, _| numeric::integer_fits(value(row), limits),
        ),
        PgType::Text(max) => {
            let build = |row: usize, out: &mut Vec<u8>| put_display(value(row), max, out);
            sink.built(build, build)
        }
        _ => Ok(()),
    }
}

fn texts(values: &StringArray, target: PgType, sink: &mut impl Sink) -> Fed {
    match target {
        PgType::Text(max) => {
            sink.plain(|row| values.value(row).as_bytes(), |text| value::text_fits(text, max))
        }
        PgType::Numeric(limits) => sink.built(
            |row, out| {
                literal(values.value(row), limits)?.encode(out);
                Ok(())
            },
            |row, _| literal(values.value(row), limits).map(drop),
        ),
        PgType::Float8 => {
            sink.fixed(|row| Ok(field8(value::literal_to_float8(values.value(row))?.to_be_bytes())))
        }
        PgType::Float4 => {
            sink.fixed(|row| Ok(field4(value::literal_to_float4(values.value(row))?.to_be_bytes())))
        }
        PgType::Json => sink.plain(|row| values.value(row).as_bytes(), value::json_fits),
        PgType::Jsonb => sink.built(
            |row, out| {
                let text = values.value(row).as_bytes();
                value::jsonb_fits(text)?;
                out.push(JSONB_VERSION);
                out.extend_from_slice(text);
                Ok(())
            },
            |row, _| value::jsonb_fits(values.value(row).as_bytes()),
        ),
        PgType::Uuid => sink.fixed(|row| Ok(field16(value::text_to_uuid(values.value(row))?))),
        _ => Ok(()),
    }
}

fn times(values: &[i64], target: PgType, sink: &mut impl Sink) -> Fed {
    match target {
        PgType::Timestamptz | PgType::Timestamp => {
            sink.fixed(|row| Ok(field8(value::time_to_timestamp(values[row])?.to_be_bytes())))
        }
        PgType::Date => {
            sink.fixed(|row| Ok(field4(value::time_to_date(values[row])?.to_be_bytes())))
        }
        _ => Ok(()),
    }
}

fn days(values: &[i32], target: PgType, sink: &mut impl Sink) -> Fed {
    match target {
        PgType::Timestamptz | PgType::Timestamp => {
            sink.fixed(|row| Ok(field8(value::days_to_timestamp(values[row])?.to_be_bytes())))
        }
        PgType::Date => {
            sink.fixed(|row| Ok(field4(value::days_to_date(i64::from(values[row]))?.to_be_bytes())))
        }
        _ => Ok(()),
    }
}

fn bools(values: &BooleanArray, target: PgType, sink: &mut impl Sink) -> Fed {
    match target {
        PgType::Bool => sink.fixed(|row| Ok([0, 0, 0, 1, u8::from(values.value(row))])),
        PgType::Text(max) => {
            let build = |row: usize, out: &mut Vec<u8>| put_display(values.value(row), max, out);
            sink.built(build, build)
        }
        _ => Ok(()),
    }
}

fn literal(text: &str, limits: Limits) -> Result<Decimal<'_>, Wrong> {
    let decimal = Decimal::parse(text.as_bytes()).ok_or(Wrong::NotANumber)?;
    decimal.fits(limits).map(|()| decimal)
}

fn put_display(
    value: impl std::fmt::Display,
    chars_max: Option<u32>,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    use std::io::Write as _;
    let start = out.len();
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
    value::text_fits(&out[start..], chars_max)
}

fn int4(value: i64) -> Result<[u8; 8], Wrong> {
    i32::try_from(value).map(|value| field4(value.to_be_bytes())).map_err(|_| Wrong::Range)
}

fn int2(value: i64) -> Result<[u8; 6], Wrong> {
    let [a, b] = i16::try_from(value).map_err(|_| Wrong::Range)?.to_be_bytes();
    Ok([0, 0, 0, 2, a, b])
}

fn field4([a, b, c, d]: [u8; 4]) -> [u8; 8] {
    [0, 0, 0, 4, a, b, c, d]
}

fn field16(uuid: [u8; 16]) -> [u8; 20] {
    let mut field = [0; 20];
    field[3] = 16;
    field[4..].copy_from_slice(&uuid);
    field
}

fn field8([a, b, c, d, e, f, g, h]: [u8; 8]) -> [u8; 12] {
    [0, 0, 0, 8, a, b, c, d, e, f, g, h]
}
