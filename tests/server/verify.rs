//! The schema that migrations make, against the checked-in list of its objects, and `verify`, which
//! finds what was damaged since.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use tidegate::command::verify::{Change, shape_of, write_change};
use tidegate::db::migration::{MIGRATIONS, Migration};

use crate::support::{Client, Program, TestDb};

const SHAPE_SQL: &str = include_str!("../../schema/query/verify/shape.sql");

type Shape = BTreeMap<[String; 3], String>;

fn shape(client: &Client) -> Shape {
    let text = |value: Option<String>| value.unwrap_or_default();
    shape_of(client.rows(SHAPE_SQL).into_iter().map(|row| {
        let row: Vec<String> = row.into_iter().map(text).collect();
        row.try_into().unwrap()
    }))
}

/// The ledger first, as `migrate up` has them.
fn in_order() -> Vec<&'static Migration> {
    let mut all: Vec<&Migration> = MIGRATIONS.iter().collect();
    all.sort_by_key(|migration| migration.domain != "ledger");
    all
}

fn section(title: &str, before: &Shape, after: &Shape) -> String {
    let mut text = format!("@ {title}\n");
    for (key, definition) in before {
        if after.get(key) != Some(definition) {
            write_change(&Change::Removed(key.clone()), &mut text);
        }
    }
    for (key, definition) in after {
        if before.get(key) != Some(definition) {
            let [kind, relation, name] = key.clone();
            let fields = [kind, relation, name, definition.clone()];
            write_change(&Change::Added(fields), &mut text);
        }
    }
    text
}

