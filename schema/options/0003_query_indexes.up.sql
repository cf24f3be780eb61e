-- tidegate: queries, indexes
-- Indexes for queries beyond the keys. Runs in psql, where it locks out writers; tidegate builds
-- them CONCURRENTLY on tables with rows.
-- The latest of a symbol, and all its strikes at a time.
CREATE INDEX IF NOT EXISTS fo_option_strike_bars_time_idx
    ON public.fo_option_strike_bars (symbol, bucket_time DESC, expiry, strike);
-- Strikes by how far they are from the underlying.
CREATE INDEX IF NOT EXISTS fo_option_strike_bars_moneyness_idx
    ON public.fo_option_strike_bars
    (symbol, expiry, (strike / nullif(underlying_close, 0) - 1), bucket_time DESC);
CREATE INDEX IF NOT EXISTS option_bars_contract_time_idx
    ON public.option_bars (underlying, ts DESC);
