//! Times that step against the order that a layout promises. Looks at the rows of a batch in the
//! order of their source, each beside the good one before it of the same series, so that one time
//! that is far off costs the record behind it and no more. What a batch is follows from the content
//! alone, so the same records are refused whoever loads them; the first of each series in a batch
//! has nothing beside it. Called by the checker.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use super::rules::shown;
use crate::batch::Fault;
use crate::dataset::TIME_ORDER;
use crate::mapping::Order;

/// The order that the times of a source are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InOrder {
    /// Positions of the columns that tell series apart.
    pub series: Vec<usize>,
    /// Position of the time.
    pub time: usize,
    /// What is promised.
    pub order: Order,
}

impl InOrder {
    /// Adds a fault for every row whose time steps back. Rows that are at fault already are passed
    /// over. Equal times are in order.
    ///
    /// # Errors
    /// Arrow's own, which would be a bug of ours.
    pub fn faults(&self, batch: &RecordBatch, faults: &mut Vec<Fault>) -> Result<(), ArrowError> {
        let Some(times) = batch.column(self.time).as_primitive_opt::<TimestampMicrosecondType>()
        else {
            return Ok(());
        };
        let is_back = |before: i64, ts: i64| match self.order {
            Order::Ascending => ts < before,
            Order::Descending => ts > before,
        };
        // Most files are in order from end to end, whatever their series are.
        let whole = times.null_count() == 0;
        if whole && !times.values().windows(2).any(|pair| is_back(pair[0], pair[1])) {
            return Ok(());
        }
        let columns: Vec<_> = self.series.iter().map(|at| batch.column(*at).clone()).collect();
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        let series = match columns.is_empty() {
            true => None,
            false => Some(converter.convert_columns(&columns)?),
        };
        let known: HashSet<usize> = faults.iter().map(|fault| fault.row).collect();
        let mut before: HashMap<Option<_>, i64> = HashMap::new();
        for row in (0..times.len()).filter(|row| times.is_valid(*row) && !known.contains(row)) {
            let of = series.as_ref().map(|series| series.row(row));
            let previous = before.insert(of, times.value(row));
            if let Some(previous) = previous.filter(|before| is_back(*before, times.value(row))) {
                faults.push(self.fault(batch, times, row, previous));
            }
        }
        Ok(())
    }

    #[cold]
    fn fault(
        &self,
        batch: &RecordBatch,
        times: &TimestampMicrosecondArray,
        row: usize,
        previous: i64,
    ) -> Fault {
        let name = batch.schema_ref().field(self.time).name().clone();
        let (is, order) = match self.order {
            Order::Ascending => ("before", "oldest"),
            Order::Descending => ("after", "newest"),
        };
        let reason = format!(
            "{name} {} is {is} that of the record above, {}, in a file that is {order} first",
            shown(times.value(row)),
            shown(previous)
        );
        Fault { row, rule: TIME_ORDER.into(), column: Some(name), sqlstate: None, reason }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, TimestampMicrosecondArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    /// The rows refused, of rows of series and time; `bad` are at fault already.
    fn refused(order: Order, rows: &[(&str, i64)], bad: &[usize]) -> Vec<usize> {
        let words: DictionaryArray<Int32Type> = rows.iter().map(|(word, _)| *word).collect();
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(_, ts)| *ts));
        let columns: [(&str, ArrayRef); 2] =
            [("symbol", Arc::new(words)), ("ts", Arc::new(times.with_timezone("UTC")))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let fault = |row: &usize| Fault {
            row: *row,
            rule: "other".into(),
            column: None,
            sqlstate: None,
            reason: String::new(),
        };
        let mut faults: Vec<Fault> = bad.iter().map(fault).collect();
        InOrder { series: vec![0], time: 1, order }.faults(&batch, &mut faults).unwrap();
        faults.iter().filter(|fault| fault.rule == TIME_ORDER).map(|fault| fault.row).collect()
    }

    #[test]
    fn a_step_back_is_refused_and_what_follows_it_is_not() {
        let rows = [("A", 1), ("A", 2), ("A", 9), ("A", 3), ("A", 4), ("A", 4), ("A", 5)];
        assert_eq!(refused(Order::Ascending, &rows, &[]), [3]);
        assert_eq!(refused(Order::Descending, &rows, &[]), [1, 2, 4, 6]);
        assert_eq!(refused(Order::Ascending, &rows, &[2]), [0_usize; 0], "it is out already");
    }

    #[test]
    fn every_series_has_an_order_of_its_own() {
        let rows = [("A", 5), ("B", 1), ("A", 6), ("B", 2), ("A", 4), ("B", 3)];
        assert_eq!(refused(Order::Ascending, &rows, &[]), [4]);
        assert_eq!(refused(Order::Descending, &[("A", 5), ("B", 9), ("A", 4)], &[]), [0_usize; 0]);
    }
}
