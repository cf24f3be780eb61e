//! What a load may touch: a role with no more rights than it needs, and names from files that are
//! only names.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::path::Path;

use crate::support::{Outcome, Program, TestDb, closes, file, fixture};

/// A database in which somebody else has a table, and the role that the documentation makes.
struct Kept<'a> {
    db: TestDb<'a>,
    role: String,
    url: String,
}

impl Kept<'_> {
    fn new(name: &str) -> Self {
        let db = TestDb::new(name);
        let role = format!("loader_{}_{}", std::process::id(), name.replace(' ', "_"));
        let database = db.url().rsplit('/').next().unwrap_or_default().to_owned();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/least-privilege.sql");
        let script = std::fs::read_to_string(script).unwrap();
        // As psql fills in its variables.
        let script = script.replace(":\"role\"", &format!("\"{role}\""));
        db.client().execute(&script.replace(":\"DBNAME\"", &format!("\"{database}\"")));
        db.client().execute("CREATE TABLE canary AS SELECT 'sings' AS canary");
        let url = db.url().replacen("postgres@", &format!("{role}@"), 1);
        assert_ne!(url, db.url());
        let kept = Self { db, role, url };
        // A database with a table of somebody else's gets ours only when it is asked for.
        kept.run(&["migrate", "up"], 0);
        kept
    }

    /// Runs the program under the role.
    fn run(&self, args: &[&str], code: i32) -> Outcome {
        let program = Program::new(&self.db).args(args.iter().copied());
        program.env("DATABASE_URL", &self.url).run().expect_code(code)
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        let role = &self.role;
        let _ = self.db.client().try_execute(&format!("DROP OWNED BY \"{role}\" CASCADE"));
        let _ = self.db.client().try_execute(&format!("DROP ROLE \"{role}\""));
    }
}

#[test]
fn the_documented_role_loads_everything_and_nothing_else() {
    let kept = Kept::new("least");
    let bars = file(&kept.db, "bars.csv", closes(&[(0, "1"), (1, "2")]));
    let bars = bars.to_str().unwrap();
    kept.run(&["backfill", bars, "--progress", "none"], 0);
    let changed = file(
        &kept.db,
        "changed.csv",
        closes(&[(0, "3"), (2, "1"), (3, "1"), (4, "1"), (5, "1"), (6, "x")]),
    );
    let args = ["backfill", changed.to_str().unwrap(), "--on-conflict", "update"];
    kept.run(&args, 3);
    let mails = fixture("killmails").join("esi.ndjson");
    kept.run(&["backfill", mails.to_str().unwrap()], 0);
    for args in [
        &["migrate", "up"][..],
        &["migrate", "status"],
        &["refresh"],
        &["verify", "schema"],
        &["verify", "data"],
        &["status"],
        &["rejects", "list"],
    ] {
        kept.run(args, 0);
    }
    let client = kept.db.client();
    assert_eq!(client.query_one::<i64>("SELECT count(*) FROM killmails_raw"), 30);
    assert_eq!(client.query_one::<f64>("SELECT sum(close)::float8 FROM market_data"), 9.0);
    // A table of somebody else's, without rights and with them.
    let ddl = "CREATE TABLE others (symbol text, ts timestamptz, close float8, \
               PRIMARY KEY (symbol, ts))";
    client.execute(ddl);
    let refused = kept.run(&["backfill", bars, "--table", "others"], 1);
    assert!(refused.stderr.contains("others"), "{}", refused.stderr);
    client.execute(&format!("GRANT SELECT, INSERT, UPDATE ON others TO \"{}\"", kept.role));
    kept.run(&["backfill", bars, "--table", "others"], 0);
    let update = [&["backfill", changed.to_str().unwrap(), "--table", "others"][..], &args[2..]];
    kept.run(&update.concat(), 3);
    assert_eq!(client.query_one::<f64>("SELECT sum(close) FROM others"), 9.0);
    assert_eq!(client.query_one::<String>("SELECT canary FROM canary"), "sings");
    let may = format!(
        "SELECT has_table_privilege('{0}', 'canary', 'SELECT, INSERT, UPDATE, DELETE') \
            OR (SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls \
                FROM pg_roles WHERE rolname = '{0}')",
        kept.role
    );
    assert!(!client.query_one::<bool>(&may));
}

