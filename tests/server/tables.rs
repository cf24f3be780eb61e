//! Tables of the user's own: types by the catalogue, columns by their names, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use crate::support::{Outcome, Program, TestDb, backfill, closes, file, load, totals};

const HEADER: &str = "symbol,interval,ts,open,high,low,close,volume";

/// Loads these lines under [`HEADER`] into the table `bars` that `ddl` makes.
fn load_into(db: &TestDb<'_>, ddl: &str, lines: &[&str], code: i32) -> Outcome {
    db.client().execute(ddl);
    let path = file(db, "bars.csv", format!("{HEADER}\n{}\n", lines.join("\n")));
    load(db, [path.to_str().unwrap(), "--table", "bars"], code)
}

fn texts(db: &TestDb<'_>, sql: &str) -> Vec<Vec<String>> {
    let text = |row: Vec<Option<String>>| row.into_iter().map(|v| v.unwrap_or("NULL".to_owned()));
    db.client().rows(sql).into_iter().map(|row| text(row).collect()).collect()
}

#[test]
fn numeric_columns_keep_every_digit() {
    let db = TestDb::new("numeric");
    let ended = load_into(
        &db,
        "CREATE TABLE bars (symbol text, interval text, ts timestamptz, open numeric, \
         high numeric, low numeric, close numeric(38, 18), volume numeric, \
         PRIMARY KEY (symbol, interval, ts))",
        &[
            "A,1m,2024-01-01T00:00:00Z,0.1,123456789012345678901234567890.5,0.000000000000000001,\
             1.5,1e3",
            "A,1m,2024-01-01T00:01:00Z,1.10,9e19,-0.50,12345678901234567890.123456789012345678,0",
        ],
        0,
    );
    assert_eq!(ended.total("inserted"), 2);
    let rows = texts(&db, "SELECT open, high, low, close, volume FROM bars ORDER BY ts");
    assert_eq!(
        rows[0],
        [
            "0.1",
            "123456789012345678901234567890.5",
            "0.000000000000000001",
            "1.500000000000000000",
            "1000"
        ]
    );
    assert_eq!(
        rows[1],
        ["1.10", "90000000000000000000", "-0.50", "12345678901234567890.123456789012345678", "0"]
    );
}

#[test]
fn a_digit_that_does_not_fit_is_a_reject_and_never_rounded() {
    let db = TestDb::new("precision");
    let bad = "A,1m,2024-01-01T00:01:00Z,1,1,1,1.1234567,1";
    let ended = load_into(
        &db,
        "CREATE TABLE bars (symbol text, interval text, ts timestamptz, close numeric(18, 6), \
         PRIMARY KEY (symbol, interval, ts))",
        &[
            "A,1m,2024-01-01T00:00:00Z,1,1,1,1.123456,1",
            bad,
            "A,1m,2024-01-01T00:02:00Z,1,1,1,1.1234560000,1",
            "A,1m,2024-01-01T00:03:00Z,1,1,1,1234567890123,1",
        ],
        3,
    );
    assert_eq!(totals(&ended), [4, 2, 0, 0, 0, 2, 0]);
    let rejects = texts(
        &db,
        "SELECT rule, column_name, line_no, trim(E'\\n' FROM convert_from(raw, 'UTF8')) \
         FROM tidegate.reject ORDER BY line_no",
    );
    assert_eq!(rejects[0], ["precision_loss", "close", "3", bad]);
    assert_eq!(rejects[1][..3], ["out_of_range", "close", "5"]);
    let stored = texts(&db, "SELECT close FROM bars ORDER BY ts");
    assert_eq!(stored, [["1.123456"], ["1.123456"]]);
}

