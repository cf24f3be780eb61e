//! Predictions for blocks of time within a day.

use super::column::SYMBOL;
use super::predictions::DIRECTIONS;
use super::{Column, ConflictPolicy, Dataset, TableName};

/// The dataset `block_predictions`: a block is a stretch of some minutes, numbered in its session.
pub const BLOCK_PREDICTIONS: Dataset = Dataset {
    name: "block_predictions",
    title: "Predictions for blocks of time within a day, and what came of them",
    domain: "market",
    table: TableName::public("block_predictions"),
    children: &[],
    columns: &[
        SYMBOL,
        Column::word("model", "who predicts")
            .or(&["model_name", "model_version"])
            .default("default"),
        Column::time("block_start", "start of the block, UTC")
            .or(&["hour_start", "hour_start_timestamp"])
            .required(),
        Column::integer("block_minutes", "length of the block, minutes")
            .or(&["minutes"])
            .default("60"),
        Column::integer("block_no", "number of the block in its session, from 1").or(&["block"]),
        Column::time("predicted_at", "when the prediction was made, UTC").or(&["prediction_time"]),
        Column::one_of("predicted_direction", DIRECTIONS, "`up`, `down` or `flat`")
            .or(&["prediction", "predicted"])
            .required(),
        Column::float("confidence", "0 to 1").or(&["probability", "strength"]),
        Column::float("reference_price", "price when it was made, quote currency")
            .or(&["price", "base_price"]),
        Column::one_of("actual_direction", DIRECTIONS, "`up`, `down`, `flat`, or empty while open")
            .or(&["actual"]),
        Column::float("actual_price", "price at the end of the block; empty while open"),
        Column::flag("is_correct", "empty while open").or(&["was_correct", "correct"]),
    ],
    key: &["symbol", "model", "block_start", "block_minutes"],
    position: None,
    time: Some("block_start"),
    partitioned: true,
    ticker: Some("symbol"),
    on_conflict: ConflictPolicy::Skip,
    together: &[],
    marks: &["block_start", "predicted_direction"],
};
