//! Reads a layout's TOML text, strictly: every mistake names the key and the line.

use regex::Regex;
use toml::de::{DeTable, DeValue};

use super::error::LayoutError;
use super::interval::normalise_interval;
use super::model::{
    ColumnRule, FactRule, FactRules, Format, HeaderRule, Layout, RecogniseRules, TextRules, Way,
    WaySource,
};
use super::nearest::nearest;
use super::toml_table::{Doc, Table, Value};
use crate::dataset::{self, Column, Dataset};
use crate::mapping::{TimeFormat, ValueKind, Zone};

const ROOT_KEYS: &[&str] =
    &["name", "version", "title", "dataset", "format", "text", "recognise", "columns", "facts"];
const TEXT_KEYS: &[&str] = &["delimiter", "quote", "header", "preamble", "nulls"];
const RECOGNISE_KEYS: &[&str] =
    &["rank", "headers", "fields", "require", "aliases", "by_name", "not_names", "values"];
const WAY_KEYS: &[&str] =
    &["name", "aliases", "pattern", "nth", "at", "join", "time", "interval", "types"];
const FACTS_KEYS: &[&str] = &["names", "example", "symbol", "interval", "venue", "zone"];
const FACT_KEYS: &[&str] = &["constant", "case", "replace", "map", "except"];

/// Where a symbol may start in a file's name. Words that renaming or a download put before it are
/// known one by one: any other word before an underscore may be half of the symbol (`BTC_USD`).
const WORD_START: &str = "(?:^|[^A-Za-z0-9._^-]|(?:^|[^A-Za-z0-9])\
    (?i:old|new|copy|of|my|bak|backup|tmp|temp|binance|bitfinex|bitstamp|bybit|coinbase|gemini|\
    histdata|kraken|kucoin|okx|stooq)[_-])";
/// Where an interval may end.
const WORD_END: &str = "(?:[^A-Za-z0-9]|$)";

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
            Some(value) => one_of(&value, &[("text", Format::Text), ("parquet", Format::Parquet)])?,
            None => Format::Text,
        };
        let text = read_text(&root, format)?;
        let recognise = read_recognise(&root, dataset)?;
        let aliases = read_aliases(&root)?;
        let columns = read_columns(&root, dataset, aliases)?;
        let layout = Layout {
            name: read_name(&root.need("name")?)?,
            version: read_version(&root)?,
            title: root.get("title").map_or(Ok(""), |value| value.string())?.to_owned(),
            dataset,
            format,
            text,
            recognise,
            columns,
            facts: read_facts(&root)?,
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
    if layout.text.header == HeaderRule::Optional && layout.recognise.headers.is_empty() {
        let place = root.get("recognise").map_or_else(|| root.need("name"), Ok)?;
        return Err(place.bad("with an optional header, recognise.headers must list it"));
    }
    let last = layout.columns.iter().flat_map(|rule| &rule.ways).map(|way| match way.source {
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
    for column in layout.dataset.columns.iter().filter(|column| column.required && !column.fact) {
        if !layout.columns.iter().any(|rule| rule.column.name == column.name) {
            let place = root.get("columns").map_or_else(|| root.need("columns"), Ok)?;
            return Err(place
                .bad(format!("{} is missing, and {} need it", column.name, layout.dataset.name)));
        }
    }
    Ok(())
}

fn one_of<T: Copy>(value: &Value<'_>, known: &[(&str, T)]) -> Result<T, LayoutError> {
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
        nulls: Vec::new(),
    };
    let Some(text) = root.table("text", TEXT_KEYS)? else { return Ok(rules) };
    if format == Format::Parquet {
        return Err(root.need("text")?.bad("a Parquet layout has no text"));
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
            ("none", HeaderRule::None),
        ];
        rules.header = one_of(&value, &known)?;
    }
    if let Some(value) = text.get("preamble") {
        rules.preamble_lines_max = value.number()?;
    }
    if let Some(value) = text.get("nulls") {
        rules.nulls = value.strings()?;
    }
    Ok(rules)
}

fn one_byte(value: &Value<'_>) -> Result<u8, LayoutError> {
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
        fields: Vec::new(),
        require: Vec::new(),
        by_name: false,
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
    if let Some(value) = table.get("fields") {
        rules.fields = value.list().iter().map(Value::number).collect::<Result<_, _>>()?;
    }
    if let Some(value) = table.get("require") {
        for item in value.list() {
            rules.require.push(column(dataset, item.string()?, &item)?.name);
        }
    }
    if let Some(value) = table.get("by_name") {
        rules.by_name = value.bool()?;
    }
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
    Ok(rules)
}

