//! The market rules of a dataset, bound to the columns of a batch. They look at columns, not at
//! rows, where they can; a rule whose columns a source does not have costs nothing.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};

use crate::batch::Fault;
use crate::dataset::{Rule, Test};

const DAY_US: i64 = 86_400_000_000;
/// Prices that differ by no more than this part of themselves are the same price, rounded.
const ROUNDING: f64 = 1e-6;
/// Sums of decimals are taken in doubles.
const SUM_ROUNDING: f64 = 1e-9;

/// A rule over columns by position.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    name: &'static str,
    test: BoundTest,
}

#[derive(Debug, Clone, PartialEq)]
enum BoundTest {
    HighLow([usize; 4]),
    NotNegative(Vec<usize>),
    Positive(Vec<usize>),
    Within(Vec<usize>, f64, f64),
    Sum(usize, usize, f64),
    Any(Vec<usize>),
    NotMore(usize, usize),
    NotBefore(usize, usize),
    NotFuture(usize, i64),
}

impl Bound {
    /// The rule over the columns that `position` finds. `None`: the batch has too few of them to
    /// break it. `now_us` is the present, in microseconds from 1970 UTC.
    pub fn new(rule: &Rule, position: impl Fn(&str) -> Option<usize>, now_us: i64) -> Option<Self> {
        let all = |names: &[&str]| -> Option<Vec<usize>> {
            let found: Vec<usize> = names.iter().filter_map(|name| position(name)).collect();
            (!found.is_empty()).then_some(found)
        };
        let test = match rule.test {
            Test::HighLow { prices: [open, high, low, close] } => BoundTest::HighLow([
                position(open)?,
                position(high)?,
                position(low)?,
                position(close)?,
            ]),
            Test::NotNegative(columns) => BoundTest::NotNegative(all(columns)?),
            Test::Positive(columns) => BoundTest::Positive(all(columns)?),
            Test::Within(columns, low, high) => BoundTest::Within(all(columns)?, low, high),
            Test::Sum([a, b], total) => BoundTest::Sum(position(a)?, position(b)?, total),
            Test::Any(columns) => BoundTest::Any(all(columns)?),
            Test::NotMore(a, b) => BoundTest::NotMore(position(a)?, position(b)?),
            Test::NotBefore(a, b) => BoundTest::NotBefore(position(a)?, position(b)?),
            Test::NotFuture(column) => {
                BoundTest::NotFuture(position(column)?, now_us.saturating_add(DAY_US))
            }
        };
        Some(Self { name: rule.name, test })
    }

    /// Adds a fault for every row that breaks the rule.
    pub fn faults(&self, batch: &RecordBatch, faults: &mut Vec<Fault>) {
        let mut found = Found { rule: self.name, batch, faults };
        match &self.test {
            BoundTest::HighLow(prices) => high_low(*prices, &mut found),
            BoundTest::NotNegative(columns) => {
                found.each(columns, |value| value >= 0.0, "is negative");
            }
            BoundTest::Positive(columns) => {
                found.each(columns, |value| value > 0.0, "is not above 0");
            }
            BoundTest::Within(columns, low, high) => {
                let why = format!("is not between {low} and {high}");
                found.each(columns, |value| (*low..=*high).contains(&value), &why);
            }
            BoundTest::Sum(a, b, total) => sum(*a, *b, *total, &mut found),
            BoundTest::Any(columns) => any(columns, &mut found),
            BoundTest::NotMore(a, b) => not_more(*a, *b, &mut found),
            BoundTest::NotBefore(a, b) => not_before(*a, *b, &mut found),
            BoundTest::NotFuture(column, limit_us) => not_future(*column, *limit_us, &mut found),
        }
    }
}

/// Where faults go.
struct Found<'a> {
    rule: &'static str,
    batch: &'a RecordBatch,
    faults: &'a mut Vec<Fault>,
}

