//! Orders of a trade engine.

use super::column::word;
use super::{Column, ConflictPolicy, Dataset, TableName, Word};

/// What an order may be doing.
const STATUSES: &[Word] = &[
    word("PENDING", &["NEW", "PENDING_NEW"]),
    word("OPEN", &["ACTIVE", "WORKING"]),
    word("PARTIALLY_FILLED", &["PARTIAL", "PARTIALLY-FILLED"]),
    word("FILLED", &["DONE", "CLOSED"]),
    word("CANCELLED", &["CANCELED"]),
    word("REJECTED", &[]),
    word("EXPIRED", &[]),
];

/// The dataset `orders`. Prices and quantities keep every digit.
pub const ORDERS: Dataset = Dataset {
    name: "orders",
    title: "Orders of a trade engine, as they stand",
    domain: "trading",
    table: TableName::public("orders"),
    children: &[],
    columns: &[
        Column::text("order_id", "the engine's id").or(&["orderid"]).required(),
        Column::text("client_order_id", "the client's id, for idempotency")
            .or(&["clientorderid", "cl_ord_id"]),
        Column::text("user_id", "who placed it").or(&["userid", "account_id"]).required(),
        Column::word("symbol", "what is traded: BTC/USDT").or(&["pair", "ticker"]).required(),
        Column::one_of(
            "side",
            &[word("BUY", &["B", "BID"]), word("SELL", &["S", "ASK"])],
            "`BUY` or `SELL`",
        )
        .required(),
        Column::one_of(
            "order_type",
            &[
                word("LIMIT", &["LMT"]),
                word("MARKET", &["MKT"]),
                word("STOP", &["STOP_LOSS", "STOP_MARKET"]),
                word("STOP_LIMIT", &["STOP_LOSS_LIMIT"]),
            ],
            "`LIMIT`, `MARKET`, `STOP` or `STOP_LIMIT`",
        )
        .or(&["type"])
        .required(),
        Column::one_of(
            "status",
            STATUSES,
            "`PENDING`, `OPEN`, `PARTIALLY_FILLED`, `FILLED`, `CANCELLED`, `REJECTED` or `EXPIRED`",
        )
        .or(&["state"])
        .required(),
        Column::decimal("price", "limit, quote currency; empty for market orders")
            .or(&["limit_price"]),
        Column::decimal("stop_price", "trigger, quote currency").or(&["trigger_price"]),
        Column::decimal("quantity", "ordered, base units, above 0")
            .or(&["qty", "amount", "size"])
            .required(),
        Column::decimal("filled_quantity", "executed so far, at most the quantity")
            .or(&["filled_qty", "filled", "executed_quantity"])
            .default("0"),
        Column::one_of(
            "time_in_force",
            &[
                word("GTC", &["GOOD_TIL_CANCELLED", "GOOD_TILL_CANCELLED"]),
                word("IOC", &["IMMEDIATE_OR_CANCEL"]),
                word("FOK", &["FILL_OR_KILL"]),
                word("DAY", &[]),
                word("GTD", &["GOOD_TIL_DATE", "GOOD_TILL_DATE"]),
            ],
            "`GTC`, `IOC`, `FOK`, `DAY`, `GTD` or empty",
        )
        .or(&["tif"]),
        Column::time("created_at", "when it was placed, UTC").or(&["created_time"]).required(),
        Column::time("updated_at", "when it last changed, UTC").or(&["updated_time"]),
    ],
    key: &["order_id", "created_at"],
    position: None,
    time: Some("created_at"),
    partitioned: true,
    ticker: None,
    on_conflict: ConflictPolicy::Skip,
    together: &[],
    marks: &["order_id", "status"],
};
