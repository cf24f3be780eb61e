//! What tickers are like, where a real file says it.

use super::market::ticker::{Kind, Ticker, UNITS};

/// Parts of a session of which each has its share of the volume.
pub const PROFILE_PARTS: usize = 24;

/// What tickers are like.
#[derive(Debug, Clone, PartialEq)]
pub struct Like {
    /// Whether they trade on weekends as well, all day.
    pub around_the_clock: bool,
    /// Where they do not: minutes UTC of weekdays; none: New York's sessions.
    pub hours: Option<(i32, i32)>,
    /// A usual price.
    pub price: f64,
    /// The least step of prices, in units of 10^-8.
    pub tick: i64,
    /// Deviation of a day's return.
    pub volatility: f64,
    /// The least quantity, in units of 10^-8.
    pub lot: i64,
    /// Volume of a day, in lots.
    pub volume: f64,
    /// Trades of a day.
    pub trades: f64,
    /// Volume of each part of a session, 1 on average.
    pub profile: Option<[f64; PROFILE_PARTS]>,
    /// Minutes of a bar, if they are bars.
    pub interval_min: Option<u32>,
}

impl Like {
    /// A ticker with its own name and key, like this one.
    pub(super) fn ticker(&self, symbol: &str) -> Ticker {
        Ticker {
            kind: match (self.around_the_clock, self.hours) {
                (true, _) => Kind::Crypto,
                (false, Some((start, end))) => Kind::Weekdays(start, end),
                (false, None) => Kind::Stock,
            },
            tick: self.tick,
            // A tick may be coarse, but a price has some.
            base: (self.price * UNITS as f64 / self.tick as f64).max(100.0),
            volatility: self.volatility,
            lot: self.lot,
            volume: self.volume,
            trades: self.trades,
            profile: self.profile,
            ..Ticker::new(symbol)
        }
    }
}
