//! The `[columns]` of a layout's text: which fields feed which column of the dataset, and how they
//! are put right.

use toml::de::DeValue;

use super::error::LayoutError;
use super::interval::normalise_interval;
use super::model::{ColumnRule, Stamp, Way, WaySource};
use super::parse::{column, one_byte, one_of, regex};
use super::toml_table::{Table, Value};
use crate::dataset::{Column, Dataset};
use crate::mapping::{OccPart, Rewrite, TimeFormat, ValueKind, Zone};

const WAY_KEYS: &[&str] = &[
    "name",
    "aliases",
    "pattern",
    "nth",
    "at",
    "join",
    "time",
    "interval",
    "zone",
    "stamp",
    "scale",
    "bytes",
    "thousands",
    "amount",
    "cut",
    "nanos",
    "occ",
    "day",
    "map",
    "types",
    "tickers",
];

const OCC_PARTS: &[(&str, OccPart)] = &[
    ("underlying", OccPart::Underlying),
    ("expiry", OccPart::Expiry),
    ("strike", OccPart::Strike),
    ("option_type", OccPart::OptionType),
];

pub(super) fn read_columns(
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
    Way {
        source,
        time,
        time_text,
        interval: None,
        zone: None,
        stamp: Stamp::Start,
        rewrite: None,
        types: Vec::new(),
        tickers: false,
    }
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
    if let Some(zone) = table.get("zone") {
        way.zone = Some(Zone::parse(zone.string()?).map_err(|reason| zone.bad(reason))?);
    }
    if let Some(stamp) = table.get("stamp") {
        if column.kind != ValueKind::Time {
            return Err(stamp.bad(format!("{} is no time", column.name)));
        }
        let known = [("start", Stamp::Start), ("end", Stamp::End), ("utc_end", Stamp::UtcEnd)];
        way.stamp = one_of(&stamp, &known)?;
    }
    if let Some(types) = table.get("types") {
        way.types = types.strings()?;
    }
    if let Some(tickers) = table.get("tickers") {
        if column.name != "symbol" {
            return Err(tickers.bad(format!("{} is no ticker", column.name)));
        }
        way.tickers = tickers.bool()?;
    }
    way.rewrite = read_rewrite(column, &table, &way)?;
    Ok(way)
}

/// How the field is put right, from `scale` and `thousands` or from `map`.
fn read_rewrite(
    column: &'static Column,
    table: &Table<'_>,
    way: &Way,
) -> Result<Option<Rewrite>, LayoutError> {
    if let Some(rewrite) = read_part(column, table, way)? {
        return Ok(Some(rewrite));
    }
    if let Some(cut) = table.get("cut")
        && cut.bool()?
    {
        let field = !matches!(way.source, WaySource::JoinNames(..) | WaySource::JoinAt(..));
        if !is_time(column) || !field {
            return Err(cut.bad("only times of one field have digits to cut"));
        }
        return Ok(Some(Rewrite::CutToMicros));
    }
    if let Some(amount) = table.get("amount")
        && amount.bool()?
    {
        let other = ["scale", "thousands", "map"].into_iter().find_map(|key| table.get(key));
        if let Some(other) = other {
            return Err(other.bad("an amount is read as people write it: say either"));
        }
        if !is_number(column) || matches!(way.source, WaySource::JoinNames(..)) {
            return Err(amount.bad("only a number of one field is an amount"));
        }
        return Ok(Some(Rewrite::Amount { comma: false }));
    }
    if let Some(bytes) = table.get("bytes") {
        return read_bytes(column, table, way, &bytes).map(Some);
    }
    let (scale, thousands, map) = (table.get("scale"), table.get("thousands"), table.get("map"));
    let Some(first) = scale.as_ref().or(thousands.as_ref()).or(map.as_ref()) else {
        return Ok(None);
    };
    if matches!(way.source, WaySource::JoinNames(..) | WaySource::JoinAt(..)) {
        return Err(first.bad("two joined fields are taken as they stand"));
    }
    if let Some(map) = &map {
        if scale.is_some() || thousands.is_some() {
            return Err(map.bad("a column has numbers or words, not both"));
        }
        let pairs = map.any_table()?;
        let pairs =
            pairs.entries().map(|(from, to)| Ok((from.to_owned(), to.string()?.to_owned())));
        return Ok(Some(Rewrite::Words(pairs.collect::<Result<_, LayoutError>>()?)));
    }
    if !is_number(column) {
        return Err(first.bad(format!("{} is no number", column.name)));
    }
    let scale = read_scale(scale)?;
    let thousands = thousands.map(|value| one_byte(&value)).transpose()?;
    Ok(Some(Rewrite::Number { comma: false, scale, thousands }))
}

