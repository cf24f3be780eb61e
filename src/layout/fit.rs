//! Tries one layout on one sample: which field feeds which column, and whether the first records
//! read that way. A layout that does not fit says why, for the user who expected it to.

use super::model::{ColumnRule, Format, HeaderRule, Layout, Way};
use super::recognise::SampleHead;
use super::resolve::{self, Choice, fold};
use super::sample::{Line, Record, Text, split_line};
use super::sniff::without_bom;
use super::times;
use crate::dataset::Column;
use crate::limit::SAMPLE_RECORDS;
use crate::mapping::{FieldSource, TextShape, TimeFormat, ValueKind};

/// A layout that fits.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub(super) shape: Option<TextShape>,
    pub(super) fields: Vec<FitField>,
    pub(super) others: Vec<(String, usize)>,
    /// The interval that the form of the times tells.
    pub(super) interval: Option<String>,
    pub(super) why: Vec<String>,
}

/// One column that the file feeds.
#[derive(Debug, Clone)]
pub(super) struct FitField {
    pub(super) column: &'static Column,
    pub(super) source: FieldSource,
    pub(super) time: Option<TimeFormat>,
    /// Whether the values' type tells their zone (Parquet).
    pub(super) zoned: bool,
}

/// Why a layout does not fit, and how far it got: the reason that got farthest is told.
#[derive(Debug, Clone)]
pub(super) struct Miss {
    pub(super) reason: String,
    pub(super) progress: usize,
}

/// Tries `layout` on the sample.
pub(super) fn fit(layout: &Layout, head: SampleHead<'_>) -> Result<Fit, Miss> {
    let other = |reason: &str| Err(Miss { reason: reason.to_owned(), progress: 0 });
    match (layout.format, head) {
        (Format::Parquet, SampleHead::Parquet { columns }) => fit_parquet(layout, columns),
        (Format::Text, SampleHead::Text { bytes, whole }) => {
            let text = Text { bytes: without_bom(bytes), whole };
            fit_text(layout, text)
        }
        (Format::Parquet, _) => other("it is for Parquet files, and this is text"),
        (Format::Text, _) => other("it is for text files, and this is Parquet"),
    }
}

fn fit_parquet(layout: &Layout, columns: &[(String, String)]) -> Result<Fit, Miss> {
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let types: Vec<String> = columns.iter().map(|(_, kind)| kind.clone()).collect();
    let choices = resolve::by_name(layout, &names, Some(&types))?;
    let mut fields = Vec::new();
    for choice in &choices {
        let Some((source, way)) = choice.ways.first() else { continue };
        let zoned = match source {
            FieldSource::Field(at) => tells_zone(&types[*at]),
            FieldSource::Joined(..) | FieldSource::Constant(_) => false,
        };
        fields.push(FitField { zoned, ..field(choice.column, source, way) });
    }
    let others = unused(&names, &fields);
    let why = vec![format!("columns {}", names.join(", "))];
    Ok(Fit { shape: None, fields, others, interval: None, why })
}

/// Whether times of this Arrow type are points in time: epochs, and timestamps with a zone.
fn tells_zone(kind: &str) -> bool {
    let kind = kind.to_lowercase();
    let epoch = ["int", "uint", "float"].iter().any(|start| kind.starts_with(start));
    epoch || (kind.starts_with("timestamp") && kind.contains('"'))
}

fn fit_text(layout: &Layout, text: Text<'_>) -> Result<Fit, Miss> {
    if text.lines().next().is_none() {
        let reason = "the first line is longer than the sample".to_owned();
        return Err(Miss { reason, progress: 0 });
    }
    let mut best: Option<Miss> = None;
    for &delimiter in &layout.text.delimiters {
        match fit_delimited(layout, text, delimiter) {
            Ok(fit) => return Ok(fit),
            Err(miss) => {
                if best.as_ref().is_none_or(|best| miss.progress > best.progress) {
                    best = Some(miss);
                }
            }
        }
    }
    Err(best.unwrap_or(Miss { reason: String::new(), progress: 0 }))
}

/// Where the records start, and what the header says.
struct Head {
    header: Option<(Vec<String>, Vec<u8>)>,
    lines: usize,
    start: usize,
    choices: Vec<Choice>,
}

