//! Columns of a file with types, as its reader hands them over, reduced to the few forms that
//! values are read from, and which of them can become which kind. A value is read as exactly what
//! it is; what has to be put right first goes through its text, as fields of a text do.

use std::io::Write as _;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray,
    Int64Array, NullArray, PrimitiveArray, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float32Type, Float64Type, TimeUnit, UInt64Type};
use arrow::error::ArrowError;

use crate::decode::column::{ColumnBuilder, Nulls, Value};
use crate::decode::fault::Fault;
use crate::decode::number::trim;
use crate::decode::rewrite::Rewriter;
use crate::decode::time::TimeFault;
use crate::mapping::{Rewrite, ValueKind};

/// What a type is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    /// As many bytes in every row: a text, or a number whose form only a layout can tell.
    Fixed,
    Integer,
    /// Doubles, and decimals, whose text is exact.
    Number,
    Bool,
    Day,
    TimeOfDay,
    Stamp,
    /// No value in any row.
    Nothing,
}

fn family(data_type: &DataType) -> Option<Family> {
    Some(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Family::Text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Family::Text,
        DataType::FixedSizeBinary(_) => Family::Fixed,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Family::Integer,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Family::Integer,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Family::Number,
        DataType::Decimal32(..) | DataType::Decimal64(..) => Family::Number,
        DataType::Decimal128(..) | DataType::Decimal256(..) => Family::Number,
        DataType::Boolean => Family::Bool,
        DataType::Date32 => Family::Day,
        DataType::Time32(_) | DataType::Time64(_) => Family::TimeOfDay,
        DataType::Date64 | DataType::Timestamp(..) => Family::Stamp,
        DataType::Null => Family::Nothing,
        DataType::Dictionary(_, values) => return family(values),
        _ => return None,
    })
}

/// Whether values of a type, put right so, can become a kind.
pub(super) fn can_become(data_type: &DataType, kind: ValueKind, rewrite: Option<&Rewrite>) -> bool {
    let Some(family) = family(data_type) else { return false };
    if let Some(Rewrite::Bytes { .. }) = rewrite {
        return matches!(family, Family::Fixed | Family::Text | Family::Nothing);
    }
    let wanted: &[ValueKind] = match family {
        Family::TimeOfDay => return false,
        Family::Text | Family::Integer | Family::Nothing => return true,
        Family::Number => return kind != ValueKind::Bool,
        // As numbers their bytes would be anybody's guess.
        Family::Fixed => &[ValueKind::Word, ValueKind::Text, ValueKind::Json],
        Family::Bool => match rewrite {
            Some(Rewrite::Words(_)) => return true,
            _ => &[ValueKind::Bool, ValueKind::Text, ValueKind::Word],
        },
        Family::Stamp if rewrite == Some(&Rewrite::Nanos) => &[ValueKind::Integer],
        Family::Day | Family::Stamp => &[ValueKind::Date, ValueKind::Time],
    };
    wanted.contains(&kind)
}

/// Whether values of a type can be one of two parts of a time.
pub(super) fn can_be_joined(data_type: &DataType) -> bool {
    let family = family(data_type);
    matches!(family, Some(Family::Text | Family::Integer | Family::Day | Family::TimeOfDay))
}

/// Whether, in a type that holds times, a later time is a greater value.
pub(super) fn is_ordered(data_type: &DataType) -> bool {
    let family = family(data_type);
    matches!(family, Some(Family::Integer | Family::Number | Family::Day | Family::Stamp))
}

/// What stands for nothing besides a null.
#[derive(Debug, Clone)]
pub(super) struct Nothing {
    texts: Nulls,
    integers: Vec<i128>,
    nan: bool,
}

impl Nothing {
    pub fn new(spellings: &[Vec<u8>]) -> Self {
        let texts = spellings.iter().filter_map(|text| std::str::from_utf8(text).ok());
        Self {
            texts: Nulls::new(spellings),
            integers: texts.clone().filter_map(|text| text.parse().ok()).collect(),
            nan: texts.into_iter().any(|text| text.eq_ignore_ascii_case("nan")),
        }
    }
}

/// How a column's values are read.
#[derive(Debug)]
pub(super) struct Reading {
    pub kind: ValueKind,
    pub required: bool,
    rewriter: Option<Rewriter>,
    rewrite: Option<Rewrite>,
    pub nothing: Nothing,
    /// Scratch: a value's text, and what it means.
    text: Vec<u8>,
    made: Vec<u8>,
}

impl Reading {
    pub fn new(
        (kind, required): (ValueKind, bool),
        rewrite: Option<&Rewrite>,
        nothing: Nothing,
    ) -> Self {
        Self {
            kind,
            required,
            rewriter: rewrite.map(Rewriter::new),
            rewrite: rewrite.cloned(),
            nothing,
            text: Vec::new(),
            made: Vec::new(),
        }
    }
}

