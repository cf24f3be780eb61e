//! What the ledger says must be there against what each table and partition holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::types::Type;

use crate::column::quote_identifier;
use crate::db::{Connection, DbError, Doing as _};
use crate::report::human;

use super::super::super::finding::{Finding, Level};
use super::fault;
use super::slots::{Held, Stretch, Written, compare};

/// Differences that are named one by one for each table; of more, the number.
const NAMED_MAX: usize = 20;
/// Rows of this table are also derived, from bars of contracts.
const DERIVED: &str = "public.fo_option_strike_bars";

/// A table that the ledger speaks of.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// As `schema.table`.
    pub name: String,
    /// The dataset that was loaded into it; none for a table of children.
    pub dataset: Option<String>,
    /// The table's number when it was loaded, and now.
    loaded_oid: Option<u32>,
    oid: Option<u32>,
}

impl Target {
    /// Its name in SQL. The ledger has the plain one, whose schema has no dot in all but odd cases.
    pub fn sql_name(&self) -> String {
        match self.name.split_once('.') {
            Some((schema, table)) => {
                format!("{}.{}", quote_identifier(schema), quote_identifier(table))
            }
            None => quote_identifier(&self.name),
        }
    }

    /// Whether the table is there.
    pub fn is_there(&self) -> bool {
        self.oid.is_some()
    }
}

/// The tables that the ledger speaks of.
pub(super) async fn targets(db: &Connection) -> Result<Vec<Target>, DbError> {
    let sql = include_str!("../../../../schema/query/verify/targets.sql");
    let rows = db.query_typed(sql, &[]).await.doing("listing what was loaded into")?;
    let target = |row: &tokio_postgres::Row| {
        Ok(Target {
            name: row.try_get("name")?,
            dataset: row.try_get("dataset")?,
            loaded_oid: row.try_get("loaded_oid")?,
            oid: row.try_get("oid")?,
        })
    };
    rows.iter().map(target).collect()
}

/// Compares every table.
pub(super) async fn check(db: &Connection, targets: &[Target]) -> Result<Vec<Finding>, DbError> {
    let mut written = written(db).await?;
    let mut findings = Vec::new();
    let (mut tables, mut rows) = (0, 0);
    for target in targets {
        let written = written.remove(&target.name).unwrap_or_default();
        let expected: i64 = written.iter().map(|written| written.rows).sum();
        if !target.is_there() {
            if expected > 0 {
                findings.push(gone(target, expected));
            }
            continue;
        }
        if target.loaded_oid.is_some_and(|loaded| loaded != 0 && Some(loaded) != target.oid) {
            findings.push(made_again(target));
        }
        let held = held(db, target).await?;
        let of_table: i64 = held.iter().map(|held| held.rows).sum();
        let of_target = differences(db, target, of_table, &compare(&held, &written)).await?;
        (tables, rows) = (tables + 1, rows + of_table.unsigned_abs());
        findings.extend(of_target);
    }
    if findings.iter().all(|finding| finding.level == Level::Ok) {
        let found = format!(
            "{} in {}, as many as the ledger says, in every partition",
            human::plural(rows, "row"),
            human::plural(tables, "table")
        );
        findings.push(Finding::ok("rows", found));
    }
    Ok(findings)
}

async fn written(db: &Connection) -> Result<BTreeMap<String, Vec<Written>>, DbError> {
    let sql = include_str!("../../../../schema/query/verify/written.sql");
    let mut tables: BTreeMap<String, Vec<Written>> = BTreeMap::new();
    for row in db.query_typed(sql, &[]).await.doing("summing up the ledger")? {
        let (kind, name): (&str, String) = (row.try_get("kind")?, row.try_get("name")?);
        let (from, to): (Option<i64>, Option<i64>) =
            (row.try_get("from_us")?, row.try_get("to_us")?);
        let (first, last): (Option<i64>, Option<i64>) =
            (row.try_get("first_load")?, row.try_get("last_load")?);
        let rows: i64 = row.try_get("rows")?;
        tables.entry(name).or_default().push(Written {
            range: from.zip(to),
            rows: if kind == "dropped" { -rows } else { rows },
            again: row.try_get("again")?,
            loads: first.zip(last),
        });
    }
    Ok(tables)
}

