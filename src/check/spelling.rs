//! Words that have one spelling in our tables: `c`, `CE` and `Call` are `call`. Looks at each
//! distinct word once, not at each row.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, DictionaryArray};
use arrow::datatypes::Int32Type;

use crate::batch::Fault;
use crate::dataset::Word;

/// A column of words with each word replaced by what `stored` makes of it. `unknown` is told of
/// every row whose word it knows nothing of; such a row has no word afterwards. `None`: every word
/// is spelled so already.
pub fn respell(
    words: &ArrayRef,
    stored: impl Fn(&str) -> Option<String>,
    mut unknown: impl FnMut(usize, &str),
) -> Option<ArrayRef> {
    let words = words.as_dictionary::<Int32Type>();
    let values = words.values().as_string::<i32>();
    let canonical: Vec<Option<String>> =
        values.iter().map(|word| stored(word.unwrap_or_default())).collect();
    if values.iter().zip(&canonical).all(|(word, canonical)| word == canonical.as_deref()) {
        return None;
    }
    for (row, code) in words.keys().iter().enumerate() {
        if let Some(code) = code.filter(|&code| canonical[code as usize].is_none()) {
            unknown(row, values.value(code as usize));
        }
    }
    // Two spellings may become one word, so the dictionary is built anew.
    let spelled = words.keys().iter().map(|code| canonical[code? as usize].as_deref());
    let spelled: DictionaryArray<Int32Type> = spelled.collect();
    Some(Arc::new(spelled))
}

/// How a value is stored: as the word that it is, in any case and spelling.
pub(super) fn stored(value: &str, words: &[Word]) -> Option<String> {
    let is = |spelling: &&str| spelling.eq_ignore_ascii_case(value);
    let word = words.iter().find(|word| is(&word.name) || word.aliases.iter().any(is));
    word.map(|word| word.name.to_owned())
}

/// The fault of a value that is none of the words.
#[cold]
pub(super) fn unknown(row: usize, column: &str, value: &str, words: &[Word]) -> Fault {
    let known: Vec<&str> = words.iter().map(|word| word.name).collect();
    let shown: String = value.chars().take(80).collect();
    Fault {
        row,
        rule: "unknown_value".into(),
        column: Some(column.to_owned()),
        sqlstate: None,
        reason: format!("column {column}: {shown:?} is none of {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Checker;
    use super::*;
    use arrow::array::{Array, RecordBatch};

    const SIDES: &[Word] =
        &[Word { name: "buy", aliases: &["b"] }, Word { name: "sell", aliases: &["s"] }];

    fn spelled(sides: &[Option<&str>]) -> (Option<Vec<Option<String>>>, Vec<Fault>) {
        let words: DictionaryArray<Int32Type> = sides.iter().copied().collect();
        let column = ("side", Arc::new(words) as ArrayRef, true);
        let batch = RecordBatch::try_from_iter_with_nullable([column]).unwrap();
        let checker = Checker { words: vec![(0, SIDES)], ..Checker::default() };
        let mut faults = Vec::new();
        let spelled = checker.spell(&batch, &mut faults).unwrap().map(|batch| {
            let array = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8);
            let array = array.unwrap();
            let texts = array.as_string::<i32>();
            (0..texts.len())
                .map(|row| texts.is_valid(row).then(|| texts.value(row).to_owned()))
                .collect()
        });
        (spelled, faults)
    }

    #[test]
    fn every_spelling_becomes_the_stored_one() {
        let text = |text: &str| Some(text.to_owned());
        let (found, faults) = spelled(&[Some("B"), None, Some("sell"), Some("BUY"), Some("s")]);
        assert_eq!(found, Some(vec![text("buy"), None, text("sell"), text("buy"), text("sell")]));
        assert_eq!(faults, []);
        assert_eq!(spelled(&[Some("buy"), None, Some("sell")]), (None, vec![]));
    }

    #[test]
    fn what_is_no_word_is_a_fault_of_its_row() {
        let (_, faults) = spelled(&[Some("buy"), Some("hold"), Some("hold")]);
        let found: Vec<_> = faults.iter().map(|fault| (fault.row, &*fault.rule)).collect();
        assert_eq!(found, [(1, "unknown_value"), (2, "unknown_value")]);
        assert_eq!(faults[0].reason, "column side: \"hold\" is none of buy, sell");
    }
}
