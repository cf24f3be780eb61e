//! JSON: the pull parser that record decoders are built on, and what they give.

mod pull;

use std::borrow::Cow;

use arrow::array::RecordBatch;

use super::DecodeError;
use crate::batch::Child;

pub use pull::{Flaw, Malformed, Pull, Text, Value};

/// Records of one dataset, which take one record after another.
pub trait RecordDecoder: Send {
    /// Takes the rows of one record: valid UTF-8, and perhaps no JSON. On a fault nothing of it is
    /// kept.
    ///
    /// # Errors
    /// Why the record is a reject.
    fn take(&mut self, record: &[u8]) -> Result<Taken, RecordFault>;

    /// The rows of all records that were taken, in order; starts anew.
    ///
    /// # Errors
    /// Only if Arrow refuses the arrays, which would be a fault of this program.
    fn finish(&mut self) -> Result<TakenRows, DecodeError>;
}

/// What became of a good record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is one row of the root table, with any number of children.
    Row,
    /// It lies outside the window of times, or holds nothing on purpose.
    Skipped,
}

/// Rows of a batch.
#[derive(Debug, Clone)]
pub struct TakenRows {
    /// The root table's, one for each record that was a [`Taken::Row`].
    pub root: RecordBatch,
    /// Those of other tables.
    pub children: Vec<Child>,
}

/// Why a record is a reject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFault {
    /// The rule's stable name.
    pub rule: Cow<'static, str>,
    /// The column at fault, if one is.
    pub column: Option<String>,
    /// What is wrong, for a person.
    pub reason: String,
}
