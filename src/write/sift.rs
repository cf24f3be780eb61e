//! The second and third rung: finding the rows that the server refuses. Staged rows are inserted in
//! batches, a refused batch is halved, a single refused row is the fault; where many are, a small
//! batch is tried row by row at once. The transaction is always rolled back, so that looking for
//! bad rows commits nothing; the cost is O(bad rows x log batch).

use std::borrow::Cow;
use std::ops::Range;

use bytes::BytesMut;
use tokio_postgres::error::DbError as ServerError;
use tokio_postgres::types::Type;

use super::stage::{CLASSES, ROW, classify, stage, stage_name};
use super::statement::{self, DIFFERENT, NEW};
use super::{Job, LadderCounters, TableTarget, Target, WriteError, tick};
use crate::batch::Fault;
use crate::column::quote_identifier;
use crate::dataset::ConflictPolicy;
use crate::db::Connection;
use crate::encode::Encoder;
use crate::error::Class;
use crate::limit::INSERT_ROWS;

/// A refused batch of so many rows is tried row by row where [`Crowd`] says that many are refused.
const CROWDED_ROWS_MAX: usize = 64;
/// Rows that [`Crowd`] looks back to.
const CROWD_ROWS: usize = 512;

/// How many of the last rows were refused, the older ones counting less.
#[derive(Debug, Default)]
struct Crowd {
    passed: usize,
    refused: usize,
}

impl Crowd {
    /// So many rows were tried together and passed, or one was refused.
    fn saw(&mut self, rows: usize, passed: bool) {
        *(if passed { &mut self.passed } else { &mut self.refused }) += rows;
        if self.passed + self.refused > CROWD_ROWS {
            self.passed /= 2;
            self.refused /= 2;
        }
    }

    /// Halving finds one bad row of 64 with 13 tries; with a sixth of them bad it saves nothing.
    fn is_dense(&self) -> bool {
        self.refused * 6 >= self.passed + self.refused && self.refused >= 8
    }
}

/// Where rows are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// A temporary table with the target's types, NOT NULLs and checks: a refused row leaves
    /// nothing in the target's file.
    Copy,
    /// The target itself: for what only it knows, such as partitions, unique keys and triggers.
    Target,
}

impl Probe {
    /// Where a fault of this SQLSTATE will show again.
    pub fn for_error(target: &Target, error: &WriteError) -> Self {
        // A trigger may fill what the copy, which has none, would find missing in every row.
        if target.tables.iter().any(|table| table.table.before_triggers) {
            return Probe::Target;
        }
        let WriteError::Db(error) = error else { return Probe::Target };
        let Some(server) = error.server_error().and_then(|error| error.as_db_error()) else {
            return Probe::Target;
        };
        match server.code().code() {
            "23502" => Probe::Copy,
            "23514" if server.constraint().is_some() => Probe::Copy,
            code if code.starts_with("22") => Probe::Copy,
            _ => Probe::Target,
        }
    }
}

/// Finds every row of the job that the server refuses on its own. Inside a transaction, which it
/// rolls back.
pub(super) async fn sift(
    db: &Connection,
    target: &Target,
    job: &Job,
    encoders: &[Encoder],
    buffer: &mut BytesMut,
    counters: &LadderCounters,
    probe: Probe,
) -> Result<Vec<Fault>, WriteError> {
    stage(db, target, job, &job.order, encoders, buffer).await?;
    let statements = match probe {
        Probe::Target if !target.key.is_empty() => merging(db, target, job).await?,
        _ => plain(db, target, probe).await?,
    };
    db.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await?;
    let mut sieve = Sieve { db, statements, counters, faults: Vec::new() };
    let mut crowd = Crowd::default();
    db.batch_execute("SAVEPOINT sieve").await?;
    let mut pending: Vec<Range<usize>> = job
        .order
        .chunks(INSERT_ROWS)
        .enumerate()
        .map(|(at, rows)| at * INSERT_ROWS..at * INSERT_ROWS + rows.len())
        .rev()
        .collect();
    while let Some(range) = pending.pop() {
        let passed = sieve.try_rows(&job.order[range.clone()]).await?;
        if passed || range.len() == 1 {
            crowd.saw(range.len(), passed);
        } else if range.len() <= CROWDED_ROWS_MAX && crowd.is_dense() {
            pending.extend(range.rev().map(|at| at..at + 1));
        } else {
            let middle = range.start + range.len() / 2;
            pending.push(middle..range.end);
            pending.push(range.start..middle);
        }
    }
    let faults = sieve.faults;
    db.batch_execute("ROLLBACK").await?;
    Ok(faults)
}

/// Statements that insert some staged rows, `$1`, as they are.
async fn plain(db: &Connection, target: &Target, probe: Probe) -> Result<Vec<String>, WriteError> {
    let mut statements = Vec::new();
    for (at, table) in target.tables.iter().enumerate() {
        index_stage(db, target, at).await?;
        let into = match probe {
            Probe::Target => table.table.sql_name(),
            Probe::Copy => make_copy(db, at, table).await?,
        };
        let from = match at {
            0 => format!("{} s WHERE s.{ROW} = ANY($1)", stage_name(0)),
            _ => format!(
                "{} s JOIN {} r ON {} WHERE r.{ROW} = ANY($1)",
                stage_name(at),
                stage_name(0),
                statement::root_match(target, table, "s")
            ),
        };
        statements.push(format!(
            "INSERT INTO {into} ({}) SELECT {} FROM {from}",
            table.column_list(""),
            table.column_list("s.")
        ));
    }
    Ok(statements)
}

