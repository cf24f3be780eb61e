//! The commands that look after a database: `db`, `migrate`, `status` and `doctor`, called as
//! library functions.

use std::fs::Permissions;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tidegate::command::doctor::{self, DoctorRequest};
use tidegate::command::embedded::{self, DbRequest};
use tidegate::command::migrate::{self, Action, Extent, MigrateRequest};
use tidegate::command::status::{self, StatusRequest};
use tidegate::command::{Access, Answer, CommandError};
use tidegate::db::embedded::Embedded;
use tidegate::error::Exit;

use crate::support::{Client, Server, TestDb};

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(work)
}

fn access(url: impl Into<String>) -> Access {
    Access { url: Some(url.into()) }
}

fn json(answer: &Answer) -> &Value {
    answer.json.as_ref().expect("an answer for machines")
}

fn said(answer: &Answer) -> String {
    answer.messages.join("\n")
}

fn is_there(client: &Client, table: &str) -> bool {
    client.query_one(&format!("SELECT to_regclass('{table}') IS NOT NULL"))
}

// --- migrate

fn migrate_with(
    db: &TestDb<'_>,
    action: Action,
    domain: Option<&str>,
    change: impl FnOnce(&mut MigrateRequest),
) -> Result<Answer, CommandError> {
    let domain = domain.map(str::to_owned);
    let mut request = MigrateRequest {
        access: access(db.url()),
        action,
        domain,
        extent: Extent::All,
        yes: false,
        dry_run: false,
    };
    change(&mut request);
    wait(migrate::run(&request))
}

fn migrate(db: &TestDb<'_>, action: Action, domain: Option<&str>) -> Answer {
    migrate_with(db, action, domain, |_| {}).expect("it migrates")
}

fn states(db: &TestDb<'_>) -> Vec<String> {
    let answer = migrate(db, Action::Status, None);
    let list = json(&answer).as_array().expect("a list");
    list.iter().map(|row| format!("{} {}", row["domain"], row["state"])).collect()
}

/// A sealed load of 100 records into the market table, and an unfinished one of another.
fn ledger_rows(client: &Client, sql_ago: &str) {
    client.execute(&format!(
        "INSERT INTO tidegate.run (command, program, started_at, finished_at, exit_code)
         VALUES ('backfill', 'tidegate 0.1.0', now() - interval '3 hours',
                 now() - interval '3 hours' + interval '90 seconds', 0),
                ('backfill', 'tidegate 0.1.0', now() - interval '{sql_ago}', NULL, NULL);
         INSERT INTO tidegate.content (identity, hash, bytes, target, target_oid, dataset, facts)
         SELECT n::text::bytea, 'h', 1000, 'public.market_data',
                'public.market_data'::regclass, 'bars', '{{}}' FROM generate_series(1, 2) n;
         INSERT INTO tidegate.load_set (strategy, cut_rule)
         SELECT 'direct', '4MiB' FROM generate_series(1, 2);
         INSERT INTO tidegate.load (content_id, generation, ts_from, ts_to, set_id, set_ordinal,
             run_id, source, layout, layout_version, replay, on_conflict, span_unit, span_end,
             begun_at, sealed_at, read, inserted, updated, duplicate, conflicting, rejected,
             skipped)
         SELECT n, 1, '-infinity', 'infinity', n, 1, n, 'dir/it''s ' || n || '.csv', 'canonical',
                1, '{{}}', 'skip', 'bytes', 1000, r.started_at,
                r.finished_at, v, v, v * 0, v * 0, v * 0, v * 0, v * 0
         FROM generate_series(1, 2) n JOIN tidegate.run r ON r.id = n,
              LATERAL (SELECT CASE n WHEN 1 THEN 100::bigint END AS v) s;
         INSERT INTO tidegate.portion (set_id, route, window_no, run_id, committed_at, span_start,
             span_end, first_row, first_line, lines, read, inserted, updated, duplicate,
             conflicting, rejected, skipped, tables)
         VALUES (1, '*', 0, 1, now() - interval '3 hours' + interval '60 seconds', 0, 400, 1, 1,
                 40, '{{40}}', '{{40}}', '{{0}}', '{{0}}', '{{0}}', '{{0}}', '{{0}}', '{{}}'),
                (1, '*', 1, 1, now() - interval '3 hours' + interval '80 seconds', 400, 1000, 41,
                 41, 60, '{{60}}', '{{60}}', '{{0}}', '{{0}}', '{{0}}', '{{0}}', '{{0}}', '{{}}'),
                (2, '*', 0, 2, now() - interval '{sql_ago}' + interval '1 second', 0, 999, 1, 1,
                 50, '{{50}}', '{{40}}', '{{1}}', '{{6}}', '{{0}}', '{{3}}', '{{0}}', '{{}}');
         INSERT INTO tidegate.reject (load_id, window_no, run_id, source, row_no, byte_len, rule,
             reason, raw, resolved_at)
         SELECT 2, 0, 2, 'b.csv', n, 1, 'bad_number', 'is no number', 'x',
                CASE n WHEN 1 THEN now() END
         FROM generate_series(1, 3) n"
    ));
}

