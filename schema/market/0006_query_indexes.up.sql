-- tidegate: queries, indexes
-- Indexes for queries beyond the keys. Runs in psql, where it locks out writers; tidegate builds
-- them CONCURRENTLY on tables with rows. One more, over the last 30 days alone, is made and rolled
-- forward by `tidegate refresh market_data_recent_idx`, partition by partition.
-- The latest price, and a series, from the index alone.
CREATE INDEX IF NOT EXISTS market_data_latest_idx
    ON public.market_data (ticker_id, "interval", ts DESC)
    INCLUDE (open, high, low, close, volume);
-- Wide scans over time, of a thousandth of the size.
CREATE INDEX IF NOT EXISTS market_data_ts_brin ON public.market_data USING brin (ts)
    WITH (pages_per_range = 32);
CREATE INDEX IF NOT EXISTS market_trades_ts_brin ON public.market_trades USING brin (ts)
    WITH (pages_per_range = 32);
CREATE INDEX IF NOT EXISTS predictions_accuracy_idx ON public.predictions (ticker_id, ts DESC)
    INCLUDE (predicted_direction, is_correct, confidence);
CREATE INDEX IF NOT EXISTS block_predictions_accuracy_idx
    ON public.block_predictions (ticker_id, block_start DESC)
    INCLUDE (predicted_direction, is_correct, confidence);
