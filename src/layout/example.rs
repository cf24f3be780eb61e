//! What a user is shown of a file that nobody knows: its first line, and a layout file to start
//! from, made of what the file has.

use super::recognise::SampleHead;
use super::sample::{Text, split_line};
use super::sniff::without_bom;
use super::times;

/// Characters of a first line that are shown.
const SHOWN_CHARS_MAX: usize = 160;

/// The first line that is not blank, or the columns of a Parquet file; printable and shortened.
pub(super) fn first_line(head: SampleHead<'_>) -> String {
    let line = match head {
        SampleHead::Text { bytes, .. } => String::from_utf8_lossy(first(bytes)).into_owned(),
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

/// A layout file to start from. It parses, so that a user changes one thing at a time.
pub(super) fn layout_file(head: SampleHead<'_>) -> String {
    let SampleHead::Text { bytes, .. } = head else {
        let columns = "ts = \"ts\"\nopen = \"open\"\nhigh = \"high\"\nlow = \"low\"\n\
                       close = \"close\"\nvolume = \"volume\"\n";
        return format!(
            "name = \"mine\"\ndataset = \"bars\"\nformat = \"parquet\"\n[columns]\n{columns}"
        );
    };
    let line = first(bytes);
    let delimiter = [b',', b';', b'\t', b'|']
        .into_iter()
        .max_by_key(|delimiter| {
            (line.iter().filter(|byte| **byte == *delimiter).count(), *delimiter == b',')
        })
        .unwrap_or(b',');
    let fields = split_line(line, delimiter, b'"');
    let header = fields.iter().all(|field| !times::is_number(field) && !field.is_empty());
    let text = format!("[text]\ndelimiter = {:?}\n", char::from(delimiter).to_string());
    let head = "name = \"mine\"\ndataset = \"bars\"\n";
    if header {
        let named = |at: usize, column: &str| {
            format!("{:?}", fields.get(at).map_or(column, String::as_str))
        };
        return format!("{head}{text}header = \"required\"\n[columns]\n{}", columns(named));
    }
    let count = fields.len().max(6);
    let positions = columns(|at, _| at.to_string());
    format!("{head}{text}header = \"none\"\n[recognise]\nfields = {count}\n[columns]\n{positions}")
}

fn columns(field: impl Fn(usize, &str) -> String) -> String {
    let mut text = format!("ts = {{ {} = {}, time = \"auto\" }}\n", "KEY", field(0, "ts"));
    let key = if field(0, "ts").starts_with('"') { "name" } else { "at" };
    text = text.replacen("KEY", key, 1);
    for (at, column) in ["open", "high", "low", "close", "volume"].iter().enumerate() {
        text.push_str(&format!("{column} = {}\n", field(at + 1, column)));
    }
    text
}
