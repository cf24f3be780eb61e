//! Records that are spoiled: bytes that no value has, and values that no rule allows.

use super::super::Form;
use super::super::random::Random;
use super::super::records::{NONE, Records, Values};
use super::edit::{document, ordered, put_document, row_bytes, set};
use super::lay::{Fate, Line};
use super::{Fault, Kind};

/// Stands for bytes that no value can hold.
const MARK: &str = "TIDEGATEMARK";

/// An attacker who did not have the final blow.
pub(super) const NO_BLOW: &str = "\"final_blow\":false";

/// A record that is refused, or read otherwise than it is written elsewhere.
pub(super) fn spoiled(
    records: &mut Records,
    form: Form,
    fault: &'static Fault,
    row: usize,
    random: &mut Random,
) -> Line {
    let mut line = Line { fault: Some(fault), ..Line::of(row) };
    let rule = match fault.kind {
        Kind::EpochUnits => {
            line.bytes = epoch(records, form, row, random);
            None
        }
        Kind::InvalidUtf8 if document(records, row).is_some() => {
            let text = document(records, row).unwrap_or_default();
            let (before, after) = text.split_once('T').unwrap_or((text, ""));
            line.bytes = Some([before.as_bytes(), b"\xc9", after.as_bytes(), b"\n"].concat());
            Some("invalid_utf8")
        }
        Kind::TooFewFields | Kind::TooManyFields | Kind::TruncatedLine => {
            let (bytes, rule) = in_line(records, form, fault.kind, row);
            line.bytes = Some(bytes);
            Some(rule)
        }
        Kind::TruncatedJson => {
            let text = document(records, row).unwrap_or_default();
            let cut = text[..text.len() / 2].to_owned();
            line.record = put_document(records, &cut);
            Some("invalid_json")
        }
        Kind::TwoFinalBlows => {
            let text = document(records, row).unwrap_or_default();
            let two = text.replacen(NO_BLOW, "\"final_blow\":true", 1);
            line.record = put_document(records, &two);
            Some("one_final_blow")
        }
        kind => match in_value(records, form, kind, row) {
            Some((bytes, rule)) => {
                line.bytes = Some(bytes);
                Some(rule)
            }
            None => spoil_values(records, kind, row),
        },
    };
    if let Some(rule) = rule {
        line.fate = Fate::Rejected(rule);
    }
    line
}

/// Bytes that no value of the column has, and the rule that refuses them.
fn in_value(
    records: &Records,
    form: Form,
    kind: Kind,
    row: usize,
) -> Option<(Vec<u8>, &'static str)> {
    let text = super::text_column(records);
    let (at, csv, json, rule): (_, &[u8], &[u8], _) = match kind {
        Kind::BadDecimal => (super::amount_column(records), b"12.3O", b"\"12.3O\"", "bad_number"),
        Kind::BadTime => {
            (super::time_column(records), b"not a time", b"\"not a time\"", "bad_time")
        }
        Kind::NulByte => (text, b"T\0G", b"\"T\\u0000G\"", "nul_byte"),
        Kind::InvalidUtf8 => (text, b"T\xc9G", b"\"T\xc9G\"", "invalid_utf8"),
        Kind::BrokenQuote => (text, b"\"TG\"X", b"", "bad_quote"),
        _ => return None,
    };
    let bytes = if form == Form::Csv { csv } else { json };
    Some((marked(records, form, row, at?, bytes), rule))
}

/// The time of a record as a number.
fn epoch(records: &Records, form: Form, row: usize, random: &mut Random) -> Option<Vec<u8>> {
    let at = super::time_column(records)?;
    let us = records.columns[at].number(row)?;
    let shown = match random.below(3) {
        0 if us % 1_000_000 == 0 => us / 1_000_000,
        1 if us % 1_000 == 0 => us / 1_000,
        _ => us,
    };
    Some(marked(records, form, row, at, shown.to_string().as_bytes()))
}

/// A line that is cut off, or goes on, and the rule that refuses it.
fn in_line(records: &Records, form: Form, kind: Kind, row: usize) -> (Vec<u8>, &'static str) {
    let mut whole = Vec::new();
    row_bytes(records, form, row, &mut whole);
    match kind {
        Kind::TooManyFields => {
            ([whole.trim_ascii_end(), b",surplus\n"].concat(), "too_many_fields")
        }
        Kind::TooFewFields => ([two_fields(&whole), b"\n"].concat(), "too_few_fields"),
        _ if form == Form::Csv => (two_fields(&whole).to_vec(), "too_few_fields"),
        _ => (whole[..whole.len() / 2].to_vec(), "invalid_json"),
    }
}

/// Spoils the values of a record; the rule that refuses it, if one does.
fn spoil_values(records: &mut Records, kind: Kind, row: usize) -> Option<&'static str> {
    let number = |records: &Records, name: &str| records.column(name)?.number(row);
    match kind {
        Kind::NullValue => {
            let at = super::needed_column(records)?;
            match &mut records.columns[at] {
                Values::Words { rows, .. } => rows[row] = u32::MAX,
                other => set(other, row, NONE),
            }
            Some("null_value")
        }
        Kind::NegativeSize => {
            let (name, rule) = super::size_rule(records.dataset)?;
            let size = number(records, name)?.max(1);
            set(records.column_mut(name)?, row, -size);
            Some(rule)
        }
        Kind::HighBelowLow => {
            let ([_, high, low, _], rule) = super::prices(records.dataset)?;
            let low = number(records, low)?;
            set(records.column_mut(high)?, row, low - low.abs() / 10 - 10);
            Some(rule)
        }
        Kind::UnitJump => {
            for name in super::prices(records.dataset)?.0 {
                let price = number(records, name)?;
                set(records.column_mut(name)?, row, price * 100);
            }
            None
        }
        _ => None,
    }
}

/// The first two fields of a line.
fn two_fields(line: &[u8]) -> &[u8] {
    let second = line.iter().enumerate().filter(|(_, byte)| **byte == b',').nth(1);
    second.map_or(line, |(at, _)| &line[..at])
}

/// A record as a line, with some bytes in place of one value.
fn marked(records: &Records, form: Form, row: usize, column: usize, value: &[u8]) -> Vec<u8> {
    let mut one = ordered(records, &[row]);
    one.columns[column] = Values::Text { text: MARK.to_owned(), ends: vec![MARK.len()] };
    let mut line = Vec::new();
    row_bytes(&one, form, 0, &mut line);
    let mark = match form {
        Form::Csv => MARK.to_owned(),
        _ => format!("\"{MARK}\""),
    };
    let at = line.windows(mark.len()).position(|window| window == mark.as_bytes()).unwrap_or(0);
    [&line[..at], value, &line[at + mark.len()..]].concat()
}

/// An error page, as vendors send them with status 200.
pub fn html_page() -> Vec<u8> {
    b"<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head>\n<body>\
      <h1>Service Unavailable</h1><p>Please try again later.</p></body></html>\n"
        .to_vec()
}
