//! Summaries of killmails, and pages of them.

use super::{changed, migrated, places, plan, refresh, texts};
use crate::support::TestDb;

/// 300 killmails; corporation 98 has 40 members, one NPC without a character takes part.
fn filled() -> TestDb<'static> {
    let db = migrated("killmails");
    db.client().execute(
        "INSERT INTO killmails_raw (killmail_id, killmail_time, solar_system_id,
             victim_character_id, victim_corporation_id, victim_damage_taken,
             attacker_count, total_value, content_hash,
             raw_data)
         SELECT n, '2024-01-01 00:00+00'::timestamptz + n / 2 * interval '1 hour', 30 + n % 3,
                1000 + n % 40, 98, 10, 2, CASE WHEN n % 10 <> 0 THEN n * 100 END, n, '{}'
         FROM generate_series(1, 300) n;
         INSERT INTO participants (killmail_id, seq, killmail_time, character_id, corporation_id,
             damage, is_victim, final_blow)
         SELECT n, s, '2024-01-01 00:00+00'::timestamptz + n / 2 * interval '1 hour',
                CASE s WHEN 0 THEN 1000 + n % 40 WHEN 1 THEN 1000 + (n + 7) % 40 END,
                CASE s WHEN 2 THEN 500 ELSE 98 END, 10, s = 0, s = 1
         FROM generate_series(1, 300) n, generate_series(0, 2) s;
         INSERT INTO eve_names VALUES (1003, 'character', 'Ann');
         ANALYZE",
    );
    db
}

