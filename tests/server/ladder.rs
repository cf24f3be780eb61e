//! The ladder, rung by rung, on a real server: what COPY refuses is found row by row, its
//! neighbours are loaded, and looking for it costs little.

use std::path::Path;

use crate::support::{Bars, Lines, Outcome, Program, TestDb, equations};

const BARS: Bars = Bars { rows: 6_000, symbols: 4, seed: 7 };
/// The field of the volume, which tests spoil because no rule of ours looks at it.
const VOLUME: usize = 7;

/// A plain table of bars with more columns or constraints.
fn table(more: &str) -> String {
    format!(
        "CREATE TABLE bars (symbol text NOT NULL, \"interval\" text NOT NULL, \
         ts timestamptz NOT NULL, open double precision, high double precision, \
         low double precision, close double precision, volume double precision{more})"
    )
}

const KEY: &str = ", PRIMARY KEY (symbol, \"interval\", ts)";

fn load(db: &TestDb<'_>, path: &Path, args: &[&str]) -> Outcome {
    let program = Program::new(db).args(["backfill", "--table", "public.bars"]).args(args);
    program.args(["--progress", "none"]).arg(path).report_json().run()
}

fn stored(db: &TestDb<'_>) -> usize {
    usize::try_from(db.client().query_one::<i64>("SELECT count(*) FROM bars")).expect("a count")
}

fn ladder(outcome: &Outcome, counter: &str) -> u64 {
    outcome.report()["ladder"][counter].as_u64().expect("a counter of the ladder")
}

/// Rows whose volume is `4242`, in a table made by `ddl`: each must be refused by `rule` alone,
/// with this SQLSTATE and column, and all others loaded.
fn refuses(name: &str, ddl: &str, rule: &str, (sqlstate, column): (&str, Option<&str>)) {
    let bad = [0, 17, 18, 2_999, 5_999];
    let db = TestDb::new(name);
    db.client().execute(ddl);
    let mut lines = Lines::of(&BARS);
    for row in bad {
        lines.set_field(row, VOLUME, "4242");
    }
    let outcome = load(&db, &lines.write(db.home(), "bars.csv"), &[]).expect_code(3);
    lines.expect_rejects(&db, &bad.map(|row| (row, rule)));
    assert_eq!(stored(&db), lines.rows() - bad.len());
    let kept: i64 = db.client().query_one("SELECT count(*) FROM bars WHERE volume = 4242");
    assert_eq!(kept, 0, "a bad row was loaded");
    let named = db.client().rows("SELECT DISTINCT sqlstate, column_name FROM tidegate.reject");
    assert_eq!(named, [[Some(sqlstate.to_owned()), column.map(str::to_owned)]]);
    assert_eq!(outcome.report()["rejects_by_rule"][rule].as_u64(), Some(5));
    assert_eq!(outcome.total("rejected"), 5);
    is_cheap(&outcome, bad.len() as u64, lines.rows() as u64);
    equations(&db);
}

/// Looking for bad rows costs a chunk each 5,000 rows and a walk down a tree for each bad row.
fn is_cheap(outcome: &Outcome, bad: u64, rows: u64) {
    let spent = ladder(outcome, "row_attempts") + ladder(outcome, "insert_batches");
    let depth = u64::from(5_000_u64.ilog2()) + 2;
    let bound = 2 * (rows.div_ceil(5_000) + 2 * bad * depth) + 2;
    assert!(spent <= bound, "{spent} attempts for {bad} bad of {rows} rows, more than {bound}");
    assert!(ladder(outcome, "row_attempts") >= bad, "every bad row was tried on its own");
}

#[test]
fn copy_is_all_that_good_rows_need() {
    let db = TestDb::new("copy");
    db.client().execute(&table(KEY));
    let outcome = load(&db, &BARS.write(db.home(), "bars.csv"), &[]).expect_code(0);
    assert_eq!(stored(&db), 6_000);
    assert_eq!(ladder(&outcome, "copy_batches"), 1);
    for unused in ["insert_batches", "row_attempts", "retries"] {
        assert_eq!(ladder(&outcome, unused), 0, "{unused}");
    }
    equations(&db);
}

