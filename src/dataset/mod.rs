//! What data mean: the columns, types, key and tables of each dataset. One dataset is one file,
//! listed once, here.

mod bars;

use crate::mapping::ValueKind;

/// What happens to a record whose key is stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictPolicy {
    /// The stored row stays; the record counts as duplicate.
    Skip,
    /// The record replaces the stored row if its values differ.
    Update,
    /// The record is a reject.
    Reject,
    /// The load stops.
    Error,
}

impl ConflictPolicy {
    /// The word on the command line and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            ConflictPolicy::Skip => "skip",
            ConflictPolicy::Update => "update",
            ConflictPolicy::Reject => "reject",
            ConflictPolicy::Error => "error",
        }
    }

    /// The policy with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Skip, Self::Update, Self::Reject, Self::Error]
            .into_iter()
            .find(|policy| policy.name() == name)
    }
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
}

/// A dataset.
#[derive(Debug)]
pub struct Dataset {
    /// Its name on the command line.
    pub name: &'static str,
    /// The domain whose migrations make its tables.
    pub domain: &'static str,
    /// Its tables; the first is the root.
    pub tables: &'static [&'static str],
    /// The columns of a record.
    pub columns: &'static [Column],
    /// Names of the columns that identify a record.
    pub key: &'static [&'static str],
    /// The column that holds a record's time.
    pub time: &'static str,
    /// The column that names a ticker, stored as `ticker_id` in our own tables.
    pub ticker: Option<&'static str>,
    /// What happens by default to a record whose key is there.
    pub on_conflict: ConflictPolicy,
    /// Groups of columns that must be all empty or all present.
    pub together: &'static [&'static [&'static str]],
}

impl Dataset {
    /// The column that `name` (in any case) means: by its own name or an alias.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        let name = name.trim().to_lowercase();
        self.columns
            .iter()
            .find(|column| column.name == name || column.aliases.contains(&name.as_str()))
    }
}

/// Every dataset.
pub const ALL: &[&Dataset] = &[&bars::BARS];

/// The dataset called `name`.
pub fn by_name(name: &str) -> Option<&'static Dataset> {
    ALL.iter().copied().find(|dataset| dataset.name == name)
}
