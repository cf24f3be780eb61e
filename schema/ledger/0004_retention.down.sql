-- tidegate.partitions goes with the migration that made it first.
DROP FUNCTION IF EXISTS tidegate.is_hypertable(regclass);
DROP TABLE IF EXISTS tidegate.upkeep;
DROP TABLE IF EXISTS tidegate.retired;
