//! The words of a load's dictionary columns, each once: so that runs hold numbers, and runs that
//! were made by different threads agree on them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;

use super::SpillError;
use crate::limit::SPILL_WORD_BYTES_MAX;

/// The words of every dictionary column, by position of the column.
#[derive(Debug)]
pub struct Words {
    columns: Vec<Option<Mutex<List>>>,
}

#[derive(Debug, Default)]
struct List {
    codes: HashMap<Arc<str>, i32>,
    words: Vec<Arc<str>>,
    bytes: usize,
}

impl Words {
    /// No words yet, for columns of these types.
    pub fn new<'a>(types: impl Iterator<Item = &'a DataType>) -> Self {
        let list = |kind: &DataType| {
            matches!(kind, DataType::Dictionary(..)).then(|| Mutex::new(List::default()))
        };
        Self { columns: types.map(list).collect() }
    }

    fn with<T>(&self, column: usize, work: impl FnOnce(&mut List) -> T) -> Option<T> {
        let list = self.columns[column].as_ref()?;
        Some(work(&mut list.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Whether column `column` holds words.
    pub fn has(&self, column: usize) -> bool {
        self.columns[column].is_some()
    }

    /// A dictionary column as numbers that mean the same in every run.
    pub(super) fn encode(&self, column: usize, array: &ArrayRef) -> Result<ArrayRef, SpillError> {
        let dictionary = array.as_dictionary::<Int32Type>();
        let values = dictionary.values().as_string::<i32>();
        let codes = self.with(column, |list| list.codes_of(values));
        let codes = codes.unwrap_or(Ok(Vec::new()))?;
        let keys = dictionary.keys();
        let encoded: Vec<i32> = (keys.values().iter())
            .map(|&code| codes.get(code as usize).copied().unwrap_or_default())
            .collect();
        Ok(Arc::new(Int32Array::try_new(encoded.into(), keys.nulls().cloned())?))
    }

    /// The rank of each word of a column among its words.
    pub(super) fn ranks(&self, column: usize) -> Vec<u32> {
        let rank = |list: &mut List| {
            let mut order: Vec<u32> = (0..list.words.len() as u32).collect();
            order.sort_unstable_by(|&a, &b| {
                list.words[a as usize].as_bytes().cmp(list.words[b as usize].as_bytes())
            });
            let mut ranks = vec![0; order.len()];
            for (rank, word) in (0..).zip(order) {
                ranks[word as usize] = rank;
            }
            ranks
        };
        self.with(column, rank).unwrap_or_default()
    }

    /// All words of a column, for [`decode`].
    pub(super) fn values(&self, column: usize) -> Option<ArrayRef> {
        self.with(column, |list| {
            let words: StringArray = list.words.iter().map(|word| Some(&**word)).collect();
            Arc::new(words) as ArrayRef
        })
    }
}

impl List {
    fn codes_of(&mut self, values: &StringArray) -> Result<Vec<i32>, SpillError> {
        let mut codes = Vec::with_capacity(values.len());
        for word in values {
            let word = word.unwrap_or_default();
            if let Some(&code) = self.codes.get(word) {
                codes.push(code);
                continue;
            }
            self.bytes += word.len() + size_of::<(Arc<str>, Arc<str>, i32)>();
            if self.bytes > SPILL_WORD_BYTES_MAX {
                return Err(SpillError::Words { bytes: SPILL_WORD_BYTES_MAX });
            }
            let code = self.words.len() as i32;
            let word: Arc<str> = word.into();
            self.words.push(Arc::clone(&word));
            self.codes.insert(word, code);
            codes.push(code);
        }
        Ok(codes)
    }
}

/// The reverse of [`Words::encode`].
pub(super) fn decode(codes: &ArrayRef, words: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let codes = codes.as_primitive::<Int32Type>().clone();
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(codes, Arc::clone(words))?))
}
