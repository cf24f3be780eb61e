//! Predictions of prices and what came of them: the prices are those of the bars of the same seed,
//! and a model is right a little more often than a coin.

use std::ops::Range;

use super::super::random::Random;
use super::super::records::{NONE, Records, Values};
use super::super::{GenerateError, Spec, Units};
use super::days::MINUTE_US;
use super::minutes::Minutes;
use super::ticker::{Kind, PLACES, Ticker};
use super::{TickerDays, check_interval, interval_name, usual};
use crate::dataset::Dataset;

const KINDS: [Kind; 2] = [Kind::Stock, Kind::Crypto];
const DIRECTIONS: [&str; 3] = ["up", "down", "flat"];
/// How often a prediction is right.
const RIGHT: f64 = 0.55;

/// One row each interval of a session.
#[derive(Debug)]
struct Steps {
    dataset: &'static Dataset,
    days: TickerDays,
    minutes: u32,
}

impl Steps {
    fn new(spec: &Spec, minutes: u32) -> Result<Self, GenerateError> {
        check_interval(minutes)?;
        if minutes == 1_440 {
            let why = "predictions lie within a session: --interval must be below 1d";
            return Err(GenerateError::Impossible(why.to_owned()));
        }
        let days = TickerDays::new(spec, (&KINDS, usual(minutes)), |_, day| {
            day.minutes().div_ceil(minutes as usize) as u64
        })?;
        Ok(Self { dataset: spec.dataset, days, minutes })
    }

    /// Calls `push` with what is said at each step of a day and what came of it.
    fn each(&self, unit: usize, rows: Range<u64>, mut push: impl FnMut(&Said<'_>)) {
        let (ticker, day, number) = self.days.get(unit);
        let mut minutes = Minutes::default();
        minutes.fill(self.days.seed, ticker, day);
        let width = self.minutes as usize;
        for row in rows {
            let first = row as usize * width;
            let end = (first + width).min(minutes.bars.len());
            let words = [self.days.seed, 5, ticker.key, day.number as u64, row];
            let mut random = Random::of(&words);
            let (reference, actual) = (minutes.bars[first].open, minutes.bars[end - 1].close);
            // Flat is less than a tick in ten thousand.
            let near = reference / 10_000;
            let came = match actual - reference {
                change if change > near => 0,
                change if change < -near => 1,
                _ => 2,
            };
            let wrong = (came + 1 + random.below(2) as usize) % 3;
            push(&Said {
                number,
                ticker,
                row,
                start_us: day.minute_us(first),
                end_us: day.minute_us(end),
                said: if random.chance(RIGHT) { came } else { wrong },
                came,
                confidence: 5_000 + random.below(4_900) as i64,
                reach: random.between(0.000_5, 0.004),
                reference,
                // What the last day of a range is about may not have come yet.
                actual: (unit + 1 < self.days.days.len() || end < minutes.bars.len())
                    .then_some(actual),
            });
        }
    }
}

/// What was said at a time, and what came of it.
struct Said<'a> {
    number: usize,
    ticker: &'a Ticker,
    row: u64,
    start_us: i64,
    end_us: i64,
    said: usize,
    came: usize,
    /// In units of 10^-4.
    confidence: i64,
    reach: f64,
    reference: i64,
    actual: Option<i64>,
}

impl Said<'_> {
    fn outcome(&self, direction: &mut Values, price: &mut Values, right: &mut Values) {
        match self.actual {
            Some(actual) => {
                direction.push_word(self.came);
                price.push(actual * self.ticker.tick);
                right.push(i64::from(self.said == self.came));
            }
            None => [direction, price, right].into_iter().for_each(|column| column.push(NONE)),
        }
    }
}

/// Predictions from one interval to the next.
#[derive(Debug)]
pub struct Predictions(Steps);

impl Predictions {
    pub fn new(spec: &Spec, minutes: u32) -> Result<Self, GenerateError> {
        Steps::new(spec, minutes).map(Self)
    }
}

