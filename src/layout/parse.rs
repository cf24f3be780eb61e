//! Reads a layout's TOML text, strictly: every mistake names the key and the line.

use regex::Regex;
use toml::de::{DeTable, DeValue};

use super::error::LayoutError;
use super::json_rules;
use super::model::{
    ColumnRule, Format, HeaderRule, Layout, RecogniseRules, SieveField, SieveRule, Stamp,
    TextRules, WaySource,
};
use super::nearest::nearest;
use super::parse_columns::{read_columns, read_interval, with_comma};
use super::parse_facts::read_facts;
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
const RECOGNISE_KEYS: &[&str] = &[
    "rank",
    "headers",
    "has",
    "lacks",
    "repeats",
    "document_keys",
    "document_lists",
    "fields",
    "require",
    "members",
    "aliases",
    "by_name",
    "prices",
    "step",
    "not_names",
    "values",
];

impl Layout {
    /// Reads a layout. `origin` is where the text is from, for messages.
    ///
    /// # Errors
    /// The first mistake, with its line and key, and the nearest known key for one that is not
    /// known.
    pub fn parse(text: &str, origin: &str) -> Result<Self, LayoutError> {
        let doc = Doc { origin, text };
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

fn read_regexes(value: &Value<'_>) -> Result<Vec<Regex>, LayoutError> {
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

fn read_recognise(
    root: &Table<'_>,
    dataset: &'static Dataset,
) -> Result<RecogniseRules, LayoutError> {
    let mut rules = RecogniseRules {
        rank: 50,
        headers: Vec::new(),
        has: Vec::new(),
        lacks: Vec::new(),
        repeats: Vec::new(),
        document_keys: None,
        document_lists: Vec::new(),
        fields: Vec::new(),
        require: Vec::new(),
        members: Vec::new(),
        by_name: false,
        prices: false,
        step: None,
        values: Vec::new(),
        not_names: Vec::new(),
    };
    let Some(table) = root.table("recognise", RECOGNISE_KEYS)? else { return Ok(rules) };
    if let Some(value) = table.get("rank") {
        rules.rank = u32::try_from(value.number()?).map_err(|_| value.bad("too large"))?;
    }
    if let Some(value) = table.get("headers") {
        rules.headers = value.list().iter().map(Value::strings).collect::<Result<_, _>>()?;
    }
    if let Some(value) = table.get("has") {
        rules.has = value.list().iter().map(Value::strings).collect::<Result<_, _>>()?;
    }
    if let Some(value) = table.get("lacks") {
        rules.lacks = value.strings()?;
    }
    if let Some(value) = table.get("repeats") {
        rules.repeats = value.strings()?;
    }
    read_document(root, &table, &mut rules)?;
    if let Some(value) = table.get("fields") {
        rules.fields = value.list().iter().map(Value::number).collect::<Result<_, _>>()?;
    }
    if let Some(value) = table.get("require") {
        for item in value.list() {
            rules.require.push(column(dataset, item.string()?, &item)?.name);
        }
    }
    if let Some(value) = table.get("members") {
        if dataset.children.is_empty() {
            return Err(value.bad("only a dataset of several tables has it: name its columns"));
        }
        rules.members = value.strings()?;
    }
    if let Some(value) = table.get("by_name") {
        rules.by_name = value.bool()?;
    }
    if let Some(value) = table.get("prices") {
        rules.prices = value.bool()?;
    }
    if let Some(value) = table.get("step") {
        rules.step = Some(read_interval(value.string()?, &value)?);
    }
    read_patterns(&table, &mut rules)?;
    Ok(rules)
}

/// Names that files do not have, and values that records have.
fn read_patterns(table: &Table<'_>, rules: &mut RecogniseRules) -> Result<(), LayoutError> {
    if let Some(value) = table.get("not_names") {
        for (pattern, reason) in value.any_table()?.entries() {
            rules.not_names.push((regex(pattern, &reason)?, reason.string()?.to_owned()));
        }
    }
    if let Some(value) = table.get("values") {
        for (at, pattern) in value.any_table()?.entries() {
            let position = at.parse().map_err(|_| pattern.bad("expected a position from 0"))?;
            rules.values.push((position, regex(pattern.string()?, &pattern)?));
        }
    }
    Ok(())
}

/// What is known of a whole document that is not loaded.
fn read_document(
    root: &Table<'_>,
    table: &Table<'_>,
    rules: &mut RecogniseRules,
) -> Result<(), LayoutError> {
    let of_refused = |key: &str| match table.get(key) {
        Some(value) if root.get("refuse").is_none() => {
            Err(value.bad("only a layout of files that are not loaded has it"))
        }
        value => Ok(value),
    };
    if let Some(value) = of_refused("document_keys")? {
        rules.document_keys = Some(regex(value.string()?, &value)?);
    }
    if let Some(value) = of_refused("document_lists")? {
        rules.document_lists = value.strings()?;
    }
    Ok(())
}

fn read_aliases(root: &Table<'_>) -> Result<bool, LayoutError> {
    let Some(table) = root.table("recognise", RECOGNISE_KEYS)? else { return Ok(false) };
    table.get("aliases").map_or(Ok(false), |value| value.bool())
}

pub(super) fn regex(pattern: &str, value: &Value<'_>) -> Result<Regex, LayoutError> {
    Regex::new(pattern).map_err(|error| {
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
mod tests {
    use super::*;
    use crate::mapping::Zone;

    const GOOD: &str = r#"
name = "mine"
dataset = "bars"
[text]
delimiter = ";"
header = "none"
[recognise]
fields = 5
[columns]
ts = { at = 0, time = "%d.%m.%Y" }
open = 1
high = 2
low = 3
close = 4
[facts]
names = ['{start}(?P<symbol>[a-z]+)_(?P<interval>[a-z]+){end}']
example = "acme_fast.csv"
symbol = { case = "upper", replace = { _ = "." }, map = { ACME = "ACME.X" } }
interval = { map = { fast = "1m" } }
zone = "Europe/Paris"
"#;

    /// The message for [`GOOD`] with one part replaced.
    fn mistake(part: &str, by: &str) -> String {
        assert!(GOOD.contains(part), "{part}");
        Layout::parse(&GOOD.replacen(part, by, 1), "mine.toml").unwrap_err().to_string()
    }

    #[test]
    fn a_layout_is_read() {
        let layout = Layout::parse(GOOD, "mine.toml").unwrap();
        assert_eq!((layout.name.as_str(), layout.version), ("mine", 1));
        assert_eq!(layout.text.delimiters, [b';']);
        assert_eq!(layout.facts.zone.as_ref().map(Zone::name).as_deref(), Some("Europe/Paris"));
        let columns: Vec<&str> = layout.columns.iter().map(|rule| rule.column.name).collect();
        assert_eq!(columns, ["ts", "open", "high", "low", "close"]);
        assert_eq!(layout.facts.rules["symbol"].map["ACME"], "ACME.X");
    }

    #[test]
    fn mistakes_name_line_key_and_what_was_meant() {
        let cases = [
            (
                "delimiter = ",
                "delimeter = ",
                "mine.toml, line 5: unknown key text.delimeter, did you mean delimiter?; known \
                 here: delimiter, quote, header, preamble, below, nulls, decimal",
            ),
            (
                "close = 4",
                "clsoe = 4",
                "mine.toml, line 14: unknown key columns.clsoe, did you mean close?; known here: \
                 symbol, interval, ts, open, high, low, close, volume, quote_volume, trade_count, \
                 open_interest",
            ),
            (
                "[facts]",
                "[extra]",
                "mine.toml, line 15: unknown key extra; known here: name, version, title, \
                 dataset, format, refuse, quirks, also, text, json, parquet, records, recognise, \
                 columns, facts",
            ),
            ("name = \"mine\"\n", "", "mine.toml, line 1: name is missing"),
            (
                "\"mine\"",
                "\"My layout\"",
                "mine.toml, line 2: name: \"My layout\" is no name: \
                 use a-z, 0-9 and _",
            ),
            (
                "\"bars\"",
                "\"bar\"",
                "mine.toml, line 3: dataset: \"bar\" is no dataset; known: bars",
            ),
            ("\"bars\"", "7", "mine.toml, line 3: dataset: expected a string, found integer"),
            ("\";\"", "\"::\"", "mine.toml, line 5: text.delimiter: expected one ASCII character"),
            (
                "\"none\"",
                "\"no\"",
                "mine.toml, line 6: text.header: \"no\" is none of \"required\", \"optional\", \
                 \"positional\", \"none\"",
            ),
            (
                "fields = 5",
                "fields = -5",
                "mine.toml, line 8: recognise.fields: expected a whole \
                 number from 0",
            ),
            (
                "fields = 5",
                "fields = 4",
                "mine.toml, line 7: recognise: a column is at position 4, but a record may have \
                 only 4 fields (positions start at 0)",
            ),
            (
                "fields = 5",
                "",
                "mine.toml, line 7: recognise: without a header, recognise.fields \
                 must say how many fields",
            ),
            (
                "%d.%m.%Y",
                "%d.%Q.%Y",
                "mine.toml, line 10: columns.ts.time: time pattern \"%d.%Q.%Y\" has an unknown \
                 item %Q",
            ),
            (
                "close = 4",
                "close = \"Last\"",
                "mine.toml, line 9: columns: close is given by name, but not every file has a \
                 header: give its position, from 0",
            ),
            ("close = 4", "", "mine.toml, line 9: columns: close is missing, and bars need it"),
            (
                "\"none\"",
                "\"required\"",
                "mine.toml, line 9: columns: ts is given by position, but the files have field \
                 names: name them",
            ),
            (
                "\"none\"",
                "\"optional\"",
                "mine.toml, line 7: recognise: with such a header, \
                 recognise.headers must list it",
            ),
            (
                "at = 0, ",
                "at = 0, name = \"a\", ",
                "mine.toml, line 10: columns.ts: expected only \
                 one of name, aliases, pattern, at, join",
            ),
            (
                "at = 0, ",
                "",
                "mine.toml, line 10: columns.ts: expected name, aliases, pattern, at \
                 or join",
            ),
            (
                "open = 1",
                "open = { at = 1, scale = 30 }",
                "mine.toml, line 11: columns.open.scale: expected a power of ten from -18 to 18",
            ),
            (
                "at = 0, ",
                "at = 0, scale = 4, ",
                "mine.toml, line 10: columns.ts.scale: ts is no number",
            ),
            (
                "open = 1",
                "open = { at = 1, scale = 4, map = { a = \"b\" } }",
                "mine.toml, line 11: columns.open.map: a column has numbers or words, not both",
            ),
            (
                "open = 1",
                "open = { at = 1, time = \"auto\" }",
                "mine.toml, line 11: \
                 columns.open.time: open is no time",
            ),
            (
                "[a-z]+)_",
                "[a-z+)_",
                "mine.toml, line 16: facts.names: \"WORD\" is no regular \
                 expression: unclosed character class",
            ),
            (
                "acme_fast.csv",
                "ACME.csv",
                "mine.toml, line 17: facts.example: no pattern of \
                 facts.names matches \"ACME.csv\"",
            ),
            (
                "\"1m\"",
                "\"soon\"",
                "mine.toml, line 19: facts.interval: \"soon\" is no interval \
                 such as 1m, 1h, 1d, 1mo",
            ),
            (
                "[recognise]\n",
                "[records]\ntake = { field = 0, words = \"A\" }\n\
                 leave = { field = 0, words = \"A\" }\n[recognise]\n",
                "mine.toml, line 8: records.take: say either take or leave",
            ),
            (
                "open = 1",
                "open = { at = 1, nanos = true }",
                "mine.toml, line 11: columns.open.nanos: only a whole number may hold nanoseconds, \
                 of one field",
            ),
            (
                "open = 1",
                "open = { at = 1, occ = \"root\" }",
                "mine.toml, line 11: columns.open.occ: \"root\" is none of \"underlying\", \
                 \"expiry\", \"strike\", \"option_type\"",
            ),
            (
                "open = 1",
                "open = { at = 1, day = \"%Y\" }",
                "mine.toml, line 11: columns.open.day: only the second of two fields that are \
                 joined to a word is a day",
            ),
            (
                "Europe/Paris",
                "Mars",
                "mine.toml, line 20: facts.zone: unknown time zone \"Mars\": \
                 use UTC, UTC-5, +05:30 or a name like Europe/Paris",
            ),
            (
                "\"upper\"",
                "\"UPPER\"",
                "mine.toml, line 18: facts.symbol.case: \"UPPER\" is none \
                 of \"upper\", \"lower\"",
            ),
        ];
        for (part, by, expected) in cases {
            let message = mistake(part, by);
            // The pattern is shown with its edges spelled out, which is not the point here.
            let shown = match (message.find("names: "), message.find(" is no regular")) {
                (Some(from), Some(to)) => {
                    format!("{}\"WORD\"{}", &message[..from + 7], &message[to..])
                }
                _ => message,
            };
            // Lists of what is known go on.
            assert!(shown.starts_with(expected), "{part} -> {by}: {shown}");
        }
    }

    #[test]
    fn text_that_is_no_toml_names_its_line() {
        let message = mistake("fields = 5", "fields = = 5");
        assert!(message.starts_with("mine.toml, line 8: "), "{message}");
    }

    #[test]
    fn every_way_to_name_a_field_is_read() {
        let text = r#"
name = "ways"
dataset = "bars"
[columns]
ts = [{ join = ["Day", "Clock"], time = "%Y%m%d %H%M" }, { name = "Stamp", interval = "daily" }]
open = ["Open", "First"]
high = { name = "High" }
low = { aliases = true }
close = { pattern = '^Last', nth = 1 }
"#;
        let layout = Layout::parse(text, "ways.toml").unwrap();
        let shown: Vec<String> = layout
            .columns
            .iter()
            .flat_map(|rule| &rule.ways)
            .map(|way| match &way.source {
                WaySource::Pattern(pattern, nth) => format!("{} {nth}", pattern.as_str()),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "JoinNames(\"Day\", \"Clock\")",
                "Names([\"Stamp\"])",
                "Names([\"Open\", \"First\"])",
                "Names([\"High\"])",
                "Aliases",
                "^Last 1",
            ]
        );
        assert_eq!(layout.columns[0].ways[1].interval.as_deref(), Some("1d"));
    }
}
