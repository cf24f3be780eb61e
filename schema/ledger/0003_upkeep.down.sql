DROP FUNCTION IF EXISTS tidegate.swap_table(regclass, regclass);
DROP FUNCTION IF EXISTS tidegate.drop_partitions(regclass, timestamptz);
DROP FUNCTION IF EXISTS tidegate.make_partitions(regclass, text, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS tidegate.partitions(regclass);
DROP TABLE IF EXISTS tidegate.dropped_range;
DROP TABLE IF EXISTS tidegate.refresh;
DROP TABLE IF EXISTS tidegate.touched;
ALTER TABLE IF EXISTS tidegate.portion
    DROP COLUMN IF EXISTS xid, DROP COLUMN IF EXISTS from_ts, DROP COLUMN IF EXISTS to_ts;