impl Found<'_> {
    fn name(&self, column: usize) -> String {
        self.batch.schema_ref().field(column).name().clone()
    }

    #[cold]
    fn add(&mut self, row: usize, column: usize, reason: String) {
        let column = Some(self.name(column));
        self.faults.push(Fault { row, rule: self.rule.into(), column, sqlstate: None, reason });
    }

    /// A fault for every value of the columns that is not good.
    fn each(&mut self, columns: &[usize], good: impl Fn(f64) -> bool, why: &str) {
        for &column in columns {
            let Some(numbers) = Numbers::of(self.batch.column(column)) else { continue };
            if numbers.all_of(&good) {
                continue;
            }
            for row in 0..self.batch.num_rows() {
                if let Some(value) = numbers.get(row)
                    && !good(value)
                {
                    self.add(row, column, format!("{} {value} {why}", self.name(column)));
                }
            }
        }
    }
}

/// A column of numbers in whatever form.
enum Numbers<'a> {
    Float(&'a Float64Array),
    Integer(&'a Int64Array),
    /// Checked decimal literals.
    Text(&'a StringArray),
}

impl<'a> Numbers<'a> {
    fn of(array: &'a ArrayRef) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Float64 => Numbers::Float(array.as_primitive::<Float64Type>()),
            DataType::Int64 => Numbers::Integer(array.as_primitive::<Int64Type>()),
            DataType::Utf8 => Numbers::Text(array.as_string()),
            _ => return None,
        })
    }

    /// The values as they lie there, with something or other where there is none.
    fn floats(&self) -> Option<&'a [f64]> {
        match self {
            Numbers::Float(values) => Some(values.values()),
            Numbers::Integer(_) | Numbers::Text(_) => None,
        }
    }

    /// Whether it can be told at a glance that all values are good. Looks at every one, for a loop
    /// that never ends early is one that runs on several values at once.
    fn all_of(&self, good: impl Fn(f64) -> bool) -> bool {
        self.floats().is_some_and(|values| values.iter().fold(true, |all, v| all & good(*v)))
    }

    #[inline]
    fn get(&self, row: usize) -> Option<f64> {
        match self {
            Numbers::Float(values) => values.is_valid(row).then(|| values.value(row)),
            Numbers::Integer(values) => values.is_valid(row).then(|| values.value(row) as f64),
            Numbers::Text(values) => {
                values.is_valid(row).then(|| values.value(row).parse().ok()).flatten()
            }
        }
    }
}

/// Whether `a` is above `b` by more than rounding.
#[inline]
fn is_above(a: f64, b: f64) -> bool {
    a > b && a - b > ROUNDING * a.abs().max(b.abs())
}

fn high_low([open, high, low, close]: [usize; 4], found: &mut Found<'_>) {
    let column = |at: usize| Numbers::of(found.batch.column(at));
    let (Some(opens), Some(highs), Some(lows), Some(closes)) =
        (column(open), column(high), column(low), column(close))
    else {
        return;
    };
    if let [Some(o), Some(h), Some(l), Some(c)] =
        [&opens, &highs, &lows, &closes].map(Numbers::floats)
    {
        let rest = h.iter().zip(l).zip(c);
        let crossed =
            |o: f64, h: f64, l: f64, c: f64| (o > h) | (l > o) | (c > h) | (l > c) | (l > h);
        if !o.iter().zip(rest).fold(false, |any, (o, ((h, l), c))| any | crossed(*o, *h, *l, *c)) {
            return;
        }
    }
    for row in 0..found.batch.num_rows() {
        let (Some(h), Some(l)) = (highs.get(row), lows.get(row)) else { continue };
        if is_above(l, h) {
            found.add(row, high, format!("the high {h} is below the low {l}"));
            continue;
        }
        for (values, what) in [(&opens, "open"), (&closes, "close")] {
            let Some(value) = values.get(row) else { continue };
            if is_above(value, h) {
                found.add(row, high, format!("the high {h} is below the {what} {value}"));
            } else if is_above(l, value) {
                found.add(row, low, format!("the low {l} is above the {what} {value}"));
            }
        }
    }
}

