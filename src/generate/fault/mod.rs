//! Faults that are mixed into generated files: what vendors really deliver. Each is named, put in
//! by the seed alone, and booked in an answer key with what must become of it. What that is follows
//! from what the dataset promises, never from how files are read.

mod edit;
mod key;
mod lay;
mod spoil;

use super::Form;
use super::records::{Records, Values};
use crate::dataset::{Dataset, Test};

pub use key::Sums;
pub use lay::{Laid, Refused, lay, restate};
pub use spoil::html_page;

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A record twice.
    DuplicateEqual,
    /// A record again with another value.
    DuplicateConflicting,
    /// A record that stands at the end of its file.
    Late,
    /// A file of records that were there, with other values.
    Restatement,
    /// A number with a letter in it.
    BadDecimal,
    /// A time that is none.
    BadTime,
    /// A time in seconds, milliseconds or microseconds from 1970 among others.
    EpochUnits,
    /// A NUL byte.
    NulByte,
    /// A byte that is not UTF-8.
    InvalidUtf8,
    /// A record that ends early.
    TooFewFields,
    /// A record with a field more.
    TooManyFields,
    /// Prices a hundred times too high.
    UnitJump,
    /// A value that must be there and is not.
    NullValue,
    /// A high below the low.
    HighBelowLow,
    /// A size that is not one.
    NegativeSize,
    /// Text behind a closing quote.
    BrokenQuote,
    /// The header again, among the records.
    RepeatedHeader,
    /// A last record that is cut off.
    TruncatedLine,
    /// Two final blows.
    TwoFinalBlows,
    /// A killmail again that says something else.
    ChangedKillmail,
    /// A document that is cut off.
    TruncatedJson,
    /// An error page under the name of a data file.
    HtmlPage,
    /// A file without a byte.
    EmptyFile,
    /// A gzip file that is cut off.
    TruncatedGzip,
    /// A zip archive that is cut off.
    TruncatedZip,
    /// A tar archive that is cut off in its first member.
    TruncatedTar,
}

/// A fault that can be asked for.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// What it is and what becomes of it, for people.
    pub about: &'static str,
}

const fn fault(name: &'static str, kind: Kind, about: &'static str) -> Fault {
    Fault { name, kind, about }
}

/// All of them, in the order in which they are put in.
pub const FAULTS: &[Fault] = &[
    fault("bad_decimal", Kind::BadDecimal, "a number with a letter in it; rejected"),
    fault("bad_time", Kind::BadTime, "a time that is none; rejected"),
    fault("nul_byte", Kind::NulByte, "a NUL in a text; rejected"),
    fault("invalid_utf8", Kind::InvalidUtf8, "a byte that is not UTF-8; rejected"),
    fault("too_few_fields", Kind::TooFewFields, "a record that ends early (csv); rejected"),
    fault("too_many_fields", Kind::TooManyFields, "a record with a field more (csv); rejected"),
    fault("broken_quote", Kind::BrokenQuote, "text behind a closing quote (csv); rejected"),
    fault("truncated_json", Kind::TruncatedJson, "a document that is cut off; rejected"),
    fault("null_price", Kind::NullValue, "a value that must be there and is not; rejected"),
    fault("high_below_low", Kind::HighBelowLow, "a high below its low; rejected"),
    fault("negative_size", Kind::NegativeSize, "a size below 0; rejected"),
    fault("two_final_blows", Kind::TwoFinalBlows, "two attackers with the final blow; rejected"),
    fault("unit_jump", Kind::UnitJump, "prices a hundred times too high (bars); loaded, a warning"),
    fault("epoch_units", Kind::EpochUnits, "a time as a number, in s, ms or us; loaded"),
    fault("changed_killmail", Kind::ChangedKillmail, "a killmail again, changed; replaces it"),
    fault("duplicate_equal", Kind::DuplicateEqual, "a record twice; the second is a duplicate"),
    fault(
        "duplicate_conflicting",
        Kind::DuplicateConflicting,
        "a record again with another value; a conflicting duplicate",
    ),
    fault("late", Kind::Late, "a record out of order, at the end of its file; loaded"),
    fault("repeated_header", Kind::RepeatedHeader, "the header among records (csv); passed over"),
    fault("truncated_line", Kind::TruncatedLine, "a last record that is cut off; rejected"),
    fault("restatement", Kind::Restatement, "a file of records that were there, with other values"),
    fault("html_page", Kind::HtmlPage, "an error page as a data file; ignored"),
    fault("empty_file", Kind::EmptyFile, "a file without a byte; ignored"),
    fault("truncated_gzip", Kind::TruncatedGzip, "a gzip file that is cut off; fails"),
    fault("truncated_zip", Kind::TruncatedZip, "a zip archive that is cut off; fails"),
    fault("truncated_tar", Kind::TruncatedTar, "a tar archive that is cut off; fails"),
];