impl Units for Predictions {
    fn total(&self) -> u64 {
        self.0.days.rows
    }

    fn records(&self) -> Records {
        let prices = ["reference_price", "predicted_price", "actual_price"];
        let places = prices.map(|name| (name, PLACES));
        let places = [&places[..], &[("confidence", 4)]].concat();
        Records::new(self.0.dataset, &places)
            .with_words("symbol", self.0.days.symbols())
            .with_words("interval", [interval_name(self.0.minutes)])
            .with_words("model", ["walk-1".to_owned()])
            .with_words("predicted_direction", DIRECTIONS.map(str::to_owned))
            .with_words("actual_direction", DIRECTIONS.map(str::to_owned))
    }

    fn by_ticker(&self) -> Option<Vec<(String, Vec<Range<u64>>)>> {
        Some(self.0.days.by_ticker())
    }

    fn unit_of(&self, row: u64) -> (usize, u64) {
        self.0.days.unit_of(row)
    }

    fn rows_of(&self, unit: usize) -> u64 {
        self.0.days.rows_of(unit)
    }

    fn make(&self, unit: usize, rows: Range<u64>, into: &mut Records) {
        let columns = into.columns.as_mut_slice();
        let [symbol, interval, model, ts, target, said, confidence, reference, price, rest @ ..] =
            columns
        else {
            return;
        };
        let [came, actual, right] = rest else { return };
        self.0.each(unit, rows, |of| {
            symbol.push_word(of.number);
            interval.push_word(0);
            model.push_word(0);
            ts.push(of.start_us);
            target.push(of.end_us);
            said.push_word(of.said);
            confidence.push(of.confidence);
            reference.push(of.reference * of.ticker.tick);
            let reach = (of.reference as f64 * of.reach) as i64;
            let reach = [reach, -reach, 0][of.said];
            price.push((of.reference + reach) * of.ticker.tick);
            of.outcome(came, actual, right);
        });
    }
}

/// Predictions for blocks of a session, made five minutes before.
#[derive(Debug)]
pub struct Blocks(Steps);

impl Blocks {
    pub fn new(spec: &Spec, minutes: u32) -> Result<Self, GenerateError> {
        Steps::new(spec, minutes).map(Self)
    }
}

impl Units for Blocks {
    fn total(&self) -> u64 {
        self.0.days.rows
    }

    fn records(&self) -> Records {
        let places = [("confidence", 4), ("reference_price", PLACES), ("actual_price", PLACES)];
        Records::new(self.0.dataset, &places)
            .with_words("symbol", self.0.days.symbols())
            .with_words("model", ["block-1".to_owned()])
            .with_words("predicted_direction", DIRECTIONS.map(str::to_owned))
            .with_words("actual_direction", DIRECTIONS.map(str::to_owned))
    }

    fn by_ticker(&self) -> Option<Vec<(String, Vec<Range<u64>>)>> {
        Some(self.0.days.by_ticker())
    }

    fn unit_of(&self, row: u64) -> (usize, u64) {
        self.0.days.unit_of(row)
    }

    fn rows_of(&self, unit: usize) -> u64 {
        self.0.days.rows_of(unit)
    }

    fn make(&self, unit: usize, rows: Range<u64>, into: &mut Records) {
        let columns = into.columns.as_mut_slice();
        let [symbol, model, start, minutes, block, predicted, said, confidence, rest @ ..] =
            columns
        else {
            return;
        };
        let [reference, came, actual, right] = rest else { return };
        self.0.each(unit, rows, |of| {
            symbol.push_word(of.number);
            model.push_word(0);
            start.push(of.start_us);
            minutes.push((of.end_us - of.start_us) / MINUTE_US);
            block.push(of.row as i64 + 1);
            predicted.push(of.start_us - 5 * MINUTE_US);
            said.push_word(of.said);
            confidence.push(of.confidence);
            reference.push(of.reference * of.ticker.tick);
            of.outcome(came, actual, right);
        });
    }
}
