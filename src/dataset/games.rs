//! Games that prediction markets are about.

use super::{Column, ConflictPolicy, Dataset, TableName};

/// The dataset `games`.
pub const GAMES: Dataset = Dataset {
    name: "games",
    title: "Games that prediction markets are about",
    domain: "kalshi",
    table: TableName { schema: "espn", name: "games" },
    children: &[],
    columns: &[
        Column::text("game_id", "ESPN's id of the event")
            .or(&["event_id", "espn_event_id"])
            .required(),
        Column::word("league", "nfl, nba, mlb, ..."),
        Column::integer("season", "year in which the season begins"),
        Column::word("home_team", "home team's name or abbreviation").or(&["home"]).required(),
        Column::word("away_team", "away team's name or abbreviation").or(&["away"]).required(),
        Column::time("game_start", "start, UTC")
            .or(&["start_time", "kickoff", "scheduled_at"])
            .required(),
        Column::time("game_end", "end, UTC").or(&["end_time"]),
        Column::integer("home_score", "points at the end"),
        Column::integer("away_score", "points at the end"),
        Column::word("status", "scheduled, in progress, final, as the source says"),
    ],
    key: &["game_id"],
    position: None,
    time: Some("game_start"),
    partitioned: false,
    ticker: None,
    on_conflict: ConflictPolicy::Skip,
    together: &[&["home_score", "away_score"]],
    marks: &["home_team", "away_team"],
};