#[test]
fn migrations_go_up_twice_and_down_with_their_ledger_rows() {
    let db = TestDb::new("migrate");
    assert!(states(&db).iter().all(|state| state.ends_with("\"pending\"")));
    let up = migrate(&db, Action::Up, None);
    let applied = json(&up).as_array().unwrap().len();
    assert!(applied >= 2, "{up:?}");
    assert_eq!(json(&up)[0]["domain"], "ledger");
    let again = migrate(&db, Action::Up, None);
    assert_eq!(said(&again), "nothing to do: all migrations are applied");
    assert!(states(&db).iter().all(|state| state.ends_with("\"applied\"")));

    let client = db.client();
    client.execute("INSERT INTO public.tickers (symbol) VALUES ('BTC')");
    ledger_rows(&client, "1 hour");
    let refused = migrate_with(&db, Action::Down, Some("market"), |_| {}).unwrap_err();
    assert!(refused.to_string().contains("public.tickers: give --yes"), "{refused}");
    assert_eq!(refused.exit(), Exit::Failed);
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM tidegate.load"), 2);

    migrate_with(&db, Action::Down, Some("market"), |request| request.yes = true).unwrap();
    for table in ["content", "load", "load_set", "portion", "reject"] {
        let sql = format!("SELECT count(*) FROM tidegate.{table}");
        assert_eq!(client.query_one::<i64>(&sql), 0, "{table}");
    }
    assert!(!is_there(&client, "public.market_data"));
    let back = migrate(&db, Action::Up, None);
    let of_market = json(&back).as_array().unwrap().len();
    assert!(is_there(&client, "public.market_data"));
    let down = migrate(&db, Action::Down, Some("market"));
    assert_eq!(said(&down), format!("{of_market} migrations taken back"));
    let down = migrate(&db, Action::Down, Some("market"));
    assert_eq!(said(&down), "nothing to do: domain market is not applied");
}

#[test]
fn the_ledger_does_not_go_while_it_knows_loads() {
    let db = TestDb::new("migrate ledger");
    migrate(&db, Action::Up, None);
    ledger_rows(&db.client(), "1 hour");
    let refused = migrate_with(&db, Action::Down, Some("ledger"), |_| {}).unwrap_err();
    let expected = "the ledger knows 2 loads (1 not finished)";
    assert!(refused.to_string().starts_with(expected), "{refused}");
    migrate_with(&db, Action::Down, Some("ledger"), |request| request.yes = true).unwrap();
    assert!(!is_there(&db.client(), "tidegate.load"));
}

#[test]
fn a_migration_does_not_wait_for_another() {
    let db = TestDb::new("migrate locked");
    let other = db.client();
    other.execute("SELECT pg_advisory_lock(x'7469646567617465'::bigint)");
    let error = migrate_with(&db, Action::Up, None, |_| {}).unwrap_err();
    assert_eq!(error.exit(), Exit::Locked, "{error}");
    drop(other);
}

#[test]
fn a_dry_run_prints_sql_that_runs() {
    let db = TestDb::new("migrate dry");
    let up = migrate_with(&db, Action::Up, None, |request| request.dry_run = true).unwrap();
    let sql = up.text.expect("SQL");
    assert!(!is_there(&db.client(), "tidegate.run"));
    db.client().execute(&sql);
    assert!(is_there(&db.client(), "tidegate.run"));
    // What was applied by hand is recorded now.
    migrate(&db, Action::Up, None);
    let dry = |request: &mut MigrateRequest| request.dry_run = true;
    assert_eq!(migrate_with(&db, Action::Up, None, dry).unwrap().text, None);
    let down = migrate_with(&db, Action::Down, Some("market"), dry).unwrap();
    assert!(down.text.unwrap().starts_with("-- market/"));
    assert!(is_there(&db.client(), "public.market_data"));
}