/// A column in one of the forms that values are read from.
#[derive(Debug)]
pub(super) enum Cells {
    Text(StringArray),
    Bytes(BinaryArray),
    Fixed(FixedSizeBinaryArray),
    Integer(Int64Array),
    Unsigned(PrimitiveArray<UInt64Type>),
    Single(PrimitiveArray<Float32Type>),
    Double(PrimitiveArray<Float64Type>),
    Bool(BooleanArray),
    Day(PrimitiveArray<Date32Type>),
    Stamp { values: Int64Array, unit: TimeUnit, local: bool },
    Nothing(NullArray),
}

impl Cells {
    /// The column's values; it was found convertible before.
    pub fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        let to = |data_type: &DataType| cast(array, data_type);
        Ok(match array.data_type() {
            DataType::Dictionary(_, values) => return Self::new(&to(values)?),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Cells::Bytes(to(&DataType::Binary)?.as_binary().clone())
            }
            DataType::FixedSizeBinary(_) => Cells::Fixed(array.as_fixed_size_binary().clone()),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
                Cells::Integer(primitive(&to(&DataType::Int64)?))
            }
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
                Cells::Integer(primitive(&to(&DataType::Int64)?))
            }
            DataType::UInt64 => Cells::Unsigned(primitive(array)),
            DataType::Float16 | DataType::Float32 => {
                Cells::Single(primitive(&to(&DataType::Float32)?))
            }
            DataType::Float64 => Cells::Double(primitive(array)),
            DataType::Boolean => Cells::Bool(array.as_boolean().clone()),
            DataType::Date32 => Cells::Day(primitive(array)),
            DataType::Date64 => Cells::Stamp {
                values: primitive(&to(&DataType::Int64)?),
                unit: TimeUnit::Millisecond,
                local: true,
            },
            DataType::Timestamp(unit, zone) => Cells::Stamp {
                values: primitive(&to(&DataType::Int64)?),
                unit: *unit,
                local: zone.is_none(),
            },
            DataType::Null => Cells::Nothing(NullArray::new(array.len())),
            // Text, and decimals, whose text is exact.
            _ => Cells::Text(to(&DataType::Utf8)?.as_string().clone()),
        })
    }

    /// Two columns as one text, a space between; a null is left out.
    pub fn joined(one: &ArrayRef, two: &ArrayRef) -> Result<Self, ArrowError> {
        let (one, two) = (cast(one, &DataType::Utf8)?, cast(two, &DataType::Utf8)?);
        let pairs = one.as_string::<i32>().iter().zip(two.as_string::<i32>());
        Ok(Cells::Text(
            pairs
                .map(|pair| match pair {
                    (Some(one), Some(two)) => Some(format!("{} {}", one.trim(), two.trim())),
                    (one, two) => one.or(two).map(str::to_owned),
                })
                .collect(),
        ))
    }

    fn array(&self) -> &dyn Array {
        match self {
            Cells::Text(array) => array,
            Cells::Bytes(array) => array,
            Cells::Fixed(array) => array,
            Cells::Integer(array) => array,
            Cells::Unsigned(array) => array,
            Cells::Single(array) => array,
            Cells::Double(array) => array,
            Cells::Bool(array) => array,
            Cells::Day(array) => array,
            Cells::Stamp { values, .. } => values,
            Cells::Nothing(array) => array,
        }
    }

    /// Whether a row has no value.
    pub fn is_nothing(&self, row: usize, kind: ValueKind, nothing: &Nothing) -> bool {
        if matches!(self, Cells::Nothing(_)) || self.array().is_null(row) {
            return true;
        }
        // An empty text is a text, but no word, number or time.
        let blank = |text: &[u8]| {
            let text = trim(text);
            !(text.is_empty() && kind == ValueKind::Text) && nothing.texts.mean(kind, text)
        };
        let number = |number: i128| nothing.integers.contains(&number);
        match self {
            Cells::Text(array) => blank(array.value(row).as_bytes()),
            Cells::Bytes(array) => blank(array.value(row)),
            Cells::Fixed(_) | Cells::Bool(_) | Cells::Day(_) | Cells::Nothing(_) => false,
            Cells::Integer(array) => number(i128::from(array.value(row))),
            Cells::Unsigned(array) => number(i128::from(array.value(row))),
            Cells::Single(array) => nothing.nan && array.value(row).is_nan(),
            Cells::Double(array) => nothing.nan && array.value(row).is_nan(),
            Cells::Stamp { values, .. } => number(i128::from(values.value(row))),
        }
    }

    /// Adds the value of a row to a column; on a fault nothing is added.
    pub fn push(
        &self,
        row: usize,
        reading: &mut Reading,
        builder: &mut ColumnBuilder,
    ) -> Result<(), Fault> {
        if self.is_nothing(row, reading.kind, &reading.nothing) {
            return if reading.required {
                Err(Fault::Null)
            } else {
                builder.push_null();
                Ok(())
            };
        }
        if let (Some(rewriter), false) = (&mut reading.rewriter, self.is_stamp()) {
            let (text, made) = (&mut reading.text, &mut reading.made);
            text.clear();
            self.write(row, text);
            rewriter.rewrite(text, made)?;
            return builder.push(made);
        }
        match self {
            Cells::Text(array) => builder.push(array.value(row).as_bytes()),
            Cells::Bytes(array) => push_text(array.value(row), builder),
            Cells::Fixed(array) => push_text(unpadded(array.value(row)), builder),
            Cells::Integer(array) => builder.push_value(Value::Integer(array.value(row))),
            Cells::Unsigned(array) => {
                let value = array.value(row);
                let value = i64::try_from(value).map_or(Value::Unsigned(value), Value::Integer);
                builder.push_value(value)
            }
            Cells::Single(array) => builder.push_value(Value::Single(array.value(row))),
            Cells::Double(array) => builder.push_value(Value::Float(array.value(row))),
            Cells::Bool(array) => builder.push_value(Value::Bool(array.value(row))),
            Cells::Day(array) => builder.push_value(Value::Day(array.value(row))),
            Cells::Stamp { values, unit, local } => {
                if reading.rewrite == Some(Rewrite::Nanos) {
                    let nanos = values.value(row).rem_euclid(1_000);
                    let whole = if *unit == TimeUnit::Nanosecond { nanos } else { 0 };
                    return builder.push_value(Value::Integer(whole));
                }
                let cut = reading.rewrite == Some(Rewrite::CutToMicros);
                let us = microseconds(values.value(row), *unit, cut)?;
                builder.push_value(if *local { Value::Local(us) } else { Value::Instant(us) })
            }
            Cells::Nothing(_) => Err(Fault::Null),
        }
    }

    /// What a value means once it is put right; `None` where it cannot be, or is nothing.
    pub fn meaning(&self, row: usize, reading: &Reading) -> Option<String> {
        let rewrite = reading.rewrite.as_ref().filter(|rewrite| rewrite.is_spelling())?;
        let mut rewriter = Rewriter::new(rewrite);
        if self.is_stamp() || self.is_nothing(row, reading.kind, &reading.nothing) {
            return None;
        }
        let (mut text, mut made) = (Vec::new(), Vec::new());
        self.write(row, &mut text);
        rewriter.rewrite(&text, &mut made).ok()?;
        String::from_utf8(made).ok()
    }

    /// Times with a type of their own lose digits by their unit, not by their text.
    fn is_stamp(&self) -> bool {
        matches!(self, Cells::Stamp { .. } | Cells::Day(_))
    }

    /// Adds a value as text, every digit of it; bytes as they are.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = match self {
            Cells::Text(array) => out.write_all(array.value(row).as_bytes()),
            Cells::Bytes(array) => out.write_all(array.value(row)),
            Cells::Fixed(array) => out.write_all(array.value(row)),
            Cells::Integer(array) => write!(out, "{}", array.value(row)),
            Cells::Unsigned(array) => write!(out, "{}", array.value(row)),
            Cells::Single(array) => write!(out, "{}", array.value(row)),
            Cells::Double(array) => write!(out, "{}", array.value(row)),
            Cells::Bool(array) => write!(out, "{}", array.value(row)),
            Cells::Day(_) | Cells::Stamp { .. } | Cells::Nothing(_) => Ok(()),
        };
    }

    /// The column itself, if it is what the kind becomes already and no value can be at fault.
    pub fn as_it_is(&self, reading: &Reading) -> Option<ArrayRef> {
        let nullable = self.array().null_count() == 0 || !reading.required;
        if !nullable || reading.rewrite.is_some() {
            return None;
        }
        match (self, reading.kind) {
            (Cells::Double(array), ValueKind::Float) => {
                // What stands under a null is nobody's value, but seldom worth a second look.
                let finite = array.values().iter().all(|value| value.is_finite());
                finite.then(|| std::sync::Arc::new(array.clone()) as ArrayRef)
            }
            (Cells::Integer(array), ValueKind::Integer) if reading.nothing.integers.is_empty() => {
                Some(std::sync::Arc::new(array.clone()))
            }
            _ => None,
        }
    }
}

fn push_text(bytes: &[u8], builder: &mut ColumnBuilder) -> Result<(), Fault> {
    match std::str::from_utf8(bytes) {
        Ok(text) => builder.push(text.as_bytes()),
        Err(_) => Err(Fault::Utf8),
    }
}

/// A text of fixed length without the zeros that fill it up.
fn unpadded(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> PrimitiveArray<T> {
    array.as_primitive::<T>().clone()
}

fn microseconds(value: i64, unit: TimeUnit, cut: bool) -> Result<i64, Fault> {
    let scaled = match unit {
        TimeUnit::Second => value.checked_mul(1_000_000),
        TimeUnit::Millisecond => value.checked_mul(1_000),
        TimeUnit::Microsecond => Some(value),
        TimeUnit::Nanosecond if value % 1_000 != 0 && !cut => {
            return Err(TimeFault::SubMicrosecond.into());
        }
        TimeUnit::Nanosecond => Some(value.div_euclid(1_000)),
    };
    scaled.ok_or_else(|| TimeFault::OutOfRange.into())
}
