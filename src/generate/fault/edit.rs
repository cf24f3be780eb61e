//! Single records: looked at, copied, changed, and written.

use super::super::Form;
use super::super::records::{NONE, Records, Values};
use super::super::text::{csv_row, json_row};
use super::{amount_column, is_bounded};

/// The document of a record, where records are documents.
pub(super) fn document(records: &Records, row: usize) -> Option<&str> {
    (records.names == ["document"]).then(|| records.columns[0].text(row).unwrap_or_default())
}

/// Replaces what is no text.
pub(super) fn set(values: &mut Values, row: usize, value: i64) {
    match values {
        Values::Numbers { rows, .. } | Values::Times(rows) | Values::Days(rows) => {
            rows[row] = value;
        }
        Values::Flags(rows) => rows[row] = (value != NONE).then_some(value != 0),
        Values::Words { .. } | Values::Text { .. } => {}
    }
}

/// Appends a copy of a record and gives its position.
pub(super) fn copy(records: &mut Records, row: usize) -> usize {
    for column in &mut records.columns {
        match column {
            Values::Words { rows, .. } => rows.push(rows[row]),
            Values::Text { .. } => {
                let text = column.text(row).unwrap_or_default().to_owned();
                column.push_text(|into| into.push_str(&text));
            }
            Values::Numbers { rows, .. } | Values::Times(rows) | Values::Days(rows) => {
                rows.push(rows[row]);
            }
            Values::Flags(rows) => rows.push(rows[row]),
        }
    }
    records.len() - 1
}

/// Appends a document and gives its position.
pub(super) fn put_document(records: &mut Records, text: &str) -> usize {
    records.columns[0].push_text(|into| into.push_str(text));
    records.len() - 1
}

/// Appends a copy of a record with another value and gives its position.
pub(super) fn changed(records: &mut Records, row: usize) -> usize {
    if let Some(text) = document(records, row) {
        let name = "\"damage_taken\":";
        let (before, after) = text.split_once(name).unwrap_or((text, ""));
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let damage: u64 = after[..digits].parse().unwrap_or(0);
        let text = format!("{before}{name}{}{}", damage + 1, &after[digits..]);
        return put_document(records, &text);
    }
    let at = copy(records, row);
    if let Some(column) = amount_column(records) {
        let value = records.columns[column].number(at).unwrap_or(0);
        let bounded = is_bounded(records.dataset, records.names[column]);
        let other = if bounded && value > 0 { value - 1 } else { value + 1 };
        set(&mut records.columns[column], at, other);
    }
    at
}

/// Appends a record as a line.
pub(super) fn row_bytes(records: &Records, form: Form, row: usize, into: &mut Vec<u8>) {
    match form {
        Form::Csv => csv_row(records, row, into),
        _ => json_row(records, row, into),
    }
}

/// The records in this order.
pub(super) fn ordered(records: &Records, order: &[usize]) -> Records {
    let columns = records.columns.iter().map(|column| match column {
        Values::Words { words, rows } => Values::Words {
            words: words.clone(),
            rows: order.iter().map(|&row| rows[row]).collect(),
        },
        Values::Text { .. } => {
            let mut text = Values::Text { text: String::new(), ends: Vec::new() };
            for &row in order {
                text.push_text(|into| into.push_str(column.text(row).unwrap_or_default()));
            }
            text
        }
        Values::Numbers { places, rows } => {
            Values::Numbers { places: *places, rows: order.iter().map(|&row| rows[row]).collect() }
        }
        Values::Times(rows) => Values::Times(order.iter().map(|&row| rows[row]).collect()),
        Values::Days(rows) => Values::Days(order.iter().map(|&row| rows[row]).collect()),
        Values::Flags(rows) => Values::Flags(order.iter().map(|&row| rows[row]).collect()),
    });
    Records { dataset: records.dataset, names: records.names.clone(), columns: columns.collect() }
}
