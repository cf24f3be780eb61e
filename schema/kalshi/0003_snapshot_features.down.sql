DROP MATERIALIZED VIEW IF EXISTS derived.snapshot_features_trade_v1;
