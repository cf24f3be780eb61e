//! Where things are: a place in a source that a person can find, and the span of a source that one
//! batch covers.

use std::fmt;
use std::sync::Arc;

/// A place in a source, carried by every error and reject until it reaches a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The source as the user named it: a path, a URL, or `-`.
    pub source: Arc<str>,
    /// Record number, the first data record being 1. Header and blank lines are not records.
    pub row: Option<u64>,
    /// Physical line, the first being 1. Absent for sources without lines.
    pub line: Option<u64>,
    /// Byte offset of the record in the (decompressed) source, the first being 0.
    pub byte: Option<u64>,
}

impl Place {
    /// A whole source.
    pub fn of(source: impl Into<Arc<str>>) -> Self {
        Self { source: source.into(), ..Self::default() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
        }
        if let Some(byte) = self.byte {
            write!(f, ", byte {byte}")?;
        }
        Ok(())
    }
}

/// What a span's `start` and `end` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanUnit {
    /// Bytes of the decompressed source (text).
    Byte,
    /// Rows of the source (Parquet).
    Row,
}

impl SpanUnit {
    /// The word that the ledger stores.
    pub fn name(self) -> &'static str {
        match self {
            SpanUnit::Byte => "byte",
            SpanUnit::Row => "row",
        }
    }
}

/// The part of one source that one batch covers. Spans of a source tile it: each starts where the
/// one before ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Ordinal of the span in its source, from 0.
    pub window: u32,
    /// First byte (text) or row (Parquet) of the span; header and preamble belong to span 0.
    pub start: u64,
    /// One past the last byte or row.
    pub end: u64,
    /// Record number of the first record, from 1.
    pub first_row: u64,
    /// Number of the physical line on which the span starts, from 1; 0 for sources without lines.
    pub first_line: u64,
    /// Physical lines in the span.
    pub lines: u64,
}

/// Where one record is inside its span's bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowPlace {
    /// Record ordinal inside the span, from 0.
    pub row: u32,
    /// Physical line inside the span, from 0.
    pub line: u32,
    /// Offset of the record's first byte from the span's start.
    pub offset: u32,
    /// Bytes of the record without its line end.
    pub len: u32,
}
