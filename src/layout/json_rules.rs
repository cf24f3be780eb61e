//! The `[json]` table of a layout: where the records are, and whether they are objects or arrays.

use super::error::LayoutError;
use super::json_around::ANY_KEY;
use super::model::{Format, HeaderRule, TextRules};
use super::parse::one_of;
use super::toml_table::{Table, Value};
use crate::mapping::JsonRecords;

const JSON_KEYS: &[&str] = &["records", "path", "fields", "nulls"];

/// What `records` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Lines,
    Documents,
    Array,
}

const PLACES: &[(&str, Place)] =
    &[("lines", Place::Lines), ("documents", Place::Documents), ("array", Place::Array)];
const FIELDS: &[(&str, HeaderRule)] =
    &[("keys", HeaderRule::Required), ("positions", HeaderRule::None)];

/// Reads the table; what it says of fields and nulls goes to `text`.
pub(super) fn read(
    root: &Table<'_>,
    format: Format,
    text: &mut TextRules,
) -> Result<Vec<JsonRecords>, LayoutError> {
    let table = root.table("json", JSON_KEYS)?;
    let table = match (format, table) {
        (Format::Json, Some(table)) => table,
        (Format::Json, None) => {
            return Ok(vec![JsonRecords::Lines, JsonRecords::Array(Vec::new())]);
        }
        (_, Some(_)) => return Err(root.need("json")?.bad("only a layout of format json has it")),
        (_, None) => return Ok(Vec::new()),
    };
    if let Some(value) = table.get("fields") {
        text.header = one_of(&value, FIELDS)?;
    }
    if let Some(value) = table.get("nulls") {
        text.nulls = value.strings()?;
    }
    let paths = match table.get("path") {
        Some(value) => value.list().iter().map(read_path).collect::<Result<_, _>>()?,
        None => vec![Vec::new()],
    };
    let places = match table.get("records") {
        Some(value) => {
            value.list().iter().map(|item| one_of(item, PLACES)).collect::<Result<_, _>>()?
        }
        None if table.get("path").is_some() => vec![Place::Array],
        None => vec![Place::Lines, Place::Array],
    };
    if let Some(value) = table.get("path").filter(|_| !places.contains(&Place::Array)) {
        return Err(value.bad("a path leads to an array of records: say records = \"array\""));
    }
    let mut records = Vec::new();
    for place in places {
        match place {
            Place::Lines => records.push(JsonRecords::Lines),
            Place::Documents => records.push(JsonRecords::Documents),
            Place::Array => records.extend(paths.iter().cloned().map(JsonRecords::Array)),
        }
    }
    Ok(records)
}

fn read_path(value: &Value<'_>) -> Result<Vec<String>, LayoutError> {
    let path = split_path(value.string()?);
    let before = path.split_last().map_or(&[][..], |(_, before)| before);
    if before.iter().any(|key| key == ANY_KEY) {
        return Err(value.bad("only the last key may stand for any key"));
    }
    Ok(path)
}

/// The keys of a path such as `data.ohlc`; a dot that is part of a key stands behind a backslash.
/// The empty path has none.
pub(super) fn split_path(path: &str) -> Vec<String> {
    if path.is_empty() {
        return Vec::new();
    }
    let mut keys = vec![String::new()];
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match (character, keys.last_mut()) {
            ('.', _) => keys.push(String::new()),
            ('\\', Some(key)) => key.extend(characters.next()),
            (character, Some(key)) => key.push(character),
            (_, None) => {}
        }
    }
    keys
}

/// A path as [`split_path`] reads it.
pub(super) fn join_path(keys: &[String]) -> String {
    let escaped = keys.iter().map(|key| key.replace('\\', r"\\").replace('.', r"\."));
    escaped.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_back_as_they_were() {
        for keys in [vec![], vec!["a"], vec!["data", "ohlc"], vec!["1. open"], vec!["a\\.b", ""]] {
            let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
            assert_eq!(split_path(&join_path(&keys)), keys);
        }
        assert_eq!(split_path(r"hd.1\. open"), ["hd", "1. open"]);
    }
}
