use super::*;
use crate::mapping::Zone;

const GOOD: &str = r#"
name = "mine"
dataset = "bars"
[text]
delimiter = ";"
header = "none"
[recognise]
fields = 5
[columns]
ts = { at = 0, time = "%d.%m.%Y" }
open = 1
high = 2
low = 3
close = 4
[facts]
names = ['{start}(?P<symbol>[a-z]+)_(?P<interval>[a-z]+){end}']
example = "acme_fast.csv"
symbol = { case = "upper", replace = { _ = "." }, map = { ACME = "ACME.X" } }
interval = { map = { fast = "1m" } }
zone = "Europe/Paris"
"#;

/// The message for [`GOOD`] with one part replaced.
fn mistake(part: &str, by: &str) -> String {
    assert!(GOOD.contains(part), "{part}");
    Layout::parse(&GOOD.replacen(part, by, 1), "mine.toml").unwrap_err().to_string()
}

#[test]
fn a_layout_is_read() {
    let layout = Layout::parse(GOOD, "mine.toml").unwrap();
    assert_eq!((layout.name.as_str(), layout.version), ("mine", 1));
    assert_eq!(layout.text.delimiters, [b';']);
    assert_eq!(layout.facts.zone.as_ref().map(Zone::name).as_deref(), Some("Europe/Paris"));
    let columns: Vec<&str> = layout.columns.iter().map(|rule| rule.column.name).collect();
    assert_eq!(columns, ["ts", "open", "high", "low", "close"]);
    assert_eq!(layout.facts.rules["symbol"].map["ACME"], "ACME.X");
}