#[test]
fn stored_keys_are_staged_and_merged() {
    let db = TestDb::new("merge");
    db.client().execute(&table(KEY));
    let lines = Lines::of(&BARS);
    let half = lines.pick((0..6_000).filter(|row| row / 4 % 2 == 0));
    let _ = load(&db, &half.write(db.home(), "half.csv"), &[]).expect_code(0);
    db.client().execute("UPDATE bars SET open = -1 WHERE symbol = 'S000'");
    let outcome = load(&db, &lines.write(db.home(), "all.csv"), &[]).expect_code(0);
    assert_eq!(stored(&db), 6_000);
    let counts = ["read", "inserted", "duplicate", "conflicting"].map(|name| outcome.total(name));
    assert_eq!(counts, [6_000, 3_000, 3_000, 750]);
    assert_eq!((ladder(&outcome, "copy_batches"), ladder(&outcome, "row_attempts")), (0, 0));
    assert_eq!(ladder(&outcome, "insert_batches"), 1);
    equations(&db);
}

#[test]
fn a_few_stored_keys_do_not_keep_the_others_from_copy() {
    for policy in ["skip", "update", "reject"] {
        let db = TestDb::new("few stored");
        db.client().execute(&table(KEY));
        let lines = Lines::of(&BARS);
        let stored_before = [0, 1, 2_000, 5_999];
        let some = lines.pick(stored_before).write(db.home(), "some.csv");
        let _ = load(&db, &some, &[]).expect_code(0);
        db.client().execute("UPDATE bars SET open = -1 WHERE symbol = 'S003'");
        let args = ["--on-conflict", policy];
        let outcome = load(&db, &lines.write(db.home(), "all.csv"), &args);
        let names = ["inserted", "updated", "duplicate", "conflicting", "rejected"];
        let expected = match policy {
            "skip" => [5_996, 0, 4, 1, 0],
            "update" => [5_996, 1, 3, 0, 0],
            _ => [5_996, 0, 0, 0, 4],
        };
        assert_eq!(names.map(|name| outcome.total(name)), expected, "{policy}");
        let merges = if policy == "update" { 2 } else { 1 };
        let rungs = ["copy_batches", "insert_batches"].map(|rung| ladder(&outcome, rung));
        assert_eq!(rungs, [1, merges], "{policy}");
        let _ = outcome.expect_code(if policy == "reject" { 3 } else { 0 });
        assert_eq!(stored(&db), 6_000);
        let old: i64 = db.client().query_one("SELECT count(*) FROM bars WHERE open = -1");
        assert_eq!(old, i64::from(policy != "update"), "{policy}");
        let by_table: i64 = db.client().query_one(
            "SELECT sum((tables->'public.bars'->>'inserted')::bigint)::bigint \
             FROM tidegate.portion",
        );
        assert_eq!(by_table, 6_000, "rows by table are all rows that were inserted");
        equations(&db);
    }
}

#[test]
fn a_check_is_sifted_out() {
    let ddl = table(", CONSTRAINT sane CHECK (volume <> 4242)");
    refuses("check", &ddl, "check:sane", ("23514", None));
}

#[test]
fn a_check_is_sifted_out_of_a_table_that_numbers_its_rows() {
    let more = ", id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n serial NOT NULL, \
                CONSTRAINT sane CHECK (volume <> 4242)";
    refuses("check identity", &table(more), "check:sane", ("23514", None));
}

#[test]
fn a_check_is_sifted_out_of_a_table_whose_trigger_fills_a_column() {
    let ddl = format!(
        "{}; CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN NEW.loaded := now(); RETURN NEW; END $$; \
         CREATE TRIGGER fill BEFORE INSERT ON bars FOR EACH ROW EXECUTE FUNCTION fill()",
        table(
            ", loaded timestamptz CHECK (loaded IS NOT NULL), \
             CONSTRAINT sane CHECK (volume <> 4242)"
        )
    );
    refuses("check trigger", &ddl, "check:sane", ("23514", None));
}

#[test]
fn a_check_of_one_partition_is_sifted_out() {
    let ddl = format!(
        "{} PARTITION BY LIST (symbol); CREATE TABLE p0 PARTITION OF bars \
         (CONSTRAINT sane CHECK (volume <> 4242)) DEFAULT",
        table("")
    );
    refuses("check partition", &ddl, "check:sane", ("23514", None));
}

#[test]
fn a_domains_check_is_sifted_out() {
    let ddl = format!(
        "CREATE DOMAIN amount AS double precision CONSTRAINT sane CHECK (VALUE <> 4242); {}",
        table("").replace("volume double precision", "volume amount")
    );
    refuses("domain", &ddl, "check:sane", ("23514", None));
}