fn sum(a: usize, b: usize, total: f64, found: &mut Found<'_>) {
    let (Some(left), Some(right)) =
        (Numbers::of(found.batch.column(a)), Numbers::of(found.batch.column(b)))
    else {
        return;
    };
    for row in 0..found.batch.num_rows() {
        let (Some(one), Some(two)) = (left.get(row), right.get(row)) else { continue };
        if (one + two - total).abs() > SUM_ROUNDING * total.abs() {
            let (a_name, b_name) = (found.name(a), found.name(b));
            found.add(
                row,
                a,
                format!("{a_name} {one} and {b_name} {two} do not add up to {total}"),
            );
        }
    }
}

fn any(columns: &[usize], found: &mut Found<'_>) {
    let arrays: Vec<&ArrayRef> = columns.iter().map(|&at| found.batch.column(at)).collect();
    if arrays.iter().any(|array| array.null_count() == 0) {
        return;
    }
    for row in 0..found.batch.num_rows() {
        if arrays.iter().all(|array| array.is_null(row)) {
            let names: Vec<String> = columns.iter().map(|&at| found.name(at)).collect();
            found.add(row, columns[0], format!("none of {} has a value", names.join(", ")));
        }
    }
}

fn not_more(a: usize, b: usize, found: &mut Found<'_>) {
    let (Some(less), Some(more)) =
        (Numbers::of(found.batch.column(a)), Numbers::of(found.batch.column(b)))
    else {
        return;
    };
    for row in 0..found.batch.num_rows() {
        let (Some(one), Some(two)) = (less.get(row), more.get(row)) else { continue };
        if one > two {
            let (a_name, b_name) = (found.name(a), found.name(b));
            found.add(row, a, format!("{a_name} {one} is more than {b_name} {two}"));
        }
    }
}

type Instants<'a> = Box<dyn Fn(usize) -> Option<i64> + 'a>;

/// The value of a time or day column in microseconds, and whether it is a day.
fn instants(array: &ArrayRef) -> Option<(bool, Instants<'_>)> {
    match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            let us = |row: usize| days.is_valid(row).then(|| i64::from(days.value(row)) * DAY_US);
            Some((true, Box::new(us)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            Some((false, Box::new(|row: usize| times.is_valid(row).then(|| times.value(row)))))
        }
        _ => None,
    }
}

pub(super) fn shown(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |ts| ts.to_string())
}

fn not_before(later: usize, earlier: usize, found: &mut Found<'_>) {
    let (Some((later_day, late)), Some((earlier_day, early))) =
        (instants(found.batch.column(later)), instants(found.batch.column(earlier)))
    else {
        return;
    };
    // A day holds all its hours, and begins hours before UTC's day in the east.
    let slack = if later_day == earlier_day { 0 } else { DAY_US };
    for row in 0..found.batch.num_rows() {
        let (Some(one), Some(two)) = (late(row), early(row)) else { continue };
        if one + slack < two - if later_day { two.rem_euclid(DAY_US) } else { 0 } {
            let (a, b) = (found.name(later), found.name(earlier));
            let reason = format!("{a} {} is before {b} {}", shown(one), shown(two));
            found.add(row, later, reason);
        }
    }
}

