//! What is traded: how a symbol is spelled says what it is; all else about it follows from its
//! name, so that a ticker is the same in every command.

use super::super::like::PROFILE_PARTS;
use super::super::random::{Random, key_of};

/// What a ticker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A share: New York's sessions and holidays.
    Stock,
    /// A pair of currencies that trades around the clock.
    Crypto,
    /// A future: as a share, with open interest.
    Future,
    /// What trades on weekdays between two minutes UTC.
    Weekdays(i32, i32),
}

/// A ticker.
#[derive(Debug, Clone)]
pub struct Ticker {
    /// Its symbol.
    pub symbol: String,
    /// A number made of the symbol.
    pub key: u64,
    /// What it is.
    pub kind: Kind,
    /// The least step of its price, in units of 10^-8.
    pub tick: i64,
    /// The price that it comes back to, in ticks.
    pub base: f64,
    /// Deviation of a day's return.
    pub volatility: f64,
    /// The least quantity, in units of 10^-8.
    pub lot: i64,
    /// Usual volume of a day, in lots.
    pub volume: f64,
    /// Usual number of trades in a day.
    pub trades: f64,
    /// How its volume is spread over a session; none: as its kind's.
    pub profile: Option<[f64; PROFILE_PARTS]>,
}

/// Units of a price or quantity in 1.
pub const UNITS: i64 = 100_000_000;
/// Decimal places of prices and quantities.
pub const PLACES: u32 = 8;

const STOCKS: [&str; 12] = [
    "ACME", "GLOBEX", "INITECH", "HOOLI", "WONKA", "STARKI", "WAYNE", "CYBRD", "OSCORP", "TYRELL",
    "MONARC", "VANDEL",
];
const PAIRS: [&str; 6] = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT", "XRPUSDT", "DOTUSDT"];
const ROOTS: [&str; 4] = ["ESZ", "NQZ", "CLZ", "GCZ"];

impl Kind {
    /// What a symbol is by its spelling.
    pub fn of(symbol: &str) -> Self {
        let upper = symbol.to_ascii_uppercase();
        let quoted = ["USDT", "USDC", "BUSD"].iter().any(|quote| upper.ends_with(quote));
        if upper.contains(['/', '-']) || quoted || (upper.ends_with("USD") && upper.len() >= 6) {
            return Kind::Crypto;
        }
        let root = upper.trim_end_matches(|c: char| c.is_ascii_digit());
        let year = upper.len() - root.len();
        let is_month = root.ends_with(|c| "FGHJKMNQUVXZ".contains(c));
        if (1..=2).contains(&year) && is_month && (2..=5).contains(&root.len()) {
            return Kind::Future;
        }
        Kind::Stock
    }
}

impl Ticker {
    /// The ticker of a symbol.
    pub fn new(symbol: &str) -> Self {
        let key = key_of(symbol);
        let mut random = Random::of(&[key, 1]);
        let kind = Kind::of(symbol);
        let (tick, lot, price, volatility, trades, trade) = match kind {
            Kind::Stock | Kind::Weekdays(..) => {
                let price = 20.0 * f64::from(1u32 << random.below(5)) * random.between(1.0, 2.0);
                (1_000_000, UNITS, price, 0.012, 14_000.0, 90.0)
            }
            Kind::Future => {
                let price = 1_000.0 * random.between(1.0, 5.0);
                (25_000_000, UNITS, price, 0.010, 9_000.0, 4.0)
            }
            Kind::Crypto => {
                let power = random.below(6) as i32 - 1;
                let price = (0..power.abs()).fold(random.between(1.0, 6.0), |price, _| {
                    if power < 0 { price / 10.0 } else { price * 10.0 }
                });
                let tick = if price >= 1_000.0 { 1_000_000 } else { 10_000 };
                (tick, 100_000, price, 0.028, 30_000.0, 400.0 / price.max(0.5) * 1_000.0)
            }
        };
        let trades = trades * random.between(0.6, 2.2);
        Self {
            symbol: symbol.to_owned(),
            key,
            kind,
            tick,
            base: price * (UNITS / tick) as f64,
            volatility: volatility * random.between(0.7, 1.6),
            lot,
            volume: trades * trade.max(2.0),
            trades,
            profile: None,
        }
    }
}

/// `count` tickers with names of our own, of the kinds in turn.
pub fn some(count: usize, kinds: &[Kind]) -> Vec<Ticker> {
    let mut used = [0; 3];
    let names = kinds.iter().cycle().take(count).map(|kind| {
        let at = match kind {
            Kind::Stock | Kind::Weekdays(..) => &mut used[0],
            Kind::Crypto => &mut used[1],
            Kind::Future => &mut used[2],
        };
        *at += 1;
        name(*at - 1, *kind)
    });
    names.map(|name| Ticker::new(&name)).collect()
}

fn name(at: usize, kind: Kind) -> String {
    let letters = |at: usize| -> String {
        let digits = [at / 17_576 % 26, at / 676 % 26, at / 26 % 26, at % 26];
        digits.iter().map(|digit| char::from(b'A' + *digit as u8)).collect()
    };
    match kind {
        Kind::Stock | Kind::Weekdays(..) => {
            STOCKS.get(at).map_or_else(|| letters(at) + "Q", |&name| name.to_owned())
        }
        Kind::Crypto => PAIRS.get(at).map_or_else(|| letters(at) + "USDT", |&name| name.to_owned()),
        Kind::Future => {
            let root = ROOTS.get(at).map_or_else(|| letters(at) + "Z", |&name| name.to_owned());
            format!("{root}25")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_symbol_says_what_it_is() {
        for (symbol, kind) in [
            ("ACME", Kind::Stock),
            ("BTCUSDT", Kind::Crypto),
            ("ETH-USD", Kind::Crypto),
            ("BTC/USDT", Kind::Crypto),
            ("ESZ25", Kind::Future),
            ("F", Kind::Stock),
        ] {
            assert_eq!(Kind::of(symbol), kind, "{symbol}");
        }
    }

    #[test]
    fn names_are_different_and_of_their_kind() {
        let kinds = [Kind::Stock, Kind::Crypto, Kind::Future, Kind::Stock];
        let made = some(3_000, &kinds);
        assert!(made.iter().enumerate().all(|(at, ticker)| ticker.kind == kinds[at % 4]));
        let names: HashSet<&str> = made.iter().map(|ticker| ticker.symbol.as_str()).collect();
        assert_eq!(names.len(), 3_000);
    }
}