async fn held(db: &Connection, target: &Target) -> Result<Vec<Held>, DbError> {
    let sql = include_str!("../../../../schema/query/verify/rows.sql");
    // The name stands in a literal too.
    let name = target.sql_name();
    let sql = sql.replace("':table'", &quote_literal(&name)).replace(":table", &name);
    let rows = db.query_typed(&sql, &[]).await.doing(format!("counting the rows of {name}"))?;
    let held = |row: &tokio_postgres::Row| {
        let (from, to): (Option<i64>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
        Ok(Held { name: row.try_get(0)?, range: from.zip(to), rows: row.try_get(3)? })
    };
    rows.iter().map(held).collect()
}

fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn gone(target: &Target, expected: i64) -> Finding {
    fault(
        "rows",
        format!(
            "{} is gone, and the ledger has {} in it",
            target.name,
            human::plural(expected.unsigned_abs(), "row")
        ),
        "make the table again and load its files with --reload; `tidegate migrate down` drops \
         tables together with the ledger's word on them",
        "it was dropped by other means than a migration",
    )
}

fn made_again(target: &Target) -> Finding {
    fault(
        "rows",
        format!("{} was dropped and made again since it was loaded into", target.name),
        "load its files with --reload",
        "the ledger's rows are those of the table before",
    )
}

/// The stretches of a table that do not hold what they should.
async fn differences(
    db: &Connection,
    target: &Target,
    rows_of_table: i64,
    stretches: &[Stretch],
) -> Result<Vec<Finding>, DbError> {
    let mut findings = Vec::new();
    let (mut unnamed, mut short) = (0_u64, 0_i64);
    for stretch in stretches {
        let missing = stretch.expected - stretch.held;
        if missing == 0 {
            continue;
        }
        if missing > 0 && missing <= stretch.again {
            findings.push(lost_and_found(target, stretch, missing));
            continue;
        }
        if missing < 0 && target.name == DERIVED && is_derived(db).await? {
            let found =
                format!("{}: {} derived", target.name, human::count(missing.unsigned_abs()));
            findings.push(Finding::ok("rows", found));
            continue;
        }
        short += missing.max(0);
        if findings.len() == NAMED_MAX {
            unnamed += 1;
            continue;
        }
        let missing = if missing > 0 { missing - stretch.again } else { missing };
        let loads = sources(db, stretch).await?;
        findings.push(difference(target, rows_of_table, stretch, missing, &loads));
    }
    if unnamed > 0 {
        let found =
            format!("{}: {unnamed} more ranges differ, {short} rows are missing", target.name);
        findings.push(fault("rows", found, "load the files with --reload", "as above"));
    }
    Ok(findings)
}

fn difference(
    target: &Target,
    rows_of_table: i64,
    stretch: &Stretch,
    missing: i64,
    loads: &str,
) -> Finding {
    let place = place(target, stretch);
    let (held, expected) =
        (human::count(stretch.held.unsigned_abs()), human::count(stretch.expected.unsigned_abs()));
    if missing < 0 {
        return fault(
            "rows",
            format!(
                "{place} holds {held} rows, {} more than the ledger's {expected}{loads}",
                human::count(missing.unsigned_abs())
            ),
            "find out who writes there; what is not from a file can live in a table of its own",
            "rows that no load wrote cannot be told from rows that were loaded twice",
        );
    }
    let what = match (rows_of_table, stretch.held, stretch.names.is_empty()) {
        (0, ..) => format!("{} is empty: it was truncated", target.name),
        (_, _, true) => format!("{place}: no partition holds it: one was dropped or detached"),
        (_, 0, _) => format!("{place} is empty: it was truncated"),
        _ => format!("{place} holds {held} rows"),
    };
    let change = "load the files with --reload; use tidegate.drop_partitions(), which is recorded, \
                  for what is meant to go";
    let found = format!(
        "{what}, {} less than the ledger's {expected}{loads}",
        human::count(missing.unsigned_abs())
    );
    fault("rows", found, change, "rows that were loaded are missing")
}

/// Rows that were lost, and loaded again since: the ledger has them twice.
fn lost_and_found(target: &Target, stretch: &Stretch, missing: i64) -> Finding {
    let missing = human::plural(missing.unsigned_abs(), "row");
    Finding::ok("rows", format!("{}: {missing} were lost and reloaded", place(target, stretch)))
}

/// The partitions, and the time.
fn place(target: &Target, stretch: &Stretch) -> String {
    let instant = |us: i64| {
        Timestamp::from_microsecond(us)
            .map_or_else(|_| us.to_string(), |instant| instant.to_string())
    };
    let names = match stretch.names.as_slice() {
        [] => target.name.clone(),
        [one] if *one == target.name || format!("public.{one}") == target.name => {
            return target.name.clone();
        }
        [one] => format!("{}, partition {one}", target.name),
        [first, .., last] => {
            format!("{}, partitions {first} to {last}", target.name)
        }
    };
    match stretch.range {
        Some((from, to)) => format!("{names} ({} to {})", instant(from), instant(to)),
        None => names,
    }
}

/// The loads that wrote to a stretch, for people.
async fn sources(db: &Connection, stretch: &Stretch) -> Result<String, DbError> {
    let Some((first, last)) = stretch.loads else { return Ok(String::new()) };
    let sql = "SELECT id, source FROM tidegate.load WHERE id = $1 OR id = $2 ORDER BY id";
    let rows = db.query_typed(sql, &[(&first, Type::INT8), (&last, Type::INT8)]).await?;
    let named = rows.iter().map(|row| {
        let (id, source): (i64, &str) = (row.get(0), row.get(1));
        format!("load {id} of {source}")
    });
    let named: Vec<String> = named.collect();
    Ok(format!(" ({})", named.join(" to ")))
}

async fn is_derived(db: &Connection) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (SELECT FROM tidegate.touched WHERE target = $1)";
    Ok(db.query_typed_one(sql, &[(&DERIVED, Type::TEXT)]).await?.try_get(0)?)
}
