//! The databases of the domains beyond loading: indexes, functions, aggregates and what keeps them
//! fresh. One file a domain.

mod kalshi;
mod killmails;
mod market;
mod options;
mod trading;

use crate::support::{Program, TestDb};

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
