//! Generated files with faults, loaded, and held to their answer key: by every dataset and form.
//! The key is the generator's; a database that was tampered with does not pass.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate::dataset::{self, Dataset};

use crate::support::{Program, TestDb, backfill};

/// Makes files with every fault that applies, and gives their folder.
fn generate(db: &TestDb<'_>, dataset: &Dataset, form: &str) -> PathBuf {
    let path = db.home().join(format!("{}-{form}", dataset.name));
    let args = ["generate", dataset.name, "--rows", "600", "--seed", "7", "--format", form];
    let program = Program::new(db).args(args).args(["--faults", "all", "--progress", "none"]);
    let outcome = program.arg("--out").arg(&path).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    path
}

fn key(folder: &Path) -> Value {
    let text = std::fs::read(folder.join("answer-key.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Loads a folder of which some files cannot be read.
fn load(db: &TestDb<'_>, folder: &Path) {
    let _ = backfill(db, [folder]).run().expect_code(1);
}

/// What `verify data --answer-key` finds of faults.
fn verify(db: &TestDb<'_>, folder: &Path, code: i32) -> Vec<String> {
    let program = Program::new(db).args(["verify", "data", "--json", "--answer-key"]);
    let outcome = program.arg(folder.join("answer-key.json")).run();
    let answer: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let checks = answer["checks"].as_array().unwrap().iter();
    let faults = checks.filter(|check| check["level"] == "fault");
    let found: Vec<String> =
        faults.map(|check| check["found"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcome.code, Some(code), "{}: {found:#?}", folder.display());
    found
}

fn holds(form: &str, datasets: &[&'static Dataset]) -> usize {
    let name: Vec<&str> = datasets.iter().map(|dataset| dataset.name).collect();
    let db = TestDb::new(&format!("faulty_{form}_{}", name[0]));
    let mut faults = 0;
    for dataset in datasets {
        let folder = generate(&db, dataset, form);
        load(&db, &folder);
        assert_eq!(verify(&db, &folder, 0), Vec::<String>::new(), "{} {form}", dataset.name);
        let key = key(&folder);
        let left_out: Vec<&Value> =
            key["files"].as_array().unwrap().iter().map(|file| &file["left_out"]).collect();
        assert!(left_out.iter().all(|names| *names == &serde_json::json!([])), "{left_out:?}");
        faults += key["faults"].as_array().unwrap().len();
        assert!(!key["rejects"].as_array().unwrap().is_empty(), "{}", dataset.name);
    }
    faults
}

/// All but one of two datasets that share a table.
fn own_tables() -> Vec<&'static Dataset> {
    dataset::ALL.iter().copied().filter(|dataset| dataset.name != "open_interest").collect()
}

fn flat() -> Vec<&'static Dataset> {
    own_tables().into_iter().filter(|dataset| dataset.children.is_empty()).collect()
}

fn named(name: &str) -> &'static Dataset {
    dataset::by_name(name).unwrap()
}

#[test]
fn every_dataset_as_json_lines_is_what_its_answer_key_says() {
    assert!(holds("ndjson", &own_tables()) > 100);
}

#[test]
fn every_dataset_as_csv_is_what_its_answer_key_says() {
    assert!(holds("csv", &flat()) > 150);
    assert!(holds("csv", &[named("open_interest")]) > 10);
}

#[test]
fn every_dataset_as_parquet_or_archive_is_what_its_answer_key_says() {
    assert!(holds("parquet", &flat()) > 80);
    assert!(holds("archive", &[named("killmails")]) > 8);
}

#[test]
fn a_database_that_was_tampered_with_does_not_pass() {
    let db = TestDb::new("faulty_tampered");
    let client = db.client();
    let bars = generate(&db, named("bars"), "csv");
    load(&db, &bars);
    let killmails = generate(&db, named("killmails"), "ndjson");
    load(&db, &killmails);
    assert_eq!(verify(&db, &bars, 0), Vec::<String>::new());
    assert_eq!(verify(&db, &killmails, 0), Vec::<String>::new());
    let tampered = |folder: &Path, sql: &str, words: &str| {
        client.execute(sql);
        let found = verify(&db, folder, 1);
        assert!(found.iter().any(|found| found.contains(words)), "{words}: {found:#?}");
    };
    let one = "(SELECT min((ticker_id, ts)::text) FROM market_data)";
    let here = format!("WHERE (ticker_id, ts)::text = {one}");
    client.execute(&format!("CREATE TABLE kept_bar AS SELECT * FROM market_data {here}"));
    let change = format!("UPDATE market_data SET close = close + 1 {here}");
    tampered(&bars, &change, "not with these values");
    client.execute(&format!("UPDATE market_data SET close = (SELECT close FROM kept_bar) {here}"));
    client.execute("CREATE TABLE kept AS TABLE tidegate.reject");
    let gone = "DELETE FROM tidegate.reject WHERE rule = 'bad_decimal' OR rule = 'bad_number'";
    tampered(&bars, gone, "not rejected, bad_number expected for bad_decimal");
    client.execute(
        "TRUNCATE tidegate.reject; INSERT INTO tidegate.reject OVERRIDING SYSTEM VALUE TABLE kept",
    );
    assert_eq!(verify(&db, &bars, 0), Vec::<String>::new());
    let one_more = "INSERT INTO tidegate.reject (load_id, window_no, run_id, source, row_no, \
                    byte_len, rule, reason, raw) SELECT load_id, window_no, run_id, source, 1, \
                    1, 'bad_time', '', '' FROM kept WHERE source LIKE '%bars%' LIMIT 1";
    tampered(&bars, one_more, "row 1: rejected by bad_time, which must load");
    tampered(&bars, &format!("DELETE FROM market_data {here}"), "must be there");
    let damage = "UPDATE participants SET damage = damage + 1 WHERE seq = 1 AND killmail_id = \
                  (SELECT min(killmail_id) FROM killmails_raw)";
    tampered(&killmails, damage, "public.participants, 2024-01-01");
}

#[test]
fn faults_that_make_no_sense_are_refused() {
    let db = TestDb::new("faulty_usage");
    let out = db.home().join("out");
    let run = |args: &[&str]| {
        let program = Program::new(&db).args(["generate"]).args(args.iter().copied());
        program.arg("--out").arg(&out).run().expect_code(2).stderr
    };
    assert!(run(&["bars", "--faults", "two_final_blows"]).contains("makes no sense for bars"));
    assert!(run(&["bars", "--faults", "rust"]).contains("there is no such fault"));
    let into = ["generate", "bars", "--faults", "all", "--into"];
    let outcome = Program::new(&db).args(into).run().expect_code(2);
    assert!(outcome.stderr.contains("--out"), "{}", outcome.stderr);
}
