//! Snapshots of games while they are played.

use super::{Column, ConflictPolicy, Dataset, TableName};

/// The dataset `game_states`: what the score was at a point in time.
pub const GAME_STATES: Dataset = Dataset {
    name: "game_states",
    title: "Snapshots of games while they are played",
    domain: "kalshi",
    table: TableName { schema: "espn", name: "game_states" },
    children: &[],
    columns: &[
        Column::text("game_id", "game_id of espn.games")
            .or(&["event_id", "espn_event_id"])
            .required(),
        Column::integer("sequence", "number of the snapshot in its game, ascending")
            .or(&["sequence_number", "play_id"])
            .required(),
        Column::time("ts", "time of the snapshot, UTC")
            .or(&["timestamp", "snapshot_ts", "wallclock"])
            .required(),
        Column::integer("period", "quarter, half or inning, from 1").or(&["quarter"]),
        Column::float("clock_seconds", "seconds left in the period").or(&["clock"]),
        Column::integer("home_score", "points so far").required(),
        Column::integer("away_score", "points so far").required(),
        Column::float("home_win_probability", "0 to 1").or(&["home_win_prob"]),
    ],
    key: &["game_id", "sequence"],
    position: None,
    time: Some("ts"),
    partitioned: false,
    ticker: None,
    on_conflict: ConflictPolicy::Skip,
    together: &[],
    marks: &["sequence", "home_score"],
};
