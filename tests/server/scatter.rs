//! Loads whose rows are sorted into the target's order before they are written, each compared with
//! the same sources loaded directly.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::support::{
    BARS, Bars, Lines, Outcome, TestDb, backfill, count, equations, except_all, file, file_entry,
    load, same_rows, totals,
};

/// Two days and a bit, so three partitions by day.
const THREE_DAYS: Bars = Bars { rows: 200_000, symbols: 60, seed: 5 };
const EXCHANGE: [&str; 2] = ["--strategy", "exchange"];
const DIRECT: [&str; 2] = ["--strategy", "direct"];

fn args(first: [&str; 2], rest: &[&str], paths: &[PathBuf]) -> Vec<OsString> {
    let words = first.iter().chain(rest).map(OsString::from);
    words.chain(paths.iter().map(|path| path.clone().into_os_string())).collect()
}

/// Loads the same sources scattered and directly, each into a database of its own, and compares
/// what is stored and what is counted.
fn both<'a>(
    name: &str,
    rest: &[&str],
    code: i32,
    write: impl Fn(&Path) -> Vec<PathBuf>,
) -> (TestDb<'a>, Outcome) {
    let (sorted, direct) = (TestDb::new(name), TestDb::new(&format!("{name} direct")));
    let scattered = load(&sorted, args(EXCHANGE, rest, &write(sorted.home())), code);
    let directly = load(&direct, args(DIRECT, rest, &write(direct.home())), code);
    same_rows(&sorted, &direct, BARS);
    // A record that was replaced before it was stored is a duplicate, not stored and updated.
    let fates = |outcome: &Outcome| {
        let [read, inserted, updated, duplicate, _, rejected, skipped] = totals(outcome);
        [read, inserted, updated + duplicate, rejected, skipped]
    };
    assert_eq!(fates(&scattered), fates(&directly));
    let rejects = "SELECT source, row_no, line_no, byte_offset, byte_len, rule, column_name, raw \
                   FROM (SELECT regexp_replace(source, '.*/', '') AS source, row_no, line_no, \
                   byte_offset, byte_len, rule, column_name, raw FROM tidegate.reject) r";
    same_rows(&sorted, &direct, rejects);
    equations(&sorted);
    (sorted, scattered)
}

fn strategy(outcome: &Outcome) -> &str {
    outcome.report()["strategy"].as_str().expect("a strategy")
}

const SCATTERED: &str = "SELECT count(*) FROM tidegate.load_set WHERE strategy = 'scatter'";
/// Routes that were written as a whole: partitions that were filled apart.
const EXCHANGED: &str = "SELECT count(*) FROM tidegate.portion p JOIN tidegate.route r \
     ON r.set_id = p.set_id AND r.window_no = p.window_no AND r.route = p.route";
const PARTS: &str = "SELECT count(*) FROM tidegate.portion WHERE route LIKE '%#%'";

