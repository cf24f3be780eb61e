//! What must be in the tables, as sums that the server can make too: for each table and day the
//! number of rows, and the sum of the first eight bytes, as a signed number, of the SHA-256 of each
//! row's text. The text is the row's values in the dataset's order, joined by `|`, `~` for none:
//! times in microseconds from 1970, days as 2024-01-31, numbers without zeros that say nothing.

use std::collections::BTreeMap;

use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use serde_json::Value;

use super::super::records::{Records, Values};
use super::super::text;
use crate::mapping::ValueKind;

const DAY_US: i64 = 86_400_000_000;
/// Stands for no value.
const NOTHING: &str = "~";

/// Rows and sums by table and day; the day is empty for tables without a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums(pub BTreeMap<(String, String), (i64, i128)>);

impl Sums {
    /// Adds the rows of a record.
    pub fn add(&mut self, records: &Records, row: usize) {
        self.change(records, row, 1);
    }

    /// Takes the rows of a record away.
    pub fn take(&mut self, records: &Records, row: usize) {
        self.change(records, row, -1);
    }

    /// Adds other sums.
    pub fn join(&mut self, other: Sums) {
        for (key, (rows, sum)) in other.0 {
            let mine = self.0.entry(key).or_default();
            mine.0 += rows;
            mine.1 += sum;
        }
    }

    fn change(&mut self, records: &Records, row: usize, sign: i64) {
        if records.names == ["document"] {
            let text = records.columns[0].text(row).unwrap_or_default();
            for (table, day, text) in document_rows(text) {
                self.count(table, day, &text, sign);
            }
            return;
        }
        let dataset = records.dataset;
        let time = dataset.time.and_then(|name| records.column(name)?.number(row));
        let day = time.map_or_else(String::new, |us| day_of(us.div_euclid(DAY_US)));
        self.count(&dataset.table.to_string(), day, &canonical_text(records, row), sign);
    }

    fn count(&mut self, table: &str, day: String, text: &str, sign: i64) {
        let entry = self.0.entry((table.to_owned(), day)).or_default();
        entry.0 += sign;
        entry.1 += i128::from(sign) * i128::from(hash(text));
    }
}

/// By the hash function that TLS brings along.
fn hash(text: &str) -> i64 {
    let Some(suite) = TLS13_AES_128_GCM_SHA256.tls13() else { return 0 };
    let digest = suite.common.hash_provider.hash(text.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    i64::from_be_bytes(first)
}

fn day_of(days: i64) -> String {
    let mut bytes = Vec::new();
    text::day(days, &mut bytes);
    String::from_utf8(bytes).unwrap_or_default()
}

/// The text of a row.
fn canonical_text(records: &Records, row: usize) -> String {
    let values = records.dataset.columns.iter().map(|column| {
        let Some(values) = records.column(column.name) else { return NOTHING.to_owned() };
        if let Some(text) = values.text(row) {
            return text.to_owned();
        }
        let Some(value) = values.number(row) else { return NOTHING.to_owned() };
        match values {
            Values::Numbers { places, .. } => {
                let mut bytes = Vec::new();
                text::number(value, *places, &mut bytes);
                let shown = String::from_utf8(bytes).unwrap_or_default();
                match column.kind {
                    ValueKind::Float => shown.parse().map_or(shown, float),
                    _ => shown,
                }
            }
            Values::Days(_) => day_of(value),
            Values::Flags(_) => (value != 0).to_string(),
            _ => value.to_string(),
        }
    });
    values.collect::<Vec<_>>().join("|")
}

/// A double with the fewest digits that tell it from others, without an exponent.
fn float(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { value.to_string() }
}

/// The rows of a killmail: table, day, and text of each.
fn document_rows(document: &str) -> Vec<(&'static str, String, String)> {
    let Ok(mail) = serde_json::from_str::<Value>(document) else { return Vec::new() };
    let time = mail["killmail_time"].as_str().unwrap_or_default();
    let day = time.get(..10).unwrap_or_default().to_owned();
    let us = time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_microsecond);
    let (victim, attackers) = (&mail["victim"], mail["attackers"].as_array());
    let attackers = attackers.map_or(&[][..], Vec::as_slice);
    let id = shown(&mail["killmail_id"]);
    let mut rows =
        vec![("public.killmails_raw", day.clone(), raw(&mail, us, attackers.len(), document))];
    let mut person = |seq: usize, who: &Value, damage: &str| {
        let flags =
            [(seq == 0).to_string(), who["final_blow"].as_bool().unwrap_or(false).to_string()];
        let names = ["character_id", "corporation_id", "alliance_id", "faction_id", "ship_type_id"];
        let mut values = vec![id.clone(), seq.to_string(), us.to_string()];
        values.extend(names.iter().map(|name| shown(&who[*name])));
        values.push(shown(&who["weapon_type_id"]));
        values.push(shown(&who[damage]));
        values.push(shown_float(&who["security_status"]));
        values.extend(flags);
        rows.push(("public.participants", day.clone(), values.join("|")));
    };
    person(0, victim, "damage_taken");
    for (at, attacker) in attackers.iter().enumerate() {
        person(at + 1, attacker, "damage_done");
    }
    let mut items = Vec::new();
    collect(&victim["items"], None, &mut items);
    for (at, (parent, item)) in items.iter().enumerate() {
        let parent = parent.map_or(NOTHING.to_owned(), |parent: usize| parent.to_string());
        let names = ["item_type_id", "flag", "singleton", "quantity_dropped", "quantity_destroyed"];
        let mut values = vec![id.clone(), (at + 1).to_string(), parent];
        values.extend(names.iter().map(|name| shown(&item[*name])));
        rows.push(("public.killmail_items", String::new(), values.join("|")));
    }
    rows
}

/// The row of the killmail itself, in the order of its columns without those that only loading
/// knows.
fn raw(mail: &Value, us: i64, attackers: usize, document: &str) -> String {
    let victim = &mail["victim"];
    let place = |axis: &str| shown_float(&victim["position"][axis]);
    let mut values = vec![
        shown(&mail["killmail_id"]),
        shown(&mail["zkb"]["hash"]),
        us.to_string(),
        shown(&mail["solar_system_id"]),
        shown(&mail["war_id"]),
        shown(&mail["moon_id"]),
    ];
    let names = ["character_id", "corporation_id", "alliance_id", "faction_id", "ship_type_id"];
    values.extend(names.iter().map(|name| shown(&victim[*name])));
    values.push(shown(&victim["damage_taken"]));
    values.extend(["x", "y", "z"].map(place));
    values.push(attackers.to_string());
    values.push(shown_float(&mail["zkb"]["totalValue"]));
    values.push(document.to_owned());
    values.join("|")
}

fn collect<'a>(
    items: &'a Value,
    parent: Option<usize>,
    into: &mut Vec<(Option<usize>, &'a Value)>,
) {
    for item in items.as_array().map_or(&[][..], Vec::as_slice) {
        into.push((parent, item));
        let seq = into.len();
        collect(&item["items"], Some(seq), into);
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shown_float(value: &Value) -> String {
    value.as_f64().map_or_else(|| NOTHING.to_owned(), float)
}
