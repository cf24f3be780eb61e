//! Which column of an unknown text is what: by its name where the values agree, else by the values
//! alone. High is never below the others, low never above, close is next to the open that follows.

use super::names::{is_ticker, says};
use super::profile::{Column, Part, Profile, TimeForm};
use crate::layout::normalise_interval;

/// Where a column of the dataset comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    One(usize),
    /// A day and a time of day.
    Join(usize, usize),
}

/// A column of the dataset, its source, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    pub column: &'static str,
    pub source: Source,
    pub why: String,
}

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Roles {
    pub roles: Vec<Role>,
    /// How the times are written.
    pub time: Option<String>,
    /// Whether they tell their zone.
    pub zoned: bool,
    /// The interval that most steps between times have.
    pub interval: Option<String>,
    /// What the rows are.
    pub dataset: &'static str,
    /// Names of columns that each hold the prices of one ticker.
    pub wide: Vec<String>,
    /// The ticker of the column that was taken among those.
    pub symbol: Option<String>,
    /// What a person should look at.
    pub doubts: Vec<String>,
}

impl Roles {
    /// The source of a column.
    pub fn source(&self, column: &str) -> Option<&Source> {
        self.roles.iter().find(|role| role.column == column).map(|role| &role.source)
    }

    fn is_free(&self, at: usize) -> bool {
        !self.roles.iter().any(|role| match role.source {
            Source::One(one) => one == at,
            Source::Join(one, two) => one == at || two == at,
        })
    }

    fn give(&mut self, column: &'static str, source: Source, why: impl Into<String>) {
        self.roles.push(Role { column, source, why: why.into() });
    }
}

/// Finds out what the columns are. With one ticker a column, that of `symbol` is taken.
pub(super) fn find(profile: &Profile, symbol: Option<&str>) -> Roles {
    let mut roles = Roles { dataset: "bars", ..Roles::default() };
    times(profile, &mut roles);
    if !trades(profile, &mut roles) {
        words(profile, &mut roles);
        if !wide(profile, &mut roles, symbol) {
            prices(profile, &mut roles);
            amounts(profile, &mut roles);
        }
    }
    roles
}

/// The free column whose name says `column` best, of those that may be it.
fn named(
    profile: &Profile,
    roles: &Roles,
    column: &str,
    may_be: impl Fn(&Column) -> bool,
) -> Option<usize> {
    let places = (0..profile.columns.len()).filter(|&at| roles.is_free(at));
    let said = places
        .map(|at| (at, says(&profile.columns[at].name, column)))
        .filter(|&(at, said)| said > 0 && may_be(&profile.columns[at]));
    said.min_by_key(|&(at, said)| (std::cmp::Reverse(said), at)).map(|(at, _)| at)
}

fn by_name(profile: &Profile, at: usize) -> String {
    format!("its name, {:?}", profile.columns[at].name)
}

