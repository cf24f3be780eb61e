//! Trades of a trade engine: who bought from whom.

use super::{Column, ConflictPolicy, Dataset, TableName};

/// The dataset `trades`. Prices and quantities keep every digit. Trades that a vendor sells have no
/// buyer and seller: they are `market_trades`.
pub const TRADES: Dataset = Dataset {
    name: "trades",
    title: "Trades of a trade engine, with buyer and seller",
    domain: "trading",
    table: TableName::public("trades"),
    children: &[],
    columns: &[
        Column::text("trade_id", "the engine's id").or(&["tradeid", "id"]).required(),
        Column::word("symbol", "what is traded: BTC/USDT").or(&["pair", "ticker"]).required(),
        Column::text("buyer_user_id", "who bought").or(&["buyer_id", "buyer"]).required(),
        Column::text("seller_user_id", "who sold").or(&["seller_id", "seller"]).required(),
        Column::text("buyer_order_id", "the buyer's order; may be empty").or(&["buy_order_id"]),
        Column::text("seller_order_id", "the seller's order; may be empty").or(&["sell_order_id"]),
        Column::decimal("price", "quote currency, above 0").or(&["trade_price"]).required(),
        Column::decimal("quantity", "base units, above 0")
            .or(&["qty", "amount", "size"])
            .required(),
        Column::flag("is_buyer_maker", "whether the buyer's order was in the book first")
            .or(&["buyer_is_maker", "maker_flag"])
            .required(),
        Column::decimal("buyer_fee", "quote currency").or(&["buy_fee"]),
        Column::decimal("seller_fee", "quote currency").or(&["sell_fee"]),
        Column::time("executed_at", "when it happened, UTC")
            .or(&["executed_time", "execution_time", "ts", "timestamp"])
            .required(),
    ],
    key: &["trade_id", "executed_at"],
    position: None,
    time: Some("executed_at"),
    partitioned: true,
    ticker: None,
    on_conflict: ConflictPolicy::Skip,
    together: &[],
    marks: &["buyer_user_id", "seller_user_id"],
};
