//! JSON: the same rows as CSV, one object a line, in arrays, as arrays and inside a document give
//! equal tables; what is broken is refused with its own bytes; a killed load is resumed.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::support::{BARS, Bars, TestDb, file, load, same_rows, totals};

const SOME: Bars = Bars { rows: 3_000, symbols: 7, seed: 5 };
const KEYS: [&str; 8] = ["symbol", "interval", "ts", "open", "high", "low", "close", "volume"];

/// A bar as a JSON object; numbers as they are, or in quotes.
fn object(line: &str, quoted: bool) -> String {
    let mut text = String::from("{");
    for (at, (key, value)) in KEYS.iter().zip(line.split(',')).enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let quote = if at < 3 || quoted { "\"" } else { "" };
        let _ = write!(text, "{comma}\"{key}\":{quote}{value}{quote}");
    }
    text + "}"
}

fn objects(bars: &Bars, quoted: bool) -> Vec<String> {
    (0..bars.rows).map(|row| object(&bars.line(row), quoted)).collect()
}

/// The same bars in every shape that needs no layout of the user's.
fn shapes(bars: &Bars) -> [(&'static str, String); 6] {
    let plain = objects(bars, false);
    [
        ("lines.ndjson", plain.join("\n") + "\n"),
        ("strings.ndjson", objects(bars, true).join("\r\n")),
        ("array.json", format!("\u{feff}[{}]", plain.join(","))),
        ("array_of_lines.json", format!("[\n  {}\n]\n", plain.join(",\n  "))),
        ("nested.json", format!("{{\"next\":null,\"candles\":[{}],\"n\":[1]}}", plain.join(", "))),
        (
            "pages.json",
            plain
                .chunks(1_000)
                .map(|page| format!("{{\"data\":[{}]}}\n", page.join(",")))
                .collect(),
        ),
    ]
}

#[test]
fn every_shape_of_json_gives_the_table_that_csv_gives() {
    let csv = TestDb::new("json csv");
    load(&csv, [SOME.write(csv.home(), "bars.csv")], 0);
    for (name, text) in shapes(&SOME) {
        let db = TestDb::new(name);
        let path: PathBuf = file(&db, name, text);
        let outcome = load(&db, [path.as_os_str(), "--verify".as_ref()], 0);
        assert_eq!(totals(&outcome), [SOME.rows, SOME.rows, 0, 0, 0, 0, 0], "{name}");
        same_rows(&csv, &db, BARS);
        let again = load(&db, [path], 0);
        assert_eq!(totals(&again), [0; 7], "{name}: loaded once");
    }
}
