//! Kalshi's prediction markets.

use super::column::word;
use super::kalshi_trades::YES_NO;
use super::{Column, ConflictPolicy, Dataset, TableName};

/// The dataset `kalshi_markets`: one row a market, with the game and team that it is about, if it
/// is about one.
pub const KALSHI_MARKETS: Dataset = Dataset {
    name: "kalshi_markets",
    title: "Prediction markets (Kalshi), with the game and team that they are about",
    domain: "kalshi",
    table: TableName { schema: "kalshi", name: "markets" },
    children: &[],
    columns: &[
        Column::text("ticker", "market").or(&["market_ticker"]).required(),
        Column::text("event_ticker", "the event that the market belongs to"),
        Column::word("series_ticker", "the series that the event belongs to"),
        Column::text("title", "the question"),
        Column::text("subtitle", "what yes means").or(&["yes_sub_title"]),
        Column::word("status", "initialized, active, closed, finalized, as Kalshi says"),
        Column::one_of("result", YES_NO, "`yes`, `no`, or empty while open"),
        Column::time("open_time", "when trading begins, UTC"),
        Column::time("close_time", "when trading ends, UTC"),
        Column::time("expiration_time", "when it is settled at the latest, UTC"),
        Column::decimal("last_price", "cents, 0 to 100"),
        Column::decimal("volume", "contracts"),
        Column::decimal("open_interest", "contracts"),
        Column::text("espn_event_id", "the game: game_id of espn.games").or(&["game_id"]),
        Column::one_of(
            "team_side",
            &[word("home", &["h"]), word("away", &["a"])],
            "`home` or `away`: whose win means yes; empty for other markets",
        )
        .or(&["kalshi_team_side"]),
    ],
    key: &["ticker"],
    position: None,
    time: None,
    partitioned: false,
    ticker: None,
    on_conflict: ConflictPolicy::Skip,
    together: &[],
    marks: &["event_ticker", "status"],
};
