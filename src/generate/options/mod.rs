//! Option chains: strikes around the price, two expiries, volatility with a smile, prices and
//! greeks by Black and Scholes, and open interest that grows from day to day until expiry.
//! Calls and puts keep their parity to the cent.

mod chain;

use std::ops::Range;

use super::market::days::{Bar, DAY_US, MINUTE_US};
use super::market::minutes::{Minutes, activity, joined};
use super::market::ticker::{Kind, PLACES};
use super::market::{TickerDays, check_interval, interval_name};
use super::random::Random;
use super::records::Records;
use super::{GenerateError, Spec, Units};
use crate::dataset::Dataset;
use chain::{Chain, Contract, EXPIRIES, STRIKES};

/// Rows of an underlying before there is another, where nobody says how many there are.
const ROWS_OF_UNDERLYING: u64 = 1_000_000;
/// A price in cents becomes units of 10^-8.
const CENT: i64 = 1_000_000;

/// Either dataset.
#[derive(Debug)]
struct Options {
    dataset: &'static Dataset,
    days: TickerDays,
    minutes: u32,
    /// Records of a strike at a time: one, or call and put.
    sides: usize,
}

pub(super) fn units(spec: &Spec) -> Result<(Box<dyn Units>, u64), GenerateError> {
    let by_strike = spec.dataset.name == "option_strike_bars";
    let minutes = match spec.interval_min {
        Some(minutes) if by_strike && minutes != 1 => {
            let why = "option_strike_bars are of one minute: leave out --interval";
            return Err(GenerateError::Impossible(why.to_owned()));
        }
        Some(minutes) => minutes,
        None if by_strike => 1,
        None => 5,
    };
    check_interval(minutes)?;
    let sides = if by_strike { 1 } else { 2 };
    let days = TickerDays::new(spec, (&[Kind::Stock], (ROWS_OF_UNDERLYING, 1)), |_, day| {
        let times = day.minutes().div_ceil(minutes as usize);
        (times * EXPIRIES * STRIKES * sides) as u64
    })?;
    let rows = days.rows;
    Ok((Box::new(Options { dataset: spec.dataset, days, minutes, sides }), rows))
}

impl Units for Options {
    fn total(&self) -> u64 {
        self.days.rows
    }

    fn records(&self) -> Records {
        let one = |name| (name, PLACES);
        let of_bars = ["strike", "open", "high", "low", "close", "underlying_close"].map(one);
        let greeks = ["iv", "delta", "gamma", "theta", "vega"];
        let mut places = of_bars.to_vec();
        for column in self.dataset.columns {
            if greeks.iter().any(|greek| column.name.ends_with(&format!("_{greek}"))) {
                places.push((column.name, 6));
            }
        }
        Records::new(self.dataset, &places)
            .with_words("symbol", self.days.symbols())
            .with_words("underlying", self.days.symbols())
            .with_words("option_type", ["call", "put"].map(str::to_owned))
            .with_words("interval", [interval_name(self.minutes)])
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
        let chain = Chain::new(self.days.seed, ticker, day);
        let width = self.minutes as usize;
        let each = (EXPIRIES * STRIKES * self.sides) as u64;
        let mut before: Option<(usize, Bar, usize, f64, f64)> = None;
        for row in rows {
            let (step, of_step) = ((row / each) as usize, (row % each) as usize);
            let contract = &chain.contracts[of_step / self.sides];
            let first = step * width;
            if before.as_ref().is_none_or(|(known, ..)| *known != step) {
                let end = (first + width).min(minutes.bars.len());
                let point = (first as f64 + 0.5) / minutes.bars.len() as f64;
                let busy = activity(ticker, point) / minutes.bars.len() as f64;
                let bar = joined(&minutes.bars[first..end]);
                before = Some((step, bar, end, point, busy * (end - first) as f64));
            }
            let Some((_, bar, end, point, busy)) = before else { continue };
            let at = Moment {
                number,
                start_us: day.minute_us(first),
                end_us: day.minute_us(end),
                tick: ticker.tick,
                bar,
                point,
                busy,
                random: Random::of(&[self.days.seed, 19, ticker.key, day.number as u64, row]),
            };
            match self.sides {
                1 => at.push_strike(&chain, contract, into),
                _ => at.push_bar(&chain, contract, row % 2 == 0, into),
            }
        }
    }
}

