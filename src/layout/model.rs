//! What a layout says, in memory. Made from TOML by [`Layout::parse`], which checks everything that
//! can be checked without a file; read by recognition only.

use std::collections::BTreeMap;

use super::pattern::Pattern;
use crate::dataset::{Column, Dataset};
use crate::mapping::{JsonRecords, Quirks, Rewrite, TimeFormat, Zone};

/// The shape of one vendor's files.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Its name on the command line and in the ledger.
    pub name: String,
    /// Raised when a change of the layout changes what is loaded from the same bytes.
    pub version: u32,
    /// What it is, for a person.
    pub title: String,
    /// What the rows mean.
    pub dataset: &'static Dataset,
    /// Text, JSON or Parquet.
    pub format: Format,
    /// The outer shape of a text; the defaults for Parquet, where nothing reads it. Of JSON it says
    /// whether columns are found by name or by position, and what means "nothing".
    pub text: TextRules,
    /// Where the records of JSON may be: these are tried in order. Else empty.
    pub json: Vec<JsonRecords>,
    /// How a file is known to have this layout.
    pub recognise: RecogniseRules,
    /// Which field feeds which column, in the dataset's order.
    pub columns: Vec<ColumnRule>,
    /// What the file's name, or the vendor, says.
    pub facts: FactRules,
    /// What records may hold besides plain values.
    pub quirks: Quirks,
    /// Which of the records are this dataset's, where files hold those of several.
    pub sieve: Option<SieveRule>,
    /// Layouts that load the other records of such files.
    pub also: Vec<String>,
    /// Why files of this shape are not loaded, if they are not.
    pub refuse: Option<String>,
    /// What is odd about such files, a sentence each, for people.
    pub notes: Vec<String>,
}

impl Layout {
    /// Whether the file itself must have this column: every record needs it, and nothing outside
    /// the records tells it.
    pub fn needs(&self, column: &Column) -> bool {
        column.required && !column.fact && !self.facts.tell(column.name)
    }
}

/// Which records of a file are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SieveRule {
    /// The field that tells, by name or by position.
    pub field: SieveField,
    /// Its values; one that ends with `*` stands for all that begin so.
    pub words: Vec<String>,
    /// Whether the records with such a value are taken, or all others.
    pub takes: bool,
}

/// How the field of a [`SieveRule`] is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SieveField {
    /// By its name in the header, in any case.
    Name(String),
    /// By position, from 0.
    At(usize),
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Delimited text.
    Text,
    /// JSON.
    Json,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// How a person would say it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "JSON",
            Format::Parquet => "Parquet",
        }
    }
}

/// Whether there is a line of field names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderRule {
    /// There is none: columns are found by position.
    None,
    /// There may be one, equal to one of [`RecogniseRules::headers`]; columns are found by
    /// position.
    Optional,
    /// There is one, equal to one of [`RecogniseRules::headers`], whose names do not stand above
    /// their fields; columns are found by position.
    Positional,
    /// There is one: columns are found by name.
    Required,
}

/// The outer shape of a delimited text.
#[derive(Debug, Clone)]
pub struct TextRules {
    /// Delimiters that are tried, in this order.
    pub delimiters: Vec<u8>,
    /// The quote byte.
    pub quote: u8,
    /// Whether there is a header.
    pub header: HeaderRule,
    /// Lines that may stand before the header.
    pub preamble_lines_max: usize,
    /// Lines that may stand between the header and the first record, each once, in this order.
    pub below: Vec<Pattern>,
    /// Spellings of "nothing" besides the empty field. Case matters, for tickers may be called so.
    pub nulls: Vec<String>,
}

/// How a file is known to have a layout.
#[derive(Debug, Clone)]
pub struct RecogniseRules {
    /// Of several layouts that fit, the one with the highest rank is taken: specific ones outrank
    /// generic ones.
    pub rank: u32,
    /// Exact field names, one list for each known header; empty: any header with the columns.
    pub headers: Vec<Vec<String>>,
    /// Names that a header must have, whether or not a column uses them; of each list one.
    pub has: Vec<Vec<String>>,
    /// Names that a header must not have.
    pub lacks: Vec<String>,
    /// Names that a header must have several times.
    pub repeats: Vec<String>,
    /// For JSON that is not loaded: a pattern for every key of the whole document.
    pub document_keys: Option<Pattern>,
    /// For JSON that is not loaded: keys of the document under which it has lists.
    pub document_lists: Vec<String>,
    /// Numbers of fields that a record may have; empty: any.
    pub fields: Vec<usize>,
    /// Columns that must be there besides those that the dataset requires.
    pub require: Vec<&'static str>,
    /// For a dataset whose records are taken apart by a decoder of its own: keys of which a record
    /// has one. Else empty.
    pub members: Vec<String>,
    /// Whether the name must match one of [`FactRules::names`], because the shape alone says too
    /// little. Not asked when the user names the layout.
    pub by_name: bool,
    /// Whether the first records must have their highest price as the high and their lowest as the
    /// low. Not asked when the user names the layout.
    pub prices: bool,
    /// The interval that must lie between most of the first records; where they are too few, the
    /// name must match one of [`FactRules::names`]. Not asked when the user names the layout.
    pub step: Option<String>,
    /// Patterns for values at positions that no column may use (a close time among prices).
    pub values: Vec<(usize, Pattern)>,
    /// Names for which the layout would be wrong, each with the reason.
    pub not_names: Vec<(Pattern, String)>,
}

