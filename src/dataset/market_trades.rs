//! Trades on a venue as vendors sell them: the tape. The trade engine's own trades are another
//! dataset.

use super::column::{SYMBOL, word};
use super::rule::{Test, not_future, not_negative, rule};
use super::{Column, ConflictPolicy, Dataset, POSITION, TableName};

/// The dataset `market_trades`. A record without the vendor's `trade_id` is known again by its
/// content and its place in it, for equal prints are real trades.
pub const MARKET_TRADES: Dataset = Dataset {
    name: "market_trades",
    title: "Trades on a venue (ticks), with the vendor's id or without one",
    domain: "market",
    table: TableName::public("market_trades"),
    children: &[],
    columns: &[
        SYMBOL,
        Column::time("ts", "time of the trade, UTC")
            .or(&["timestamp", "time", "datetime", "trade_time", "transact_time"])
            .required(),
        Column::text("trade_id", "the vendor's id; may be empty").or(&[
            "id",
            "tid",
            "trade_number",
            "agg_trade_id",
        ]),
        Column::float("price", "quote currency; negative for spreads")
            .or(&["p", "px", "trade_price"])
            .required(),
        Column::float("size", "base units, shares or contracts")
            .or(&["qty", "quantity", "amount", "sz"])
            .required(),
        Column::one_of(
            "side",
            &[word("buy", &["b", "bid"]), word("sell", &["s", "ask"])],
            "of the taker: `buy`, `sell` or empty",
        )
        .or(&["taker_side", "aggressor_side"]),
        Column::integer(
            "ts_nanos",
            "nanoseconds of `ts` beyond its microseconds, 0 to 999; empty where there are none",
        ),
    ],
    key: &["symbol", "ts", "trade_id", "content", "row_no"],
    position: Some(POSITION),
    time: Some("ts"),
    partitioned: true,
    ticker: Some("symbol"),
    on_conflict: ConflictPolicy::Skip,
    together: &[],
    rules: &[
        not_negative(&["size"]),
        rule("nanos_bounds", Test::Within(&["ts_nanos"], 0.0, 999.0)),
        not_future("ts"),
    ],
    series: None,
    marks: &["price", "size"],
};
