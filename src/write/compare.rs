//! Comparing: the rows of a batch are staged as a merge would stage them, and the server says which
//! of them it holds as they are, which otherwise, and which not at all. Nothing but temporary
//! tables is written. Called by `verify data`; what a difference means is decided there.

use std::collections::HashMap;

use bytes::BytesMut;
use tokio_postgres::types::Type;

use super::copy::copy_rows;
use super::ladder::encoders;
use super::stage::{PROBE, PROBE_END, ROW, time_condition};
use super::{Job, Target, WriteError, order, statement};
use crate::column::{PgType, quote_identifier};
use crate::db::Connection;

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 60;

/// How a staged row stands against what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As it is.
    Equal,
    /// Its key with other values.
    Different,
    /// Not at all.
    Missing,
}

impl Standing {
    fn of(class: i32) -> Self {
        match class {
            statement::EQUAL => Standing::Equal,
            statement::DIFFERENT => Standing::Different,
            _ => Standing::Missing,
        }
    }
}

/// A row that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its position in the batch.
    pub row: usize,
    /// How it stands.
    pub standing: Standing,
    /// Its key, as the server writes it: the same key in one session is the same text.
    pub key: String,
    /// What differs, for people.
    pub what: String,
}

/// Looks batches up, in one transaction that the caller opens and ends.
#[derive(Debug)]
pub struct Comparer<'a> {
    db: &'a Connection,
    /// The number of the staging tables for columns of these names and types.
    stages: HashMap<String, usize>,
    buffer: BytesMut,
}

impl<'a> Comparer<'a> {
    /// Over a connection with an open transaction.
    pub fn new(db: &'a Connection) -> Self {
        Self { db, stages: HashMap::new(), buffer: BytesMut::new() }
    }

    /// The rows of a job that are not stored as they are, in the job's order.
    ///
    /// # Errors
    /// The server's, and those of encoding.
    pub async fn differing(&mut self, target: &Target, job: &Job) -> Result<Vec<Seen>, WriteError> {
        let stage = self.stage(target, job).await?;
        let sql = look_up(target, job, stage);
        let sql = format!("{sql} WHERE class <> {} ORDER BY row", statement::EQUAL);
        self.rows(&sql, &[]).await
    }

    /// The rows of a job whose keys are among those that the query `keys` gives, however they
    /// stand.
    ///
    /// # Errors
    /// The server's, and those of encoding.
    pub async fn with_keys(
        &mut self,
        target: &Target,
        job: &Job,
        keys: &str,
        parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)],
    ) -> Result<Vec<Seen>, WriteError> {
        let stage = self.stage(target, job).await?;
        // By hashing, not by probing.
        let others = format!(
            "DELETE FROM {} s WHERE NOT EXISTS (SELECT FROM ({keys}) k WHERE k.key = {})",
            stage.root(),
            key(target)
        );
        self.db.execute_typed(&others, parameters).await?;
        let sql = look_up(target, job, stage);
        self.rows(&format!("{sql} ORDER BY row"), &[]).await
    }

    async fn rows(
        &self,
        sql: &str,
        parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)],
    ) -> Result<Vec<Seen>, WriteError> {
        self.db.batch_execute(PROBE).await?;
        let rows = self.db.query_typed(sql, parameters).await?;
        self.db.batch_execute(PROBE_END).await?;
        let seen = |row: &tokio_postgres::Row| Seen {
            row: row.get::<_, i32>(0).max(0) as usize,
            key: row.get(1),
            standing: Standing::of(row.get(2)),
            what: row.get(3),
        };
        Ok(rows.iter().map(seen).collect())
    }

    /// Fills the staging tables with the rows of a job. They are made once for all batches with
    /// the same columns: each is a lock that is held to the end of the transaction.
    async fn stage(&mut self, target: &Target, job: &Job) -> Result<Stage, WriteError> {
        let columns = |at: usize| {
            let columns = target.tables[at].columns.iter().map(|column| {
                let ddl = column.pg_type.map_or("text", PgType::ddl);
                format!(", {} {ddl}", quote_identifier(&column.name))
            });
            columns.collect::<String>()
        };
        let tables = target.tables.len();
        let signature = (0..tables).map(columns).collect::<Vec<_>>().join("/");
        let next = self.stages.len();
        let number = *self.stages.entry(signature).or_insert(next);
        let stage = Stage { number };
        for at in 0..tables {
            let (name, columns) = (stage.table(at), columns(at));
            let sql = match number == next {
                true => format!(
                    "CREATE TEMPORARY TABLE {name} ({ROW} integer NOT NULL{columns}) ON COMMIT DROP"
                ),
                false => format!("TRUNCATE {name}"),
            };
            self.db.batch_execute(&sql).await?;
        }
        let encoders = encoders(target, job)?;
        for (at, (table, encoder)) in target.tables.iter().zip(encoders).enumerate() {
            let copy = format!(
                "COPY {} ({ROW}, {}) FROM STDIN (FORMAT binary)",
                stage.table(at),
                table.column_list("")
            );
            let encoder = encoder.with_position();
            let (rows, order) = match at.checked_sub(1).map(|child| job.batch.children.get(child)) {
                None => (&job.batch.root, job.order.clone()),
                Some(Some(child)) => {
                    let roots = job.batch.root.num_rows();
                    (&child.rows, order::children_of(&child.root_of, &job.order, roots))
                }
                Some(None) => continue,
            };
            copy_rows(self.db, &copy, &encoder, rows, &order, &mut self.buffer).await?;
        }
        Ok(stage)
    }
}

/// The staging tables of one set of columns.
#[derive(Debug, Clone, Copy)]
struct Stage {
    number: usize,
}

impl Stage {
    fn table(self, at: usize) -> String {
        format!("_tidegate_compare_{}_{at}", self.number)
    }

