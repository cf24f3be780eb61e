//! Where a spilled row comes from, in one number that sorts as the sources do.

/// A source record: its load in the set, its span in the load, its ordinal in the span. Smaller is
/// earlier: the order that decides between equal keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(u64);

/// Bits of a record's ordinal in its span.
const ROW_BITS: u32 = 22;
/// Bits of a span's ordinal in its load.
const SPAN_BITS: u32 = 22;

impl Origin {
    /// The record `row` of span `span` of the load at position `load` of its set, all from 0.
    /// `None`: one of them is beyond what can be named.
    pub fn new(load: usize, span: u32, row: u32) -> Option<Self> {
        let load = u64::try_from(load).ok()?;
        let fits =
            load < 1 << (64 - SPAN_BITS - ROW_BITS) && span < 1 << SPAN_BITS && row < 1 << ROW_BITS;
        let value = (load << (SPAN_BITS + ROW_BITS)) | (u64::from(span) << ROW_BITS);
        fits.then_some(Self(value | u64::from(row)))
    }

    /// From its number.
    pub(super) fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// Position of the load in its set.
    pub fn load(self) -> usize {
        (self.0 >> (SPAN_BITS + ROW_BITS)) as usize
    }

    /// Ordinal of the span in the load.
    pub fn span(self) -> u32 {
        ((self.0 >> ROW_BITS) & ((1 << SPAN_BITS) - 1)) as u32
    }

    /// Ordinal of the record in the span.
    pub fn row(self) -> u32 {
        (self.0 & ((1 << ROW_BITS) - 1)) as u32
    }
}
