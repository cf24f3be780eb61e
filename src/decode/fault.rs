//! What can be wrong with a record, with the stable rule names that rejects are counted by.

use std::borrow::Cow;

use super::number::NumberFault;
use super::time::TimeFault;
use crate::json::{DEPTH_MAX, JsonFault};
use crate::limit::WORD_BYTES_MAX;

/// Characters of a value that a reason shows.
const SHOWN_CHARS_MAX: usize = 80;

pub(super) const RECORD_TOO_LONG: &str = "record_too_long";

/// Why a value is not of its column's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Empty, or a null spelling, where a value is required.
    Null,
    Number(NumberFault),
    Time(TimeFault),
    Boolean,
    Json(JsonFault),
    Utf8,
    /// A word with a NUL character, which the server takes in no text.
    Nul,
    /// A word that no index can hold.
    TooLong,
    /// No symbol of an option in the form of the OCC.
    Contract,
}

impl From<NumberFault> for Fault {
    fn from(fault: NumberFault) -> Self {
        Fault::Number(fault)
    }
}

impl From<TimeFault> for Fault {
    fn from(fault: TimeFault) -> Self {
        Fault::Time(fault)
    }
}

impl From<JsonFault> for Fault {
    fn from(fault: JsonFault) -> Self {
        Fault::Json(fault)
    }
}

impl Fault {
    /// The rule's name.
    pub fn rule(self) -> &'static str {
        match self {
            Fault::Null => "null_value",
            Fault::Number(NumberFault::Bad) => "bad_number",
            Fault::Number(NumberFault::NotFinite) => "not_finite",
            Fault::Number(NumberFault::OutOfRange) | Fault::Time(TimeFault::OutOfRange) => {
                "out_of_range"
            }
            Fault::Time(TimeFault::Bad) => "bad_time",
            Fault::Time(TimeFault::SubMicrosecond) => "sub_microsecond",
            Fault::Time(TimeFault::DstGap) => "dst_gap",
            Fault::Time(TimeFault::DstOverlap) => "dst_overlap",
            Fault::Boolean => "bad_boolean",
            Fault::Json(_) => "bad_json",
            Fault::Utf8 => "invalid_utf8",
            Fault::Nul => "nul_byte",
            Fault::TooLong => "value_too_long",
            Fault::Contract => "bad_contract",
        }
    }

    /// What is wrong with `value`, for a person.
    #[cold]
    pub fn reason(self, column: &str, value: &[u8]) -> String {
        let what = match self {
            Fault::Null => {
                return format!("column {column}: {} where a value is required", shown_null(value));
            }
            Fault::Number(fault) => fault.to_string(),
            Fault::Time(fault) => fault.to_string(),
            Fault::Boolean => "neither true nor false".to_owned(),
            Fault::Json(JsonFault::Bad(at)) => format!("not valid JSON at byte {at}"),
            Fault::Json(JsonFault::TooDeep(_)) => {
                format!("JSON nested deeper than {DEPTH_MAX} levels")
            }
            Fault::Utf8 => "not valid UTF-8".to_owned(),
            Fault::Nul => "a text with a NUL character".to_owned(),
            Fault::TooLong => format!("longer than {WORD_BYTES_MAX} bytes"),
            Fault::Contract => "not an option's symbol in the form SPY230327P00390000".to_owned(),
        };
        format!("column {column}: {} is {what}", shown(value))
    }
}

fn shown_null(value: &[u8]) -> String {
    if value.trim_ascii().is_empty() { "nothing".to_owned() } else { shown(value) }
}

/// A value in quotes, lossy and shortened.
pub(super) fn shown(value: &[u8]) -> String {
    // A character takes at most four bytes: no need to look at more.
    let head = &value[..value.len().min(4 * SHOWN_CHARS_MAX + 4)];
    let text = String::from_utf8_lossy(head);
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// What can be wrong with a record as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    NulByte,
    InvalidUtf8,
    TooFewFields { found: usize, min: usize },
    TooManyFields { max: usize },
    UnterminatedQuote,
    BadQuote,
    TooLong { max: usize },
}

impl Broken {
    /// The rule's name.
    pub fn rule(self) -> &'static str {
        match self {
            Broken::NulByte => "nul_byte",
            Broken::InvalidUtf8 => "invalid_utf8",
            Broken::TooFewFields { .. } => "too_few_fields",
            Broken::TooManyFields { .. } => "too_many_fields",
            Broken::UnterminatedQuote => "unterminated_quote",
            Broken::BadQuote => "bad_quote",
            Broken::TooLong { .. } => RECORD_TOO_LONG,
        }
    }

    /// What is wrong, for a person.
    #[cold]
    pub fn reason(self) -> Cow<'static, str> {
        let text = match self {
            Broken::NulByte => "the record holds a NUL byte",
            Broken::InvalidUtf8 => "the record is not valid UTF-8",
            Broken::TooFewFields { found, min } => {
                return format!("the record has {found} fields where at least {min} are needed")
                    .into();
            }
            Broken::TooManyFields { max } => {
                return format!("the record has more than the {max} fields that fit").into();
            }
            Broken::UnterminatedQuote => {
                "a quote is opened and never closed; all that follows it is in this record"
            }
            Broken::BadQuote => {
                "text follows a closing quote; a quote inside quotes must be doubled"
            }
            Broken::TooLong { max } => {
                return format!("the record is longer than {max} bytes; a quote may be missing")
                    .into();
            }
        };
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_show_the_value_and_name_the_column() {
        let fault = Fault::Number(NumberFault::Bad);
        assert_eq!(fault.reason("close", b"1\"x"), r#"column close: "1\"x" is not a number"#);
        assert_eq!(Fault::Null.reason("ts", b"  "), "column ts: nothing where a value is required");
        assert_eq!(
            Fault::Null.reason("ts", b"null"),
            r#"column ts: "null" where a value is required"#
        );
        let long = "é".repeat(1_000);
        let reason = fault.reason("x", long.as_bytes());
        assert_eq!(reason.matches('é').count(), 80);
        assert!(fault.reason("x", b"\xff").contains('\u{fffd}'));
    }
}
