//! Rules that rows of a dataset keep: what is always wrong is a reject that carries the rule's
//! name, what may be right is a warning. Each can be switched off by its name. `check/` applies
//! them.

/// A rule whose breach makes a record a reject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Its name: in rejects, in reports, and for `--no-check`.
    pub name: &'static str,
    /// What must hold. Where a column that it names has no value, it holds.
    pub test: Test,
}

/// What must hold of a row. Columns are named as the dataset names them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Test {
    /// The high is the highest and the low the lowest of four prices. A difference in the seventh
    /// digit is a vendor's rounding.
    HighLow {
        /// Open, high, low and close.
        prices: [&'static str; 4],
    },
    /// Each is at least 0.
    NotNegative(&'static [&'static str]),
    /// Each is above 0.
    Positive(&'static [&'static str]),
    /// Each is in the range, its ends included.
    Within(&'static [&'static str], f64, f64),
    /// Two columns add up to a number.
    Sum([&'static str; 2], f64),
    /// At least one has a value.
    Any(&'static [&'static str]),
    /// The first is not more than the second.
    NotMore(&'static str, &'static str),
    /// The first, a time or a day, is not before the second. Of a time and a day the days count.
    NotBefore(&'static str, &'static str),
    /// It is not more than a day after now.
    NotFuture(&'static str),
}

/// The columns of a series of bars, whose quality can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// Who the bars are of.
    pub ticker: &'static str,
    /// Their length.
    pub interval: &'static str,
    /// When they start.
    pub time: &'static str,
    /// Open, high, low and close.
    pub prices: [&'static str; 4],
    /// What was traded.
    pub volume: &'static str,
}

/// The warnings, with what they mean.
pub const WARNINGS: [(&str, &str); 5] = [
    ("unit_jump", "the close is about 100 times or a hundredth of the one before"),
    ("flat_bar", "a filler: four prices equal to the close before, and nothing traded"),
    ("zero_volume", "nothing was traded, but the prices moved"),
    ("gap", "bars are missing before this one"),
    ("granularity", "bars of another length than they are said to have"),
];

/// The rule that times are in the order that a layout promises.
pub const TIME_ORDER: &str = "time_order";

/// `high_low` for the usual names of prices.
pub(super) const HIGH_LOW: Rule =
    Rule { name: "high_low", test: Test::HighLow { prices: ["open", "high", "low", "close"] } };

/// `future_time` of a column.
pub(super) const fn not_future(column: &'static str) -> Rule {
    Rule { name: "future_time", test: Test::NotFuture(column) }
}

/// `negative_size` of columns.
pub(super) const fn not_negative(columns: &'static [&'static str]) -> Rule {
    Rule { name: "negative_size", test: Test::NotNegative(columns) }
}

/// `not_positive` of columns.
pub(super) const fn positive(columns: &'static [&'static str]) -> Rule {
    Rule { name: "not_positive", test: Test::Positive(columns) }
}

/// Any other rule.
pub(super) const fn rule(name: &'static str, test: Test) -> Rule {
    Rule { name, test }
}
