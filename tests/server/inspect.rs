//! `inspect`: what it says of files that are known and of files that are not, and that a layout it
//! drafts loads them.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::support::{Program, TestDb, equations, fixture};

/// Prices that walk: open, high, low, close and volume of bar `at`.
fn bar(at: u32) -> [f64; 5] {
    let price = |at: u32| 100.0 + f64::from(at * 7_919 % 101) / 10.0;
    let (open, close) = (price(at), price(at + 1));
    [open, open.max(close) + 0.25, open.min(close) - 0.25, close, f64::from(at * 31 % 97) * 10.0]
}

/// A file whose names say nothing to us, and whose values say all.
fn write_odd(path: &Path, header: &str, record: impl Fn(u32, [f64; 5]) -> String) {
    let mut text = format!("{header}\n");
    for at in 0..240 {
        let _ = writeln!(text, "{}", record(at, bar(at)));
    }
    std::fs::write(path, text).expect("the folder is writable");
}

/// Day and hour of bar `at`, from 1 January 2024.
fn clock(at: u32) -> (u32, u32) {
    (at / 24 + 1, at % 24)
}

fn inspect(home: &Path, args: &[&str]) -> (i32, Value) {
    // No database is named, and none is started.
    let program = Program::bare(home).arg("inspect").args(args).arg("--json");
    let outcome = program.run();
    let json = serde_json::from_str(&outcome.stdout).unwrap_or(Value::Null);
    assert!(json.is_object(), "{} {}", outcome.stdout, outcome.stderr);
    (outcome.code.expect("an exit code"), json["files"][0].clone())
}

/// From a file that nobody knows to rows in two commands, the second as the first printed it.
fn two_commands(name: &str, file: &str, header: &str, record: impl Fn(u32, [f64; 5]) -> String) {
    let db = TestDb::new(name);
    let path = db.home().join(file);
    write_odd(&path, header, record);
    let layout = db.home().join("odd.toml");
    let text = path.to_str().expect("a plain path");
    let (code, unknown) = inspect(db.home(), &[text]);
    assert_eq!((code, &unknown["recognised"]), (1, &Value::Bool(false)), "{unknown}");
    let (code, known) =
        inspect(db.home(), &[text, "--write-layout", layout.to_str().expect("a plain path")]);
    assert_eq!((code, known["records"].as_u64()), (0, Some(240)), "{known}");
    assert_eq!(known["rejected"], 0, "{known}");
    assert_eq!(known["usual_interval"], "1h", "{known}");
    let load = known["load"].as_str().expect("a command");
    let words = load.split(' ').skip(1);
    let outcome = Program::new(&db).args(words).args(["--progress", "none"]).report_json().run();
    let outcome = outcome.expect_code(0);
    assert_eq!(outcome.total("inserted"), 240, "{load}");
    let stored = db.client().rows(
        "SELECT ts AT TIME ZONE 'UTC', open, high, low, close, volume FROM market_data ORDER BY ts",
    );
    for (at, row) in (0..).zip(&stored) {
        let (day, hour) = clock(at);
        let numbers = bar(at).map(|number| number.to_string());
        let expected: Vec<String> =
            std::iter::once(format!("2024-01-{day:02} {hour:02}:00:00")).chain(numbers).collect();
        let found: Vec<String> = row.iter().flatten().cloned().collect();
        assert_eq!(found, expected, "{load}");
    }
    let named: Vec<_> = db.client().rows("SELECT symbol FROM tickers");
    assert_eq!(named, [[Some("SAP".to_owned())]]);
    equations(&db);
}

#[test]
fn names_in_another_language_load_in_two_commands() {
    let header = "Kurse\n\nZeitpunkt;Anfang;Tief;Hoch;Schluss;Stücke";
    two_commands("odd names", "kurse_SAP.csv", header, |at, [o, h, l, c, v]| {
        let (day, hour) = clock(at);
        format!("{day:02}.01.2024 {hour:02}:00;{o};{l};{h};{c};{v}")
    });
}

#[test]
fn names_that_say_nothing_load_in_two_commands() {
    two_commands("no names", "SAP.txt", "a|b|c|d|e|f|g", |at, [o, h, l, c, v]| {
        let (day, hour) = clock(at);
        format!("n/a|{v}|{c}|{h}|{l}|{o}|01/{day:02}/2024 {hour:02}:00:00")
    });
}

