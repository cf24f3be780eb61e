//! Orders of a trade engine and the trades that fill them. They are made in groups of 20 orders of
//! one symbol, which are filled against each other in 100 trades: so any group can be made without
//! the others, and what a trade says of its orders is what they say of themselves.

use std::ops::Range;

use super::market::days::{Bar, DAY_US, MINUTE_US, Path};
use super::market::ticker::{Kind, PLACES, Ticker, UNITS};
use super::random::{Random, mixed, split};
use super::records::{NONE, Records};
use super::{GenerateError, Names, ROWS_DEFAULT, Spec, Units, even};
use crate::dataset::Dataset;

/// Orders of a group: half of them buy.
const ORDERS: usize = 20;
/// Trades of a group.
const TRADES: usize = 100;
/// Orders of a side that are filled; the others wait, or end without a trade.
const FILLED: usize = 8;
/// From one group to the next, where no end of the range is given.
const EVERY_US: i64 = MINUTE_US;
/// Users of the engine.
const USERS: u64 = 20_000;

const SYMBOLS: [&str; 8] = [
    "BTC/USDT",
    "ETH/USDT",
    "SOL/USDT",
    "ADA/USDT",
    "XRP/USDT",
    "DOT/USDT",
    "AVAX/USDT",
    "LTC/USDT",
];
const STATUSES: [&str; 7] =
    ["PENDING", "OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELLED", "REJECTED", "EXPIRED"];
const TYPES: [&str; 4] = ["LIMIT", "MARKET", "STOP", "STOP_LIMIT"];
const IN_FORCE: [&str; 5] = ["GTC", "IOC", "FOK", "DAY", "GTD"];

/// Either dataset.
#[derive(Debug)]
struct Groups {
    dataset: &'static Dataset,
    seed: u64,
    /// A number of the command's range and symbols: orders of different commands have different
    /// ids, unless they are the same orders.
    space: u64,
    symbols: Vec<Symbol>,
    from_us: i64,
    /// The time that the groups share out, and how many they are; none: one each minute.
    shared: Option<(i64, u64)>,
    rows: u64,
}

/// A symbol and its days.
#[derive(Debug)]
struct Symbol {
    ticker: Ticker,
    first_day: i64,
    days: Vec<Bar>,
}

pub(super) fn units(spec: &Spec) -> Result<(Box<dyn Units>, u64), GenerateError> {
    let each = per_group(spec.dataset);
    let rows = spec.rows.unwrap_or(match spec.dataset.name {
        // As many as the orders that are made by default have.
        "trades" => ROWS_DEFAULT * (TRADES / ORDERS) as u64,
        _ => ROWS_DEFAULT,
    });
    let groups = rows.div_ceil(each);
    let names: Vec<String> = match &spec.names {
        Names::Listed(names) => names.clone(),
        Names::Count(count) => names(*count),
        Names::Enough => names(SYMBOLS.len()),
    };
    if names.is_empty() {
        return Err(GenerateError::Impossible("--tickers names none".to_owned()));
    }
    let shared = spec.to_us.map(|to_us| (to_us - spec.from_us, groups));
    if shared.is_some_and(|(time, groups)| time / (groups as i64) < 1_000) {
        return Err(GenerateError::Impossible(
            "the range is too short for so many records: 20 orders take a millisecond".to_owned(),
        ));
    }
    let space = mixed(&[spec.seed, spec.from_us as u64, shared.map_or(0, |(time, _)| time as u64)]);
    let mut made = Groups {
        dataset: spec.dataset,
        seed: spec.seed,
        space,
        symbols: Vec::new(),
        from_us: spec.from_us,
        shared,
        rows,
    };
    let last_us = made.start_us(groups);
    for name in names {
        made.symbols.push(Symbol::new(spec.seed, &name, spec.from_us, last_us));
    }
    Ok((Box::new(made), rows))
}

