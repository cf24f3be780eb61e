//! Prices: tickers, their days, minutes and ticks, from the top down. A day's bar is a step of a
//! random walk; its minutes are a path from its open to its close that touches its high and low;
//! the ticks of a minute begin at its open, touch high and low, and end at its close. So ticks add
//! up to minutes and minutes to days, and each can be made without the others.

pub(super) mod bars;
pub(super) mod days;
pub(super) mod minutes;
mod predictions;
pub(super) mod ticker;
mod ticks;

use std::ops::Range;

use super::{GenerateError, Names, ROWS_DEFAULT, Spec, TIMES_US, Units};
use days::{Day, Path, Sessions};
use ticker::Ticker;

/// Days of tickers, in the order (day, ticker), each with its place among all rows.
#[derive(Debug)]
pub(super) struct TickerDays {
    pub seed: u64,
    pub tickers: Vec<Ticker>,
    pub days: Vec<TickerDay>,
    pub rows: u64,
}

/// A day of a ticker.
#[derive(Debug, Clone)]
pub(super) struct TickerDay {
    /// Position of the ticker.
    pub ticker: u32,
    /// Rows before it.
    pub first_row: u64,
    pub day: Day,
}

/// What is made of days.
pub(super) fn units(spec: &Spec) -> Result<(Box<dyn Units>, u64), GenerateError> {
    let minutes = spec.interval_min;
    let of_bars = minutes.or(spec.like.as_ref().and_then(|like| like.interval_min));
    let units: Box<dyn Units> = match spec.dataset.name {
        "bars" => Box::new(bars::Bars::new(spec, of_bars.unwrap_or(1))?),
        "market_trades" => Box::new(ticks::Ticks::new(spec)?),
        "open_interest" => Box::new(bars::OpenInterest::new(spec)?),
        "predictions" => Box::new(predictions::Predictions::new(spec, minutes.unwrap_or(60))?),
        "block_predictions" => Box::new(predictions::Blocks::new(spec, minutes.unwrap_or(60))?),
        other => {
            return Err(GenerateError::Impossible(format!("there is no generator of {other}")));
        }
    };
    let rows = units.total();
    Ok((units, rows))
}

impl TickerDays {
    /// The days that lie in the spec's range as a whole, as many as its rows need. Where
    /// nobody says how many tickers there are, one comes with every `each` rows, `least` of them at
    /// least, of the `kinds` in turn. `rows_of` says how many rows a day has.
    pub fn new(
        spec: &Spec,
        (kinds, (each, least)): (&[ticker::Kind], (u64, usize)),
        rows_of: impl Fn(&Ticker, &Day) -> u64,
    ) -> Result<Self, GenerateError> {
        let wanted = spec.rows.or(spec.to_us.is_none().then_some(ROWS_DEFAULT));
        let mut count = match &spec.names {
            Names::Listed(names) if names.is_empty() => {
                return Err(GenerateError::Impossible("--tickers names none".to_owned()));
            }
            Names::Listed(names) => {
                let tickers = names.iter().map(|name| Ticker::new(name)).collect();
                return Self::of(spec, tickers, wanted, &rows_of)?.enough(wanted);
            }
            Names::Count(count) => {
                let tickers = ticker::some(*count, kinds);
                return Self::of(spec, tickers, wanted, &rows_of)?.enough(wanted);
            }
            Names::Enough => {
                wanted.map_or(least, |rows| ((rows / each) as usize).clamp(least, TICKERS_MAX))
            }
        };
        // More tickers until the range holds the rows.
        loop {
            let made = Self::of(spec, ticker::some(count, kinds), wanted, &rows_of)?;
            let short = wanted.filter(|wanted| made.rows < *wanted);
            let Some(wanted) = short.filter(|_| count < TICKERS_MAX) else {
                return made.enough(wanted);
            };
            let more = count as u64 * wanted / made.rows.max(1) + 1;
            count = (more.max(count as u64 + 1) as usize).min(TICKERS_MAX);
        }
    }

