//! Days: when a market is open, and a ticker's walk from day to day, whose volatility clusters
//! (GARCH) and which jumps now and then.

use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::super::math::{exp, round};
use super::super::random::Random;
use super::ticker::{Kind, Ticker};
use crate::calendar;

pub const DAY_US: i64 = 86_400_000_000;
pub const MINUTE_US: i64 = 60_000_000;

/// A bar, in ticks and lots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bar {
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    /// Lots.
    pub volume: i64,
    pub trades: i64,
    /// Contracts at the end; of futures.
    pub open_interest: i64,
}

/// A trading day of a ticker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// Days from 1970.
    pub number: i64,
    /// Its session, in microseconds UTC.
    pub start_us: i64,
    pub end_us: i64,
    pub bar: Bar,
}

impl Day {
    /// Minutes of its session.
    pub fn minutes(&self) -> usize {
        ((self.end_us - self.start_us) / MINUTE_US) as usize
    }

    /// When a minute of it starts.
    pub fn minute_us(&self, minute: usize) -> i64 {
        self.start_us + minute as i64 * MINUTE_US
    }
}

/// When markets are open.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Of each day from 1970 on, whether New York trades; filled as it is asked for.
    open: Vec<bool>,
    zone: Option<TimeZone>,
}

fn civil(number: i64) -> Date {
    date(1970, 1, 1).checked_add(number.days()).unwrap_or(Date::MAX)
}

impl Sessions {
    /// Whether a day has a session.
    pub fn is_open(&mut self, kind: Kind, number: i64) -> bool {
        match kind {
            Kind::Crypto => return true,
            Kind::Weekdays(..) => return (number + 3).rem_euclid(7) < 5,
            Kind::Stock | Kind::Future => {}
        }
        let number = number as usize;
        while self.open.len() <= number {
            let day = civil(self.open.len() as i64);
            let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
            self.open.push(!weekend && !calendar::is_holiday(day));
        }
        self.open[number]
    }

    /// Start and end of a day's session in microseconds UTC.
    pub fn session(&mut self, kind: Kind, number: i64) -> (i64, i64) {
        let midnight = number * DAY_US;
        match kind {
            Kind::Crypto => return (midnight, midnight + DAY_US),
            Kind::Weekdays(start, end) => {
                let at = |minute: i32| midnight + i64::from(minute) * MINUTE_US;
                return (at(start), at(end));
            }
            Kind::Stock | Kind::Future => {}
        }
        let zone =
            self.zone.get_or_insert_with(|| TimeZone::get(calendar::ZONE).unwrap_or(TimeZone::UTC));
        let day = civil(number);
        let (start, usual) = calendar::SESSION;
        let end = if calendar::ends_early(day) { calendar::EARLY_END } else { usual };
        // New York's clocks change at night: its offset at noon is that of the session.
        let noon = Timestamp::from_microsecond(midnight + DAY_US / 2).unwrap_or_default();
        let offset = i64::from(zone.to_offset(noon).seconds()) * 1_000_000;
        let at = |minute: i32| midnight + i64::from(minute) * MINUTE_US - offset;
        (at(start), at(end))
    }
}

/// A ticker's way from day to day.
#[derive(Debug, Clone)]
pub struct Path {
    /// Logarithm of the price over the base.
    level: f64,
    /// Variance of the next return.
    variance: f64,
    close: i64,
    open_interest: f64,
}

impl Path {
    /// The way of a ticker from 1970 on.
    pub fn new(ticker: &Ticker) -> Self {
        let variance = ticker.volatility * ticker.volatility;
        let close = round(ticker.base).max(100);
        Self { level: 0.0, variance, close, open_interest: ticker.volume * 0.8 }
    }

    /// The next trading day.
    pub fn step(&mut self, seed: u64, ticker: &Ticker, number: i64) -> Bar {
        let mut random = Random::of(&[seed, 2, ticker.key, number as u64]);
        let usual = ticker.volatility;
        let deviation = self.variance.sqrt();
        let shock = deviation * random.normal();
        let mut change = shock;
        if random.chance(0.008) {
            let jump = random.between(3.0, 6.0) * usual;
            change += if random.chance(0.5) { jump } else { -jump };
        }
        let change = change.clamp(-0.2, 0.2);
        self.variance = 0.03 * usual * usual + 0.10 * shock * shock + 0.87 * self.variance;
        // Shares open away from the close before, by a part of the day's news.
        let overnight = match ticker.kind {
            Kind::Crypto => 0.0,
            Kind::Stock | Kind::Future | Kind::Weekdays(..) => {
                0.25 * change + 0.15 * deviation * random.normal()
            }
        };
        let open = round(self.close as f64 * (1.0 + overnight)).max(20);
        self.level = self.level * 0.998 + change;
        let close = round(ticker.base * exp(self.level)).max(20);
        let reach = deviation * open as f64;
        let above = round(reach * 0.5 * random.normal().abs()) + 1;
        let below = round(reach * 0.5 * random.normal().abs()) + 1;
        let activity = change.abs() / usual;
        let trades = ticker.trades * exp(0.25 * random.normal()) * (0.8 + 0.25 * activity);
        let volume = ticker.volume * exp(0.30 * random.normal()) * (0.7 + 0.4 * activity);
        let minutes = match ticker.kind {
            Kind::Crypto => 1_440,
            Kind::Stock | Kind::Future => 390,
            Kind::Weekdays(start, end) => i64::from(end - start),
        };
        let least = minutes * 5;
        let trades = round(trades).max(least);
        self.open_interest *= exp(0.03 * random.normal());
        self.open_interest = self.open_interest.clamp(ticker.volume * 0.1, ticker.volume * 10.0);
        self.close = close;
        Bar {
            open,
            high: open.max(close) + above,
            low: (open.min(close) - below).max(1),
            close,
            volume: round(volume).max(trades * 2),
            trades,
            open_interest: round(self.open_interest),
        }
    }
}