/// A bar of the underlying at hand.
struct Moment {
    number: usize,
    start_us: i64,
    end_us: i64,
    tick: i64,
    bar: Bar,
    /// Where in the session it is, from 0 to 1.
    point: f64,
    /// Part of the day's trading that falls into it.
    busy: f64,
    random: Random,
}

impl Moment {
    /// A price of the underlying as a number.
    fn price(&self, ticks: i64) -> f64 {
        ticks as f64 * self.tick as f64 * 1e-8
    }

    /// Contracts traded, and in how many trades.
    fn traded(&mut self, usual: i64) -> (i64, i64) {
        let volume =
            (usual as f64 * self.busy * self.random.between(0.2, 1.8) + self.random.unit()) as i64;
        (volume, if volume == 0 { 0 } else { 1 + self.random.below(volume as u64) as i64 / 3 })
    }

    fn push_strike(mut self, chain: &Chain, contract: &Contract, into: &mut Records) {
        let columns = into.columns.as_mut_slice();
        let [symbol, expiry, strike, bucket, rest @ ..] = columns else { return };
        symbol.push_word(self.number);
        expiry.push(contract.expiry);
        strike.push(contract.strike);
        bucket.push(self.start_us);
        let greeks = chain.greeks(contract, self.price(self.bar.close), self.end_us);
        let [of_call @ .., underlying] = rest else { return };
        let (of_call, of_put) = of_call.split_at_mut(8);
        for (side, columns) in [of_call, of_put].into_iter().enumerate() {
            let [iv, delta, gamma, theta, vega, volume, count, interest] = columns else { return };
            let of = &greeks[side];
            let numbers = [of.iv, of.delta, of.gamma, of.theta, of.vega];
            for (column, value) in [iv, delta, gamma, theta, vega].into_iter().zip(numbers) {
                column.push(super::math::round(value * 1e6));
            }
            let (traded, trades) = self.traded(contract.usual[side]);
            volume.push(traded);
            // Quotes count as well: every minute has one.
            count.push(1 + trades);
            interest.push(contract.interest_at(side, self.point));
        }
        underlying.push(self.bar.close * self.tick);
    }

    fn push_bar(mut self, chain: &Chain, contract: &Contract, call: bool, into: &mut Records) {
        let columns = into.columns.as_mut_slice();
        let [name, expiry, strike, kind, interval, ts, open, high, low, close, rest @ ..] = columns
        else {
            return;
        };
        let [volume, interest, trades, underlying] = rest else { return };
        let side = usize::from(!call);
        name.push_word(self.number);
        expiry.push(contract.expiry);
        strike.push(contract.strike);
        kind.push_word(side);
        interval.push_word(0);
        ts.push(self.start_us);
        let at = |ticks: i64, us: i64| chain.cents(contract, self.price(ticks), us)[side];
        let first = at(self.bar.open, self.start_us);
        let last = at(self.bar.close, self.end_us);
        let ends = [at(self.bar.high, self.end_us), at(self.bar.low, self.end_us), first, last];
        open.push(first * CENT);
        high.push(ends.iter().max().map_or(0, |most| most * CENT));
        low.push(ends.iter().min().map_or(0, |least| least * CENT));
        close.push(last * CENT);
        let (traded, count) = self.traded(contract.usual[side]);
        volume.push(traded);
        interest.push(contract.interest_at(side, self.point));
        trades.push(count);
        underlying.push(self.bar.close * self.tick);
    }
}

/// When contracts of a day expire: an hour after the latest close.
fn expires_us(day: i64) -> i64 {
    day * DAY_US + 22 * 60 * MINUTE_US
}
