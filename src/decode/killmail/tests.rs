use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;

use super::*;

/// A killmail of our own: two attackers, one of them an NPC, and a container with two things.
const BODY: &str = r#"{"attackers":[
    {"character_id":2147483001,"corporation_id":98000001,"alliance_id":99000001,
     "damage_done":700,"final_blow":true,"security_status":-1.5,"ship_type_id":587,
     "weapon_type_id":2488},
    {"damage_done":20,"faction_id":500021,"final_blow":false,"security_status":0}],
  "killmail_id":70000001,"killmail_time":"2019-05-06T07:08:09Z","solar_system_id":30000142,
  "victim":{"character_id":2147483002,"corporation_id":98000002,"damage_taken":720,
    "items":[{"flag":5,"item_type_id":3467,"quantity_dropped":1,"singleton":0,
        "items":[{"flag":0,"item_type_id":34,"quantity_destroyed":9000000000,"singleton":0},
                 {"flag":0,"item_type_id":35,"quantity_dropped":7,"singleton":0}]},
      {"flag":87,"item_type_id":2488,"quantity_destroyed":5,"singleton":0}],
    "position":{"x":-1.25,"y":2e3,"z":0},"ship_type_id":17480}}"#;

fn with(start: &str, more: &str) -> String {
    let body = BODY.strip_prefix('{').unwrap();
    format!("{{{start}{}", body.strip_suffix('}').unwrap().to_owned() + more + "}")
}

fn take(document: &str) -> Result<TakenRows, RecordFault> {
    let mut decoder = Killmails::new(None, None);
    assert_eq!(decoder.take(document.as_bytes())?, Taken::Row, "{document}");
    Ok(decoder.finish().unwrap())
}

fn rows(document: &str) -> TakenRows {
    take(document).unwrap_or_else(|fault| panic!("{document}: {fault:?}"))
}

fn fault(document: &str) -> RecordFault {
    take(document).map(|_| ()).expect_err(document)
}

fn long(rows: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    let column = rows.column_by_name(name).unwrap();
    match column.as_primitive_opt::<Int64Type>() {
        Some(column) => column.iter().collect(),
        None => column.as_primitive::<Int32Type>().iter().map(|n| n.map(i64::from)).collect(),
    }
}

fn text(rows: &RecordBatch, name: &str) -> Option<String> {
    let column = rows.column_by_name(name).unwrap().as_string::<i32>();
    column.is_valid(0).then(|| column.value(0).to_owned())
}