#[test]
fn summaries_add_up_and_are_made_again_only_when_content_changes() {
    let db = filled();
    let done = refresh(&db, &[]);
    assert_eq!(done.len(), 2, "{done:?}");
    let sums = "SELECT count(*), sum(kills), sum(losses), sum(final_blows), sum(isk_lost), \
                sum(isk_destroyed) FROM character_activity_summary";
    let value: i64 = db.client().query_one("SELECT sum(total_value)::bigint FROM killmails_raw");
    let value = value.to_string();
    assert_eq!(texts(&db, sums), [["40", "300", "300", "300", &value, &value]]);
    let members = "SELECT count(*), sum(killmails) FROM corporation_member_summary \
                   WHERE corporation_id = 98";
    assert_eq!(texts(&db, members), [["40", "600"]]);
    let states = |args: &[&str]| {
        let done = refresh(&db, args);
        done.iter().map(|one| one["state"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(&[]), ["fresh already", "fresh already"]);
    let client = db.client();
    let touch = "INSERT INTO tidegate.touched (target) VALUES ('public.killmails_raw')";
    client.execute(&format!("UPDATE killmails_raw SET killmail_hash = 'x'; {touch}"));
    // Without a range everything counts as written, but the same content makes the same view.
    assert_eq!(states(&["character_activity_summary"]), ["refreshed"]);
    client.execute(
        "UPDATE killmails_raw SET killmail_hash = 'y'; \
         INSERT INTO tidegate.touched (target, from_ts, to_ts) \
         VALUES ('public.killmails_raw', '2024-01-01', '2024-01-01')",
    );
    assert_eq!(states(&["character_activity_summary"]), ["fresh already"]);
    client.execute(
        "UPDATE killmails_raw SET total_value = 5 WHERE killmail_id = 10; \
         INSERT INTO tidegate.touched (target, from_ts, to_ts) \
         VALUES ('public.killmails_raw', '2024-01-01', '2024-01-01')",
    );
    assert_eq!(states(&["character_activity_summary"]), ["refreshed"]);
}

#[test]
fn only_those_who_took_part_are_written_again() {
    let db = filled();
    let _ = refresh(&db, &[]);
    let names = ["character_activity_summary", "corporation_member_summary"];
    let before = names.map(|name| places(&db, name));
    db.client().execute(
        "UPDATE killmails_raw SET total_value = 77, content_hash = 7777 WHERE killmail_id = 33; \
         INSERT INTO tidegate.touched (target, from_ts, to_ts) \
         VALUES ('public.killmails_raw', '2024-01-01', '2024-01-01')",
    );
    let done = refresh(&db, &[]);
    assert!(done.iter().all(|one| one["state"] == "refreshed"), "{done:?}");
    // The victim and one attacker with a character; the other is of nobody.
    for (name, before) in names.iter().zip(&before) {
        assert_eq!(changed(before, &places(&db, name)), [2, 2], "{name}");
    }
}

/// All rows of a function, a page of seven after the other: `key` are the columns that go on.
fn pages(db: &TestDb<'_>, call: &str, key: &[usize]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = texts(db, &format!("SELECT * FROM {call}, 7{after})"));
        let Some(last) = page.last() else { return all };
        let values: Vec<String> = key.iter().map(|&at| format!("'{}'", last[at])).collect();
        after = format!(", {}", values.join(", "));
        all.extend(page);
    }
}

#[test]
fn pages_join_without_a_gap_or_a_row_twice() {
    let db = filled();
    let _ = refresh(&db, &[]);
    for (call, key, rows) in [
        ("get_corporation_members(98", vec![2, 0], 40),
        ("get_corporation_killmails(98", vec![1, 0], 300),
        ("get_character_killmails(1003", vec![1, 0], 15),
        ("get_corporation_losses(98", vec![1, 0], 300),
        ("get_system_killmails(31", vec![4, 0], 90),
    ] {
        let found = pages(&db, call, &key);
        let mut ids: Vec<&String> = found.iter().map(|row| &row[0]).collect();
        ids.sort();
        ids.dedup();
        assert_eq!((found.len(), ids.len()), (rows, rows), "{call}");
        let whole = texts(&db, &format!("SELECT * FROM {call}, 1000)"));
        assert_eq!(found, whole, "{call}");
    }
    let named = "SELECT name FROM get_corporation_members(98, 100) WHERE character_id = 1003";
    assert_eq!(texts(&db, named), [["Ann"]]);
    let day = "SELECT kills, losses, active_members FROM get_corporation_activity(98, \
               '2024-01-02', '2024-01-03')";
    assert_eq!(texts(&db, day), [["48", "48", "40"]]);
}

#[test]
fn queries_use_their_indexes() {
    let db = filled();
    let _ = refresh(&db, &[]);
    for (sql, index) in [
        (
            "SELECT killmail_id FROM participants WHERE character_id = 1003 \
             AND (killmail_time, killmail_id) < ('2024-01-05', 5) \
             ORDER BY killmail_time DESC, killmail_id DESC LIMIT 9",
            "participants_character_time_idx",
        ),
        (
            "SELECT killmail_id FROM participants WHERE corporation_id = 98 \
             ORDER BY killmail_time DESC, killmail_id DESC LIMIT 9",
            "participants_corporation_time_idx",
        ),
        (
            "SELECT killmail_id FROM participants WHERE alliance_id = 98 \
             ORDER BY killmail_time DESC, killmail_id DESC LIMIT 9",
            "participants_alliance_time_idx",
        ),
        (
            "SELECT killmail_id FROM killmails_raw WHERE victim_corporation_id = 98 \
             ORDER BY killmail_time DESC LIMIT 9",
            "killmails_raw_victim_corp_time_idx",
        ),
        (
            "SELECT killmail_id FROM killmails_raw WHERE solar_system_id = 31 \
             AND total_value <= 5000 ORDER BY total_value DESC LIMIT 9",
            "killmails_raw_system_value_idx",
        ),
        (
            "SELECT killmail_id FROM killmails_raw ORDER BY killmail_time DESC, killmail_id DESC \
             LIMIT 9",
            "killmails_raw_time_idx",
        ),
        (
            "SELECT character_id FROM corporation_member_summary WHERE corporation_id = 98 \
             ORDER BY killmails DESC, character_id DESC LIMIT 9",
            "corporation_member_summary_page_idx",
        ),
    ] {
        let plan = plan(&db, "SET enable_bitmapscan = off", sql);
        assert!(plan.contains(index), "{index}: {plan}");
    }
}
