//! A server with TimescaleDB, where `TIDEGATE_TEST_TIMESCALE_URL` names one
//! (`scripts/timescale-dev` makes it): the same migrations, loads and checks.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::path::PathBuf;

use crate::support::{Client, Program, closes};

/// A database with the extension on that server, dropped at the end.
struct Timescale {
    server: String,
    name: String,
    home: PathBuf,
}

impl Timescale {
    #[expect(clippy::print_stderr, reason = "a test that does not run says so")]
    fn new(name: &str) -> Option<Self> {
        let Some(server) = std::env::var("TIDEGATE_TEST_TIMESCALE_URL").ok() else {
            eprintln!("TIDEGATE_TEST_TIMESCALE_URL is not set: nothing is tested on TimescaleDB");
            return None;
        };
        let name = format!("tidegate_test_{}_{name}", std::process::id());
        Client::connect(&server).execute(&format!("CREATE DATABASE {name}"));
        let home = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&home).unwrap();
        let this = Self { server, name, home };
        this.client().execute("CREATE EXTENSION IF NOT EXISTS timescaledb");
        Some(this)
    }

    fn url(&self) -> String {
        let (start, _) = self.server.rsplit_once('/').unwrap();
        format!("{start}/{}", self.name)
    }

    fn client(&self) -> Client {
        Client::connect(&self.url())
    }

    fn program(&self) -> Program {
        Program::bare(&self.home).env("DATABASE_URL", self.url())
    }
}

impl Drop for Timescale {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let _ = Client::try_connect(&self.server).map(|client| client.try_execute(&drop));
    }
}

#[test]
fn migrations_loads_and_checks_are_the_same() {
    let Some(db) = Timescale::new("same") else { return };
    for _ in 0..2 {
        let _ = db.program().args(["migrate", "up"]).run().expect_code(0);
    }
    let path = db.home.join("bars.csv");
    std::fs::write(&path, closes(&[(0, "1"), (1, "2"), (2, "3")])).unwrap();
    let load = || {
        let program = db.program().args(["backfill", "--progress", "none"]).arg(&path);
        program.report_json().run().expect_code(0)
    };
    let ended = load();
    assert_eq!(ended.total("inserted"), 3);
    assert!(ended.report()["database"]["timescaledb"].to_string().contains("2."));
    assert_eq!(load().total("inserted"), 0, "the same content is not loaded again");
    let latest = "SELECT close \
                  FROM tickers t, get_price_range(t.id, '1m', '-infinity', 'infinity') \
                  ORDER BY ts DESC LIMIT 1";
    assert_eq!(db.client().query_one::<f64>(latest).to_string(), "3");
    let _ = db.program().arg("refresh").run().expect_code(0);
    let _ = db.program().arg("verify").run().expect_code(0);
    let _ =
        db.program().args(["migrate", "down", "--domain", "market", "--yes"]).run().expect_code(0);
}