/// A time in one column, or a day and a time of day in two.
fn times(profile: &Profile, roles: &mut Roles) {
    let has = |part: Part| {
        move |column: &Column| column.forms.first().is_some_and(|form| form.part == part)
    };
    let instant = |column: &Column| has(Part::Instant)(column) || has(Part::Day)(column);
    // Numbers that could be times are times only if no more of them could be something else.
    let plain = |column: &Column| instant(column) && !column.is_numeric();
    let first = |fits: &dyn Fn(&Column) -> bool| profile.columns.iter().position(fits);
    let found =
        named(profile, roles, "ts", instant).or_else(|| first(&plain)).or_else(|| first(&instant));
    let Some(at) = found else {
        roles.doubts.push("no column holds times in a form that is known".to_owned());
        return;
    };
    let column = &profile.columns[at];
    let only_days = column.forms.iter().any(|form| form.part == Part::Day);
    let clock = only_days.then(|| clock_beside(profile, at)).flatten();
    if let Some(clock) = clock {
        let day = column.forms.iter().find(|form| form.part == Part::Day);
        let time = profile.columns[clock].forms.iter().find(|form| form.part == Part::Clock);
        if let (Some(day), Some(time)) = (day, time) {
            roles.time = Some(format!("{} {}", day.text, time.text));
            roles.interval = time.usual_step().and_then(interval_of);
            roles.give("ts", Source::Join(at, clock), "a day and a time of day, in two columns");
            return;
        }
    }
    let Some(form) = column.forms.first() else { return };
    if column.forms.len() > 1 && column.forms[1].failed == form.failed {
        let other = &column.forms[1];
        let swapped = other.text.replace("%d", "%x").replace("%m", "%d").replace("%x", "%m");
        if swapped == form.text {
            let turns = |form: &TimeForm| form.backwards.min(form.forwards);
            let even = turns(form) == turns(other) && form.travel_us == other.travel_us;
            let why = match even {
                true => "though nothing in the file tells: check it",
                false => "in which time goes more steadily",
            };
            roles.doubts.push(format!(
                "{:?} may also be written {}: {} was taken, {why}",
                column.name, other.text, form.text
            ));
        }
    }
    roles.time = Some(form.text.clone());
    roles.zoned = form.zoned || tells_zone(&column.example);
    roles.interval = form.usual_step().and_then(interval_of);
    let why = format!("times written {}, such as {:?}", form.text, column.example);
    roles.give("ts", Source::One(at), why);
}

/// A column of times of day: by its name, else next to the days.
fn clock_beside(profile: &Profile, day: usize) -> Option<usize> {
    let is_clock = |at: usize| {
        let column = profile.columns.get(at);
        at != day && column.is_some_and(|c| c.forms.iter().any(|f| f.part == Part::Clock))
    };
    let by_name = (0..profile.columns.len())
        .find(|&at| is_clock(at) && says(&profile.columns[at].name, "ts") > 0);
    let colons = |at: usize| profile.columns[at].example.contains(':');
    by_name.or_else(|| Some(day + 1).filter(|&at| is_clock(at) && colons(at)))
}

/// Whether a time ends with an offset from UTC.
fn tells_zone(example: &str) -> bool {
    let Some((_, clock)) = example.split_once(':') else { return false };
    clock.ends_with(['Z', 'z']) || clock.contains(['+', '-'])
}

/// A step in microseconds as an interval.
pub(super) fn interval_of(step_us: i64) -> Option<String> {
    let seconds = step_us / 1_000_000;
    if seconds <= 0 || step_us % 1_000_000 != 0 {
        return None;
    }
    let text = match seconds {
        s if (28 * 86_400..=31 * 86_400).contains(&s) => "1mo".to_owned(),
        s if s % (7 * 86_400) == 0 => format!("{}w", s / (7 * 86_400)),
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    };
    normalise_interval(&text)
}

/// Tickers and intervals.
fn words(profile: &Profile, roles: &mut Roles) {
    let intervals = |column: &Column| {
        let all = column.words.keys().all(|word| normalise_interval(word).is_some());
        !column.many_words && !column.words.is_empty() && all
    };
    let free = |roles: &Roles, at: usize| roles.is_free(at);
    let places = 0..profile.columns.len();
    let interval = named(profile, roles, "interval", intervals)
        .or_else(|| places.clone().find(|&at| free(roles, at) && intervals(&profile.columns[at])));
    if let Some(at) = interval {
        roles.give("interval", Source::One(at), "its values, which are intervals");
    }
    let wordy = |column: &Column| !column.is_numeric() && column.filled() == column.rows;
    // Codes of shares in Asia are numbers: a name that says nothing else is believed.
    let code = |column: &Column| {
        let whole = column.filled() == column.rows && column.whole == column.numbers;
        whole && says(&column.name, "symbol") == 100
    };
    let symbol = named(profile, roles, "symbol", |column| wordy(column) || code(column));
    if let Some(at) = symbol {
        roles.give("symbol", Source::One(at), by_name(profile, at));
        return;
    }
    let ticker = |column: &Column| {
        let short = |word: &String| {
            word.len() <= 20 && !word.contains(' ') && word.chars().any(char::is_uppercase)
        };
        wordy(column) && !column.many_words && column.words.keys().all(short)
    };
    let mut places = places;
    if let Some(at) = places.find(|&at| free(roles, at) && ticker(&profile.columns[at])) {
        roles.give("symbol", Source::One(at), "its values, which look like tickers");
    }
}

