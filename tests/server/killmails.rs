//! Killmails: three tables that come and go together, from every form in which killmails come.

use std::path::PathBuf;

use crate::sources::{bzip2, tar};
use crate::support::{Outcome, Program, TestDb, backfill, file, file_entry, fixture, load, totals};

const TABLES: [&str; 3] = ["killmails_raw", "participants", "killmail_items"];

fn km(name: &str) -> PathBuf {
    fixture("killmails").join(name)
}

fn number(db: &TestDb<'_>, sql: &str) -> i64 {
    db.client().query_one(sql)
}

/// Rows that a run inserted, updated and deleted in a table.
fn changed(outcome: &Outcome, table: &str) -> [u64; 3] {
    let counts = &outcome.report()["tables"][format!("public.{table}")];
    ["inserted", "updated", "deleted"].map(|name| counts[name].as_u64().unwrap_or(0))
}

/// What `scripts/count-killmails` prints of the same files.
fn counted(db: &TestDb<'_>) -> String {
    let sql = "SELECT concat_ws(' ', (SELECT count(*) FROM killmails_raw), \
            count(*), count(*) FILTER (WHERE character_id IS NULL), sum(damage), \
            (SELECT concat_ws(' ', count(*), count(parent_seq), sum(quantity_dropped), \
                sum(quantity_destroyed)) FROM killmail_items), \
            (SELECT concat_ws(' ', to_char(min(killmail_time) AT TIME ZONE 'UTC', f), \
                to_char(max(killmail_time) AT TIME ZONE 'UTC', f)) FROM killmails_raw)) \
         FROM participants, (VALUES ('YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) AS form (f) GROUP BY f";
    db.client().query_one(sql)
}

/// Fails unless children are those of their killmails, numbered as they should be.
fn is_whole(db: &TestDb<'_>) {
    let torn = "SELECT k.killmail_id FROM killmails_raw k \
         LEFT JOIN (SELECT killmail_id, count(*) AS n, max(seq) AS last, \
                count(*) FILTER (WHERE is_victim AND seq = 0) AS victims, \
                count(*) FILTER (WHERE final_blow) AS blows, min(killmail_time) AS ts \
            FROM participants GROUP BY 1) p USING (killmail_id) \
         WHERE p.n IS DISTINCT FROM k.attacker_count + 1 OR p.last <> k.attacker_count \
            OR p.victims <> 1 OR (p.blows <> 1 AND k.attacker_count > 0) \
            OR p.ts <> k.killmail_time \
         UNION ALL SELECT killmail_id FROM participants p WHERE \
            NOT EXISTS (SELECT FROM killmails_raw k WHERE k.killmail_id = p.killmail_id) \
         UNION ALL SELECT killmail_id FROM killmail_items i WHERE \
            NOT EXISTS (SELECT FROM killmails_raw k WHERE k.killmail_id = i.killmail_id) \
            OR i.seq < 1 OR i.parent_seq >= i.seq";
    assert_eq!(db.client().rows(torn), Vec::<Vec<_>>::new());
}

#[test]
fn killmails_are_loaded_into_three_tables_and_only_once() {
    let db = TestDb::new("killmails once");
    let first = load(&db, [km("esi.ndjson")], 0);
    assert_eq!(totals(&first), [30, 30, 0, 0, 0, 0, 0]);
    let entry = file_entry(&first, "esi.ndjson");
    assert_eq!((&entry["layout"], &entry["dataset"]), (&"killmails".into(), &"killmails".into()));
    // Computed by scripts/count-killmails.
    let counts = "30 119 23 1742832 81 17 45000040030 99000050032 \
                  2020-02-02T00:00:00Z 2020-02-02T07:52:13Z";
    assert_eq!(counted(&db), counts);
    is_whole(&db);
    assert_eq!(changed(&first, "participants"), [119, 0, 0]);
    assert_eq!(changed(&first, "killmail_items"), [81, 0, 0]);
    assert_eq!(totals(&load(&db, [km("esi.ndjson")], 0)), [0; 7]);
    // The same killmails in other words: the document of one alone, then all with their hashes.
    let alone = load(&db, [km("70000001.json")], 0);
    assert_eq!(totals(&alone), [1, 0, 0, 1, 0, 0, 0]);
    let hashed = load(&db, [km("everef.ndjson")], 0);
    assert_eq!(totals(&hashed), [30, 0, 30, 0, 0, 0, 0], "hashes are added");
    assert_eq!(changed(&hashed, "killmails_raw"), [0, 30, 0]);
    assert_eq!(changed(&hashed, "participants"), [0; 3], "children stay");
    assert_eq!(counted(&db), counts);
    assert_eq!(number(&db, "SELECT count(killmail_hash) FROM killmails_raw"), 30);
}