#[test]
fn epochs_with_fractions_load_in_two_commands() {
    two_commands(
        "fractions",
        "px_SAP.csv",
        "t,bid_o,bid_h,bid_l,bid_c,v",
        |at, [o, h, l, c, v]| format!("{}.0,{o},{h},{l},{c},{v}", 1_704_067_200 + at * 3_600),
    );
}

/// The command that is printed behind `start`, up to the end of its line.
fn printed<'a>(text: &'a str, start: &str) -> &'a str {
    let at = text.find(start).unwrap_or_else(|| panic!("no {start:?}: {text}"));
    text[at..].lines().next().expect("a line").trim()
}

#[test]
fn what_is_printed_is_what_to_type_next() {
    let db = TestDb::new("typed");
    let path = db.home().join("my odd file.csv");
    write_odd(&path, "when;open_px;hi;lo;last;qty", |at, [o, h, l, c, v]| {
        let (day, hour) = clock(at);
        format!("2024-01-{day:02} {hour:02}:00;{o};{h};{l};{c};{v}")
    });
    let program = || Program::new(&db);
    let seen = program().args(["inspect", "my odd file.csv"]).run().expect_code(1);
    let next = printed(&seen.stdout, "tidegate inspect ");
    assert_eq!(next, "tidegate inspect 'my odd file.csv' --write-layout 'my odd file.toml'");
    let args = ["inspect", "my odd file.csv", "--write-layout", "my odd file.toml"];
    let written = program().args(args).run().expect_code(0);
    let next = printed(&written.stdout, "tidegate backfill ");
    assert_eq!(
        next,
        "tidegate backfill 'my odd file.csv' --layout 'my odd file.toml' --symbol TICKER"
    );
    let args = ["backfill", "my odd file.csv", "--layout", "my odd file.toml", "--symbol", "ACME"];
    let loaded = program().args(args).args(["--progress", "none"]).report_json().run();
    assert_eq!(loaded.expect_code(0).total("inserted"), 240);
    equations(&db);
}

#[test]
fn one_ticker_a_column_is_said_and_loads_one_by_one() {
    let db = TestDb::new("wide");
    let path = db.home().join("wide.csv");
    write_odd(&path, "Date,AAPL,BRK.B", |at, [o, h, ..]| {
        let (day, hour) = clock(at);
        format!("2024-01-{day:02} {hour:02}:00,{o},{h}")
    });
    let program = || Program::new(&db);
    let seen = program().args(["inspect", "wide.csv"]).run().expect_code(1);
    assert!(seen.stdout.contains("for ticker in AAPL BRK.B; do"), "{}", seen.stdout);
    for ticker in ["AAPL", "BRK.B"] {
        let layout = format!("wide-{ticker}.toml");
        let args = ["inspect", "wide.csv", "--symbol", ticker, "--write-layout", &layout];
        let _ = program().args(args).run().expect_code(0);
        let args = ["backfill", "wide.csv", "--layout", &layout, "--progress", "none"];
        assert_eq!(program().args(args).report_json().run().expect_code(0).total("inserted"), 240);
    }
    let named = db.client().rows("SELECT symbol FROM tickers ORDER BY 1");
    assert_eq!(named, [[Some("AAPL".to_owned())], [Some("BRK.B".to_owned())]]);
}

#[test]
fn trades_are_told_from_bars() {
    let db = TestDb::new("odd trades");
    let path = db.home().join("deals.csv");
    write_odd(&path, "tm,px,sz,sd,deal", |at, [o, ..]| {
        let side = if at % 2 == 0 { "B" } else { "S" };
        format!("2024-01-01T00:{:02}:{:02}.5Z,{o},{at}.5,{side},{}", at / 60, at % 60, 1_000 + at)
    });
    let program = || Program::new(&db);
    let args = ["inspect", "deals.csv", "--write-layout", "deals.toml"];
    let written = program().args(args).run().expect_code(0);
    assert!(written.stdout.contains("market_trades"), "{}", written.stdout);
    let args = ["backfill", "deals.csv", "--layout", "deals.toml", "--symbol", "ACME"];
    let loaded = program().args(args).args(["--progress", "none"]).report_json().run();
    assert_eq!(loaded.expect_code(0).total("inserted"), 240);
    let row = db.client().rows("SELECT side, trade_id FROM market_trades ORDER BY ts LIMIT 1");
    assert_eq!(row, [[Some("buy".to_owned()), Some("1000".to_owned())]]);
    equations(&db);
}

