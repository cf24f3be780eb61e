//! Data for load tests: made, not found, and yet shaped like the real thing. Yields records only;
//! `command` makes files of them or sends them down the pipeline. Knows no file, no clock and no
//! database: what is made follows from the [`Spec`] alone, on every machine and in any part.
//!
//! All arithmetic is on whole numbers and on doubles by operations that IEEE 754 defines to the
//! last bit; see [`math`].

pub mod fault;
pub mod math;
pub mod random;
pub mod records;
pub mod text;

mod archive;
mod columnar;
mod form;
mod kalshi;
mod killmail;
mod like;
mod market;
mod options;
mod trading;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::dataset::Dataset;

pub use columnar::batch;
pub use form::Form;
pub use like::{Like, PROFILE_PARTS};
pub use records::{Records, Values};

/// What is made of a spec changes with this number alone.
pub const VERSION: u32 = 2;

/// Rows where neither `--rows` nor a range says how many.
pub const ROWS_DEFAULT: u64 = 100_000;
/// The first day where `--from` does not say it: 2024-01-01, so that the same command makes the
/// same data on any day.
pub const FROM_DEFAULT_US: i64 = 1_704_067_200_000_000;
/// The first and last time that data are made for: 1970 and 2100.
const TIMES_US: Range<i64> = 0..4_102_444_800_000_000;

/// Who or what the data are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// As many as the rows ask for.
    Enough,
    /// So many, with names of our own.
    Count(usize),
    /// These.
    Listed(Vec<String>),
}

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The dataset.
    pub dataset: &'static Dataset,
    /// Records in all; none: what the range holds, or [`ROWS_DEFAULT`].
    pub rows: Option<u64>,
    /// The tickers; of games, how many there are.
    pub names: Names,
    /// No record is before this time; microseconds from 1970 UTC.
    pub from_us: i64,
    /// Records are before this time; none: as far as the rows reach.
    pub to_us: Option<i64>,
    /// Another seed, other data.
    pub seed: u64,
    /// Length of a bar in minutes; none: the dataset's.
    pub interval_min: Option<u32>,
    /// What tickers are like; none: what their names say.
    pub like: Option<Like>,
}

/// A spec that cannot be met; says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// Nothing fits.
    #[error("{0}")]
    Impossible(String),
    /// The range ends before the rows are reached.
    #[error(
        "only {found} records lie in this range, {wanted} were asked for: ask for fewer rows, for \
         more tickers, or for a longer range"
    )]
    TooShort {
        /// Rows that there are.
        found: u64,
        /// Rows that were asked for.
        wanted: u64,
    },
}

/// Something whose records are made unit by unit (a ticker's day, a game, a group of orders), each
/// without what comes before it.
trait Units: Send + Sync + std::fmt::Debug {
    /// Records in all.
    fn total(&self) -> u64;

    /// No records yet, with the words that they will have.
    fn records(&self) -> Records;

    /// Where the records of each ticker are, in order, if records are of tickers that may have
    /// files of their own.
    fn by_ticker(&self) -> Option<Vec<(String, Vec<Range<u64>>)>> {
        None
    }

    /// Units before the one that has this row, and the number of its first row.
    fn unit_of(&self, row: u64) -> (usize, u64);

    /// Records of a unit.
    fn rows_of(&self, unit: usize) -> u64;

    /// Appends the records `rows` of a unit, counted from the unit's first.
    fn make(&self, unit: usize, rows: Range<u64>, into: &mut Records);
}

/// Makes records of one spec.
#[derive(Debug)]
pub struct Generator {
    units: Box<dyn Units>,
    rows: u64,
}

impl Generator {
    /// Works out what a spec means.
    ///
    /// # Errors
    /// When it cannot be met.
    pub fn new(spec: &Spec) -> Result<Self, GenerateError> {
        let last = spec.to_us.unwrap_or(TIMES_US.end);
        if spec.from_us < TIMES_US.start || last > TIMES_US.end || spec.from_us >= last {
            return Err(GenerateError::Impossible(
                "--from must be before --to, and both from 1970 to 2100".to_owned(),
            ));
        }
        if spec.rows == Some(0) {
            return Err(GenerateError::Impossible("--rows must be at least 1".to_owned()));
        }
        let (units, rows) = match spec.dataset.name {
            "orders" | "trades" => trading::units(spec)?,
            "kalshi_trades" | "kalshi_markets" | "games" | "game_states" => kalshi::units(spec)?,
            "killmails" => killmail::units(spec)?,
            "option_bars" | "option_strike_bars" => options::units(spec)?,
            _ => market::units(spec)?,
        };
        let of_prices =
            ["bars", "market_trades", "predictions", "block_predictions", "open_interest"];
        let of_prices = of_prices.contains(&spec.dataset.name) || spec.dataset.domain == "options";
        if spec.like.is_some() && !of_prices {
            return Err(GenerateError::Impossible(format!(
                "{} are not like bars or trades: leave out --like",
                spec.dataset.name
            )));
        }
        Ok(Self { units, rows })
    }

    /// Records in all.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Where the records of each ticker are, in order; none where they are not of tickers that may
    /// have files of their own.
    pub fn by_ticker(&self) -> Option<Vec<(String, Vec<Range<u64>>)>> {
        self.units.by_ticker()
    }

    /// No records yet, for [`Generator::make`] to append to.
    pub fn records(&self) -> Records {
        self.units.records()
    }

    /// Appends the records `rows`, whoever made those before them.
    pub fn make(&self, rows: Range<u64>, into: &mut Records) {
        let (mut at, end) = (rows.start, rows.end.min(self.rows));
        while at < end {
            let (unit, first) = self.units.unit_of(at);
            let upto = (first + self.units.rows_of(unit)).min(end);
            self.units.make(unit, at - first..upto - first, into);
            at = upto;
        }
    }
}

/// Units that have the same number of rows each.
fn even(row: u64, rows: u64) -> (usize, u64) {
    ((row / rows) as usize, row / rows * rows)
}
