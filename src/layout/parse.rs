//! Reads a layout's TOML text, strictly: every mistake names the key and the line.

use toml::de::{DeTable, DeValue};

use super::error::LayoutError;
use super::json_rules;
use super::model::{
    ColumnRule, Format, HeaderRule, Layout, SieveField, SieveRule, Stamp, TextRules, WaySource,
};
use super::nearest::nearest;
use super::parse_columns::{read_columns, with_comma};
use super::parse_facts::read_facts;
use super::parse_recognise::{read_aliases, read_recognise};
use super::pattern::Pattern;
use super::toml_table::{Doc, Table, Value};
use crate::dataset::{self, Column, Dataset};
use crate::mapping::{Order, Quirks, Rewrite};

const ROOT_KEYS: &[&str] = &[
    "name",
    "version",
    "title",
    "dataset",
    "format",
    "refuse",
    "quirks",
    "also",
    "text",
    "json",
    "parquet",
    "records",
    "recognise",
    "columns",
    "facts",
];
const FORMATS: &[(&str, Format)] =
    &[("text", Format::Text), ("json", Format::Json), ("parquet", Format::Parquet)];
const TEXT_KEYS: &[&str] =
    &["delimiter", "quote", "header", "preamble", "below", "nulls", "decimal"];
const PARQUET_KEYS: &[&str] = &["nulls"];
const RECORDS_KEYS: &[&str] = &["skip_idle", "zero_untraded", "order", "take", "leave"];
const SIEVE_KEYS: &[&str] = &["field", "words"];

impl Layout {
    /// Reads a layout. `origin` is where the text is from, for messages.
    ///
    /// # Errors
    /// The first mistake, with its line and key, and the nearest known key for one that is not
    /// known.
    pub fn parse(text: &str, origin: &str) -> Result<Self, LayoutError> {
        Self::read(Doc { origin, text, trusted: false })
    }

    /// Reads a layout.
    pub(super) fn read(doc: Doc<'_>) -> Result<Self, LayoutError> {
        let Doc { origin, text, .. } = doc;
        let table = DeTable::parse(text).map_err(|error| LayoutError::Syntax {
            origin: origin.to_owned(),
            line: doc.line(error.span().map_or(0, |span| span.start)),
            reason: error.message().to_owned(),
        })?;
        let root = Table::root(doc, &table, ROOT_KEYS)?;
        let dataset = read_dataset(&root.need("dataset")?)?;
        let format = match root.get("format") {
            Some(value) => one_of(&value, FORMATS)?,
            None => Format::Text,
        };
        let mut text = read_text(&root, format)?;
        let json = json_rules::read(&root, format, &mut text)?;
        let recognise = read_recognise(&root, dataset)?;
        let aliases = read_aliases(&root)?;
        let mut columns = read_columns(&root, dataset, aliases)?;
        if let Some(place) = decimal_comma(&root)? {
            with_comma(&mut columns);
            agree_on_comma(&place, &columns)?;
        }
        let layout = Layout {
            name: read_name(&root.need("name")?)?,
            version: read_version(&root)?,
            title: root.get("title").map_or(Ok(""), |value| value.string())?.to_owned(),
            dataset,
            format,
            text,
            json,
            recognise,
            columns,
            facts: read_facts(&root, dataset)?,
            quirks: read_quirks(&root)?,
            sieve: read_sieve(&root, format)?,
            also: root.get("also").map_or(Ok(Vec::new()), |names| names.strings())?,
            refuse: root.get("refuse").map(|why| why.string().map(str::to_owned)).transpose()?,
            notes: root.get("quirks").map_or(Ok(Vec::new()), |notes| notes.strings())?,
        };
        agree(&layout, &root)?;
        Ok(layout)
    }
}

