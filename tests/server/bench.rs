//! `bench`: the critical queries against their targets. Times are not held to anything here, for
//! machines differ: what is proved is what is measured, told, and how it exits.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use serde_json::Value;

use crate::support::{Client, Program, TestDb};

/// A trade engine with enough orders and trades for plans to be judged.
fn trading() -> TestDb<'static> {
    let db = TestDb::new("bench");
    let _ = Program::new(&db).args(["migrate", "up", "--domain", "trading"]).run().expect_code(0);
    let client = db.client();
    client.execute(
        "SELECT tidegate.make_partitions('trades', 'day', now() - interval '3 days', now()),
                tidegate.make_partitions('orders', 'month', now() - interval '2 months', now());
         INSERT INTO trades (trade_id, symbol, buyer_user_id, seller_user_id, price, quantity,
             is_buyer_maker, executed_at)
         SELECT n, 'S' || n % 5, 'b' || n % 70, 's' || n % 50, 100 + n % 13, (n % 11 + 1) * 0.25,
                n % 2 = 0, now() - n * (interval '3 days' / 60000)
         FROM generate_series(1, 60000) n;
         INSERT INTO orders (order_id, user_id, symbol, side, order_type, status, price, quantity,
             created_at)
         SELECT n, 'u' || n % 500, 'S' || n % 5, (ARRAY['BUY', 'SELL'])[1 + n / 5 % 2], 'LIMIT',
                CASE WHEN n % 17 = 0 THEN 'OPEN' ELSE 'FILLED' END, 100 + n % 97, 1,
                now() - n * (interval '2 months' / 60000)
         FROM generate_series(1, 60000) n;
         REFRESH MATERIALIZED VIEW mv_24h_statistics;
         ANALYZE trades, orders",
    );
    db
}

fn bench(db: &TestDb<'_>, args: &[&str]) -> (i32, Value, String) {
    let program = Program::new(db).args(["bench", "--json", "--seconds", "1"]);
    let ended = program.args(args.iter().copied()).run();
    let json = serde_json::from_str(&ended.stdout).unwrap_or_default();
    (ended.code.unwrap(), json, ended.stderr)
}

fn of<'a>(json: &'a Value, name: &str) -> &'a Value {
    let found = json["queries"].as_array().unwrap().iter().find(|query| query["query"] == name);
    found.unwrap_or_else(|| panic!("{name} is not there: {json:#}"))
}

#[test]
fn every_query_is_measured_prepared_and_its_plan_is_judged() {
    let db = trading();
    let (_, json, stderr) = bench(&db, &["--domain", "trading"]);
    let names = [
        "active_orders",
        "order_book_depth",
        "recent_trades",
        "single_order",
        "statistics_24h",
        "volume_24h",
    ];
    for name in names {
        let query = of(&json, name);
        assert!(query["target_ms"].as_f64().unwrap() <= 10.0, "{query:#}");
        assert!(query["runs"].as_u64().unwrap() >= 3 && query["rows"].as_u64().unwrap() > 0);
        assert_eq!(query["prepared"], true);
        let at = |key: &str| query[key].as_f64().unwrap();
        assert!(at("p50_ms") <= at("p95_ms") && at("p95_ms") <= at("p99_ms"), "{query:#}");
        assert!(at("execution_ms") > 0.0 && at("planning_unprepared_ms") > 0.0);
        assert!(query["plan"]["Plan"]["Node Type"].is_string(), "{query:#}");
        assert_eq!(query["plan_faults"], Value::Array(Vec::new()), "{query:#}");
    }
    for name in ["active_orders", "order_book_depth", "recent_trades", "single_order"] {
        let query = of(&json, name);
        assert_eq!(query["plan_judged"], true, "{name}");
        // Planning is gone once a statement is prepared and its plan is kept.
        let at = |key: &str| query[key].as_f64().unwrap();
        assert!(at("planning_ms") < at("planning_unprepared_ms"), "{query:#}");
    }
    let raw = of(&json, "volume_24h_raw");
    assert_eq!((&raw["state"], &raw["target_ms"]), (&Value::from("shown"), &Value::Null));
    assert_eq!(json["through"]["pooled"], false);
    let tables = json["server"]["tables"].as_array().unwrap();
    assert!(tables.iter().any(|table| table["table"] == "public.trades"), "{stderr}");
}

