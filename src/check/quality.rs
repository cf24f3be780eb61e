//! What may be right and is worth a look: jumps, fillers, gaps. Looks at the bars of a batch in the
//! order of their source, each beside the one before of the same ticker and interval, and counts.
//! It refuses nothing. Called by the decoders. A pure function of the batch: how many threads there
//! are changes nothing.

use ahash::HashMap;
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Int32Type, TimestampMicrosecondType};

use crate::dataset::WARNINGS;

const DAY_US: i64 = 86_400_000_000;
/// Bars of a day or longer may be so much later than the one before: weekends and holidays.
const CLOSED_US: i64 = 3 * DAY_US;
/// Equal steps after which bars are of that length and no longer have gaps.
const STEPS: u32 = 5;
/// How many series are found again without asking the map.
const RECENT: usize = 1024;

const UNIT_JUMP: usize = 0;
const FLAT_BAR: usize = 1;
const ZERO_VOLUME: usize = 2;
const GAP: usize = 3;
const GRANULARITY: usize = 4;

/// Which columns of a batch form a series, and what is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quality {
    /// Positions of the ticker (words or ids), interval (words) and time columns.
    pub series: [usize; 3],
    /// Positions of open, high, low and close; only the close must be there.
    pub prices: [Option<usize>; 4],
    /// Position of the volume.
    pub volume: Option<usize>,
    /// Which of [`WARNINGS`] are wanted.
    pub on: [bool; WARNINGS.len()],
}

/// How often something was met, and when first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// The time of the first bar of which it is true, in microseconds from 1970 UTC.
    pub first_us: Option<i64>,
}

/// What was met in a batch, by warning, and the bars at its ends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Met {
    /// One for each of [`WARNINGS`].
    pub tallies: [Tally; WARNINGS.len()],
    first: Option<Bar>,
    last: Option<Bar>,
}

/// What a bar is compared by.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bar {
    ticker: u64,
    /// Microseconds; 0 where the length varies (months).
    interval_us: i64,
    ts_us: i64,
    close: f64,
    /// The step to this bar, and how often it was the same before.
    step: (i64, u32),
}

impl Met {
    fn note(&mut self, on: &[bool], warning: usize, ts_us: i64) {
        if on[warning] {
            let tally = &mut self.tallies[warning];
            tally.count += 1;
            tally.first_us = tally.first_us.or(Some(ts_us));
        }
    }

    /// Adds what was met in the batch that follows in the same source, and between the two.
    pub fn follow(&mut self, next: &Met, quality: &Quality) {
        if let (Some(last), Some(first)) = (self.last, next.first)
            && (last.ticker, last.interval_us) == (first.ticker, first.interval_us)
        {
            compare(&last, &first, &quality.on, self);
        }
        for (tally, more) in self.tallies.iter_mut().zip(&next.tallies) {
            tally.count += more.count;
            tally.first_us = tally.first_us.or(more.first_us);
        }
        self.first = self.first.or(next.first);
        self.last = next.last.or(self.last);
    }
}

impl Quality {
    /// Looks at the bars of a batch, which is in the order of its source.
    pub fn look(&self, batch: &RecordBatch) -> Met {
        let mut met = Met::default();
        let [ticker, interval, time] = self.series;
        let times = batch.column(time).as_primitive_opt::<TimestampMicrosecondType>();
        let float = |at: Option<usize>| batch.column(at?).as_primitive_opt::<Float64Type>();
        let (Some(times), Some(closes)) = (times, float(self.prices[3])) else { return met };
        let (tickers, intervals) =
            (tickers(batch.column(ticker)), intervals(batch.column(interval)));
        let (Some(tickers), Some(intervals)) = (tickers, intervals) else { return met };
        let row = Row {
            times,
            closes,
            others: [0, 1, 2].map(|at| float(self.prices[at])),
            volumes: float(self.volume),
        };
        // Which bar was the last of each series, and where the series of the row before stands.
        let (mut numbers, mut lasts) = (HashMap::default(), Vec::<Bar>::new());
        // Sources in order of time go from series to series: what was asked for lately is kept.
        let mut recent: [Option<((u64, i64), usize)>; RECENT] = [None; RECENT];
        for at in 0..batch.num_rows() {
            if times.is_null(at) || closes.is_null(at) {
                continue;
            }
            let (ticker, interval_us) = (tickers(at), intervals(at));
            let (ts_us, close) = (times.value(at), closes.value(at));
            let mut bar = Bar { ticker, interval_us, ts_us, close, step: (0, 0) };
            let series = (ticker, interval_us);
            let kept = &mut recent[ticker as usize % RECENT];
            let number = match *kept {
                Some((same, number)) if same == series => number,
                _ => *numbers.entry(series).or_insert(lasts.len()),
            };
            *kept = Some((series, number));
            let previous = lasts.get(number).copied();
            if row.traded_nothing(at) {
                let filler =
                    row.is_flat(at) && previous.is_some_and(|previous| previous.close == close);
                met.note(&self.on, if filler { FLAT_BAR } else { ZERO_VOLUME }, ts_us);
            }
            if let Some(previous) = previous {
                bar.step = compare(&previous, &bar, &self.on, &mut met);
                lasts[number] = bar;
            } else {
                lasts.push(bar);
            }
            met.first = met.first.or(Some(bar));
            met.last = Some(bar);
        }
        met
    }
}