#[test]
fn short_text_whole_numbers_and_dates_are_held_to_their_types() {
    let db = TestDb::new("types");
    let ended = load_into(
        &db,
        "CREATE TABLE bars (symbol varchar(4), interval char(2), date date, close real, \
         volume integer, PRIMARY KEY (symbol, date))",
        &[
            "ABCD,1d,2024-01-01T00:00:00Z,1,1,1,1.5,2147483647",
            "ABCDE,1d,2024-01-02T00:00:00Z,1,1,1,1.5,1",
            "ÄÖÜß,1d,2024-01-03T00:00:00Z,1,1,1,1.5,1",
            "ABCD,1d,2024-01-04T00:00:00Z,1,1,1,1.5,2147483648",
            "ABCD,1d,2024-01-05T00:00:00Z,1,1,1,1.5,1.5",
            "ABCD,1d,2024-01-06T00:00:00Z,1,1,1,1.5,7.0",
        ],
        3,
    );
    assert_eq!(ended.total("read"), 6);
    let rejects =
        texts(&db, "SELECT line_no, column_name, rule FROM tidegate.reject ORDER BY line_no");
    assert_eq!(rejects[0], ["3", "symbol", "too_long"]);
    assert_eq!(rejects[1], ["5", "volume", "out_of_range"]);
    assert_eq!(rejects[2][..2], ["6", "volume"]);
    let stored = texts(&db, "SELECT date, volume FROM bars ORDER BY date");
    assert_eq!(stored[0], ["2024-01-01", "2147483647"]);
    assert_eq!(stored[1], ["2024-01-03", "1"], "four characters, not bytes");
    assert_eq!(stored.len() + rejects.len(), 6);
}

#[test]
fn a_timestamp_without_zone_holds_utc() {
    let db = TestDb::new("timestamp");
    load_into(
        &db,
        "CREATE TABLE bars (symbol text, ts timestamp, close float8, PRIMARY KEY (symbol, ts))",
        &["A,1m,2024-01-01T02:00:00+02:00,1,1,1,1,1"],
        0,
    );
    assert_eq!(texts(&db, "SELECT ts FROM bars"), [["2024-01-01 00:00:00"]]);
}

#[test]
fn other_columns_are_matched_by_the_files_header() {
    let db = TestDb::new("others");
    db.client().execute(
        "CREATE TABLE bars (symbol text, interval text, \"Sector\" text, ts timestamptz, \
         close numeric, shares bigint, listed date, active boolean, note text DEFAULT 'none', \
         PRIMARY KEY (symbol, interval, ts))",
    );
    let text = "active,listed,symbol,interval,ts,open,high,low,close,SECTOR,shares,unknown\n\
                true,2001-02-03,A,1m,2024-01-01T00:00:00Z,1,1,1,1.50,energy,9007199254740993,x\n\
                false,,B,1m,2024-01-01T00:00:00Z,1,1,1,2,\"a, b\",,y\n";
    let path = file(&db, "bars.csv", text);
    let args = [path.to_str().unwrap(), "--table", "bars"];
    let planned = Program::new(&db).arg("plan").args(args).run().expect_code(0);
    assert!(planned.stderr.contains("unknown"), "what is not stored is said: {}", planned.stderr);
    load(&db, args, 0);
    let rows = texts(
        &db,
        "SELECT symbol, \"Sector\", close, shares, listed, active, note FROM bars ORDER BY symbol",
    );
    assert_eq!(
        rows,
        [
            ["A", "energy", "1.50", "9007199254740993", "2001-02-03", "t", "none"],
            ["B", "a, b", "2", "NULL", "NULL", "f", "none"],
        ]
    );
}

/// A load of one good bar that is refused as a whole, with these words, and leaves nothing.
fn refused(ddl: &str, table: &str, words: &[&str]) {
    let db = TestDb::new("refused");
    db.client().execute(ddl);
    let path = file(&db, "bars.csv", closes(&[(0, "1")]));
    let ended = backfill(&db, [path.to_str().unwrap(), "--table", table]).run().expect_code(1);
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    let counts = "SELECT count(*) FROM pg_class WHERE relname = 'bars' AND reltuples > 0";
    assert_eq!(db.client().query_one::<i64>(counts), 0);
}

