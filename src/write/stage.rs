//! Staging: a batch goes into temporary tables by COPY, then from there into the target, merged by
//! key where the target has one. Also how COPY is avoided where the server refuses it.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::copy::copy_rows;
use super::{Job, LadderCounters, TableTarget, Target, WriteError, order, statement, tick};
use crate::column::quote_identifier;
use crate::count::{Counts, TableCounts};
use crate::dataset::ConflictPolicy;
use crate::db::Connection;
use crate::encode::Encoder;

/// A staged row's position in its batch.
pub(super) const ROW: &str = "_tidegate_row";
/// From here on in the transaction, a join with the target probes the index of its key, row by
/// row. Left to itself the planner may read the whole table for a batch that touches little of it,
/// or, of partitions that were never analysed, join every row with every other.
pub(super) const PROBE: &str = "SET LOCAL jit = off; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
    SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_material = off";
/// Other joins are the planner's again.
pub(super) const PROBE_END: &str = "SET LOCAL enable_hashjoin TO DEFAULT; \
    SET LOCAL enable_mergejoin TO DEFAULT; SET LOCAL enable_seqscan TO DEFAULT; \
    SET LOCAL enable_bitmapscan TO DEFAULT; SET LOCAL enable_material TO DEFAULT";
/// Each staged root row's class, of those that [`statement`] names.
pub(super) const CLASSES: &str = "pg_temp._tidegate_class";

/// The staging table of the target's table number `at`.
pub(super) fn stage_name(at: usize) -> String {
    format!("pg_temp._tidegate_stage_{at}")
}

/// Creates the staging tables and fills them with some roots and their children. Inside a
/// transaction.
pub(super) async fn stage(
    db: &Connection,
    target: &Target,
    job: &Job,
    roots: &[u32],
    encoders: &[Encoder],
    buffer: &mut BytesMut,
) -> Result<(), WriteError> {
    for (at, (table, encoder)) in target.tables.iter().zip(encoders).enumerate() {
        let name = stage_name(at);
        let columns = table.columns.iter().map(|column| {
            let ddl = column.pg_type.map_or("text", crate::column::PgType::ddl);
            format!(", {} {ddl}", quote_identifier(&column.name))
        });
        let create = format!(
            "CREATE TEMPORARY TABLE {} ({ROW} integer NOT NULL{}) ON COMMIT DROP",
            name.trim_start_matches("pg_temp."),
            columns.collect::<String>()
        );
        db.batch_execute(&create).await?;
        let copy =
            format!("COPY {name} ({ROW}, {}) FROM STDIN (FORMAT binary)", table.column_list(""));
        let encoder = encoder.clone().with_position();
        if at == 0 {
            copy_rows(db, &copy, &encoder, &job.batch.root, roots, buffer).await?;
        } else if let Some(child) = job.batch.children.get(at - 1) {
            let rows = order::children_of(&child.root_of, roots, job.batch.root.num_rows());
            copy_rows(db, &copy, &encoder, &child.rows, &rows, buffer).await?;
        }
    }
    Ok(())
}

/// What a merge did.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub inserted: u64,
    pub updated: u64,
    pub duplicate: u64,
    pub conflicting: u64,
    /// Root rows whose key is stored, where the policy refuses them.
    pub refused: Vec<usize>,
    /// Root rows that are parts of records that are not stored.
    pub parts: Vec<usize>,
    /// Staged rows whose key is stored, with their classes; only of jobs of several loads.
    pub classes: Vec<(u32, i32)>,
    pub tables: BTreeMap<String, TableCounts>,
}

