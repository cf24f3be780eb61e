//! JSON: the same rows as CSV, one object a line, in arrays, as arrays and inside a document give
//! equal tables; what is broken is refused with its own bytes; a killed load is resumed.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::support::{
    BARS, Bars, Program, TestDb, equations, except_all, file, load, same_rows, totals,
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
