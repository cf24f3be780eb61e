//! Open interest of futures, where a source has it in files of its own.

use super::column::{SYMBOL, TIME_NAMES};
use super::rule::{not_future, not_negative};
use super::{Column, ConflictPolicy, Dataset, TableName};

/// The dataset `open_interest`: what bars cannot hold, for a bar has a close. Sources that have
/// both in one record are bars.
pub const OPEN_INTEREST: Dataset = Dataset {
    name: "open_interest",
    title: "Open interest of futures, where it comes without bars",
    domain: "market",
    table: TableName::public("open_interest"),
    children: &[],
    columns: &[
        SYMBOL,
        Column::time("ts", "when it was counted, UTC").or(TIME_NAMES).required(),
        Column::float("open_interest", "open contracts")
            .or(&["oi", "openint", "open_int", "openinterest"])
            .required(),
    ],
    key: &["symbol", "ts"],
    position: None,
    time: Some("ts"),
    partitioned: true,
    ticker: Some("symbol"),
    on_conflict: ConflictPolicy::Skip,
    together: &[],
    rules: &[not_negative(&["open_interest"]), not_future("ts")],
    series: None,
    marks: &[],
};