/// What the draft for a text without a header takes for open, high, low and close.
fn drafted_prices(lines: &[String]) -> String {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("odd.txt"), lines.join("\n")).expect("the folder is writable");
    let args = ["inspect", "odd.txt", "--write-layout", "odd.toml"];
    let _ = Program::bare(home.path()).args(args).run();
    let draft = std::fs::read_to_string(home.path().join("odd.toml")).expect("a draft");
    let price = |line: &&str| {
        ["open =", "high =", "low =", "close ="].iter().any(|name| line.starts_with(name))
    };
    draft.lines().filter(price).collect::<Vec<_>>().join(", ")
}

#[test]
fn open_and_close_are_told_apart_in_any_order_of_bars() {
    let lines: Vec<String> = (0..60)
        .map(|at| {
            let [o, h, l, c, v] = bar(at);
            format!("202401{:02};{c};{h};{l};{o};{v}", at % 28 + 1)
        })
        .take(28)
        .collect();
    let turned = "open = 4, high = 2, low = 3, close = 1";
    assert_eq!(drafted_prices(&lines), turned, "the oldest first");
    let newest_first: Vec<String> = lines.iter().rev().cloned().collect();
    assert_eq!(drafted_prices(&newest_first), turned, "the newest first");
    let one_day: Vec<String> = (0..60)
        .map(|at| {
            let [o, h, l, c, v] = bar(at);
            format!("T{at};20240102;{o};{h};{l};{c};{v}")
        })
        .collect();
    assert_eq!(drafted_prices(&one_day), "open = 2, high = 3, low = 4, close = 5", "many tickers");
}

#[test]
fn a_layout_that_reads_nothing_of_a_file_gives_way_to_a_draft() {
    let db = TestDb::new("another vendor");
    // Called like one vendor's file, in the shape of another's: a turnover where the first has
    // whole numbers.
    let path = db.home().join("BTCUSDT_1440.csv");
    write_odd(&path, "", |at, [o, h, l, c, v]| {
        let day = 1_700_006_400 + 86_400 * at;
        format!("{day},{o},{h},{l},{c},{v},{}", c * v + 0.5)
    });
    let text = std::fs::read_to_string(&path).expect("the file");
    std::fs::write(&path, text.trim_start()).expect("the folder is writable");
    let program = || Program::new(&db);
    let seen = program().args(["inspect", "BTCUSDT_1440.csv"]).run().expect_code(1);
    assert!(seen.stdout.contains("nothing of it would be loaded"), "{}", seen.stdout);
    let next = printed(&seen.stdout, "tidegate inspect ");
    assert_eq!(next, "tidegate inspect BTCUSDT_1440.csv --write-layout BTCUSDT_1440.toml");
    let args = ["inspect", "BTCUSDT_1440.csv", "--write-layout", "BTCUSDT_1440.toml"];
    let written = program().args(args).run().expect_code(0);
    let next = printed(&written.stdout, "tidegate backfill ");
    let loaded = program().args(next.split(' ').skip(1)).args(["--progress", "none"]);
    assert_eq!(loaded.report_json().run().expect_code(0).total("inserted"), 240);
    let wrong = "SELECT count(*) FROM market_data WHERE high < greatest(open, close) \
                 OR low > least(open, close)";
    assert_eq!(db.client().rows(wrong), [[Some("0".to_owned())]]);
}

#[test]
fn the_same_rows_are_the_same_in_any_wrapping() {
    let home = tempfile::tempdir().expect("a folder");
    let plain = std::fs::read(fixture("bars").join("canonical.csv")).expect("a fixture");
    let gzip = |name: &str| {
        let path = home.path().join(name);
        let file = std::fs::File::create(&path).expect("the folder is writable");
        let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        std::io::Write::write_all(&mut out, &plain).expect("the folder is writable");
        out.finish().expect("the folder is writable");
        path
    };
    let path = gzip("canonical.csv.gz");
    let original = fixture("bars").join("canonical.csv");
    let strip = |mut file: Value| {
        for key in ["source", "load"] {
            file[key] = Value::Null;
        }
        file
    };
    let (_, expected) = inspect(home.path(), &[original.to_str().expect("a plain path")]);
    let (code, packed) = inspect(home.path(), &[path.to_str().expect("a plain path")]);
    assert_eq!((code, strip(packed)), (0, strip(expected.clone())));
    let piped = Program::bare(home.path()).args(["inspect", "--json", "-"]).stdin(&path).run();
    let piped: Value = serde_json::from_str(&piped.expect_code(0).stdout).expect("JSON");
    assert_eq!(strip(piped["files"][0].clone()), strip(expected));
}

