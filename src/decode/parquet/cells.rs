//! Parquet columns as the reader hands them over, reduced to the few forms that values are read
//! from, and which of them can become which kind.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, Int64Array,
    PrimitiveArray, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float32Type, Float64Type, TimeUnit, UInt64Type};
use arrow::error::ArrowError;

use crate::decode::column::{ColumnBuilder, Nulls, Value};
use crate::decode::fault::Fault;
use crate::decode::number::trim;
use crate::decode::time::TimeFault;
use crate::mapping::ValueKind;

/// What a Parquet type is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    Integer,
    /// Doubles, and decimals, whose text is exact.
    Number,
    Bool,
    Day,
    TimeOfDay,
    Stamp,
}

fn family(data_type: &DataType) -> Option<Family> {
    Some(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Family::Text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Family::Text,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Family::Integer,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Family::Integer,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Family::Number,
        DataType::Decimal32(..) | DataType::Decimal64(..) => Family::Number,
        DataType::Decimal128(..) | DataType::Decimal256(..) => Family::Number,
        DataType::Boolean => Family::Bool,
        DataType::Date32 => Family::Day,
        DataType::Time32(_) | DataType::Time64(_) => Family::TimeOfDay,
        DataType::Date64 | DataType::Timestamp(..) => Family::Stamp,
        DataType::Dictionary(_, values) => return family(values),
        _ => return None,
    })
}

/// Whether values of a type can become a kind.
pub(super) fn can_become(data_type: &DataType, kind: ValueKind) -> bool {
    let wanted: &[ValueKind] = match family(data_type) {
        None | Some(Family::TimeOfDay) => return false,
        Some(Family::Text) => return true,
        Some(Family::Integer) => return true,
        Some(Family::Number) => return kind != ValueKind::Bool,
        Some(Family::Bool) => &[ValueKind::Bool, ValueKind::Text, ValueKind::Word],
        Some(Family::Day | Family::Stamp) => &[ValueKind::Date, ValueKind::Time],
    };
    wanted.contains(&kind)
}

/// Whether values of a type can be one of two parts of a time.
pub(super) fn can_be_joined(data_type: &DataType) -> bool {
    let family = family(data_type);
    matches!(family, Some(Family::Text | Family::Integer | Family::Day | Family::TimeOfDay))
}

/// A column in one of the forms that values are read from.
#[derive(Debug)]
pub(super) enum Cells {
    Text(StringArray),
    Bytes(BinaryArray),
    Integer(Int64Array),
    Unsigned(PrimitiveArray<UInt64Type>),
    Single(PrimitiveArray<Float32Type>),
    Double(PrimitiveArray<Float64Type>),
    Bool(BooleanArray),
    Day(PrimitiveArray<Date32Type>),
    Stamp { values: Int64Array, unit: TimeUnit, local: bool },
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
            Cells::Integer(array) => array,
            Cells::Unsigned(array) => array,
            Cells::Single(array) => array,
            Cells::Double(array) => array,
            Cells::Bool(array) => array,
            Cells::Day(array) => array,
            Cells::Stamp { values, .. } => values,
        }
    }

    /// Adds the value of a row to a column; on a fault nothing is added.
    pub fn push(
        &self,
        row: usize,
        kind: ValueKind,
        required: bool,
        nulls: &Nulls,
        builder: &mut ColumnBuilder,
    ) -> Result<(), Fault> {
        let text: Option<&[u8]> = match self {
            Cells::Text(array) => Some(array.value(row).as_bytes()),
            Cells::Bytes(array) => Some(array.value(row)),
            _ => None,
        };
        // An empty text is a text, but no word, number or time.
        let blank =
            text.is_some_and(|text| kind != ValueKind::Text && nulls.mean(kind, trim(text)));
        if blank || self.array().is_null(row) {
            return if required {
                Err(Fault::Null)
            } else {
                builder.push_null();
                Ok(())
            };
        }
        match self {
            Cells::Text(array) => builder.push(array.value(row).as_bytes()),
            Cells::Bytes(array) => match std::str::from_utf8(array.value(row)) {
                Ok(text) => builder.push(text.as_bytes()),
                Err(_) => Err(Fault::Utf8),
            },
            Cells::Integer(array) => builder.push_value(Value::Integer(array.value(row))),
            Cells::Unsigned(array) => builder.push_value(Value::Unsigned(array.value(row))),
            Cells::Single(array) => builder.push_value(Value::Single(array.value(row))),
            Cells::Double(array) => builder.push_value(Value::Float(array.value(row))),
            Cells::Bool(array) => builder.push_value(Value::Bool(array.value(row))),
            Cells::Day(array) => builder.push_value(Value::Day(array.value(row))),
            Cells::Stamp { values, unit, local } => {
                let us = microseconds(values.value(row), *unit)?;
                builder.push_value(if *local { Value::Local(us) } else { Value::Instant(us) })
            }
        }
    }

    /// The column itself, if it is what the kind becomes already and no value can be at fault.
    pub fn as_it_is(&self, kind: ValueKind, required: bool) -> Option<ArrayRef> {
        if required && self.array().null_count() > 0 {
            return None;
        }
        match (self, kind) {
            (Cells::Double(array), ValueKind::Float) => {
                // What stands under a null is nobody's value, but seldom worth a second look.
                let finite = array.values().iter().all(|value| value.is_finite());
                finite.then(|| std::sync::Arc::new(array.clone()) as ArrayRef)
            }
            (Cells::Integer(array), ValueKind::Integer) => Some(std::sync::Arc::new(array.clone())),
            _ => None,
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> PrimitiveArray<T> {
    array.as_primitive::<T>().clone()
}

fn microseconds(value: i64, unit: TimeUnit) -> Result<i64, Fault> {
    let scaled = match unit {
        TimeUnit::Second => value.checked_mul(1_000_000),
        TimeUnit::Millisecond => value.checked_mul(1_000),
        TimeUnit::Microsecond => Some(value),
        TimeUnit::Nanosecond if value % 1_000 != 0 => {
            return Err(TimeFault::SubMicrosecond.into());
        }
        TimeUnit::Nanosecond => Some(value / 1_000),
    };
    scaled.ok_or_else(|| TimeFault::OutOfRange.into())
}