/// What holds between the parts of a layout.
fn agree(layout: &Layout, root: &Table<'_>) -> Result<(), LayoutError> {
    let by_name = layout.format == Format::Parquet || layout.text.header == HeaderRule::Required;
    for rule in &layout.columns {
        let mixed = rule
            .ways
            .iter()
            .any(|way| matches!(way.source, WaySource::At(_) | WaySource::JoinAt(..)) == by_name);
        if mixed {
            let place = root.get("columns").map_or_else(|| root.need("name"), Ok)?;
            let name = rule.column.name;
            return Err(place.bad(if by_name {
                format!("{name} is given by position, but the files have field names: name them")
            } else {
                format!(
                    "{name} is given by name, but not every file has a header: \
                     give its position, from 0"
                )
            }));
        }
    }
    if !by_name && layout.recognise.fields.is_empty() {
        let place = root.get("recognise").map_or_else(|| root.need("name"), Ok)?;
        return Err(place.bad("without a header, recognise.fields must say how many fields"));
    }
    let listed = matches!(layout.text.header, HeaderRule::Optional | HeaderRule::Positional);
    if listed && layout.recognise.headers.is_empty() {
        let place = root.get("recognise").map_or_else(|| root.need("name"), Ok)?;
        return Err(place.bad("with such a header, recognise.headers must list it"));
    }
    if layout.format != Format::Json && !layout.facts.keys.is_empty() {
        let place = root.get("facts").map_or_else(|| root.need("name"), Ok)?;
        return Err(place.bad("only JSON has keys around its records"));
    }
    let ways = || layout.columns.iter().flat_map(|rule| &rule.ways);
    if layout.format == Format::Parquet && ways().any(|way| way.stamp != Stamp::Start) {
        let place = root.need("columns")?;
        return Err(place.bad("times of Parquet are read as they are: stamp is not for them"));
    }
    if layout.refuse.is_some() {
        return Ok(());
    }
    let needed = layout.columns.iter().filter(|rule| layout.needs(rule.column));
    let last = needed.flat_map(|rule| &rule.ways).map(|way| match way.source {
        WaySource::At(at) => at,
        WaySource::JoinAt(date, time) => date.max(time),
        _ => 0,
    });
    if let (Some(last), Some(least)) = (last.max(), layout.recognise.fields.iter().min())
        && last >= *least
    {
        let place = root.need("recognise")?;
        return Err(place.bad(format!(
            "a column is at position {last}, but a record may have only {least} fields \
             (positions start at 0)"
        )));
    }
    for column in layout.dataset.columns.iter().filter(|column| layout.needs(column)) {
        if !layout.columns.iter().any(|rule| rule.column.name == column.name) {
            let place = root.get("columns").map_or_else(|| root.need("columns"), Ok)?;
            return Err(place
                .bad(format!("{} is missing, and {} need it", column.name, layout.dataset.name)));
        }
    }
    Ok(())
}

pub(super) fn one_of<T: Copy>(value: &Value<'_>, known: &[(&str, T)]) -> Result<T, LayoutError> {
    let word = value.string()?;
    known.iter().find(|(name, _)| *name == word).map(|(_, what)| *what).ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|(name, _)| format!("{name:?}")).collect();
        value.bad(format!("{word:?} is none of {}", names.join(", ")))
    })
}

fn read_name(value: &Value<'_>) -> Result<String, LayoutError> {
    let name = value.string()?;
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(word) {
        return Err(value.bad(format!("{name:?} is no name: use a-z, 0-9 and _")));
    }
    Ok(name.to_owned())
}

fn read_version(root: &Table<'_>) -> Result<u32, LayoutError> {
    let Some(value) = root.get("version") else { return Ok(1) };
    u32::try_from(value.number()?).map_err(|_| value.bad("expected a small whole number"))
}

fn read_dataset(value: &Value<'_>) -> Result<&'static Dataset, LayoutError> {
    let name = value.string()?;
    dataset::by_name(name).ok_or_else(|| {
        let known: Vec<&str> = dataset::ALL.iter().map(|dataset| dataset.name).collect();
        value.bad(format!("{name:?} is no dataset; known: {}", known.join(", ")))
    })
}

fn read_text(root: &Table<'_>, format: Format) -> Result<TextRules, LayoutError> {
    let mut rules = TextRules {
        delimiters: vec![b','],
        quote: b'"',
        header: HeaderRule::Required,
        preamble_lines_max: 0,
        below: Vec::new(),
        nulls: Vec::new(),
    };
    if let Some(typed) = root.table("parquet", PARQUET_KEYS)? {
        if format != Format::Parquet {
            return Err(root.need("parquet")?.bad("the layout is not for Parquet files"));
        }
        if let Some(value) = typed.get("nulls") {
            rules.nulls = value.strings()?;
        }
    }
    let Some(text) = root.table("text", TEXT_KEYS)? else { return Ok(rules) };
    match format {
        Format::Text => {}
        Format::Json => return Err(root.need("text")?.bad("a JSON layout has [json] instead")),
        Format::Parquet => return Err(root.need("text")?.bad("a Parquet layout has no text")),
    }
    if let Some(value) = text.get("delimiter") {
        rules.delimiters = value.list().iter().map(one_byte).collect::<Result<_, _>>()?;
        if rules.delimiters.is_empty() {
            return Err(value.bad("expected at least one delimiter"));
        }
    }
    if let Some(value) = text.get("quote") {
        rules.quote = one_byte(&value)?;
    }
    if let Some(value) = text.get("header") {
        let known = [
            ("required", HeaderRule::Required),
            ("optional", HeaderRule::Optional),
            ("positional", HeaderRule::Positional),
            ("none", HeaderRule::None),
        ];
        rules.header = one_of(&value, &known)?;
    }
    if let Some(value) = text.get("preamble") {
        rules.preamble_lines_max = value.number()?;
    }
    if let Some(value) = text.get("below") {
        rules.below = read_regexes(&value)?;
    }
    if let Some(value) = text.get("nulls") {
        rules.nulls = value.strings()?;
    }
    Ok(rules)
}

/// The place that says that a comma stands before the fraction of numbers, if one does.
fn decimal_comma<'a>(root: &Table<'a>) -> Result<Option<Value<'a>>, LayoutError> {
    let Some(text) = root.table("text", TEXT_KEYS)? else { return Ok(None) };
    let Some(value) = text.get("decimal") else { return Ok(None) };
    Ok(one_of(&value, &[(".", false), (",", true)])?.then_some(value))
}

