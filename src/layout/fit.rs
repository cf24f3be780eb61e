//! Tries one layout on one sample: which field feeds which column, and whether the first records
//! read that way. A layout that does not fit says why, for the user who expected it to.

use memchr::memchr_iter;

mod doubt;

use super::json_fit::fit_json;
use super::model::{Format, HeaderRule, Layout, SieveField, Stamp, Way};
use super::prices::Prices;
use super::readable::{bad_value, check, fault, value_fault};
use super::recognise::SampleHead;
use super::resolve::{self, Choice, fold};
use super::sample::{Line, Record, Text, split_line};
use super::sniff::without_bom;
use super::step::Step;
use super::times;
use crate::dataset::Column;
use crate::limit::SAMPLE_RECORDS;
use crate::mapping::{FieldSource, JsonShape, Rewrite, Sieve, TextShape, TimeFormat, Zone};
pub(super) use doubt::Doubts;

/// A layout that fits.
#[derive(Debug, Clone, Default)]
pub(super) struct Fit {
    pub(super) shape: Option<TextShape>,
    pub(super) json: Option<JsonShape>,
    pub(super) fields: Vec<FitField>,
    /// Which of the records are taken, if not all.
    pub(super) sieve: Option<Sieve>,
    pub(super) others: Vec<(String, usize)>,
    /// The interval that the form of the times tells.
    pub(super) interval: Option<String>,
    /// The lines before the first record.
    pub(super) head: Vec<String>,
    /// What a document says outside of its records: facts and their words.
    pub(super) around: Vec<(String, String)>,
    pub(super) why: Vec<String>,
    /// What the first records tell of the order of their prices.
    pub(super) prices: Prices,
    /// What the first records leave in doubt.
    pub(super) doubts: Doubts,
    /// What they tell of the time between two of them.
    pub(super) step: Step,
}

/// One column that the file feeds.
#[derive(Debug, Clone)]
pub(super) struct FitField {
    pub(super) column: &'static Column,
    pub(super) source: FieldSource,
    pub(super) time: Option<TimeFormat>,
    /// The zone of times of this form, if it is not the layout's.
    pub(super) zone: Option<Zone>,
    /// Whether its times are those of a bar's start or its end.
    pub(super) stamp: Stamp,
    pub(super) rewrite: Option<Rewrite>,
    /// Whether the values' type tells their zone (Parquet).
    pub(super) zoned: bool,
    /// Whether a flag wins over it.
    pub(super) yields: bool,
}

/// Why a layout does not fit, and how far it got: the reason that got farthest is told.
#[derive(Debug, Clone)]
pub(super) struct Miss {
    pub(super) reason: String,
    pub(super) progress: usize,
}

impl Miss {
    /// A reason that says nothing of the records.
    pub(super) fn early(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), progress: 0 }
    }
}

/// Tries `layout` on the sample.
pub(super) fn fit(layout: &Layout, head: SampleHead<'_>) -> Result<Fit, Miss> {
    match (layout.format, head) {
        (Format::Parquet, SampleHead::Parquet { columns }) => fit_parquet(layout, columns),
        (Format::Text, SampleHead::Text { bytes, whole }) => {
            let text = Text { bytes: without_bom(bytes), whole };
            fit_text(layout, text)
        }
        (Format::Json, SampleHead::Json { bytes, whole }) => {
            fit_json(layout, Text { bytes: without_bom(bytes), whole })
        }
        (wanted, found) => {
            let wanted = wanted.name();
            Err(Miss::early(format!(
                "it is for {wanted} files, and this is {}",
                found.format().name()
            )))
        }
    }
}

fn fit_parquet(layout: &Layout, columns: &[(String, String)]) -> Result<Fit, Miss> {
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let types: Vec<String> = columns.iter().map(|(_, kind)| kind.clone()).collect();
    known_header(layout, &names)?;
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
    let sieve = sieve(layout, Some(&names))?;
    let why = vec![format!("columns {}", names.join(", "))];
    Ok(Fit {
        shape: None,
        json: None,
        fields,
        sieve,
        others,
        interval: None,
        head: Vec::new(),
        around: Vec::new(),
        why,
        ..Fit::default()
    })
}

/// Whether times of this Arrow type are points in time: epochs, and timestamps with a zone.
fn tells_zone(kind: &str) -> bool {
    let kind = kind.to_lowercase();
    let epoch = ["int", "uint", "float"].iter().any(|start| kind.starts_with(start));
    epoch || (kind.starts_with("timestamp") && kind.contains('"'))
}

