//! Decoding: bytes become batches by a resolved mapping, and what cannot be read becomes rejects.
//!
//! This room owns no I/O (Parquet readers excepted, whose format is made of seeks), starts no
//! thread, and knows neither layouts nor flags nor targets. The pipeline feeds it; recognition
//! uses it to try a mapping on a sample.
//!
//! Text goes through two parts that share one idea of where a record ends ([`record`]): the
//! [`Cutter`] says where chunks end, the [`TextDecoder`] turns a chunk into a batch. JSON goes
//! through the like two ([`JsonCutter`], [`JsonDecoder`]).

mod chunks;
mod column;
mod common;
mod count;
mod cut;
mod error;
mod fault;
mod header;
mod json;
mod killmail;
mod number;
mod parquet;
mod quirk;
mod record;
mod rewrite;
mod rows;
mod text;
mod time;
mod word;
mod zone;

use arrow::array::RecordBatch;

use crate::batch::{Child, Rejects};
use crate::span::RowPlace;

pub use chunks::{Cutting, FindEnds, next_chunk};
pub use count::count_records;
pub use cut::{Cut, Cutter};
pub use error::DecodeError;
pub use json::{
    Flaw, JsonCutter, JsonDecoder, JsonPiece, Malformed, Pull, RangeFault, RecordDecoder,
    RecordFault, RecordRange, Taken, TakenRows, Text, Value, count_json_records,
};
pub use killmail::Killmails;
pub use number::{NumberFault, check_decimal, parse_float, parse_integer};
pub use parquet::{ParquetSource, ParquetUnit, UnitReader};
pub use rewrite::amount;
pub use text::TextDecoder;
pub use time::{TimeFault, TimeParser};

/// What one chunk of text, or one batch of Parquet rows, became.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The good records, one a row, columns as the mapping lists them.
    pub root: RecordBatch,
    /// For each row of `root` where its record is.
    pub places: Vec<RowPlace>,
    /// Rows of other tables that belong to rows of `root`.
    pub children: Vec<Child>,
    /// Records refused, in source order.
    pub rejects: Rejects,
    /// Records whose time is outside the window that the mapping asks for.
    pub skipped: u64,
    /// Physical lines in the chunk; 0 for Parquet.
    pub lines: u64,
}

impl Decoded {
    /// Source records: kept, refused and skipped.
    pub fn read(&self) -> u64 {
        self.root.num_rows() as u64 + self.rejects.len() as u64 + self.skipped
    }

    /// Adds the bytes that the reader dropped after [`Cut::TooLong`] to the range of the record
    /// that was too long, which is always the chunk's last and always a reject. Does nothing if
    /// the chunk was all preamble.
    pub fn add_dropped(&mut self, bytes: u64) {
        self.rejects.lengthen_last(fault::RECORD_TOO_LONG, bytes);
    }
}
