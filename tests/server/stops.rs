//! Errors that are not the rows' fault and that waiting does not cure: what the message says, and
//! what was tried before.

use crate::support::{Bars, Lines, Program, TestDb, equations};

const BARS: Bars = Bars { rows: 500, symbols: 2, seed: 5 };

const TABLE: &str = "CREATE TABLE bars (symbol text NOT NULL, \"interval\" text NOT NULL, \
     ts timestamptz NOT NULL, open double precision, high double precision, \
     low double precision, close double precision, volume double precision, \
     PRIMARY KEY (symbol, \"interval\", ts))";

/// A table whose inserts take forever while `condition` holds, in a database with a timeout.
fn slow_table(db: &TestDb<'_>, condition: &str) {
    db.client().execute(TABLE);
    db.client().execute(&format!(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF {condition} THEN PERFORM pg_sleep(1000); END IF; RETURN NULL; END $$; \
         CREATE TRIGGER slow AFTER INSERT ON bars FOR EACH STATEMENT EXECUTE FUNCTION slow()"
    ));
    let name = db.url().rsplit('/').next().unwrap_or_default().to_owned();
    db.client().execute(&format!("ALTER DATABASE {name} SET statement_timeout = '3s'"));
}

fn load(db: &TestDb<'_>) -> Program {
    let program = Program::new(db).args(["backfill", "--progress", "none", "--table"]);
    program.arg("public.bars").arg(BARS.write(db.home(), "bars.csv")).report_json()
}

#[test]
fn a_batch_over_the_statement_timeout_has_twice_the_time_once() {
    let db = TestDb::new("timeout once");
    slow_table(&db, "current_setting('statement_timeout') = '3s'");
    let outcome = load(&db).run().expect_code(0);
    assert_eq!(outcome.report()["ladder"]["retries"].as_u64(), Some(1));
    assert_eq!(outcome.total("inserted"), BARS.rows);
    equations(&db);
}

#[test]
fn a_batch_over_twice_the_statement_timeout_stops_and_names_it() {
    let db = TestDb::new("timeout twice");
    slow_table(&db, "true");
    let outcome = load(&db).run().expect_code(1);
    assert_eq!(outcome.report()["ladder"]["retries"].as_u64(), Some(1));
    for part in ["statement_timeout", "6000 ms", "57014"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM bars"), 0);
}

#[test]
fn a_row_that_a_policy_refuses_is_told_apart_from_a_right_that_is_missing() {
    let db = TestDb::new("policy");
    let role = format!("policed_{}", std::process::id());
    let name = db.url().rsplit('/').next().unwrap_or_default().to_owned();
    db.client().execute(TABLE);
    let _ = Program::new(&db).args(["migrate", "up"]).run().expect_code(0);
    db.client().execute(&format!(
        "CREATE ROLE {role} LOGIN; GRANT ALL ON DATABASE {name} TO {role}; \
         GRANT ALL ON SCHEMA tidegate TO {role}; \
         GRANT ALL ON ALL TABLES IN SCHEMA tidegate TO {role}; \
         GRANT ALL ON ALL SEQUENCES IN SCHEMA tidegate TO {role}; \
         GRANT SELECT ON bars TO {role}; \
         ALTER TABLE bars ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY seen ON bars FOR SELECT USING (true); \
         CREATE POLICY sane ON bars FOR INSERT WITH CHECK (volume <> 4242)"
    ));
    let mut lines = Lines::of(&BARS);
    lines.set_field(17, 7, "4242");
    let url = db.url().replacen("postgres@", &format!("{role}@"), 1);
    let run = || {
        let program = Program::new(&db).args(["backfill", "--progress", "none", "--table"]);
        let program = program.arg("public.bars").arg(lines.write(db.home(), "bars.csv"));
        program.env("DATABASE_URL", &url).run().expect_code(1)
    };
    let missing = run();
    assert!(missing.stderr.contains("grant the right"), "{}", missing.stderr);
    db.client().execute(&format!("GRANT INSERT ON bars TO {role}"));
    let refused = run();
    for part in ["row security", "WITH CHECK", "bars.csv", "42501"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("grant the right"), "{}", refused.stderr);
    assert_eq!(db.client().query_one::<i64>("SELECT count(*) FROM bars"), 0);
    db.client().execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}