#[test]
fn fresh_partitions_are_filled_apart_and_attached() {
    let write = |folder: &Path| vec![THREE_DAYS.write(folder, "bars.csv")];
    let (db, outcome) = both("exchange fresh", &[], 0, write);
    assert_eq!(strategy(&outcome), "exchange");
    let client = db.client();
    assert_eq!(client.query_one::<i64>(EXCHANGED), 3);
    assert_eq!(client.query_one::<i64>(PARTS), 0);
    // Every partition has its key, as a part of the parent's, and nothing else is left of the work.
    let whole = "SELECT count(*) FROM pg_inherits i \
                 JOIN pg_index x ON x.indrelid = i.inhrelid AND x.indisprimary AND x.indisvalid \
                 JOIN pg_inherits j ON j.inhrelid = x.indexrelid \
                     AND j.inhparent = 'market_data_pkey'::regclass \
                 WHERE i.inhparent = 'market_data'::regclass";
    assert_eq!(client.query_one::<i64>(whole), 3);
    let checks = "SELECT count(*) FROM pg_constraint WHERE conname LIKE '_tidegate%'";
    assert_eq!(client.query_one::<i64>(checks), 0);
    let analysed = "SELECT count(*) FROM pg_class WHERE relname LIKE 'market_data_p%' \
                    AND relkind = 'r' AND reltuples > 1000";
    assert_eq!(client.query_one::<i64>(analysed), 3);
    // Rows of a partition stand in the order of its key.
    let in_order = "SELECT count(*) FROM (SELECT (ticker_id, ts) < lag((ticker_id, ts)) OVER \
                    (ORDER BY tableoid, ctid) AND tableoid = lag(tableoid) OVER \
                    (ORDER BY tableoid, ctid) AS wrong FROM market_data) r WHERE wrong";
    assert_eq!(client.query_one::<i64>(in_order), 0);
    // Once more, and once more by force: nothing new.
    let path = db.home().join("bars.csv");
    let again = load(&db, args(EXCHANGE, &[], std::slice::from_ref(&path)), 0);
    assert_eq!(again.total("read"), 0);
    let forced = load(&db, args(EXCHANGE, &["--reload"], &[path]), 0);
    assert_eq!(forced.total("duplicate"), THREE_DAYS.rows);
    assert_eq!(count(&forced.report()["totals"], "conflicting"), 0);
    equations(&db);
}

/// Files by symbol, two of which hold some bars of another with other prices.
fn by_symbol(folder: &Path) -> Vec<PathBuf> {
    let bars = Bars { rows: 60_000, symbols: 6, seed: 8 };
    let lines = Lines::of(&bars);
    let other = Lines::of(&Bars { seed: 9, ..bars });
    (0..6_usize)
        .map(|symbol| {
            let mut picked = lines.pick((0..10_000).map(|minute| minute * 6 + symbol));
            if symbol == 4 {
                // Bars of symbol 1, the first half restated, the second half alike.
                for minute in 0..200 {
                    let at = minute * 6 + 1;
                    let line = if minute < 100 { other.row(at) } else { lines.row(at) };
                    picked.set(minute * 3, line.to_vec());
                }
            }
            picked.write(folder, &format!("s{symbol}.csv"))
        })
        .collect()
}

#[test]
fn many_files_share_partitions_and_the_first_or_last_bar_wins() {
    for policy in ["skip", "update"] {
        let (db, outcome) =
            both(&format!("sets {policy}"), &["--on-conflict", policy], 0, by_symbol);
        let entry = |name| file_entry(&outcome, name);
        // The bars of symbol 1 come first from its own file, then from that of symbol 4.
        let loser = if policy == "skip" { entry("s4.csv") } else { entry("s1.csv") };
        assert_eq!(count(loser, "duplicate"), 200, "{policy}: {loser}");
        assert_eq!(count(loser, "conflicting"), 100, "{policy}: {loser}");
        assert_eq!(count(entry("s3.csv"), "inserted"), 10_000);
        assert_eq!(db.client().query_one::<i64>(SCATTERED), 1, "one set for all files");
    }
}

#[test]
fn partitions_with_rows_are_filled_part_by_part() {
    let db = TestDb::new("exchange partly");
    let bars = Lines::of(&THREE_DAYS);
    let first = bars.pick(0..60_000).write(db.home(), "first.csv");
    let all = THREE_DAYS.write(db.home(), "all.csv");
    load(&db, args(DIRECT, &[], &[first]), 0);
    let outcome = load(&db, args(EXCHANGE, &[], &[all]), 0);
    assert_eq!((outcome.total("inserted"), outcome.total("duplicate")), (140_000, 60_000));
    assert!(db.client().query_one::<i64>(EXCHANGED) > 0 && db.client().query_one::<i64>(PARTS) > 0);
    equations(&db);
}