#[test]
fn migrations_make_the_schema_that_is_checked_in() {
    let db = TestDb::new("shape");
    let client = db.client();
    let mut text = String::from(
        "# What the migrations make, object by object: kind, relation, name, definition. Made by\n\
         # TIDEGATE_BLESS=1 cargo test --test server verify::\n",
    );
    let mut before = shape(&client);
    for migration in in_order() {
        client.execute(migration.up);
        let after = shape(&client);
        let title = format!("{}/{:04}_{}", migration.domain, migration.version, migration.name);
        let _ = write!(text, "{}", section(&title, &before, &after));
        before = after;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/shape.txt");
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap();
    for (at, (is, should)) in text.lines().zip(checked_in.lines()).enumerate() {
        assert_eq!(is, should, "line {} of schema/shape.txt", at + 1);
    }
    assert_eq!(text.lines().count(), checked_in.lines().count());
}

fn migrate(db: &TestDb<'_>, args: &[&str]) {
    let _ = Program::new(db).arg("migrate").args(args.iter().copied()).run().expect_code(0);
}

#[test]
fn up_twice_and_down_and_up_again_give_the_same_schema() {
    let db = TestDb::new("up down up");
    let client = db.client();
    let partitions = "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'";
    migrate(&db, &["up"]);
    let (first, parts) = (shape(&client), client.query_one::<i64>(partitions));
    assert_eq!(parts, 42);
    migrate(&db, &["up"]);
    assert_eq!(shape(&client), first);
    for domain in ["kalshi", "killmails", "market", "options", "trading", "ledger"] {
        migrate(&db, &["down", "--domain", domain, "--yes"]);
    }
    // The list of what is applied stays, empty.
    let is_list = |key: &[String; 3]| key[1] == "tidegate.migration";
    let ours: Vec<_> = shape(&client).into_keys().filter(|key| !is_list(key)).collect();
    assert!(ours.is_empty(), "left: {ours:?}");
    migrate(&db, &["up"]);
    assert_eq!((shape(&client), client.query_one::<i64>(partitions)), (first, parts));
}

#[test]
fn a_domain_that_is_taken_back_takes_the_ledgers_rows_of_it_along() {
    let db = TestDb::new("down forgets");
    let client = db.client();
    let path = crate::support::file(&db, "bars.csv", crate::support::closes(&[(0, "1"), (1, "2")]));
    let path = path.to_str().unwrap();
    migrate(&db, &["up"]);
    crate::support::load(&db, [path], 0);
    client.execute(
        "INSERT INTO tidegate.dropped_range VALUES ('public.market_data', 'x', now(), now(), 5), \
             ('public.trades', 'y', now(), now(), 6); \
         INSERT INTO tidegate.touched (target) VALUES ('public.market_data'), ('public.trades')",
    );
    let down = ["migrate", "down", "--domain", "market"];
    let ended = Program::new(&db).args(down).run().expect_code(1);
    assert!(ended.stderr.contains("public.market_data") && ended.stderr.contains("--yes"));
    let known = "SELECT (SELECT count(*) FROM tidegate.content) || ' ' || \
                 (SELECT count(*) FROM tidegate.load) || ' ' || \
                 (SELECT count(*) FROM tidegate.portion) || ' ' || \
                 (SELECT string_agg(target, ' ') FROM tidegate.dropped_range) || ' ' || \
                 (SELECT string_agg(target, ' ') FROM tidegate.touched)";
    let ranges = "public.market_data public.trades public.market_data public.trades";
    assert_eq!(client.query_one::<String>(known), format!("1 1 1 {ranges}"));
    let _ = Program::new(&db).args(down).arg("--yes").run().expect_code(0);
    assert_eq!(client.query_one::<String>(known), "0 0 0 public.trades public.trades");
    migrate(&db, &["up"]);
    let load = ["backfill", "--progress", "none", path];
    let ended = Program::new(&db).args(load).report_json().run().expect_code(0);
    assert_eq!(ended.total("inserted"), 2);
}

#[test]
fn a_load_brings_up_tables_and_leaves_what_is_for_queries() {
    let db = TestDb::new("loads alone");
    let path = crate::support::file(&db, "bars.csv", crate::support::closes(&[(0, "1")]));
    crate::support::load(&db, [path.to_str().unwrap()], 0);
    let client = db.client();
    let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'market_data'";
    assert_eq!(client.query_one::<i64>(indexes), 1, "the key alone");
    let ended = Program::new(&db).args(["verify", "--json"]).run().expect_code(0);
    assert!(ended.stdout.contains("some of market are not applied"), "{}", ended.stdout);
    migrate(&db, &["up", "--domain", "market"]);
    assert_eq!(client.query_one::<i64>(indexes), 3);
    let on_partition = "SELECT count(*) FROM pg_indexes WHERE tablename LIKE 'market\\_data\\_p%'";
    assert_eq!(client.query_one::<i64>(on_partition), 3);
}

/// What `verify` finds at fault.
fn faults(db: &TestDb<'_>, code: i32) -> Vec<String> {
    let ended = Program::new(db).args(["verify", "--json"]).run().expect_code(code);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    let checks = json["checks"].as_array().unwrap();
    let faults = checks.iter().filter(|check| check["level"] == "fault");
    faults.map(|fault| fault["found"].as_str().unwrap().to_owned()).collect()
}

fn up_of(domain: &str, version: i32) -> &'static str {
    let is = |m: &&Migration| m.domain == domain && m.version == version;
    MIGRATIONS.iter().find(is).unwrap().up
}

/// A day's partition of trades, so many days from now.
fn trades_of_day(client: &Client, days: i32) -> String {
    client.query_one(&format!(
        "SELECT to_char((now() AT TIME ZONE 'UTC')::date + {days}, '\"trades_p\"YYYY_MM_DD')"
    ))
}

