//! Layouts that users write: what they can say, and what is a mistake.

use super::*;

#[test]
fn the_layout_file_that_is_shown_parses() {
    for rows in ["a,b\n1,2\n", "1,2\n", "x", "a;\"b\"\"\\;c\n", "Datum|Close|\u{7}\n", "\n\n5\t6\n"]
    {
        let RecogniseError::Unknown(unknown) = auto(&text("x", rows)).unwrap_err() else {
            panic!("{rows:?} is recognised")
        };
        Layout::parse(&unknown.example, "example").unwrap();
    }
    let columns = [("a".to_owned(), "Int64".to_owned())];
    let head = SampleHead::Parquet { columns: &columns };
    let RecogniseError::Unknown(unknown) = auto(&Sample { name: "x", head }).unwrap_err() else {
        panic!("recognised")
    };
    assert_eq!(unknown.first_line, "a Int64");
    Layout::parse(&unknown.example, "example").unwrap();
}

#[test]
fn near_misses_say_what_is_wrong() {
    let why = |name: &str, rows: &str, layout: &str| {
        let RecogniseError::Unknown(unknown) = auto(&text(name, rows)).unwrap_err() else {
            panic!("{rows:?} is recognised")
        };
        unknown.tried.into_iter().find(|(name, _)| name == layout).unwrap().1
    };
    let slashes = "Time,Open,High,Low,Close\n03/01/1971 00:00:00,1,2,0.5,1.5\n";
    assert_eq!(
        why("x.csv", slashes, "canonical"),
        "1 of 1 sample records cannot be read: line 2: ts \"03/01/1971 00:00:00\" is no \
         ISO or epoch time"
    );
    let twice = "timestamp,date,open,high,low,close\n1704067200,2024-01-01,1,2,0.5,1.5\n";
    assert_eq!(why("x.csv", twice, "canonical"), "its fields timestamp and date may each be ts");
    let seven = "1381017600,1,2,0.5,1.5,7,3\n";
    assert_eq!(
        why("x.csv", seven, "kraken_ohlcvt"),
        "its records fit, but their shape alone says too little and its name is not like \
         XBTUSD_1440.csv; if it is one, say --layout kraken_ohlcvt"
    );
    let slashes = text("BTCUSD_PERP-1h-2024-11.csv", slashes);
    assert!(refusal(&slashes).contains("first line: Time,Open,High,Low,Close"));
    let others = "1730419200000,70,71,69,70,8,9,59,12,44,31,0\n";
    assert_eq!(
        why("x.csv", others, "binance_klines"),
        "1 of 1 sample records cannot be read: line 1: field 7 is \"9\""
    );
}

#[test]
fn a_layout_that_is_asked_for_needs_no_name() {
    let rows = "1381017600,1,2,0.5,1.5,7,3\n";
    let sample = text("x.csv", rows);
    let flags = given("XBTUSD", "1d");
    let found = recognise(&sample, &flags, built_in(), Some("kraken_ohlcvt")).unwrap();
    assert_eq!(summary(&found), format!("kraken_ohlcvt | symbol=XBTUSD interval=1d {OHLCVT}"));
    assert_eq!(
        recognise(&sample, &flags, built_in(), Some("histdata")).unwrap_err().to_string(),
        "x.csv does not have the layout histdata: its records have 1 field, not 6\
         \n  first line: 1381017600,1,2,0.5,1.5,7,3"
    );
    let known: Vec<&str> = built_in().iter().map(|layout| layout.name.as_str()).collect();
    assert_eq!(
        recognise(&sample, &flags, built_in(), Some("stoq")).unwrap_err().to_string(),
        format!("no layout is called \"stoq\", did you mean stooq?; known: {}", known.join(", "))
    );
    let found = recognise(&sample, &flags, built_in(), Some("parquet_bars")).unwrap_err();
    assert!(found.to_string().contains("it is for Parquet files, and this is text"));
}

#[test]
fn a_layout_says_what_bytes_mean() {
    use crate::mapping::Rewrite;
    let columns = ["open", "high", "low", "close", "volume"]
        .map(|name| (name.to_owned(), "FixedSizeBinary(16)".to_owned()));
    let times = ["ts_event", "ts_init"].map(|name| (name.to_owned(), "UInt64".to_owned()));
    let columns = [&columns[..], &times[..]].concat();
    let head = SampleHead::Parquet { columns: &columns };
    let name = "catalog/bar/ADABTC.BINANCE-5-MINUTE-LAST-EXTERNAL/part-0.parquet";
    let found = auto(&Sample { name, head }).unwrap();
    assert_eq!(found.layout, "nautilus_bars");
    assert_eq!(
        sources(&found),
        "symbol=ADABTC interval=5m ts=5 open=0 high=1 low=2 close=3 volume=4"
    );
    assert_eq!(found.facts.venue.as_deref(), Some("BINANCE"));
    let open = found.fields.iter().find(|field| field.column == "open").unwrap();
    assert_eq!(open.rewrite, Some(Rewrite::Bytes { big_endian: false, scale: 16 }));
}

#[test]
fn what_cannot_be_said_of_a_file_is_a_mistake() {
    let layout = |format: &str, rest: &str| {
        let text = format!("name = \"mine\"\ndataset = \"bars\"\nformat = \"{format}\"\n{rest}");
        Layout::parse(&text, "mine.toml").map_err(|error| error.to_string())
    };
    let bars = "open = \"o\"\nhigh = \"h\"\nlow = \"l\"\nclose = \"c\"\n";
    for (format, rest, says) in [
        (
            "parquet",
            format!("[columns]\nts = {{ name = \"t\", stamp = \"end\" }}\n{bars}"),
            "stamp is not for them",
        ),
        (
            "text",
            format!("[columns]\nts = \"t\"\n{bars}[facts]\nkeys = {{ symbol = \"s\" }}\n"),
            "only JSON has keys around its records",
        ),
        (
            "text",
            "[columns]\nts = \"t\"\nclose = { name = \"c\", amount = true, scale = 2 }\n"
                .to_owned(),
            "an amount is read as people write it",
        ),
        (
            "text",
            "[columns]\nts = { name = \"t\", amount = true }\nclose = \"c\"\n".to_owned(),
            "only a number of one field is an amount",
        ),
        (
            "text",
            "[columns]\nts = \"t\"\nclose = { name = \"c\", stamp = \"end\" }\n".to_owned(),
            "close is no time",
        ),
        (
            "json",
            format!("[json]\npath = \"a.*.b\"\n[columns]\nts = \"t\"\n{bars}"),
            "only the last key may stand for any key",
        ),
        (
            "json",
            format!("[recognise]\ndocument_keys = \"x\"\n[columns]\nts = \"t\"\n{bars}"),
            "only a layout of files that are not loaded has it",
        ),
    ] {
        let error = layout(format, &rest).map(|_| ()).unwrap_err();
        assert!(error.contains(says), "{rest}: {error}");
    }
}
