//! Predictions of a ticker's next price.

use super::column::{INTERVAL, SYMBOL, word};
use super::{Column, ConflictPolicy, Dataset, TableName, Word};

/// Which way a price goes.
pub(super) const DIRECTIONS: &[Word] = &[
    word("up", &["bullish", "long", "buy", "1"]),
    word("down", &["bearish", "short", "sell", "-1"]),
    word("flat", &["neutral", "none", "0"]),
];

/// The dataset `predictions`: what a model said at a time about a later one, and what came of it.
pub const PREDICTIONS: Dataset = Dataset {
    name: "predictions",
    title: "Predictions of a ticker's price, and what came of them",
    domain: "market",
    table: TableName::public("predictions"),
    children: &[],
    columns: &[
        SYMBOL,
        INTERVAL,
        Column::word("model", "who predicts")
            .or(&["model_name", "model_version"])
            .default("default"),
        Column::time("ts", "when it was made, UTC").or(&["timestamp", "prediction_ts"]).required(),
        Column::time("target_ts", "the time that it is about, UTC")
            .or(&["target_time", "target_timestamp"]),
        Column::one_of("predicted_direction", DIRECTIONS, "`up`, `down` or `flat`")
            .or(&["prediction", "predicted"])
            .required(),
        Column::float("confidence", "0 to 1").or(&["probability"]),
        Column::float("reference_price", "price when it was made, quote currency")
            .or(&["price", "base_price"]),
        Column::float("predicted_price", "quote currency").or(&["target_price"]),
        Column::one_of("actual_direction", DIRECTIONS, "`up`, `down`, `flat`, or empty while open")
            .or(&["actual"]),
        Column::float("actual_price", "quote currency; empty while open"),
        Column::flag("is_correct", "empty while open").or(&["was_correct", "correct"]),
    ],
    key: &["symbol", "interval", "model", "ts"],
    position: None,
    time: Some("ts"),
    partitioned: true,
    ticker: Some("symbol"),
    on_conflict: ConflictPolicy::Skip,
    together: &[],
    marks: &["predicted_direction"],
};