/// Trades: a time, a price and a size, by their names, and a side or an id beside them.
fn trades(profile: &Profile, roles: &mut Roles) -> bool {
    let column = |at: Option<usize>| at.map(|at| &profile.columns[at]);
    let positive = |column: &Column| column.is_numeric() && column.least >= 0.0;
    let bar = |name| named(profile, roles, name, Column::is_numeric).is_some();
    if roles.source("ts").is_none() || bar("high") || bar("low") || bar("open") {
        return false;
    }
    let price = named(profile, roles, "price", Column::is_numeric);
    let size = named(profile, roles, "size", positive);
    let side = named(profile, roles, "side", is_side);
    let side = side.or_else(|| profile.columns.iter().position(is_side));
    let id = named(profile, roles, "trade_id", |column| column.many_words || column.rows < 64);
    let (Some(price), Some(size)) = (price, size) else { return false };
    if price == size || column(side).is_none() && column(id).is_none() {
        return false;
    }
    roles.dataset = "market_trades";
    roles.interval = None;
    let found = [("trade_id", id), ("price", Some(price)), ("size", Some(size))];
    for (column, at) in found.into_iter().filter_map(|(column, at)| Some((column, at?))) {
        roles.give(column, Source::One(at), by_name(profile, at));
    }
    if let Some(at) = side {
        roles.give("side", Source::One(at), "its values, which are sides of trades");
        roles.doubts.push("whether the side is the taker's: turn it round if not".to_owned());
    }
    if let Some(at) = named(profile, roles, "symbol", |column| !column.is_numeric()) {
        roles.give("symbol", Source::One(at), by_name(profile, at));
    }
    true
}

/// Whether a column says who traded.
fn is_side(column: &Column) -> bool {
    const SIDES: [&str; 8] = ["b", "s", "buy", "sell", "bid", "ask", "unknown", "n"];
    let side = |word: &String| SIDES.contains(&word.to_lowercase().as_str());
    !column.many_words && column.words.len() >= 2 && column.words.keys().all(side)
}

/// One ticker a column: nothing but columns of prices that are called like tickers.
fn wide(profile: &Profile, roles: &mut Roles, symbol: Option<&str>) -> bool {
    let ticker = |at: &usize| {
        let column = &profile.columns[*at];
        roles.is_free(*at) && column.is_numeric() && is_ticker(&column.name)
    };
    let tickers: Vec<usize> = (0..profile.columns.len()).filter(ticker).collect();
    let others = (0..profile.columns.len())
        .filter(|at| roles.is_free(*at) && profile.columns[*at].is_numeric())
        .count();
    if tickers.len() < 2 || tickers.len() < others || roles.source("symbol").is_some() {
        return false;
    }
    roles.wide = tickers.iter().map(|&at| profile.columns[at].name.clone()).collect();
    let taken = tickers.iter().find(|&&at| Some(profile.columns[at].name.as_str()) == symbol);
    if let Some(&at) = taken {
        roles.symbol = symbol.map(str::to_owned);
        roles.give("close", Source::One(at), "the column that is called as --symbol says");
    }
    true
}

/// Whether column `one` is hardly ever below column `two`.
fn never_below(profile: &Profile, one: usize, two: usize) -> bool {
    let pair = profile.pair(one, two);
    pair.rows > 0 && pair.below * 50 <= pair.rows
}