/// A comma cannot stand before a fraction and between groups of digits.
fn agree_on_comma(place: &Value<'_>, columns: &[ColumnRule]) -> Result<(), LayoutError> {
    let both = |rewrite: &Rewrite| {
        matches!(rewrite, Rewrite::Number { comma: true, thousands: Some(b','), .. })
    };
    let ways = columns.iter().flat_map(|rule| &rule.ways);
    match ways.filter_map(|way| way.rewrite.as_ref()).any(both) {
        true => Err(place.bad("a column has a comma between its thousands already")),
        false => Ok(()),
    }
}

fn read_regexes(value: &Value<'_>) -> Result<Vec<Pattern>, LayoutError> {
    value.list().iter().map(|item| regex(item.string()?, item)).collect()
}

fn read_quirks(root: &Table<'_>) -> Result<Quirks, LayoutError> {
    let mut quirks = Quirks::default();
    let Some(records) = root.table("records", RECORDS_KEYS)? else { return Ok(quirks) };
    if let Some(value) = records.get("skip_idle") {
        quirks.idle_skipped = value.bool()?;
    }
    if let Some(value) = records.get("zero_untraded") {
        quirks.zero_untraded = value.bool()?;
    }
    if let Some(value) = records.get("order") {
        let known = [("ascending", Order::Ascending), ("descending", Order::Descending)];
        quirks.order = Some(one_of(&value, &known)?);
    }
    Ok(quirks)
}

/// Which of the records are taken: those of `take`, or all but those of `leave`.
fn read_sieve(root: &Table<'_>, format: Format) -> Result<Option<SieveRule>, LayoutError> {
    let Some(records) = root.table("records", RECORDS_KEYS)? else { return Ok(None) };
    let (value, takes) = match (records.get("take"), records.get("leave")) {
        (None, None) => return Ok(None),
        (Some(value), None) => (value, true),
        (None, Some(value)) => (value, false),
        (Some(value), Some(_)) => return Err(value.bad("say either take or leave")),
    };
    if format != Format::Text {
        return Err(value.bad("only records of text are told apart"));
    }
    let table = value.table(SIEVE_KEYS)?;
    let field = table.need("field")?;
    let words = table.need("words")?.strings()?;
    let field = match field.value {
        DeValue::Integer(_) => SieveField::At(field.number()?),
        _ => SieveField::Name(field.string()?.to_owned()),
    };
    Ok(Some(SieveRule { field, words, takes }))
}

pub(super) fn one_byte(value: &Value<'_>) -> Result<u8, LayoutError> {
    match value.string()?.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(*byte),
        _ => Err(value.bad("expected one ASCII character")),
    }
}

pub(super) fn regex(pattern: &str, value: &Value<'_>) -> Result<Pattern, LayoutError> {
    if value.doc.trusted {
        return Ok(Pattern::built_in(pattern));
    }
    Pattern::new(pattern).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        value.bad(format!("{pattern:?} is no regular expression: {reason}"))
    })
}

pub(super) fn column(
    dataset: &'static Dataset,
    name: &str,
    place: &Value<'_>,
) -> Result<&'static Column, LayoutError> {
    dataset.columns.iter().find(|column| column.name == name).ok_or_else(|| {
        let known: Vec<&str> = dataset.columns.iter().map(|column| column.name).collect();
        LayoutError::UnknownKey {
            origin: place.doc.origin.to_owned(),
            line: place.doc.line(place.span.start),
            key: place.path.clone(),
            nearest: nearest(name, known.iter().copied()).map(str::to_owned),
            known: known.join(", "),
        }
    })
}

#[cfg(test)]
mod tests;