fn fit_text(layout: &Layout, text: Text<'_>) -> Result<Fit, Miss> {
    if text.lines().next().is_none() {
        return Err(Miss::early("the first line is longer than the sample"));
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
    Err(best.unwrap_or_else(|| Miss::early("it has no delimiter")))
}

/// Where the records start, and what the header says.
struct Head {
    header: Option<(Vec<String>, Vec<u8>)>,
    lines: usize,
    /// How many of the lines are below the header.
    below: usize,
    start: usize,
    choices: Vec<Choice>,
}

impl Head {
    /// With `line` as the header, and the lines below it.
    fn new(
        layout: &Layout,
        text: Text<'_>,
        header: Option<(Vec<String>, Vec<u8>)>,
        line: Line<'_>,
        choices: Vec<Choice>,
    ) -> Self {
        let mut last = line;
        let mut patterns = layout.text.below.iter();
        for below in text.lines().skip(line.at + 1) {
            let words = String::from_utf8_lossy(below.bytes);
            if !patterns.any(|pattern| pattern.is_match(&words)) {
                break;
            }
            last = below;
        }
        Self { header, lines: last.at + 1, below: last.at - line.at, start: last.next, choices }
    }
}

fn fit_delimited(layout: &Layout, text: Text<'_>, delimiter: u8) -> Result<Fit, Miss> {
    let dialect = (delimiter, layout.text.quote);
    let head = match layout.text.header {
        HeaderRule::Required => named_head(layout, text, dialect)?,
        HeaderRule::Optional | HeaderRule::Positional | HeaderRule::None => {
            positional_head(layout, text, dialect)?
        }
    };
    let records = text.records(head.start, head.lines + 1, dialect, SAMPLE_RECORDS);
    if records.is_empty() && head.header.is_none() {
        return Err(Miss { reason: "it has no complete record".to_owned(), progress: 0 });
    }
    let count = match &head.header {
        Some((names, _)) if layout.text.header == HeaderRule::Required => Count::of(names),
        Some((names, _)) if records.is_empty() => Count::of(names),
        _ => Count::exactly(usual_count(layout, &records)?),
    };
    let mut fields: Vec<FitField> =
        head.choices.iter().filter_map(|choice| pick(choice, &records, layout)).collect();
    // Files of fewer fields lack the last columns.
    fields.retain(|field| match field.source {
        FieldSource::Field(at) => at < count.max || field.column.required,
        FieldSource::Joined(..) | FieldSource::Constant(_) => true,
    });
    let sieve = sieve(layout, head.header.as_ref().map(|(names, _)| names.as_slice()))?;
    let own = |record: &&Record| {
        let told = |sieve: &Sieve| record.fields.get(sieve.field).map_or("", String::as_str);
        sieve.as_ref().is_none_or(|sieve| sieve.passes(told(sieve).as_bytes()))
    };
    let fault = |record: &Record| match own(&record) {
        true => fault(record, &fields, count, layout),
        false => value_fault(record, layout),
    };
    check(&records, count, fault)?;
    let sign = char::from(delimiter).to_string();
    let mut why = vec![match &head.header {
        Some((names, _)) => format!("header {}", names.join(&sign)),
        None => format!("{} fields and no header", count.max),
    }];
    let lines_of = |(_, bytes): &(_, Vec<u8>)| 1 + memchr_iter(b'\n', bytes).count();
    let own = head.header.as_ref().map_or(0, lines_of) + head.below;
    if head.lines > own {
        why.push(format!("{} line(s) before the header", head.lines - own));
    }
    if head.below > 0 {
        why.push(format!("{} line(s) below the header", head.below));
    }
    let names = head.header.as_ref().map(|(names, _)| names.clone());
    let known = names.clone().or_else(|| {
        layout.recognise.headers.iter().find(|header| header.len() == count.max).cloned()
    });
    let others = unused(&known.unwrap_or_default(), &fields);
    let shape = TextShape {
        delimiter,
        quote: layout.text.quote,
        head_lines: head.lines,
        header_bytes: head.header.map(|(_, bytes)| bytes).unwrap_or_default(),
        header: names,
        fields_min: count.min,
        fields_max: count.max,
        nulls: layout.text.nulls.iter().map(|null| null.clone().into_bytes()).collect(),
    };
    let interval = told_interval(&head.choices, &records, &fields, layout);
    let line = |line: Line<'_>| String::from_utf8_lossy(line.bytes).into_owned();
    let head = text.lines().take(head.lines).map(line).collect();
    let (prices, step) = (Prices::of(&records, &fields), Step::of(&records, &fields));
    let doubts = Doubts::of(layout, &records, &fields, &others);
    let fit = Fit { shape: Some(shape), fields, sieve, others, interval, ..Fit::default() };
    Ok(Fit { head, why, prices, step, doubts, ..fit })
}

/// The records that the layout takes, by the position of the field that tells.
fn sieve(layout: &Layout, names: Option<&[String]>) -> Result<Option<Sieve>, Miss> {
    let Some(rule) = &layout.sieve else { return Ok(None) };
    let field = match &rule.field {
        SieveField::At(at) => *at,
        SieveField::Name(name) => {
            let mut names = names.unwrap_or_default().iter();
            match names.position(|own| fold(own) == fold(name)) {
                Some(at) => at,
                None if rule.takes => {
                    return Err(Miss::early(format!("its header has no {name}")));
                }
                None => return Ok(None),
            }
        }
    };
    Ok(Some(Sieve { field, words: rule.words.clone(), takes: rule.takes }))
}

/// How many fields a record has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    min: usize,
    pub(super) max: usize,
}

