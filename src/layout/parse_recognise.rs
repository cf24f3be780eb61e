//! The part of a layout file that says which files it recognises. Called by `parse`.

use super::error::LayoutError;
use super::model::RecogniseRules;
use super::parse::{column, regex};
use super::parse_columns::read_interval;
use super::toml_table::{Table, Value};
use crate::dataset::Dataset;

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

pub(super) fn read_recognise(
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

pub(super) fn read_aliases(root: &Table<'_>) -> Result<bool, LayoutError> {
    let Some(table) = root.table("recognise", RECOGNISE_KEYS)? else { return Ok(false) };
    table.get("aliases").map_or(Ok(false), |value| value.bool())
}
