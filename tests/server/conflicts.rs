//! Equal keys in a batch, across files and in the table: who wins under each policy, how it is
//! counted, and what a table without a key does.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use crate::support::{BARS, Bars, TestDb, closes, file, load, same_rows, totals};

/// The closes that are stored, in order of time.
fn stored(db: &TestDb<'_>) -> Vec<String> {
    let sql = "SELECT close FROM market_data ORDER BY ts";
    db.client().rows(sql).into_iter().map(|row| row[0].clone().unwrap()).collect()
}

#[test]
fn a_key_twice_in_a_batch_is_decided_by_the_policy() {
    let bars = closes(&[(0, "1"), (1, "2"), (0, "3"), (1, "2"), (2, "5")]);
    let policies: [(&str, i32, [u64; 7], &[&str]); 4] = [
        ("skip", 0, [5, 3, 0, 2, 1, 0, 0], &["1", "2", "5"]),
        ("update", 0, [5, 3, 0, 2, 1, 0, 0], &["3", "2", "5"]),
        ("reject", 3, [5, 3, 0, 0, 0, 2, 0], &["1", "2", "5"]),
        ("error", 1, [0; 7], &[]),
    ];
    for (policy, code, counts, closes) in policies {
        let db = TestDb::new(policy);
        let path = file(&db, "bars.csv", &bars);
        let args = [path.to_str().unwrap(), "--on-conflict", policy];
        let outcome = load(&db, args, code);
        assert_eq!(totals(&outcome), counts, "{policy}");
        assert_eq!(stored(&db), closes, "{policy}");
        let rejects = db.client().rows("SELECT rule, line_no FROM tidegate.reject ORDER BY id");
        let expected: &[&str] = if policy == "reject" { &["4", "5"] } else { &[] };
        let lines: Vec<_> = rejects.iter().map(|row| row[1].as_deref().unwrap()).collect();
        assert_eq!(lines, expected, "{policy}");
        assert!(rejects.iter().all(|row| row[0].as_deref() == Some("duplicate_key")));
        if policy == "error" {
            assert!(outcome.stderr.contains("--on-conflict"), "{}", outcome.stderr);
        }
    }
}

#[test]
fn a_key_that_is_stored_is_decided_by_the_policy() {
    let policies: [(&str, i32, [u64; 7], &[&str]); 4] = [
        ("skip", 0, [3, 1, 0, 2, 1, 0, 0], &["1", "2", "3"]),
        ("update", 0, [3, 1, 1, 1, 0, 0, 0], &["1", "9", "3"]),
        ("reject", 3, [3, 1, 0, 0, 0, 2, 0], &["1", "2", "3"]),
        ("error", 1, [0; 7], &["1", "2"]),
    ];
    for (policy, code, counts, closes_stored) in policies {
        let db = TestDb::new(policy);
        let first = file(&db, "first.csv", closes(&[(0, "1"), (1, "2")]));
        load(&db, [&first], 0);
        let second = file(&db, "second.csv", closes(&[(0, "1"), (1, "9"), (2, "3")]));
        let args = [second.to_str().unwrap(), "--on-conflict", policy];
        let outcome = load(&db, args, code);
        assert_eq!(totals(&outcome), counts, "{policy}");
        assert_eq!(stored(&db), closes_stored, "{policy}");
        let tables = &outcome.report()["tables"]["public.market_data"];
        if policy != "error" {
            assert_eq!(tables["inserted"], counts[1], "{policy}: {tables}");
            assert_eq!(tables["updated"], counts[2], "{policy}: {tables}");
        }
        let rejects = db.client().rows(
            "SELECT rule, sqlstate, line_no, convert_from(raw, 'UTF8') FROM tidegate.reject \
             ORDER BY line_no",
        );
        assert_eq!(rejects.len() as u64, counts[5], "{policy}");
        if let [a, b] = &rejects[..] {
            let text = |text: &str| Some(text.to_owned());
            assert_eq!(a[..3], [text("duplicate_key"), text("23505"), text("2")]);
            assert_eq!(b[2], text("3"));
            assert!(b[3].as_ref().unwrap().starts_with("ACME,1m,2024-06-03T09:01:00Z,9,9,9,9,1"));
        }
    }
}

