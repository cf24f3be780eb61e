//! Broken files: every file of `fixtures/broken` is loaded by the program, and gives what the table
//! of its family says: exit code, counts, rejects by rule, words. The accounts add up for each.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::{COUNTS, Outcome, TestDb, adds_up, backfill, fixture, totals};

/// What a table says of a file.
struct Expected<'a> {
    file: &'a str,
    exit: i32,
    /// In the order of [`COUNTS`].
    counts: [u64; 7],
    rules: &'a str,
    says: &'a str,
    args: Vec<&'a str>,
}

fn expected(line: &str) -> Expected<'_> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [file, exit, numbers @ .., rules, says, args] = cells.as_slice() else {
        panic!("{line:?} is no line of the table")
    };
    let number = |at: usize| numbers[at].parse::<u64>().expect("a count");
    let [read, inserted, duplicate, conflicting, rejected, skipped] =
        [0, 1, 2, 3, 4, 5].map(number);
    Expected {
        file,
        exit: exit.parse().expect("an exit code"),
        counts: [read, inserted, 0, duplicate, conflicting, rejected, skipped],
        rules,
        says,
        args: args.split_whitespace().collect(),
    }
}

/// What of a run is not as expected.
fn wrong(db: &TestDb<'_>, expected: &Expected<'_>, outcome: &Outcome) -> Option<String> {
    if (outcome.code, outcome.signal) != (Some(expected.exit), None) {
        return Some(format!("exit {:?}, not {}", outcome.code, expected.exit));
    }
    let said = outcome.stderr.replace('\n', " ");
    if !said.contains(expected.says) || said.contains("panicked") {
        return Some(format!("does not say {:?}", expected.says));
    }
    if totals(outcome) != expected.counts {
        return Some(format!("{COUNTS:?} {:?}, not {:?}", totals(outcome), expected.counts));
    }
    let rules = outcome.report()["rejects_by_rule"].as_object().expect("rejects by rule");
    let mut rules: Vec<String> = rules.iter().map(|(rule, n)| format!("{rule}={n}")).collect();
    rules.sort();
    if rules.join(",") != expected.rules {
        return Some(format!("refused by {}, not {:?}", rules.join(","), expected.rules));
    }
    let balances = catch_unwind(AssertUnwindSafe(|| adds_up(db, outcome)));
    balances.err().map(|_| "the accounts do not add up".to_owned())
}

/// Loads every file of a family, one by one, and shows all that are not as expected together.
fn family(name: &str) {
    let db = TestDb::new(name);
    let table = fs::read_to_string(fixture("broken").join(format!("{name}.tsv"))).expect("a table");
    let mut found = Vec::new();
    let mut files = 0;
    for expected in table.lines().skip(1).map(expected) {
        files += 1;
        let path = fixture("broken").join(name).join(expected.file);
        let program = backfill(&db, [path.as_os_str()]).arg("--verify").args(&expected.args);
        let outcome = program.run();
        if let Some(wrong) = wrong(&db, &expected, &outcome) {
            found.push(format!("{}: {wrong}\n    {}", expected.file, outcome.stderr.trim()));
        }
    }
    let listed = fs::read_dir(fixture("broken").join(name)).expect("a folder").count();
    assert_eq!(files, listed, "the table names the files of its folder");
    assert!(found.is_empty(), "{} of {files}:\n{}", found.len(), found.join("\n"));
}

#[test]
fn broken_text_gives_what_its_table_says() {
    family("text");
}

#[test]
fn broken_json_gives_what_its_table_says() {
    family("json");
}

#[test]
fn broken_parquet_gives_what_its_table_says() {
    family("parquet");
}

#[test]
fn broken_archives_give_what_their_table_says() {
    family("packed");
}

#[test]
fn broken_files_of_every_dataset_give_what_their_table_says() {
    family("datasets");
}

#[test]
fn there_are_many_broken_files() {
    let mut count = 0;
    for entry in fs::read_dir(fixture("broken")).unwrap() {
        let path = entry.unwrap().path();
        let inside = if path.is_dir() { fs::read_dir(&path).unwrap().count() } else { 1 };
        count += inside;
    }
    assert!(count > 300, "{count}");
}
