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
                text.push_str(&by_position(USUAL));
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
        text.push_str(&by_position(places_of(&values)));
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

/// Where time, open, high, low, close and volume stand.
type Places = [usize; COLUMNS.len()];

const USUAL: Places = [0, 1, 2, 3, 4, 5];

fn by_position(places: Places) -> String {
    let mut text = format!("ts = {{ at = {}, time = \"auto\" }}\n", places[0]);
    for (column, at) in COLUMNS.iter().zip(places).skip(1) {
        text.push_str(&format!("{column} = {at}\n"));
    }
    text
}

/// Where records that are arrays have what, by their values: four prices stand side by side, of
/// which one is never below the others and one never above; of the two that are left, the open is
/// the one next to the close before it.
fn places_of(records: &[serde_json::Value]) -> Places {
    let number = |value: &serde_json::Value| {
        value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite())
    };
    let row = |record: &serde_json::Value| -> Option<Vec<Option<f64>>> {
        record.as_array().map(|elements| elements.iter().map(number).collect())
    };
    let mut rows: Vec<Vec<Option<f64>>> = records.iter().filter_map(row).collect();
    let width = rows.iter().map(Vec::len).min().unwrap_or_default();
    // Seconds since 1970 are more than prices are, and texts of times are no numbers.
    let is_time = |at: usize| rows.iter().all(|row| row[at].is_none_or(|value| value >= 1e9));
    let Some(ts) = (0..width).find(|at| is_time(*at)) else { return USUAL };
    if rows.first().zip(rows.last()).is_some_and(|(first, last)| first[ts] > last[ts]) {
        rows.reverse();
    }
    let windows = (0..width.saturating_sub(3)).filter(|from| !(*from..from + 4).contains(&ts));
    let found = windows.filter_map(|from| {
        let four: Option<Vec<[f64; 4]>> = rows
            .iter()
            .map(|row| Some([row[from]?, row[from + 1]?, row[from + 2]?, row[from + 3]?]))
            .collect();
        order_of(&four?).map(|order| (from, order))
    });
    let Some((from, order)) = found.into_iter().next() else { return USUAL };
    let rest = (from + 4..width).chain(0..from).find(|at| *at != ts);
    let [open, high, low, close] = order.map(|at| from + at);
    [ts, open, high, low, close, rest.unwrap_or(width)]
}

/// Which of four numbers of each bar, the oldest first, is open, high, low and close.
fn order_of(bars: &[[f64; 4]]) -> Option<[usize; 4]> {
    let least = |bar: &[f64; 4]| bar.iter().copied().fold(f64::INFINITY, f64::min);
    let most = |bar: &[f64; 4]| bar.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // A volume among the prices is seldom next to them.
    if bars.is_empty() || bars.iter().any(|bar| least(bar) <= 0.0 || most(bar) > 3.0 * least(bar)) {
        return None;
    }
    // The usual places first, so that bars of one price say nothing else.
    let high = [1, 2, 3, 0].into_iter().find(|at| bars.iter().all(|bar| bar[*at] == most(bar)))?;
    let lows = [2, 3, 1, 0].into_iter().filter(|at| *at != high);
    let low = lows.into_iter().find(|at| bars.iter().all(|bar| bar[*at] == least(bar)))?;
    let mut inner = (0..4).filter(|at| *at != high && *at != low);
    let (one, two) = (inner.next()?, inner.next()?);
    let leaps = |open: usize, close: usize| {
        bars.windows(2).map(|pair| (pair[1][open] - pair[0][close]).abs()).sum::<f64>()
    };
    let (open, close) = if leaps(two, one) < leaps(one, two) { (two, one) } else { (one, two) };
    Some([open, high, low, close])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_in_arrays_are_told_by_their_values() {
        let places = |text: &str| {
            let values: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
            places_of(&values)
        };
        let usual = "[[1700000000, 10, 12, 9, 11, 500], [1700000060, 11, 13, 10.5, 12, 700]]";
        assert_eq!(places(usual), USUAL);
        let texts = r#"[["1700000060", "11", "12", "13", "10.5", "7", "84"],
                        ["1700000000", "10", "11", "12", "9", "5", "60"]]"#;
        assert_eq!(places(texts), [0, 1, 3, 4, 2, 5], "open, close, high, low, the newest first");
        let volume_first =
            "[[1700000000, 500, 11, 12, 9, 10], [1700000060, 700, 12, 13, 10.5, 11]]";
        assert_eq!(places(volume_first), [0, 5, 3, 4, 2, 1]);
        let flat = "[[1700000000, 10, 10, 10, 10, 0]]";
        assert_eq!(places(flat), USUAL, "nothing else is said");
        assert_eq!(places("[[1700000000, 10]]"), USUAL);
        assert_eq!(places("[]"), USUAL);
    }
}