/// In a text whose numbers have a comma before their fraction, every column of numbers does.
pub(super) fn with_comma(columns: &mut [ColumnRule]) {
    for rule in columns.iter_mut().filter(|rule| is_number(rule.column)) {
        for way in &mut rule.ways {
            match &mut way.rewrite {
                Some(Rewrite::Number { comma, .. } | Rewrite::Amount { comma }) => *comma = true,
                Some(_) => {}
                None => {
                    way.rewrite = Some(Rewrite::Number { comma: true, scale: 0, thousands: None });
                }
            }
        }
    }
}

fn is_number(column: &Column) -> bool {
    matches!(column.kind, ValueKind::Float | ValueKind::Decimal | ValueKind::Integer)
}

fn read_scale(value: Option<Value<'_>>) -> Result<i8, LayoutError> {
    let Some(value) = value else { return Ok(0) };
    let small = i8::try_from(value.integer()?).ok().filter(|scale| (-18..=18).contains(scale));
    small.ok_or_else(|| value.bad("expected a power of ten from -18 to 18"))
}

/// Fields whose bytes are a fixed-point number: their order, and the scale.
fn read_bytes(
    column: &'static Column,
    table: &Table<'_>,
    way: &Way,
    bytes: &Value<'_>,
) -> Result<Rewrite, LayoutError> {
    let big_endian = match bytes.string()? {
        "little" => false,
        "big" => true,
        _ => return Err(bytes.bad("expected little or big: which byte comes first")),
    };
    let numeric = matches!(column.kind, ValueKind::Float | ValueKind::Decimal | ValueKind::Integer);
    if !numeric || matches!(way.source, WaySource::JoinNames(..) | WaySource::JoinAt(..)) {
        return Err(bytes.bad("only a number of one field has bytes"));
    }
    if let Some(other) = table.get("thousands").or_else(|| table.get("map")) {
        return Err(other.bad("bytes have no text to put right"));
    }
    Ok(Rewrite::Bytes { big_endian, scale: read_scale(table.get("scale"))? })
}

/// What is taken of a field that holds more than the column: `nanos`, `occ`, `day`.
fn read_part(
    column: &'static Column,
    table: &Table<'_>,
    way: &Way,
) -> Result<Option<Rewrite>, LayoutError> {
    let joined = matches!(way.source, WaySource::JoinNames(..) | WaySource::JoinAt(..));
    if let Some(nanos) = table.get("nanos")
        && nanos.bool()?
    {
        if joined || column.kind != ValueKind::Integer {
            return Err(nanos.bad("only a whole number may hold nanoseconds, of one field"));
        }
        return Ok(Some(Rewrite::Nanos));
    }
    if let Some(occ) = table.get("occ") {
        if joined {
            return Err(occ.bad("two joined fields are taken as they stand"));
        }
        return one_of(&occ, OCC_PARTS).map(|part| Some(Rewrite::Occ(part)));
    }
    let Some(day) = table.get("day") else { return Ok(None) };
    if !joined || is_time(column) {
        return Err(day.bad("only the second of two fields that are joined to a word is a day"));
    }
    let format = TimeFormat::parse(day.string()?).map_err(|reason| day.bad(reason))?;
    Ok(Some(Rewrite::IsoDay(format)))
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

pub(super) fn read_interval(text: &str, place: &Value<'_>) -> Result<String, LayoutError> {
    normalise_interval(text)
        .ok_or_else(|| place.bad(format!("{text:?} is no interval such as 1m, 1h, 1d, 1mo")))
}