struct Row<'a> {
    times: &'a TimestampMicrosecondArray,
    closes: &'a Float64Array,
    others: [Option<&'a Float64Array>; 3],
    volumes: Option<&'a Float64Array>,
}

impl Row<'_> {
    fn traded_nothing(&self, at: usize) -> bool {
        debug_assert!(at < self.times.len());
        self.volumes.is_some_and(|volumes| volumes.is_valid(at) && volumes.value(at) == 0.0)
    }

    fn is_flat(&self, at: usize) -> bool {
        let close = self.closes.value(at);
        let is_close = |prices: &&Float64Array| prices.is_valid(at) && prices.value(at) == close;
        self.others.iter().flatten().all(is_close)
    }
}

/// Compares a bar with the one before; gives its step.
fn compare(before: &Bar, bar: &Bar, on: &[bool], met: &mut Met) -> (i64, u32) {
    let ratio = bar.close / before.close;
    let is_hundred = |ratio: f64| (95.0..=105.0).contains(&ratio);
    let is_near = (0.5..=2.0).contains(&ratio);
    if !is_near && (is_hundred(ratio) || is_hundred(1.0 / ratio)) {
        met.note(on, UNIT_JUMP, bar.ts_us);
    }
    let step = (bar.ts_us - before.ts_us).abs();
    let interval = bar.interval_us;
    if interval == 0 || step == 0 || step == interval {
        return (step, 0);
    }
    let same = if before.step.0 == step { before.step.1 + 1 } else { 0 };
    if step < interval || (step % interval == 0 && same == STEPS) {
        met.note(on, GRANULARITY, bar.ts_us);
    }
    let same_day = bar.ts_us.div_euclid(DAY_US) == before.ts_us.div_euclid(DAY_US);
    let is_gap = if interval < DAY_US { same_day } else { step > interval + CLOSED_US };
    if step > interval && is_gap {
        met.note(on, GAP, bar.ts_us);
    }
    (step, same)
}

type ByRow<'a, T> = Box<dyn Fn(usize) -> T + 'a>;

/// Numbers of the tickers: ids, or the hashes of words, which mean the same in every batch.
fn tickers(array: &ArrayRef) -> Option<ByRow<'_, u64>> {
    if let Some(ids) = array.as_primitive_opt::<Int32Type>() {
        return Some(Box::new(|row| u64::from(ids.value(row).cast_unsigned())));
    }
    words(array, |word| {
        word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    })
}

/// Lengths of the intervals in microseconds; 0 for one without a fixed length.
fn intervals(array: &ArrayRef) -> Option<ByRow<'_, i64>> {
    words(array, |word| length_us(word).unwrap_or(0))
}

fn words<'a, T: Copy + Default + 'a>(
    array: &'a ArrayRef,
    value: impl Fn(&str) -> T,
) -> Option<ByRow<'a, T>> {
    if !matches!(array.data_type(), DataType::Dictionary(..)) {
        return None;
    }
    let words = array.as_dictionary_opt::<Int32Type>()?;
    let spelled = words.values().as_string_opt::<i32>()?;
    let values: Vec<T> = spelled.iter().map(|word| value(word.unwrap_or_default())).collect();
    let keys = words.keys();
    Some(Box::new(move |row| values.get(keys.value(row) as usize).copied().unwrap_or_default()))
}