#[test]
fn an_unknown_domain_is_a_usage_error() {
    let db = TestDb::new("migrate domain");
    let error = migrate_with(&db, Action::Up, Some("marktes"), |_| {}).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.to_string().contains("there are ledger, "), "{error}");
    assert!(error.to_string().contains(", market"), "{error}");
}

// --- status

fn status_of(db: &TestDb<'_>, run: Option<i64>) -> Result<Answer, CommandError> {
    wait(status::run(&StatusRequest { access: access(db.url()), run, limit: 10 }))
}

#[test]
fn status_of_a_database_that_has_nothing() {
    let db = TestDb::new("status nothing");
    let answer = status_of(&db, None).unwrap();
    assert_eq!(answer.exit, Exit::Done);
    assert!(said(&answer).starts_with("nothing was loaded into this database yet"));
    assert!(status_of(&db, Some(1)).is_err());
    migrate(&db, Action::Up, None);
    let answer = status_of(&db, None).unwrap();
    assert_eq!(said(&answer), "no run is recorded in this database yet");
    assert_eq!(json(&answer)["runs"], serde_json::json!([]));
}

#[test]
fn status_tells_what_was_stopped_and_how_to_go_on() {
    let db = TestDb::new("status stopped");
    migrate(&db, Action::Up, None);
    ledger_rows(&db.client(), "1 hour");
    let answer = status_of(&db, None).unwrap();
    let json = json(&answer);
    let (stopped, done) = (&json["runs"][0], &json["runs"][1]);
    assert_eq!((&stopped["run_id"], &stopped["state"]), (&2.into(), &"not finished".into()));
    assert_eq!(stopped["elapsed_s"], 1.0, "until its last commit");
    assert_eq!(stopped["loads"], serde_json::json!({ "sealed": 0, "unsealed": 1 }));
    let totals = serde_json::json!({ "read": 50, "inserted": 40, "updated": 1, "duplicate": 6,
                                     "conflicting": 0, "rejected": 3, "skipped": 0 });
    assert_eq!(stopped["totals"], totals);
    assert_eq!((&done["run_id"], &done["state"]), (&1.into(), &"done".into()));
    assert_eq!(done["elapsed_s"], 90.0);
    assert_eq!(done["totals"]["read"], 100);

    let load = &json["unfinished"][0];
    assert_eq!((&load["load_id"], &load["state"]), (&2.into(), &"stopped".into()));
    assert_eq!((&load["portions"], &load["part"]), (&1.into(), &0.999.into()));
    assert_eq!(load["rows_per_s"], 0.0);
    assert_eq!(json["unfinished_total"], 1);
    assert_eq!(json["open_rejects"], 2);
    let text = answer.text.as_ref().unwrap();
    assert!(text.contains("Not finished") && text.contains("99 %"), "{text}");
    let said = said(&answer);
    assert!(said.contains(r"to resume: tidegate backfill 'dir/it'\''s 2.csv'"), "{said}");
    assert!(said.contains("2 open rejects: `tidegate rejects list` shows them"), "{said}");
}

#[test]
fn status_tells_what_is_loading_now() {
    let db = TestDb::new("status loading");
    migrate(&db, Action::Up, None);
    ledger_rows(&db.client(), "10 seconds");
    let answer = status_of(&db, None).unwrap();
    assert_eq!(json(&answer)["runs"][0]["state"], "running");
    let load = &json(&answer)["unfinished"][0];
    assert_eq!(load["state"], "loading");
    let rate = load["rows_per_s"].as_f64().unwrap();
    assert!(rate > 0.5 && rate < 50.0, "{rate}");
    assert!(!said(&answer).contains("to resume"), "{answer:?}");
}

#[test]
fn status_of_one_run_has_loads_and_throughput() {
    let db = TestDb::new("status run");
    migrate(&db, Action::Up, None);
    ledger_rows(&db.client(), "1 hour");
    let answer = status_of(&db, Some(1)).unwrap();
    let json = json(&answer);
    assert_eq!(json["loads"][0]["state"], "sealed");
    assert_eq!(json["loads"][0]["part"], 1.0);
    let steps = json["throughput"].as_array().unwrap();
    let read: i64 = steps.iter().map(|step| step["read"].as_i64().unwrap()).sum();
    assert_eq!(read, 100);
    assert!(steps.iter().all(|step| step["minutes"] == 1), "{steps:?}");
    assert!(steps.iter().all(|step| step["rows_per_min"].as_f64().unwrap() > 0.0), "{steps:?}");
    let error = status_of(&db, Some(99)).unwrap_err();
    assert_eq!(error.to_string(), "there is no run 99: `tidegate status` lists them");
}