impl Kind {
    /// Whether it makes sense for files of a dataset.
    pub fn applies(self, records: &Records, form: Form) -> bool {
        let dataset = records.dataset;
        let documents = !dataset.children.is_empty();
        let csv = form == Form::Csv;
        let lines = matches!(form, Form::Csv | Form::Ndjson);
        match self {
            Kind::TwoFinalBlows | Kind::ChangedKillmail | Kind::TruncatedJson => documents,
            Kind::DuplicateEqual
            | Kind::Late
            | Kind::Restatement
            | Kind::HtmlPage
            | Kind::EmptyFile
            | Kind::TruncatedGzip
            | Kind::TruncatedZip
            | Kind::TruncatedTar => true,
            Kind::InvalidUtf8 => lines,
            _ if documents => false,
            Kind::DuplicateConflicting => true,
            Kind::BadDecimal => lines,
            Kind::BadTime | Kind::EpochUnits => lines && time_column(records).is_some(),
            Kind::NulByte | Kind::TruncatedLine => lines,
            Kind::TooFewFields | Kind::TooManyFields | Kind::BrokenQuote | Kind::RepeatedHeader => {
                csv
            }
            Kind::UnitJump => dataset.series.is_some(),
            Kind::NullValue => needed_column(records).is_some(),
            Kind::HighBelowLow => prices(dataset).is_some(),
            Kind::NegativeSize => size_rule(dataset).is_some(),
        }
    }

    /// Whether it is a file of its own.
    pub fn is_file(self) -> bool {
        matches!(
            self,
            Kind::Restatement
                | Kind::HtmlPage
                | Kind::EmptyFile
                | Kind::TruncatedGzip
                | Kind::TruncatedZip
                | Kind::TruncatedTar
        )
    }
}

/// The faults that a list names, of those that apply; `all` is all of them.
///
/// # Errors
/// A name that is none, or a fault that makes no sense here; says which there are.
pub fn chosen(
    list: &[String],
    records: &Records,
    form: Form,
) -> Result<Vec<&'static Fault>, String> {
    let applying: Vec<&'static Fault> =
        FAULTS.iter().filter(|fault| fault.kind.applies(records, form)).collect();
    if list.iter().any(|name| name == "all") {
        return Ok(applying);
    }
    let names =
        |faults: &[&Fault]| faults.iter().map(|fault| fault.name).collect::<Vec<_>>().join(", ");
    for name in list {
        if FAULTS.iter().all(|fault| fault.name != *name) {
            let all: Vec<&Fault> = FAULTS.iter().collect();
            return Err(format!(
                "--faults {name}: there is no such fault; there are all, {}",
                names(&all)
            ));
        }
        if applying.iter().all(|fault| fault.name != *name) {
            let dataset = records.dataset.name;
            return Err(format!(
                "--faults {name} makes no sense for {dataset} in this format; these do: {}",
                names(&applying)
            ));
        }
    }
    Ok(applying.into_iter().filter(|fault| list.iter().any(|name| name == fault.name)).collect())
}

/// Position of the column of a record's time, if it is a column of its own.
fn time_column(records: &Records) -> Option<usize> {
    let time = records.dataset.time?;
    let at = position(records, time)?;
    matches!(records.columns[at], Values::Times(_)).then_some(at)
}

fn position(records: &Records, name: &str) -> Option<usize> {
    records.names.iter().position(|known| *known == name)
}

/// The number whose value may be another: what is counted or measured, never a key.
fn amount_column(records: &Records) -> Option<usize> {
    const AMOUNTS: &[&str] = &[
        "volume",
        "size",
        "quantity",
        "count",
        "call_volume",
        "confidence",
        "home_score",
        "open_interest",
    ];
    AMOUNTS.iter().find_map(|name| {
        let at = position(records, name)?;
        matches!(records.columns[at], Values::Numbers { .. }).then_some(at)
    })
}

/// A column that every record must have, besides its key and its time.
fn needed_column(records: &Records) -> Option<usize> {
    let dataset = records.dataset;
    let needed = dataset.columns.iter().filter(|column| {
        column.required
            && column.default.is_none()
            && !dataset.key.contains(&column.name)
            && dataset.time != Some(column.name)
    });
    let needed: Vec<usize> = needed.filter_map(|column| position(records, column.name)).collect();
    let number = |&&at: &&usize| matches!(records.columns[at], Values::Numbers { .. });
    needed.iter().find(number).or(needed.first()).copied()
}

/// The first text: what carries bytes that no text may have.
fn text_column(records: &Records) -> Option<usize> {
    let is_text = |values: &Values| matches!(values, Values::Words { .. } | Values::Text { .. });
    records.columns.iter().position(is_text)
}

/// Open, high, low and close, where a rule holds them together, and its name.
fn prices(dataset: &Dataset) -> Option<([&'static str; 4], &'static str)> {
    dataset.rules.iter().find_map(|rule| match rule.test {
        Test::HighLow { prices } => Some((prices, rule.name)),
        _ => None,
    })
}

/// A column that must not be negative, and the name of the rule.
fn size_rule(dataset: &Dataset) -> Option<(&'static str, &'static str)> {
    dataset.rules.iter().find_map(|rule| match rule.test {
        Test::NotNegative(columns) => Some((*columns.first()?, rule.name)),
        // A strike is of the key.
        Test::Positive(columns) if !dataset.key.contains(columns.first()?) => {
            Some((*columns.first()?, rule.name))
        }
        _ => None,
    })
}

/// Whether a number is bounded from above: then another value of it is a lower one.
fn is_bounded(dataset: &Dataset, column: &str) -> bool {
    let within =
        |test: &Test| matches!(test, Test::Within(columns, ..) if columns.contains(&column));
    dataset.rules.iter().any(|rule| within(&rule.test))
}
