//! The way of a load's records into its table, made anew from the recipe that the ledger keeps and
//! from what the catalogue says of the table now.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use tokio_postgres::types::Type;

use crate::check::Checker;
use crate::column::{TargetTable, TimeRanges};
use crate::dataset::ConflictPolicy;
use crate::db::Connection;
use crate::db::partition::{Width, ensure_partitions, plan_partitions};
use crate::pipeline::PipelineError;
use crate::write::Target;

use super::super::CommandError;
use super::super::recall;
use super::super::recipe::Recipe;
use super::mended::RecordReader;
use super::object::Objects;

const DAY_US: i64 = 86_400_000_000;

/// A load's way.
#[derive(Debug)]
pub(super) struct Way {
    pub recipe: Recipe,
    pub source: Arc<str>,
    pub reader: RecordReader,
    pub target: Target,
    pub checker: Checker,
    /// What the table's partitions accept.
    accepted: TimeRanges,
}

impl Way {
    pub async fn find(db: &Connection, load_id: i64) -> Result<Self, CommandError> {
        let row = db
            .query_typed_opt(
                "SELECT source, replay, on_conflict FROM tidegate.load WHERE id = $1",
                &[(&load_id, Type::INT8)],
            )
            .await?;
        let row = row.ok_or_else(|| {
            CommandError::Refused(format!(
                "the ledger has lost load {load_id}, so its records cannot be read again: mend the \
                 file itself and load it"
            ))
        })?;
        let recipe = Recipe::from_json(&row.get("replay"))?;
        let policy = recall::policy(row.get("on_conflict"))?;
        let source: Arc<str> = row.get::<_, &str>("source").into();
        let (table, children) = recall::tables(db, &recipe, &source).await?;
        Self::over(recipe, source, (&table, &children), policy)
    }

    fn over(
        recipe: Recipe,
        source: Arc<str>,
        (table, children): (&TargetTable, &[TargetTable]),
        policy: ConflictPolicy,
    ) -> Result<Self, CommandError> {
        let reader = match (&recipe.shape, &recipe.json) {
            (Some(shape), _) => RecordReader::new(&recipe.mapping, shape),
            (None, Some(shape)) => RecordReader::of_json(&recipe.mapping, shape),
            (None, None) => {
                let (mapping, shape) = Objects::reading(&recipe);
                RecordReader::new(&mapping, &shape)
            }
        };
        let source_name = Arc::clone(&source);
        let reader = reader.map_err(|cause| PipelineError::Decode { source_name, cause })?;
        let (checker, target) = recall::recall(&recipe, (table, children), policy)?;
        let partitioning = table.partitioning.as_ref();
        let accepted = partitioning.map(|p| p.accepted.clone()).unwrap_or_default();
        Ok(Self { recipe, source, reader, target, checker, accepted })
    }

    /// Makes partitions for the days on which the batch has rows, as its load would have.
    pub async fn make_partitions(
        &mut self,
        db: &mut Connection,
        root: &RecordBatch,
    ) -> Result<(), CommandError> {
        let column = self.recipe.mapping.time_column.map(|at| root.column(at));
        let times = column.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        let Some(times) = times.filter(|_| self.recipe.makes_partitions) else { return Ok(()) };
        let days: BTreeSet<i64> = times.iter().flatten().map(|ts| ts.div_euclid(DAY_US)).collect();
        let mut planned = self.accepted.clone();
        let mut needed = Vec::new();
        for day in days {
            let (first, last) = (day * DAY_US, (day + 1) * DAY_US - 1);
            // Few rows: what exists around them decides how wide, else a month.
            let new = plan_partitions(&planned, first, last, Width::Month)?;
            planned.ranges.extend(&new);
            planned.ranges.sort_unstable();
            needed.extend(new);
        }
        if !needed.is_empty() {
            ensure_partitions(db, &self.target.root().table, &needed).await?;
            self.accepted = planned;
        }
        Ok(())
    }
}