#[test]
fn mistakes_name_line_key_and_what_was_meant() {
    let cases = [
        (
            "delimiter = ",
            "delimeter = ",
            "mine.toml, line 5: unknown key text.delimeter, did you mean delimiter?; known \
             here: delimiter, quote, header, preamble, below, nulls, decimal",
        ),
        (
            "close = 4",
            "clsoe = 4",
            "mine.toml, line 14: unknown key columns.clsoe, did you mean close?; known here: \
             symbol, interval, ts, open, high, low, close, volume, quote_volume, trade_count, \
             open_interest",
        ),
        (
            "[facts]",
            "[extra]",
            "mine.toml, line 15: unknown key extra; known here: name, version, title, \
             dataset, format, refuse, quirks, also, text, json, parquet, records, recognise, \
             columns, facts",
        ),
        ("name = \"mine\"\n", "", "mine.toml, line 1: name is missing"),
        (
            "\"mine\"",
            "\"My layout\"",
            "mine.toml, line 2: name: \"My layout\" is no name: \
             use a-z, 0-9 and _",
        ),
        ("\"bars\"", "\"bar\"", "mine.toml, line 3: dataset: \"bar\" is no dataset; known: bars"),
        ("\"bars\"", "7", "mine.toml, line 3: dataset: expected a string, found integer"),
        ("\";\"", "\"::\"", "mine.toml, line 5: text.delimiter: expected one ASCII character"),
        (
            "\"none\"",
            "\"no\"",
            "mine.toml, line 6: text.header: \"no\" is none of \"required\", \"optional\", \
             \"positional\", \"none\"",
        ),
        (
            "fields = 5",
            "fields = -5",
            "mine.toml, line 8: recognise.fields: expected a whole \
             number from 0",
        ),
        (
            "fields = 5",
            "fields = 4",
            "mine.toml, line 7: recognise: a column is at position 4, but a record may have \
             only 4 fields (positions start at 0)",
        ),
        (
            "fields = 5",
            "",
            "mine.toml, line 7: recognise: without a header, recognise.fields \
             must say how many fields",
        ),
        (
            "%d.%m.%Y",
            "%d.%Q.%Y",
            "mine.toml, line 10: columns.ts.time: time pattern \"%d.%Q.%Y\" has an unknown \
             item %Q",
        ),
        (
            "close = 4",
            "close = \"Last\"",
            "mine.toml, line 9: columns: close is given by name, but not every file has a \
             header: give its position, from 0",
        ),
        ("close = 4", "", "mine.toml, line 9: columns: close is missing, and bars need it"),
        (
            "\"none\"",
            "\"required\"",
            "mine.toml, line 9: columns: ts is given by position, but the files have field \
             names: name them",
        ),
        (
            "\"none\"",
            "\"optional\"",
            "mine.toml, line 7: recognise: with such a header, \
             recognise.headers must list it",
        ),
        (
            "at = 0, ",
            "at = 0, name = \"a\", ",
            "mine.toml, line 10: columns.ts: expected only \
             one of name, aliases, pattern, at, join",
        ),
        (
            "at = 0, ",
            "",
            "mine.toml, line 10: columns.ts: expected name, aliases, pattern, at \
             or join",
        ),
        (
            "open = 1",
            "open = { at = 1, scale = 30 }",
            "mine.toml, line 11: columns.open.scale: expected a power of ten from -18 to 18",
        ),
        (
            "at = 0, ",
            "at = 0, scale = 4, ",
            "mine.toml, line 10: columns.ts.scale: ts is no number",
        ),
        (
            "open = 1",
            "open = { at = 1, scale = 4, map = { a = \"b\" } }",
            "mine.toml, line 11: columns.open.map: a column has numbers or words, not both",
        ),
        (
            "open = 1",
            "open = { at = 1, time = \"auto\" }",
            "mine.toml, line 11: \
             columns.open.time: open is no time",
        ),
        (
            "[a-z]+)_",
            "[a-z+)_",
            "mine.toml, line 16: facts.names: \"WORD\" is no regular \
             expression: unclosed character class",
        ),
        (
            "acme_fast.csv",
            "ACME.csv",
            "mine.toml, line 17: facts.example: no pattern of \
             facts.names matches \"ACME.csv\"",
        ),
        (
            "\"1m\"",
            "\"soon\"",
            "mine.toml, line 19: facts.interval: \"soon\" is no interval \
             such as 1m, 1h, 1d, 1mo",
        ),
        (
            "[recognise]\n",
            "[records]\ntake = { field = 0, words = \"A\" }\n\
             leave = { field = 0, words = \"A\" }\n[recognise]\n",
            "mine.toml, line 8: records.take: say either take or leave",
        ),
        (
            "open = 1",
            "open = { at = 1, nanos = true }",
            "mine.toml, line 11: columns.open.nanos: only a whole number may hold nanoseconds, \
             of one field",
        ),
        (
            "open = 1",
            "open = { at = 1, occ = \"root\" }",
            "mine.toml, line 11: columns.open.occ: \"root\" is none of \"underlying\", \
             \"expiry\", \"strike\", \"option_type\"",
        ),
        (
            "open = 1",
            "open = { at = 1, day = \"%Y\" }",
            "mine.toml, line 11: columns.open.day: only the second of two fields that are \
             joined to a word is a day",
        ),
        (
            "Europe/Paris",
            "Mars",
            "mine.toml, line 20: facts.zone: unknown time zone \"Mars\": \
             use UTC, UTC-5, +05:30 or a name like Europe/Paris",
        ),
        (
            "\"upper\"",
            "\"UPPER\"",
            "mine.toml, line 18: facts.symbol.case: \"UPPER\" is none \
             of \"upper\", \"lower\"",
        ),
    ];
    for (part, by, expected) in cases {
        let message = mistake(part, by);
        // The pattern is shown with its edges spelled out, which is not the point here.
        let shown = match (message.find("names: "), message.find(" is no regular")) {
            (Some(from), Some(to)) => {
                format!("{}\"WORD\"{}", &message[..from + 7], &message[to..])
            }
            _ => message,
        };
        // Lists of what is known go on.
        assert!(shown.starts_with(expected), "{part} -> {by}: {shown}");
    }
}

#[test]
fn text_that_is_no_toml_names_its_line() {
    let message = mistake("fields = 5", "fields = = 5");
    assert!(message.starts_with("mine.toml, line 8: "), "{message}");
}

#[test]
fn every_way_to_name_a_field_is_read() {
    let text = r#"
name = "ways"
dataset = "bars"
[columns]
ts = [{ join = ["Day", "Clock"], time = "%Y%m%d %H%M" }, { name = "Stamp", interval = "daily" }]
open = ["Open", "First"]
high = { name = "High" }
low = { aliases = true }
close = { pattern = '^Last', nth = 1 }
"#;
    let layout = Layout::parse(text, "ways.toml").unwrap();
    let shown: Vec<String> = layout
        .columns
        .iter()
        .flat_map(|rule| &rule.ways)
        .map(|way| match &way.source {
            WaySource::Pattern(pattern, nth) => format!("{} {nth}", pattern.as_str()),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "JoinNames(\"Day\", \"Clock\")",
            "Names([\"Stamp\"])",
            "Names([\"Open\", \"First\"])",
            "Names([\"High\"])",
            "Aliases",
            "^Last 1",
        ]
    );
    assert_eq!(layout.columns[0].ways[1].interval.as_deref(), Some("1d"));
}
