//! `verify data --answer-key`: the database against what a generator says must be in it: rows and
//! sums by table and day, what became of each file, and every reject by file, row, line, byte and
//! rule. The sums are made by the server out of what it holds, and were made by the generator out
//! of what it made: no decoder stands between them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tokio_postgres::types::Type;

use crate::column::{PgType, TargetColumn, quote_identifier};
use crate::dataset::{self, Column, Dataset, Meeting};
use crate::db::{Connection, DbError, Doing as _, catalog};
use crate::report::human;

use super::super::super::CommandError;
use super::super::super::finding::Finding;
use super::fault;

/// Differences of a kind that are named one by one.
const NAMED_MAX: usize = 10;
/// The version of answer keys that this program reads.
const VERSION: u64 = 1;

/// Compares a database with an answer key.
pub(super) async fn check(db: &Connection, path: &Path) -> Result<Vec<Finding>, CommandError> {
    let text = std::fs::read(path).map_err(CommandError::file(path))?;
    let bad = |why: String| CommandError::Refused(format!("{}: {why}", path.display()));
    let key: Value =
        serde_json::from_slice(&text).map_err(|error| bad(format!("no JSON: {error}")))?;
    if key["answer_key"].as_u64() != Some(VERSION) {
        return Err(bad("no answer key that this program reads: use the one that `generate \
                        --faults` wrote beside its files"
            .to_owned()));
    }
    let name = key["dataset"].as_str().unwrap_or_default();
    let dataset =
        dataset::by_name(name).ok_or_else(|| bad(format!("there is no dataset {name:?}")))?;
    db.batch_execute(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL extra_float_digits = 1",
    )
    .await?;
    let mut findings = tables(db, dataset, &key).await?;
    findings.extend(files(db, &key).await?);
    findings.extend(rejects(db, &key).await?);
    db.batch_execute("COMMIT").await?;
    if findings.is_empty() {
        let files = key["files"].as_array().map_or(0, Vec::len);
        let rejects = key["rejects"].as_array().map_or(0, Vec::len);
        let found = format!(
            "as it says: {}, {}, and every row of {}",
            human::plural(files as u64, "file"),
            human::plural(rejects as u64, "reject"),
            dataset.tables().map(|table| table.to_string()).collect::<Vec<_>>().join(", ")
        );
        findings.push(Finding::ok("answer key", found));
    }
    Ok(findings)
}

fn wrong(found: String) -> Finding {
    fault(
        "answer key",
        found,
        "load the generated files into an empty database; if it is so there, report it",
        "the generator knows what it made, and which of it is faulty",
    )
}

/// Names the first of many, and how many more there are.
fn some(mut all: Vec<String>) -> Vec<Finding> {
    let more = all.len().saturating_sub(NAMED_MAX);
    all.truncate(NAMED_MAX);
    let more = (more > 0).then(|| format!("{more} more differences of this kind"));
    all.into_iter().chain(more).map(wrong).collect()
}

/// Rows and sums of every table and day.
async fn tables(
    db: &Connection,
    dataset: &Dataset,
    key: &Value,
) -> Result<Vec<Finding>, CommandError> {
    let mut found = Vec::new();
    for table in dataset.tables() {
        let name = table.to_string();
        let mut expected: BTreeMap<String, (i64, String)> = BTreeMap::new();
        for (day, of_day) in key["tables"][&name].as_object().into_iter().flatten() {
            let sum = of_day["sum"].as_str().unwrap_or_default().to_owned();
            expected.insert(day.clone(), (of_day["rows"].as_i64().unwrap_or(0), sum));
        }
        let Some(target) = catalog::load_table(db, Some(table.schema), table.name).await? else {
            found.push(format!("{name} is not there"));
            continue;
        };
        let columns = match dataset.children.iter().find(|child| child.table == table) {
            Some(child) => child.columns,
            None => dataset.columns,
        };
        let sql = sums_sql(dataset, &name, columns, &target.columns);
        let rows = db.query_typed(&sql, &[]).await;
        for row in rows.doing(format!("summing up {name}")).map_err(CommandError::from)? {
            let (day, rows, sum): (String, i64, String) = (row.get(0), row.get(1), row.get(2));
            let place = if day.is_empty() { name.clone() } else { format!("{name}, {day}") };
            match expected.remove(&day) {
                None => found.push(format!("{place}: {rows} rows, none must be there")),
                Some((wanted, _)) if wanted != rows => {
                    found.push(format!("{place}: {rows} rows, {wanted} must be there"));
                }
                Some((_, wanted)) if wanted != sum => found.push(format!(
                    "{place}: {rows} rows, as many as must be there, but not with these values"
                )),
                Some(_) => {}
            }
        }
        found.extend(expected.into_iter().map(|(day, (rows, _))| {
            format!(
                "{name}{}{day}: no row, {rows} must be there",
                if day.is_empty() { "" } else { ", " }
            )
        }));
    }
    Ok(some(found))
}