#[test]
fn an_archive_of_killmails_is_summed_up() {
    let home = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(fixture("killmails")).expect("fixtures") {
        let path = entry.expect("an entry").path();
        let (code, file) = inspect(home.path(), &[path.to_str().expect("a plain path")]);
        if file["recognised"] == Value::Bool(true) {
            assert_eq!((code, &file["dataset"]), (0, &Value::from("killmails")), "{file}");
            assert!(file["children"]["public.participants"].is_u64(), "{file}");
        }
    }
}

#[test]
fn a_day_and_a_time_without_header_load_in_two_commands() {
    let (day, hour) = clock(0);
    let [o, h, l, c, v] = bar(0);
    // The first record stands where a header would.
    let first = format!("202401{day:02}\t{hour:02}:00\t{o}\t{h}\t{l}\t{c}\t{v}\tSAP");
    let record = |at: u32, [o, h, l, c, v]: [f64; 5]| {
        let (day, hour) = clock(at);
        format!("202401{day:02}\t{hour:02}:00\t{o}\t{h}\t{l}\t{c}\t{v}\tSAP")
    };
    let rest = |at: u32, values| if at == 0 { String::new() } else { record(at, values) };
    two_commands("no header", "export.txt", &first, rest);
}

#[test]
fn a_known_file_is_summed_up() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("bars_ACME.csv");
    let mut text = String::from("symbol,interval,ts,open,high,low,close,volume\n");
    let hours = [0, 1, 2, 5, 6, 6, 6, 7, 8, 9];
    for (at, hour) in hours.into_iter().enumerate() {
        // The second of three bars of 06:00 is the first again, the third is another.
        let close = if at == 6 { "1.6" } else { "1.5" };
        let high = if at == 3 { "1.0" } else { "2" };
        let _ = writeln!(text, "ACME,1h,2024-01-02T{hour:02}:00:00Z,1.2,{high},0.5,{close},7");
    }
    text.push_str("ACME,1h,2024-01-02T10:00:00Z,1,2,0.5,100,0\n");
    text.push_str("ACME,1h,yesterday,1,2,0.5,1,0\n");
    std::fs::write(&path, text).expect("the folder is writable");
    let (code, file) = inspect(home.path(), &[path.to_str().expect("a plain path")]);
    assert_eq!((code, &file["layout"]), (0, &Value::from("canonical")), "{file}");
    let number = |key: &str| file[key].as_u64();
    assert_eq!((number("records"), number("rejected")), (Some(12), Some(1)), "{file}");
    assert_eq!((number("duplicate"), number("conflicting")), (Some(2), Some(1)), "{file}");
    let series = &file["series"][0];
    assert_eq!(series["series"], serde_json::json!(["ACME", "1h"]));
    assert_eq!((series["gaps"].as_u64(), series["missing"].as_u64()), (Some(1), Some(2)));
    assert_eq!(series["order"], "oldest first");
    assert_eq!(
        (&file["from"], &file["usual_interval"]),
        (&Value::from("2024-01-02T00:00:00Z"), &Value::from("1h"))
    );
    let found = |rule: &str| {
        let finding = &file["findings"][rule];
        (finding["count"].as_u64(), finding["first"].as_u64())
    };
    // A close above its high is both the bar of line 5 and the one of line 12.
    assert_eq!(found("above_high"), (Some(2), Some(5)), "{file}");
    assert_eq!(found("jump"), (Some(1), Some(12)), "{file}");
    assert_eq!(found("zero_volume"), (Some(1), Some(12)), "{file}");
    let reject = &file["rejects_by_rule"]["bad_time"];
    assert_eq!((reject["count"].as_u64(), reject["first"].as_u64()), (Some(1), Some(13)));
}

#[test]
fn every_fixture_is_inspected_and_agrees_with_its_load() {
    let db = TestDb::new("inspected");
    let mut files: Vec<_> = std::fs::read_dir(fixture("bars"))
        .expect("fixtures")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    for path in files {
        let name = path.to_str().expect("a plain path");
        let (code, file) = inspect(db.home(), &[name]);
        assert_eq!(code, 0, "{name}: {file}");
        let load = Program::new(&db).args(["backfill", "--progress", "none", name]).report_json();
        let load = load.run().expect_code(0);
        assert_eq!(file["records"].as_u64(), Some(load.total("read")), "{name}");
        assert_eq!(file["layout"], load.report()["files"][0]["layout"], "{name}");
        assert_eq!(file["missing"], serde_json::json!([]), "{name}");
    }
}