fn per_group(dataset: &Dataset) -> u64 {
    (if dataset.name == "orders" { ORDERS } else { TRADES }) as u64
}

fn names(count: usize) -> Vec<String> {
    let more = (SYMBOLS.len()..).map(|at| format!("TG{at}/USDT"));
    SYMBOLS.iter().map(|&name| name.to_owned()).chain(more).take(count).collect()
}

impl Symbol {
    fn new(seed: u64, name: &str, from_us: i64, to_us: i64) -> Self {
        // Whatever it is called, the engine trades it around the clock.
        let ticker = Ticker { kind: Kind::Crypto, ..Ticker::new(name) };
        let mut path = Path::new(&ticker);
        let first_day = from_us.div_euclid(DAY_US);
        for number in 0..first_day {
            path.step(seed, &ticker, number);
        }
        let days = (first_day..=to_us.div_euclid(DAY_US))
            .map(|number| path.step(seed, &ticker, number))
            .collect();
        Self { ticker, first_day, days }
    }

    /// About what it costs at a time, in ticks.
    fn price(&self, us: i64, noise: f64) -> i64 {
        let at = (us.div_euclid(DAY_US) - self.first_day).clamp(0, self.days.len() as i64 - 1);
        let bar = &self.days[at as usize];
        let point = us.rem_euclid(DAY_US) as f64 / DAY_US as f64;
        let line = bar.open as f64 + (bar.close - bar.open) as f64 * point;
        let wide = (bar.high - bar.low) as f64 * 0.15 * noise;
        ((line + wide) as i64).clamp(bar.low, bar.high)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Order {
    buys: bool,
    kind: usize,
    status: usize,
    in_force: usize,
    /// In ticks; none for market orders.
    price: Option<i64>,
    stop: Option<i64>,
    /// Lots.
    quantity: i64,
    filled: i64,
    created_us: i64,
    updated_us: i64,
    user: u64,
    /// The least and the most that it traded at.
    traded: Option<(i64, i64)>,
}

#[derive(Debug, Clone, Copy)]
struct Trade {
    buyer: usize,
    seller: usize,
    price: i64,
    lots: i64,
    executed_us: i64,
}

/// A group of orders and their trades.
struct Group {
    symbol: usize,
    orders: Vec<Order>,
    trades: Vec<Trade>,
}

impl Groups {
    fn start_us(&self, group: u64) -> i64 {
        match self.shared {
            None => self.from_us + group as i64 * EVERY_US,
            Some((time, groups)) => {
                self.from_us + (i128::from(time) * i128::from(group) / i128::from(groups)) as i64
            }
        }
    }

    fn group(&self, number: u64) -> Group {
        let mut random = Random::of(&[self.seed, 6, number]);
        // The first symbols trade more than the last.
        let skew = random.unit();
        let symbol = ((skew * skew * self.symbols.len() as f64) as usize) % self.symbols.len();
        let of = &self.symbols[symbol];
        let (start, end) = (self.start_us(number), self.start_us(number + 1));
        let middle = of.price(start, random.normal());
        let wide = (middle / 2_000).max(2);
        let first = start + (end - start) / 4;
        let mut orders = self.placed(&mut random, (start, first));
        let mut trades = Vec::with_capacity(TRADES);
        let weights: Vec<f64> = (0..TRADES).map(|_| 1.0 / (random.unit() + 0.02)).collect();
        let mut lots = Vec::new();
        let usual = (of.ticker.volume / of.ticker.trades).max(2.0);
        split((usual * TRADES as f64) as i64, 1, &weights, &mut lots);
        for (at, lots) in lots.into_iter().enumerate() {
            let skewed = |random: &mut Random| {
                let unit = random.unit();
                (unit * unit * FILLED as f64) as usize
            };
            let (buyer, seller) = (skewed(&mut random), ORDERS / 2 + skewed(&mut random));
            let step = (random.normal() * wide as f64) as i64;
            let price = (middle + step).max(1);
            let executed_us =
                first + ((at as f64 + random.unit()) / TRADES as f64 * (end - first) as f64) as i64;
            for party in [buyer, seller] {
                let order = &mut orders[party];
                order.filled += lots;
                order.updated_us = executed_us;
                let (least, most) = order.traded.unwrap_or((price, price));
                order.traded = Some((least.min(price), most.max(price)));
            }
            trades.push(Trade { buyer, seller, price, lots, executed_us });
        }
        for order in &mut orders {
            settle(order, &mut random, (middle, wide, usual), end);
        }
        Group { symbol, orders, trades }
    }

    /// Orders as they are placed, in the order of time: first those that buy, then those that sell,
    /// one of each in turn.
    fn placed(&self, random: &mut Random, (start, end): (i64, i64)) -> Vec<Order> {
        let step = (end - start) as f64 / ORDERS as f64;
        let mut orders = vec![Order::default(); ORDERS];
        for (at, order) in orders.iter_mut().enumerate() {
            let side = at / (ORDERS / 2);
            let place = (at % (ORDERS / 2)) * 2 + side;
            order.buys = side == 0;
            order.created_us = start + ((place as f64 + random.unit()) * step) as i64;
            order.updated_us = order.created_us;
            // A few trade most.
            let unit = random.unit();
            order.user = (unit * unit * unit * USERS as f64) as u64;
        }
        orders
    }
}

/// Says how an order ended, once its trades are known.
fn settle(
    order: &mut Order,
    random: &mut Random,
    (middle, wide, usual): (i64, i64, f64),
    end: i64,
) {
    order.in_force = [0, 0, 0, 1, 3, 4][random.below(6) as usize];
    let away = (random.unit() * 3.0 * wide as f64) as i64;
    let Some((least, most)) = order.traded else {
        order.quantity = 1 + (usual * random.between(0.5, 20.0)) as i64;
        order.status = [0, 1, 1, 1, 4, 4, 4, 5, 6, 6][random.below(10) as usize];
        let stops = random.chance(0.2);
        order.kind = if stops { 2 + random.below(2) as usize } else { 0 };
        let far = wide * 3 + away;
        // Stops wait on the other side of the market.
        let below = order.buys != stops;
        let price = (if below { middle - far } else { middle + far }).max(1);
        order.price = (order.kind != 2).then_some(price);
        order.stop = stops.then_some(price);
        if order.status >= 4 {
            let waited = ((end - order.created_us) as f64 * random.unit()) as i64;
            order.updated_us = order.created_us + waited;
        }
        return;
    };
    order.kind = usize::from(random.chance(0.15));
    let price = if order.buys { most + away } else { (least - away).max(1) };
    order.price = (order.kind == 0).then_some(price);
    let whole = order.kind == 1 || random.chance(0.8);
    order.quantity = order.filled;
    order.status = 3;
    if !whole {
        order.quantity += 1 + (order.filled as f64 * random.unit()) as i64;
        order.status = if random.chance(0.5) { 2 } else { 4 };
        if order.status == 4 {
            let left = (end - order.updated_us) as f64;
            order.updated_us += (left * random.unit()) as i64;
        }
    }
    if order.kind == 1 {
        order.in_force = 1;
    }
}

impl Groups {
    fn push_order(&self, number: u64, group: &Group, at: usize, into: &mut Records) {
        let columns = into.columns.as_mut_slice();
        let [id, client, user, symbol, side, kind, status, price, stop, quantity, rest @ ..] =
            columns
        else {
            return;
        };
        let [filled, in_force, created, updated] = rest else { return };
        let (order, ticker) = (&group.orders[at], &self.symbols[group.symbol].ticker);
        id.push_text(|text| self.order_id(number, at, text));
        client.push_text(|text| {
            if at % 4 != 3 {
                Random::uuid(self.space ^ 7, number * ORDERS as u64 + at as u64, text);
            }
        });
        user.push_text(|text| user_id(order.user, text));
        symbol.push_word(group.symbol);
        side.push_word(usize::from(!order.buys));
        kind.push_word(order.kind);
        status.push_word(order.status);
        price.push(order.price.map_or(NONE, |price| price * ticker.tick));
        stop.push(order.stop.map_or(NONE, |price| price * ticker.tick));
        quantity.push(order.quantity * ticker.lot);
        filled.push(order.filled * ticker.lot);
        in_force.push_word(order.in_force);
        created.push(order.created_us);
        updated.push(order.updated_us);
    }

    fn push_trade(&self, number: u64, group: &Group, at: usize, into: &mut Records) {
        let columns = into.columns.as_mut_slice();
        let [id, symbol, buyer, seller, buy_order, sell_order, price, quantity, rest @ ..] =
            columns
        else {
            return;
        };
        let [maker, buyer_fee, seller_fee, executed] = rest else { return };
        let (trade, ticker) = (&group.trades[at], &self.symbols[group.symbol].ticker);
        let (buys, sells) = (&group.orders[trade.buyer], &group.orders[trade.seller]);
        id.push_text(|text| {
            Random::uuid(self.space ^ 8, number * TRADES as u64 + at as u64, text);
        });
        symbol.push_word(group.symbol);
        buyer.push_text(|text| user_id(buys.user, text));
        seller.push_text(|text| user_id(sells.user, text));
        buy_order.push_text(|text| self.order_id(number, trade.buyer, text));
        sell_order.push_text(|text| self.order_id(number, trade.seller, text));
        price.push(trade.price * ticker.tick);
        quantity.push(trade.lots * ticker.lot);
        let buyer_was_first = buys.created_us < sells.created_us;
        maker.push(i64::from(buyer_was_first));
        // Makers pay 0.1 percent, takers 0.2.
        let worth = i128::from(trade.price * ticker.tick) * i128::from(trade.lots * ticker.lot)
            / i128::from(UNITS);
        let fee = |is_maker: bool| (worth * if is_maker { 1 } else { 2 } / 1_000) as i64;
        buyer_fee.push(fee(buyer_was_first));
        seller_fee.push(fee(!buyer_was_first));
        executed.push(trade.executed_us);
    }

    fn order_id(&self, group: u64, at: usize, into: &mut String) {
        Random::uuid(self.space, group * ORDERS as u64 + at as u64, into);
    }
}

fn user_id(user: u64, into: &mut String) {
    use std::fmt::Write;
    let _ = write!(into, "user-{user:05}");
}

impl Units for Groups {
    fn total(&self) -> u64 {
        self.rows
    }

    fn records(&self) -> Records {
        let symbols = self.symbols.iter().map(|symbol| symbol.ticker.symbol.clone());
        let names =
            ["price", "stop_price", "quantity", "filled_quantity", "buyer_fee", "seller_fee"];
        let records = Records::new(self.dataset, &names.map(|name| (name, PLACES)))
            .with_words("symbol", symbols);
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        records
            .with_words("side", words(&["BUY", "SELL"]))
            .with_words("order_type", words(&TYPES))
            .with_words("status", words(&STATUSES))
            .with_words("time_in_force", words(&IN_FORCE))
    }

    fn unit_of(&self, row: u64) -> (usize, u64) {
        even(row, per_group(self.dataset))
    }

    fn rows_of(&self, _: usize) -> u64 {
        per_group(self.dataset)
    }

    fn make(&self, unit: usize, rows: Range<u64>, into: &mut Records) {
        let number = unit as u64;
        let group = self.group(number);
        for row in rows {
            match self.dataset.name {
                "orders" => {
                    // Rows are in the order of time: one that buys, one that sells, in turn.
                    let at = (row as usize % 2) * (ORDERS / 2) + row as usize / 2;
                    self.push_order(number, &group, at, into);
                }
                _ => self.push_trade(number, &group, row as usize, into),
            }
        }
    }
}