/// The query for rows and sums by day.
fn sums_sql(
    dataset: &Dataset,
    table: &str,
    columns: &[Column],
    targets: &[TargetColumn],
) -> String {
    let ticker = targets.iter().any(|target| target.name == "ticker_id");
    let texts = columns.iter().filter(|column| column.meeting != Meeting::Content).map(|column| {
        if ticker && dataset.ticker == Some(column.name) {
            return "k.symbol".to_owned();
        }
        let target = targets.iter().find(|target| target.name == column.name);
        let text = target.map_or("NULL".to_owned(), |target| {
            text_of(target.pg_type, &format!("t.{}", quote_identifier(&target.name)))
        });
        format!("coalesce({text}, '~')")
    });
    let texts: Vec<String> = texts.collect();
    let has_time = |name: &&str| columns.iter().any(|column| column.name == *name);
    let day = dataset.time.filter(has_time).map_or("''".to_owned(), |time| {
        format!(
            "coalesce(to_char(t.{} AT TIME ZONE 'UTC', 'YYYY-MM-DD'), '')",
            quote_identifier(time)
        )
    });
    let join = if ticker { " LEFT JOIN public.tickers k ON k.id = t.ticker_id" } else { "" };
    include_str!("../../../../schema/query/verify/sums.sql")
        .replace(":day", &day)
        .replace(":row", &format!("concat_ws('|', {})", texts.join(", ")))
        .replace(":table", &format!("{table} t{join}"))
}

/// A value as the answer key writes it.
fn text_of(pg_type: Option<PgType>, column: &str) -> String {
    match pg_type {
        Some(PgType::Float8 | PgType::Float4) => {
            format!("trim_scale({column}::text::numeric)::text")
        }
        Some(PgType::Numeric(_)) => format!("trim_scale({column})::text"),
        Some(PgType::Timestamptz | PgType::Timestamp) => {
            format!("(extract(epoch FROM {column}) * 1000000)::bigint::text")
        }
        Some(PgType::Date) => format!("to_char({column}, 'YYYY-MM-DD')"),
        Some(PgType::Text(_)) => format!("nullif({column}, '')"),
        _ => format!("{column}::text"),
    }
}

/// The file's name of a source.
fn file_of(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}

