-- title: Features of the snapshots of a game
-- target_ms: none
-- needs: derived.snapshot_features_trade_v1
-- empty: nothing in it: `tidegate refresh snapshot_features_trade_v1` fills it
-- plan: index snapshot_features_trade_v1_key
SELECT f.game_id AS game
FROM derived.snapshot_features_trade_v1 f
GROUP BY f.game_id ORDER BY count(*) DESC, f.game_id LIMIT 1 \gset
SELECT * FROM derived.snapshot_features_trade_v1 f
WHERE f.game_id = :'game'::text ORDER BY f.sequence;