#[test]
fn tables_that_cannot_be_filled_are_refused() {
    let with =
        |more: &str| format!("CREATE TABLE bars (symbol text, ts timestamptz, close float8{more})");
    refused(&with(", exchange text NOT NULL"), "bars", &["exchange", "--symbol"]);
    refused(&with("").replace("TABLE", "UNLOGGED TABLE"), "bars", &["unlogged"]);
    refused(&with(", volume point"), "bars", &["volume", "point"]);
    refused(&with(""), "nowhere.bars", &["nowhere.bars"]);
    refused(&with(""), "bar", &["there is no table bar"]);
    refused(
        "CREATE VIEW bars AS SELECT 'a' AS symbol, now() AS ts, 1.0 AS close",
        "bars",
        &["bars"],
    );
}

#[test]
fn generated_columns_are_left_to_the_server() {
    let db = TestDb::new("generated");
    load_into(
        &db,
        "CREATE TABLE bars (id bigint GENERATED ALWAYS AS IDENTITY, symbol text, ts timestamptz, \
         high numeric, low numeric, close numeric, \
         volume numeric GENERATED ALWAYS AS (high - low) STORED, \
         loaded timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (symbol, ts))",
        &["A,1m,2024-01-01T00:00:00Z,1,3,1.5,2,77", "B,1m,2024-01-01T00:00:00Z,1,3,1,2,77"],
        0,
    );
    let rows = texts(&db, "SELECT id, volume, loaded IS NOT NULL FROM bars ORDER BY symbol");
    assert_eq!(rows.iter().map(|row| &row[1..]).collect::<Vec<_>>(), [["1.5", "t"], ["2", "t"]]);
}

#[test]
fn hostile_names_are_only_names() {
    let db = TestDb::new("hostile");
    db.client().execute(
        r#"CREATE SCHEMA "my; schema"; CREATE TABLE victim (x int);
           CREATE TABLE "my; schema"."b""; DROP TABLE victim; --" ("Symbol" text, "TS" timestamptz,
               "CLOSE" numeric, "x""; DROP TABLE victim; --" text, "select" text,
               PRIMARY KEY ("Symbol", "TS"))"#,
    );
    let text = "symbol,interval,ts,open,high,low,close,select,\"x\"\"; DROP TABLE victim; --\"\n\
                \"'; DROP TABLE victim; --\",1m,2024-01-01T00:00:00Z,1,1,1,1,\\.,$$\n";
    let path = file(&db, "bars.csv", text);
    let table = r#""my; schema"."b""; DROP TABLE victim; --""#;
    let args = [path.to_str().unwrap(), "--table", table];
    load(&db, args, 0);
    let rows = texts(&db, &format!("SELECT * FROM {table}"));
    assert_eq!(rows, [["'; DROP TABLE victim; --", "2024-01-01 00:00:00+00", "1", "$$", "\\."]]);
    // Staged and merged, the names are the same.
    for policy in ["skip", "update"] {
        let text = text.replace(",1,\\.", if policy == "skip" { ",2,\\." } else { ",3,\\." });
        let path = file(&db, &format!("{policy}.csv"), text);
        let args = [path.to_str().unwrap(), "--table", table, "--on-conflict", policy];
        load(&db, args, 0);
    }
    assert_eq!(texts(&db, &format!("SELECT \"CLOSE\" FROM {table}")), [["3"]]);
    assert_eq!(texts(&db, "SELECT count(*) FROM victim"), [["0"]]);
    for name in ["a.b.c", "\"open", "1x", "bars; DROP TABLE victim", ""] {
        let ended = backfill(&db, [args[0], "--table", name]).run().expect_code(1);
        assert!(ended.stderr.contains("is not a table name"), "{name}: {}", ended.stderr);
    }
    assert_eq!(texts(&db, "SELECT count(*) FROM victim"), [["0"]]);
}