#[test]
fn every_envelope_adds_its_value_and_none_takes_it_away() {
    let db = TestDb::new("killmails values");
    load(&db, [km("esi.ndjson")], 0);
    let known = |expected: i64| {
        assert_eq!(number(&db, "SELECT count(total_value) FROM killmails_raw"), expected);
        let same = "SELECT count(*) FROM killmails_raw WHERE total_value IS NOT NULL AND \
             raw_data::text LIKE '%zkb%' AND total_value::text <> substring(raw_data::text, \
                '\"totalValue\": ?([0-9.]+)')";
        assert_eq!(number(&db, same), 0);
    };
    for (name, counts, values) in [
        ("zkb_api.json", [10, 0, 10, 0, 0, 0, 0], 10),
        ("zkb_values.json", [10, 0, 10, 0, 0, 0, 0], 20),
        ("redisq.json", [1, 0, 1, 0, 0, 0, 0], 21),
        ("redisq.ndjson", [4, 0, 2, 0, 0, 0, 2], 23),
        ("r2z2.json", [1, 0, 1, 0, 0, 0, 0], 24),
    ] {
        let outcome = load(&db, [km(name)], 0);
        assert_eq!(totals(&outcome), counts, "{name}");
        assert_eq!(changed(&outcome, "participants"), [0; 3], "{name}");
        known(values);
    }
    // Documents without a value know nothing against it.
    let again = std::fs::read_to_string(km("esi.ndjson")).unwrap().replace("\":", "\" :");
    let outcome = load(&db, [file(&db, "again.ndjson", again)], 0);
    assert_eq!(totals(&outcome), [30, 0, 0, 30, 0, 0, 0]);
    known(24);
    is_whole(&db);
}

#[test]
fn a_value_without_its_killmail_is_a_reject_that_can_be_replayed() {
    let db = TestDb::new("killmails parts");
    let outcome = load(&db, [km("zkb_values.json")], 3);
    assert_eq!(totals(&outcome), [10, 0, 0, 0, 0, 10, 0]);
    assert_eq!(outcome.report()["rejects_by_rule"]["partial_record"], 10);
    assert_eq!(number(&db, "SELECT count(*) FROM killmails_raw"), 0);
    load(&db, [km("esi.ndjson")], 0);
    let export = db.home().join("rejects.csv");
    let export = export.to_str().unwrap();
    let tidegate = |args: &[&str]| drop(Program::new(&db).args(args).run().expect_code(0));
    tidegate(&["rejects", "export", "--out", export]);
    tidegate(&["rejects", "replay", export]);
    assert_eq!(number(&db, "SELECT count(total_value) FROM killmails_raw"), 10);
    assert_eq!(number(&db, "SELECT count(*) FROM tidegate.reject WHERE resolved_at IS NULL"), 0);
    is_whole(&db);
}

#[test]
fn what_one_file_says_in_parts_is_put_together() {
    let db = TestDb::new("killmails together");
    // The value before its killmail, after it, and between two spellings of it.
    let mail = std::fs::read_to_string(km("70000001.json")).unwrap();
    let second = std::fs::read_to_string(km("esi.ndjson")).unwrap();
    let second = second.lines().nth(1).unwrap();
    let part = |id: u32, value: &str| {
        format!("{{\"killmail_id\":{id},\"zkb\":{{\"totalValue\":{value}}}}}\n")
    };
    let text = format!(
        "{}{mail}\n{second}\n{}{}\n",
        part(70_000_001, "1.10"),
        part(70_000_002, "2.20"),
        second.replace("\":", "\": "),
    );
    let outcome = load(&db, [file(&db, "parts.ndjson", text)], 0);
    assert_eq!(totals(&outcome), [5, 2, 0, 3, 0, 0, 0]);
    let values = "SELECT killmail_id, total_value FROM killmails_raw ORDER BY 1";
    let row = |id: &str, value: &str| vec![Some(id.to_owned()), Some(value.to_owned())];
    assert_eq!(db.client().rows(values), [row("70000001", "1.10"), row("70000002", "2.20")]);
    is_whole(&db);
}