fn fit_delimited(layout: &Layout, text: Text<'_>, delimiter: u8) -> Result<Fit, Miss> {
    let dialect = (delimiter, layout.text.quote);
    let head = match layout.text.header {
        HeaderRule::Required => named_head(layout, text, dialect)?,
        HeaderRule::Optional | HeaderRule::None => positional_head(layout, text, dialect)?,
    };
    let records = text.records(head.start, head.lines + 1, dialect, SAMPLE_RECORDS);
    if records.is_empty() && head.header.is_none() {
        return Err(Miss { reason: "it has no complete record".to_owned(), progress: 0 });
    }
    let count = match &head.header {
        Some((names, _)) => names.len(),
        None => usual_count(layout, &records)?,
    };
    let fields: Vec<FitField> =
        head.choices.iter().filter_map(|choice| pick(choice, &records, layout)).collect();
    check(&records, &fields, count, layout)?;
    let mut why = vec![match &head.header {
        Some((names, _)) => {
            format!("header {}", names.join(char::from(delimiter).to_string().as_str()))
        }
        None => format!("{count} fields and no header"),
    }];
    if head.lines > usize::from(head.header.is_some()) {
        let before = head.lines - usize::from(head.header.is_some());
        why.push(format!("{before} line(s) before the header"));
    }
    let names = head.header.as_ref().map(|(names, _)| names.clone());
    let known = names
        .clone()
        .or_else(|| layout.recognise.headers.iter().find(|header| header.len() == count).cloned());
    let others = unused(&known.unwrap_or_default(), &fields);
    let shape = TextShape {
        delimiter,
        quote: layout.text.quote,
        head_lines: head.lines,
        header_bytes: head.header.map(|(_, bytes)| bytes).unwrap_or_default(),
        header: names,
        fields_min: count,
        fields_max: count,
        nulls: layout.text.nulls.iter().map(|null| null.clone().into_bytes()).collect(),
    };
    let interval = told_interval(&head.choices, &records, layout);
    Ok(Fit { shape: Some(shape), fields, others, interval, why })
}

/// Finds the header among the first lines, by the columns that it names.
fn named_head(layout: &Layout, text: Text<'_>, (delimiter, quote): (u8, u8)) -> Result<Head, Miss> {
    let mut best: Option<Miss> = None;
    let filled = text.lines().filter(|line| !line.bytes.is_empty());
    for line in filled.take(layout.text.preamble_lines_max + 1) {
        let names = split_line(line.bytes, delimiter, quote);
        let resolved =
            known_header(layout, &names).and_then(|()| resolve::by_name(layout, &names, None));
        match resolved {
            Ok(choices) => {
                let header = Some((names, line.bytes.to_vec()));
                return Ok(Head { header, lines: line.at + 1, start: line.next, choices });
            }
            Err(miss) => {
                if best.as_ref().is_none_or(|best| miss.progress > best.progress) {
                    best = Some(miss);
                }
            }
        }
    }
    Err(best.unwrap_or(Miss { reason: "it has no header".to_owned(), progress: 0 }))
}

fn known_header(layout: &Layout, names: &[String]) -> Result<(), Miss> {
    let headers = &layout.recognise.headers;
    if headers.is_empty() || headers.iter().any(|header| header == names) {
        return Ok(());
    }
    let shared = |header: &Vec<String>| names.iter().filter(|name| header.contains(name)).count();
    let nearest = headers.iter().rev().max_by_key(|header| shared(header));
    let expected = nearest.map_or_else(String::new, |header| header.join(","));
    let progress = nearest.map_or(0, shared);
    Err(Miss { reason: format!("its header is not {expected}"), progress })
}

/// No header, or one of the known ones; columns are found by position.
fn positional_head(
    layout: &Layout,
    text: Text<'_>,
    (delimiter, quote): (u8, u8),
) -> Result<Head, Miss> {
    let choices = resolve::by_position(layout);
    let none = Head { header: None, lines: 0, start: 0, choices: choices.clone() };
    let first: Option<Line<'_>> = text.lines().find(|line| !line.bytes.is_empty());
    let Some(line) = first.filter(|_| layout.text.header == HeaderRule::Optional) else {
        return Ok(none);
    };
    let names = split_line(line.bytes, delimiter, quote);
    let folded = |names: &[String]| names.iter().map(|name| fold(name)).collect::<Vec<_>>();
    let seen = folded(&names);
    if layout.recognise.headers.iter().any(|header| folded(header) == seen) {
        let header = Some((names, line.bytes.to_vec()));
        return Ok(Head { header, lines: line.at + 1, start: line.next, choices });
    }
    Ok(none)
}

