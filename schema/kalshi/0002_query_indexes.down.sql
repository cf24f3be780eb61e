DROP INDEX IF EXISTS kalshi.trades_ticker_created_time_idx;
DROP INDEX IF EXISTS kalshi.markets_espn_event_id_idx;
DROP INDEX IF EXISTS espn.game_states_game_id_ts_idx;