fn read_aliases(root: &Table<'_>) -> Result<bool, LayoutError> {
    let Some(table) = root.table("recognise", RECOGNISE_KEYS)? else { return Ok(false) };
    table.get("aliases").map_or(Ok(false), |value| value.bool())
}

fn regex(pattern: &str, value: &Value<'_>) -> Result<Regex, LayoutError> {
    Regex::new(pattern).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        value.bad(format!("{pattern:?} is no regular expression: {reason}"))
    })
}

fn column(
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

fn read_columns(
    root: &Table<'_>,
    dataset: &'static Dataset,
    aliases: bool,
) -> Result<Vec<ColumnRule>, LayoutError> {
    let mut rules = Vec::new();
    if let Some(value) = root.get("columns") {
        for (name, value) in value.any_table()?.entries() {
            let column = column(dataset, name, &value)?;
            rules.push(ColumnRule { column, ways: read_ways(column, &value)? });
        }
    }
    for column in dataset.columns.iter().filter(|_| aliases) {
        if !rules.iter().any(|rule| rule.column.name == column.name) {
            let way = plain(column, WaySource::Aliases);
            rules.push(ColumnRule { column, ways: vec![way] });
        }
    }
    let place = |rule: &ColumnRule| {
        dataset.columns.iter().position(|column| column.name == rule.column.name)
    };
    rules.sort_by_key(place);
    Ok(rules)
}

fn is_time(column: &Column) -> bool {
    matches!(column.kind, ValueKind::Time | ValueKind::Date)
}

fn plain(column: &Column, source: WaySource) -> Way {
    let time = is_time(column).then_some(TimeFormat::Auto);
    let time_text = if time.is_some() { "auto".to_owned() } else { String::new() };
    Way { source, time, time_text, interval: None, types: Vec::new() }
}

/// `"Open"`, `["Open", "o"]`, `1`, `{ ... }` or a list of `{ ... }`.
fn read_ways(column: &'static Column, value: &Value<'_>) -> Result<Vec<Way>, LayoutError> {
    let items = value.list();
    if items.is_empty() {
        return Err(value.bad("expected at least one field"));
    }
    if items.iter().all(|item| matches!(item.value, DeValue::String(_))) {
        return Ok(vec![plain(column, WaySource::Names(value.strings()?))]);
    }
    items
        .iter()
        .map(|item| match item.value {
            DeValue::Integer(_) => Ok(plain(column, WaySource::At(item.number()?))),
            DeValue::Table(_) => read_way(column, item),
            _ => Err(item.bad("expected a field name, a position from 0, or a table")),
        })
        .collect()
}

fn read_way(column: &'static Column, value: &Value<'_>) -> Result<Way, LayoutError> {
    let table = value.table(WAY_KEYS)?;
    let mut sources = Vec::new();
    if let Some(name) = table.get("name") {
        sources.push(WaySource::Names(name.strings()?));
    }
    if let Some(aliases) = table.get("aliases")
        && aliases.bool()?
    {
        sources.push(WaySource::Aliases);
    }
    if let Some(pattern) = table.get("pattern") {
        let nth = table.get("nth").map_or(Ok(0), |nth| nth.number())?;
        sources.push(WaySource::Pattern(regex(pattern.string()?, &pattern)?, nth));
    }
    if let Some(at) = table.get("at") {
        sources.push(WaySource::At(at.number()?));
    }
    if let Some(join) = table.get("join") {
        sources.push(read_join(&join)?);
    }
    if sources.len() > 1 {
        return Err(value.bad("expected only one of name, aliases, pattern, at, join"));
    }
    let source =
        sources.pop().ok_or_else(|| value.bad("expected name, aliases, pattern, at or join"))?;
    let mut way = plain(column, source);
    if let Some(time) = table.get("time") {
        if !is_time(column) {
            return Err(time.bad(format!("{} is no time", column.name)));
        }
        let text = time.string()?;
        way.time = Some(TimeFormat::parse(text).map_err(|reason| time.bad(reason))?);
        text.clone_into(&mut way.time_text);
    }
    if let Some(interval) = table.get("interval") {
        way.interval = Some(read_interval(interval.string()?, &interval)?);
    }
    if let Some(types) = table.get("types") {
        way.types = types.strings()?;
    }
    Ok(way)
}

fn read_join(value: &Value<'_>) -> Result<WaySource, LayoutError> {
    let items = value.list();
    let [date, time] = items.as_slice() else {
        return Err(value.bad("expected two fields: a date and a time of day"));
    };
    if matches!(date.value, DeValue::Integer(_)) {
        return Ok(WaySource::JoinAt(date.number()?, time.number()?));
    }
    Ok(WaySource::JoinNames(date.string()?.to_owned(), time.string()?.to_owned()))
}

fn read_interval(text: &str, place: &Value<'_>) -> Result<String, LayoutError> {
    normalise_interval(text)
        .ok_or_else(|| place.bad(format!("{text:?} is no interval such as 1m, 1h, 1d, 1mo")))
}

fn read_facts(root: &Table<'_>) -> Result<FactRules, LayoutError> {
    let mut rules = FactRules {
        names: Vec::new(),
        example: None,
        symbol: FactRule::default(),
        interval: FactRule::default(),
        venue: FactRule::default(),
        zone: Zone::UTC,
    };
    let Some(table) = root.table("facts", FACTS_KEYS)? else { return Ok(rules) };
    if let Some(names) = table.get("names") {
        for item in names.list() {
            let text = item.string()?.replace("{start}", WORD_START).replace("{end}", WORD_END);
            rules.names.push(regex(&text, &item)?);
        }
    }
    if let Some(example) = table.get("example") {
        let name = example.string()?;
        if !rules.names.iter().any(|pattern| pattern.is_match(name)) {
            return Err(example.bad(format!("no pattern of facts.names matches {name:?}")));
        }
        rules.example = Some(name.to_owned());
    }
    for (name, rule) in [
        ("symbol", &mut rules.symbol),
        ("interval", &mut rules.interval),
        ("venue", &mut rules.venue),
    ] {
        if let Some(value) = table.get(name) {
            *rule = read_fact(&value)?;
        }
    }
    if let Some(value) = table.get("interval") {
        for word in rules.interval.map.values().chain(&rules.interval.constant) {
            read_interval(word, &value)?;
        }
    }
    if let Some(zone) = table.get("zone") {
        rules.zone = Zone::parse(zone.string()?).map_err(|reason| zone.bad(reason))?;
    }
    Ok(rules)
}

fn read_fact(value: &Value<'_>) -> Result<FactRule, LayoutError> {
    if let DeValue::String(text) = value.value {
        return Ok(FactRule { constant: Some(text.to_string()), ..FactRule::default() });
    }
    let table = value.table(FACT_KEYS)?;
    let mut rule = FactRule::default();
    if let Some(constant) = table.get("constant") {
        rule.constant = Some(constant.string()?.to_owned());
    }
    if let Some(case) = table.get("case") {
        rule.upper = Some(one_of(&case, &[("upper", true), ("lower", false)])?);
    }
    if let Some(replace) = table.get("replace") {
        for (from, to) in replace.any_table()?.entries() {
            rule.replace.push((from.to_owned(), to.string()?.to_owned()));
        }
    }
    if let Some(map) = table.get("map") {
        for (from, to) in map.any_table()?.entries() {
            rule.map.insert(from.to_owned(), to.string()?.to_owned());
        }
    }
    if let Some(except) = table.get("except") {
        rule.except = except.strings()?.iter().map(|word| word.to_lowercase()).collect();
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(layout.facts.zone.name(), "Europe/Paris");
        let columns: Vec<&str> = layout.columns.iter().map(|rule| rule.column.name).collect();
        assert_eq!(columns, ["ts", "open", "high", "low", "close"]);
        assert_eq!(layout.facts.symbol.map["ACME"], "ACME.X");
    }

    #[test]
    fn mistakes_name_line_key_and_what_was_meant() {
        let cases = [
            (
                "delimiter = ",
                "delimeter = ",
                "mine.toml, line 5: unknown key text.delimeter, did you mean delimiter?; known \
                 here: delimiter, quote, header, preamble, nulls",
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
                 dataset, format, text, recognise, columns, facts",
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
                 \"none\"",
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
                "%d.%b.%Y",
                "mine.toml, line 10: columns.ts.time: time pattern \"%d.%b.%Y\" has an unknown \
                 item %b",
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
                "mine.toml, line 7: recognise: with an optional header, \
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
