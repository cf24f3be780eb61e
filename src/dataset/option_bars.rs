//! Bars of option contracts with open interest.

use super::column::{INTERVAL, TIME_NAMES, word};
use super::rule::{HIGH_LOW, Test, not_future, not_negative, rule};
use super::{Column, ConflictPolicy, Dataset, Meeting, TableName, Word};

/// `call` and `put` in the spellings of exchanges.
pub(super) const OPTION_TYPES: &[Word] =
    &[word("call", &["c", "ce", "ca"]), word("put", &["p", "pe", "pa"])];

/// Some sources carry prices and open interest in files of their own: with `--on-conflict update`
/// what one has is added to what the other has.
const ADDS: Meeting = Meeting::Adds;

/// The dataset `option_bars`: one contract over one interval. All prices may be missing: some
/// sources carry open interest alone.
pub const OPTION_BARS: Dataset = Dataset {
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
            .or(&["o", "open_price"])
            .meeting(ADDS),
        Column::float("high", "as open").or(&["h", "high_price"]).meeting(ADDS),
        Column::float("low", "as open").or(&["l", "low_price"]).meeting(ADDS),
        Column::float("close", "last or settlement price").or(&["c", "close_price"]).meeting(ADDS),
        Column::float("volume", "contracts").or(&["v", "vol"]).meeting(ADDS),
        Column::float("open_interest", "open at the end of the bar, in the source's unit")
            .or(&["oi", "open_int", "openinterest"])
            .meeting(ADDS),
        Column::integer("trade_count", "trades in the bar")
            .or(&["trades", "transactions"])
            .meeting(ADDS),
        Column::float("underlying_close", "price of the underlying at the end of the bar")
            .or(&["underlying_price", "underlying_last"])
            .meeting(ADDS),
    ],
    key: &["underlying", "expiry", "strike", "option_type", "interval", "ts"],
    position: None,
    time: Some("ts"),
    partitioned: true,
    ticker: None,
    on_conflict: ConflictPolicy::Skip,
    together: &[&["open", "high", "low"]],
    rules: &[
        HIGH_LOW,
        not_negative(&["volume", "open_interest", "trade_count"]),
        rule("bad_strike", Test::Positive(&["strike"])),
        rule("expiry_before_trade", Test::NotBefore("expiry", "ts")),
        not_future("ts"),
    ],
    series: None,
    marks: &["strike", "option_type"],
};
