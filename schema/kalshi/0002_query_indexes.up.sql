-- tidegate: queries, indexes
-- Indexes for queries beyond the keys. Runs in psql, where it locks out writers; tidegate builds
-- them CONCURRENTLY on tables with rows.
-- The trades of a market from an instant on, in their order, from the index alone.
CREATE INDEX IF NOT EXISTS trades_ticker_created_time_idx
    ON kalshi.trades (ticker, created_time, trade_id COLLATE "C", content, row_no)
    INCLUDE (yes_price, no_price, count);
CREATE INDEX IF NOT EXISTS markets_espn_event_id_idx ON kalshi.markets (espn_event_id)
    WHERE espn_event_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS game_states_game_id_ts_idx ON espn.game_states (game_id, ts);
