//! Bars: open, high, low, close and volume of one ticker over one interval.

use super::column::{INTERVAL, SYMBOL, TIME_NAMES};
use super::{Column, ConflictPolicy, Dataset, TableName};

/// The dataset `bars`. Prices are in the quote currency; `volume` is in units of the base asset or
/// shares and may be fractional or missing; `ts` is the bar's start in UTC.
///
/// Open, high and low may all be missing together: an untraded contract has only a settled close.
pub const BARS: Dataset = Dataset {
    name: "bars",
    title: "Bars of any instrument, futures with open interest among them",
    domain: "market",
    table: TableName::public("market_data"),
    children: &[],
    columns: &[
        SYMBOL,
        INTERVAL,
        Column::time("ts", "start of the bar, UTC").or(TIME_NAMES).required(),
        Column::float("open", "quote currency; empty for an untraded contract")
            .or(&["o", "open_price"]),
        Column::float("high", "as open").or(&["h", "high_price"]),
        Column::float("low", "as open").or(&["l", "low_price"]),
        Column::float("close", "last or settlement price, quote currency")
            .or(&["c", "close_price"])
            .required(),
        Column::float("volume", "base units, shares or contracts; may be fractional")
            .or(&["v", "vol"]),
        Column::float("quote_volume", "turnover, quote currency").or(&["quote_asset_volume"]),
        Column::integer("trade_count", "trades in the bar").or(&[
            "trades",
            "count",
            "transactions",
            "number_of_trades",
        ]),
        Column::float("open_interest", "open contracts at the end of the bar (futures)").or(&[
            "oi",
            "openint",
            "open_int",
            "openinterest",
        ]),
    ],
    key: &["symbol", "interval", "ts"],
    position: None,
    time: Some("ts"),
    partitioned: true,
    ticker: Some("symbol"),
    on_conflict: ConflictPolicy::Skip,
    together: &[&["open", "high", "low"]],
    marks: &[],
};