#[test]
fn a_null_that_a_domain_refuses_is_sifted_out() {
    let db = TestDb::new("domain null");
    db.client().execute(&format!(
        "CREATE DOMAIN amount AS double precision NOT NULL; {}",
        table("").replace("volume double precision", "volume amount")
    ));
    let mut lines = Lines::of(&BARS);
    for row in [5, 4_000] {
        lines.set_field(row, VOLUME, "");
    }
    let _ = load(&db, &lines.write(db.home(), "bars.csv"), &[]).expect_code(3);
    lines.expect_rejects(&db, &[(5, "null_value"), (4_000, "null_value")]);
    assert_eq!(stored(&db), 5_998);
    equations(&db);
}

#[test]
fn a_missing_foreign_row_is_sifted_out() {
    let ddl = format!(
        "CREATE TABLE amounts (amount double precision PRIMARY KEY); \
         INSERT INTO amounts SELECT generate_series(0, 4_000); {}",
        table(", CONSTRAINT known FOREIGN KEY (volume) REFERENCES amounts")
    )
    .replace("4_000", "4000");
    refuses("foreign", &ddl, "foreign_key:known", ("23503", None));
}

#[test]
fn a_second_unique_index_is_sifted_out() {
    // The first of them is stored before, so that none of the five may stay.
    let ddl = format!(
        "{}; CREATE UNIQUE INDEX once ON bars (volume) WHERE volume = 4242; \
         INSERT INTO bars VALUES ('old', '1m', now(), 1, 1, 1, 1, 4242)",
        table(KEY)
    );
    let bad = [0, 17, 5_999];
    let db = TestDb::new("second unique");
    db.client().execute(&ddl);
    let mut lines = Lines::of(&BARS);
    bad.iter().for_each(|&row| lines.set_field(row, VOLUME, "4242"));
    let outcome = load(&db, &lines.write(db.home(), "bars.csv"), &[]).expect_code(3);
    lines.expect_rejects(&db, &bad.map(|row| (row, "unique:once")));
    assert_eq!(stored(&db), 6_001 - bad.len());
    is_cheap(&outcome, 3, 6_000);
    equations(&db);
}

#[test]
fn a_second_unique_index_is_sifted_out_among_stored_keys() {
    let db = TestDb::new("second unique update");
    db.client().execute(&format!(
        "{}; CREATE UNIQUE INDEX once ON bars (volume) WHERE volume = 4242; \
         INSERT INTO bars VALUES ('old', '1m', now(), 1, 1, 1, 1, 4242)",
        table(KEY)
    ));
    let mut lines = Lines::of(&BARS);
    let _ = load(&db, &lines.write(db.home(), "before.csv"), &[]).expect_code(0);
    // A stored key with other values, and one with values that the index refuses.
    lines.set_field(9, VOLUME, "77");
    lines.set_field(10, VOLUME, "4242");
    let path = lines.write(db.home(), "after.csv");
    let outcome = load(&db, &path, &["--on-conflict", "update"]).expect_code(3);
    lines.expect_rejects(&db, &[(10, "unique:once")]);
    let counts = ["inserted", "updated", "duplicate", "rejected"].map(|name| outcome.total(name));
    assert_eq!(counts, [0, 1, 5_998, 1]);
    equations(&db);
}

#[test]
fn an_exclusion_is_sifted_out() {
    let ddl = format!(
        "{}; INSERT INTO bars VALUES ('old', '1m', now(), 1, 1, 1, 1, 4242)",
        table(", CONSTRAINT alone EXCLUDE USING btree (volume WITH =) WHERE (volume = 4242)")
    );
    let db = TestDb::new("exclusion");
    db.client().execute(&ddl);
    let mut lines = Lines::of(&BARS);
    lines.set_field(3_333, VOLUME, "4242");
    let _ = load(&db, &lines.write(db.home(), "bars.csv"), &[]).expect_code(3);
    lines.expect_rejects(&db, &[(3_333, "exclusion:alone")]);
    assert_eq!(stored(&db), 6_000);
    equations(&db);
}

/// A function for triggers that refuses the volume 4242.
const REFUSE: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN IF NEW.volume = 4242 THEN RAISE 'not this one'; END IF; RETURN NEW; END $$";

#[test]
fn what_a_trigger_refuses_is_sifted_out() {
    let ddl = format!(
        "{}; {REFUSE}; \
         CREATE TRIGGER t BEFORE INSERT ON bars FOR EACH ROW EXECUTE FUNCTION refuse()",
        table(KEY)
    );
    refuses("trigger", &ddl, "sqlstate:P0001", ("P0001", None));
}