/// Statements that do to some staged rows, `$1`, what merging will do to them: a stored key is no
/// fault, and the children of a stored root are not inserted again.
async fn merging(db: &Connection, target: &Target, job: &Job) -> Result<Vec<String>, WriteError> {
    for at in 0..target.tables.len() {
        index_stage(db, target, at).await?;
    }
    let [new, _, different, adding, _] = classify(db, target, job).await?;
    db.batch_execute(&format!("CREATE INDEX ON {CLASSES} ({ROW}); ANALYZE {CLASSES}")).await?;
    let some = statement::only_some();
    let children = 1..target.tables.len();
    let mut statements = Vec::new();
    if new > 0 {
        statements.push(statement::insert_roots(target, &some));
        statements
            .extend(children.clone().map(|at| statement::insert_children(target, at, NEW, &some)));
    }
    if different + adding > 0 && target.policy == ConflictPolicy::Update {
        statements.push(statement::update_roots(target, &some));
    }
    if different > 0 && target.policy == ConflictPolicy::Update {
        statements.extend(children.clone().map(|at| statement::delete_children(target, at, &some)));
        statements
            .extend(children.map(|at| statement::insert_children(target, at, DIFFERENT, &some)));
    }
    Ok(statements)
}

/// Lets a few rows of a staging table be found without reading all of it.
async fn index_stage(db: &Connection, target: &Target, at: usize) -> Result<(), WriteError> {
    let (name, table) = (stage_name(at), &target.tables[at]);
    let columns = match at {
        0 => ROW.to_owned(),
        _ => {
            let root_key = table.root_key.iter();
            let names = root_key.map(|&at| quote_identifier(&table.columns[at].name));
            names.collect::<Vec<_>>().join(", ")
        }
    };
    db.batch_execute(&format!("CREATE INDEX ON {name} ({columns}); ANALYZE {name}")).await?;
    Ok(())
}

async fn make_copy(db: &Connection, at: usize, table: &TableTarget) -> Result<String, WriteError> {
    let name = format!("_tidegate_probe_{at}");
    let sql = format!(
        "CREATE TEMPORARY TABLE {name} (LIKE {} INCLUDING CONSTRAINTS INCLUDING DEFAULTS \
         INCLUDING GENERATED INCLUDING IDENTITY) ON COMMIT DROP",
        table.table.sql_name()
    );
    db.batch_execute(&sql).await?;
    Ok(format!("pg_temp.{name}"))
}

struct Sieve<'a> {
    db: &'a Connection,
    /// What is done to the rows whose positions are `$1`.
    statements: Vec<String>,
    counters: &'a LadderCounters,
    faults: Vec<Fault>,
}

impl Sieve<'_> {
    /// Tries some rows together, behind a savepoint that is there and is there again afterwards.
    /// Passed rows stay until the end, so that later ones meet them.
    async fn try_rows(&mut self, rows: &[u32]) -> Result<bool, WriteError> {
        let single = rows.len() == 1;
        tick(if single { &self.counters.row_attempts } else { &self.counters.insert_batches });
        match self.insert(rows).await {
            Ok(()) => {
                self.db.batch_execute("RELEASE SAVEPOINT sieve; SAVEPOINT sieve").await?;
                Ok(true)
            }
            Err(error) if error.class() == Class::StepDown => {
                if single {
                    self.faults.push(fault(rows[0] as usize, &error));
                }
                self.db.batch_execute("ROLLBACK TO SAVEPOINT sieve").await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn insert(&self, rows: &[u32]) -> Result<(), WriteError> {
        let positions: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        for sql in &self.statements {
            self.db.execute_typed(sql, &[(&positions, Type::INT4_ARRAY)]).await?;
        }
        Ok(())
    }
}

/// A server's refusal of one row as a fault with a stable rule.
fn fault(row: usize, error: &WriteError) -> Fault {
    let server = match error {
        WriteError::Db(error) => error.server_error().and_then(|error| error.as_db_error()),
        _ => None,
    };
    let Some(server) = server else {
        return Fault {
            row,
            rule: Cow::Borrowed("unencodable"),
            column: None,
            sqlstate: None,
            reason: error.to_string(),
        };
    };
    let detail = server.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    Fault {
        row,
        rule: rule(server),
        column: server.column().map(str::to_owned),
        sqlstate: Some(server.code().code().to_owned()),
        reason: format!("{}{detail}", server.message()),
    }
}

fn rule(server: &ServerError) -> Cow<'static, str> {
    let constraint = server.constraint();
    let named = |kind: &str| match constraint {
        Some(name) => Cow::Owned(format!("{kind}:{name}")),
        None => Cow::Owned(kind.to_owned()),
    };
    match server.code().code() {
        "23502" => Cow::Borrowed("null_value"),
        "23514" if constraint.is_none() => Cow::Borrowed("no_partition"),
        "23514" => named("check"),
        "23505" => named("unique"),
        "23503" => named("foreign_key"),
        "23P01" => named("exclusion"),
        "22001" => Cow::Borrowed("too_long"),
        "22003" | "22008" => Cow::Borrowed("out_of_range"),
        code => Cow::Owned(format!("sqlstate:{code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_bad_rows_are_told_from_a_few() {
        let mut crowd = Crowd::default();
        // One of a thousand, found by halving.
        for _ in 0..20 {
            crowd.saw(1, false);
            for rows in [1, 2, 4, 8, 16, 32, 64, 125, 250, 500] {
                crowd.saw(rows, true);
            }
            assert!(!crowd.is_dense(), "{crowd:?}");
        }
        for at in 0..300 {
            crowd.saw(1, at % 2 == 0);
        }
        assert!(crowd.is_dense(), "{crowd:?}");
        crowd.saw(5_000, true);
        assert!(!crowd.is_dense(), "{crowd:?}");
    }
}
