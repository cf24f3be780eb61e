//! Load-test data: the same rows in every form of files and straight into the database, loaded once
//! however often they are made, without a reject and without a warning.

use std::path::PathBuf;

use serde_json::json;
use tidegate::dataset::{self, Dataset};

use crate::support::{Outcome, Program, TestDb, adds_up, load, totals};

/// Records of each dataset in these tests: more than a game's snapshots and a group of orders.
const ROWS: &str = "2500";

fn generate<'a>(db: &TestDb<'_>, args: impl IntoIterator<Item = &'a str>) -> Program {
    Program::new(db).args(["generate", "--progress", "none"]).args(args)
}

/// Makes records straight into the database.
fn into(db: &TestDb<'_>, args: &[&str]) -> Outcome {
    let outcome = generate(db, args.iter().copied()).arg("--into").report_json().run();
    let outcome = outcome.expect_code(0);
    adds_up(db, &outcome);
    outcome
}

/// Makes files in a folder of the database's home.
fn files(db: &TestDb<'_>, folder: &str, args: &[&str]) -> PathBuf {
    let path = db.home().join(folder);
    let outcome = generate(db, args.iter().copied()).arg("--out").arg(&path).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    path
}

/// All rows of a dataset's tables, with tickers by name, sorted.
fn stored(db: &TestDb<'_>, dataset: &Dataset) -> Vec<Vec<Vec<Option<String>>>> {
    let tables = std::iter::once(dataset.table.to_string())
        .chain(dataset.children.iter().map(|child| child.table.to_string()));
    let client = db.client();
    tables
        .map(|table| {
            let sql = match dataset.ticker {
                Some(_) => format!(
                    "SELECT k.symbol, to_jsonb(t) - 'ticker_id' FROM {table} t \
                     JOIN public.tickers k ON k.id = t.ticker_id"
                ),
                None => format!("SELECT to_jsonb(t) FROM {table} t"),
            };
            let mut rows = client.rows(&sql);
            rows.sort();
            rows
        })
        .collect()
}

#[test]
fn files_of_every_form_and_the_database_hold_the_same_rows() {
    let direct = TestDb::new("generate_into");
    for dataset in dataset::ALL {
        let args = [dataset.name, "--rows", ROWS];
        let outcome = into(&direct, &args);
        assert_eq!(totals(&outcome), [2500, 2500, 0, 0, 0, 0, 0], "{}", dataset.name);
        let report = outcome.report();
        assert_eq!(report["warnings_by_rule"], json!({}), "{}", dataset.name);
        assert_eq!(report["command"], "generate");
        // The same again adds nothing.
        let again = into(&direct, &args);
        assert_eq!(again.total("inserted"), 0, "{}", dataset.name);
        let entry = &again.report()["files"][0];
        assert_eq!(entry["already_loaded"], true, "{}", dataset.name);
    }
    for form in ["csv", "ndjson"] {
        let db = TestDb::new(&format!("generate_{form}"));
        for dataset in dataset::ALL {
            if form != "ndjson" && !dataset.children.is_empty() {
                continue;
            }
            let args = [dataset.name, "--rows", ROWS, "--format", form];
            let folder = files(&db, dataset.name, &args);
            let outcome = load(&db, [folder], 0);
            assert_eq!(totals(&outcome), [2500, 2500, 0, 0, 0, 0, 0], "{}", dataset.name);
            assert!(stored(&db, dataset) == stored(&direct, dataset), "{form}: {}", dataset.name);
        }
    }
    // What was generated into the database is known when it comes as a file.
    let folder = files(&direct, "bars", &["bars", "--rows", ROWS]);
    let outcome = load(&direct, [folder], 0);
    assert_eq!(outcome.report()["files"][0]["already_loaded"], true);
    // Another seed is other data.
    let other = into(&direct, &["orders", "--rows", "100", "--seed", "2"]);
    assert_eq!(other.total("inserted"), 100);
}
