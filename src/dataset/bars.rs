//! Bars: open, high, low, close and volume of one ticker over one interval.

use super::{Column, ConflictPolicy, Dataset};
use crate::mapping::ValueKind;

const fn number(name: &'static str, aliases: &'static [&'static str]) -> Column {
    Column { name, aliases, kind: ValueKind::Float, required: false, fact: false }
}

/// The dataset `bars`. Prices are in the quote currency; `volume` is in units of the base asset or
/// shares and may be fractional or missing; `ts` is the bar's start in UTC.
///
/// Open, high and low may all be missing together: an untraded contract has only a settled close.
pub const BARS: Dataset = Dataset {
    name: "bars",
    domain: "market",
    tables: &["market_data"],
    columns: &[
        Column {
            name: "symbol",
            aliases: &["ticker", "sym", "pair"],
            kind: ValueKind::Word,
            required: true,
            fact: true,
        },
        Column {
            name: "interval",
            aliases: &["timeframe", "bar_interval"],
            kind: ValueKind::Word,
            required: true,
            fact: true,
        },
        Column {
            name: "ts",
            aliases: &["timestamp", "time", "date", "datetime", "open_time", "bucket"],
            kind: ValueKind::Time,
            required: true,
            fact: false,
        },
        number("open", &["o", "open_price"]),
        number("high", &["h", "high_price"]),
        number("low", &["l", "low_price"]),
        Column {
            name: "close",
            aliases: &["c", "close_price"],
            kind: ValueKind::Float,
            required: true,
            fact: false,
        },
        number("volume", &["v", "vol"]),
        number("quote_volume", &["quote_asset_volume"]),
        Column {
            name: "trade_count",
            aliases: &["trades", "count", "transactions", "number_of_trades"],
            kind: ValueKind::Integer,
            required: false,
            fact: false,
        },
    ],
    key: &["symbol", "interval", "ts"],
    time: "ts",
    ticker: Some("symbol"),
    on_conflict: ConflictPolicy::Skip,
    together: &[&["open", "high", "low"]],
};
