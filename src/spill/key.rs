//! Keys as numbers: the columns of the conflict key packed so that numbers sort as keys do.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};

use super::Words;

/// A packed key. Comparable within one set of words.
pub type Key = u128;

/// How the key columns of a load are packed.
#[derive(Debug, Clone)]
pub struct KeyPlan {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    column: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Int32,
    Date,
    Int64,
    Time,
}

impl Kind {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Dictionary(code, word)
                if **code == DataType::Int32 && **word == DataType::Utf8 =>
            {
                Kind::Word
            }
            DataType::Int32 => Kind::Int32,
            DataType::Date32 => Kind::Date,
            DataType::Int64 => Kind::Int64,
            DataType::Timestamp(TimeUnit::Microsecond, _) => Kind::Time,
            _ => return None,
        })
    }

    fn bits(self) -> u32 {
        match self {
            Kind::Word | Kind::Int32 | Kind::Date => 32,
            Kind::Int64 | Kind::Time => 64,
        }
    }
}

/// The ranks of words, by part of the key; empty for parts without words.
pub(super) type Ranks = Vec<Vec<u32>>;

impl KeyPlan {
    /// How to pack `columns` of these types. `None`: they do not fit into a number, or have types
    /// without one.
    pub fn new(types: &[&DataType], columns: &[usize]) -> Option<Self> {
        let part = |&column: &usize| Some(Part { column, kind: Kind::of(types.get(column)?)? });
        let parts: Vec<Part> = columns.iter().map(part).collect::<Option<_>>()?;
        let bits: u32 = parts.iter().map(|part| part.kind.bits()).sum();
        (bits <= Key::BITS && !parts.is_empty()).then_some(Self { parts })
    }

    /// Whether a column belongs to the key.
    pub(super) fn has(&self, column: usize) -> bool {
        self.parts.iter().any(|part| part.column == column)
    }

    /// The ranks of all words so far.
    pub(super) fn ranks(&self, words: &Words) -> Ranks {
        let ranks = |part: &Part| match part.kind {
            Kind::Word => words.ranks(part.column),
            _ => Vec::new(),
        };
        self.parts.iter().map(ranks).collect()
    }

    /// The key of each row of a batch whose words are numbers. Key columns hold no nulls.
    pub(super) fn pack(&self, batch: &RecordBatch, ranks: &Ranks) -> Vec<Key> {
        let mut keys = vec![0; batch.num_rows()];
        for (part, ranks) in self.parts.iter().zip(ranks) {
            part.add(batch.column(part.column), ranks, &mut keys);
        }
        keys
    }
}

impl Part {
    /// Shifts every key and adds this column's value below.
    fn add(&self, column: &ArrayRef, ranks: &[u32], keys: &mut [Key]) {
        debug_assert_eq!(column.null_count(), 0, "a key column holds no nulls");
        let narrow = |value: i32| Key::from(value as u32 ^ (1 << 31));
        let wide = |value: i64| Key::from(value as u64 ^ (1 << 63));
        match self.kind {
            Kind::Word => {
                let rank = |code: i32| ranks.get(code as usize).copied().unwrap_or_default();
                let codes = column.as_primitive::<Int32Type>().values();
                push(keys, 32, codes.iter().map(|&code| Key::from(rank(code))));
            }
            Kind::Int32 => {
                let values = column.as_primitive::<Int32Type>().values();
                push(keys, 32, values.iter().map(|&value| narrow(value)));
            }
            Kind::Date => {
                let values = column.as_primitive::<Date32Type>().values();
                push(keys, 32, values.iter().map(|&value| narrow(value)));
            }
            Kind::Int64 => {
                let values = column.as_primitive::<Int64Type>().values();
                push(keys, 64, values.iter().map(|&value| wide(value)));
            }
            Kind::Time => {
                let values = column.as_primitive::<TimestampMicrosecondType>().values();
                push(keys, 64, values.iter().map(|&value| wide(value)));
            }
        }
    }
}

fn push(keys: &mut [Key], bits: u32, values: impl Iterator<Item = Key>) {
    for (key, value) in keys.iter_mut().zip(values) {
        *key = (*key << bits) | value;
    }
}

/// Columns that a key may have at most: each takes 32 bits or more.
const PARTS_MAX: usize = (Key::BITS / 32) as usize;

/// The values of one row's key before words are ranked: ranks change while words are added.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawKey([u64; PARTS_MAX]);

impl KeyPlan {
    /// The raw key of one row of a batch whose words are numbers.
    pub(super) fn raw(&self, batch: &RecordBatch, row: usize) -> RawKey {
        let mut raw = RawKey::default();
        for (slot, part) in raw.0.iter_mut().zip(&self.parts) {
            let column = batch.column(part.column);
            *slot = match part.kind {
                Kind::Word => column.as_primitive::<Int32Type>().value(row) as u64,
                Kind::Int32 => {
                    u64::from(column.as_primitive::<Int32Type>().value(row) as u32 ^ (1 << 31))
                }
                Kind::Date => {
                    u64::from(column.as_primitive::<Date32Type>().value(row) as u32 ^ (1 << 31))
                }
                Kind::Int64 => column.as_primitive::<Int64Type>().value(row) as u64 ^ (1 << 63),
                Kind::Time => {
                    column.as_primitive::<TimestampMicrosecondType>().value(row) as u64 ^ (1 << 63)
                }
            };
        }
        raw
    }

    /// The key that [`Self::pack`] gives for a row with this raw key.
    pub(super) fn pack_raw(&self, raw: &RawKey, ranks: &Ranks) -> Key {
        let mut key = 0;
        for ((part, ranks), &value) in self.parts.iter().zip(ranks).zip(&raw.0) {
            let value = match part.kind {
                Kind::Word => u64::from(ranks.get(value as usize).copied().unwrap_or_default()),
                _ => value,
            };
            key = (key << part.kind.bits()) | Key::from(value);
        }
        key
    }
}
