//! Records as they are made: a column of values for each column of the dataset, before they become
//! text or Arrow. What tampers with data on the way to files stands between the two: it may change
//! any value here, and rows become text one by one ([`super::text`]).

use crate::dataset::Dataset;
use crate::mapping::ValueKind;

/// No value, among whole numbers.
pub const NONE: i64 = i64::MIN;
/// No value, among words.
const NO_WORD: u32 = u32::MAX;

/// The values of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Text with few distinct values.
    Words {
        /// The values.
        words: Vec<String>,
        /// For each row the position of its own; `u32::MAX`: none.
        rows: Vec<u32>,
    },
    /// Any other text; an empty one is no value.
    Text {
        /// All rows, one behind another.
        text: String,
        /// Where each row ends.
        ends: Vec<usize>,
    },
    /// Numbers in units of 10^-places; [`NONE`]: no value.
    Numbers {
        /// Decimal places.
        places: u32,
        /// For each row its units.
        rows: Vec<i64>,
    },
    /// Microseconds from 1970 UTC; [`NONE`]: no value.
    Times(Vec<i64>),
    /// Days from 1970; [`NONE`]: no value.
    Days(Vec<i64>),
    /// True or false; none: no value.
    Flags(Vec<Option<bool>>),
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Values::Words { rows, .. } => rows.len(),
            Values::Text { ends, .. } => ends.len(),
            Values::Numbers { rows, .. } | Values::Times(rows) | Values::Days(rows) => rows.len(),
            Values::Flags(rows) => rows.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a whole number, a time, a day, or units.
    #[inline]
    pub fn push(&mut self, value: i64) {
        match self {
            Values::Numbers { rows, .. } | Values::Times(rows) | Values::Days(rows) => {
                rows.push(value);
            }
            Values::Words { rows, .. } => {
                rows.push(u32::try_from(value).unwrap_or(NO_WORD));
            }
            Values::Flags(rows) => rows.push((value != NONE).then_some(value != 0)),
            Values::Text { text, ends } => {
                if value != NONE {
                    text.push_str(&value.to_string());
                }
                ends.push(text.len());
            }
        }
    }

    /// Appends a text that `write` makes.
    pub fn push_text(&mut self, write: impl FnOnce(&mut String)) {
        match self {
            Values::Text { text, ends } => {
                write(text);
                ends.push(text.len());
            }
            Values::Words { words, rows } => {
                let mut word = String::new();
                write(&mut word);
                let at = words.iter().position(|known| *known == word).unwrap_or_else(|| {
                    words.push(word);
                    words.len() - 1
                });
                rows.push(at as u32);
            }
            _ => self.push(NONE),
        }
    }

    /// Appends one of the words that were given beforehand, by position.
    #[inline]
    pub fn push_word(&mut self, word: usize) {
        self.push(word as i64);
    }

    /// The text of a row: of words and text only, where there is one.
    pub fn text(&self, row: usize) -> Option<&str> {
        match self {
            Values::Words { words, rows } => words.get(rows[row] as usize).map(String::as_str),
            Values::Text { text, ends } => {
                let start = if row == 0 { 0 } else { ends[row - 1] };
                Some(&text[start..ends[row]]).filter(|text| !text.is_empty())
            }
            _ => None,
        }
    }

    /// The number of a row: units, a time or a day; none for text and where there is no value.
    pub fn number(&self, row: usize) -> Option<i64> {
        let value = match self {
            Values::Numbers { rows, .. } | Values::Times(rows) | Values::Days(rows) => rows[row],
            Values::Flags(rows) => rows[row].map_or(NONE, i64::from),
            Values::Words { .. } | Values::Text { .. } => NONE,
        };
        (value != NONE).then_some(value)
    }

    fn clear(&mut self) {
        match self {
            Values::Words { rows, .. } => rows.clear(),
            Values::Text { text, ends } => {
                text.clear();
                ends.clear();
            }
            Values::Numbers { rows, .. } | Values::Times(rows) | Values::Days(rows) => rows.clear(),
            Values::Flags(rows) => rows.clear(),
        }
    }
}

/// Records of a dataset.
#[derive(Debug, Clone)]
pub struct Records {
    /// The dataset.
    pub dataset: &'static Dataset,
    /// Names of the columns: those of the dataset, or `document` alone where a record is a
    /// document of several tables.
    pub names: Vec<&'static str>,
    /// The values of each.
    pub columns: Vec<Values>,
}

impl Records {
    /// No records yet. `places` says how many decimal places numbers have, by column.
    pub fn new(dataset: &'static Dataset, places: &[(&str, u32)]) -> Self {
        if !dataset.children.is_empty() {
            let columns = vec![Values::Text { text: String::new(), ends: Vec::new() }];
            return Self { dataset, names: vec!["document"], columns };
        }
        let column = |kind: ValueKind, name: &str| match kind {
            ValueKind::Word => Values::Words { words: Vec::new(), rows: Vec::new() },
            ValueKind::Text | ValueKind::Json => {
                Values::Text { text: String::new(), ends: Vec::new() }
            }
            ValueKind::Float | ValueKind::Decimal | ValueKind::Integer => {
                let places = places.iter().find(|(of, _)| *of == name).map_or(0, |(_, n)| *n);
                Values::Numbers { places, rows: Vec::new() }
            }
            ValueKind::Time => Values::Times(Vec::new()),
            ValueKind::Date => Values::Days(Vec::new()),
            ValueKind::Bool => Values::Flags(Vec::new()),
        };
        Self {
            dataset,
            names: dataset.columns.iter().map(|column| column.name).collect(),
            columns: dataset.columns.iter().map(|of| column(of.kind, of.name)).collect(),
        }
    }

    /// With the words that a column may have, for [`Values::push_word`].
    pub fn with_words(mut self, column: &str, of: impl IntoIterator<Item = String>) -> Self {
        if let Some(Values::Words { words, .. }) = self.column_mut(column) {
            words.extend(of);
        }
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, Values::len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Values> {
        let at = self.names.iter().position(|known| *known == name)?;
        self.columns.get(at)
    }

    /// A column by name, to be changed.
    pub fn column_mut(&mut self, name: &str) -> Option<&mut Values> {
        let at = self.names.iter().position(|known| *known == name)?;
        self.columns.get_mut(at)
    }

    /// Forgets the rows and keeps the words.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Values::clear);
    }
}
