//! The contracts of a day, and what they are worth.

use super::super::market::days::{DAY_US, Day, Sessions};
use super::super::market::ticker::{Kind, Ticker, UNITS};
use super::super::math::{exp, ln, normal_below, normal_density, round};
use super::super::random::{Random, mixed};
use super::expires_us;

/// Strikes of an expiry.
pub const STRIKES: usize = 63;
/// Expiries at a time: the Fridays of this week and the next.
pub const EXPIRIES: usize = 2;
/// Days for which a contract is traded.
const LIFE: f64 = 14.0;
/// Interest a year.
const RATE: f64 = 0.03;
const YEAR_US: f64 = 365.25 * DAY_US as f64;
/// Distances between strikes.
const STEPS: [f64; 9] = [0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0];

/// A strike of an expiry.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Days from 1970.
    pub expiry: i64,
    /// Units of 10^-8.
    pub strike: i64,
    /// As a number, and its logarithm.
    price: f64,
    log: f64,
    /// Volatility of the day, before the price moves.
    volatility: f64,
    /// Contracts that call and put trade in a day.
    pub usual: [i64; 2],
    /// Open interest of call and put at the start and at the end of the day.
    interest: [[i64; 2]; 2],
}

impl Contract {
    /// Open interest at a point of the session, from 0 to 1.
    pub fn interest_at(&self, side: usize, point: f64) -> i64 {
        let [start, end] = self.interest[side];
        start + ((end - start) as f64 * point) as i64
    }
}

/// What a contract is worth, and how that changes.
#[derive(Debug, Clone, Copy)]
pub struct Greeks {
    pub value: f64,
    pub iv: f64,
    pub delta: f64,
    pub gamma: f64,
    /// A day.
    pub theta: f64,
    /// For one point of volatility.
    pub vega: f64,
}

/// All contracts of an underlying's day.
#[derive(Debug)]
pub struct Chain {
    /// By expiry, then strike.
    pub contracts: Vec<Contract>,
    open: f64,
}

impl Chain {
    pub fn new(seed: u64, ticker: &Ticker, day: &Day) -> Self {
        let mut sessions = Sessions::default();
        let open = (day.bar.open * ticker.tick) as f64 * 1e-8;
        let step = STEPS.iter().rev().find(|step| **step <= open * 0.01).unwrap_or(&STEPS[0]);
        let middle = round(open / step).max(STRIKES as i64 / 2 + 1);
        let mut random = Random::of(&[seed, 17, ticker.key, day.number as u64]);
        // Of a year of 252 days.
        let usual = ticker.volatility * 15.874_507_866 * random.between(0.9, 1.2);
        let mut contracts = Vec::with_capacity(STRIKES * EXPIRIES);
        for week in 0..EXPIRIES as i64 {
            let weekday = (day.number + 3).rem_euclid(7);
            let mut expiry = day.number + (4 - weekday).rem_euclid(7) + 7 * week;
            while !sessions.is_open(Kind::Stock, expiry) {
                expiry -= 1;
            }
            let years = (expires_us(expiry) - day.start_us) as f64 / YEAR_US;
            for at in 0..STRIKES as i64 {
                let price = (middle + at - STRIKES as i64 / 2) as f64 * step;
                let log = ln(price);
                let away = (log - ln(open)) / (usual * years.sqrt());
                // Puts far below cost more than calls far above: a smile that is a smirk.
                let smile =
                    1.0 - 0.03 * away + 0.015 * away.clamp(-6.0, 6.0) * away.clamp(-6.0, 6.0);
                let strike = round(price * UNITS as f64);
                let interest = [0, 1].map(|side| {
                    let key = [seed, 18, ticker.key, expiry as u64, strike as u64, side];
                    [day.number - 1, day.number]
                        .map(|number| interest(&key, (expiry, number), (price, open)))
                });
                contracts.push(Contract {
                    expiry,
                    strike,
                    price,
                    log,
                    volatility: usual * smile.clamp(0.6, 2.5),
                    usual: interest.map(|[_, end]| end / 4),
                    interest,
                });
            }
        }
        Self { contracts, open }
    }

    fn values(&self, contract: &Contract, price: f64, us: i64) -> [Greeks; 2] {
        let years = (expires_us(contract.expiry) - us).max(1_000_000) as f64 / YEAR_US;
        let root = years.sqrt();
        // Volatility rises while prices fall.
        let moved = ((price - self.open) / self.open).clamp(-0.2, 0.2);
        let iv = contract.volatility * (1.0 - 1.5 * moved);
        let deviation = iv * root;
        let first = (ln(price) - contract.log + (RATE + iv * iv * 0.5) * years) / deviation;
        let second = first - deviation;
        let discounted = contract.price * exp(-RATE * years);
        let (below, density) = (normal_below(first), normal_density(first));
        let likely = normal_below(second);
        let decay = -price * density * iv / (2.0 * root);
        let call = Greeks {
            value: price * below - discounted * likely,
            iv,
            delta: below,
            gamma: density / (price * deviation),
            theta: (decay - RATE * discounted * likely) / 365.25,
            vega: price * density * root * 0.01,
        };
        let put = Greeks {
            value: call.value - price + discounted,
            delta: below - 1.0,
            theta: (decay + RATE * discounted * (1.0 - likely)) / 365.25,
            ..call
        };
        [call, put]
    }

    /// Call and put at a price of the underlying and a time.
    pub fn greeks(&self, contract: &Contract, price: f64, us: i64) -> [Greeks; 2] {
        self.values(contract, price, us)
    }

    /// What call and put cost, in cents: at least one, and their difference is that of the price
    /// and the discounted strike, rounded.
    pub fn cents(&self, contract: &Contract, price: f64, us: i64) -> [i64; 2] {
        let [call, put] = self.values(contract, price, us);
        let apart = round((call.value - put.value) * 100.0);
        let cheaper = round(call.value.min(put.value) * 100.0).max(1);
        if apart >= 0 { [cheaper + apart, cheaper] } else { [cheaper, cheaper - apart] }
    }
}

/// Open interest of one side of a strike at the end of a day: it grows while the contract lives,
/// most near the price, and a little up and down from day to day.
fn interest(key: &[u64; 6], (expiry, day): (i64, i64), (strike, price): (f64, f64)) -> i64 {
    let lived = (1.0 - (expiry - day) as f64 / LIFE).clamp(0.0, 1.0);
    let away = (strike - price) / price * 12.0;
    let size = 300.0 + 9_000.0 / (1.0 + away * away);
    let own = 0.5 + (mixed(key) >> 11) as f64 / (1u64 << 53) as f64;
    let mut random = Random::of(&[mixed(key), day as u64]);
    round(size * own * lived * (1.0 + 0.04 * random.normal())).max(0)
}
