//! Columns of datasets, and how one is written down: a name, then what is special about it.

use crate::mapping::ValueKind;

/// One value of a column that takes only a few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// How it is stored.
    pub name: &'static str,
    /// Other spellings. Case does not matter in either.
    pub aliases: &'static [&'static str],
}

/// One column of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name here, in canonical files and in layouts.
    pub name: &'static str,
    /// Other names by which headers and users' tables call it, in lower case.
    pub aliases: &'static [&'static str],
    /// How its values are read by default; a `numeric` target turns a float into a decimal.
    pub kind: ValueKind,
    /// Whether a record without it is a reject.
    pub required: bool,
    /// Whether `--symbol`, `--interval` or the file's name may supply it.
    pub fact: bool,
    /// Its value where neither the file nor a fact gives one.
    pub default: Option<&'static str>,
    /// The only values it takes; empty: any.
    pub words: &'static [Word],
    /// What it holds, with its unit, for the documentation.
    pub about: &'static str,
}

impl Column {
    const fn new(name: &'static str, kind: ValueKind, about: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            required: false,
            fact: false,
            default: None,
            words: &[],
            about,
        }
    }

    /// Text with few distinct values.
    pub(super) const fn word(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueKind::Word, about)
    }

    /// Text with few distinct values, each one of `words`.
    pub(super) const fn one_of(
        name: &'static str,
        words: &'static [Word],
        about: &'static str,
    ) -> Self {
        Self { words, ..Self::new(name, ValueKind::Word, about) }
    }

    /// Any other text.
    pub(super) const fn text(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueKind::Text, about)
    }

    /// A number as a double.
    pub(super) const fn float(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueKind::Float, about)
    }

    /// A number with every digit.
    pub(super) const fn decimal(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueKind::Decimal, about)
    }

    /// A whole number.
    pub(super) const fn integer(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueKind::Integer, about)
    }

    /// A point in time.
    pub(super) const fn time(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueKind::Time, about)
    }

    /// A day.
    pub(super) const fn date(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueKind::Date, about)
    }

    /// True or false.
    pub(super) const fn flag(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ValueKind::Bool, about)
    }

    /// With other names.
    pub(super) const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// A record without it is a reject.
    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// `--symbol`, `--interval` or the file's name may supply it, and something must.
    pub(super) const fn fact(self) -> Self {
        Self { required: true, fact: true, ..self }
    }

    /// With a value for files that do not have it.
    pub(super) const fn default(self, value: &'static str) -> Self {
        Self { default: Some(value), ..self }
    }
}

/// A word with other spellings.
pub(super) const fn word(name: &'static str, aliases: &'static [&'static str]) -> Word {
    Word { name, aliases }
}

/// `symbol`, in the spelling of the source.
pub(super) const SYMBOL: Column = Column::word("symbol", "ticker, in the source's spelling")
    .or(&["ticker", "sym", "pair"])
    .fact();

/// `interval`, spelled as in `market_data`.
pub(super) const INTERVAL: Column = Column::word("interval", "length of the bar: 1m 5m 1h 1d")
    .or(&["timeframe", "bar_interval"])
    .fact();

/// Names that sources give to a row's time.
pub(super) const TIME_NAMES: &[&str] =
    &["timestamp", "time", "date", "datetime", "open_time", "bucket"];
