//! Ticks: the trades of each minute, which add up to its bar.

use std::ops::Range;

use super::super::random::{Random, split};
use super::super::records::{NONE, Records};
use super::super::{GenerateError, Spec, Units};
use super::days::{Bar, Day};
use super::minutes::Minutes;
use super::ticker::{Kind, PLACES, Ticker};
use super::{TickerDays, usual};
use crate::dataset::Dataset;

/// Trades on a venue.
#[derive(Debug)]
pub struct Ticks {
    dataset: &'static Dataset,
    days: TickerDays,
}

const KINDS: [Kind; 5] = [Kind::Stock, Kind::Stock, Kind::Stock, Kind::Crypto, Kind::Stock];
const MINUTE_US: f64 = 60_000_000.0;

impl Ticks {
    pub fn new(spec: &Spec) -> Result<Self, GenerateError> {
        if spec.interval_min.is_some() {
            let why = "market_trades have no --interval: they add up to bars of any";
            return Err(GenerateError::Impossible(why.to_owned()));
        }
        let days = TickerDays::new(spec, (&KINDS, usual(1)), |_, day| day.bar.trades as u64)?;
        Ok(Self { dataset: spec.dataset, days })
    }
}

impl Units for Ticks {
    fn total(&self) -> u64 {
        self.days.rows
    }

    fn records(&self) -> Records {
        Records::new(self.dataset, &[("price", PLACES), ("size", PLACES)])
            .with_words("symbol", self.days.symbols())
            .with_words("side", ["buy", "sell"].map(str::to_owned))
    }

    fn by_ticker(&self) -> Option<Vec<(String, Vec<Range<u64>>)>> {
        Some(self.days.by_ticker())
    }

    fn unit_of(&self, row: u64) -> (usize, u64) {
        self.days.unit_of(row)
    }

    fn rows_of(&self, unit: usize) -> u64 {
        self.days.rows_of(unit)
    }

    fn make(&self, unit: usize, rows: Range<u64>, into: &mut Records) {
        let (ticker, day, number) = self.days.get(unit);
        let mut minutes = Minutes::default();
        minutes.fill(self.days.seed, ticker, day);
        let mut made = MinuteTicks::default();
        let mut first = 0;
        for (minute, bar) in minutes.bars.iter().enumerate() {
            let count = bar.trades as u64;
            let wanted = super::part(&rows, first, count);
            if !wanted.is_empty() {
                made.fill(self.days.seed, ticker, day, (minute, bar));
                for at in wanted {
                    let (place, tick) = ((ticker, number, day), made.ticks[at as usize]);
                    push(place, first + at, &tick, into);
                }
            }
            first += count;
            if first >= rows.end {
                return;
            }
        }
    }
}

fn push(
    (ticker, number, day): (&Ticker, usize, &Day),
    ordinal: u64,
    tick: &Tick,
    into: &mut Records,
) {
    let [symbol, ts, id, price, size, side, nanos] = into.columns.as_mut_slice() else { return };
    symbol.push_word(number);
    ts.push(tick.ts_us);
    id.push(day.number * 10_000_000 + ordinal as i64);
    price.push(tick.price * ticker.tick);
    size.push(tick.lots * ticker.lot);
    side.push_word(usize::from(tick.sold));
    nanos.push(NONE);
}

#[derive(Debug, Clone, Copy)]
struct Tick {
    ts_us: i64,
    price: i64,
    lots: i64,
    sold: bool,
}

#[derive(Debug, Default)]
struct MinuteTicks {
    ticks: Vec<Tick>,
    weights: Vec<f64>,
    lots: Vec<i64>,
}

impl MinuteTicks {
    /// The ticks of a minute: first its open, last its close, its high and low somewhere between.
    fn fill(&mut self, seed: u64, ticker: &Ticker, day: &Day, (minute, bar): (usize, &Bar)) {
        let words = [seed, 4, ticker.key, day.number as u64, minute as u64];
        let mut random = Random::of(&words);
        let count = bar.trades as usize;
        self.weights.clear();
        // Few trades are large.
        self.weights.extend((0..count).map(|_| 1.0 / (random.unit() + 0.02)));
        split(bar.volume, 1, &self.weights, &mut self.lots);
        let inside = (count - 2) as u64;
        let top = 1 + random.below(inside);
        let bottom = 1 + (top - 1 + 1 + random.below(inside - 1)) % inside;
        let (top, bottom) = (top as usize, bottom as usize);
        self.ticks.clear();
        let wide = (bar.high - bar.low) as f64 * 0.1;
        let (mut price, mut sold) = (bar.open, false);
        for at in 0..count {
            let before = price;
            let bits = random.unit();
            price = match at {
                0 => bar.open,
                at if at + 1 == count => bar.close,
                at if at == top => bar.high,
                at if at == bottom => bar.low,
                _ => {
                    let step = (random.normal() * (wide + 0.7)) as i64;
                    (price + step).clamp(bar.low, bar.high)
                }
            };
            if price != before {
                sold = price < before;
            }
            let ts_us =
                day.minute_us(minute) + ((at as f64 + bits) * (MINUTE_US / count as f64)) as i64;
            self.ticks.push(Tick { ts_us, price, lots: self.lots[at], sold });
        }
    }
}