/// Names that somebody might send: of files, columns, symbols and tables.
const HOSTILE: [&str; 9] = [
    "'; DROP TABLE canary; --",
    "\"; DROP TABLE canary; --",
    "$$; DROP TABLE canary; $$",
    "a\nb; DROP TABLE canary",
    "\\'; DROP TABLE canary; --",
    "%s%n{}{0}:role",
    "\u{202e}el\u{200b}bat",
    "sixty-three-bytes-of-a-name-that-is-as-long-as-names-may-be-123",
    "ünïcödé ☃ 表",
];

#[test]
fn names_from_files_are_only_names() {
    let kept = Kept::new("hostile names");
    let client = kept.db.client();
    let objects = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
         WHERE nspname NOT LIKE 'pg_%' AND nspname <> 'information_schema'";
    let warm = file(&kept.db, "warm.csv", closes(&[(0, "1")]));
    kept.run(&["backfill", warm.to_str().unwrap()], 0);
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    for (at, name) in HOSTILE.iter().enumerate() {
        // The names of columns stand in one line.
        let column = name.replace('\n', " ");
        // As a symbol, and as the name of a file and of a column that nobody asked for.
        let text = format!(
            "symbol,interval,ts,open,high,low,close,volume,{1}\n\
             {0},1m,2024-06-03T09:00:00Z,1,1,1,1,1,{0}\n\
             {0},1m,2024-06-03T09:01:00Z,1,1,1,1,1,{0}\n\
             {0},1m,2024-06-03T09:02:00Z,1,1,1,1,1,{0}\n\
             {0},1m,2024-06-03T09:03:00Z,1,1,1,1,1,{0}\n\
             {0},1m,2024-06-03T09:04:00Z,1,1,1,x,1,{0}\n",
            quoted(name),
            quoted(&column)
        );
        let path = file(&kept.db, &format!("{at} {}.csv", name.replace('/', "_")), &text);
        let before: i64 = client.query_one(objects);
        kept.run(&["backfill", path.to_str().unwrap(), "--progress", "none"], 3);
        assert_eq!(client.query_one::<i64>(objects), before, "{name:?} made something");
        let literal = name.replace('\'', "''");
        let stored = format!("SELECT count(*) FROM tickers WHERE symbol = '{literal}'");
        assert_eq!(client.query_one::<i64>(&stored), 1, "{name:?}");
        // As the name of a table and of its columns.
        let (table, column) = (quoted(name), quoted(&column));
        client.execute(&format!(
            "CREATE TABLE {table} (symbol text, ts timestamptz, close float8, {column} text, \
             PRIMARY KEY (symbol, ts)); GRANT SELECT, INSERT, UPDATE ON {table} TO \"{}\"",
            kept.role
        ));
        for policy in ["skip", "update"] {
            let text = text.replace(",x,1", if policy == "skip" { ",2,1" } else { ",3,1" });
            let path = file(&kept.db, &format!("{policy}{at}.csv"), text);
            let args = ["backfill", path.to_str().unwrap(), "--on-conflict", policy];
            kept.run(&[&args[..], &["--table", &table]].concat(), 0);
        }
        let stored = format!("SELECT count(*) FROM {table} WHERE symbol = {column}");
        assert_eq!(client.query_one::<i64>(&stored), 5, "{name:?}");
        client.execute(&format!("DROP TABLE {table}"));
    }
    kept.run(&["rejects", "list"], 0);
    assert_eq!(client.query_one::<String>("SELECT canary FROM canary"), "sings");
}
