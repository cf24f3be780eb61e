//! Trades on Kalshi's prediction markets.

use super::column::word;
use super::{Column, ConflictPolicy, Dataset, POSITION, TableName, Word};

/// The two sides of a contract.
pub(super) const YES_NO: &[Word] = &[word("yes", &["y"]), word("no", &["n"])];

/// The dataset `kalshi_trades`. Prices are in cents and exact; `yes_price` and `no_price` add up to
/// 100 where both are there. Dumps without a trade id exist.
pub const KALSHI_TRADES: Dataset = Dataset {
    name: "kalshi_trades",
    title: "Trades on prediction markets (Kalshi)",
    domain: "kalshi",
    table: TableName { schema: "kalshi", name: "trades" },
    children: &[],
    columns: &[
        Column::text("trade_id", "Kalshi's id; empty in the public daily dumps"),
        Column::word("ticker", "market").or(&["market_ticker", "ticker_name"]).required(),
        Column::decimal("count", "contracts, above 0; may be fractional")
            .or(&["contracts", "contracts_traded"])
            .required(),
        Column::decimal("yes_price", "cents, 0 to 100"),
        Column::decimal("no_price", "cents, 0 to 100"),
        Column::one_of("taker_side", YES_NO, "`yes`, `no` or empty"),
        Column::time("created_time", "time of the trade, UTC")
            .or(&["ts", "timestamp", "create_ts", "created_at"])
            .required(),
    ],
    key: &["trade_id", "created_time", "content", "row_no"],
    position: Some(POSITION),
    time: Some("created_time"),
    partitioned: true,
    ticker: None,
    on_conflict: ConflictPolicy::Skip,
    together: &[],
    marks: &["yes_price"],
};
