DROP INDEX IF EXISTS tidegate.load_source_idx;
DROP TABLE IF EXISTS tidegate.short_day;
DROP TABLE IF EXISTS tidegate.nightly_source;
DROP TABLE IF EXISTS tidegate.lease;