#[test]
fn a_killmail_becomes_rows_of_three_tables() {
    let TakenRows { root, children } = rows(BODY);
    assert_eq!(long(&root, "killmail_id"), [Some(70_000_001)]);
    assert_eq!(long(&root, "victim_character_id"), [Some(2_147_483_002)]);
    assert_eq!(long(&root, "victim_alliance_id"), [None]);
    assert_eq!(long(&root, "attacker_count"), [Some(2)]);
    assert_eq!((text(&root, "killmail_hash"), text(&root, "total_value")), (None, None));
    assert_eq!(text(&root, "raw_data").unwrap(), BODY);
    let time = root.column_by_name("killmail_time").unwrap();
    let time = time.as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!(time, 1_557_126_489_000_000);
    let x = root.column_by_name("position_x").unwrap().as_primitive::<Float64Type>().value(0);
    assert_eq!(x.to_bits(), (-1.25_f64).to_bits());
    let [participants, items] = children.try_into().unwrap();
    assert_eq!((participants.table, participants.root_of), (1, vec![0, 0, 0]));
    let people = participants.rows;
    assert_eq!(long(&people, "seq"), [Some(0), Some(1), Some(2)]);
    assert_eq!(long(&people, "damage"), [Some(720), Some(700), Some(20)]);
    assert_eq!(long(&people, "character_id")[1..], [Some(2_147_483_001), None]);
    assert_eq!(long(&people, "weapon_type_id"), [None, Some(2488), None]);
    let blows = people.column_by_name("final_blow").unwrap().as_boolean();
    assert_eq!(blows.iter().collect::<Vec<_>>(), [Some(false), Some(true), Some(false)]);
    let victims = people.column_by_name("is_victim").unwrap().as_boolean();
    assert_eq!(victims.iter().collect::<Vec<_>>(), [Some(true), Some(false), Some(false)]);
    assert_eq!((items.table, items.root_of), (2, vec![0; 4]));
    assert_eq!(long(&items.rows, "seq"), [Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(long(&items.rows, "parent_seq"), [None, Some(1), Some(1), None]);
    assert_eq!(long(&items.rows, "item_type_id"), [Some(3467), Some(34), Some(35), Some(2488)]);
    let destroyed = long(&items.rows, "quantity_destroyed");
    assert_eq!(destroyed, [None, Some(9_000_000_000), None, Some(5)]);
}

#[test]
fn every_envelope_says_the_same_of_the_killmail() {
    let zkb = r#""zkb":{"hash":"c0ffee","totalValue":1234567890123.45,"labels":["pvp"]}"#;
    let plain = rows(BODY);
    let all = [
        (
            with("", r#","killmail_hash":"c0ffee","http_last_modified":"2019-05-07T00:00:00Z""#),
            false,
        ),
        (with("", &format!(",{zkb}")), true),
        (with(&format!("{zkb},"), ""), true),
        (format!(r#"{{"killID":70000001,"killmail":{BODY},{zkb}}}"#), true),
        (format!(r#"{{"package":{{"killID":70000001,"killmail":{BODY},{zkb}}}}}"#), true),
        (format!(r#"{{"killmail_id":70000001,"hash":"c0ffee","esi":{BODY},{zkb}}}"#), true),
        (format!(r#"{{{zkb},"esi":{BODY},"hash":"c0ffee","killmail_id":70000001}}"#), true),
    ];
    for (document, valued) in all {
        let taken = rows(&document);
        assert_eq!(long(&taken.root, "content_hash"), long(&plain.root, "content_hash"));
        assert_eq!(text(&taken.root, "killmail_hash").unwrap(), "c0ffee");
        let value = valued.then(|| "1234567890123.45".to_owned());
        assert_eq!(text(&taken.root, "total_value"), value);
        assert_eq!(taken.children[0].rows, plain.children[0].rows);
        assert_eq!(taken.children[1].rows, plain.children[1].rows);
        assert_eq!(text(&taken.root, "raw_data").unwrap(), document);
    }
}

#[test]
fn what_a_killmail_says_makes_its_content() {
    let content = |document: &str| long(&rows(document).root, "content_hash");
    let same = [
        BODY.replace(['\n', ' '], ""),
        BODY.replace("-1.5,", "-1.50,")
            .replace("\"security_status\":0}", "\"security_status\":0.0}"),
        BODY.replace("\"items\":[{\"flag\":0", "\"it\\u0065ms\":[{\"flag\":0"),
        BODY.replace("\"damage_done\":20,", "\"character_id\":null,\"damage_done\":20,"),
    ];
    for document in same {
        assert_eq!(content(&document), content(BODY), "{document}");
    }
    let other = [
        BODY.replace("2e3", "2e3,\"w\":1"),
        BODY.replace("\"flag\":87", "\"flag\":88"),
        BODY.replace("-1.5,", "-1.6,"),
        BODY.replace("07:08:09", "07:08:10"),
        with("\"war_id\":5,", ""),
        with("\"new\":[[],{}],", ""),
    ];
    for document in other {
        assert_ne!(content(&document), content(BODY), "{document}");
    }
}

#[test]
fn a_record_without_a_body_is_a_row_without_the_rest() {
    let zkb = r#"{"killmail_id":70000001,"zkb":{"hash":"c0ffee","totalValue":10000.0}}"#;
    let taken = rows(zkb);
    assert_eq!(long(&taken.root, "killmail_id"), [Some(70_000_001)]);
    assert_eq!(text(&taken.root, "killmail_hash").unwrap(), "c0ffee");
    assert_eq!(text(&taken.root, "total_value").unwrap(), "10000.0");
    for name in ["raw_data", "killmail_time", "content_hash", "attacker_count"] {
        assert!(taken.root.column_by_name(name).unwrap().is_null(0), "{name}");
    }
    assert!(taken.children.iter().all(|child| child.rows.num_rows() == 0));
    let mut decoder = Killmails::new(None, None);
    assert_eq!(decoder.take(br#"{"package":null}"#), Ok(Taken::Skipped));
}

#[test]
fn no_attackers_and_no_items_are_fine() {
    let npc = r#"{"killmail_id":1,"killmail_time":"2020-01-01T00:00:00Z","solar_system_id":2,
        "attackers":[],"victim":{"damage_taken":0,"ship_type_id":670}}"#;
    let taken = rows(npc);
    assert_eq!(taken.children[0].rows.num_rows(), 1);
    assert_eq!(taken.children[1].rows.num_rows(), 0);
}

#[test]
fn every_defect_has_its_rule() {
    let cut = |from: &str, to: &str| BODY.replacen(from, to, 1);
    let cases: [(String, &str, Option<&str>, &str); 26] = [
        (cut("\"killmail_id\":70000001,", ""), "null_value", Some("killmail_id"), "missing"),
        (cut("70000001", "-7"), "out_of_range", Some("killmail_id"), "positive"),
        (cut("70000001", "\"70000001\""), "wrong_type", Some("killmail_id"), "the text"),
        (cut("70000001", "1.5"), "bad_number", Some("killmail_id"), "1.5"),
        (cut("70000001", "9223372036854775808"), "out_of_range", Some("killmail_id"), "large"),
        (
            cut("\"killmail_time\":\"2019-05-06T07:08:09Z\",", ""),
            "null_value",
            Some("killmail_time"),
            "missing",
        ),
        (cut("2019-05-06T07:08:09Z", "yesterday"), "bad_time", Some("killmail_time"), "yesterday"),
        (cut("\"2019-05-06T07:08:09Z\"", "5"), "wrong_type", Some("killmail_time"), "quotes"),
        (cut("30000142", "null"), "null_value", Some("solar_system_id"), "missing"),
        (cut("\"victim\":{", "\"loser\":{"), "null_value", Some("victim"), "missing"),
        (cut("\"attackers\":[", "\"friends\":["), "null_value", Some("attackers"), "missing"),
        (cut("\"damage_taken\":720,", ""), "null_value", Some("damage_taken"), "missing"),
        (cut("\"damage_done\":20,", ""), "null_value", Some("damage_done"), "missing"),
        (cut("\"final_blow\":false,", ""), "null_value", Some("final_blow"), "missing"),
        (cut("\"item_type_id\":34,", ""), "null_value", Some("item_type_id"), "missing"),
        (cut("\"final_blow\":false", "\"final_blow\":0"), "wrong_type", Some("final_blow"), "true"),
        (
            cut("\"final_blow\":false", "\"final_blow\":true"),
            "one_final_blow",
            Some("final_blow"),
            "2 of 2",
        ),
        (
            cut("\"final_blow\":true", "\"final_blow\":false"),
            "one_final_blow",
            Some("final_blow"),
            "0 of 2",
        ),
        (cut("\"y\":2e3", "\"y\":1e400"), "out_of_range", Some("y"), "large"),
        (cut("\"y\":2e3", "\"y\":NaN"), "not_finite", Some("y"), "finite"),
        (cut("\"y\":2e3", "\"w\":Infinity"), "not_finite", Some("w"), "finite"),
        (cut("\"flag\":87", "\"flag\":87,\"flag\":87"), "duplicate_key", Some("flag"), "twice"),
        (with("", ",\"zkb\":{\"totalValue\":\"much\"}"), "bad_number", Some("totalValue"), "much"),
        (
            format!(r#"{{"killID":5,"killmail":{BODY}}}"#),
            "id_mismatch",
            Some("killmail_id"),
            "both",
        ),
        (r#"{"70000001":"c0ffee","70000002":"deca"}"#.to_owned(), "no_killmail", None, "fetch"),
        (
            r#"{"killID":5,"killTime":"2017.08.30 20:21:51"}"#.to_owned(),
            "old_format",
            None,
            "CREST",
        ),
    ];
    for (document, rule, column, part) in cases {
        let fault = fault(&document);
        assert_eq!((&*fault.rule, fault.column.as_deref()), (rule, column), "{document}");
        assert!(fault.reason.contains(part), "{}", fault.reason);
    }
    for document in ["", "null", "[]", "{}", "5", "{\"killmail_id\":5}", "\"x\""] {
        fault(document);
    }
    assert_eq!(fault(&format!("{BODY} {BODY}")).rule, "invalid_json");
    let deep = format!("{}{}", "{\"killmail_id\":1,\"x\":", "[".repeat(10_000));
    assert_eq!(fault(&deep).rule, "too_deep");
    let items = "{\"item_type_id\":1,\"items\":[".repeat(5_000);
    assert_eq!(fault(&format!("{{\"victim\":{{\"items\":[{items}")).rule, "too_deep");
}

#[test]
fn every_cut_is_a_fault_and_leaves_no_trace() {
    let mut decoder = Killmails::new(None, None);
    for len in 0..BODY.len() {
        if BODY.is_char_boundary(len) {
            let fault = decoder.take(&BODY.as_bytes()[..len]).expect_err("it is cut off");
            assert_eq!(fault.rule, "invalid_json", "{}", &BODY[..len]);
        }
    }
    assert_eq!(decoder.take(BODY.as_bytes()), Ok(Taken::Row));
    let taken = decoder.finish().unwrap();
    assert_eq!((taken.root.num_rows(), taken.children[0].rows.num_rows()), (1, 3));
    assert_eq!(taken.children[1].rows.num_rows(), 4);
    assert_eq!(decoder.finish().unwrap().root.num_rows(), 0);
}

#[test]
fn killmails_outside_the_window_are_skipped_whatever_else_is_wrong() {
    let at = 1_557_126_489_000_000;
    let broken = BODY.replace("\"final_blow\":true", "\"final_blow\":7");
    let outcome = |from, to, document: &str| {
        Killmails::new(from, to).take(document.as_bytes()).map_err(|fault| fault.rule)
    };
    assert_eq!(outcome(Some(at), Some(at + 1), BODY), Ok(Taken::Row));
    assert_eq!(outcome(Some(at + 1), None, BODY), Ok(Taken::Skipped));
    assert_eq!(outcome(None, Some(at), BODY), Ok(Taken::Skipped));
    assert_eq!(outcome(None, Some(at), &broken), Ok(Taken::Skipped));
    let package = format!("{{\"package\":{{\"zkb\":{{}},\"killmail\":{broken}}}}}");
    assert_eq!(outcome(None, Some(at), &package), Ok(Taken::Skipped));
    assert_eq!(outcome(Some(at), None, &broken), Err("wrong_type".into()));
}

#[test]
fn an_escaped_nul_is_kept_as_it_is_written() {
    let document = with("\"note\":\"a\\u0000b\",", "");
    assert_eq!(text(&rows(&document).root, "raw_data").unwrap(), document);
    let hash = with("", ",\"killmail_hash\":\"a\\u0000b\"");
    assert_eq!(fault(&hash).rule, "nul_byte");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_document_makes_it_panic(
        parts in prop::collection::vec(
            prop_oneof![
                "[{}\\[\\],:]", "-?[0-9]{1,3}(\\.[0-9])?", "\"[ -~]{0,4}\"", "true|null|NaN",
                prop::sample::select(vec![
                    "{\"victim\":{", "\"attackers\":[", "\"items\":[{", "\"killmail_id\":",
                    "\"zkb\":{\"totalValue\":", "\"package\":", "\"killmail\":", "},", "}]",
                ]).prop_map(str::to_owned),
            ],
            0..40,
        ),
    ) {
        let _ = Killmails::new(Some(0), None).take(parts.concat().as_bytes());
    }

    #[test]
    fn a_byte_changed_is_a_row_or_a_fault(at in 0..BODY.len(), byte in any::<u8>()) {
        let mut bytes = BODY.as_bytes().to_vec();
        bytes[at] = byte;
        let mut decoder = Killmails::new(None, None);
        let taken = decoder.take(&bytes);
        prop_assert_eq!(decoder.finish().unwrap().root.num_rows(), usize::from(taken.is_ok()));
    }
}
