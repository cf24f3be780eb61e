//! Tries a layout on a sample of JSON: where the records are, and which key or position feeds
//! which column. The records are then looked at as those of a text are.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::fit::{
    Count, Doubts, Fit, FitField, Miss, field, known_header, pick, told_interval, unused,
    usual_count,
};
use super::json_around::{ANY_KEY, Around};
use super::json_rules::{join_path, split_path};
use super::json_sample::{as_records, field_paths, first_keys, first_records, names};
use super::model::{HeaderRule, Layout, Stamp, WaySource};
use super::prices::Prices;
use super::readable::{check, fault};
use super::resolve;
use super::sample::{Record, Text};
use super::step::Step;
use crate::dataset::Column;
use crate::limit::SAMPLE_RECORDS;
use crate::mapping::{FieldSource, JsonRecords, JsonShape, TimeFormat, ValueKind};

/// Tries `layout` on the sample.
pub(super) fn fit_json(layout: &Layout, text: Text<'_>) -> Result<Fit, Miss> {
    if layout.refuse.is_some() && layout.json.contains(&JsonRecords::Documents) {
        return by_outline(layout, text);
    }
    let mut best: Option<Miss> = None;
    for records in &layout.json {
        let found = match layout.text.header {
            _ if !layout.dataset.children.is_empty() => by_members(layout, text, records),
            HeaderRule::Required => by_keys(layout, text, records),
            _ => by_positions(layout, text, records),
        };
        match found {
            Ok(fit) => return Ok(Fit { around: around(layout, text), ..fit }),
            Err(miss) => {
                if best.as_ref().is_none_or(|best| miss.progress > best.progress) {
                    best = Some(miss);
                }
            }
        }
    }
    Err(best.unwrap_or_else(|| Miss::early("it says nowhere where records are")))
}

/// A document that is not loaded, by the keys of its objects, however long it is.
fn by_outline(layout: &Layout, text: Text<'_>) -> Result<Fit, Miss> {
    let around = Around::of(text);
    let paths = || around.words.iter().map(|(path, _)| path).chain(&around.arrays);
    let mut names: Vec<String> = Vec::new();
    for path in paths() {
        let parts = (1..=path.len()).filter_map(|len| path.get(..len)).map(join_path);
        names.extend(parts.filter(|name| !names.contains(name)).collect::<Vec<_>>());
    }
    if names.is_empty() {
        return Err(Miss::early("it is no JSON object"));
    }
    known_header(layout, &names)?;
    let is_list = |key: &&String| around.arrays.iter().any(|path| path[..] == [(*key).clone()]);
    if let Some(key) = layout.recognise.document_lists.iter().find(|key| !is_list(key)) {
        return Err(Miss::early(format!("it has no list {key}")));
    }
    let pattern = layout.recognise.document_keys.as_ref();
    let first = |path: &Vec<String>| path.first().map_or("", String::as_str).to_owned();
    if pattern.is_some_and(|pattern| !paths().all(|path| pattern.is_match(&first(path)))) {
        return Err(Miss::early("its keys are others"));
    }
    Ok(Fit::default())
}

/// What the document says outside of its records, by the facts that the layout reads there.
fn around(layout: &Layout, text: Text<'_>) -> Vec<(String, String)> {
    if layout.facts.keys.is_empty() {
        return Vec::new();
    }
    let found = Around::of(text);
    let told = layout.facts.keys.iter().filter_map(|(fact, path)| {
        let word = found.word(path).filter(|word| !word.is_empty())?;
        Some((fact.clone(), word.to_owned()))
    });
    told.collect()
}

/// The records where this sample has them, if their path ends with any key.
fn located(text: Text<'_>, records: &JsonRecords) -> Result<JsonRecords, Miss> {
    let path = match records {
        JsonRecords::Array(path) if path.last().is_some_and(|key| key == ANY_KEY) => path,
        other => return Ok(other.clone()),
    };
    match Around::of(text).arrays_at(path).as_slice() {
        [only] => Ok(JsonRecords::Array((*only).clone())),
        [] => Err(Miss::early(format!("it has no array at {}", join_path(path)))),
        several => {
            let keys = several.iter().map(|keys| join_path(keys)).collect::<Vec<_>>();
            let before = path.split_last().map_or(&[][..], |(_, before)| before);
            let reason = format!(
                "it holds several arrays, {}: split it, as by jq -c '.{} | to_entries[] | .key as \
                 $symbol | .value[] | {{symbol: $symbol}} + .'",
                keys.join(", "),
                join_path(before)
            );
            Err(Miss { reason, progress: usize::MAX })
        }
    }
}

