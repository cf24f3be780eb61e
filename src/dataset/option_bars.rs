//! Bars of option contracts with open interest.

use super::column::{INTERVAL, TIME_NAMES, word};
use super::{Column, ConflictPolicy, Dataset, TableName, Word};

/// `call` and `put` in the spellings of exchanges.
pub(super) const OPTION_TYPES: &[Word] =
    &[word("call", &["c", "ce", "ca"]), word("put", &["p", "pe", "pa"])];

/// The dataset `option_bars`: one contract over one interval. All prices may be missing: some
/// sources carry open interest alone.
pub const OPTION_BARS: Dataset =
    Dataset {
        name: "option_bars",
        title: "Bars of option contracts, with open interest",
        domain: "options",
        table: TableName::public("option_bars"),
        children: &[],
        columns: &[
            Column::word("underlying", "symbol of the underlying")
                .or(&["symbol", "ticker", "root", "underlying_symbol"])
                .required(),
            Column::date("expiry", "last day of the contract")
                .or(&["expiration", "expiry_date", "expire_date", "expiration_date"])
                .required(),
            Column::float("strike", "price at which it may be exercised, above 0")
                .or(&["strike_price"])
                .required(),
            Column::one_of("option_type", OPTION_TYPES, "`call` or `put`")
                .or(&["right", "call_put", "cp", "put_call"])
                .required(),
            INTERVAL,
            Column::time("ts", "start of the bar, UTC").or(TIME_NAMES).required(),
            Column::float("open", "quote currency; empty for an untraded contract")
                .or(&["o", "open_price"]),
            Column::float("high", "as open").or(&["h", "high_price"]),
            Column::float("low", "as open").or(&["l", "low_price"]),
            Column::float("close", "last or settlement price").or(&["c", "close_price"]),
            Column::float("volume", "contracts").or(&["v", "vol"]),
            Column::float("open_interest", "open at the end of the bar, in the source's unit")
                .or(&["oi", "open_int", "openinterest"]),
            Column::integer("trade_count", "trades in the bar").or(&["trades", "transactions"]),
            Column::float("underlying_close", "price of the underlying at the end of the bar")
                .or(&["underlying_price", "underlying_last"]),
        ],
        key: &["underlying", "expiry", "strike", "option_type", "interval", "ts"],
        position: None,
        time: Some("ts"),
        partitioned: true,
        ticker: None,
        on_conflict: ConflictPolicy::Skip,
        together: &[&["open", "high", "low"]],
        marks: &["strike", "option_type"],
    };
