//! What a file's records are like as market data: their range, steps and order by series, keys
//! that come twice, and values that break the rules of bars. Memory is bounded whatever the file:
//! series, keys and steps beyond the bounds are counted, not kept.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, TimestampMicrosecondType};

use super::read::Piece;
use crate::batch::value_as_text;

/// Series that are looked at one by one; records of others are only counted.
const SERIES_MAX: usize = 10_000;
/// Keys that are remembered, so that one that comes again is noticed wherever it stands.
const KEYS_MAX: usize = 1_000_000;
/// Different steps that are counted apart, a series.
const STEPS_MAX: usize = 16;
/// A close this many times the one before, or the one before this many times it, is a jump.
const JUMP: f64 = 20.0;
const DAY_US: i64 = 86_400_000_000;

/// A rule that records break, or a sign that something is odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Its stable name.
    pub rule: &'static str,
    /// How many records.
    pub count: u64,
    /// Line of the first, or its record number where there are no lines.
    pub first: u64,
}

/// The series of one ticker and interval.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub name: Vec<String>,
    pub rows: u64,
    pub first_us: i64,
    pub last_us: i64,
    /// Steps from one record to the next in time, with how often each was taken; `true`: over a
    /// weekend.
    steps: Vec<((i64, bool), u64)>,
    /// Steps that found no place.
    other_steps: u64,
    /// Steps forwards and backwards in time.
    pub forwards: u64,
    pub backwards: u64,
    /// The longest step, and where it starts.
    pub longest: (i64, i64),
    before: Option<Bar>,
}

/// What of a record the next one is compared with.
#[derive(Debug, Clone, Copy)]
struct Bar {
    ts: i64,
    close: Option<f64>,
}

/// Gaps of a series, measured with its usual step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    /// Steps longer than the usual one.
    pub gaps: u64,
    /// Bars that would fill them.
    pub missing: u64,
    /// Gaps over a weekend, which are not among the above.
    pub weekends: u64,
}

/// Everything that was noticed.
#[derive(Debug)]
pub(super) struct Quality {
    pub places: Places,
    series_at: HashMap<Vec<String>, usize>,
    pub series: Vec<Series>,
    /// Records of series beyond the bound.
    pub unseen: u64,
    keys: HashMap<u64, u32>,
    /// Whether more keys came than are remembered.
    pub keys_full: bool,
    /// Records whose key was there already, and the part with other values.
    pub duplicate: u64,
    pub conflicting: u64,
    pub findings: Vec<Finding>,
    now_us: i64,
}

/// Where a batch's columns are.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// What tells a series: symbol and interval, or whatever words the key has.
    pub series: Vec<usize>,
    /// What else of the key tells records of a series apart.
    pub extra: Vec<usize>,
    /// The time.
    pub time: Option<usize>,
    /// Open, high, low, close, volume.
    pub bar: [Option<usize>; 5],
    /// What records of one key may differ in.
    pub values: Vec<usize>,
    /// The vendor's id, if records are known by one: without it equal records are no duplicates.
    pub id: Option<Option<usize>>,
    /// Whether records come at an interval, so that there are gaps.
    pub stepwise: bool,
}

impl Quality {
    pub fn new(places: Places, now_us: i64) -> Self {
        Self {
            places,
            series_at: HashMap::new(),
            series: Vec::new(),
            unseen: 0,
            keys: HashMap::new(),
            keys_full: false,
            duplicate: 0,
            conflicting: 0,
            findings: Vec::new(),
            now_us,
        }
    }

    /// Looks at the rows of a batch.
    pub fn add(&mut self, piece: &Piece) {
        let batch = &piece.decoded.root;
        let rows = Rows::new(batch, &self.places);
        let mut known: HashMap<Vec<Option<i32>>, Option<usize>> = HashMap::new();
        for row in 0..batch.num_rows() {
            let place = piece.decoded.places[row];
            let at = match piece.first_line {
                0 => piece.first_row + u64::from(place.row),
                line => line + u64::from(place.line),
            };
            let bar = rows.bar(row);
            self.rules(&bar, at);
            let words: Vec<Option<i32>> = rows.words.iter().map(|word| word.key(row)).collect();
            let series = match known.get(&words) {
                Some(series) => *series,
                None => {
                    let series = self.series_of(rows.names(row));
                    known.insert(words, series);
                    series
                }
            };
            let (Some(series), Some(ts)) = (series, rows.ts(row)) else {
                self.unseen += 1;
                continue;
            };
            if ts > self.now_us + DAY_US {
                self.find("future_time", at);
            }
            if rows.has_key(row) {
                self.key(&(series, ts, rows.extra(row)), rows.values_hash(row));
            }
            let jumped = self.series[series].step(ts, bar[3]);
            if jumped {
                self.find("jump", at);
            }
        }
    }