    fn root(self) -> String {
        format!("pg_temp.{}", self.table(0))
    }
}

/// The query for the staged rows `s`: row, key, class and what differs.
fn look_up(target: &Target, job: &Job, stage: Stage) -> String {
    let found = format!(
        "WITH found AS MATERIALIZED (SELECT s.{ROW} AS row, {} AS key, {} AS class, {} AS what \
         FROM {} s LEFT JOIN {} t ON {})",
        key(target),
        class_of(target),
        what_differs(target),
        stage.root(),
        target.root().table.sql_name(),
        condition(target, job),
    );
    let children: Vec<String> =
        (1..target.tables.len()).map(|at| differing_children(target, at, stage)).collect();
    if children.is_empty() {
        return format!("{found} SELECT row, key, class, what FROM found");
    }
    format!(
        "{found}, children AS MATERIALIZED ({}), \
         judged AS (SELECT row, key, what, d.row IS NOT NULL AS torn, \
             CASE WHEN d.row IS NOT NULL THEN {} ELSE class END AS class \
             FROM found LEFT JOIN children d USING (row)) \
         SELECT row, key, class, CASE WHEN torn THEN concat_ws('; ', nullif(what, ''), \
             'rows of other tables that belong to it') ELSE what END FROM judged",
        children.join(" UNION "),
        statement::DIFFERENT,
    )
}

/// The key of a staged row `s` as text.
fn key(target: &Target) -> String {
    let root = target.root();
    let names =
        target.key.iter().map(|&at| format!("s.{}", quote_identifier(&root.columns[at].name)));
    format!("ROW({})::text", names.collect::<Vec<_>>().join(", "))
}

/// `t.key = s.key`, and the batch's time range.
fn condition(target: &Target, job: &Job) -> String {
    let root = target.root();
    let mut all: Vec<String> = (target.key.iter())
        .map(|&at| {
            let name = quote_identifier(&root.columns[at].name);
            format!("t.{name} = s.{name}")
        })
        .collect();
    all.extend(time_condition(target, job));
    all.join(" AND ")
}

/// For each column that is not the key's: whether a staged row `s` says something else than the
/// stored row `t`, and the column's position.
fn differences(target: &Target) -> Vec<(usize, String)> {
    let (root, meeting) = (target.root(), &target.meeting);
    let mut differences = Vec::new();
    for (at, column) in root.columns.iter().enumerate() {
        if target.key.contains(&at) {
            continue;
        }
        let name = quote_identifier(&column.name);
        let comparable = column.pg_type.map_or("", PgType::comparable);
        let differs = format!("s.{name}{comparable} IS DISTINCT FROM t.{name}{comparable}");
        let knows = match meeting.content {
            // What does not know its content is a part, which knows nothing but what it adds.
            Some(content) if !meeting.adds.contains(&at) => Some(content),
            // What does not know takes nothing away.
            _ if meeting.adds.contains(&at) => Some(at),
            _ => None,
        };
        let differs = match knows.map(|at| quote_identifier(&root.columns[at].name)) {
            Some(knows) => format!("s.{knows} IS NOT NULL AND {differs}"),
            None => differs,
        };
        differences.push((at, differs));
    }
    differences
}

fn class_of(target: &Target) -> String {
    let mut cases = vec![format!("WHEN t.tableoid IS NULL THEN {}", statement::NEW)];
    let differs = differences(target);
    if !differs.is_empty() {
        let any: Vec<String> =
            differs.into_iter().map(|(_, differs)| format!("({differs})")).collect();
        cases.push(format!("WHEN {} THEN {}", any.join(" OR "), statement::DIFFERENT));
    }
    format!("CASE {} ELSE {} END", cases.join(" "), statement::EQUAL)
}

/// The columns that differ, each with both values.
fn what_differs(target: &Target) -> String {
    let shown = differences(target).into_iter().map(|(at, differs)| {
        let plain = &target.root().columns[at].name;
        let name = quote_identifier(plain);
        let value =
            |side: &str| format!("coalesce(left({side}.{name}::text, {SHOWN_MAX}), 'nothing')");
        let label = plain.replace('\'', "''").replace('%', "%%");
        format!(
            "CASE WHEN t.tableoid IS NOT NULL AND {differs} THEN format('{label} is %s in the \
             file, %s in the table', {}, {}) END",
            value("s"),
            value("t")
        )
    });
    let shown: Vec<String> = shown.collect();
    match shown.is_empty() {
        true => "''".to_owned(),
        false => format!("concat_ws('; ', {})", shown.join(", ")),
    }
}

/// Positions of the staged roots, found and whole, whose rows in table number `at` are not those
/// that are stored.
fn differing_children(target: &Target, at: usize, stage: Stage) -> String {
    let child = &target.tables[at];
    let whole = match target.meeting.content {
        Some(content) => {
            format!(
                " WHERE s.{} IS NOT NULL",
                quote_identifier(&target.root().columns[content].name)
            )
        }
        None => String::new(),
    };
    let roots = format!(
        "SELECT s.* FROM {} s JOIN found f ON f.row = s.{ROW} AND f.class <> {}{whole}",
        stage.root(),
        statement::NEW
    );
    let side = |table: &str| {
        format!(
            "SELECT r.{ROW} AS row, {} FROM ({roots}) r JOIN {table} c ON {}",
            child.column_list("c."),
            statement::root_match(target, child, "c")
        )
    };
    let (staged, stored) =
        (side(&format!("pg_temp.{}", stage.table(at))), side(&child.table.sql_name()));
    format!(
        "SELECT row FROM (({staged} EXCEPT ALL {stored}) UNION ALL ({stored} EXCEPT ALL {staged})) \
         AS x"
    )
}
