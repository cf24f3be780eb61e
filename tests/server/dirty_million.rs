//! A big file of which a few rows are bad, each kind of bad ten times: all others are loaded, and
//! the reject list is exactly these. 100,000 rows, or as many as `TIDEGATE_DIRTY_ROWS` says;
//! `scripts/bench-dirty` measures a million.

use crate::support::{Bars, Lines, Program, TestDb, equations, except_all};

/// How often each kind comes.
const EACH: usize = 10;

/// A user's own table with fixed partitions: four days.
const TABLE: &str = "CREATE TABLE bars (symbol text NOT NULL, \"interval\" text NOT NULL, \
         ts timestamptz NOT NULL, open numeric(12, 4) NOT NULL, high numeric(12, 4) NOT NULL, \
         low numeric(12, 4) NOT NULL, close numeric(12, 4) NOT NULL, volume integer NOT NULL, \
         PRIMARY KEY (symbol, \"interval\", ts)) PARTITION BY RANGE (ts); \
     CREATE TABLE day_1 PARTITION OF bars FOR VALUES FROM ('2024-01-01') TO ('2024-01-02'); \
     CREATE TABLE day_2 PARTITION OF bars FOR VALUES FROM ('2024-01-02') TO ('2024-01-03'); \
     CREATE TABLE rest PARTITION OF bars FOR VALUES FROM ('2024-01-03') TO ('2024-02-01'); \
     INSERT INTO bars SELECT 'OLD', '1m', '2024-01-01'::timestamptz + make_interval(mins => n), \
         1, 1, 1, 1, 1 FROM generate_series(0, 9) n";

/// Spoils a row in way number `kind` and gives the rule that must refuse it. `nth` tells rows of
/// one kind apart.
fn spoil(lines: &mut Lines, row: usize, kind: usize, nth: usize) -> &'static str {
    let (open, high, volume, ts) = (3, 4, 7, 2);
    match kind {
        0 => lines.set_field(row, open, "12.x4"),
        1 => lines.set_field(row, ts, "last monday"),
        2 => {
            let fields: Vec<Vec<u8>> =
                lines.row(row).split(|&byte| byte == b',').take(5).map(<[u8]>::to_vec).collect();
            lines.set(row, fields.join(&b','));
        }
        3 => lines.set_field(row, 0, "S0\0"),
        4 => lines.set_field(row, 0, b"S\xff1"),
        5 => lines.set_field(row, high, ""),
        6 => lines.set_field(row, volume, "99999999999"),
        7 => {
            // Half of them come right before, half of them far away.
            let twin = if nth.is_multiple_of(2) { row - 1 } else { nth + 1 };
            lines.set(row, lines.row(twin).to_vec());
        }
        8 => {
            lines.set_field(row, 0, "OLD");
            lines.set_field(row, ts, format!("2024-01-01T00:{nth:02}:00Z"));
        }
        _ => lines.set_field(row, ts, "1999-01-01T00:00:00Z"),
    }
    let rules = ["bad_number", "bad_time", "too_few_fields", "nul_byte", "invalid_utf8"];
    let more = ["null_value", "out_of_range", "duplicate_key", "duplicate_key", "no_partition"];
    [rules, more].concat()[kind]
}

#[test]
fn all_good_rows_are_loaded_and_exactly_the_others_rejected() {
    let rows = std::env::var("TIDEGATE_DIRTY_ROWS").ok().and_then(|rows| rows.parse().ok());
    let bars = Bars { rows: rows.unwrap_or(100_000), symbols: 50, seed: 5 };
    let db = TestDb::new("dirty");
    db.client().execute(TABLE);
    let clean = Lines::of(&bars);
    let mut lines = clean.clone();
    // Past what is looked at to recognise the file, and far enough apart.
    let (first, step) = (2_000, (lines.rows() - 2_000) / (10 * EACH));
    let mut expected = Vec::new();
    for nth in 0..10 * EACH {
        let row = first + nth * step + nth % 7;
        expected.push((row, spoil(&mut lines, row, nth % 10, nth / 10)));
    }
    let path = lines.write(db.home(), "dirty.csv");
    let load = Program::new(&db).args(["backfill", "--progress", "none", "--verify"]);
    let load = load.args(["--table", "public.bars", "--on-conflict", "reject"]).arg(&path);
    let outcome = load.report_json().run().expect_code(3);
    lines.expect_rejects(&db, &expected);
    let counts = ["read", "inserted", "duplicate", "rejected"].map(|name| outcome.total(name));
    let bad = (10 * EACH) as u64;
    assert_eq!(counts, [bars.rows, bars.rows - bad, 0, bad]);
    equations(&db);

    // All others, and nothing else: what a clean file without them gives.
    db.client().execute("CREATE TABLE calm (LIKE bars INCLUDING ALL)");
    let good = (0..lines.rows()).filter(|row| !expected.iter().any(|(bad, _)| bad == row));
    let good = clean.pick(good).write(db.home(), "good.csv");
    let into_calm = |path| {
        let load = Program::new(&db).args(["backfill", "--progress", "none"]);
        let _ = load.args(["--table", "public.calm"]).arg(path).run().expect_code(0);
    };
    into_calm(&good);
    except_all(&db, "SELECT * FROM bars WHERE symbol <> 'OLD'", "SELECT * FROM calm");

    // Each mended to what it was before it was spoiled.
    let export = db.home().join("rejects.csv");
    let words = ["rejects", "export", "--out"];
    let _ = Program::new(&db).args(words).arg(&export).run().expect_code(0);
    let mended = db.home().join("mended.csv");
    let mut reader = csv::Reader::from_path(&export).expect("an export");
    let mut writer = csv::Writer::from_path(&mended).expect("the home is writable");
    writer.write_byte_record(reader.byte_headers().expect("a header")).expect("a header");
    for record in reader.byte_records() {
        let record = record.expect("a record");
        let line = std::str::from_utf8(&record[2]).expect("a number");
        let row = line.parse::<usize>().expect("a line") - 2;
        let kept = record.iter().take(record.len() - 1);
        writer.write_record(kept.chain([clean.row(row)])).expect("a record");
    }
    writer.flush().expect("the home is writable");
    let _ = Program::new(&db).args(["rejects", "replay"]).arg(&mended).run().expect_code(0);
    let open = "SELECT count(*) FROM tidegate.reject WHERE resolved_at IS NULL";
    assert_eq!(db.client().query_one::<i64>(open), 0, "the reject list is empty");
    into_calm(&clean.write(db.home(), "clean.csv"));
    except_all(&db, "SELECT * FROM bars WHERE symbol <> 'OLD'", "SELECT * FROM calm");
}