    fn series_of(&mut self, name: Vec<String>) -> Option<usize> {
        if let Some(at) = self.series_at.get(&name) {
            return Some(*at);
        }
        if self.series.len() >= SERIES_MAX {
            return None;
        }
        let at = self.series.len();
        self.series.push(Series::new(name.clone()));
        self.series_at.insert(name, at);
        Some(at)
    }

    /// Whether the record's key was there before, with which values.
    fn key(&mut self, key: &(usize, i64, Vec<Option<String>>), values: u32) {
        let &(series, ts, _) = key;
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let key = hasher.finish();
        match self.keys.get(&key) {
            Some(before) => {
                self.duplicate += 1;
                self.conflicting += u64::from(*before != values);
            }
            None if self.keys.len() < KEYS_MAX => {
                self.keys.insert(key, values);
            }
            None => {
                self.keys_full = true;
                if self.series[series].before.is_some_and(|before| before.ts == ts) {
                    self.duplicate += 1;
                }
            }
        }
    }

    fn rules(&mut self, bar: &[Option<f64>; 5], at: u64) {
        let [open, high, low, close, volume] = *bar;
        let prices = [open, high, low, close];
        let above = |limit: Option<f64>| {
            limit.is_some_and(|limit| prices.iter().flatten().any(|price| *price > limit))
        };
        let below = |limit: Option<f64>| {
            limit.is_some_and(|limit| prices.iter().flatten().any(|price| *price < limit))
        };
        let broken = [
            ("above_high", above(high)),
            ("below_low", below(low)),
            ("price_not_positive", prices.iter().flatten().any(|price| *price <= 0.0)),
            ("negative_volume", volume.is_some_and(|volume| volume < 0.0)),
            ("zero_volume", volume == Some(0.0)),
            ("flat_without_volume", open.is_some() && is_flat(prices) && volume == Some(0.0)),
        ];
        for (rule, broken) in broken {
            if broken {
                self.find(rule, at);
            }
        }
    }

    fn find(&mut self, rule: &'static str, at: u64) {
        match self.findings.iter_mut().find(|finding| finding.rule == rule) {
            Some(finding) => finding.count += 1,
            None => self.findings.push(Finding { rule, count: 1, first: at }),
        }
    }
}

fn is_flat(prices: [Option<f64>; 4]) -> bool {
    prices.iter().all(|price| price.is_some() && *price == prices[0])
}

impl Series {
    fn new(name: Vec<String>) -> Self {
        Self {
            name,
            rows: 0,
            first_us: i64::MAX,
            last_us: i64::MIN,
            steps: Vec::new(),
            other_steps: 0,
            forwards: 0,
            backwards: 0,
            longest: (0, 0),
            before: None,
        }
    }

    /// Goes to the next record. Whether its close is out of all proportion to the one before.
    fn step(&mut self, ts: i64, close: Option<f64>) -> bool {
        self.rows += 1;
        self.first_us = self.first_us.min(ts);
        self.last_us = self.last_us.max(ts);
        let before = self.before.replace(Bar { ts, close });
        let Some(before) = before else { return false };
        let step = ts.saturating_sub(before.ts).saturating_abs();
        let start = ts.min(before.ts);
        match ts.cmp(&before.ts) {
            std::cmp::Ordering::Greater => self.forwards += 1,
            std::cmp::Ordering::Less => self.backwards += 1,
            std::cmp::Ordering::Equal => return false,
        }
        if step > self.longest.0 {
            self.longest = (step, start);
        }
        let kind = (step, spans_weekend(start, step));
        match self.steps.iter().position(|(known, _)| *known == kind) {
            Some(at) => self.steps[at].1 += 1,
            None if self.steps.len() < STEPS_MAX => self.steps.push((kind, 1)),
            None => self.other_steps += 1,
        }
        match (before.close, close) {
            (Some(before), Some(close)) if before > 0.0 && close > 0.0 => {
                close / before > JUMP || before / close > JUMP
            }
            _ => false,
        }
    }

    /// The step that most records take, and what share of steps it is.
    pub fn usual_step(&self) -> Option<(i64, f64)> {
        let total = self.forwards + self.backwards;
        let ((step, _), _) =
            *self.steps.iter().max_by_key(|((step, _), count)| (*count, -*step))?;
        let count: u64 = self.steps.iter().filter(|((s, _), _)| *s == step).map(|(_, n)| n).sum();
        Some((step, count as f64 / total.max(1) as f64))
    }

    /// Gaps, when `step` is the usual one. Steps that found no place count as gaps of one bar.
    pub fn gaps(&self, step: i64) -> Gaps {
        let mut gaps =
            Gaps { gaps: self.other_steps, missing: self.other_steps, ..Gaps::default() };
        for ((taken, weekend), count) in &self.steps {
            if *taken * 2 <= step * 3 {
                continue;
            }
            if *weekend && *taken <= 4 * DAY_US {
                gaps.weekends += count;
            } else {
                gaps.gaps += count;
                gaps.missing += count * ((*taken + step / 2) / step - 1).max(0) as u64;
            }
        }
        gaps
    }
}