#[test]
fn row_security_is_kept_and_loaded_through() {
    let db = TestDb::new("row security");
    db.client().execute(
        "CREATE ROLE careful LOGIN; \
         CREATE TABLE bars (symbol text, ts timestamptz, close numeric, PRIMARY KEY (symbol, ts)); \
         ALTER TABLE bars ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY mine ON bars TO careful USING (true) WITH CHECK (symbol <> 'SECRET'); \
         GRANT SELECT, INSERT, UPDATE ON bars TO careful",
    );
    let grant = "DO $$ BEGIN EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO careful', \
                 current_database()); END $$";
    db.client().execute(grant);
    let text = format!(
        "{HEADER}\nA,1m,2024-01-01T00:00:00Z,1,1,1,1,1\nSECRET,1m,2024-01-01T00:00:00Z,1,1,1,2,1\n\
         B,1m,2024-01-01T00:00:00Z,1,1,1,3,1\n"
    );
    let path = file(&db, "bars.csv", text);
    let url = db.url().replace("postgres@", "careful@");
    let run = || {
        let args = [path.to_str().unwrap(), "--table", "bars"];
        backfill(&db, args).env("DATABASE_URL", url.as_str()).run()
    };
    // A policy's refusal is a missing right, on which a load stops.
    let ended = run().expect_code(1);
    assert!(ended.stderr.contains("row-level security"), "{}", ended.stderr);
    let client = db.client();
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM bars"), 0);
    client.execute("ALTER POLICY mine ON bars WITH CHECK (true)");
    let ended = run().expect_code(0);
    assert_eq!(ended.total("inserted"), 3);
    assert_eq!(ended.report()["strategy"], "stage");
    client.execute("DROP OWNED BY careful");
    client.execute("DROP ROLE careful");
}

#[test]
fn a_users_partitions_are_the_users_business() {
    let db = TestDb::new("partitions");
    let ended = load_into(
        &db,
        "CREATE TABLE bars (symbol text, ts timestamptz, close numeric, PRIMARY KEY (symbol, ts)) \
         PARTITION BY RANGE (ts); \
         CREATE TABLE bars_2024 PARTITION OF bars FOR VALUES FROM ('2024-01-01 00:00+00') \
         TO ('2025-01-01 00:00+00')",
        &[
            "A,1m,2023-12-31T23:59:59Z,1,1,1,1,1",
            "A,1m,2024-01-01T00:00:00Z,1,1,1,2,1",
            "A,1m,2024-12-31T23:59:59Z,1,1,1,3,1",
            "A,1m,2025-01-01T00:00:00Z,1,1,1,4,1",
        ],
        3,
    );
    assert_eq!(totals(&ended), [4, 2, 0, 0, 0, 2, 0]);
    let rejects = texts(&db, "SELECT line_no, rule, sqlstate, column_name FROM tidegate.reject");
    assert_eq!(
        rejects,
        [["2", "no_partition", "23514", "ts"], ["5", "no_partition", "23514", "ts"]]
    );
    let parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'bars'::regclass";
    assert_eq!(db.client().query_one::<i64>(parts), 1, "no partition is made in a user's table");
}

#[test]
fn partitions_by_list_refuse_what_they_do_not_take() {
    let db = TestDb::new("list");
    let ended = load_into(
        &db,
        "CREATE TABLE bars (symbol text, ts timestamptz, close numeric, PRIMARY KEY (symbol, ts)) \
         PARTITION BY LIST (symbol); \
         CREATE TABLE bars_a PARTITION OF bars FOR VALUES IN ('A', 'B')",
        &["A,1m,2024-01-01T00:00:00Z,1,1,1,2,1", "C,1m,2024-01-01T00:00:00Z,1,1,1,3,1"],
        3,
    );
    assert_eq!(totals(&ended), [2, 1, 0, 0, 0, 1, 0]);
    let rejects = texts(&db, "SELECT line_no, rule, sqlstate FROM tidegate.reject");
    assert_eq!(rejects, [["3", "no_partition", "23514"]]);
}

