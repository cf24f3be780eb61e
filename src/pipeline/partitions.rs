//! Partitions for the range that arrives, made before the first batch that needs them is written.

use std::collections::{BTreeSet, HashMap};

use super::decoder::{DAY_US, Prepared};
use super::{PipelineError, Plan};
use crate::column::TimeRanges;
use crate::db::partition::{Width, ensure_partitions, plan_partitions};
use crate::db::{Connection, catalog};
use crate::limit::PARTITIONS_PER_LOAD_MAX;

/// Makes partitions on a connection of its own.
pub(super) struct PartitionMaker<'a> {
    plan: &'a Plan,
    connection: Option<Connection>,
    /// What the tables' partitions accept, by table.
    accepted: HashMap<u32, TimeRanges>,
    /// Partitions made so far.
    made: usize,
}

/// Rows a day from which on a day is worth a partition.
const ROWS_A_DAY_FOR_DAYS: u64 = 50_000;
/// Rows a day from which on a month is worth one.
const ROWS_A_DAY_FOR_MONTHS: u64 = 500;

impl<'a> PartitionMaker<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan, connection: None, accepted: HashMap::new(), made: 0 }
    }

    /// Makes what a batch needs and is not there.
    pub async fn make_for(&mut self, prepared: &Prepared) -> Result<(), PipelineError> {
        if prepared.days.is_empty() {
            return Ok(());
        }
        let load = &self.plan.loads[prepared.load];
        let table = &load.target.root().table;
        let accepted = self.accepted.entry(table.oid).or_insert_with(|| {
            table.partitioning.as_ref().map(|p| p.accepted.clone()).unwrap_or_default()
        });
        let is_covered = |day: &&i64| accepted.covers(**day * DAY_US, (**day + 1) * DAY_US - 1);
        let missing: BTreeSet<i64> =
            prepared.days.iter().filter(|day| !is_covered(day)).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let width = self.width(prepared);
        let connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.plan.database.connect().await?,
        };
        let connection = self.connection.insert(connection);
        let mut planned = self.accepted.get(&table.oid).cloned().unwrap_or_default();
        let mut needed = Vec::new();
        for day in missing {
            if planned.covers(day * DAY_US, (day + 1) * DAY_US - 1) {
                continue;
            }
            let new = plan_partitions(&planned, day * DAY_US, (day + 1) * DAY_US - 1, width)?;
            planned.ranges.extend(&new);
            planned.ranges.sort_unstable();
            needed.extend(new);
        }
        self.made += ensure_partitions(connection, table, &needed).await?;
        let fresh = catalog::load_table(connection, Some(&table.schema), &table.name).await?;
        if let Some(partitioning) = fresh.and_then(|table| table.partitioning) {
            self.accepted.insert(table.oid, partitioning.accepted);
        }
        Ok(())
    }

    /// Width follows density: the rows a day that this batch has, times the sources that are still
    /// to come for the same days.
    fn width(&self, prepared: &Prepared) -> Width {
        let rows = prepared.job.batch.root.num_rows() as u64;
        let sources = self.plan.loads.len().max(1) as u64;
        width_for(rows * sources / prepared.days.len().max(1) as u64, self.made)
    }
}

/// The width of new partitions for so many rows a day, when `made` were made already.
pub fn width_for(rows_a_day: u64, made: usize) -> Width {
    if rows_a_day >= ROWS_A_DAY_FOR_DAYS && made < PARTITIONS_PER_LOAD_MAX / 2 {
        Width::Day
    } else if rows_a_day >= ROWS_A_DAY_FOR_MONTHS && made < PARTITIONS_PER_LOAD_MAX * 9 / 10 {
        Width::Month
    } else {
        Width::Year
    }
}
