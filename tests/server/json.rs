//! JSON: the same rows as CSV, one object a line, in arrays, as arrays and inside a document give
//! equal tables; what is broken is refused with its own bytes; a killed load is resumed.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::support::{
    BARS, Bars, Program, TestDb, backfill, equations, except_all, file, file_entry, load,
    same_rows, totals,
};

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

/// What an NDJSON line of these bars may be, and the rule that refuses it.
const DIRT: [(&str, &str); 12] = [
    (r#"{"symbol":"X","interval":"1m","ts":"2024-01-01T00:00:00Z""#, "invalid_json"),
    (r#"{"symbol":"X,"interval":"1m"}"#, "invalid_json"),
    (r#"{"symbol":"X","symbol":"Y","interval":"1m"}"#, "duplicate_key"),
    (r#"{"symbol":"X","interval":"1m","ts":"2024-01-01","close":1e400}"#, "out_of_range"),
    (r#"{"symbol":"X","interval":"1m","ts":"2024-01-01","close":{"usd":1}}"#, "nested_value"),
    (r#"{"symbol":"\ud800","interval":"1m","ts":"2024-01-01","close":1}"#, "lone_surrogate"),
    (r#"{"symbol":"X\u0000","interval":"1m","ts":"2024-01-01","close":1}"#, "nul_byte"),
    (r#"{"symbol":"X","interval":"1m","ts":"2024-01-01","close":null}"#, "null_value"),
    (r#"{"symbol":"X","interval":"1m","ts":"2024-02-30","close":1}"#, "out_of_range"),
    (r#"{"symbol":"X","interval":"1q","ts":"2024-01-01","close":1}"#, "bad_interval"),
    ("null", "no_record"),
    (r#"{"symbol":]"#, "invalid_json"),
];

/// Bars with dirt behind each thousandth, and where the dirt is: rule, line, offset, bytes.
fn dirty(array: bool) -> (String, Vec<Vec<Option<String>>>) {
    let (mut text, mut expected) = (String::from(if array { "[\n" } else { "" }), Vec::new());
    let comma = if array { "," } else { "" };
    for (row, line) in objects(&Bars { rows: 12_000, ..SOME }, false).iter().enumerate() {
        let _ = writeln!(text, "{line}{comma}");
        if row % 1_000 == 999 {
            let (bad, rule) = DIRT[row / 1_000];
            let hex: String = bad.bytes().map(|byte| format!("{byte:02x}")).collect();
            let line = text.matches('\n').count() + 1;
            let found = [rule.to_owned(), line.to_string(), text.len().to_string(), hex];
            expected.push(found.into_iter().map(Some).collect());
            let _ = writeln!(text, "{bad}{comma}");
        }
    }
    (text + if array { "]" } else { "" }, expected)
}

#[test]
fn what_is_broken_is_refused_with_its_own_bytes_and_replayed_when_mended() {
    for array in [false, true] {
        let db = TestDb::new("json dirt");
        let (text, expected) = dirty(array);
        let path = file(&db, "bars.json", text);
        let outcome = load(&db, [path.as_os_str(), "--verify".as_ref()], 3);
        assert_eq!(totals(&outcome), [12_012, 12_000, 0, 0, 0, 12, 0]);
        let found = db.client().rows(
            "SELECT rule, line_no, byte_offset, encode(raw, 'hex') FROM tidegate.reject \
             ORDER BY row_no",
        );
        assert_eq!(found, expected, "array: {array}");

        let mended = db.home().join("mended.csv");
        let mut writer = csv::Writer::from_path(&mended).unwrap();
        writer.write_record(["reject_id", "record"]).unwrap();
        for (at, id) in
            db.client().rows("SELECT id FROM tidegate.reject ORDER BY id").iter().enumerate()
        {
            let bar = object(&SOME.line(20_000 + at as u64), at % 2 == 0).replace(",\"", ",\n  \"");
            let bar = if at == 3 { bar + "{}" } else { bar };
            writer.write_record([id[0].as_deref().unwrap(), &bar]).unwrap();
        }
        writer.flush().unwrap();
        let replay = Program::new(&db).args(["rejects", "replay", "--json"]).arg(&mended);
        let replayed = replay.run().expect_code(3);
        let answer: serde_json::Value = serde_json::from_str(&replayed.stdout).unwrap();
        assert_eq!((&answer["inserted"], &answer["still_open"]), (&11.into(), &1.into()));
        assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM market_data"), 12_011);
    }
}

#[test]
fn a_second_list_of_records_is_not_left_out() {
    let db = TestDb::new("json two lists");
    let records = objects(&Bars { rows: 5, symbols: 1, seed: 1 }, false);
    let (one, two) = (records[..3].join(","), records[3..].join(","));
    let both = file(&db, "both.json", format!("{{\"data\":[{one}],\"more\":[{two}]}}"));
    let refused = backfill(&db, [both]).run().expect_code(1).stderr;
    assert!(refused.contains("without those of the list more"), "{refused}");
    let other = format!("{{\"data\":[{one}],\"columns\":[{{\"name\":\"symbol\"}}],\"errors\":[]}}");
    assert_eq!(load(&db, [file(&db, "other.json", other)], 0).total("inserted"), 3);
}

#[test]
fn a_source_that_is_cut_off_is_not_taken_for_whole() {
    let db = TestDb::new("json cut off");
    let text = objects(&SOME, false).join(",\n");
    let path = file(&db, "bars.json", format!("{{\"data\":[{text}"));
    let outcome = load(&db, [path], 3);
    assert_eq!(totals(&outcome), [SOME.rows + 1, SOME.rows, 0, 0, 0, 1, 0]);
    assert_eq!(outcome.report()["rejects_by_rule"]["truncated_document"], 1);
}

/// Killed while it writes, then run to its end; as often as it takes to meet it half done.
fn killed_and_resumed(name: &str, text: &str) {
    let db = TestDb::new(name);
    let path = file(&db, name, text);
    let table = "CREATE TABLE bars (symbol text, \"interval\" text, ts timestamptz, \
         open double precision, high double precision, low double precision, \
         close double precision, volume double precision, PRIMARY KEY (symbol, \"interval\", ts)); \
         CREATE TABLE calm (LIKE bars INCLUDING ALL)";
    db.client().execute(table);
    let program = |table: &str| {
        let program =
            Program::new(&db).args(["backfill", "--progress", "none", "--memory", "32MiB"]);
        program.args(["--writers", "2", "--table", table]).arg(&path).report_json()
    };
    let portions = "SELECT count(*) FROM tidegate.portion";
    let _ = program("public.calm").run().expect_code(3);
    let all = db.client().query_one::<i64>(portions);
    assert!(all >= 5, "there are several batches: {all}");
    let slow = || program("public.bars").args(["--max-rows-per-sec", "120000"]);
    let mut running = slow().spawn();
    while db.client().query_one::<i64>(portions) == all {
        assert!(running.is_running(), "ended too early: {}", running.stderr());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running.signal(rustix::process::Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
    let committed = db.client().query_one::<i64>(portions) - all;
    assert!(committed < all, "the kill met a load half done");
    let _ = program("public.bars").run().expect_code(3);
    equations(&db);
    except_all(&db, "bars", "calm");
    let rejects = |target: &str| {
        format!(
            "SELECT row_no, line_no, byte_offset, byte_len, rule, raw FROM tidegate.reject \
             WHERE load_id IN (SELECT l.id FROM tidegate.load l JOIN tidegate.content c \
                ON c.id = l.content_id WHERE c.target = '{target}')"
        )
    };
    except_all(&db, &rejects("public.bars"), &rejects("public.calm"));
    let again = program("public.bars").run().expect_code(0);
    assert_eq!(again.total("read"), 0);
}

#[test]
fn a_killed_load_goes_on_where_it_was() {
    let mut lines = objects(&Bars { rows: 200_000, symbols: 9, seed: 2 }, false);
    for (at, (bad, _)) in DIRT.iter().enumerate().filter(|(_, (_, rule))| *rule != "bad_interval") {
        lines[at * 15_000 + 12_345] = (*bad).to_owned();
    }
    killed_and_resumed("bars.ndjson", &lines.join("\n"));
    killed_and_resumed("lines.json", &format!("[{}]", lines.join(",\n")));
    // On one line an open quote would take all that follows along.
    lines.retain(|line| line.ends_with('}') && !line.contains(r#""X,"#));
    lines[150_000] = r#"{"symbol":"X"}"#.to_owned();
    killed_and_resumed("nested.json", &format!("{{\"data\":[{}],\"n\":1}}", lines.join(",")));
}

/// A vendor's reply as it is saved: name, text, layout, and its one bar of 2024-01-02.
const VENDORS: [(&str, &str, &str, &str); 6] = [
    (
        "coinbase_ETH-USD_1h.json",
        "[[1704157200,41.5,43.5,42,43,1.5],[1704153600,1.25,2.75,1.5,2.5,12.5]]",
        "coinbase_candles",
        "ETH-USD 1h 1.5 2.75 1.25 2.5 12.5",
    ),
    (
        "BTC-USDC_5m.json",
        r#"{"candles":[{"start":"1704153600","low":"1.25","high":"2.75","open":"1.5",
            "close":"2.5","volume":"12.5"}]}"#,
        "coinbase_advanced",
        "BTC-USDC 5m 1.5 2.75 1.25 2.5 12.5",
    ),
    (
        "bitstamp_ltceur_1d.json",
        r#"{"data": {"ohlc": [{"close": "2.5", "high": "2.75", "low": "1.25", "open": "1.5",
            "timestamp": "1704153600", "volume": "12.5"}], "pair": "LTC/EUR"}}"#,
        "bitstamp_ohlc",
        "LTCEUR 1d 1.5 2.75 1.25 2.5 12.5",
    ),
    (
        "XRPUSDT-1m.json",
        concat!(
            r#"[[1704153600000,"1.50","2.75","1.25","2.50","12.5",1704153659999,"30.1","#,
            r#"7,"1","2","0"]]"#
        ),
        "binance_klines_json",
        "XRPUSDT 1m 1.5 2.75 1.25 2.5 12.5",
    ),
    (
        "glbx.ohlcv-1s.json",
        concat!(
            r#"{"ts_event": 1704153600000000000, "pub_id": 1, "product_id": 77, "#,
            r#""open": 1500000000, "high": 2750000000, "low": 1250000000, "#,
            r#""close": 2500000000, "volume": 12}"#
        ),
        "databento_ohlcv_json",
        "77 1s 1.5 2.75 1.25 2.5 12",
    ),
    (
        "glbx.json",
        concat!(
            r#"{"hd":{"ts_event":"1704153600000000000","rtype":33,"publisher_id":1,"#,
            r#""instrument_id":5},"open":"1500000000","high":"2750000000","#,
            r#""low":"1250000000","close":"2500000000","volume":"12","symbol":"ESH4"}"#
        ),
        "databento_ohlcv_json",
        "ESH4 1m 1.5 2.75 1.25 2.5 12",
    ),
];

#[test]
fn vendors_replies_are_recognised_and_load() {
    let db = TestDb::new("json vendors");
    for (name, text, layout, bar) in VENDORS {
        let path = file(&db, name, text);
        let outcome = load(&db, [path], 0);
        assert_eq!(file_entry(&outcome, name)["layout"], layout, "{name}");
        let symbol = bar.split(' ').next().unwrap();
        let found = db.client().rows(&format!(
            "SELECT concat_ws(' ', symbol, interval, open, high, low, close, volume) \
             FROM ({BARS}) b WHERE symbol = '{symbol}' AND ts = '2024-01-02T00:00Z'"
        ));
        assert_eq!(found, [[Some(bar.to_owned())]], "{name}");
    }
    let known = db.client().query_one::<f64>(
        "SELECT trade_count + quote_volume FROM market_data WHERE trade_count IS NOT NULL",
    );
    assert!((known - 37.1).abs() < 1e-9);
}

#[test]
fn an_answer_that_is_no_data_is_refused_with_its_first_bytes() {
    let db = TestDb::new("json answer");
    let path = file(&db, "BTCUSDT_1h.csv", r#"{"Information": "25 requests a day"}"#);
    let outcome = backfill(&db, [path]).run().expect_code(1);
    assert!(outcome.stderr.contains("25 requests a day"), "{}", outcome.stderr);
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
fn real_json_lines_load() {
    let Some(folder) = std::env::var_os("TIDEGATE_REAL_DATA") else {
        eprintln!("TIDEGATE_REAL_DATA is not set: real JSON was not loaded");
        return;
    };
    let db = TestDb::new("json real");
    let folder = PathBuf::from(folder).join("databento");
    for (interval, rows) in [("1s", 2), ("1m", 2), ("1h", 1)] {
        let path = folder.join(format!("test_data.ohlcv-{interval}.json.raw"));
        let outcome = load(&db, [path.as_os_str(), "--verify".as_ref()], 0);
        assert_eq!(outcome.total("inserted"), rows, "{interval}");
    }
    let close = "SELECT close FROM market_data WHERE interval = '1h'";
    assert!((db.client().query_one::<f64>(close) - 370_250.0).abs() < 1e-9);
    for other in ["mbo", "tbbo"] {
        let path = folder.join(format!("test_data.{other}.json.raw"));
        let _ = backfill(&db, [path]).run().expect_code(1);
    }
}