/// Where one column of the dataset may come from.
#[derive(Debug, Clone)]
pub struct ColumnRule {
    /// The column.
    pub column: &'static Column,
    /// The ways, best first. Of those whose fields are there, the first is taken; for times, the
    /// one whose pattern reads most of the sample.
    pub ways: Vec<Way>,
}

/// One way to get a column.
#[derive(Debug, Clone)]
pub struct Way {
    /// Which field.
    pub source: WaySource,
    /// How times are written, for time columns.
    pub time: Option<TimeFormat>,
    /// The pattern as the layout writes it, for messages.
    pub time_text: String,
    /// The interval that times of this form tell (a date without a time of day: `1d`).
    pub interval: Option<String>,
    /// The zone of times of this form, unless a flag says another; `None`: the layout's.
    pub zone: Option<Zone>,
    /// Whether times of this form are those of a bar's start or its end.
    pub stamp: Stamp,
    /// How the field's text is put right before it is read.
    pub rewrite: Option<Rewrite>,
    /// Parquet: what the field's type must start with, one of these; empty: any.
    pub types: Vec<String>,
    /// Whether the field may hold tickers or the names of companies: it is taken if all of the
    /// sample look like tickers, and a flag wins over it.
    pub tickers: bool,
}

/// Which of a bar's instants its time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// Its start.
    Start,
    /// Its end. Of bars that calendars measure the start is not known.
    End,
    /// Its end, and days are those of UTC, of 24 hours each.
    UtcEnd,
}

/// How a field is found.
#[derive(Debug, Clone)]
pub enum WaySource {
    /// By any of these names in the header, in any case.
    Names(Vec<String>),
    /// By the dataset's own name and aliases for the column, in any case.
    Aliases,
    /// The header name, counted from 0 among all that match the pattern.
    Pattern(Pattern, usize),
    /// By position, from 0.
    At(usize),
    /// Two named fields, a date and a time of day, joined by a space.
    JoinNames(String, String),
    /// Two fields by position, joined by a space.
    JoinAt(usize, usize),
}

/// What is known from outside a file's bytes.
#[derive(Debug, Clone)]
pub struct FactRules {
    /// Patterns over the file's name with groups called as the facts: `symbol`, `interval`,
    /// `venue`, `date`, or any column of the dataset. The first that matches and has the group
    /// supplies the value. In the text `{start}` stands for the start of the name or a word that
    /// renaming put there (`copy of `, `old_`), and `{end}` for the end of a word.
    pub names: Vec<Pattern>,
    /// Patterns over the whole path, with `/` between its parts, asked after the names.
    pub paths: Vec<Pattern>,
    /// Patterns over the lines before the first record, asked before the names; of JSON over the
    /// values that [`FactRules::keys`] lead to, where they are not the facts themselves.
    pub lines: Vec<Pattern>,
    /// Of JSON: paths from a document's root to values outside of its records, each with the fact
    /// that it tells; those of one fact are asked in this order.
    pub keys: Vec<(String, Vec<String>)>,
    /// A name that matches, for messages.
    pub example: Option<String>,
    /// How each fact is made, by its name; a fact that is not here is taken as it stands.
    pub rules: BTreeMap<String, FactRule>,
    /// The zone of times without an offset; `None`: only the user knows it.
    pub zone: Option<Zone>,
}

impl FactRules {
    /// Whether a name, a line, a key or the layout itself may tell this fact.
    pub fn tell(&self, fact: &str) -> bool {
        let mut patterns = self.names.iter().chain(&self.paths).chain(&self.lines);
        let constant = self.rules.get(fact).is_some_and(|rule| rule.constant.is_some());
        let keys = self.keys.iter().any(|(known, _)| known == fact);
        constant || keys || patterns.any(|pattern| pattern.tells(fact))
    }
}

/// How one fact is made from what the name says.
#[derive(Debug, Clone, Default)]
pub struct FactRule {
    /// The value when neither flags nor the name give one.
    pub constant: Option<String>,
    /// Upper case (`Some(true)`), lower case (`Some(false)`), or as it stands.
    pub upper: Option<bool>,
    /// Parts to replace, in the order of the parts: what each becomes in turn, the last whatever
    /// is left. Never without one.
    pub replace: Vec<(String, Vec<String>)>,
    /// Whole values to replace, after the above (`1440` to `1d`).
    pub map: BTreeMap<String, String>,
    /// Values that are no fact (`copy`, `backup`), in lower case.
    pub except: Vec<String>,
    /// Of the interval: whether the time between the first records tells it, where nothing else
    /// does.
    pub spacing: bool,
    /// For a whole number, how many of its last digits stand after the point.
    pub scale: usize,
}