// --- doctor

fn doctor_of(url: &str) -> Answer {
    wait(doctor::run(&DoctorRequest { access: access(url) })).expect("findings")
}

/// Checks of a level that is not `ok`, as `level check: found`.
fn findings(answer: &Answer) -> Vec<String> {
    let checks = json(answer)["checks"].as_array().expect("a list");
    let text = |check: &Value, key: &str| check[key].as_str().expect("text").to_owned();
    checks
        .iter()
        .filter(|check| check["level"] != "ok")
        .inspect(|check| assert!(check["change"].is_string() && check["why"].is_string()))
        .map(|c| format!("{} {}: {}", text(c, "level"), text(c, "check"), text(c, "found")))
        .collect()
}

fn has(answer: &Answer, start: &str) -> bool {
    findings(answer).iter().any(|finding| finding.starts_with(start))
}

#[test]
fn a_healthy_server_has_no_fault_and_its_ailments_are_named() {
    let server = Server::start(true);
    let db = TestDb::on(&server, "doctor");
    let healthy = doctor_of(&db.url());
    assert_eq!(healthy.exit, Exit::Done, "{:?}", findings(&healthy));
    assert!(!has(&healthy, "fault") && !has(&healthy, "warning rights"), "{healthy:?}");
    assert!(has(&healthy, "advice max_wal_size: 2.0 GiB"), "{:?}", findings(&healthy));
    let checks = json(&healthy)["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
    for name in ["connection", "round trip", "clock", "version", "fsync", "disk", "migrations"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(!names.contains(&"server") && !names.contains(&"settings"), "{healthy:?}");
    assert!(healthy.grid.is_some() && healthy.text.is_some());

    let name: String = db.client().query_one("SELECT current_database()::text");
    let admin = Client::connect(&server.url("postgres"));
    let alter = |what: &str| admin.execute(&format!("ALTER DATABASE {name} {what}"));
    alter("SET default_transaction_read_only = on");
    alter("SET statement_timeout = '5s'");
    let ill = doctor_of(&db.url());
    assert_eq!(ill.exit, Exit::Failed);
    let read_only = "fault default_transaction_read_only: on (set by: database)";
    assert!(has(&ill, read_only), "{:?}", findings(&ill));
    let timeout = "warning statement_timeout: 5.0 s (set by: database)";
    assert!(has(&ill, timeout), "{:?}", findings(&ill));

    alter("RESET ALL");
    admin.execute(&format!(
        "CREATE ROLE poor LOGIN CONNECTION LIMIT 5; REVOKE ALL ON DATABASE {name} FROM PUBLIC;
         GRANT CONNECT ON DATABASE {name} TO poor"
    ));
    let poor = doctor_of(&db.url().replace("postgres@", "poor@"));
    assert!(has(&poor, "fault rights: role poor may not create the schema tidegate"), "{poor:?}");
    assert!(has(&poor, "fault rights: role poor may not make temporary tables"), "{poor:?}");
    assert!(has(&poor, "warning connections: 5 free"), "{:?}", findings(&poor));
}

#[test]
fn a_server_that_does_not_sync_is_a_fault() {
    let db = TestDb::new("doctor fsync");
    let answer = doctor_of(&db.url());
    assert_eq!(answer.exit, Exit::Failed);
    assert!(has(&answer, "fault fsync: off"), "{:?}", findings(&answer));
    assert!(has(&answer, "warning full_page_writes: off"), "{:?}", findings(&answer));
}

#[test]
fn no_connection_is_a_fault_and_nonsense_an_error() {
    let db = TestDb::new("doctor nothing");
    let host = db.home().display().to_string().replace('/', "%2F");
    let answer = doctor_of(&format!("postgresql://postgres@{host}/x"));
    assert_eq!(answer.exit, Exit::Failed);
    assert!(has(&answer, "fault connection: cannot connect to"), "{answer:?}");
    assert!(wait(doctor::run(&DoctorRequest { access: access("mysql://x/y") })).is_err());
}

#[test]
fn tables_that_went_behind_the_ledger_are_named() {
    let db = TestDb::new("doctor ledger");
    migrate(&db, Action::Up, None);
    let client = db.client();
    ledger_rows(&client, "1 hour");
    let empty = doctor_of(&db.url());
    let found = "warning ledger: public.market_data is empty, but the ledger has 100 records in it";
    assert!(has(&empty, found), "{:?}", findings(&empty));
    assert!(has(&empty, "advice ledger: 1 load not finished, 2 open rejects"), "{empty:?}");
    client.execute("DROP TABLE public.market_data");
    let gone = doctor_of(&db.url());
    assert!(has(&gone, "warning ledger: public.market_data is gone"), "{:?}", findings(&gone));
    client.execute(
        "UPDATE tidegate.migration SET version = 99 \
         WHERE domain = 'market' AND version = 1",
    );
    let newer = doctor_of(&db.url());
    assert!(has(&newer, "fault migrations: made by a newer program: market/0099"), "{newer:?}");
}

// --- db

/// A home with an embedded server, which goes when the test ends, however it ends.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        // A socket's path has a hundred bytes, and the server may run as another user.
        let builder = tempfile::Builder::new()
            .prefix("tg-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in("/tmp");
        Self(builder.expect("a folder under /tmp"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, request: &DbRequest) -> Result<Answer, CommandError> {
        let embedded = Embedded::locate(Some(self.path().to_owned()))?;
        wait(embedded::run_on(&embedded, request))
    }

    fn pid(&self) -> Option<i64> {
        json(&self.run(&DbRequest::Status).expect("a status"))["pid"].as_i64()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.run(&DbRequest::Destroy { yes: true });
    }
}

#[test]
fn the_embedded_server_starts_once_outlives_a_crash_and_keeps_its_data() {
    let home = Home::new();
    let before = home.run(&DbRequest::Status).unwrap();
    assert_eq!(json(&before)["state"], "not made yet");
    assert!(home.run(&DbRequest::Url).is_err(), "there is no server yet");
    assert!(said(&home.run(&DbRequest::Stop).unwrap()).contains("was not running"));

    let started = home.run(&DbRequest::Start).unwrap();
    assert!(said(&started).contains("is started"), "{started:?}");
    let pid = home.pid().expect("it runs");
    let again = home.run(&DbRequest::Start).unwrap();
    assert!(said(&again).contains("runs already"), "{again:?}");
    assert_eq!(home.pid(), Some(pid));
    let status = home.run(&DbRequest::Status).unwrap();
    assert_eq!(json(&status)["running"], true);
    assert!(json(&status)["size_bytes"].as_u64().unwrap() > 1_000_000);
    assert!(status.grid.is_some());

    let url = home.run(&DbRequest::Url).unwrap().text.unwrap();
    Client::connect(&url).execute("CREATE TABLE t AS SELECT 42 AS x");
    // A session amid a query outlives its server for a moment, and nothing may start beside it.
    let busy = Client::connect(&url);
    let query = std::thread::spawn(move || {
        let _ = busy.try_execute("SELECT count(*) FROM generate_series(1, 8000000)");
    });
    let queries = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%8000000)'";
    let client = Client::connect(&url);
    while client.query_one::<i64>(queries) == 0 {}
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    home.run(&DbRequest::Start).unwrap();
    query.join().unwrap();
    assert_ne!(home.pid(), Some(pid.as_raw_nonzero().get().into()));
    assert_eq!(Client::connect(&url).query_one::<i32>("SELECT x FROM t"), 42);

    let refused = home.run(&DbRequest::Destroy { yes: false }).unwrap_err();
    assert!(refused.to_string().contains("give --yes"), "{refused}");
    assert!(said(&home.run(&DbRequest::Stop).unwrap()).contains("is stopped"));
    let stopped = home.run(&DbRequest::Status).unwrap();
    assert_eq!(json(&stopped)["state"], "stopped");
    assert!(said(&stopped).contains("`tidegate db start` starts it"), "{stopped:?}");
    home.run(&DbRequest::Destroy { yes: true }).unwrap();
    assert!(!home.path().join("embedded").exists());
    let nothing = home.run(&DbRequest::Destroy { yes: true }).unwrap();
    assert!(said(&nothing).contains("there is no embedded server"), "{nothing:?}");
}
