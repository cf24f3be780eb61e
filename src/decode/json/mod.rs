//! JSON: chunks of records become batches, by the same rules for values, times, nulls and rejects
//! as delimited text.
//!
//! A source goes through two parts. The [`JsonCutter`] says where chunks and records end, looking
//! at brackets and quotes alone; it holds no bytes and reads nothing. The [`JsonDecoder`] parses
//! each record once and builds columns straight from its bytes. What stands between records (the
//! brackets and keys around an array) is no record; all bytes of a chunk are either.
//!
//! What is a reject: the first fault of a record, in this order: too long, UTF-8, grammar, a
//! wanted key that comes twice, then columns from left to right; and, as one record each, what is
//! left of a document that is cut off, has no array where records should be, or goes on wrongly
//! behind it.
//!
//! A dataset whose records become rows of several tables has a [`RecordDecoder`] of its own, built
//! on the pull parser ([`Pull`]); everything else about its records is the same.

mod chunk;
mod count;
mod cut;
mod descend;
mod fields;
mod flat;
mod members;
mod pull;
mod structure;
#[cfg(test)]
mod tests;
mod token;

pub use chunk::{
    JsonDecoder, JsonPiece, RangeFault, RecordDecoder, RecordFault, RecordRange, Taken, TakenRows,
};
pub use count::count_json_records;
pub use cut::JsonCutter;
pub use pull::Pull;
pub use token::{Flaw, Malformed, Text, Value};