const OWN_TABLE: &str = "CREATE TABLE own (symbol text, \"interval\" text, ts timestamptz, \
     open double precision, high double precision, low double precision, close double precision, \
     volume double precision CONSTRAINT sane CHECK (volume <> 4242), \
     PRIMARY KEY (symbol, \"interval\", ts)); CREATE TABLE calm (LIKE own INCLUDING ALL)";

#[test]
fn a_keyed_table_is_filled_in_its_order_and_bad_rows_are_found() {
    let db = TestDb::new("scatter own");
    db.client().execute(OWN_TABLE);
    let mut lines = Lines::of(&Bars { rows: 150_000, symbols: 5, seed: 2 });
    for at in 0..30 {
        lines.set_field(at * 4_001 + 3, 7, "many");
        lines.set_field(at * 4_999 + 9, 7, "4242");
    }
    // A bar that the server refuses, and another bar with its key that it takes.
    let mut good = lines.row(4_999 + 9).to_vec();
    good.truncate(good.len() - 4);
    good.extend_from_slice(b"77");
    lines.set(140_000, good);
    let path = lines.write(db.home(), "bars.csv");
    let into = |table: &'static str, first| {
        load(&db, args(first, &["--table", table], std::slice::from_ref(&path)), 3)
    };
    let outcome = into("public.own", EXCHANGE);
    let calm = into("public.calm", DIRECT);
    assert_eq!(totals(&outcome), totals(&calm));
    assert_eq!(outcome.total("rejected"), 60);
    except_all(&db, "own", "calm");
    let rejects = |table: &str| {
        format!(
            "SELECT row_no, line_no, byte_offset, byte_len, rule, column_name, sqlstate, raw \
             FROM tidegate.reject WHERE load_id IN (SELECT l.id FROM tidegate.load l \
             JOIN tidegate.content c ON c.id = l.content_id WHERE c.target = 'public.{table}')"
        )
    };
    except_all(&db, &rejects("own"), &rejects("calm"));
    equations(&db);
}

/// What a table's keys and indexes are, for comparison.
const INDEXES: &str = "SELECT string_agg(pg_get_indexdef(i.indexrelid) || i.indisvalid \
     || coalesce(o.conname || pg_get_constraintdef(o.oid), ''), E'\n' \
     ORDER BY i.indexrelid::regclass::text) \
     FROM pg_index i LEFT JOIN pg_constraint o ON o.conindid = i.indexrelid \
     WHERE i.indrelid = 'own'::regclass";

#[test]
fn an_empty_table_is_filled_without_its_indexes() {
    let db = TestDb::new("scatter empty");
    let client = db.client();
    client.execute(OWN_TABLE);
    client.execute(
        "ALTER TABLE own ADD CONSTRAINT \"Twice: no\" UNIQUE (ts, symbol, \"interval\") \
             INCLUDE (close); \
         CREATE INDEX big ON own (volume DESC) WITH (fillfactor = 70) WHERE volume > 5000; \
         CREATE UNIQUE INDEX ON own (lower(symbol), \"interval\", ts)",
    );
    let before: String = client.query_one(INDEXES);
    let first = Bars { rows: 150_000, symbols: 5, seed: 2 }.write(db.home(), "first.csv");
    let into = |table: &'static str, strategy: &[&str], path: &PathBuf| {
        let words: Vec<&str> = [&["--table", table], strategy].concat();
        let words = words.iter().map(OsString::from).chain([path.clone().into_os_string()]);
        load(&db, words.collect::<Vec<_>>(), 0)
    };
    let outcome = into("public.own", &EXCHANGE, &first);
    assert!(outcome.stderr.contains("is filled without its indexes"), "{}", outcome.stderr);
    assert_eq!((strategy(&outcome), outcome.total("inserted")), ("exchange", 150_000));
    assert_eq!((client.query_one::<i64>(EXCHANGED), client.query_one::<i64>(PARTS)), (1, 0));
    assert_eq!(client.query_one::<String>(INDEXES), before);
    let touched = "SELECT p.from_ts = (SELECT min(ts) FROM own) AND p.to_ts = \
                   (SELECT max(ts) FROM own) FROM tidegate.portion p WHERE p.from_ts IS NOT NULL";
    assert!(client.query_one::<bool>(touched));
    // A table with rows keeps its indexes, and rows that it has are found.
    let second = Bars { rows: 160_000, symbols: 5, seed: 2 }.write(db.home(), "second.csv");
    let more = into("public.own", &EXCHANGE, &second);
    assert!(more.stderr.contains("loaded as it is: it is not empty"), "{}", more.stderr);
    assert_eq!((more.total("inserted"), more.total("duplicate")), (10_000, 150_000));
    assert!(client.query_one::<i64>(PARTS) > 0);
    into("public.calm", &DIRECT, &second);
    except_all(&db, "own", "calm");
    equations(&db);
}

