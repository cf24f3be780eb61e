//! How a table's columns are held in an archive: the type in the file, how a value comes from the
//! server, and the bytes that stand for it when rows are compared, as the server makes them and as
//! they are made of the file.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder,
    Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type,
    Int16Type, Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType, i256,
};
use tokio_postgres::binary_copy::BinaryCopyOutRow;
use tokio_postgres::types::Type;

use crate::column::{PgType, TargetColumn, quote_identifier};

/// From 1970 to 2000, the epoch of PostgreSQL's wire format.
const EPOCH_2000_US: i64 = 946_684_800_000_000;
const EPOCH_2000_DAYS: i32 = 10_957;

/// Digits of a 128-bit and of a 256-bit decimal.
const DIGITS_128: u8 = 38;
const DIGITS_256: u8 = 76;

/// What the numerics of a column need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digits {
    /// Before the point, at most.
    pub whole: u32,
    /// Behind the point, at most.
    pub scale: u32,
}

/// How a column is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Decimal128(i8),
    Decimal256(i8),
    Timestamptz,
    Timestamp,
    Date,
}

/// A column with its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub form: Form,
    /// What it is made of, where it is no column of the table.
    pub made_of: Option<&'static str>,
}

/// A ticker's symbol: its number means nothing to a file that is loaded again.
const SYMBOL: &str = "(SELECT k.symbol FROM public.tickers k WHERE k.id = ticker_id)";

impl Column {
    /// `None`: values of this type cannot be held so that they come back the same.
    pub fn new(column: &TargetColumn, digits: Digits) -> Option<Self> {
        let form = match column.pg_type? {
            PgType::Bool => Form::Bool,
            PgType::Int2 => Form::Int2,
            PgType::Int4 => Form::Int4,
            PgType::Int8 => Form::Int8,
            PgType::Float4 => Form::Float4,
            PgType::Float8 => Form::Float8,
            PgType::Text(_) | PgType::Json | PgType::Jsonb | PgType::Uuid => Form::Text,
            PgType::Timestamptz => Form::Timestamptz,
            PgType::Timestamp => Form::Timestamp,
            PgType::Date => Form::Date,
            PgType::Numeric(_) => match digits.whole + digits.scale {
                needed if needed <= u32::from(DIGITS_128) => {
                    Form::Decimal128(i8::try_from(digits.scale).ok()?)
                }
                needed if needed <= u32::from(DIGITS_256) => {
                    Form::Decimal256(i8::try_from(digits.scale).ok()?)
                }
                _ => Form::Text,
            },
        };
        Some(Self { name: column.name.clone(), form, made_of: None })
    }

    /// The symbol of the ticker that a row is of.
    pub fn symbol() -> Self {
        Self { name: "symbol".to_owned(), form: Form::Text, made_of: Some(SYMBOL) }
    }

    fn data_type(&self) -> DataType {
        match self.form {
            Form::Bool => DataType::Boolean,
            Form::Int2 => DataType::Int16,
            Form::Int4 => DataType::Int32,
            Form::Int8 => DataType::Int64,
            Form::Float4 => DataType::Float32,
            Form::Float8 => DataType::Float64,
            Form::Text => DataType::Utf8,
            Form::Decimal128(scale) => DataType::Decimal128(DIGITS_128, scale),
            Form::Decimal256(scale) => DataType::Decimal256(DIGITS_256, scale),
            Form::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Form::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Form::Date => DataType::Date32,
        }
    }

    /// The value as it is asked for.
    fn select(&self) -> String {
        let name = match self.made_of {
            Some(made_of) => made_of.to_owned(),
            None => quote_identifier(&self.name),
        };
        match self.form {
            Form::Text => format!("{name}::text"),
            Form::Decimal128(scale) | Form::Decimal256(scale) => {
                format!("round({name}, {scale})::text")
            }
            _ => name,
        }
    }

    /// The binary type in which it comes; times as the integers that they are on the wire.
    fn wire(&self) -> Type {
        match self.form {
            Form::Bool => Type::BOOL,
            Form::Int2 => Type::INT2,
            Form::Int4 | Form::Date => Type::INT4,
            Form::Int8 | Form::Timestamptz | Form::Timestamp => Type::INT8,
            Form::Float4 => Type::FLOAT4,
            Form::Float8 => Type::FLOAT8,
            Form::Text | Form::Decimal128(_) | Form::Decimal256(_) => Type::TEXT,
        }
    }

    /// The bytes that stand for a value, as the server makes them.
    fn bytes_sql(&self) -> String {
        let value = self.select();
        let bytes = match self.form {
            Form::Bool => format!("boolsend({value})"),
            Form::Int2 => format!("int2send({value})"),
            Form::Int4 => format!("int4send({value})"),
            Form::Int8 => format!("int8send({value})"),
            Form::Float4 => format!("float4send({value})"),
            Form::Float8 => format!("float8send({value})"),
            Form::Timestamptz => format!("timestamptz_send({value})"),
            Form::Timestamp => format!("timestamp_send({value})"),
            Form::Date => format!("date_send({value})"),
            Form::Text | Form::Decimal128(_) | Form::Decimal256(_) => {
                let text = format!("convert_to({value}, 'UTF8')");
                format!("int4send(octet_length({text})) || {text}")
            }
        };
        format!("coalesce('\\x01'::bytea || {bytes}, '\\x00'::bytea)")
    }
}