#[test]
fn verify_finds_each_of_the_planted_faults() {
    let db = TestDb::new("planted");
    migrate(&db, &["up"]);
    assert_eq!(faults(&db, 0), [""; 0]);
    let client = db.client();
    let (near, far) = (trades_of_day(&client, 3), trades_of_day(&client, 20));
    let again = "SELECT create_trade_partition()".to_owned();
    let all_but_one = "DROP INDEX idx_orders_status;
         CREATE INDEX idx_orders_status ON ONLY orders (status);
         DO $$ DECLARE part record; BEGIN
             FOR part IN SELECT partition, row_number() OVER () AS n
                 FROM tidegate.partitions('orders') ORDER BY lower OFFSET 1 LOOP
                 EXECUTE format('CREATE INDEX o%s ON %s (status)', part.n, part.partition);
                 EXECUTE format('ALTER INDEX idx_orders_status ATTACH PARTITION o%s', part.n);
             END LOOP; END $$";
    let status = "DROP INDEX idx_orders_status; CREATE INDEX idx_orders_status ON orders (status)";
    let valid = |valid: bool| {
        format!(
            "UPDATE pg_index SET indisvalid = {valid} WHERE indexrelid = \
             (SELECT min(inhrelid) FROM pg_inherits \
              WHERE inhparent = 'idx_trades_symbol'::regclass)"
        )
    };
    let order = |columns: &str| {
        format!(
            "DROP INDEX idx_trades_symbol_executed_at; \
             CREATE INDEX idx_trades_symbol_executed_at ON trades ({columns})"
        )
    };
    let attach = format!(
        "ALTER TABLE trades ATTACH PARTITION {far} FOR VALUES FROM \
         (date_trunc('day', now(), 'UTC') + interval '20 days') \
         TO (date_trunc('day', now(), 'UTC') + interval '21 days')"
    );
    let planted: Vec<(String, String, &str)> = vec![
        (all_but_one.to_owned(), status.to_owned(), "index idx_orders_status is missing on "),
        (valid(false), valid(true), " is invalid"),
        (format!("DROP TABLE {near}"), again.clone(), "for the next "),
        (format!("DROP TABLE {far}"), again, "public.trades has no partition from "),
        (order("executed_at DESC, symbol"), order("symbol, executed_at DESC"), "(executed_at DESC"),
        (
            "DROP TRIGGER orders_set_updated_at ON orders".to_owned(),
            up_of("trading", 5).to_owned(),
            "trigger orders_set_updated_at of public.orders is missing",
        ),
        (
            "ALTER TABLE orders DISABLE TRIGGER orders_set_updated_at".to_owned(),
            "ALTER TABLE orders ENABLE TRIGGER orders_set_updated_at".to_owned(),
            "(enabled: D)",
        ),
        (
            "ALTER TABLE trades DROP CONSTRAINT trades_price_check".to_owned(),
            "ALTER TABLE trades ADD CONSTRAINT trades_price_check CHECK (price > 0)".to_owned(),
            "constraint trades_price_check of public.trades is missing",
        ),
        (
            "CREATE OR REPLACE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql \
             AS 'BEGIN RETURN NEW; END'"
                .to_owned(),
            up_of("trading", 5).to_owned(),
            "function public.set_updated_at() is ",
        ),
        (
            "ALTER TABLE espn.games ALTER COLUMN league TYPE varchar(9)".to_owned(),
            "ALTER TABLE espn.games ALTER COLUMN league TYPE text".to_owned(),
            "column league of espn.games is character varying(9), and should be text",
        ),
        (
            "DROP MATERIALIZED VIEW mv_24h_statistics".to_owned(),
            up_of("trading", 4).to_owned(),
            "table public.mv_24h_statistics is missing",
        ),
        (format!("ALTER TABLE trades DETACH PARTITION {far}"), attach, "and is none"),
    ];
    for (plant, mend, words) in planted {
        client.execute(&plant);
        let found = faults(&db, 1);
        assert!(found.iter().any(|fault| fault.contains(words)), "{words}: {found:#?}");
        client.execute(&mend);
        assert_eq!(faults(&db, 0), [""; 0], "after {mend}");
    }
}

#[test]
fn an_index_of_the_users_that_nobody_uses_is_found() {
    let db = TestDb::new("unused");
    migrate(&db, &["up", "--domain", "trading"]);
    let client = db.client();
    client.execute("CREATE INDEX extra_idx ON trades (buyer_fee)");
    assert_eq!(faults(&db, 0), [""; 0], "nothing was searched yet");
    let reader = db.client();
    reader.execute(
        "SET enable_seqscan = off; DO $$ BEGIN FOR n IN 1..10 LOOP \
         PERFORM 1 FROM trades WHERE trade_id = 'x'; END LOOP; END $$",
    );
    // A session hands in its statistics at its end at the latest.
    drop(reader);
    let scans = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_tables \
                 WHERE relname LIKE 'trades\\_p%'";
    while db.client().query_one::<i64>(scans) < 100 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let found = faults(&db, 1);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("extra_idx of public.trades ("), "{}", found[0]);
    client.execute("DROP INDEX extra_idx");
    assert_eq!(faults(&db, 0), [""; 0]);
}

#[test]
fn a_database_without_migrations_has_nothing_to_verify() {
    let db = TestDb::new("nothing");
    let ended = Program::new(&db).arg("verify").run().expect_code(1);
    assert!(ended.stderr.contains("tidegate migrate up"), "{}", ended.stderr);
}