impl Merged {
    /// What became of a job's records, by load: what is known of all, and what merging showed of
    /// those that were staged.
    pub fn counts(&self, target: &Target, job: &Job) -> Result<Vec<Counts>, WriteError> {
        let mut counts = job.expected();
        let Some(origins) = &job.origins else {
            let all = &mut counts[0];
            all.inserted = self.inserted;
            all.updated = self.updated;
            all.duplicate += self.duplicate;
            all.conflicting += self.conflicting;
            all.rejected += (self.refused.len() + self.parts.len()) as u64;
            return Ok(counts);
        };
        for &(row, class) in &self.classes {
            let of_load = origins.of_row(&mut counts, row);
            of_load.inserted -= 1;
            match (class, target.policy) {
                (statement::PART, _) => of_load.rejected += 1,
                (statement::DIFFERENT | statement::ADDING, ConflictPolicy::Update) => {
                    of_load.updated += 1;
                }
                (class, _) => {
                    of_load.duplicate += 1;
                    of_load.conflicting += u64::from(class != statement::EQUAL);
                }
            }
        }
        let inserted: u64 = counts.iter().map(|of_load| of_load.inserted).sum();
        if inserted != self.inserted {
            let message = format!("{inserted} rows are new, {} stored", self.inserted);
            return Err(super::ladder::miscount(target, message));
        }
        Ok(counts)
    }

    /// The counts of one table.
    pub fn table(&mut self, table: &TableTarget) -> &mut TableCounts {
        self.tables.entry(table.table.display_name()).or_default()
    }
}

/// Moves staged rows into a target without a conflict key.
pub(super) async fn insert_all(
    db: &Connection,
    target: &Target,
    counters: &LadderCounters,
) -> Result<Merged, WriteError> {
    let mut merged = Merged::default();
    for (at, table) in target.tables.iter().enumerate() {
        let columns = table.column_list("");
        let sql = format!(
            "INSERT INTO {} ({columns}) SELECT {columns} FROM {} ORDER BY {ROW}",
            table.table.sql_name(),
            stage_name(at)
        );
        tick(&counters.insert_batches);
        let inserted = db.execute_typed(&sql, &[]).await?;
        merged.table(table).inserted += inserted;
        if at == 0 {
            merged.inserted = inserted;
        }
    }
    Ok(merged)
}

/// Merges staged rows by key. `None`: the server's counts are not those of the classes, because
/// somebody else wrote the same keys meanwhile; the transaction must be redone.
pub(super) async fn merge(
    db: &Connection,
    target: &Target,
    job: &Job,
    counters: &LadderCounters,
) -> Result<Option<Merged>, WriteError> {
    let [new, equal, different, adding, parts] = classify(db, target, job).await?;
    let mut merged = Merged::default();
    if job.origins.is_some() && equal + different + adding + parts > 0 {
        let sql = format!("SELECT {ROW}, class FROM {CLASSES} WHERE class > 0");
        let rows = db.query_typed(&sql, &[]).await?;
        merged.classes = rows
            .iter()
            .map(|row| (row.get::<_, i32>(0).max(0) as u32, row.get::<_, i32>(1)))
            .collect();
    }
    if new > 0 && insert_new(db, target, counters, &mut merged).await? != new {
        return Ok(None);
    }
    if parts > 0 {
        merged.parts = rows_where(db, &format!("class = {}", statement::PART)).await?;
    }
    let changing = different + adding;
    match target.policy {
        ConflictPolicy::Skip => {
            merged.duplicate = equal + changing;
            merged.conflicting = changing;
        }
        ConflictPolicy::Update => {
            merged.duplicate = equal;
            if changing > 0 {
                merged.updated = replace(db, target, counters, &mut merged).await?;
                if merged.updated != changing {
                    return Ok(None);
                }
            }
        }
        ConflictPolicy::Reject => {
            let stored = format!("class NOT IN ({}, {})", statement::NEW, statement::PART);
            merged.refused = rows_where(db, &stored).await?;
        }
        ConflictPolicy::Error if equal + changing > 0 => {
            return Err(WriteError::Conflict {
                source_name: job.source.to_string(),
                table: target.root().table.display_name(),
                rows: equal + changing,
            });
        }
        ConflictPolicy::Error => {}
    }
    Ok(Some(merged))
}

/// Positions of the staged roots of some classes.
async fn rows_where(db: &Connection, classes: &str) -> Result<Vec<usize>, WriteError> {
    let sql = format!("SELECT {ROW} FROM {CLASSES} WHERE {classes} ORDER BY {ROW}");
    let rows = db.query_typed(&sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get::<_, i32>(0).max(0) as usize).collect())
}