/// The length of an interval as our tables spell it.
fn length_us(interval: &str) -> Option<i64> {
    let split = interval.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = interval.split_at(split);
    let unit_us = match unit {
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => DAY_US,
        "w" => 7 * DAY_US,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{DictionaryArray, Int32Array};
    use std::sync::Arc;

    const MINUTE_US: i64 = 60_000_000;

    type Bar = (i64, f64, f64, bool);

    /// Bars of one ticker: minute, close, volume, flat.
    fn batch(interval: &str, bars: &[Bar]) -> RecordBatch {
        let float = |value: &dyn Fn(&Bar) -> f64| -> ArrayRef {
            Arc::new(bars.iter().map(|bar| Some(value(bar))).collect::<Float64Array>())
        };
        let words: DictionaryArray<Int32Type> = bars.iter().map(|_| interval).collect();
        let times =
            TimestampMicrosecondArray::from_iter_values(bars.iter().map(|bar| bar.0 * MINUTE_US));
        let columns: [(&str, ArrayRef); 8] = [
            ("ticker_id", Arc::new(Int32Array::from(vec![7; bars.len()]))),
            ("interval", Arc::new(words)),
            ("ts", Arc::new(times.with_timezone("UTC"))),
            ("open", float(&|bar| bar.1)),
            ("high", float(&|bar| if bar.3 { bar.1 } else { bar.1 + 1.0 })),
            ("low", float(&|bar| bar.1)),
            ("close", float(&|bar| bar.1)),
            ("volume", float(&|bar| bar.2)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn quality() -> Quality {
        Quality {
            series: [0, 1, 2],
            prices: [Some(3), Some(4), Some(5), Some(6)],
            volume: Some(7),
            on: [true; WARNINGS.len()],
        }
    }

    fn counts(met: &Met) -> [u64; 5] {
        met.tallies.map(|tally| tally.count)
    }

    #[test]
    fn each_warning_is_met_where_it_should_be() {
        let calm =
            batch("1m", &[(0, 10.0, 1.0, false), (1, 10.5, 2.0, true), (2, 11.0, 1.0, false)]);
        assert_eq!(counts(&quality().look(&calm)), [0; 5]);
        let jump =
            batch("1m", &[(0, 10.0, 1.0, false), (1, 1001.0, 1.0, false), (2, 10.0, 1.0, false)]);
        let met = quality().look(&jump);
        assert_eq!(counts(&met), [2, 0, 0, 0, 0]);
        assert_eq!(met.tallies[UNIT_JUMP].first_us, Some(MINUTE_US));
        let flat =
            batch("1m", &[(0, 10.0, 1.0, true), (1, 10.0, 0.0, true), (2, 10.0, 0.0, false)]);
        assert_eq!(counts(&quality().look(&flat)), [0, 1, 1, 0, 0]);
        let gap =
            batch("1m", &[(0, 10.0, 1.0, true), (3, 10.0, 1.0, true), (2_000, 10.0, 1.0, true)]);
        assert_eq!(counts(&quality().look(&gap)), [0, 0, 0, 1, 0], "a night is no gap");
        let finer = batch("1h", &[(0, 10.0, 1.0, true), (30, 10.0, 1.0, true)]);
        assert_eq!(counts(&quality().look(&finer)), [0, 0, 0, 0, 1]);
        let coarser: Vec<_> = (0..8).map(|day| (day * 1_440, 10.0, 1.0, true)).collect();
        assert_eq!(counts(&quality().look(&batch("4h", &coarser))), [0, 0, 0, 0, 1]);
        assert_eq!(counts(&quality().look(&batch("1d", &coarser))), [0; 5]);
        assert_eq!(counts(&quality().look(&batch("1mo", &coarser))), [0; 5]);
    }

    #[test]
    fn where_a_source_is_cut_changes_nothing() {
        let bars = [
            (0, 10.0, 1.0, false),
            (1, 1000.0, 1.0, false),
            (4, 1000.0, 0.0, false),
            (5, 10.0, 1.0, false),
        ];
        let quality = quality();
        let whole = counts(&quality.look(&batch("1m", &bars)));
        assert_eq!(whole, [2, 0, 1, 1, 0]);
        for cut in 0..=bars.len() {
            let mut met = quality.look(&batch("1m", &bars[..cut]));
            met.follow(&quality.look(&batch("1m", &bars[cut..])), &quality);
            assert_eq!(counts(&met), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_warning_that_is_off_is_not_met() {
        let jump = batch("1m", &[(0, 10.0, 0.0, false), (1, 1000.0, 0.0, false)]);
        let mut quality = quality();
        quality.on[UNIT_JUMP] = false;
        assert_eq!(counts(&quality.look(&jump)), [0, 0, 2, 0, 0]);
    }
}