impl Count {
    pub(super) fn exactly(count: usize) -> Self {
        Self { min: count, max: count }
    }

    /// As many as a header has names; what a delimiter at its end adds need not be there.
    fn of(names: &[String]) -> Self {
        let named = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        Self { min: named, max: names.len() }
    }

    /// Whether a record fits; a delimiter at its very end is no field more.
    pub(super) fn fits(self, record: &Record) -> bool {
        let len = record.fields.len();
        let trailing = || record.fields.last().is_some_and(String::is_empty);
        (self.min..=self.max).contains(&len) || (len == self.max + 1 && trailing())
    }
}

/// Finds the header among the first lines, by the columns that it names.
fn named_head(layout: &Layout, text: Text<'_>, (delimiter, quote): (u8, u8)) -> Result<Head, Miss> {
    let mut best: Option<Miss> = None;
    let filled = text.lines().filter(|line| !line.bytes.is_empty());
    for first in filled.take(layout.text.preamble_lines_max + 1) {
        // A quote that is never closed, as in a remark above the header, is a letter.
        let line = text.record_at(first, (delimiter, quote)).unwrap_or(first);
        let names = split_line(line.bytes, delimiter, quote);
        let resolved =
            known_header(layout, &names).and_then(|()| resolve::by_name(layout, &names, None));
        match resolved {
            Ok(choices) => {
                let header = Some((names, line.bytes.to_vec()));
                return Ok(Head::new(layout, text, header, line, choices));
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

pub(super) fn known_header(layout: &Layout, names: &[String]) -> Result<(), Miss> {
    let folded: Vec<String> = names.iter().map(|name| fold(name)).collect();
    let named = |name: &&String| folded.contains(&fold(name));
    if let Some(words) = layout.recognise.has.iter().find(|words| !words.iter().any(|w| named(&w)))
    {
        let reason = format!("its header has no {}", words.join(" or "));
        return Err(Miss { reason, progress: 0 });
    }
    if let Some(name) = layout.recognise.lacks.iter().find(named) {
        let reason = format!("its header has {name}, which such files have not");
        return Err(Miss { reason, progress: names.len() });
    }
    let once = |name: &&String| folded.iter().filter(|own| **own == fold(name)).count() < 2;
    if let Some(name) = layout.recognise.repeats.iter().find(once) {
        let reason = format!("its header does not have {name} several times");
        return Err(Miss { reason, progress: 0 });
    }
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
    let none = Head { header: None, lines: 0, below: 0, start: 0, choices: choices.clone() };
    let mut filled = text.lines().filter(|line| !line.bytes.is_empty());
    let Some(line) = filled.next().filter(|_| layout.text.header != HeaderRule::None) else {
        return Ok(none);
    };
    let names = split_line(line.bytes, delimiter, quote);
    let folded = |names: &[String]| names.iter().map(|name| fold(name)).collect::<Vec<_>>();
    let seen = folded(&names);
    if layout.recognise.headers.iter().any(|header| folded(header) == seen) {
        let header = Some((names, line.bytes.to_vec()));
        return Ok(Head::new(layout, text, header, line, choices));
    }
    if layout.text.header == HeaderRule::Positional {
        known_header(layout, &names)?;
    }
    Ok(none)
}

/// The number of fields that most records have, if the layout knows it.
pub(super) fn usual_count(layout: &Layout, records: &[Record]) -> Result<usize, Miss> {
    let with = |count: usize| records.iter().filter(|r| r.fields.len() == count).count();
    let usual = records.iter().map(|record| record.fields.len()).max_by_key(|count| with(*count));
    let usual = usual.unwrap_or_default();
    if layout.recognise.fields.contains(&usual) {
        return Ok(usual);
    }
    let one_less = usual.saturating_sub(1);
    let trailing = |r: &&Record| r.fields.len() == usual && r.fields[one_less].is_empty();
    if layout.recognise.fields.contains(&one_less)
        && records.iter().filter(trailing).count() * 2 > records.len()
    {
        return Ok(one_less);
    }
    let known: Vec<String> = layout.recognise.fields.iter().map(usize::to_string).collect();
    let reason = format!(
        "its records have {usual} field{}, not {}",
        if usual == 1 { "" } else { "s" },
        known.join(" or ")
    );
    Err(Miss { reason, progress: usize::from(usual > 1) })
}

pub(super) fn field(column: &'static Column, source: &FieldSource, way: &Way) -> FitField {
    FitField {
        column,
        source: source.clone(),
        time: way.time.clone(),
        zone: way.zone.clone(),
        stamp: way.stamp,
        rewrite: way.rewrite.clone(),
        zoned: false,
        yields: way.tickers,
    }
}

/// Of several ways the one that reads the most records; the first of equals.
pub(super) fn pick(choice: &Choice, records: &[Record], layout: &Layout) -> Option<FitField> {
    let mut best: Option<(usize, FitField)> = None;
    for (source, way) in &choice.ways {
        let field = field(choice.column, source, way);
        if way.tickers && !records.iter().all(|record| has_ticker(record, source)) {
            continue;
        }
        let read = records.iter().filter(|r| bad_value(r, &field, layout).is_none()).count();
        if best.as_ref().is_none_or(|(most, _)| read > *most) {
            best = Some((read, field));
        }
    }
    best.map(|(_, field)| field)
}

/// Whether a record has there what may be a ticker: no space, and capitals or digits alone, or at
/// least one digit, as `sh.600000`.
fn has_ticker(record: &Record, source: &FieldSource) -> bool {
    let FieldSource::Field(at) = source else { return false };
    let word = record.fields.get(*at).map_or("", String::as_str);
    let signs = word.chars().all(|c| c.is_ascii_alphanumeric() || ".-/_^=:&".contains(c));
    let lower = word.chars().any(|c| c.is_ascii_lowercase());
    let digit = word.chars().any(|c| c.is_ascii_digit());
    (1..=20).contains(&word.len()) && signs && (!lower || digit)
}

/// The interval that the times tell in some form that reads most records, whether or not this
/// form is the one they are taken from. A day beside a time of day tells none, nor do days that are
/// further apart than days are.
pub(super) fn told_interval(
    choices: &[Choice],
    records: &[Record],
    fields: &[FitField],
    layout: &Layout,
) -> Option<String> {
    let one_series = !fields.iter().any(|field| field.column.name == "symbol");
    choices.iter().find_map(|choice| {
        choice.ways.iter().find_map(|(source, way)| {
            let field = field(choice.column, source, way);
            let read = records.iter().filter(|r| bad_value(r, &field, layout).is_none()).count();
            let beside = |other: &FitField| match (&field.source, &other.source) {
                (FieldSource::Field(day), FieldSource::Joined(date, _)) => day == date,
                _ => false,
            };
            let tells = read * 2 > records.len() && !fields.iter().any(beside);
            let far = one_series && way.interval.as_deref() == Some("1d");
            way.interval.clone().filter(|_| tells && !(far && are_far_apart(records, &field)))
        })
    })
}

/// Whether all days are almost a week from the next, or further: weeks or months, in which a pause
/// is no exception.
fn are_far_apart(records: &[Record], field: &FitField) -> bool {
    let (FieldSource::Field(at), Some(format)) = (&field.source, &field.time) else { return false };
    let day = |record: &Record| times::day_of(format, record.fields.get(*at)?);
    let days: Vec<i64> = records.iter().filter_map(day).collect();
    days.len() >= DAYS_MIN && days.windows(2).all(|pair| (pair[1] - pair[0]).abs() >= 6)
}

/// Days of which something is said: fewer may be those of a file with pauses.
const DAYS_MIN: usize = 6;

/// Header fields that no column uses.
pub(super) fn unused(names: &[String], fields: &[FitField]) -> Vec<(String, usize)> {
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