#[test]
fn a_changed_killmail_replaces_its_rows_and_no_others() {
    let db = TestDb::new("killmails changed");
    load(&db, [km("everef.ndjson")], 0);
    let before: Vec<_> = TABLES
        .map(|table| {
            let sql = format!("SELECT xmin::text, t.* FROM {table} t WHERE killmail_id > 70000010");
            db.client().rows(&sql)
        })
        .into();
    // Ten killmails are of another ship, without items and all but one attacker; hashes stay.
    let text = std::fs::read_to_string(km("everef.ndjson")).unwrap();
    let changed_text: String = (text.lines().enumerate())
        .map(|(at, line)| {
            if at >= 10 {
                return format!("{line}\n");
            }
            let mut mail: serde_json::Value = serde_json::from_str(line).unwrap();
            mail["victim"]["items"] = serde_json::json!([]);
            mail["victim"]["ship_type_id"] = 670.into();
            let blow = mail["attackers"].as_array().unwrap().iter();
            let blow = blow.filter(|one| one["final_blow"] == true).cloned().collect();
            mail["attackers"] = serde_json::Value::Array(blow);
            format!("{mail}\n")
        })
        .collect();
    let ten = "FROM participants WHERE killmail_id <= 70000010";
    let (old, items) = (
        number(&db, &format!("SELECT count(*) {ten}")) as u64,
        number(&db, "SELECT count(*) FROM killmail_items WHERE killmail_id <= 70000010") as u64,
    );
    let path = file(&db, "changed.ndjson", changed_text);
    let skipped = load(&db, [path.as_os_str(), "--on-conflict".as_ref(), "skip".as_ref()], 0);
    assert_eq!(totals(&skipped), [30, 0, 0, 30, 10, 0, 0]);
    assert_eq!(number(&db, &format!("SELECT count(*) {ten}")) as u64, old);
    let outcome = load(&db, [path.as_os_str(), "--reload".as_ref()], 0);
    assert_eq!(totals(&outcome), [30, 0, 10, 20, 0, 0, 0]);
    assert_eq!(changed(&outcome, "killmails_raw"), [0, 10, 0]);
    assert_eq!(changed(&outcome, "participants"), [20, 0, old]);
    assert_eq!(changed(&outcome, "killmail_items"), [0, 0, items]);
    is_whole(&db);
    let after: Vec<_> = TABLES
        .map(|table| {
            let sql = format!("SELECT xmin::text, t.* FROM {table} t WHERE killmail_id > 70000010");
            db.client().rows(&sql)
        })
        .into();
    assert_eq!(before, after, "rows of unchanged killmails were touched");
}

#[test]
fn each_defect_is_one_reject_with_its_rule_and_bytes() {
    let list = std::fs::read_to_string(fixture("broken").join("killmails.tsv")).unwrap();
    let db = TestDb::new("killmails broken");
    let mut defects = 0;
    for line in list.lines() {
        let (name, rule) = line.split_once('\t').unwrap();
        let name = format!("killmail_{name}.ndjson");
        let path = fixture("broken").join(&name);
        let outcome = load(&db, [&path], 3);
        // The neighbours are new the first time.
        let [read, inserted, _, duplicate, _, rejected, _] = totals(&outcome);
        assert_eq!((read, inserted + duplicate, rejected), (4, 3, 1), "{name}");
        assert_eq!(outcome.report()["rejects_by_rule"][rule], 1, "{name}");
        let bytes = std::fs::read(&path).unwrap();
        let bad = bytes.split(|byte| *byte == b'\n').nth(2).unwrap();
        let raw: Vec<u8> =
            db.client().query_one("SELECT raw FROM tidegate.reject ORDER BY id DESC LIMIT 1");
        assert_eq!(raw, bad, "{name}");
        defects += 1;
    }
    assert!(defects >= 30, "{defects}");
    assert_eq!(number(&db, "SELECT count(*) FROM killmails_raw"), 3);
    is_whole(&db);
}

