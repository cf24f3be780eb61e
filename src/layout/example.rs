//! What a user is shown of a file that nobody knows: its first line, and a layout file to start
//! from, made of what the file has.

use super::json_rules::join_path;
use super::json_sample;
use super::recognise::SampleHead;
use super::resolve::fold;
use super::sample::{Text, split_line};
use super::sniff::without_bom;
use super::times;
use crate::dataset;
use crate::limit::SAMPLE_RECORDS;
use crate::mapping::JsonRecords;

/// Characters of a first line that are shown.
const SHOWN_CHARS_MAX: usize = 160;

/// The first line that is not blank, or the columns of a Parquet file; printable and shortened.
pub(super) fn first_line(head: SampleHead<'_>) -> String {
    let line = match head {
        SampleHead::Text { bytes, .. } | SampleHead::Json { bytes, .. } => {
            String::from_utf8_lossy(first(bytes)).into_owned()
        }
        SampleHead::Parquet { columns } => {
            let shown: Vec<String> =
                columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
            shown.join(", ")
        }
    };
    let mut shown: String = line
        .chars()
        .take(SHOWN_CHARS_MAX)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if line.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// The bytes of the first line that is not blank; a line longer than the sample is cut.
fn first(bytes: &[u8]) -> &[u8] {
    let text = Text { bytes: without_bom(bytes), whole: true };
    text.lines().map(|line| line.bytes).find(|line| !line.is_empty()).unwrap_or_default()
}

/// What such a layout gives a place to, if the file has it.
const COLUMNS: [&str; 6] = ["ts", "open", "high", "low", "close", "volume"];

/// A layout file to start from. It parses, so that a user changes one thing at a time.
pub(super) fn layout_file(head: SampleHead<'_>) -> String {
    let mut text = String::from("name = \"mine\"\ndataset = \"bars\"\n");
    match head {
        SampleHead::Parquet { columns } => {
            let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
            text.push_str("format = \"parquet\"\n[columns]\n");
            text.push_str(&by_name(&names));
        }
        SampleHead::Json { bytes, whole } => {
            text.push_str(&of_json(Text { bytes: without_bom(bytes), whole }));
        }
        SampleHead::Text { bytes, .. } => {
            let line = first(bytes);
            let delimiter = likely_delimiter(line);
            let fields = split_line(line, delimiter, b'"');
            let shown = char::from(delimiter).to_string();
            text.push_str(&format!("[text]\ndelimiter = {shown:?}\n"));
            if fields.iter().any(|field| times::is_number(field)) {
                text.push_str("header = \"none\"\n[recognise]\n");
                text.push_str(&format!("fields = {}\n", fields.len().max(COLUMNS.len())));
                text.push_str("[columns] # positions, from 0\n");
                text.push_str(&by_position());
            } else {
                text.push_str("header = \"required\"\n[columns] # names in the header\n");
                text.push_str(&by_name(&fields));
            }
        }
    }
    text
}

/// The rest of a layout file for JSON.
fn of_json(sample: Text<'_>) -> String {
    let (records, values) = json_sample::guess(sample, SAMPLE_RECORDS)
        .unwrap_or_else(|| (JsonRecords::Lines, Vec::new()));
    let mut text = String::from("format = \"json\"\n[json]\n");
    text.push_str(&match records {
        JsonRecords::Lines => "records = \"lines\"\n".to_owned(),
        JsonRecords::Documents | JsonRecords::Members => "records = \"documents\"\n".to_owned(),
        JsonRecords::Array(path) if path.is_empty() => "records = \"array\"\n".to_owned(),
        JsonRecords::Array(path) => format!("path = {:?}\n", join_path(&path)),
    });
    if let Some(elements) = values.first().and_then(serde_json::Value::as_array) {
        text.push_str("fields = \"positions\"\n[recognise]\n");
        text.push_str(&format!("fields = {}\n", elements.len().max(COLUMNS.len())));
        text.push_str("[columns] # positions, from 0\n");
        text.push_str(&by_position());
    } else {
        text.push_str("[columns] # keys, as in quote.price\n");
        text.push_str(&by_name(&json_sample::names(&json_sample::field_paths(&values))));
    }
    text
}

/// The delimiter that is there most often; the comma if none is.
fn likely_delimiter(line: &[u8]) -> u8 {
    let often = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|delimiter| often(*delimiter)).unwrap_or(b',')
}

/// Each column with the field that is likely to be it, else with a name to be replaced.
fn by_name(names: &[String]) -> String {
    let likely = |column: &str| {
        let own = dataset::by_name("bars")
            .into_iter()
            .flat_map(|bars| bars.columns)
            .find(|known| known.name == column);
        let is = |name: &&String| {
            let folded = fold(name);
            own.is_some_and(|own| own.aliases.contains(&folded.as_str()))
                || folded.split(['_', '.', '<', '>', '[', ']']).any(|part| part == column)
        };
        names.iter().find(is).cloned().unwrap_or_else(|| format!("the header's {column}"))
    };
    let mut text = format!("ts = {{ name = {:?}, time = \"auto\" }}\n", likely("ts"));
    for column in &COLUMNS[1..] {
        text.push_str(&format!("{column} = {:?}\n", likely(column)));
    }
    text
}

fn by_position() -> String {
    let mut text = String::from("ts = { at = 0, time = \"auto\" }\n");
    for (at, column) in COLUMNS.iter().enumerate().skip(1) {
        text.push_str(&format!("{column} = {at}\n"));
    }
    text
}
