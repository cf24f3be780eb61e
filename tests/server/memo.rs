//! Files and objects that are unchanged since they were loaded are not read again, and everything
//! that may have changed is.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::{
    BARS, Bars, Faults, Outcome, Program, TestDb, Web, file, file_entry, load, totals,
};

const ROWS: Bars = Bars { rows: 2_000, symbols: 3, seed: 31 };

/// Waits until a file's times are old enough to be believed.
fn settle(path: &Path) {
    let changed = || path.metadata().expect("it is there").ctime();
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    while now().as_secs() as i64 <= changed() + 3 {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn zip(members: &[(&str, String)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a name");
        writer.write_all(bytes.as_bytes()).expect("memory takes all");
    }
    writer.finish().expect("memory takes all").into_inner()
}

/// From here on whatever is known by a memo is called after it, not after the file.
fn mark(db: &TestDb<'_>) {
    let sql = "UPDATE tidegate.memo SET sources = ARRAY(SELECT 'remembered ' || s FROM \
               unnest(sources) WITH ORDINALITY AS u (s, n) ORDER BY n) \
               WHERE NOT sources[1] LIKE 'remembered %'";
    db.client().execute(sql);
}

fn remembered(outcome: &Outcome) -> usize {
    let files = outcome.report()["files"].as_array().expect("a list");
    let names = files.iter().filter_map(|file| file["source"].as_str());
    names.filter(|name| name.starts_with("remembered ")).count()
}

#[test]
fn unchanged_files_are_not_read_again() {
    let db = TestDb::new("memo files");
    let csv = |seed| Bars { seed, ..ROWS }.csv();
    let plain = file(&db, "in/bars.csv", csv(1));
    let members = [("a.csv", csv(2)), ("b.csv", csv(3)), ("readme.txt", "Hello.\n".to_owned())];
    let archive = file(&db, "in/bars.zip", zip(&members));
    settle(&archive);
    let folder = db.home().join("in");
    let first = load(&db, [&folder], 0);
    assert_eq!(first.total("inserted") + first.total("duplicate"), 6_000);
    mark(&db);
    let again = load(&db, [&folder], 0);
    assert_eq!((again.total("read"), remembered(&again)), (0, 3));
    assert_eq!(again.report()["ignored"], first.report()["ignored"]);
    let [then, now] = [&first, &again].map(|outcome| {
        let entry = file_entry(outcome, "bars.zip!b.csv");
        [entry["content_hash"].clone(), entry["layout"].clone(), entry["dataset"].clone()]
    });
    assert_eq!(then, now);
    let entry = file_entry(&again, "bars.zip!b.csv");
    assert_eq!((&entry["already_loaded"], &entry["sealed"]), (&true.into(), &true.into()));

    // Rewritten in place with as many bytes, and its time put back.
    let modified = plain.metadata().and_then(|of| of.modified()).expect("a time");
    std::fs::write(&plain, csv(1).replace("S000", "T000")).expect("it is writable");
    let opened = std::fs::File::options().write(true).open(&plain).expect("it is there");
    opened.set_modified(modified).expect("it is ours");
    settle(&plain);
    let changed = load(&db, [&folder], 0);
    assert_eq!((changed.total("read"), remembered(&changed)), (2_000, 2));

    // A plan knows them too, unless units are asked for, which count all.
    let plan = |args: &[&str]| {
        let folder = folder.to_str().expect("a plain path");
        let plan = Program::new(&db).args(["plan", "--json", folder]).args(args.to_vec());
        let json = plan.run().expect_code(0).stdout;
        serde_json::from_str::<serde_json::Value>(&json).expect("JSON")
    };
    let json = plan(&[]);
    let units = json["units"].as_array().expect("a list");
    let unread =
        |unit: &&serde_json::Value| unit["unit"].is_null() && unit["state"] == "loaded before";
    assert_eq!(units.iter().filter(unread).count(), 3, "{json}");
    let marked = |unit: &&serde_json::Value| {
        unit["source"].as_str().is_some_and(|name| name.starts_with("remembered "))
    };
    assert_eq!(units.iter().filter(marked).count(), 2, "{json}");
    let numbered = plan(&["--units"]);
    assert_eq!(numbered["units"][2]["unit"], 3, "{numbered}");

    // What is asked otherwise is looked at.
    for args in [["--from", "2020-01-01"], ["--on-conflict", "update"], ["--venue", "other"]] {
        let args = args.iter().map(Path::new).chain([folder.as_path()]);
        let other = load(&db, args, 0);
        let expected = if other.total("read") > 0 { 0 } else { 2 };
        assert_eq!(remembered(&other), expected, "{}", other.report()["files"]);
    }
    assert_eq!(load(&db, [Path::new("--reload"), &plain], 0).total("read"), 2_000);
    let part = load(&db, [Path::new("--units"), Path::new("1-2"), &folder], 0);
    assert_eq!(remembered(&part), 0, "units are counted by looking");
}

#[test]
fn a_memo_is_believed_only_while_its_rows_are_there() {
    let db = TestDb::new("memo rows");
    let path = file(&db, "bars.csv", ROWS.csv());
    settle(&path);
    assert_eq!(load(&db, [&path], 0).total("inserted"), 2_000);
    let client = db.client();
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM tidegate.memo"), 1);
    client.execute("TRUNCATE market_data");
    let blocked = load(&db, [&path], 1);
    assert!(file_entry(&blocked, "bars.csv")["error"].to_string().contains("is empty"));
    assert_eq!(load(&db, [Path::new("--reload"), &path], 0).total("inserted"), 2_000);
    mark(&db);
    assert_eq!(remembered(&load(&db, [&path], 0)), 1);
    // An unfinished or missing load is none.
    client.execute("UPDATE tidegate.load SET sealed_at = NULL");
    let open = load(&db, [&path], 0);
    assert_eq!((open.total("read"), remembered(&open)), (0, 0), "its portions are there");
    client.execute("DELETE FROM tidegate.content; DELETE FROM tidegate.load");
    let forgotten = load(&db, [&path], 0);
    assert_eq!(totals(&forgotten)[..4], [2_000, 0, 0, 2_000]);
    assert_eq!(client.query_one::<i64>(&format!("SELECT count(*) FROM ({BARS}) b")), 2_000);
}

#[test]
fn what_has_rejects_or_faults_is_read_again_until_it_is_done() {
    let db = TestDb::new("memo faults");
    let members = [("a.csv", ROWS.csv()), ("b.csv", "x".to_owned())];
    let mut bytes = zip(&members);
    // The second member's checksum no longer holds.
    let at = bytes.windows(5).position(|part| part == b"b.csv").expect("its header") + 5;
    bytes[at] ^= 1;
    let path = file(&db, "bars.zip", bytes);
    settle(&path);
    let _ = load(&db, [&path], 1);
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM tidegate.memo"), 0);
}

#[test]
fn unchanged_objects_are_asked_about_and_not_read() {
    let db = TestDb::new("memo objects");
    let web = Web::start(Faults { unavailable: 0, cut: 0, no_ranges: false });
    let rows = Bars { rows: 120_000, ..ROWS };
    web.put("bars.csv", rows.csv().as_bytes());
    let url = web.url("bars.csv?signature=CANARY");
    let _ = load(&db, [&url], 0);
    let before = web.requests();
    assert_eq!(load(&db, [&url], 0).total("read"), 0);
    assert_eq!(web.requests() - before, 1, "one question, and nothing read");
    let all = "SELECT string_agg(m::text, ' ') FROM tidegate.memo m";
    assert!(!db.client().query_one::<String>(all).contains("CANARY"));
    // Another ETag.
    web.put("bars.csv", Bars { seed: 5, ..rows }.csv().as_bytes());
    assert_eq!(load(&db, [&url], 0).total("read"), 120_000);
}
