//! What a table holds where a run wrote: a grid of series by time, small enough to be looked at.
//! Plain data: `command/` counts it in the database and folds it to this size.

use serde::Serialize;

/// What one table holds in the range of time that a run wrote to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The table, as `schema.table`.
    pub table: String,
    /// What a column of the grid is wide: `minute`, `hour`, `day`, `week`, `month`, `quarter`,
    /// `year`.
    pub unit: String,
    /// When each column begins, in RFC 3339, UTC.
    pub columns: Vec<String>,
    /// The rows of the grid.
    pub series: Vec<Series>,
    /// Series in the table that the grid stands for; several may share a row.
    pub series_total: u64,
    /// Rejects of this run in the table's sources whose time or series is not known.
    pub rejected_elsewhere: u64,
    /// What keeps the grid from telling everything, for people.
    pub note: Option<String>,
}

/// A row of a coverage grid: one series (a ticker), or several neighbours in the alphabet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Series {
    /// The ticker, or the first and the last of several.
    pub name: String,
    /// How many series the row stands for.
    pub count: u64,
    /// Stored rows, by column.
    pub rows: Vec<u64>,
    /// Series that should have rows there, as their neighbours have, and have none, by column.
    pub missing: Vec<u64>,
    /// Records that this run rejected about there, by column.
    pub rejected: Vec<u64>,
    /// Records of this run that replaced a stored one or differ from it, by column.
    pub restated: Vec<u64>,
}
