//! PostgreSQL's binary COPY format from Arrow columns: what writers send, and what can be said
//! about a batch before it is sent. The encoder of a column is chosen from its Arrow type and the
//! target column's type. It never rounds, truncates or replaces a value, knows no database, and
//! opens nothing. Called by the writers and by the checks before them.

mod column;
mod fault;
mod numeric;
mod row;
#[cfg(test)]
mod tests;
mod value;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use bytes::{BufMut, BytesMut};
use thiserror::Error;

use crate::column::TargetColumn;
use crate::error::Class;
use column::Plan;
pub use fault::Fault;
pub use row::BatchRows;

/// The signature, no flags, no header extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;
/// Fields that a row can have: its field count is a positive 16-bit word.
const COLUMNS_MAX: usize = i16::MAX as usize - 1;

/// Why a batch cannot be encoded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The batch and the target do not have as many columns.
    #[error("the batch has {columns} columns for {targets} target columns: map each column once")]
    ColumnCount {
        /// Columns of the batch.
        columns: usize,
        /// Columns of the target.
        targets: usize,
    },
    /// More columns than a row can have.
    #[error("a row of {columns} columns cannot be sent, at most {COLUMNS_MAX}: map fewer columns")]
    TooManyColumns {
        /// Columns of the target.
        columns: usize,
    },
    /// No values of this Arrow type can be sent to this column.
    #[error("column {column:?}: {arrow} cannot be sent to {target}: {advice}")]
    Unsupported {
        /// The target column's name.
        column: String,
        /// The batch column's type.
        arrow: DataType,
        /// The target column's type, as the server prints it.
        target: String,
        /// What to do about it.
        advice: String,
    },
    /// A batch of another schema than the one that the encoder was made for.
    #[error("column {column:?} came as {found} instead of {expected}: make an encoder for it")]
    BatchType {
        /// The target column's name.
        column: String,
        /// The type that the encoder was made for.
        expected: DataType,
        /// The type that came.
        found: DataType,
    },
    /// A row that the batch does not have.
    #[error("row {row} was asked for, the batch has {rows}: pass positions of this batch")]
    NoSuchRow {
        /// The position asked for.
        row: u32,
        /// Rows of the batch.
        rows: usize,
    },
    /// A value that the target column cannot take without loss.
    #[error("row {row} of the batch, column {column:?}: {reason}: reject the row or mend it")]
    Value {
        /// The row's position in the batch.
        row: u32,
        /// The target column's name.
        column: String,
        /// The rule, as in [`Fault::rule`].
        rule: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl EncodeError {
    /// What is to be done about it.
    pub fn class(&self) -> Class {
        match self {
            EncodeError::Value { .. } => Class::StepDown,
            _ => Class::Stop,
        }
    }
}

/// Encodes batches of one schema for the columns of one target.
#[derive(Debug, Clone)]
pub struct Encoder {
    plans: Vec<Plan>,
    position: bool,
}

impl Encoder {
    /// An encoder for batches of `schema`, whose columns go to `targets` one to one, in order.
    ///
    /// # Errors
    /// [`EncodeError::ColumnCount`], [`EncodeError::TooManyColumns`], and
    /// [`EncodeError::Unsupported`] for the first pair of types that does not go together.
    pub fn new(schema: &Schema, targets: &[TargetColumn]) -> Result<Self, EncodeError> {
        let columns = schema.fields().len();
        if columns != targets.len() {
            return Err(EncodeError::ColumnCount { columns, targets: targets.len() });
        }
        if columns > COLUMNS_MAX {
            return Err(EncodeError::TooManyColumns { columns });
        }
        let plans = schema.fields().iter().zip(targets);
        let plans = plans.map(|(field, target)| Plan::new(field, target));
        Ok(Self { plans: plans.collect::<Result<_, _>>()?, position: false })
    }

    /// The same with an `integer` column in front that holds each row's position in its batch, as
    /// in `order`: for staging tables, whose rows are traced back to records.
    #[must_use]
    pub fn with_position(mut self) -> Self {
        self.position = true;
        self
    }

    /// The target column that the batch's column `at` goes to; empty if there is none.
    pub fn column_name(&self, at: usize) -> &str {
        self.plans.get(at).map_or("", |plan| plan.name.as_str())
    }

    /// Appends what a COPY starts with: 19 bytes.
    pub fn header(&self, out: &mut BytesMut) {
        out.put_slice(HEADER);
    }

    /// Appends what a COPY ends with: 2 bytes.
    pub fn trailer(&self, out: &mut BytesMut) {
        out.put_i16(TRAILER);
    }

    /// Prepares a batch, once for all the messages made of it.
    ///
    /// # Errors
    /// [`EncodeError::ColumnCount`] and [`EncodeError::BatchType`] if the batch is not of the
    /// schema that this encoder was made for.
    pub fn bind<'a>(&'a self, batch: &'a RecordBatch) -> Result<BatchRows<'a>, EncodeError> {
        BatchRows::new(self, batch)
    }

    /// Appends the rows `order` of a batch. For more than one message from a batch,
    /// [`Encoder::bind`] it once.
    ///
    /// # Errors
    /// As [`Encoder::bind`] and [`BatchRows::rows`].
    pub fn rows(
        &self,
        batch: &RecordBatch,
        order: &[u32],
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        self.bind(batch)?.rows(order, out)
    }
}