fn not_future(column: usize, limit_us: i64, found: &mut Found<'_>) {
    let array = found.batch.column(column);
    let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() else { return };
    if arrow::compute::max(times).is_none_or(|last| last <= limit_us) {
        return;
    }
    for row in 0..times.len() {
        if times.is_valid(row) && times.value(row) > limit_us {
            let name = found.name(column);
            found.add(row, column, format!("{name} {} is in the future", shown(times.value(row))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, TimestampMicrosecondArray};
    use std::sync::Arc;

    const NOW_US: i64 = 1_700_000_000_000_000;

    fn floats(values: &[Option<f64>]) -> ArrayRef {
        Arc::new(Float64Array::from(values.to_vec()))
    }

    fn times(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values.to_vec()).with_timezone("UTC"))
    }

    /// The rows that break a test over columns called a, b, c, d.
    fn broken(test: Test, columns: Vec<ArrayRef>) -> Vec<usize> {
        let names = ["a", "b", "c", "d"];
        let named = names.into_iter().zip(columns).map(|(name, array)| (name, array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
        let rule = Rule { name: "rule", test };
        let position = |name: &str| batch.schema().index_of(name).ok();
        let mut faults = Vec::new();
        Bound::new(&rule, position, NOW_US).unwrap().faults(&batch, &mut faults);
        assert!(faults.iter().all(|fault| fault.rule == "rule" && fault.column.is_some()));
        let mut rows: Vec<usize> = faults.iter().map(|fault| fault.row).collect();
        rows.dedup();
        rows
    }

    #[test]
    fn high_and_low_enclose_open_and_close() {
        let test = Test::HighLow { prices: ["a", "b", "c", "d"] };
        let bars = [
            [1.0, 2.0, 0.5, 1.5],
            [2.1, 2.0, 0.5, 1.5],
            [1.0, 2.0, 1.6, 1.5],
            [1.0, 0.5, 2.0, 1.5],
            [-1.0, -0.5, -2.0, -1.5],
            [187.440_002, 187.44, 187.0, 187.2],
            [1.0, 1.0, 1.0, 1.0],
        ];
        let column = |at: usize| floats(&bars.map(|bar| Some(bar[at])));
        assert_eq!(broken(test, (0..4).map(column).collect()), [1, 2, 3]);
        let none = vec![floats(&[None]), floats(&[None]), floats(&[None]), floats(&[Some(1.0)])];
        assert!(broken(test, none).is_empty());
    }

    #[test]
    fn numbers_of_every_kind_keep_their_bounds() {
        let values = floats(&[Some(-0.1), Some(0.0), None, Some(101.0)]);
        assert_eq!(broken(Test::NotNegative(&["a"]), vec![values.clone()]), [0]);
        assert_eq!(broken(Test::Positive(&["a"]), vec![values.clone()]), [0, 1]);
        assert_eq!(broken(Test::Within(&["a", "x"], 0.0, 100.0), vec![values]), [0, 3]);
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![Some(-1), Some(0), None]));
        assert_eq!(broken(Test::NotNegative(&["a"]), vec![whole]), [0]);
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("-1e-9"), Some("0.00"), None]));
        assert_eq!(broken(Test::NotNegative(&["a"]), vec![text.clone()]), [0]);
        let other: ArrayRef = Arc::new(StringArray::from(vec![Some("0"), Some("-0.5"), None]));
        assert_eq!(broken(Test::NotMore("a", "b"), vec![text, other]), [1]);
    }

    #[test]
    fn prices_add_up_and_one_is_there() {
        let text = |values: [Option<&str>; 4]| -> ArrayRef {
            Arc::new(StringArray::from(values.to_vec()))
        };
        let yes = text([Some("61"), Some("33.3333"), Some("61"), None]);
        let no = text([Some("39"), Some("66.6667"), Some("40"), None]);
        let columns = || vec![yes.clone(), no.clone()];
        assert_eq!(broken(Test::Sum(["a", "b"], 100.0), columns()), [2]);
        assert_eq!(broken(Test::Any(&["a", "b"]), columns()), [3]);
    }

    #[test]
    fn times_are_in_order_and_not_in_the_future() {
        let ts = times(&[Some(NOW_US), Some(NOW_US + DAY_US + 1), None]);
        assert_eq!(broken(Test::NotFuture("a"), vec![ts]), [1]);
        let two = vec![times(&[Some(5), Some(4)]), times(&[Some(5), Some(5)])];
        assert_eq!(broken(Test::NotBefore("a", "b"), two), [1]);
        let expiry: ArrayRef = Arc::new(Date32Array::from(vec![10, 10, 10]));
        let traded = times(&[Some(10 * DAY_US + 5), Some(9 * DAY_US), Some(12 * DAY_US)]);
        assert_eq!(broken(Test::NotBefore("a", "b"), vec![expiry, traded]), [2]);
    }
}