#[test]
fn what_is_no_market_data_is_said_and_nothing_is_written_over() {
    let home = tempfile::tempdir().expect("a folder");
    for name in ["html_error_page.csv", "empty.csv"] {
        let path = fixture("broken").join(name);
        let (code, file) = inspect(home.path(), &[path.to_str().expect("a plain path")]);
        assert_eq!((code, &file["recognised"]), (1, &Value::Bool(false)), "{file}");
        assert!(file["guess"].is_null(), "{file}");
    }
    let layout = home.path().join("mine.toml");
    std::fs::write(&layout, "mine").expect("the folder is writable");
    let path = home.path().join("odd.csv");
    write_odd(&path, "a,b,c,d,e", |at, [o, h, l, c, _]| {
        format!("{},{o},{h},{l},{c}", 1_704_067_200 + at * 3_600)
    });
    let program = Program::bare(home.path()).arg("inspect").arg(&path);
    let outcome = program.arg("--write-layout").arg(&layout).run().expect_code(1);
    assert!(outcome.stderr.contains("there already"), "{}", outcome.stderr);
    assert_eq!(std::fs::read_to_string(&layout).expect("it is there"), "mine");
}

#[test]
fn decimal_commas_load_in_two_commands() {
    two_commands("decimal commas", "odd_SAP.csv", "Datum;A;B;C;D;Umsatz", |at, [o, h, l, c, v]| {
        let (day, hour) = clock(at);
        let prices = [o, h, l, c].map(|price| format!("{price:.2} €").replace('.', ","));
        format!("2024-01-{day:02} {hour:02}:00;{};{v}", prices.join(";"))
    });
}

#[test]
fn amounts_and_names_of_months_load_in_two_commands() {
    let header = "\"Trade time\",\"Opening price\",\"Day's high\",\"Day's low\",\"Last price\",\
                  \"Shares traded\",\"Change %\"";
    two_commands("amounts", "odd_SAP.csv", header, |at, [o, h, l, c, v]| {
        let (day, hour) = clock(at);
        let half = if hour < 12 { "AM" } else { "PM" };
        let clock = (hour + 11) % 12 + 1;
        format!(
            "\"January {day}, 2024 {clock}:00 {half}\",\"${o:.2}\",\"${h:.2}\",\"${l:.2}\",\
             \"${c:.2}\",\"{:.3}K\",\"{:.2}%\"",
            v / 1_000.0,
            (c / o - 1.0) * 100.0
        )
    });
}

#[test]
fn what_a_known_file_lacks_is_said_with_the_command() {
    let home = tempfile::tempdir().expect("a folder");
    for (name, text, layout, missing, load) in [
        (
            "EURUSD60.csv",
            "2013.11.29,12:00,1.36171,1.36183,1.35966,1.36066,3593\n",
            "metatrader4",
            serde_json::json!(["zone"]),
            "--tz ZONE",
        ),
        (
            "bars.csv",
            "Date,Time,Open,High,Low,Last,Volume,NumberOfTrades\n\
             2024/1/2,09:30:00,1,1,1,1,5,1\n2024/1/2,09:31:00,1,1,1,1,5,1\n\
             2024/1/2,09:32:00,1,1,1,1,5,1\n",
            "sierra_chart",
            serde_json::json!(["zone", "symbol", "interval"]),
            "--tz ZONE --symbol TICKER --interval 1m",
        ),
    ] {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("the folder is writable");
        let path = path.to_str().expect("a plain path");
        let (code, file) = inspect(home.path(), &[path]);
        assert_eq!((code, &file["layout"]), (0, &Value::from(layout)), "{file}");
        assert_eq!(file["missing"], missing, "{file}");
        let command = file["load"].as_str().expect("a command");
        assert!(command.ends_with(load), "{command}");
        let shown = Program::bare(home.path()).arg("inspect").arg(path).run().expect_code(0).stdout;
        let first = shown.lines().next().expect("a line");
        assert!(first.ends_with(&format!("{name}: {layout} (bars)")), "{shown}");
        assert!(shown.contains("missing: neither the file nor its name says the"), "{shown}");
        assert!(shown.contains("ZONE stands for the zone"), "{shown}");
        // With it, nothing is missing.
        let flags = ["--tz", "Europe/Athens", "--symbol", "ACME", "--interval", "1h"];
        let (_, file) = inspect(home.path(), &[&[path], &flags[..]].concat());
        assert_eq!(file["missing"], serde_json::json!([]), "{file}");
        assert_eq!(file["zone"], "Europe/Athens", "{file}");
    }
}