/// How a person would say it.
fn shown(records: &JsonRecords) -> String {
    match records {
        JsonRecords::Lines => "one JSON value a line".to_owned(),
        JsonRecords::Documents => "JSON documents".to_owned(),
        JsonRecords::Members => "JSON documents in an archive".to_owned(),
        JsonRecords::Array(path) if path.is_empty() => "a JSON array".to_owned(),
        JsonRecords::Array(path) => format!("a JSON array at {}", join_path(path)),
    }
}

fn sample(
    text: Text<'_>,
    records: &JsonRecords,
    fits: fn(&Value) -> bool,
    wanted: &str,
) -> Result<Vec<Value>, Miss> {
    let mut values = first_records(text, &located(text, records)?, SAMPLE_RECORDS);
    if values.is_empty() {
        let records = shown(records);
        return Err(Miss::early(format!("it is not {records} with a complete record")));
    }
    let all = values.len();
    values.retain(fits);
    if values.len() * 2 <= all {
        let records = shown(records);
        return Err(Miss::early(format!("as {records}, its records are no JSON {wanted}")));
    }
    Ok(values)
}

/// Records are objects that the dataset's own decoder takes apart: what they have in common is one
/// of a few members.
fn by_members(layout: &Layout, text: Text<'_>, records: &JsonRecords) -> Result<Fit, Miss> {
    if *records == JsonRecords::Lines && several_on_a_line(text) {
        return Err(Miss::early("its records are not one a line"));
    }
    let found = first_keys(text, records, MEMBERS_SAMPLED);
    let members = &layout.recognise.members;
    let known = |keys: &Vec<String>| keys.iter().filter(|key| members.contains(key)).count();
    let fits = found.iter().filter(|keys| known(keys) > 0).count();
    // Two members are no chance: what stands around such a record is dirt.
    let sure = found.iter().any(|keys| known(keys) > 1);
    if fits == 0 || (fits * 2 < found.len() && !sure) {
        let members = members.join(", ");
        let reason = format!("as {}, its records have none of {members}", shown(records));
        return Err(Miss { reason, progress: 0 });
    }
    let columns = layout.dataset.columns;
    let field = |(at, column): (usize, &'static Column)| FitField {
        column,
        source: FieldSource::Field(at),
        time: (column.kind == ValueKind::Time).then_some(TimeFormat::Auto),
        zone: None,
        stamp: Stamp::Start,
        rewrite: None,
        zoned: true,
        yields: false,
    };
    let paths = columns.iter().map(|column| vec![column.name.to_owned()]).collect();
    Ok(Fit {
        shape: None,
        json: Some(shape(layout, records, paths, None)),
        fields: columns.iter().enumerate().map(field).collect(),
        sieve: None,
        others: Vec::new(),
        interval: None,
        head: Vec::new(),
        around: Vec::new(),
        why: vec![format!("{} with a member of {}", shown(records), members.join(", "))],
        ..Fit::default()
    })
}

/// Records that are looked at for one that tells what they all are.
const MEMBERS_SAMPLED: usize = 1_000;

/// Whether the first line holds a whole document and the start of the next.
fn several_on_a_line(text: Text<'_>) -> bool {
    let lines = text.lines().map(|line| line.bytes.trim_ascii());
    let Some(line) = lines.into_iter().find(|line| !line.is_empty()) else { return false };
    let mut documents = serde_json::Deserializer::from_slice(line).into_iter::<IgnoredAny>();
    let whole = documents.next().is_some_and(|first| first.is_ok());
    whole && line.get(documents.byte_offset()..).is_some_and(|rest| rest.starts_with(b"{"))
}

/// Another list of records like those, which would be left out: by its path.
fn left_out(text: Text<'_>, records: &JsonRecords, keys: &[String]) -> Option<String> {
    let Ok(JsonRecords::Array(path)) = located(text, records) else { return None };
    let around = Around::of(text);
    let others = around.arrays.iter().filter(|other| **other != path);
    let mut others = others.map(|other| (other, JsonRecords::Array(other.clone())));
    let like = |own: &Vec<String>| keys.len() > 1 && keys.iter().all(|key| own.contains(key));
    others
        .find(|(_, other)| first_keys(text, other, 1).first().is_some_and(like))
        .map(|(other, _)| join_path(other))
}