/// What became of each file.
async fn files(db: &Connection, key: &Value) -> Result<Vec<Finding>, DbError> {
    let sql = "SELECT DISTINCT ON (l.content_id) l.source, l.sealed_at IS NOT NULL, l.read, \
                   l.inserted, l.updated + l.duplicate, l.conflicting, l.rejected \
               FROM tidegate.load l ORDER BY l.content_id, l.generation DESC";
    let mut loads: BTreeMap<String, Vec<[Option<i64>; 5]>> = BTreeMap::new();
    for row in db.query_typed(sql, &[]).await? {
        let counts = std::array::from_fn(|at| row.get(at + 2));
        loads.entry(file_of(row.get(0)).to_owned()).or_default().push(counts);
    }
    let mut found = Vec::new();
    for file in key["files"].as_array().into_iter().flatten() {
        let name = file["file"].as_str().unwrap_or_default();
        let name = file_of(name);
        let got = loads.get(name).map_or(&[][..], Vec::as_slice);
        let outcome = file["outcome"].as_str().unwrap_or_default();
        match (outcome, got) {
            ("loaded", [counts]) => {
                let names = ["read", "inserted", "again", "conflicting", "rejected"];
                for (count, name_of) in counts.iter().zip(names) {
                    let Some(wanted) = file[name_of].as_i64() else { continue };
                    if *count != Some(wanted) {
                        let shown = count.map_or("not yet known".to_owned(), |n| n.to_string());
                        found.push(format!("{name}: {name_of} {shown}, {wanted} expected"));
                    }
                }
            }
            ("loaded", []) => found.push(format!("{name} was not loaded")),
            ("loaded", many) => found.push(format!("{name} was loaded {} times", many.len())),
            (_, []) => {}
            (outcome, _) => found.push(format!("{name} was loaded, {outcome} expected")),
        }
    }
    Ok(some(found))
}

/// Row, line, byte and rule of a reject.
type Place = (i64, Option<i64>, Option<i64>, String);

/// Every reject, and no other.
async fn rejects(db: &Connection, key: &Value) -> Result<Vec<Finding>, DbError> {
    let mut expected: BTreeMap<String, BTreeMap<i64, (Place, &str)>> = BTreeMap::new();
    for file in key["files"].as_array().into_iter().flatten() {
        expected
            .insert(file_of(file["file"].as_str().unwrap_or_default()).to_owned(), BTreeMap::new());
    }
    let mut wanted = 0_i64;
    for reject in key["rejects"].as_array().into_iter().flatten() {
        let text = |name: &str| reject[name].as_str().unwrap_or_default();
        let row = reject["row"].as_i64().unwrap_or(0);
        let place =
            (row, reject["line"].as_i64(), reject["byte"].as_i64(), text("rule").to_owned());
        let of_file = expected.entry(file_of(text("file")).to_owned()).or_default();
        of_file.insert(row, (place, text("fault")));
        wanted += 1;
    }
    let names: Vec<&str> = expected.keys().map(String::as_str).collect();
    let sql = "SELECT source, row_no, line_no, byte_offset, rule FROM tidegate.reject \
               WHERE regexp_replace(source, '^.*/', '') = ANY($2) ORDER BY id LIMIT $1";
    // Some that are too many are enough to know.
    let most = wanted * 2 + 1_000;
    let rows = db.query_typed(sql, &[(&most, Type::INT8), (&names, Type::TEXT_ARRAY)]).await?;
    let mut found = Vec::new();
    for row in &rows {
        let file = file_of(row.get(0)).to_owned();
        let place: Place = (row.get(1), row.get(2), row.get(3), row.get(4));
        let shown = format!("{file}, row {}: rejected by {}", place.0, place.3);
        match expected.get_mut(&file).and_then(|of_file| of_file.remove(&place.0)) {
            None => found.push(format!("{shown}, which must load")),
            Some((wanted, fault)) => {
                // Where the key has no lines, the file has none of its own.
                let line = wanted.1.is_some() && wanted.1 != place.1;
                let byte = wanted.2.is_some() && wanted.2 != place.2;
                if wanted.3 != place.3 {
                    found.push(format!("{shown}, {} expected for {fault}", wanted.3));
                } else if line || byte {
                    found.push(format!(
                        "{shown} at line {:?}, byte {:?}; it is at line {:?}, byte {:?}",
                        place.1, place.2, wanted.1, wanted.2
                    ));
                }
            }
        }
    }
    for (file, left) in expected {
        found.extend(left.into_values().map(|(place, fault)| {
            format!("{file}, row {}: not rejected, {} expected for {fault}", place.0, place.3)
        }));
    }
    Ok(some(found))
}
