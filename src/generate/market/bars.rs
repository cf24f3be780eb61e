//! Bars, and open interest of futures by day.

use std::ops::Range;

use super::super::records::{NONE, Records};
use super::super::{GenerateError, Spec, Units};
use super::days::{Bar, DAY_US};
use super::minutes::{Minutes, joined};
use super::ticker::{Kind, PLACES, Ticker, UNITS};
use super::{TickerDays, check_interval, interval_name, usual};
use crate::dataset::Dataset;

/// Bars of some minutes, or of a day.
#[derive(Debug)]
pub struct Bars {
    dataset: &'static Dataset,
    days: TickerDays,
    minutes: u32,
}

/// Four shares and a pair of currencies.
const KINDS: [Kind; 5] = [Kind::Stock, Kind::Stock, Kind::Stock, Kind::Crypto, Kind::Stock];

impl Bars {
    pub fn new(spec: &Spec, minutes: u32) -> Result<Self, GenerateError> {
        check_interval(minutes)?;
        let days = TickerDays::new(spec, (&KINDS, usual(minutes)), |_, day| {
            day.minutes().div_ceil(minutes as usize) as u64
        })?;
        Ok(Self { dataset: spec.dataset, days, minutes })
    }
}

impl Units for Bars {
    fn total(&self) -> u64 {
        self.days.rows
    }

    fn records(&self) -> Records {
        let places = [
            ("open", PLACES),
            ("high", PLACES),
            ("low", PLACES),
            ("close", PLACES),
            ("volume", PLACES),
            ("quote_volume", 4),
        ];
        Records::new(self.dataset, &places)
            .with_words("symbol", self.days.symbols())
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
        if self.minutes == 1_440 {
            push(ticker, number, day.number * DAY_US, &day.bar, into);
            return;
        }
        let mut minutes = Minutes::default();
        minutes.fill(self.days.seed, ticker, day);
        let width = self.minutes as usize;
        for row in rows {
            let first = row as usize * width;
            let bars = &minutes.bars[first..minutes.bars.len().min(first + width)];
            push(ticker, number, day.minute_us(first), &joined(bars), into);
        }
    }
}

fn push(ticker: &Ticker, number: usize, ts_us: i64, bar: &Bar, into: &mut Records) {
    let [symbol, interval, ts, open, high, low, close, volume, turnover, trades, interest] =
        into.columns.as_mut_slice()
    else {
        return;
    };
    symbol.push_word(number);
    interval.push_word(0);
    ts.push(ts_us);
    open.push(bar.open * ticker.tick);
    high.push(bar.high * ticker.tick);
    low.push(bar.low * ticker.tick);
    close.push(bar.close * ticker.tick);
    volume.push(bar.volume * ticker.lot);
    turnover.push(match ticker.kind {
        // Near enough: volume at the average of the four prices.
        Kind::Crypto => {
            let price =
                i128::from(bar.open + bar.high + bar.low + bar.close) * i128::from(ticker.tick) / 4;
            let quantity = i128::from(bar.volume) * i128::from(ticker.lot);
            let units = i128::from(UNITS);
            (price * quantity / units / (units / 10_000)) as i64
        }
        Kind::Stock | Kind::Future | Kind::Weekdays(..) => NONE,
    });
    trades.push(bar.trades);
    interest.push(if ticker.kind == Kind::Future { bar.open_interest } else { NONE });
}

/// Open interest of futures at the end of each day.
#[derive(Debug)]
pub struct OpenInterest {
    dataset: &'static Dataset,
    days: TickerDays,
}

impl OpenInterest {
    pub fn new(spec: &Spec) -> Result<Self, GenerateError> {
        let days = TickerDays::new(spec, (&[Kind::Future], usual(1_440)), |_, _| 1)?;
        Ok(Self { dataset: spec.dataset, days })
    }
}

impl Units for OpenInterest {
    fn total(&self) -> u64 {
        self.days.rows
    }

    fn records(&self) -> Records {
        Records::new(self.dataset, &[]).with_words("symbol", self.days.symbols())
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

    fn make(&self, unit: usize, _: Range<u64>, into: &mut Records) {
        let (_, day, number) = self.days.get(unit);
        if let [symbol, ts, interest] = into.columns.as_mut_slice() {
            symbol.push_word(number);
            ts.push(day.number * DAY_US);
            interest.push(day.bar.open_interest);
        }
    }
}