#[test]
fn what_hangs_on_the_indexes_of_an_empty_table_keeps_them() {
    let cases = [
        (
            "foreign key",
            "CREATE TABLE child (symbol text, \"interval\" text, ts timestamptz, \
             FOREIGN KEY (symbol, \"interval\", ts) REFERENCES own)",
            "foreign keys",
        ),
        ("comment", "COMMENT ON INDEX own_pkey IS 'ours'", "more than a definition"),
        ("cluster", "ALTER TABLE own CLUSTER ON own_pkey", "more than a definition"),
        ("replica", "ALTER TABLE own REPLICA IDENTITY USING INDEX own_pkey", "replica identity"),
        (
            "trigger",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; \
             END'; CREATE TRIGGER t AFTER INSERT ON own EXECUTE FUNCTION f()",
            "triggers",
        ),
        // Only the server knows; it says so when the key is to be dropped.
        (
            "view",
            "CREATE VIEW v AS SELECT symbol, ts, close FROM own \
             GROUP BY symbol, \"interval\", ts",
            "",
        ),
    ];
    for (name, sql, why) in cases {
        let db = TestDb::new(&format!("keeps {name}"));
        let client = db.client();
        client.execute(OWN_TABLE);
        client.execute(sql);
        let before: i64 = client.query_one("SELECT 'own_pkey'::regclass::oid::bigint");
        let path = Bars { rows: 2_000, symbols: 5, seed: 2 }.write(db.home(), "bars.csv");
        let outcome = load(&db, args(EXCHANGE, &["--table", "public.own"], &[path]), 0);
        assert!(outcome.stderr.contains(why), "{name}: {}", outcome.stderr);
        assert_eq!(outcome.total("inserted"), 2_000, "{name}");
        assert_eq!(client.query_one::<i64>(EXCHANGED), 0, "{name}");
        let after: i64 = client.query_one("SELECT 'own_pkey'::regclass::oid::bigint");
        assert_eq!(after, before, "{name}: the key was made again");
        equations(&db);
    }
}

#[test]
fn windows_end_where_the_disk_that_sorting_may_use_does() {
    let write = |folder: &Path| vec![THREE_DAYS.write(folder, "bars.csv")];
    let (db, _) = both("windows", &["--memory", "32MiB", "--spill-max", "4MiB"], 0, write);
    let windows = "SELECT count(*) FROM tidegate.portion WHERE route = '*' AND set_id IN \
                   (SELECT id FROM tidegate.load_set WHERE strategy = 'scatter')";
    assert!(db.client().query_one::<i64>(windows) > 2);
}

#[test]
fn what_cannot_be_exchanged_is_said_and_loaded_all_the_same() {
    let db = TestDb::new("no exchange");
    db.client().execute(
        "CREATE TABLE plain (symbol text, \"interval\" text, ts timestamptz, \
        close double precision)",
    );
    let path = Bars { rows: 500, symbols: 5, seed: 2 }.write(db.home(), "bars.csv");
    let outcome = load(&db, args(EXCHANGE, &["--table", "public.plain"], &[path]), 0);
    assert_eq!((outcome.total("inserted"), strategy(&outcome)), (500, "direct"));
    let why = "loaded directly, not by exchange: the table has no key to sort by";
    assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
}