#[test]
fn an_escaped_nul_is_stored_as_it_came() {
    let db = TestDb::new("killmails nul");
    let mail = std::fs::read_to_string(km("70000001.json")).unwrap();
    let text = mail.replacen('{', "{\"note\":\"a\\u0000b\",", 1);
    load(&db, [file(&db, "nul.json", &text)], 0);
    let stored: String = db.client().query_one("SELECT raw_data::text FROM killmails_raw");
    assert_eq!(stored, text);
}

#[test]
fn killmails_go_to_their_own_tables_only() {
    let db = TestDb::new("killmails table");
    db.client().execute("CREATE TABLE mine (killmail_id bigint PRIMARY KEY)");
    let table = ["--table".into(), "mine".into()];
    let args = std::iter::once(km("esi.ndjson").into_os_string()).chain(table);
    let outcome = backfill(&db, args).run().expect_code(1);
    assert!(outcome.stderr.contains("leave --table out"), "{}", outcome.stderr);
}

#[test]
fn an_archive_of_killmails_is_one_source() {
    let db = TestDb::new("killmails archive");
    let archive = km("killmails-2020-02-02.tar.bz2");
    let outcome = load(&db, [&archive], 0);
    assert_eq!(totals(&outcome), [30, 30, 0, 0, 0, 0, 0]);
    assert_eq!(outcome.report()["files"].as_array().map(Vec::len), Some(1));
    is_whole(&db);
    assert_eq!(totals(&load(&db, [&archive], 0)), [0; 7]);
    // The same killmails one by one in another file: all are there.
    let lines = load(&db, [km("everef.ndjson")], 0);
    assert_eq!(totals(&lines), [30, 0, 0, 30, 0, 0, 0]);
    let other = TestDb::new("killmails archive lines");
    load(&other, [km("everef.ndjson")], 0);
    assert_eq!(counted(&db), counted(&other));
}

/// An archive of these documents, as EVE Ref makes one for a day.
fn archive(documents: &[serde_json::Value]) -> Vec<u8> {
    let members: Vec<_> = documents
        .iter()
        .map(|mail| (format!("killmails/{}.json", mail["killmail_id"]), mail.to_string()))
        .collect();
    let members: Vec<_> =
        members.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    bzip2(&tar(&members))
}

#[test]
fn dirt_around_killmails_hides_none() {
    let text = std::fs::read_to_string(km("everef.ndjson")).unwrap();
    let mails: Vec<&str> = text.lines().take(6).collect();
    let db = TestDb::new("killmails dirt");
    // Errors that a script wrote down, then what it wanted; in a folder, where strangers are
    // passed over.
    let errors = "{\"error\":\"timeout\"}\n".repeat(40);
    file(&db, "folder/log.ndjson", format!("{errors}{}\n", mails[0]));
    let outcome = load(&db, [db.home().join("folder")], 3);
    assert_eq!(totals(&outcome), [41, 1, 0, 0, 0, 40, 0]);
    // Documents without a line end between them.
    let joined = file(&db, "joined.json", mails[1..4].concat());
    assert_eq!(totals(&load(&db, [joined], 0)), [3, 3, 0, 0, 0, 0, 0]);
    // Compressed members are decompressed one by one; what a Mac adds is no member.
    let packed = [mails[4], mails[5]].map(|mail| bzip2(mail.as_bytes()));
    let members: [(&str, &[u8]); 4] = [
        ("._4.json.bz2", b"\0\x05\x16\x07"),
        ("4.json.bz2", &packed[0]),
        ("5.json.bz2", &packed[1]),
        ("__MACOSX/._5.json.bz2", b"\0\x05\x16\x07"),
    ];
    let outcome = load(&db, [file(&db, "packed.tar", tar(&members))], 0);
    assert_eq!(totals(&outcome), [2, 2, 0, 0, 0, 0, 0]);
    is_whole(&db);
}

