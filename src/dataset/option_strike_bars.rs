//! One minute of one strike, call and put side by side.

use super::{Column, ConflictPolicy, Dataset, TableName};

/// The dataset `option_strike_bars`, from which the 5 and 15 minute aggregates are made.
pub const OPTION_STRIKE_BARS: Dataset = Dataset {
    name: "option_strike_bars",
    title: "One minute of a strike: greeks, volume and open interest of call and put",
    domain: "options",
    table: TableName::public("fo_option_strike_bars"),
    children: &[],
    columns: &[
        Column::word("symbol", "symbol of the underlying")
            .or(&["underlying", "ticker", "root"])
            .required(),
        Column::date("expiry", "last day of the contracts")
            .or(&["expiration", "expiry_date", "expire_date"])
            .required(),
        Column::float("strike", "price at which they may be exercised, above 0")
            .or(&["strike_price"])
            .required(),
        Column::time("bucket_time", "start of the minute, UTC")
            .or(&["ts", "timestamp", "time", "datetime"])
            .required(),
        Column::float("call_iv", "implied volatility of the call, 0.2 for 20 %"),
        Column::float("call_delta", "delta of the call"),
        Column::float("call_gamma", "gamma of the call"),
        Column::float("call_theta", "theta of the call"),
        Column::float("call_vega", "vega of the call"),
        Column::float("call_volume", "contracts traded, call"),
        Column::integer("call_count", "ticks behind the averages, call"),
        Column::float("call_oi", "open interest of the call at the end of the minute")
            .or(&["call_open_interest"]),
        Column::float("put_iv", "implied volatility of the put, 0.2 for 20 %"),
        Column::float("put_delta", "delta of the put"),
        Column::float("put_gamma", "gamma of the put"),
        Column::float("put_theta", "theta of the put"),
        Column::float("put_vega", "vega of the put"),
        Column::float("put_volume", "contracts traded, put"),
        Column::integer("put_count", "ticks behind the averages, put"),
        Column::float("put_oi", "open interest of the put at the end of the minute")
            .or(&["put_open_interest"]),
        Column::float("underlying_close", "price of the underlying at the end of the minute")
            .or(&["underlying_price", "underlying_last"]),
    ],
    key: &["symbol", "expiry", "strike", "bucket_time"],
    position: None,
    time: Some("bucket_time"),
    partitioned: true,
    ticker: None,
    on_conflict: ConflictPolicy::Skip,
    together: &[],
    marks: &["call_oi", "put_oi"],
};