/// Whether a whole Saturday, UTC, lies in `[start, start + step]`.
fn spans_weekend(start: i64, step: i64) -> bool {
    // 1970-01-03 was a Saturday.
    let week = 7 * DAY_US;
    let since = (start - 2 * DAY_US).rem_euclid(week);
    let until_saturday = if since == 0 { 0 } else { week - since };
    until_saturday + DAY_US <= step
}

/// A batch's columns, as far as quality looks at them.
struct Rows<'a> {
    words: Vec<Word<'a>>,
    extra: Vec<&'a ArrayRef>,
    time: Option<&'a ArrayRef>,
    bar: [Option<&'a ArrayRef>; 5],
    values: Vec<&'a ArrayRef>,
    /// As [`Places::id`].
    id: Option<Option<&'a ArrayRef>>,
}

struct Word<'a> {
    array: &'a ArrayRef,
}

impl Word<'_> {
    fn key(&self, row: usize) -> Option<i32> {
        let keys = self.array.as_dictionary_opt::<Int32Type>()?.keys();
        keys.is_valid(row).then(|| keys.value(row))
    }
}

impl<'a> Rows<'a> {
    fn new(batch: &'a RecordBatch, places: &Places) -> Self {
        let column = |at: Option<usize>| at.map(|at| batch.column(at));
        Self {
            words: places.series.iter().map(|&at| Word { array: batch.column(at) }).collect(),
            extra: places.extra.iter().map(|&at| batch.column(at)).collect(),
            time: column(places.time),
            bar: places.bar.map(column),
            values: places.values.iter().map(|&at| batch.column(at)).collect(),
            id: places.id.map(column),
        }
    }

    /// Whether a record can be told from others.
    fn has_key(&self, row: usize) -> bool {
        match self.id {
            None => true,
            Some(None) => false,
            Some(Some(ids)) => value_as_text(ids, row).is_some_and(|id| !id.is_empty()),
        }
    }

    /// What a record says besides its key. Numbers, which are most, are not written out for it.
    fn values_hash(&self, row: usize) -> u32 {
        let mut hasher = DefaultHasher::new();
        for column in &self.values {
            match column.as_primitive_opt::<Float64Type>() {
                Some(numbers) => {
                    numbers.is_valid(row).then(|| numbers.value(row).to_bits()).hash(&mut hasher);
                }
                None => value_as_text(column, row).hash(&mut hasher),
            }
        }
        hasher.finish() as u32
    }

    fn names(&self, row: usize) -> Vec<String> {
        let name = |word: &Word<'_>| value_as_text(word.array, row).unwrap_or_default();
        self.words.iter().map(name).collect()
    }

    fn extra(&self, row: usize) -> Vec<Option<String>> {
        self.extra.iter().map(|column| value_as_text(column, row)).collect()
    }

    fn ts(&self, row: usize) -> Option<i64> {
        let times = self.time?.as_primitive_opt::<TimestampMicrosecondType>()?;
        times.is_valid(row).then(|| times.value(row))
    }

    fn bar(&self, row: usize) -> [Option<f64>; 5] {
        self.bar.map(|column| {
            let numbers = column?.as_primitive_opt::<Float64Type>()?;
            numbers.is_valid(row).then(|| numbers.value(row))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn weekends_are_known() {
        // 2024-01-05 was a Friday.
        let friday: i64 = 1_704_412_800_000_000;
        assert!(spans_weekend(friday, 3 * DAY_US));
        assert!(!spans_weekend(friday, DAY_US));
        assert!(!spans_weekend(friday + 3 * DAY_US, DAY_US));
        assert!(spans_weekend(friday + DAY_US, DAY_US));
        assert!(spans_weekend(friday + 21 * HOUR, 49 * HOUR));
    }

    #[test]
    fn steps_tell_interval_gaps_and_jumps() {
        let mut series = Series::new(vec!["A".into()]);
        // A Monday.
        let start: i64 = 1_704_672_000_000_000;
        let mut jumps = 0;
        for hour in [0, 1, 2, 5, 6, 7, 7, 8] {
            let close = if hour == 8 { 5_000.0 } else { 1.0 };
            jumps += u32::from(series.step(start + hour * HOUR, Some(close)));
        }
        assert_eq!(jumps, 1);
        assert_eq!(series.usual_step().map(|(step, _)| step), Some(HOUR));
        assert_eq!(series.gaps(HOUR), Gaps { gaps: 1, missing: 2, weekends: 0 });
        assert_eq!(series.longest, (3 * HOUR, start + 2 * HOUR));
        assert_eq!((series.forwards, series.backwards, series.rows), (6, 0, 8));
    }
}