#[test]
fn what_error_refused_can_be_loaded_under_another_policy() {
    let db = TestDb::new("after error");
    let first = file(&db, "first.csv", closes(&[(0, "1")]));
    let second = file(&db, "second.csv", closes(&[(0, "2"), (1, "3")]));
    load(&db, [&first], 0);
    let args = [second.to_str().unwrap(), "--on-conflict", "error"];
    let refused = load(&db, args, 1);
    assert_eq!(refused.report()["files"][0]["sealed"], false);
    let said = &refused.stderr;
    assert!(said.contains("second.csv") && said.contains("market_data"), "{said}");
    // It was begun under another policy, so it is begun anew.
    let args = [second.to_str().unwrap(), "--on-conflict", "update", "--reload"];
    let done = load(&db, args, 0);
    assert_eq!(totals(&done), [2, 1, 1, 0, 0, 0, 0]);
    assert_eq!(stored(&db), ["2", "3"]);
}

/// Files of the same keys with other values: the first or the last in the order of the command
/// line wins, whatever the writers do.
#[test]
fn the_order_of_files_decides_and_not_the_writers() {
    const FILES: u64 = 8;
    for (policy, winner) in [("skip", 0), ("update", FILES - 1)] {
        let expected = TestDb::new("expected");
        let bars = |seed| Bars { rows: 400, symbols: 4, seed };
        load(&expected, [bars(winner).write(expected.home(), "winner.csv")], 0);
        for writers in ["1", "8", "8"] {
            let db = TestDb::new("order");
            let mut args: Vec<String> = (0..FILES)
                // Names sort the other way round: it is the order given that counts.
                .map(|seed| bars(seed).write(db.home(), &format!("{}.csv", FILES - seed)))
                .map(|path| path.display().to_string())
                .collect();
            args.extend(["--writers", writers, "--on-conflict", policy].map(str::to_owned));
            let outcome = load(&db, args, 0);
            assert_eq!(outcome.total("read"), 400 * FILES);
            assert_eq!(outcome.total("inserted"), 400);
            assert_eq!(
                outcome.total("inserted") + outcome.total("updated") + outcome.total("duplicate"),
                400 * FILES
            );
            if policy == "skip" {
                assert_eq!(outcome.total("conflicting"), 400 * (FILES - 1));
            }
            same_rows(&expected, &db, BARS);
        }
    }
}

#[test]
fn a_table_without_a_key_takes_every_record_once() {
    let db = TestDb::new("keyless");
    db.client()
        .execute("CREATE TABLE log (symbol text, interval text, ts timestamptz, close numeric)");
    let path = file(&db, "bars.csv", closes(&[(0, "1"), (0, "1"), (1, "2")]));
    let path = path.to_str().unwrap();
    let table = ["--table", "public.log"];
    let first = load(&db, [path, table[0], table[1]], 0);
    assert_eq!(totals(&first), [3, 3, 0, 0, 0, 0, 0]);
    let again = load(&db, [path, table[0], table[1]], 0);
    assert_eq!(totals(&again), [0; 7]);
    assert_eq!(again.report()["files"][0]["already_loaded"], true);
    for more in [&["--reload"][..], &["--from", "2024-06-03T09:01:00Z"]] {
        let mut args = vec![path, table[0], table[1]];
        args.extend(more);
        let refused = load(&db, args, 1);
        assert!(refused.stderr.contains("no unique key"), "{}", refused.stderr);
        assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM log"), 3);
    }
}

#[test]
fn restated_history_is_counted_apart_in_a_file_of_many_rows() {
    let db = TestDb::new("restated");
    let old = Bars { rows: 3_000, symbols: 3, seed: 1 };
    load(&db, [old.write(db.home(), "old.csv")], 0);
    // Every tenth bar is told anew, the others are as they were, and some are new.
    let other = Bars { seed: 2, ..old };
    let mut text = format!("{}\n", Bars::HEADER);
    for row in 0..3_300 {
        let line = if row % 10 == 0 && row < 3_000 { other.line(row) } else { old.line(row) };
        text.push_str(&line);
        text.push('\n');
    }
    let restated = file(&db, "restated.csv", &text);
    let skipped = load(&db, [&restated], 0);
    assert_eq!(totals(&skipped), [3_300, 300, 0, 3_000, 300, 0, 0]);
    let args = [restated.to_str().unwrap(), "--reload", "--on-conflict", "update"];
    let updated = load(&db, args, 0);
    assert_eq!(totals(&updated), [3_300, 0, 300, 3_000, 0, 0, 0]);
    let whole = TestDb::new("restated whole");
    load(&whole, [file(&whole, "restated.csv", &text)], 0);
    same_rows(&db, &whole, BARS);
}