fn is_near(profile: &Profile, one: usize, two: usize) -> bool {
    let pair = profile.pair(one, two);
    pair.rows > 0 && pair.near * 10 >= pair.rows * 9
}

const PRICES: [&str; 4] = ["open", "high", "low", "close"];

/// Open, high, low and close.
fn prices(profile: &Profile, roles: &mut Roles) {
    let mut said = [None; 4];
    for (place, column) in said.iter_mut().zip(PRICES) {
        // One column is one price, whatever other prices its name would do for.
        *place = named(profile, roles, column, Column::is_numeric);
    }
    let distinct = (0..4).all(|a| (0..a).all(|b| said[a].is_none() || said[a] != said[b]));
    if let [Some(open), Some(high), Some(low), Some(close)] = said
        && distinct
        && bounds(profile, high, low, &[open, close])
    {
        for (column, at) in PRICES.into_iter().zip([open, high, low, close]) {
            roles.give(column, Source::One(at), by_name(profile, at));
        }
        return;
    }
    if let Some(found) = by_values(profile, roles, said) {
        if said.iter().zip(&found).any(|(said, found)| said.is_some_and(|said| said != *found)) {
            roles.doubts.push(
                "the names of the prices and their values disagree: the values were believed"
                    .to_owned(),
            );
        }
        for (column, at) in PRICES.into_iter().zip(found) {
            let why = match column {
                "high" => "the price that is never below the others",
                "low" => "the price that is never above the others",
                "close" => {
                    "the price next to the open of the bar after it, or the one behind the open"
                }
                _ => "the price that is left",
            };
            roles.give(column, Source::One(at), why);
        }
        return;
    }
    close_alone(profile, roles, said);
}

/// Whether `high` and `low` bound each other and all of these.
fn bounds(profile: &Profile, high: usize, low: usize, others: &[usize]) -> bool {
    never_below(profile, high, low)
        && others.iter().all(|&at| never_below(profile, high, at) && never_below(profile, at, low))
}

/// The four prices among columns that stay near each other. Names that were `said` break ties.
fn by_values(profile: &Profile, roles: &Roles, said: [Option<usize>; 4]) -> Option<[usize; 4]> {
    let numbers: Vec<usize> = (0..profile.columns.len())
        .filter(|&at| roles.is_free(at) && profile.columns[at].is_numeric())
        .filter(|&at| profile.columns[at].least > 0.0)
        .collect();
    for &anchor in &numbers {
        let near: Vec<usize> = numbers
            .iter()
            .copied()
            .filter(|&at| at == anchor || is_near(profile, anchor, at))
            .collect();
        if near.len() < 4 {
            continue;
        }
        let others = |at: usize| near.iter().copied().filter(move |&other| other != at);
        let mut highs =
            near.iter().copied().filter(|&at| others(at).all(|o| never_below(profile, at, o)));
        let mut lows =
            near.iter().copied().filter(|&at| others(at).all(|o| never_below(profile, o, at)));
        let (Some(high), Some(low)) = (highs.next(), lows.next_back()) else { continue };
        let inner: Vec<usize> =
            near.iter().copied().filter(|&at| at != high && at != low).collect();
        // A name is believed where the values do not say otherwise.
        let said = |column: usize| said[column].filter(|at| inner.contains(at));
        let only = |at: Option<usize>| at.map_or_else(|| inner.clone(), |at| vec![at]);
        let (opens, closes) = (only(said(0)), only(said(3)));
        let Some((open, close)) = open_and_close(profile, (&opens, &closes), order(profile, roles))
        else {
            continue;
        };
        return Some([open, high, low, close]);
    }
    None
}