#[test]
fn what_is_refused_at_commit_is_sifted_out() {
    let ddl = format!(
        "{}; {REFUSE}; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON bars \
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
        table(KEY)
    );
    refuses("deferred trigger", &ddl, "sqlstate:P0001", ("P0001", None));
    let ddl = format!(
        "CREATE TABLE amounts (amount double precision PRIMARY KEY); \
         INSERT INTO amounts SELECT generate_series(0, 4000); {}",
        table(
            ", CONSTRAINT known FOREIGN KEY (volume) REFERENCES amounts \
             DEFERRABLE INITIALLY DEFERRED"
        )
    );
    refuses("deferred foreign", &ddl, "foreign_key:known", ("23503", None));
}

#[test]
fn a_few_bad_rows_in_a_big_batch_cost_little() {
    let db = TestDb::new("cost");
    db.client().execute(&table(&format!("{KEY}, CONSTRAINT sane CHECK (volume <> 4242)")));
    let mut lines = Lines::of(&Bars { rows: 50_000, symbols: 4, seed: 1 });
    let bad = [123, 25_000, 49_999];
    bad.iter().for_each(|&row| lines.set_field(row, VOLUME, "4242"));
    let outcome = load(&db, &lines.write(db.home(), "bars.csv"), &[]).expect_code(3);
    lines.expect_rejects(&db, &bad.map(|row| (row, "check:sane")));
    is_cheap(&outcome, 3, 50_000);
    assert_eq!(stored(&db), 49_997);
    equations(&db);
}

#[test]
fn a_mostly_bad_source_is_sorted_out() {
    let db = TestDb::new("mostly bad");
    db.client().execute(&table(&format!("{KEY}, CONSTRAINT sane CHECK (volume <> 4242)")));
    let rows = 12_000;
    let mut lines = Lines::of(&Bars { rows, symbols: 4, seed: 1 });
    let bad: Vec<usize> = (0..lines.rows()).filter(|row| row % 4 != 0).collect();
    bad.iter().for_each(|&row| lines.set_field(row, VOLUME, "4242"));
    let _ = load(&db, &lines.write(db.home(), "bars.csv"), &[]).expect_code(3);
    let expected: Vec<_> = bad.iter().map(|&row| (row, "check:sane")).collect();
    lines.expect_rejects(&db, &expected);
    assert_eq!(stored(&db), 3_000);
    equations(&db);
}

#[test]
fn under_row_security_rows_go_by_insert() {
    let db = TestDb::new("row security");
    let role = format!("writer_{}", std::process::id());
    db.client().execute(&format!(
        "CREATE ROLE {role} LOGIN; GRANT CREATE, CONNECT ON DATABASE {} TO {role}; \
         {}; GRANT ALL ON bars TO {role}; ALTER TABLE bars ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY p ON bars TO {role} USING (true) WITH CHECK (true)",
        db.url().rsplit('/').next().expect("a name"),
        table(&format!("{KEY}, CONSTRAINT sane CHECK (volume <> 4242)"))
    ));
    let mut lines = Lines::of(&BARS);
    lines.set_field(100, VOLUME, "4242");
    let url = db.url().replacen("postgres@", &format!("{role}@"), 1);
    let outcome = Program::new(&db)
        .env("DATABASE_URL", url)
        .args(["backfill", "--table", "public.bars", "--progress", "none"])
        .arg(lines.write(db.home(), "bars.csv"))
        .report_json()
        .run()
        .expect_code(3);
    lines.expect_rejects(&db, &[(100, "check:sane")]);
    assert_eq!(stored(&db), 5_999);
    assert_eq!(ladder(&outcome, "copy_batches"), 0);
    assert!(ladder(&outcome, "insert_batches") > 0);
    equations(&db);
    db.client().execute(&format!(
        "REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}"
    ));
}

#[test]
fn a_trigger_that_swallows_rows_is_named() {
    for key in ["", KEY] {
        let db = TestDb::new("swallow");
        db.client().execute(&format!(
            "{}; CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN IF NEW.volume = 4242 THEN RETURN NULL; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER t BEFORE INSERT ON bars FOR EACH ROW EXECUTE FUNCTION swallow()",
            table(key)
        ));
        let mut lines = Lines::of(&BARS);
        lines.set_field(100, VOLUME, "4242");
        let outcome = load(&db, &lines.write(db.home(), "bars.csv"), &[]).expect_code(1);
        assert!(outcome.stderr.contains("trigger"), "{}", outcome.stderr);
        assert_eq!(stored(&db), 0, "nothing of the batch may stay");
    }
}
