//! One query: whether what it needs is there, values to ask it with, runs, plans.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::link::{Link, Prepared, explain};
use super::plan::Plan;
use super::query::{Need, Query, literal};
use crate::db::{Connection, DbError, Doing as _};
use crate::limit::{
    BENCH_PLAN_ROWS_MIN, BENCH_PLANS, BENCH_RUNS_MAX, BENCH_RUNS_MIN, BENCH_VALUES_MAX,
};

/// Values for the parameters of one run; `None` is NULL.
pub type Values = Vec<Option<String>>;

/// What came of a query.
#[derive(Debug)]
pub enum Outcome {
    /// Something that it needs is not there.
    Absent(String),
    /// There are no rows to ask for.
    Empty,
    /// It was measured.
    Measured(Box<Measured>),
}

/// Times in milliseconds.
#[derive(Debug, Clone)]
pub struct Measured {
    /// How long each run took as the client sees it, ascending.
    pub times: Vec<f64>,
    /// Different sets of values that were asked with.
    pub values: usize,
    /// Rows of a run, at most.
    pub rows: u64,
    /// Whether it was prepared.
    pub prepared: bool,
    /// Planning, where the statement is prepared and where it is not, and execution: medians.
    pub planning: f64,
    /// See `planning`.
    pub planning_unprepared: f64,
    /// See `planning`.
    pub execution: f64,
    /// What the plan does not show; none where the table is too small to tell.
    pub faults: Vec<String>,
    /// Whether the plan was held against what it should be.
    pub judged: bool,
    /// The indexes that it uses.
    pub indexes: Value,
    /// The plan.
    pub plan: Value,
}

impl Measured {
    /// The time that so many percent of the runs did not exceed.
    pub fn percentile(&self, percent: f64) -> f64 {
        percentile(&self.times, percent)
    }
}

