//! `verify data`: what tables hold against the ledger, and every record of files against its row.
//! Each damage is done behind the program's back and must be named.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Bars, Program, TestDb, closes, file, load};

/// Runs `verify data` and gives its findings as (level, check, found), without those that are well.
fn verify(db: &TestDb<'_>, paths: &[&Path], code: i32) -> Vec<(String, String, String)> {
    let program = Program::new(db).args(["verify", "data", "--json"]);
    let program = program.args(paths.iter().map(|path| path.as_os_str().to_owned()));
    let outcome = program.run().expect_code(code);
    let answer: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let all = answer["checks"].as_array().unwrap();
    let all = all.iter().map(|c| (text(c, "level"), text(c, "check"), text(c, "found")));
    all.filter(|(level, ..)| level != "ok").collect()
}

fn well(db: &TestDb<'_>, paths: &[&Path]) {
    assert_eq!(verify(db, paths, 0), []);
}

/// The one fault that is found must say all of `words`.
fn named(db: &TestDb<'_>, paths: &[&Path], words: &[&str]) {
    let found = verify(db, paths, 1);
    let faults: Vec<_> = found.iter().filter(|(level, ..)| level == "fault").collect();
    assert_eq!(faults.len(), 1, "{found:#?}");
    for word in words {
        assert!(faults[0].2.contains(word), "{word} in {found:#?}");
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// 6,000 bars of two days.
fn two_days(db: &TestDb<'_>) -> PathBuf {
    Bars { rows: 6_000, symbols: 3, seed: 1 }.write(db.home(), "bars.csv")
}

/// 2,000 good bars, which is more than recognition looks at, one without a price, and `more`.
fn with_bad(db: &TestDb<'_>, name: &str, more: &str) -> PathBuf {
    let mut text = Bars { rows: 2_000, symbols: 1, seed: 1 }.csv();
    text.push_str("S000,1m,2024-02-01T00:00:00Z,x,x,x,x,1\n");
    text.push_str(more);
    file(db, name, text)
}

#[test]
fn what_every_fixture_became_is_found_again() {
    let db = TestDb::new("verify_data_fixtures");
    let mut all: Vec<PathBuf> = ["datasets", "killmails", "bars", "records", "vendors"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(fixture(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|e| e != "json"))
        .collect();
    all.sort();
    // Whatever each ends with: what the ledger says it became is compared.
    for path in &all {
        let program = Program::new(&db).args(["backfill", "--progress", "none"]).arg(path);
        let _ = program.args(["--symbol", "ACME", "--interval", "1m"]).run();
    }
    let paths: Vec<&Path> = all.iter().map(PathBuf::as_path).collect();
    let loaded: i64 = db.client().query_one("SELECT count(*) FROM tidegate.load");
    assert!(loaded > 40, "{loaded}");
    let found = verify(&db, &paths, 1);
    let faults: Vec<_> = found.iter().filter(|(level, ..)| level == "fault").collect();
    assert!(faults.iter().all(|(_, check, _)| check == "file"), "{faults:#?}");
}

#[test]
fn rows_that_went_or_came_are_named_by_table_and_partition() {
    let db = TestDb::new("verify_data_rows");
    let path = two_days(&db);
    let _ = load(&db, [&path], 0);
    well(&db, &[]);
    well(&db, &[&path]);
    let client = db.client();
    client.execute("DELETE FROM market_data WHERE ts = '2024-01-01 10:00+00'");
    named(&db, &[], &["public.market_data", "3 less", "bars.csv"]);
    let found = verify(&db, &[&path], 1);
    let content = found.iter().find(|(_, check, _)| check == "content").unwrap();
    assert!(content.2.contains("3 records not in public.market_data: row 1801 (line 1802)"));
    assert!(content.2.contains("interval 1m, ts 2024-01-01T10:00:00"), "{content:?}");
    // Loaded again, they are there, and that they are twice in the ledger is no loss.
    let _ = load(&db, [path.as_os_str().to_owned(), "--reload".into()], 0);
    well(&db, &[&path]);
    client.execute(
        "INSERT INTO market_data (ticker_id, interval, ts, close) \
         SELECT 1, '1m', '2024-01-01 00:00:01+00', 1",
    );
    // One more than the ledger knows; three are in it twice.
    let one_more = verify(&db, &[], 0);
    assert_eq!(one_more, [], "two of three lost rows were reloaded");
    client.execute("TRUNCATE market_data");
    named(&db, &[], &["public.market_data is empty: it was truncated"]);
    client.execute("DROP TABLE market_data");
    named(&db, &[], &["public.market_data is gone", "6,003 rows"]);
}

#[test]
fn a_partition_that_was_dropped_is_a_loss_unless_it_is_recorded() {
    let db = TestDb::new("verify_data_partitions");
    let path = two_days(&db);
    let client = db.client();
    let _ = Program::new(&db).args(["migrate", "up", "--tables"]).run().expect_code(0);
    client.execute(
        "SELECT tidegate.make_partitions('market_data', 'day', '2024-01-01+00', '2024-01-03+00')",
    );
    let args = [path.as_os_str().to_owned(), "--strategy".into(), "exchange".into()];
    let _ = load(&db, args, 0);
    well(&db, &[&path]);
    client.execute(
        "INSERT INTO market_data (ticker_id, interval, ts, close) \
         VALUES (1, '1m', '2024-01-02 20:00+00', 1)",
    );
    named(&db, &[], &["market_data_p2024_01_02", "1 more than the ledger's"]);
    client.execute("DELETE FROM market_data WHERE ts = '2024-01-02 20:00+00'");
    well(&db, &[]);
    client.execute("SELECT tidegate.drop_partitions('market_data', '2024-01-02+00')");
    well(&db, &[&path]);
    client.execute("DROP TABLE market_data_p2024_01_02");
    named(&db, &[], &["public.market_data", "less than the ledger's"]);
}

#[test]
fn a_changed_value_is_named_and_a_restated_one_is_not() {
    let db = TestDb::new("verify_data_values");
    let first = file(&db, "first.csv", closes(&[(0, "1"), (1, "2"), (2, "3")]));
    let second = file(&db, "second.csv", closes(&[(1, "2"), (2, "4"), (3, "5"), (3, "6")]));
    let third = file(&db, "third.csv", closes(&[(0, "7"), (9, "9")]));
    let _ = load(&db, [&first], 0);
    let _ = load(&db, [&second], 0);
    let update =
        |path: &Path| [path.as_os_str().to_owned(), "--on-conflict".into(), "update".into()];
    let _ = load(&db, update(&third), 0);
    well(&db, &[&first, &second, &third]);
    // One file alone cannot tell: the ledger has others that may have written there.
    let alone = verify(&db, &[&first], 0);
    assert!(
        alone.iter().any(|(level, _, found)| level == "warning" && found.contains("third.csv"))
    );
    let client = db.client();
    // What the loser said is as wrong as anything else.
    client.execute("UPDATE market_data SET close = 4 WHERE close = 3");
    let words = ["first.csv: 1 record in public.market_data with other values", "row 3 (line 4)"];
    named(&db, &[&first, &second, &third], &words);
    client.execute("UPDATE market_data SET close = 3 WHERE close = 4");
    client.execute("UPDATE market_data SET close = 7.5 WHERE close = 7");
    let words = ["third.csv", "close is 7 in the file, 7.5 in the table"];
    named(&db, &[&first, &second, &third], &words);
    client.execute("UPDATE market_data SET close = 7 WHERE close = 7.5");
    well(&db, &[&first, &second, &third]);
}

#[test]
fn killmails_are_compared_with_all_their_rows() {
    let db = TestDb::new("verify_data_killmails");
    let esi = fixture("killmails/esi.ndjson");
    let everef = fixture("killmails/everef.ndjson");
    let archive = fixture("killmails/killmails-2020-02-02.tar.bz2");
    for path in [&esi, &everef, &archive] {
        let _ = Program::new(&db).args(["backfill", "--progress", "none"]).arg(path).run();
    }
    let all = [esi.as_path(), everef.as_path(), archive.as_path()];
    well(&db, &all);
    let client = db.client();
    client.execute(
        "UPDATE participants SET damage = damage + 1 WHERE killmail_id = \
                    (SELECT min(killmail_id) FROM killmails_raw) AND seq = 1",
    );
    named(&db, &all, &["rows of other tables that belong to it"]);
    client.execute(
        "UPDATE participants SET damage = damage - 1 WHERE killmail_id = \
                    (SELECT min(killmail_id) FROM killmails_raw) AND seq = 1",
    );
    well(&db, &all);
    client.execute(
        "DELETE FROM killmails_raw WHERE killmail_id = \
                    (SELECT min(killmail_id) FROM killmails_raw)",
    );
    let found = verify(&db, &[], 1);
    let orphans = |words: &str| {
        found.iter().any(|(_, check, found)| check == "orphans" && found.contains(words))
    };
    assert!(orphans("public.participants belong to 1 record"), "{found:#?}");
    client.execute(
        "DELETE FROM participants WHERE killmail_id = \
                    (SELECT max(killmail_id) FROM killmails_raw)",
    );
    let found = verify(&db, &[], 1);
    let without = "1 killmail without all of their participants";
    assert!(found.iter().any(|(_, _, found)| found.contains(without)), "{found:#?}");
}

#[test]
fn the_ledger_is_proved_again_from_its_rows() {
    let db = TestDb::new("verify_data_ledger");
    let path = with_bad(&db, "bars.csv", "ACME,1m,never,1,1,1,1,1\n");
    let _ = load(&db, [&path], 3);
    let client = db.client();
    let open = verify(&db, &[&path], 0);
    assert!(open.iter().all(|(level, check, _)| level == "warning" && check == "open rejects"));
    assert_eq!(open.len(), 2, "{open:?}");
    client.execute(
        "CREATE TABLE kept AS TABLE tidegate.reject; \
                    DELETE FROM tidegate.reject WHERE rule = 'bad_time'",
    );
    named(&db, &[], &["bars.csv", "2 records were rejected, 1 rejects are recorded"]);
    client.execute(
        "TRUNCATE tidegate.reject; \
                    INSERT INTO tidegate.reject OVERRIDING SYSTEM VALUE TABLE kept",
    );
    client.execute("UPDATE tidegate.portion SET duplicate = '{1}'");
    named(&db, &[], &["a portion's records do not add up"]);
    client.execute("UPDATE tidegate.portion SET duplicate = '{0}'");
    client.execute("UPDATE tidegate.load SET sealed_at = NULL");
    let found = verify(&db, &[], 1);
    assert!(found.iter().any(|(_, check, _)| check == "unsealed load"), "{found:?}");
    client.execute("UPDATE tidegate.load SET sealed_at = now(), span_end = span_end + 1");
    named(&db, &[], &["bytes are covered"]);
    client.execute("UPDATE tidegate.load SET span_end = span_end - 1");
    client.execute("DELETE FROM tickers");
    let found = verify(&db, &[], 1);
    let lost = "2,000 rows of public.market_data are of 1 ticker that public.tickers does not have";
    assert!(found.iter().any(|(_, _, found)| found.contains(lost)), "{found:?}");
}

#[test]
fn replayed_records_are_in_the_accounts() {
    let db = TestDb::new("verify_data_replay");
    let path = with_bad(&db, "bars.csv", "");
    let _ = load(&db, [&path], 3);
    let out = db.home().join("rejects.csv");
    let export = ["rejects", "export", "--out", out.to_str().unwrap()];
    let _ = Program::new(&db).args(export).run().expect_code(0);
    let mended = std::fs::read_to_string(&out).unwrap().replace(",x,x,x,x,", ",2,2,2,2,");
    std::fs::write(&out, mended).unwrap();
    let replay = ["rejects", "replay", out.to_str().unwrap()];
    let _ = Program::new(&db).args(replay).run().expect_code(0);
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM market_data"), 2_001);
    well(&db, &[&path]);
    let down = ["migrate", "down", "--domain", "market", "--yes"];
    let _ = Program::new(&db).args(down).run().expect_code(0);
    let _ = Program::new(&db).args(["migrate", "up", "--tables"]).run().expect_code(0);
    let _ = load(&db, [&path], 3);
    let open = verify(&db, &[&path], 0);
    assert!(open.iter().all(|(_, check, _)| check == "open rejects"), "{open:?}");
}

#[test]
fn what_was_never_loaded_is_said_and_other_parts_take_no_files() {
    let db = TestDb::new("verify_data_unknown");
    let path = file(&db, "bars.csv", closes(&[(0, "1")]));
    let _ = load(&db, [&path], 0);
    let other = file(&db, "other.csv", closes(&[(5, "1")]));
    named(&db, &[&other], &["other.csv is not in the ledger"]);
    let wrong = ["verify", "schema", "bars.csv"];
    let outcome = Program::new(&db).args(wrong).run().expect_code(2);
    assert!(outcome.stderr.contains("only `verify data` takes files"), "{}", outcome.stderr);
}
