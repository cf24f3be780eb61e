//! Which route a row takes: its partition's lower bound, or one route for everything.

use std::collections::BTreeSet;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use crate::column::TimeRanges;
use crate::db::ledger::Window;
use crate::db::partition::{Width, range_of};
use crate::pipeline::decoder::DAY_US;

/// The route of rows that no partition takes.
const NOWHERE: i64 = i64::MAX;
/// The one route of a table whose partitions, if it has any, are the server's business.
const EVERYTHING: i64 = 0;

/// The routes of a window, frozen before its first row is routed.
#[derive(Debug)]
pub(super) struct Routing {
    /// Position of the time column whose ranges the partitions are; `None`: one route.
    column: Option<usize>,
    /// Ranges of partitions that are there, or that are named by the ledger.
    ranges: TimeRanges,
    /// How wide new partitions are, if they are made.
    width: Option<Width>,
}

impl Routing {
    /// One route.
    pub fn one() -> Self {
        Self { column: None, ranges: TimeRanges::default(), width: None }
    }

    /// Whether it has one route only, for a table that is no parent of partitions that are known.
    pub fn is_one(&self) -> bool {
        self.column.is_none()
    }

    /// By time; `width`: new partitions are made.
    pub fn by_time(column: usize, ranges: TimeRanges, width: Option<Width>) -> Self {
        Self { column: Some(column), ranges, width }
    }

    /// The routing that a window was begun with.
    pub fn of_window(column: Option<usize>, window: &Window) -> Self {
        let mut ranges: Vec<(i64, i64)> =
            window.routes.values().filter_map(|share| share.range).collect();
        ranges.sort_unstable();
        Self { column, ranges: TimeRanges { ranges }, width: None }
    }

    /// The route of each row.
    pub fn of_rows(&self, batch: &RecordBatch) -> Vec<i64> {
        let Some(column) = self.column else { return vec![EVERYTHING; batch.num_rows()] };
        let times = batch.column(column).as_primitive::<TimestampMicrosecondType>().values();
        let mut known = (0, 0);
        let mut route = NOWHERE;
        let of = |&ts: &i64| {
            if ts < known.0 || ts >= known.1 {
                let range = self.range_at(ts);
                known = range.unwrap_or((ts, ts));
                route = range.map_or(NOWHERE, |range| range.0);
            }
            route
        };
        times.iter().map(of).collect()
    }

    fn range_at(&self, ts: i64) -> Option<(i64, i64)> {
        match self.width {
            Some(width) => range_of(&self.ranges, ts, width),
            None => {
                let end = self.ranges.ranges.partition_point(|range| range.0 <= ts);
                self.ranges.ranges[..end].last().copied().filter(|range| ts < range.1)
            }
        }
    }

    /// The partition's range of a route, if it is a partition's.
    pub fn range(&self, route: i64) -> Option<(i64, i64)> {
        self.column.filter(|_| route != NOWHERE)?;
        // The lower bound is in the range, but for a range without one.
        match route {
            i64::MIN => self.ranges.ranges.first().copied(),
            _ => self.range_at(route),
        }
    }

    /// A route's name in the ledger.
    pub fn name(&self, route: i64) -> String {
        match (self.column, route) {
            (None, _) => "all".to_owned(),
            (_, NOWHERE) => "none".to_owned(),
            (_, i64::MIN) => "-infinity".to_owned(),
            _ => jiff::Timestamp::from_microsecond(route)
                .map_or_else(|_| route.to_string(), |ts| ts.to_string()),
        }
    }
}

/// The days on which a time column has values, from 1970.
pub(super) fn days(column: &ArrayRef, into: &mut BTreeSet<i64>) {
    let times = column.as_primitive::<TimestampMicrosecondType>();
    let mut before = i64::MIN;
    for ts in times.iter().flatten() {
        let day = ts.div_euclid(DAY_US);
        if day != before {
            into.insert(day);
            before = day;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::TimestampMicrosecondArray;

    use super::*;

    fn batch(times: &[i64]) -> RecordBatch {
        let times = TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
        RecordBatch::try_from_iter([("ts", Arc::new(times) as ArrayRef)]).unwrap()
    }

    #[test]
    fn rows_go_to_partitions_that_are_there_or_will_be() {
        let there = TimeRanges { ranges: vec![(0, DAY_US)] };
        let routing = Routing::by_time(0, there.clone(), Some(Width::Day));
        let times = [5, DAY_US + 1, 0, 2 * DAY_US - 1, -1];
        assert_eq!(routing.of_rows(&batch(&times)), [0, DAY_US, 0, DAY_US, -DAY_US]);
        assert_eq!(routing.range(DAY_US), Some((DAY_US, 2 * DAY_US)));
        assert_eq!(routing.name(0), "1970-01-01T00:00:00Z");

        let fixed = Routing::by_time(0, there, None);
        assert_eq!(fixed.of_rows(&batch(&times)), [0, NOWHERE, 0, NOWHERE, NOWHERE]);
        assert_eq!((fixed.range(NOWHERE), fixed.name(NOWHERE)), (None, "none".to_owned()));
        assert_eq!(Routing::one().of_rows(&batch(&times)), [0; 5]);
    }
}
