//! What `status` reads from the ledger. The statements are files that also run in psql.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::count::Counts;
use crate::db::{Connection, DbError, Doing as _};

const DOING: &str = "reading the ledger";

/// A run of a command that writes.
#[derive(Debug)]
pub(super) struct Run {
    pub id: i64,
    pub command: String,
    pub program: String,
    /// ISO 8601, UTC.
    pub started_at: String,
    pub finished_at: Option<String>,
    pub exit_code: Option<i32>,
    /// It has not ended, and began or committed something within the last minute.
    pub active: bool,
    /// Until its end, until now while it is active, else until its last commit.
    pub elapsed_s: f64,
    /// Loads that it worked on, by how they stand now.
    pub sealed: u64,
    pub unsealed: u64,
    /// What its own portions did.
    pub counts: Counts,
}

/// A load and what its portions hold, whichever run wrote them.
#[derive(Debug)]
pub(super) struct Load {
    pub id: i64,
    pub source: String,
    pub target: String,
    pub dataset: String,
    pub layout: String,
    pub sealed: bool,
    /// It began or committed something within the last minute.
    pub active: bool,
    pub begun_at: String,
    pub last_commit_at: Option<String>,
    pub portions: u64,
    /// Of the source, 0 to 1; none of an empty source.
    pub part: Option<f64>,
    /// Records a second over the last minute.
    pub rows_per_s: f64,
    pub counts: Counts,
    pub open_rejects: u64,
}

/// What a run committed within some minutes.
#[derive(Debug)]
pub(super) struct Step {
    pub begins_at: String,
    pub minutes: u64,
    pub portions: u64,
    pub read: u64,
    pub inserted: u64,
    pub rejected: u64,
    pub rows_per_min: f64,
}

fn count(row: &Row, column: &str) -> Result<u64, tokio_postgres::Error> {
    Ok(row.try_get::<_, i64>(column)?.max(0).unsigned_abs())
}

fn counts(row: &Row) -> Result<Counts, tokio_postgres::Error> {
    Ok(Counts {
        read: count(row, "read")?,
        inserted: count(row, "inserted")?,
        updated: count(row, "updated")?,
        duplicate: count(row, "duplicate")?,
        conflicting: count(row, "conflicting")?,
        rejected: count(row, "rejected")?,
        skipped: count(row, "skipped")?,
    })
}

/// The newest runs, or one.
pub(super) async fn runs(
    connection: &Connection,
    rows: u32,
    id: Option<i64>,
) -> Result<Vec<Run>, DbError> {
    let sql = include_str!("../sql/status_runs.sql");
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&i64::from(rows), Type::INT8), (&id, Type::INT8)];
    let rows = connection.query_typed(sql, &parameters).await.doing(DOING)?;
    let run = |row: &Row| {
        Ok(Run {
            id: row.try_get("id")?,
            command: row.try_get("command")?,
            program: row.try_get("program")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
            exit_code: row.try_get("exit_code")?,
            active: row.try_get("active")?,
            elapsed_s: row.try_get("elapsed_s")?,
            sealed: count(row, "sealed")?,
            unsealed: count(row, "unsealed")?,
            counts: counts(row)?,
        })
    };
    rows.iter().map(run).collect()
}

/// The loads of a run, or without one all that are not sealed; and how many there are in all.
pub(super) async fn loads(
    connection: &Connection,
    run: Option<i64>,
    rows: u32,
) -> Result<(Vec<Load>, u64), DbError> {
    let sql = include_str!("../sql/status_loads.sql");
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&run, Type::INT8), (&i64::from(rows), Type::INT8)];
    let rows = connection.query_typed(sql, &parameters).await.doing(DOING)?;
    let total = rows.first().map(|row| count(row, "total")).transpose()?.unwrap_or(0);
    let load = |row: &Row| {
        Ok(Load {
            id: row.try_get("id")?,
            source: row.try_get("source")?,
            target: row.try_get("target")?,
            dataset: row.try_get("dataset")?,
            layout: row.try_get("layout")?,
            sealed: row.try_get("sealed")?,
            active: row.try_get("active")?,
            begun_at: row.try_get("begun_at")?,
            last_commit_at: row.try_get("last_commit_at")?,
            portions: count(row, "portions")?,
            part: row.try_get("part")?,
            rows_per_s: row.try_get("rows_per_s")?,
            counts: counts(row)?,
            open_rejects: count(row, "open_rejects")?,
        })
    };
    let loads = rows.iter().map(load).collect::<Result<Vec<_>, DbError>>()?;
    Ok((loads, total))
}

/// What a run committed over time.
pub(super) async fn throughput(connection: &Connection, run: i64) -> Result<Vec<Step>, DbError> {
    let sql = include_str!("../sql/status_throughput.sql");
    let rows = connection.query_typed(sql, &[(&run, Type::INT8)]).await.doing(DOING)?;
    let step = |row: &Row| {
        Ok(Step {
            begins_at: row.try_get("begins_at")?,
            minutes: count(row, "minutes")?,
            portions: count(row, "portions")?,
            read: count(row, "read")?,
            inserted: count(row, "inserted")?,
            rejected: count(row, "rejected")?,
            rows_per_min: row.try_get("rows_per_min")?,
        })
    };
    rows.iter().map(step).collect()
}

/// Rejects that nobody has replayed.
pub(super) async fn open_rejects(connection: &Connection) -> Result<u64, DbError> {
    const SQL: &str = "SELECT count(*) AS open FROM tidegate.reject WHERE resolved_at IS NULL";
    let row = connection.query_typed_one(SQL, &[]).await.doing(DOING)?;
    Ok(count(&row, "open")?)
}