#[test]
fn an_archive_that_grew_and_changed_replaces_its_changed_members_alone() {
    let db = TestDb::new("killmails archive changed");
    let text = std::fs::read_to_string(km("everef.ndjson")).unwrap();
    let mut mails: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let name = "killmails-2020-02-02.tar.bz2";
    let path = file(&db, name, archive(&mails[..20]));
    assert_eq!(totals(&load(&db, [&path], 0)), [20, 20, 0, 0, 0, 0, 0]);
    let kept = |db: &TestDb<'_>| {
        TABLES.map(|table| {
            let sql = format!(
                "SELECT xmin::text, t.* FROM {table} t WHERE killmail_id NOT IN (70000003, \
                 70000011) AND killmail_id <= 70000020 ORDER BY t::text"
            );
            db.client().rows(&sql)
        })
    };
    let before = kept(&db);
    assert!(before.iter().all(|rows| !rows.is_empty()));
    // Two members say something else, one comes in other words, ten are new: in another order.
    mails[2]["victim"]["ship_type_id"] = 670.into();
    mails[10]["attackers"].as_array_mut().unwrap()[0]["damage_done"] = 77_777.into();
    mails[10]["victim"]["items"] = serde_json::json!([]);
    mails[5]["moon_id"] = serde_json::Value::Null;
    mails.reverse();
    let path = file(&db, name, archive(&mails));
    let outcome = load(&db, [&path], 0);
    assert_eq!(totals(&outcome), [30, 10, 2, 18, 0, 0, 0]);
    assert_eq!(changed(&outcome, "killmails_raw"), [10, 2, 0]);
    assert_eq!(kept(&db), before, "rows of unchanged killmails were touched");
    is_whole(&db);
    let sql = "SELECT concat_ws(' ', (SELECT victim_ship_type_id FROM killmails_raw \
            WHERE killmail_id = 70000003), (SELECT max(damage) FROM participants \
            WHERE killmail_id = 70000011 AND seq > 0), (SELECT count(*) FROM killmail_items \
            WHERE killmail_id = 70000011))";
    assert_eq!(db.client().query_one::<String>(sql), "670 77777 0");
    // The tables are what a load of the new archive alone makes.
    let fresh = TestDb::new("killmails archive fresh");
    load(&fresh, [&path], 0);
    assert_eq!(counted(&db), counted(&fresh));
    assert_eq!(totals(&load(&db, [&path], 0)), [0; 7]);
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn real_killmails_are_as_an_independent_program_counts_them() {
    let Some(folder) = std::env::var_os("TIDEGATE_REAL_DATA").map(PathBuf::from) else {
        eprintln!("TIDEGATE_REAL_DATA is not set: real killmails are not tested");
        return;
    };
    let db = TestDb::new("killmails real");
    let outcome = load(&db, [folder.join("eve/esi_json")], 0);
    assert_eq!(totals(&outcome), [40, 40, 0, 0, 0, 0, 0]);
    // As scripts/count-killmails counts them.
    let counts = "40 146 28 868030 661 7 11593 15763 2021-12-03T00:00:03Z 2021-12-03T00:06:57Z";
    assert_eq!(counted(&db), counts);
    is_whole(&db);
    // Of two documents of one killmail, one has three final blows.
    let outcome = load(&db, [folder.join("eve/zkb_redisq")], 3);
    assert_eq!(totals(&outcome), [2, 1, 0, 0, 0, 1, 0]);
    assert_eq!(outcome.report()["rejects_by_rule"]["one_final_blow"], 1);
    let archives = TestDb::new("killmails real archives");
    let outcome = load(&archives, [folder.join("eve")], 3);
    assert_eq!(outcome.total("inserted"), 15_880);
    let one = "killmails-2021-11-30.tar.bz2";
    assert!(file_entry(&outcome, one)["sealed"].as_bool().unwrap_or(false));
    // The killmail that only a package holds is not in the archives, which scripts/count-killmails
    // counts as 15879 with 91346 participants and 255521 items.
    let archived = "SELECT concat_ws(' ', count(*), sum(attacker_count) + count(*), \
        (SELECT count(*) FROM killmail_items i WHERE i.killmail_id IN \
            (SELECT killmail_id FROM killmails_raw WHERE killmail_time < '2021-12-04'))) \
        FROM killmails_raw WHERE killmail_time < '2021-12-04'";
    assert_eq!(archives.client().query_one::<String>(archived), "15879 91346 255521");
    is_whole(&archives);
}
