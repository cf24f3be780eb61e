//! The minutes of a day: a path from its open to its close that touches its high and its low, with
//! more volume and wider bars at both ends of a session, and volatility that clusters.

use super::super::like::PROFILE_PARTS;
use super::super::math::round;
use super::super::random::{Random, split};
use super::days::{Bar, Day};
use super::ticker::{Kind, Ticker};

/// How busy a ticker is at a point of its session, from 0 to 1; 1 on average.
pub fn activity(ticker: &Ticker, point: f64) -> f64 {
    if let Some(profile) = &ticker.profile {
        return profile[((point * PROFILE_PARTS as f64) as usize).min(PROFILE_PARTS - 1)];
    }
    let middle = 2.0 * point - 1.0;
    match ticker.kind {
        Kind::Stock | Kind::Future | Kind::Weekdays(..) => 0.5 + 1.5 * middle * middle,
        // Most of it while Europe and America are awake.
        Kind::Crypto => {
            let away = (point - 0.62).abs();
            1.25 - 1.2 * away.min(1.0 - away)
        }
    }
}

/// Makes the minutes of days, one day after another in the same memory.
#[derive(Debug, Default)]
pub struct Minutes {
    /// The bars.
    pub bars: Vec<Bar>,
    path: Vec<f64>,
    moves: Vec<f64>,
    busy: Vec<f64>,
    parts: Vec<i64>,
}

impl Minutes {
    /// Makes those of a day. Every one has at least four trades and a lot for each.
    pub fn fill(&mut self, seed: u64, ticker: &Ticker, day: &Day) {
        let mut random = Random::of(&[seed, 3, ticker.key, day.number as u64]);
        self.walk(&mut random, ticker, day.minutes());
        self.fit(&day.bar);
        self.prices(&mut random, &day.bar);
        self.sizes(&mut random, &day.bar);
    }

    /// A random walk from 0 to 0, and how much each minute moves.
    fn walk(&mut self, random: &mut Random, ticker: &Ticker, minutes: usize) {
        self.path.clear();
        self.moves.clear();
        self.busy.clear();
        let (mut at, mut variance) = (0.0, 1.0f64);
        for minute in 0..minutes {
            let busy = activity(ticker, (minute as f64 + 0.5) / minutes as f64);
            let shock = variance.sqrt() * random.normal();
            variance = 0.05 + 0.20 * shock * shock + 0.75 * variance;
            at += shock * busy.sqrt();
            self.path.push(at);
            self.moves.push(shock.abs());
            self.busy.push(busy);
        }
        let end = at;
        for (minute, place) in self.path.iter_mut().enumerate() {
            *place -= end * (minute + 1) as f64 / minutes as f64;
        }
    }

    /// Bends the walk so that it goes from open to close and as far up and down as the day does.
    fn fit(&mut self, day: &Bar) {
        let minutes = self.path.len() as f64;
        let (open, close) = (day.open as f64, day.close as f64);
        let (top, bottom) = (open.max(close), open.min(close));
        let (high, low) = (day.high as f64, day.low as f64);
        let widest = self
            .path
            .iter()
            .fold((0.0f64, 0.0f64), |(least, most), place| (least.min(*place), most.max(*place)));
        let stretch = (high - low - 0.5 * (top - bottom)) / (widest.1 - widest.0).max(1e-9);
        let (mut most, mut least) = (top, bottom);
        for (minute, place) in self.path.iter_mut().enumerate() {
            *place = open + (close - open) * (minute + 1) as f64 / minutes + stretch * *place;
            (most, least) = (most.max(*place), least.min(*place));
        }
        let up = if most > top { (high - top) / (most - top) } else { 1.0 };
        let down = if least < bottom { (bottom - low) / (bottom - least) } else { 1.0 };
        for place in &mut self.path {
            if *place > top {
                *place = top + (*place - top) * up;
            } else if *place < bottom {
                *place = bottom - (bottom - *place) * down;
            }
        }
    }

    fn prices(&mut self, random: &mut Random, day: &Bar) {
        self.bars.clear();
        let (high, low) = (day.high, day.low);
        let last = self.path.len() - 1;
        let usual = (high - low) as f64 / (self.path.len() as f64).sqrt() * 0.3;
        let mut before = day.open;
        let (mut highest, mut lowest) = (0, 0);
        for (minute, place) in self.path.iter().enumerate() {
            let bits = random.bits();
            // A tick up or down from the close before, now and then.
            let step = if minute == 0 { 0 } else { [-1, 0, 0, 1][(bits & 3) as usize] };
            let open = (before + step).clamp(low, high);
            let close = if minute == last { day.close } else { round(*place).clamp(low, high) };
            let reach = usual * (0.3 + self.moves[minute]) * (1.0 / 65_536.0);
            let above = (reach * ((bits >> 8) & 0xffff) as f64) as i64;
            let below = (reach * ((bits >> 24) & 0xffff) as f64) as i64;
            let bar = Bar {
                open,
                high: (open.max(close) + above).min(high),
                low: (open.min(close) - below).max(low),
                close,
                ..Bar::default()
            };
            self.bars.push(bar);
            if bar.high > self.bars[highest].high {
                highest = minute;
            }
            if bar.low < self.bars[lowest].low {
                lowest = minute;
            }
            before = close;
        }
        self.bars[highest].high = high;
        self.bars[lowest].low = low;
    }

    fn sizes(&mut self, random: &mut Random, day: &Bar) {
        for (busy, moved) in self.busy.iter_mut().zip(&self.moves) {
            *busy *= (0.5 + random.unit()) * (0.6 + 0.5 * moved);
        }
        split(day.trades, 4, &self.busy, &mut self.parts);
        for (bar, trades) in self.bars.iter_mut().zip(&self.parts) {
            bar.trades = *trades;
        }
        for busy in &mut self.busy {
            *busy *= 0.7 + 0.6 * random.unit();
        }
        split(day.volume - day.trades, 0, &self.busy, &mut self.parts);
        let start = day.open_interest;
        for (bar, lots) in self.bars.iter_mut().zip(&self.parts) {
            bar.volume = bar.trades + lots;
            bar.open_interest = start;
        }
    }
}

/// Several bars as one.
pub fn joined(bars: &[Bar]) -> Bar {
    let mut all = bars.first().copied().unwrap_or_default();
    for bar in bars.iter().skip(1) {
        all.high = all.high.max(bar.high);
        all.low = all.low.min(bar.low);
        all.close = bar.close;
        all.volume += bar.volume;
        all.trades += bar.trades;
        all.open_interest = bar.open_interest;
    }
    all
}