/// `t.key = s.key` for all key columns, with the batch's time range as constants, so that the
/// planner leaves out partitions that cannot hold a match.
fn key_match(target: &Target, job: &Job) -> String {
    let root = target.root();
    let mut conditions: Vec<String> = (target.key.iter())
        .map(|&column| {
            let name = quote_identifier(&root.columns[column].name);
            format!("t.{name} = s.{name}")
        })
        .collect();
    conditions.extend(time_condition(target, job));
    conditions.join(" AND ")
}

/// The time range of a batch as constants, where time is part of the key.
pub(super) fn time_condition(target: &Target, job: &Job) -> Option<String> {
    let time = target.time.filter(|time| target.key.contains(time))?;
    let (min, max) = time_range(job, time)?;
    let name = quote_identifier(&target.root().columns[time].name);
    Some(format!("t.{name} BETWEEN '{min}' AND '{max}'"))
}

fn time_range(job: &Job, column: usize) -> Option<(jiff::Timestamp, jiff::Timestamp)> {
    let times = job.batch.root.column(column).as_any();
    let times = times.downcast_ref::<arrow::array::TimestampMicrosecondArray>()?;
    let instant = |us: Option<i64>| jiff::Timestamp::from_microsecond(us?).ok();
    Some((instant(arrow::compute::min(times))?, instant(arrow::compute::max(times))?))
}

/// Classes each staged root row by one join that probes the key's index, and counts the classes.
pub(super) async fn classify(
    db: &Connection,
    target: &Target,
    job: &Job,
) -> Result<[u64; statement::CLASS_COUNT], WriteError> {
    let sql = format!(
        "{PROBE}; \
         CREATE TEMPORARY TABLE _tidegate_class ON COMMIT DROP AS \
             SELECT s.{ROW}, {} AS class FROM {} s LEFT JOIN {} t ON {}; \
         {PROBE_END}",
        statement::class(target),
        stage_name(0),
        target.root().table.sql_name(),
        key_match(target, job)
    );
    db.batch_execute(&sql).await?;
    let sql = format!("SELECT class, count(*) FROM {CLASSES} GROUP BY class");
    let mut counts = [0; statement::CLASS_COUNT];
    for row in db.query_typed(&sql, &[]).await? {
        counts[row.get::<_, i32>(0) as usize] = row.get::<_, i64>(1) as u64;
    }
    Ok(counts)
}

/// Inserts the new roots and their children. Returns how many roots the server inserted.
async fn insert_new(
    db: &Connection,
    target: &Target,
    counters: &LadderCounters,
    merged: &mut Merged,
) -> Result<u64, WriteError> {
    tick(&counters.insert_batches);
    let inserted = db.execute_typed(&statement::insert_roots(target, ""), &[]).await?;
    merged.inserted = inserted;
    merged.table(target.root()).inserted += inserted;
    insert_children(db, target, statement::NEW, merged).await?;
    Ok(inserted)
}

/// Inserts the children of the roots of one class.
async fn insert_children(
    db: &Connection,
    target: &Target,
    class: i32,
    merged: &mut Merged,
) -> Result<(), WriteError> {
    for (at, child) in target.tables.iter().enumerate().skip(1) {
        let sql = statement::insert_children(target, at, class, "");
        merged.table(child).inserted += db.execute_typed(&sql, &[]).await?;
    }
    Ok(())
}

/// Updates the roots that differ from what is stored, whose children are deleted and inserted anew,
/// and those that add to it.
async fn replace(
    db: &Connection,
    target: &Target,
    counters: &LadderCounters,
    merged: &mut Merged,
) -> Result<u64, WriteError> {
    let index = format!("CREATE INDEX ON {} ({ROW}); {PROBE}", stage_name(0));
    db.batch_execute(&index).await?;
    tick(&counters.insert_batches);
    let updated = db.execute_typed(&statement::update_roots(target, ""), &[]).await?;
    db.batch_execute(PROBE_END).await?;
    merged.table(target.root()).updated += updated;
    for (at, child) in target.tables.iter().enumerate().skip(1) {
        let sql = statement::delete_children(target, at, "");
        merged.table(child).deleted += db.execute_typed(&sql, &[]).await?;
    }
    insert_children(db, target, statement::DIFFERENT, merged).await?;
    Ok(updated)
}
