//! The databases of the domains beyond loading: indexes, functions, aggregates and what keeps them
//! fresh. One file a domain.

mod kalshi;
mod killmails;
mod market;
mod options;
mod trading;

use std::collections::BTreeMap;

use crate::support::{Program, TestDb, fixture, load};

/// A database with every migration of a domain.
fn migrated(domain: &str) -> TestDb<'static> {
    let db = TestDb::new(domain);
    let _ = Program::new(&db).args(["migrate", "up", "--domain", domain]).run().expect_code(0);
    db
}

/// Runs `refresh`; its answer by the name of what was refreshed.
fn refresh(db: &TestDb<'_>, args: &[&str]) -> Vec<serde_json::Value> {
    let program = Program::new(db).args(["refresh", "--json"]).args(args.iter().copied());
    let ended = program.run().expect_code(0);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// The plan of a statement, where the planner is told not to read tables as a whole: small ones it
/// would.
fn plan(db: &TestDb<'_>, settings: &str, sql: &str) -> String {
    let client = db.client();
    client.execute(&format!("SET enable_seqscan = off; {settings}"));
    let rows = client.rows(&format!("EXPLAIN (COSTS OFF) {sql}"));
    rows.into_iter().flatten().flatten().collect::<Vec<_>>().join("\n")
}

/// The rows of a query as text.
fn texts(db: &TestDb<'_>, sql: &str) -> Vec<Vec<String>> {
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    db.client().rows(sql).into_iter().map(|row| row.into_iter().map(text).collect()).collect()
}

/// The rows of something derived: what each says, and where it lies since when.
fn places(db: &TestDb<'_>, name: &str) -> BTreeMap<String, String> {
    let sql = format!(
        "SELECT t::text, t.tableoid || ' ' || t.xmin::text || ' ' || t.ctid::text FROM {name} t"
    );
    texts(db, &sql).into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

/// Fails if a row that says the same was written again; how many say something new, or are gone.
fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> [usize; 2] {
    for (row, place) in before {
        assert!(after.get(row).is_none_or(|now| now == place), "written again: {row}");
    }
    let missing = |from: &BTreeMap<String, String>, of: &BTreeMap<String, String>| {
        of.keys().filter(|row| !from.contains_key(*row)).count()
    };
    [missing(before, after), missing(after, before)]
}

#[test]
fn a_load_refreshes_what_is_made_of_it_and_nothing_else() {
    let db = TestDb::new("every domain");
    let _ = Program::new(&db).args(["migrate", "up"]).run().expect_code(0);
    let refreshed = |full: &[&str]| {
        let done = refresh(&db, full).into_iter().filter(|one| one["state"] == "refreshed");
        let names = done.map(|one| one["name"].as_str().unwrap_or_default().to_owned());
        // It slides with the time of day, and a running engine writes trades without a load.
        names.filter(|name| name != "public.mv_24h_statistics").collect::<Vec<_>>()
    };
    let _ = refreshed(&[]);
    let features = "derived.snapshot_features_trade_v1";
    let options = [
        "public.fo_option_strike_bars_5min",
        "public.fo_option_strike_bars_15min",
        "public.fo_option_strike_latest",
    ];
    let killmails = ["public.character_activity_summary", "public.corporation_member_summary"];
    for (dataset, made) in [
        ("bars", &[][..]),
        ("market_trades", &[]),
        ("predictions", &[]),
        ("orders", &[]),
        ("trades", &[]),
        ("option_bars", &[]),
        ("option_strike_bars", &options[..]),
        ("kalshi_trades", &[features]),
        ("games", &[features]),
        ("killmails", &killmails[..]),
    ] {
        let path = match dataset {
            "killmails" => fixture("killmails/esi.ndjson"),
            _ => fixture(&format!("datasets/{dataset}.csv")),
        };
        let objects = [&options[..], &killmails[..], &[features]].concat();
        let others: Vec<&str> = objects.into_iter().filter(|name| !made.contains(name)).collect();
        let before: Vec<_> = others.iter().map(|name| places(&db, name)).collect();
        load(&db, [path.to_str().expect("a name"), "--dataset", dataset], 0);
        assert_eq!(refreshed(&[]), made, "{dataset}");
        let after: Vec<_> = others.iter().map(|name| places(&db, name)).collect();
        assert_eq!(before, after, "{dataset}");
        assert_eq!(refreshed(&[]), [""; 0], "{dataset}, again");
        // The same content again writes nothing, so there is nothing to do.
        load(&db, [path.to_str().expect("a name"), "--dataset", dataset, "--reload"], 0);
        assert_eq!(refreshed(&[]), [""; 0], "{dataset}, loaded again");
    }
}