#[test]
fn constraints_of_the_users_name_the_reject() {
    let db = TestDb::new("constraints");
    let ended = load_into(
        &db,
        "CREATE TABLE venue (symbol text PRIMARY KEY); INSERT INTO venue VALUES ('A'), ('B'); \
         CREATE TABLE bars (symbol text REFERENCES venue, ts timestamptz, \
         close numeric CONSTRAINT positive CHECK (close > 0), PRIMARY KEY (symbol, ts))",
        &[
            "A,1m,2024-01-01T00:00:00Z,1,1,1,2,1",
            "A,1m,2024-01-01T00:01:00Z,1,1,1,-2,1",
            "C,1m,2024-01-01T00:02:00Z,1,1,1,2,1",
            "B,1m,2024-01-01T00:03:00Z,1,1,1,2,1",
        ],
        3,
    );
    assert_eq!(totals(&ended), [4, 2, 0, 0, 0, 2, 0]);
    let rejects =
        texts(&db, "SELECT line_no, rule, sqlstate FROM tidegate.reject ORDER BY line_no");
    assert_eq!(rejects[0], ["3", "check:positive", "23514"]);
    assert_eq!(rejects[1], ["4", "foreign_key:bars_symbol_fkey", "23503"]);
}

#[test]
fn ticker_ids_are_resolved_where_a_table_asks_for_them() {
    let db = TestDb::new("ids");
    let _ = Program::new(&db).args(["migrate", "up"]).run().expect_code(0);
    let ended = load_into(
        &db,
        "CREATE TABLE bars (ticker_id integer NOT NULL REFERENCES tickers (id), \
         ts timestamptz, close numeric, PRIMARY KEY (ticker_id, ts))",
        &["A,1m,2024-01-01T00:00:00Z,1,1,1,2,1", "B,1m,2024-01-01T00:00:00Z,1,1,1,3,1"],
        0,
    );
    assert_eq!(ended.total("inserted"), 2);
    let sql =
        "SELECT t.symbol, b.close FROM bars b JOIN tickers t ON t.id = b.ticker_id ORDER BY 1";
    assert_eq!(texts(&db, sql), [["A", "2"], ["B", "3"]]);
}

#[test]
fn a_table_that_asks_for_ticker_ids_needs_tickers() {
    let db = TestDb::new("no tickers");
    db.client().execute("CREATE TABLE bars (ticker_id integer, ts timestamptz, close numeric)");
    let path = file(&db, "bars.csv", closes(&[(0, "1")]));
    let ended = backfill(&db, [path.to_str().unwrap(), "--table", "bars"]).run().expect_code(1);
    assert!(ended.stderr.contains("tickers"), "{}", ended.stderr);
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM bars"), 0);
}

#[test]
fn triggers_that_swallow_rows_are_not_counted_as_loaded() {
    let db = TestDb::new("trigger");
    db.client().execute(
        "CREATE TABLE bars (symbol text, ts timestamptz, close numeric, PRIMARY KEY (symbol, ts)); \
         CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.symbol = 'B' THEN RETURN NULL; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER swallow BEFORE INSERT ON bars FOR EACH ROW EXECUTE FUNCTION swallow()",
    );
    let text = format!(
        "{HEADER}\nA,1m,2024-01-01T00:00:00Z,1,1,1,1,1\nB,1m,2024-01-01T00:00:00Z,1,1,1,2,1\n"
    );
    let path = file(&db, "bars.csv", text);
    let ended = load(&db, [path.to_str().unwrap(), "--table", "bars"], 1);
    assert!(ended.stderr.contains("trigger"), "{}", ended.stderr);
    assert_eq!(totals(&ended), [0; 7]);
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM bars"), 0);
}
