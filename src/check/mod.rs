//! Rules that a row must keep before it is worth sending: groups of columns that belong together,
//! and the time ranges that the target's partitions accept. Called by the decoder threads. What a
//! column's type can hold is the encoder's to say.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow::error::ArrowError;

use crate::batch::Fault;
use crate::column::TimeRanges;
use crate::dataset::Word;

mod order;
mod quality;
mod rules;
mod spelling;

pub use order::InOrder;
pub use quality::{Met, Quality, Tally};
pub use rules::Bound;
pub use spelling::respell;

/// The rules for one target.
#[derive(Debug, Clone, Default)]
pub struct Checker {
    /// Groups of column positions that must be all NULL or all present.
    pub together: Vec<Vec<usize>>,
    /// The dataset's rules.
    pub rules: Vec<Bound>,
    /// Positions of columns that take few words, with the words.
    pub words: Vec<(usize, &'static [Word])>,
    /// The position of the partitioning time column, and what the partitions accept.
    pub accepted: Option<(usize, TimeRanges)>,
    /// The order that the source's layout promises.
    pub order: Option<InOrder>,
}

impl Checker {
    /// Every row of `batch` that breaks a rule. The batch is in the order of its source.
    ///
    /// # Errors
    /// Arrow's own, which would be a bug of ours.
    pub fn faults(&self, batch: &RecordBatch) -> Result<Vec<Fault>, ArrowError> {
        let mut faults = Vec::new();
        for group in &self.together {
            self.partial_groups(batch, group, &mut faults);
        }
        for rule in &self.rules {
            rule.faults(batch, &mut faults);
        }
        if let Some((column, ranges)) = &self.accepted {
            outside(batch, *column, ranges, &mut faults);
        }
        if let Some(order) = &self.order {
            order.faults(batch, &mut faults)?;
        }
        Ok(faults)
    }

    /// Spells the columns that take few words as they are stored; a value that is none of them is
    /// a fault. `None`: all are spelled so.
    ///
    /// # Errors
    /// Arrow's own, which would be a bug of ours.
    pub fn spell(
        &self,
        batch: &RecordBatch,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        let mut spelled: Option<Vec<ArrayRef>> = None;
        for &(column, words) in &self.words {
            let field = batch.schema_ref().field(column);
            let mut unknown = |row: usize, value: &str| {
                faults.push(spelling::unknown(row, field.name(), value, words));
            };
            let stored = |value: &str| spelling::stored(value, words);
            if let Some(array) = respell(batch.column(column), stored, &mut unknown) {
                spelled.get_or_insert_with(|| batch.columns().to_vec())[column] = array;
            }
        }
        spelled.map(|columns| RecordBatch::try_new(batch.schema(), columns)).transpose()
    }

    fn partial_groups(&self, batch: &RecordBatch, group: &[usize], faults: &mut Vec<Fault>) {
        if group.iter().all(|&column| batch.column(column).null_count() == 0) {
            return;
        }
        for row in 0..batch.num_rows() {
            let missing = |&&column: &&usize| batch.column(column).is_null(row);
            let Some(first) = group.iter().find(missing) else { continue };
            if group.iter().filter(missing).count() == group.len() {
                continue;
            }
            let name = |&column: &usize| batch.schema_ref().field(column).name().clone();
            let names: Vec<String> = group.iter().map(name).collect();
            faults.push(Fault {
                row,
                rule: Cow::Borrowed("null_value"),
                column: Some(name(first)),
                sqlstate: None,
                reason: format!(
                    "{} is empty while others of {} are not",
                    name(first),
                    names.join(", ")
                ),
            });
        }
    }
}

/// Rows that no partition accepts. Seen here, they cost nothing; refused by the server, each would
/// cost a round down the ladder.
fn outside(batch: &RecordBatch, column: usize, ranges: &TimeRanges, faults: &mut Vec<Fault>) {
    let Some(times) = batch.column(column).as_any().downcast_ref::<TimestampMicrosecondArray>()
    else {
        return;
    };
    let (min, max) = (arrow::compute::min(times), arrow::compute::max(times));
    if let (Some(min), Some(max)) = (min, max)
        && ranges.covers(min, max)
    {
        return;
    }
    let name = batch.schema_ref().field(column).name();
    for row in 0..times.len() {
        if times.is_null(row) || ranges.contains(times.value(row)) {
            continue;
        }
        let ts = jiff::Timestamp::from_microsecond(times.value(row))
            .map_or_else(|_| times.value(row).to_string(), |ts| ts.to_string());
        faults.push(Fault {
            row,
            rule: Cow::Borrowed("no_partition"),
            column: Some(name.clone()),
            sqlstate: Some("23514".to_owned()),
            reason: format!("no partition of the target accepts {name} = {ts}"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array};
    use std::sync::Arc;

    #[test]
    fn partial_groups_and_uncovered_times_are_faults() {
        let prices = |values: Vec<Option<f64>>| Arc::new(Float64Array::from(values)) as ArrayRef;
        let times = Arc::new(TimestampMicrosecondArray::from(vec![5, 15, 25, 35])) as ArrayRef;
        let batch = RecordBatch::try_from_iter([
            ("ts", times),
            ("open", prices(vec![None, Some(1.0), None, Some(1.0)])),
            ("high", prices(vec![None, Some(1.0), Some(1.0), Some(1.0)])),
        ])
        .unwrap();
        let ranges = TimeRanges { ranges: vec![(0, 10), (20, 40)] };
        let checker = Checker {
            together: vec![vec![1, 2]],
            accepted: Some((0, ranges)),
            ..Checker::default()
        };
        let faults = checker.faults(&batch).unwrap();
        let found: Vec<_> = faults.iter().map(|fault| (fault.row, &*fault.rule)).collect();
        assert_eq!(found, [(2, "null_value"), (1, "no_partition")]);
    }
}