/// Which of these columns are open and close: a bar opens near where the one before it closed.
/// Where the bars have no order, those that stand first.
fn open_and_close(
    profile: &Profile,
    (opens, closes): (&[usize], &[usize]),
    order: Option<Order>,
) -> Option<(usize, usize)> {
    let pairs = opens.iter().flat_map(|&open| closes.iter().map(move |&close| (open, close)));
    let mut pairs = pairs.filter(|(open, close)| open != close);
    let leap = |&(open, close): &(usize, usize)| match order {
        Some(Order::NewestFirst) => profile.pair(open, close).leap,
        _ => profile.pair(close, open).leap,
    };
    match order {
        Some(_) => pairs.min_by(|one, two| leap(one).total_cmp(&leap(two))),
        None => pairs.next(),
    }
}

#[derive(Debug, Clone, Copy)]
enum Order {
    OldestFirst,
    NewestFirst,
}

/// In which order the bars of the one series stand. `None`: there are several, or nothing tells.
fn order(profile: &Profile, roles: &Roles) -> Option<Order> {
    let (Source::One(at) | Source::Join(at, _)) = *roles.source("ts")?;
    let form = profile.columns.get(at)?.forms.first()?;
    if roles.source("symbol").is_some() {
        return None;
    }
    match form.forwards.cmp(&form.backwards) {
        std::cmp::Ordering::Greater => Some(Order::OldestFirst),
        std::cmp::Ordering::Less => Some(Order::NewestFirst),
        std::cmp::Ordering::Equal => None,
    }
}

/// A series of one price.
fn close_alone(profile: &Profile, roles: &mut Roles, said: [Option<usize>; 4]) {
    let number = |at: usize| roles.is_free(at) && profile.columns[at].is_numeric();
    let found = said[3].or_else(|| (0..profile.columns.len()).find(|&at| number(at)));
    match found {
        Some(at) => {
            let why = match said[3] {
                Some(_) => by_name(profile, at),
                None => "the first column of numbers".to_owned(),
            };
            roles.give("close", Source::One(at), why);
            roles.doubts.push("there are no open, high and low: only a close is loaded".to_owned());
        }
        None => roles.doubts.push("no column holds prices".to_owned()),
    }
}

/// Volume, quote volume and trades.
fn amounts(profile: &Profile, roles: &mut Roles) {
    let amount = |column: &Column| column.is_numeric() && column.least >= 0.0;
    let count = |column: &Column| amount(column) && column.whole == column.numbers;
    if let Some(at) = named(profile, roles, "quote_volume", amount) {
        roles.give("quote_volume", Source::One(at), by_name(profile, at));
    }
    if let Some(at) = named(profile, roles, "volume", amount) {
        roles.give("volume", Source::One(at), by_name(profile, at));
    }
    if let Some(at) = named(profile, roles, "trade_count", count) {
        roles.give("trade_count", Source::One(at), by_name(profile, at));
    }
    if roles.source("volume").is_some() || roles.source("high").is_none() {
        return;
    }
    let Some(Source::One(high)) = roles.source("high").cloned() else { return };
    let mut left = (0..profile.columns.len()).filter(|&at| {
        let column = &profile.columns[at];
        let constant = column.least == column.most;
        let distant = !is_near(profile, high, at);
        roles.is_free(at) && amount(column) && !constant && distant && !is_time(column)
    });
    if let (Some(at), None) = (left.next(), left.next()) {
        roles.give("volume", Source::One(at), "the only amounts that are left");
        let name = &profile.columns[at].name;
        roles.doubts.push(format!("{name:?} was taken for the volume: nothing else could be it"));
    }
}

fn is_time(column: &Column) -> bool {
    column.forms.first().is_some_and(|form| form.part != Part::Clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_intervals() {
        let us = |seconds: i64| interval_of(seconds * 1_000_000);
        assert_eq!(us(60).as_deref(), Some("1m"));
        assert_eq!(us(14_400).as_deref(), Some("4h"));
        assert_eq!(us(86_400).as_deref(), Some("1d"));
        assert_eq!(us(7 * 86_400).as_deref(), Some("1w"));
        assert_eq!(us(31 * 86_400).as_deref(), Some("1mo"));
        assert_eq!(us(0), None);
        assert_eq!(interval_of(1_500_000), None);
    }
}
