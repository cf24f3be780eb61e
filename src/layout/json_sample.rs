//! The first records of a JSON source, as far as its sample holds them: enough to try layouts on.
//! Not a decoder: what it cannot read ends the sample.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::json_rules::join_path;
use super::sample::{Record, Text};
use crate::mapping::JsonRecords;

/// How deep fields are looked for in objects inside of records.
const FIELD_DEPTH_MAX: usize = 5;

/// Up to `max` records from where `records` says they are.
pub(super) fn first_records(text: Text<'_>, records: &JsonRecords, max: usize) -> Vec<Value> {
    match records {
        JsonRecords::Lines => {
            let lines = text.lines().map(|line| line.bytes.trim_ascii());
            let lines = lines.filter(|line| !line.is_empty()).take(max);
            // A line that is no JSON is a record that cannot be read.
            lines.map(|line| serde_json::from_slice(line).unwrap_or(Value::Null)).collect()
        }
        JsonRecords::Documents | JsonRecords::Members => {
            let documents = serde_json::Deserializer::from_slice(text.bytes).into_iter();
            documents.map_while(Result::ok).take(max).collect()
        }
        JsonRecords::Array(path) => {
            let mut found = Vec::new();
            let mut json = serde_json::Deserializer::from_slice(text.bytes);
            // An error is the end of the sample, or of the records that are wanted of it.
            let _ = Elements { path, max, found: &mut found }.deserialize(&mut json);
            found
        }
    }
}

/// The keys of the first records, up to `max`, as far as the sample has them: the last record may
/// be cut off. A record that is no object has none.
pub(super) fn first_keys(text: Text<'_>, records: &JsonRecords, max: usize) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    match records {
        JsonRecords::Lines => {
            let lines = text.bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            for line in lines.filter(|line| !line.is_empty()).take(max) {
                let mut keys = Vec::new();
                let _ =
                    Keys(&mut keys).deserialize(&mut serde_json::Deserializer::from_slice(line));
                found.push(keys);
            }
        }
        JsonRecords::Documents | JsonRecords::Members => {
            let mut json = serde_json::Deserializer::from_slice(text.bytes);
            while found.len() < max && json.end().is_err() {
                let mut keys = Vec::new();
                let read = Keys(&mut keys).deserialize(&mut json);
                found.push(keys);
                if read.is_err() {
                    break;
                }
            }
        }
        JsonRecords::Array(path) => {
            let mut json = serde_json::Deserializer::from_slice(text.bytes);
            let _ = KeysOfElements { path, max, found: &mut found }.deserialize(&mut json);
        }
    }
    found
}

/// Collects the keys of an object, also of one that breaks off.
struct Keys<'a>(&'a mut Vec<String>);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key()? {
            self.0.push(key);
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Collects the keys of the elements of the array to which a path leads.
struct KeysOfElements<'a> {
    path: &'a [String],
    max: usize,
    found: &'a mut Vec<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for KeysOfElements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeysOfElements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while self.path.is_empty() && self.found.len() < self.max {
            self.found.push(Vec::new());
            let Some(keys) = self.found.last_mut() else { break };
            if elements.next_element_seed(Keys(keys))?.is_none() {
                self.found.pop();
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Some((name, path)) = self.path.split_first() else { return Ok(()) };
        while let Some(key) = members.next_key::<String>()? {
            if key == *name {
                return members.next_value_seed(KeysOfElements { path, ..self });
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Collects elements of the array to which a path leads.
struct Elements<'a> {
    path: &'a [String],
    max: usize,
    found: &'a mut Vec<Value>,
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        if !self.path.is_empty() {
            return Ok(());
        }
        while self.found.len() < self.max
            && let Some(element) = elements.next_element()?
        {
            self.found.push(element);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Some((name, path)) = self.path.split_first() else { return Ok(()) };
        while let Some(key) = members.next_key::<String>()? {
            if key == *name {
                return members.next_value_seed(Elements { path, ..self });
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// The paths of all values that have no parts, in the order in which records bring them.
pub(super) fn field_paths(records: &[Value]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for record in records {
        collect(record, &mut Vec::new(), &mut paths);
    }
    paths
}

fn collect(value: &Value, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(members) if path.len() < FIELD_DEPTH_MAX => {
            for (key, value) in members {
                path.push(key.clone());
                collect(value, path, paths);
                path.pop();
            }
        }
        Value::Object(_) | Value::Array(_) => {}
        _ if path.is_empty() || paths.contains(path) => {}
        _ => paths.push(path.clone()),
    }
}

/// Records with these fields, as a text would have them.
pub(super) fn as_records(records: &[Value], paths: &[Vec<String>]) -> Vec<Record> {
    let field =
        |record: &Value, path: &Vec<String>| at(record, path).map(as_text).unwrap_or_default();
    (1..)
        .zip(records)
        .map(|(line, record)| Record {
            line,
            fields: paths.iter().map(|path| field(record, path)).collect(),
        })
        .collect()
}

/// The value to which a path leads.
fn at<'v>(record: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(record, |value, key| match value {
        Value::Object(members) => members.get(key),
        Value::Array(elements) => elements.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Where a source that nobody knows is likely to have its records, and the first of them.
pub(super) fn guess(text: Text<'_>, max: usize) -> Option<(JsonRecords, Vec<Value>)> {
    let has_parts = |value: &Value| value.is_object() || value.is_array();
    let document = first_records(text, &JsonRecords::Documents, 1).pop();
    let path = document.as_ref().and_then(|document| path_to_array(document, 0));
    let nested = path.filter(|path| !path.is_empty()).map(JsonRecords::Array);
    let likely = [JsonRecords::Array(Vec::new()), JsonRecords::Lines, JsonRecords::Documents];
    nested.into_iter().chain(likely).find_map(|records| {
        let found = first_records(text, &records, max);
        (!found.is_empty() && found.iter().all(has_parts)).then_some((records, found))
    })
}

/// The way to the first array of objects or arrays.
fn path_to_array(value: &Value, depth: usize) -> Option<Vec<String>> {
    match value {
        Value::Array(elements) => elements
            .first()
            .is_some_and(|first| first.is_object() || first.is_array())
            .then(Vec::new),
        Value::Object(members) if depth < FIELD_DEPTH_MAX => {
            members.iter().find_map(|(key, value)| {
                let mut path = path_to_array(value, depth + 1)?;
                path.insert(0, key.clone());
                Some(path)
            })
        }
        _ => None,
    }
}

/// A value as a text would have it.
fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    }
}

/// The names under which layouts look for the fields.
pub(super) fn names(paths: &[Vec<String>]) -> Vec<String> {
    paths.iter().map(|path| join_path(path)).collect()
}