/// The number of fields that most records have, if the layout knows it.
fn usual_count(layout: &Layout, records: &[Record]) -> Result<usize, Miss> {
    let with = |count: usize| records.iter().filter(|r| r.fields.len() == count).count();
    let usual = records.iter().map(|record| record.fields.len()).max_by_key(|count| with(*count));
    let usual = usual.unwrap_or_default();
    if layout.recognise.fields.contains(&usual) {
        return Ok(usual);
    }
    let known: Vec<String> = layout.recognise.fields.iter().map(usize::to_string).collect();
    let reason = format!(
        "its records have {usual} field{}, not {}",
        if usual == 1 { "" } else { "s" },
        known.join(" or ")
    );
    Err(Miss { reason, progress: usize::from(usual > 1) })
}

fn field(column: &'static Column, source: &FieldSource, way: &Way) -> FitField {
    FitField { column, source: source.clone(), time: way.time.clone(), zoned: false }
}

/// Of several ways the one that reads the most records; the first of equals.
fn pick(choice: &Choice, records: &[Record], layout: &Layout) -> Option<FitField> {
    let mut best: Option<(usize, FitField)> = None;
    for (source, way) in &choice.ways {
        let field = field(choice.column, source, way);
        let read = records.iter().filter(|r| bad_value(r, &field, layout).is_none()).count();
        if best.as_ref().is_none_or(|(most, _)| read > *most) {
            best = Some((read, field));
        }
    }
    best.map(|(_, field)| field)
}

/// The interval that the times tell in some form that reads most records, whether or not this
/// form is the one they are taken from.
fn told_interval(choices: &[Choice], records: &[Record], layout: &Layout) -> Option<String> {
    choices.iter().find_map(|choice| {
        choice.ways.iter().find_map(|(source, way)| {
            let field = field(choice.column, source, way);
            let read = records.iter().filter(|r| bad_value(r, &field, layout).is_none()).count();
            way.interval.clone().filter(|_| read * 2 > records.len())
        })
    })
}

/// Most records must read; files may be dirty in their first rows.
fn check(
    records: &[Record],
    fields: &[FitField],
    count: usize,
    layout: &Layout,
) -> Result<(), Miss> {
    let faults: Vec<String> =
        records.iter().filter_map(|record| fault(record, fields, count, layout)).collect();
    if faults.len() * 2 < records.len() || records.is_empty() {
        return Ok(());
    }
    let reason = format!(
        "{} of {} sample records cannot be read: {}",
        faults.len(),
        records.len(),
        faults[0]
    );
    Err(Miss { reason, progress: count + 1 })
}

/// The first thing wrong with a record.
fn fault(record: &Record, fields: &[FitField], count: usize, layout: &Layout) -> Option<String> {
    if record.fields.len() != count {
        let found = record.fields.len();
        return Some(format!("line {} has {found} fields, not {count}", record.line));
    }
    for (at, pattern) in &layout.recognise.values {
        let value = record.fields.get(*at).map_or("", String::as_str);
        if !pattern.is_match(value) {
            let value = shorten(value);
            return Some(format!("line {}: field {} is {value:?}", record.line, at + 1));
        }
    }
    let (column, value, wanted) =
        fields.iter().find_map(|field| bad_value(record, field, layout))?;
    Some(format!("line {}: {column} {value:?} is no {wanted}", record.line))
}

/// The column, value and expected form of a value that does not read.
fn bad_value(
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
    } else if let Some(format) = &field.time {
        (!times::is_time(format, &value)).then(|| time_name(layout, field))?
    } else {
        let number =
            matches!(column.kind, ValueKind::Float | ValueKind::Decimal | ValueKind::Integer);
        (number && !times::is_number(&value)).then(|| "number".to_owned())?
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

/// Header fields that no column uses.
fn unused(names: &[String], fields: &[FitField]) -> Vec<(String, usize)> {
    let used = |at: usize| {
        fields.iter().any(|field| match field.source {
            FieldSource::Field(field) => field == at,
            FieldSource::Joined(date, time) => date == at || time == at,
            FieldSource::Constant(_) => false,
        })
    };
    let all = names.iter().enumerate().filter(|(at, name)| !name.is_empty() && !used(*at));
    all.map(|(at, name)| (name.clone(), at)).collect()
}