#[test]
fn a_load_that_is_killed_goes_on_where_the_ledger_says() {
    let calm = TestDb::new("scatter killed calm");
    let path = THREE_DAYS.write(calm.home(), "bars.csv");
    load(&calm, args(DIRECT, &[], &[path]), 0);
    for round in 0..if std::env::var_os("TIDEGATE_FAULTS").is_some() { 12 } else { 3 } {
        let db = TestDb::new("scatter killed");
        let path = THREE_DAYS.write(db.home(), "bars.csv");
        let rest = ["--memory", "32MiB", "--spill-max", "6MiB", "--max-rows-per-sec", "250000"];
        let program = || backfill(&db, args(EXCHANGE, &rest, std::slice::from_ref(&path)));
        let mut kills = 0;
        let portions = || {
            let there = "SELECT to_regclass('tidegate.portion') IS NOT NULL";
            match db.client().query_one::<bool>(there) {
                true => db.client().query_one::<i64>("SELECT count(*) FROM tidegate.portion"),
                false => 0,
            }
        };
        loop {
            let mut running = program().spawn();
            // Killed once so many portions are committed: at another place each time.
            while running.is_running() && portions() < kills * 2 + 1 + round % 2 {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            if kills < 3 {
                running.signal(Signal::KILL);
            }
            let outcome = running.wait();
            if outcome.signal.is_none() {
                let _ = outcome.expect_code(0);
                break;
            }
            kills += 1;
        }
        assert!(kills > 1, "the program was killed amid its work");
        same_rows(&db, &calm, BARS);
        equations(&db);
        let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'market_data_p%' \
                    AND relkind = 'r' AND NOT relispartition";
        assert_eq!(db.client().query_one::<i64>(left), 0, "tables apart are gone");
        let again = load(&db, args(EXCHANGE, &[], &[path]), 0);
        assert_eq!(again.total("read"), 0);
    }
}

#[test]
fn two_processes_share_a_scattered_list() {
    let db = TestDb::new("scatter two");
    let path = THREE_DAYS.write(db.home(), "bars.csv");
    let program = || backfill(&db, args(EXCHANGE, &[], std::slice::from_ref(&path)));
    // The second finds the schema there.
    load(&db, args(DIRECT, &[], &[file(&db, "one.csv", Bars { rows: 1, ..THREE_DAYS }.csv())]), 0);
    let running = [program().spawn(), program().spawn()];
    let outcomes = running.map(|running| running.wait().expect_code(0));
    let read: u64 = outcomes.iter().map(|outcome| outcome.total("read")).sum();
    assert_eq!(read, THREE_DAYS.rows, "each record was read for good by one of them");
    equations(&db);
    assert_eq!(
        db.client().query_one::<i64>("SELECT count(*) FROM market_data"),
        THREE_DAYS.rows as i64
    );
}

#[test]
fn a_set_is_resumed_as_a_whole() {
    let db = TestDb::new("scatter torn");
    let paths = by_symbol(db.home());
    let mut running =
        backfill(&db, args(EXCHANGE, &["--max-rows-per-sec", "20000", "--writers", "1"], &paths))
            .spawn();
    let routes = "SELECT count(*) FROM tidegate.portion WHERE route <> '*'";
    let there = "SELECT to_regclass('tidegate.route') IS NOT NULL";
    while running.is_running()
        && !(db.client().query_one::<bool>(there) && db.client().query_one::<i64>(routes) > 0)
    {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
    let some = backfill(&db, args(EXCHANGE, &[], &paths[..3])).run().expect_code(1);
    assert!(some.stderr.contains("it was begun together with"), "{}", some.stderr);
    load(&db, args(EXCHANGE, &[], &paths), 0);
    equations(&db);
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM market_data"), 59_800);
}
