//! Whether the records of a sample read as a layout says that they do, and what is wrong with one
//! that does not. Looks at spelling only; the decoder is what reads values.

use super::fit::{Count, FitField, Miss};
use super::model::{ColumnRule, Layout};
use super::sample::Record;
use super::times;
use crate::mapping::{FieldSource, ValueKind};

/// Most records must read; files may be dirty in their first rows.
pub(super) fn check(
    records: &[Record],
    count: Count,
    fault: impl Fn(&Record) -> Option<String>,
) -> Result<(), Miss> {
    let faults: Vec<String> = records.iter().filter_map(fault).collect();
    if faults.len() * 2 < records.len() || records.is_empty() {
        return Ok(());
    }
    let reason = format!(
        "{} of {} sample records cannot be read: {}",
        faults.len(),
        records.len(),
        faults[0]
    );
    Err(Miss { reason, progress: count.max + 1 })
}

/// The first thing wrong with a record.
pub(super) fn fault(
    record: &Record,
    fields: &[FitField],
    count: Count,
    layout: &Layout,
) -> Option<String> {
    if !count.fits(record) {
        let found = record.fields.len();
        return Some(format!("line {} has {found} fields, not {}", record.line, count.max));
    }
    if layout.quirks.idle_skipped && is_idle(record, fields, layout) {
        return None;
    }
    if let Some(wrong) = value_fault(record, layout) {
        return Some(wrong);
    }
    let (column, value, wanted) =
        fields.iter().find_map(|field| bad_value(record, field, layout))?;
    Some(format!("line {}: {column} {value:?} is no {wanted}", record.line))
}

/// A value at a position that such files have otherwise.
pub(super) fn value_fault(record: &Record, layout: &Layout) -> Option<String> {
    let value = |at: usize| record.fields.get(at).map_or("", String::as_str);
    let mut patterns = layout.recognise.values.iter();
    let (at, _) = patterns.find(|(at, pattern)| !pattern.is_match(value(*at)))?;
    let value = shorten(value(*at));
    Some(format!("line {}: field {} is {value:?}", record.line, at + 1))
}

/// Whether every price is nothing.
fn is_idle(record: &Record, fields: &[FitField], layout: &Layout) -> bool {
    let prices = ["open", "high", "low", "close"];
    let mut prices = fields.iter().filter(|field| prices.contains(&field.column.name));
    prices.all(|field| match field.source {
        FieldSource::Field(at) => record
            .fields
            .get(at)
            .is_none_or(|value| value.is_empty() || layout.text.nulls.contains(value)),
        FieldSource::Joined(..) | FieldSource::Constant(_) => true,
    })
}

/// The column, value and expected form of a value that does not read.
pub(super) fn bad_value(
    record: &Record,
    field: &FitField,
    layout: &Layout,
) -> Option<(&'static str, String, String)> {
    let value = match &field.source {
        FieldSource::Field(at) => record.fields.get(*at).cloned().unwrap_or_default(),
        FieldSource::Joined(date, time) => {
            let part = |at: usize| record.fields.get(at).map_or("", String::as_str);
            format!("{} {}", part(*date), part(*time))
        }
        FieldSource::Constant(_) => return None,
    };
    let column = field.column;
    let wanted = if value.is_empty() || layout.text.nulls.contains(&value) {
        column.required.then(|| "value".to_owned())?
    } else if let Some(wanted) = field.rewrite.as_ref().and_then(times::part) {
        let rewrite = field.rewrite.as_ref()?;
        (!times::is_part(rewrite, &value)).then(|| wanted.to_owned())?
    } else if let Some(format) = &field.time {
        (!times::is_time(format, &value)).then(|| time_name(layout, field))?
    } else {
        let number =
            matches!(column.kind, ValueKind::Float | ValueKind::Decimal | ValueKind::Integer);
        let reads = || times::is_rewritten_number(field.rewrite.as_ref(), &value);
        (number && !reads()).then(|| "number".to_owned())?
    };
    Some((column.name, shorten(&value), wanted))
}

fn time_name(layout: &Layout, field: &FitField) -> String {
    let rule: Option<&ColumnRule> =
        layout.columns.iter().find(|rule| rule.column.name == field.column.name);
    let way = rule.and_then(|rule| rule.ways.iter().find(|way| way.time == field.time));
    match way.map_or("auto", |way| way.time_text.as_str()) {
        "auto" => "ISO or epoch time".to_owned(),
        "epoch" => "epoch time".to_owned(),
        pattern => format!("time written {pattern}"),
    }
}

/// At most 60 characters, for messages.
fn shorten(value: &str) -> String {
    let mut short: String = value.chars().take(60).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short
}