/// Records are objects.
fn by_keys(layout: &Layout, text: Text<'_>, records: &JsonRecords) -> Result<Fit, Miss> {
    let values = sample(text, records, Value::is_object, "objects")?;
    let mut paths = field_paths(&values);
    let keys = names(&paths);
    // What holds other values may tell what a record is, too.
    let mut told = keys.clone();
    if layout.recognise.headers.is_empty() {
        let own = values.iter().filter_map(Value::as_object).flat_map(|object| object.keys());
        told.extend(own.filter(|key| !keys.contains(key)).cloned());
    }
    let choices = known_header(layout, &told)
        .and_then(|()| resolve::by_name(layout, &keys, None))
        .map_err(|miss| Miss { reason: miss.reason.replace("its header", "a record"), ..miss })?;
    let sampled = as_records(&values, &paths);
    let picked = choices.iter().filter_map(|choice| pick(choice, &sampled, layout));
    let mut fields: Vec<FitField> = picked.collect();
    let count = Count::exactly(paths.len());
    check(&sampled, count, |record| fault(record, &fields, count, layout))?;
    let others = unused(&keys, &fields);
    let read: Vec<String> = (fields.iter())
        .filter(|field| field.column.required)
        .filter_map(|field| match field.source {
            FieldSource::Field(at) => paths.get(at).filter(|path| path.len() == 1)?.first(),
            _ => None,
        })
        .cloned()
        .collect();
    if let Some(other) = left_out(text, records, &read) {
        let reason = format!(
            "as {}, its records would be loaded without those of the list {other}: split the \
             document, with jq '.{other}[]', and load the parts",
            shown(records)
        );
        return Err(Miss { reason, progress: usize::MAX });
    }
    let why = vec![format!("{} with {}", shown(records), keys.join(", "))];
    let interval = told_interval(&choices, &sampled, &fields, layout);
    let (prices, step) = (Prices::of(&sampled, &fields), Step::of(&sampled, &fields));
    let doubts = Doubts::of(layout, &sampled, &fields, &others);
    add_later(layout, &mut fields, &mut paths);
    let json = Some(shape(layout, records, paths, None));
    Ok(Fit { json, fields, others, interval, why, prices, step, doubts, ..Fit::default() })
}

/// Keys that a vendor leaves out of records without such a value may come after the sample.
fn add_later(layout: &Layout, fields: &mut Vec<FitField>, paths: &mut Vec<Vec<String>>) {
    for rule in &layout.columns {
        let known = fields.iter().any(|field| field.column.name == rule.column.name);
        if known || rule.column.fact {
            continue;
        }
        let Some(way) = rule.ways.first() else { continue };
        let path = match &way.source {
            WaySource::Names(names) => names.first().map(|name| split_path(name)),
            WaySource::Aliases => Some(vec![rule.column.name.to_owned()]),
            _ => None,
        };
        let Some(path) = path else { continue };
        fields.push(field(rule.column, &FieldSource::Field(paths.len()), way));
        paths.push(path);
    }
}

/// Records are arrays.
fn by_positions(layout: &Layout, text: Text<'_>, records: &JsonRecords) -> Result<Fit, Miss> {
    let values = sample(text, records, Value::is_array, "arrays")?;
    let sampled: Vec<Record> = values
        .iter()
        .flat_map(|value| {
            let len = value.as_array().map_or(0, Vec::len);
            let paths: Vec<Vec<String>> = (0..len).map(|at| vec![at.to_string()]).collect();
            as_records(std::slice::from_ref(value), &paths)
        })
        .collect();
    let count = usual_count(layout, &sampled)?;
    let choices = resolve::by_position(layout);
    let last = |field: &FitField| match field.source {
        FieldSource::Field(at) => at,
        FieldSource::Joined(one, two) => one.max(two),
        FieldSource::Constant(_) => 0,
    };
    let picked = choices.iter().filter_map(|choice| pick(choice, &sampled, layout));
    let fields: Vec<FitField> = picked.filter(|field| last(field) < count).collect();
    let exactly = Count::exactly(count);
    check(&sampled, exactly, |record| fault(record, &fields, exactly, layout))?;
    let known = layout.recognise.headers.iter().find(|header| header.len() == count);
    let others = unused(&known.cloned().unwrap_or_default(), &fields);
    let why = vec![format!("{} of arrays of {count} values", shown(records))];
    let interval = told_interval(&choices, &sampled, &fields, layout);
    let paths = (0..count).map(|at| vec![at.to_string()]).collect();
    let json = shape(layout, records, paths, Some((count, count)));
    let (prices, step) = (Prices::of(&sampled, &fields), Step::of(&sampled, &fields));
    Ok(Fit { json: Some(json), fields, others, interval, why, prices, step, ..Fit::default() })
}

fn shape(
    layout: &Layout,
    records: &JsonRecords,
    fields: Vec<Vec<String>>,
    elements: Option<(usize, usize)>,
) -> JsonShape {
    let nulls = layout.text.nulls.iter().map(|null| null.clone().into_bytes()).collect();
    JsonShape { records: records.clone(), fields, elements, nulls }
}
