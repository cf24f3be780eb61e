//! A column of few distinct words: each row is a code.

use std::sync::Arc;

use ahash::HashMap;
use arrow::array::{ArrayRef, DictionaryArray, Int32Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;

use super::column::{Texts, take};
use super::fault::Fault;
use crate::limit::WORD_BYTES_MAX;

/// Slots of the cache before the map.
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 11;

/// Words with few distinct values: each distinct one is stored once, in order of first appearance.
#[derive(Debug)]
pub(super) struct Words {
    keys: Vec<i32>,
    distinct: Texts,
    /// The row that brought the last distinct word.
    last_from: usize,
    map: HashMap<Box<[u8]>, i32>,
    /// The code met last for each slot; hostile input makes it miss, and only that.
    cache: [i32; SLOTS],
}

impl Default for Words {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            distinct: Texts::new(0, 0),
            last_from: 0,
            map: HashMap::default(),
            cache: [-1; SLOTS],
        }
    }
}

impl Words {
    #[inline]
    pub(super) fn push(&mut self, word: &[u8]) -> Result<(), Fault> {
        let slot = slot(word);
        let cached = self.cache[slot];
        let code = if cached >= 0 && self.distinct.get(cached as usize) == word {
            cached
        } else {
            self.look_up(word, slot)?
        };
        self.keys.push(code);
        Ok(())
    }

    /// Adds a row without a word.
    pub(super) fn push_null(&mut self) {
        self.keys.push(0);
    }

    /// How many distinct words there are.
    pub(super) fn len(&self) -> usize {
        self.distinct.len()
    }

    fn look_up(&mut self, word: &[u8], slot: usize) -> Result<i32, Fault> {
        let code = match self.map.get(word) {
            Some(code) => *code,
            None if word.len() > WORD_BYTES_MAX => return Err(Fault::TooLong),
            None if word.contains(&0) => return Err(Fault::Nul),
            None => {
                let code = self.distinct.len() as i32;
                self.distinct.push(word);
                self.map.insert(word.into(), code);
                self.last_from = self.keys.len();
                code
            }
        };
        self.cache[slot] = code;
        Ok(code)
    }

    /// Forgets all distinct words but the first `kept`, which the rows that stay are made of.
    pub(super) fn forget(&mut self, kept: usize) {
        for code in kept..self.distinct.len() {
            let word = self.distinct.get(code);
            self.cache[slot(word)] = -1;
            self.map.remove(word);
        }
        if kept < self.distinct.len() {
            self.distinct.truncate(kept);
            self.last_from = 0;
        }
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        if self.keys.len() > rows && self.distinct.len() > 0 && self.last_from >= rows {
            let last = self.distinct.len() - 1;
            let word = self.distinct.get(last);
            self.cache[slot(word)] = -1;
            self.map.remove(word);
            self.distinct.truncate(last);
            // The one before it came from an earlier row.
            self.last_from = 0;
        }
        self.keys.truncate(rows);
    }

    pub(super) fn finish(
        &mut self,
        room: usize,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, ArrowError> {
        let keys = Int32Array::try_new(take(&mut self.keys, room).into(), nulls)?;
        let distinct = self.distinct.finish(self.distinct.len(), None)?;
        self.map.clear();
        self.cache = [-1; SLOTS];
        self.last_from = 0;
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(distinct))?))
    }
}

/// A slot that depends on a word's length and its first and last eight bytes.
#[inline]
fn slot(word: &[u8]) -> usize {
    let number = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let mixed = match (word.first_chunk::<8>(), word.last_chunk::<8>()) {
        (Some(first), Some(last)) => number(first) ^ number(last).rotate_left(29),
        _ => word.iter().fold(0, |mixed, byte| mixed << 8 | u64::from(*byte)),
    };
    let mixed = (mixed ^ word.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - SLOT_BITS)) as usize
}
