-- What a refresh of the view computes, with the settings that `tidegate refresh` gives it; nothing
-- is written.
-- title: All snapshot features, computed anew
-- target_ms: 15000
-- needs: derived.snapshot_features_trade_v1, kalshi.trades, espn.game_states
-- settings: work_mem = '2GB', hash_mem_multiplier = '1.2', enable_hashagg = 'on'
-- plan: one batch
SELECT s.game_id AS game
FROM espn.game_states s JOIN kalshi.markets m ON m.espn_event_id = s.game_id
LIMIT 1 \gset
SELECT pg_catalog.pg_get_viewdef('derived.snapshot_features_trade_v1'::regclass) \gexec