    fn of(
        spec: &Spec,
        tickers: Vec<Ticker>,
        wanted: Option<u64>,
        rows_of: &impl Fn(&Ticker, &Day) -> u64,
    ) -> Result<Self, GenerateError> {
        let tickers: Vec<Ticker> = match &spec.like {
            Some(like) => tickers.iter().map(|ticker| like.ticker(&ticker.symbol)).collect(),
            None => tickers,
        };
        let mut sessions = Sessions::default();
        let (first, last) = (spec.from_us, spec.to_us.unwrap_or(TIMES_US.end));
        let mut paths: Vec<Path> = tickers.iter().map(Path::new).collect();
        let mut made = Self { seed: spec.seed, tickers, days: Vec::new(), rows: 0 };
        let from_day = first.div_euclid(days::DAY_US) - 1;
        // What is like a file begins at the file's price.
        let history = if spec.like.is_some() { 0 } else { from_day };
        for (ticker, path) in made.tickers.iter().zip(&mut paths) {
            for number in 0..history {
                if sessions.is_open(ticker.kind, number) {
                    path.step(spec.seed, ticker, number);
                }
            }
        }
        for number in from_day.max(0)..=last.div_euclid(days::DAY_US) {
            for (at, path) in paths.iter_mut().enumerate() {
                let ticker = &made.tickers[at];
                if !sessions.is_open(ticker.kind, number) {
                    continue;
                }
                let bar = path.step(spec.seed, ticker, number);
                let (start_us, end_us) = sessions.session(ticker.kind, number);
                let midnight = number * days::DAY_US;
                if start_us.min(midnight) < first || end_us > last {
                    continue;
                }
                let day = Day { number, start_us, end_us, bar };
                let rows = rows_of(ticker, &day);
                let ticker = at as u32;
                made.days.push(TickerDay { ticker, first_row: made.rows, day });
                made.rows += rows;
                if wanted.is_some_and(|wanted| made.rows >= wanted) {
                    made.rows = wanted.unwrap_or(made.rows);
                    return Ok(made);
                }
            }
            if made.days.len() > DAYS_MAX {
                return Err(GenerateError::Impossible(format!(
                    "more than {DAYS_MAX} days of tickers at once: make them in several commands"
                )));
            }
        }
        Ok(made)
    }

    fn enough(self, wanted: Option<u64>) -> Result<Self, GenerateError> {
        if self.rows == 0 {
            return Err(GenerateError::Impossible(
                "no trading day lies in this range as a whole: make it longer".to_owned(),
            ));
        }
        match wanted {
            Some(wanted) if self.rows < wanted => {
                Err(GenerateError::TooShort { found: self.rows, wanted })
            }
            _ => Ok(self),
        }
    }

    /// The day that has a row, and its first row.
    pub fn unit_of(&self, row: u64) -> (usize, u64) {
        let unit = self.days.partition_point(|day| day.first_row <= row) - 1;
        (unit, self.days[unit].first_row)
    }

    /// Rows of a day.
    pub fn rows_of(&self, unit: usize) -> u64 {
        let end = self.days.get(unit + 1).map_or(self.rows, |next| next.first_row);
        end - self.days[unit].first_row
    }

    /// A day and its ticker.
    pub fn get(&self, unit: usize) -> (&Ticker, &Day, usize) {
        let day = &self.days[unit];
        (&self.tickers[day.ticker as usize], &day.day, day.ticker as usize)
    }

    /// Where the rows of each ticker are.
    pub fn by_ticker(&self) -> Vec<(String, Vec<Range<u64>>)> {
        let mut all: Vec<(String, Vec<Range<u64>>)> =
            self.symbols().map(|symbol| (symbol, Vec::new())).collect();
        for (unit, day) in self.days.iter().enumerate() {
            let rows = day.first_row..day.first_row + self.rows_of(unit);
            all[day.ticker as usize].1.push(rows);
        }
        all.retain(|(_, rows)| !rows.is_empty());
        all
    }

    /// The symbols, in order.
    pub fn symbols(&self) -> impl Iterator<Item = String> {
        self.tickers.iter().map(|ticker| ticker.symbol.clone())
    }
}

/// Rows of a ticker before there is another, where each is of a minute: about a year of sessions,
/// so that no row lies far from the first day, still less in the future.
const EACH: u64 = 100_000;
/// Sessions of a year, more or less.
const SESSIONS: u64 = 256;
/// Tickers at least.
const LEAST: usize = 5;
/// Tickers that are made for one command at most.
const TICKERS_MAX: usize = 20_000;
/// Days of tickers that are held at once.
const DAYS_MAX: usize = 20_000_000;

/// Rows of a ticker before there is another, and tickers at least, where a row is of so many
/// minutes.
fn usual(minutes: u32) -> (u64, usize) {
    ((EACH / u64::from(minutes.max(1))).max(SESSIONS), LEAST)
}

/// What a spelled interval is called in minutes.
pub(super) fn interval_name(minutes: u32) -> String {
    match minutes {
        minutes if minutes.is_multiple_of(1_440) => format!("{}d", minutes / 1_440),
        minutes if minutes.is_multiple_of(60) => format!("{}h", minutes / 60),
        minutes => format!("{minutes}m"),
    }
}

/// Whether an interval of minutes can be made: a day, or what fits into an hour or a day.
pub(super) fn check_interval(minutes: u32) -> Result<(), GenerateError> {
    if minutes > 0 && 1_440_u32.is_multiple_of(minutes) {
        return Ok(());
    }
    Err(GenerateError::Impossible(
        "--interval must fit into a day: 1m, 5m, 15m, 1h, 4h, 1d".to_owned(),
    ))
}

/// The part of `rows` that is in `at..at + count`, as positions from `at`.
pub(super) fn part(rows: &Range<u64>, at: u64, count: u64) -> Range<u64> {
    rows.start.clamp(at, at + count) - at..rows.end.clamp(at, at + count) - at
}