/// By the nearest rank; NaN of nothing.
fn percentile(ascending: &[f64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * ascending.len() as f64).ceil() as usize;
    ascending.get(rank.clamp(1, ascending.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

/// What is missing of what the query needs, for people.
pub async fn missing(db: &Connection, query: &Query) -> Result<Option<String>, DbError> {
    for need in &query.needs {
        let (sql, name, what) = match need {
            Need::Relation(name) => ("SELECT to_regclass($1) IS NOT NULL", name, "is not there"),
            Need::Function(name) => (
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc p \
                 WHERE p.pronamespace::regnamespace || '.' || p.proname = $1)",
                name,
                "() is not there",
            ),
        };
        let row = db.query_typed_one(sql, &[(name, Type::TEXT)]).await?;
        if !row.try_get::<_, bool>(0)? {
            return Ok(Some(format!("{name} {what}")));
        }
    }
    let unpopulated = "SELECT relkind = 'm' AND NOT relispopulated FROM pg_catalog.pg_class \
                       WHERE oid = to_regclass($1)";
    if let (Some(Need::Relation(name)), false) = (query.needs.first(), query.made) {
        let row = db.query_typed_one(unpopulated, &[(name, Type::TEXT)]).await?;
        if row.try_get(0)? {
            return Ok(Some(format!("{name} was never refreshed: `tidegate refresh {name}`")));
        }
    }
    Ok(None)
}

/// Sets of values to ask with, none where there are no rows to ask for.
pub async fn pick(db: &Connection, query: &Query) -> Result<Vec<Values>, DbError> {
    let Some(pick) = &query.pick else { return Ok(vec![Vec::new()]) };
    let sql = format!("{pick} LIMIT {BENCH_VALUES_MAX}");
    let messages =
        db.simple_query(&sql).await.doing(format!("picking values for {}", query.name))?;
    let mut sets = Vec::new();
    for message in &messages {
        if let SimpleQueryMessage::Row(row) = message {
            let at = |name: &String| row.columns().iter().position(|column| column.name() == name);
            let value = |name| at(name).and_then(|at| row.get(at)).map(str::to_owned);
            sets.push(query.parameters.iter().map(value).collect());
        }
    }
    Ok(sets)
}

/// The statement that is measured.
pub async fn statement(db: &Connection, query: &Query) -> Result<String, DbError> {
    if !query.made {
        return Ok(query.sql.clone());
    }
    let row = db.query_typed_one(&query.sql, &[]).await?;
    let made: String = row.try_get(0)?;
    Ok(made.trim().trim_end_matches(';').to_owned())
}

/// Measures a query for about `patience`, on a connection that is in no transaction.
pub async fn measure(
    db: &Connection,
    link: &Link,
    query: &Query,
    patience: Duration,
) -> Result<Outcome, DbError> {
    if let Some(what) = missing(db, query).await? {
        return Ok(Outcome::Absent(what));
    }
    let sets = pick(db, query).await?;
    if sets.is_empty() {
        return Ok(Outcome::Empty);
    }
    let sql = statement(db, query).await?;
    let (times, rows, prepared) = {
        let begun = begin(db, query).await?;
        let timed = runs(db, link, &sql, &sets, patience).await;
        end(db, begun).await?;
        timed.map_err(named("running", query))?
    };
    let mut measured = plans(db, query, &sql, &sets, patience).await?;
    (measured.times, measured.rows, measured.prepared) = (times, rows, prepared);
    measured.times.sort_by(f64::total_cmp);
    measured.values = sets.len();
    Ok(Outcome::Measured(Box::new(measured)))
}

/// Says of an error which query it befell.
fn named(doing: &'static str, query: &Query) -> impl FnOnce(DbError) -> DbError {
    let doing = format!("{doing} {}/{}", query.domain, query.name);
    move |error| match error {
        DbError::Server { source, .. } => DbError::Server { doing, source },
        other => other,
    }
}

/// Opens a transaction for a query that has settings of its own.
async fn begin(db: &Connection, query: &Query) -> Result<bool, DbError> {
    if query.settings.is_empty() {
        return Ok(false);
    }
    db.batch_execute(&format!("BEGIN READ ONLY; {}", settings(query))).await?;
    Ok(true)
}

fn settings(query: &Query) -> String {
    let set =
        |(name, value): &(String, String)| format!("SET LOCAL {name} = {};", literal(Some(value)));
    query.settings.iter().map(set).collect()
}

async fn end(db: &Connection, begun: bool) -> Result<(), DbError> {
    if begun {
        db.batch_execute("ROLLBACK").await?;
    }
    Ok(())
}

/// Warms the cache with each set of values, then runs the query with one after the other.
async fn runs(
    db: &Connection,
    link: &Link,
    sql: &str,
    sets: &[Values],
    patience: Duration,
) -> Result<(Vec<f64>, u64, bool), DbError> {
    let mut statement = Prepared::new(db, link, sql).await?;
    let mut most = 0;
    let began = Instant::now();
    // Six runs at least: only then the server decides whether one plan fits all values.
    for values in sets.iter().cycle().take(sets.len().max(6)) {
        most = statement.run(db, values).await?.0.max(most);
        if began.elapsed() > patience {
            break;
        }
    }
    let began = Instant::now();
    let mut times = Vec::new();
    for values in sets.iter().cycle().take(BENCH_RUNS_MAX) {
        let (rows, time) = statement.run(db, values).await?;
        most = most.max(rows);
        times.push(time.as_secs_f64() * 1e3);
        if began.elapsed() > patience && times.len() >= BENCH_RUNS_MIN {
            break;
        }
    }
    Ok((times, most, statement.is_prepared()))
}

/// Planning apart from execution, and the plan. The statement is prepared by SQL inside one
/// transaction, which holds behind every pooler.
async fn plans(
    db: &Connection,
    query: &Query,
    sql: &str,
    sets: &[Values],
    patience: Duration,
) -> Result<Measured, DbError> {
    let open = format!("BEGIN READ ONLY; {}", settings(query));
    db.batch_execute(&open).await?;
    let explained = in_transaction(db, query, sql, sets, patience).await;
    // A failed transaction takes the prepared statement along only if it is told to.
    let closed = match &explained {
        Ok(_) => db.batch_execute("DEALLOCATE tidegate_bench; ROLLBACK").await,
        Err(_) => db.batch_execute("ROLLBACK").await,
    };
    let (unprepared, prepared) = explained.map_err(named("explaining", query))?;
    closed?;
    let of = |plans: &[Value], key: &str| {
        let mut times: Vec<f64> = plans.iter().filter_map(|plan| plan[key].as_f64()).collect();
        times.sort_by(f64::total_cmp);
        percentile(&times, 50.0)
    };
    let last = prepared.last().cloned().unwrap_or_default();
    let plan = Plan::read(db, &last).await?;
    let judged = !query.plan.is_empty() && rows_of(db, query).await? >= BENCH_PLAN_ROWS_MIN;
    Ok(Measured {
        times: Vec::new(),
        values: 0,
        rows: 0,
        prepared: false,
        // The last ones: by then the server has made up its mind whether it keeps a plan.
        planning: of(&prepared[prepared.len().saturating_sub(2)..], "Planning Time"),
        planning_unprepared: of(&unprepared, "Planning Time"),
        execution: of(&prepared, "Execution Time"),
        faults: if judged { plan.faults(&query.plan) } else { Vec::new() },
        judged,
        indexes: plan.indexes(),
        plan: last,
    })
}

type Explained = (Vec<Value>, Vec<Value>);

async fn in_transaction(
    db: &Connection,
    query: &Query,
    sql: &str,
    sets: &[Values],
    patience: Duration,
) -> Result<Explained, DbError> {
    let began = Instant::now();
    let (mut unprepared, mut prepared) = (Vec::new(), Vec::new());
    db.batch_execute(&format!("PREPARE tidegate_bench AS {sql}")).await?;
    let places: Vec<String> = (1..=query.parameters.len()).map(|at| format!("${at}")).collect();
    let execute = match places.is_empty() {
        true => "EXECUTE tidegate_bench".to_owned(),
        false => format!("EXECUTE tidegate_bench({})", places.join(", ")),
    };
    for values in sets.iter().cycle().take(BENCH_PLANS) {
        prepared.push(explain(db, &execute, values).await?);
        if began.elapsed() > patience {
            break;
        }
    }
    for values in sets.iter().cycle().take(BENCH_RUNS_MIN) {
        if !unprepared.is_empty() && began.elapsed() > patience {
            break;
        }
        unprepared.push(explain(db, sql, values).await?);
    }
    Ok((unprepared, prepared))
}

/// Rows of the first thing that the query needs, partitions counted, as far as the server knows.
async fn rows_of(db: &Connection, query: &Query) -> Result<i64, DbError> {
    let Some(Need::Relation(name)) = query.needs.first() else { return Ok(0) };
    let sql = "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint \
               FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1) AND c.relkind <> 'p' \
                  OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(to_regclass($1)))";
    Ok(db.query_typed_one(sql, &[(name, Type::TEXT)]).await?.try_get(0)?)
}

/// For machines.
pub fn to_json(measured: &Measured) -> Value {
    json!({
        "runs": measured.times.len(),
        "values": measured.values,
        "rows": measured.rows,
        "prepared": measured.prepared,
        "p50_ms": measured.percentile(50.0),
        "p95_ms": measured.percentile(95.0),
        "p99_ms": measured.percentile(99.0),
        "max_ms": measured.percentile(100.0),
        "planning_ms": measured.planning,
        "planning_unprepared_ms": measured.planning_unprepared,
        "execution_ms": measured.execution,
        "plan_judged": measured.judged,
        "plan_faults": measured.faults,
        "indexes": measured.indexes,
        "plan": measured.plan,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_the_nearest_rank() {
        let times: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&times, 50.0), 100.0);
        assert_eq!(percentile(&times, 95.0), 190.0);
        assert_eq!(percentile(&times, 99.0), 198.0);
        assert_eq!(percentile(&times, 100.0), 200.0);
        assert_eq!(percentile(&[7.0], 1.0), 7.0);
        assert!(percentile(&[], 50.0).is_nan());
    }
}