#[test]
fn a_missing_index_is_a_miss_and_an_empty_table_is_no_pass() {
    let db = trading();
    db.client().execute("DROP INDEX idx_trades_symbol_executed_at, idx_trades_symbol_time_volume");
    let (code, json, stderr) = bench(&db, &["--query", "recent_trades"]);
    let query = of(&json, "recent_trades");
    assert_eq!((code, &query["state"]), (1, &Value::from("miss")), "{query:#}");
    assert!(stderr.contains("idx_trades_symbol_executed_at"), "{stderr}");
    db.client().execute("TRUNCATE orders");
    let (code, json, stderr) = bench(&db, &["--domain", "trading", "--query", "single_order"]);
    assert_eq!((code, json), (1, Value::Null), "nothing was measured");
    assert!(stderr.contains("single_order: its tables are empty"), "{stderr}");
    let args = ["--query", "single_order", "--query", "volume_24h_raw"];
    let (code, json, stderr) = bench(&db, &args);
    assert_eq!(of(&json, "single_order")["state"], "not measured", "{stderr}");
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn what_became_slower_since_a_baseline_is_told() {
    let db = trading();
    let args = ["--query", "volume_24h_raw"];
    let (code, mut json, _) = bench(&db, &args);
    assert_eq!(code, 0);
    let file = db.home().join("before.json");
    let compare = |json: &Value| {
        std::fs::write(&file, json.to_string()).unwrap();
        let baseline = file.to_str().unwrap();
        bench(&db, &["--query", "volume_24h_raw", "--baseline", baseline])
    };
    // As if it had taken a thousand times as long, then no time at all.
    for (p50, p95, slower) in [(1e5, 1e5, false), (1e-3, 1e-3, true)] {
        json["queries"][0]["p50_ms"] = p50.into();
        json["queries"][0]["p95_ms"] = p95.into();
        let (code, now, stderr) = compare(&json);
        let query = of(&now, "volume_24h_raw");
        assert_eq!(query["baseline"]["slower"], slower, "{query:#}");
        assert_eq!(code, i32::from(slower), "{stderr}");
        assert_eq!(stderr.contains("slower than in the baseline"), slower, "{stderr}");
    }
    let (code, _, stderr) = compare(&Value::from("nothing of the kind"));
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn names_that_nothing_has_are_usage_errors() {
    let db = TestDb::new("bench_names");
    for args in [["--domain", "marked"], ["--query", "latest"]] {
        let (code, _, stderr) = bench(&db, &args);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("there are"), "{stderr}");
    }
}

/// PgBouncer in transaction mode in front of a database, where it is installed.
struct Pooler {
    running: std::process::Child,
    url: String,
    /// Its settings and socket.
    _folder: tempfile::TempDir,
}

impl Pooler {
    #[expect(clippy::print_stderr, reason = "a test that does not run says so")]
    fn new(db: &TestDb<'_>) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let Some(program) = places.into_iter().find(|path| std::path::Path::new(path).exists())
        else {
            eprintln!("PgBouncer is not installed: nothing is tested through it");
            return None;
        };
        let rest = db.url().split_once('@').unwrap().1.to_owned();
        let (host, rest) = rest.split_once(':').unwrap();
        let (port, name) = rest.split_once('/').unwrap();
        let host = host.replace("%2F", "/");
        // A socket's path has a hundred bytes.
        let temporary = tempfile::Builder::new().prefix("tgp-").tempdir_in("/tmp").unwrap();
        let folder = temporary.path();
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let at = folder.display();
        std::fs::write(folder.join("users"), "\"postgres\" \"\"\n").unwrap();
        let settings = format!(
            "[databases]\n{name} = host={host} port={port} dbname={name} user=postgres\n\
             [pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {at}\n\
             auth_type = trust\nauth_file = {at}/users\npool_mode = transaction\n"
        );
        std::fs::write(folder.join("ini"), settings).unwrap();
        let mut command = std::process::Command::new(program);
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let silent = std::process::Stdio::null;
        let child = command.arg(folder.join("ini")).stdout(silent()).stderr(silent()).spawn();
        let url =
            format!("postgresql://postgres@{}:6432/{name}", at.to_string().replace('/', "%2F"));
        let pooler = Self { running: child.unwrap(), url, _folder: temporary };
        while Client::try_connect(&pooler.url).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

#[test]
fn through_a_pooler_it_says_whether_prepared_statements_are_kept() {
    let db = trading();
    let Some(pooler) = Pooler::new(&db) else { return };
    let program = Program::new(&db).env("DATABASE_URL", &pooler.url);
    let args = ["bench", "--json", "--seconds", "1", "--domain", "trading"];
    let ended = program.args(args).run();
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["through"]["pooled"], true, "{}", ended.stderr);
    let kept = json["through"]["prepared"].as_bool().unwrap();
    for name in ["recent_trades", "single_order", "volume_24h"] {
        let query = of(&json, name);
        assert_eq!(query["prepared"], kept, "{query:#}");
        assert!(query["runs"].as_u64().unwrap() >= 3);
    }
    assert_eq!(ended.stderr.contains("loses prepared statements"), !kept, "{}", ended.stderr);
    let program = Program::new(&db).env("DATABASE_URL", &pooler.url);
    let args = ["loadtest", "--json", "--rate", "100", "--duration", "2s", "--yes"];
    let ended = program.args(args).run();
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["through"]["pooled"], true, "{}", ended.stderr);
    for query in json["levels"][0]["queries"].as_array().unwrap() {
        assert_eq!(query["errors"], 0, "{query:#}");
    }
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM trades"), 60_000);
}