/// The columns of a table as an archive holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub columns: Vec<Column>,
}

impl Shape {
    pub fn schema(&self) -> Arc<Schema> {
        let field = |column: &Column| Field::new(&column.name, column.data_type(), true);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    pub fn select_list(&self) -> String {
        self.columns.iter().map(Column::select).collect::<Vec<_>>().join(", ")
    }

    pub fn wire_types(&self) -> Vec<Type> {
        self.columns.iter().map(Column::wire).collect()
    }

    /// Count of rows, and the sum of their hashes as text, over `from`.
    pub fn sum_sql(&self, from: &str) -> String {
        let bytes = self.columns.iter().map(Column::bytes_sql).collect::<Vec<_>>().join(" || ");
        format!(
            "SELECT count(*), coalesce(sum(('x' || encode(substr(sha256({bytes}), 1, 8), 'hex'))\
             ::bit(64)::bigint), 0)::text FROM {from}"
        )
    }

    /// Appends the bytes that stand for a row of a batch of this shape's schema.
    pub fn row_bytes(&self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
        for (column, array) in self.columns.iter().zip(batch.columns()) {
            if array.is_null(row) {
                out.push(0);
                continue;
            }
            out.push(1);
            value_bytes(column.form, array, row, out);
        }
    }
}

fn value_bytes(form: Form, array: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    let mut text = |text: &str| {
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    match form {
        Form::Text => text(array.as_string::<i32>().value(row)),
        Form::Decimal128(_) => {
            text(&array.as_primitive::<Decimal128Type>().value_as_string(row));
        }
        Form::Decimal256(_) => {
            text(&array.as_primitive::<Decimal256Type>().value_as_string(row));
        }
        Form::Bool => out.push(u8::from(array.as_boolean().value(row))),
        Form::Int2 => {
            out.extend_from_slice(&array.as_primitive::<Int16Type>().value(row).to_be_bytes());
        }
        Form::Int4 => {
            out.extend_from_slice(&array.as_primitive::<Int32Type>().value(row).to_be_bytes());
        }
        Form::Int8 => {
            out.extend_from_slice(&array.as_primitive::<Int64Type>().value(row).to_be_bytes());
        }
        Form::Float4 => {
            out.extend_from_slice(&array.as_primitive::<Float32Type>().value(row).to_be_bytes());
        }
        Form::Float8 => {
            out.extend_from_slice(&array.as_primitive::<Float64Type>().value(row).to_be_bytes());
        }
        Form::Timestamptz | Form::Timestamp => {
            let us = array.as_primitive::<TimestampMicrosecondType>().value(row);
            out.extend_from_slice(&us.wrapping_sub(EPOCH_2000_US).to_be_bytes());
        }
        Form::Date => {
            let days = array.as_primitive::<Date32Type>().value(row);
            out.extend_from_slice(&days.wrapping_sub(EPOCH_2000_DAYS).to_be_bytes());
        }
    }
}

/// Rows on their way into a batch.
#[derive(Debug)]
pub(super) struct Builders {
    builders: Vec<Builder>,
    rows: usize,
    bytes: usize,
}

#[derive(Debug)]
enum Builder {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Text(StringBuilder),
    Decimal128(Decimal128Builder),
    Decimal256(Decimal256Builder),
    Time(TimestampMicrosecondBuilder),
    Date(Date32Builder),
}

/// A value that did not come as it was asked for.
type Wrong = Box<dyn std::error::Error + Send + Sync>;

impl Builders {
    pub fn new(shape: &Shape) -> Self {
        let builder = |column: &Column| match column.form {
            Form::Bool => Builder::Bool(BooleanBuilder::new()),
            Form::Int2 => Builder::Int2(Int16Builder::new()),
            Form::Int4 => Builder::Int4(Int32Builder::new()),
            Form::Int8 => Builder::Int8(Int64Builder::new()),
            Form::Float4 => Builder::Float4(Float32Builder::new()),
            Form::Float8 => Builder::Float8(Float64Builder::new()),
            Form::Text => Builder::Text(StringBuilder::new()),
            Form::Decimal128(_) => {
                Builder::Decimal128(Decimal128Builder::new().with_data_type(column.data_type()))
            }
            Form::Decimal256(_) => {
                Builder::Decimal256(Decimal256Builder::new().with_data_type(column.data_type()))
            }
            Form::Timestamptz | Form::Timestamp => {
                Builder::Time(TimestampMicrosecondBuilder::new().with_data_type(column.data_type()))
            }
            Form::Date => Builder::Date(Date32Builder::new()),
        };
        Self { builders: shape.columns.iter().map(builder).collect(), rows: 0, bytes: 0 }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About what the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a row from the server.
    pub fn push(&mut self, row: &BinaryCopyOutRow) -> Result<(), Wrong> {
        for (at, builder) in self.builders.iter_mut().enumerate() {
            self.bytes += 8;
            match builder {
                Builder::Bool(to) => to.append_option(row.try_get(at)?),
                Builder::Int2(to) => to.append_option(row.try_get(at)?),
                Builder::Int4(to) => to.append_option(row.try_get(at)?),
                Builder::Int8(to) => to.append_option(row.try_get(at)?),
                Builder::Float4(to) => to.append_option(row.try_get(at)?),
                Builder::Float8(to) => to.append_option(row.try_get(at)?),
                Builder::Text(to) => {
                    let text: Option<&str> = row.try_get(at)?;
                    self.bytes += text.map_or(0, str::len);
                    to.append_option(text);
                }
                Builder::Decimal128(to) => {
                    let text: Option<&str> = row.try_get(at)?;
                    let unscaled = text.map(|text| text.replace('.', "").parse::<i128>());
                    to.append_option(unscaled.transpose()?);
                }
                Builder::Decimal256(to) => {
                    let text: Option<&str> = row.try_get(at)?;
                    let unscaled = |text: &str| {
                        i256::from_string(&text.replace('.', "")).ok_or("a numeric is too long")
                    };
                    to.append_option(text.map(unscaled).transpose()?);
                }
                Builder::Time(to) => {
                    let us: Option<i64> = row.try_get(at)?;
                    let since_1970 = |us: i64| us.checked_add(EPOCH_2000_US);
                    let us = us.map(|us| since_1970(us).ok_or("a time is out of range"));
                    to.append_option(us.transpose()?);
                }
                Builder::Date(to) => {
                    let days: Option<i32> = row.try_get(at)?;
                    let since_1970 = |days: i32| days.checked_add(EPOCH_2000_DAYS);
                    let days = days.map(|days| since_1970(days).ok_or("a date is out of range"));
                    to.append_option(days.transpose()?);
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows so far as a batch; none are left.
    pub fn finish(&mut self, schema: &Arc<Schema>) -> Result<RecordBatch, Wrong> {
        (self.rows, self.bytes) = (0, 0);
        let array = |builder: &mut Builder| -> ArrayRef {
            match builder {
                Builder::Bool(of) => Arc::new(of.finish()),
                Builder::Int2(of) => Arc::new(of.finish()),
                Builder::Int4(of) => Arc::new(of.finish()),
                Builder::Int8(of) => Arc::new(of.finish()),
                Builder::Float4(of) => Arc::new(of.finish()),
                Builder::Float8(of) => Arc::new(of.finish()),
                Builder::Text(of) => Arc::new(of.finish()),
                Builder::Decimal128(of) => Arc::new(of.finish()),
                Builder::Decimal256(of) => Arc::new(of.finish()),
                Builder::Time(of) => Arc::new(of.finish()),
                Builder::Date(of) => Arc::new(of.finish()),
            }
        };
        let arrays = self.builders.iter_mut().map(array).collect();
        Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(pg_type: Option<PgType>) -> TargetColumn {
        TargetColumn {
            name: "x".to_owned(),
            pg_type,
            type_name: String::new(),
            not_null: false,
            has_default: false,
            generated: false,
        }
    }

    #[test]
    fn numerics_take_the_width_that_holds_them_all() {
        let form = |whole, scale| {
            let digits = Digits { whole, scale };
            Column::new(&column(Some(PgType::Numeric(None))), digits).unwrap().form
        };
        assert_eq!(form(20, 18), Form::Decimal128(18));
        assert_eq!(form(21, 18), Form::Decimal256(18));
        assert_eq!(form(60, 17), Form::Text);
        assert_eq!(Column::new(&column(None), Digits::default()), None);
    }

    #[test]
    fn rows_are_bytes_in_which_no_value_runs_into_the_next() {
        let text = |name: &str| Column { name: name.to_owned(), form: Form::Text, made_of: None };
        let shape = Shape { columns: vec![text("a"), text("b")] };
        let batch = |a: Option<&str>, b: Option<&str>| {
            let of = |value: Option<&str>| -> ArrayRef {
                Arc::new(arrow::array::StringArray::from(vec![value]))
            };
            RecordBatch::try_new(shape.schema(), vec![of(a), of(b)]).unwrap()
        };
        let bytes = |a, b| {
            let mut out = Vec::new();
            shape.row_bytes(&batch(a, b), 0, &mut out);
            out
        };
        assert_ne!(bytes(Some("x"), Some("")), bytes(Some(""), Some("x")));
        assert_ne!(bytes(None, Some("")), bytes(Some(""), None));
        assert_eq!(bytes(None, Some("é")), [0, 1, 0, 0, 0, 2, 0xc3, 0xa9]);
        assert_eq!(shape.sum_sql("t").matches("octet_length").count(), 2);
    }
}
