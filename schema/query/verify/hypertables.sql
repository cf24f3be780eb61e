-- The hypertables among the tables in $1: how many chunks there are, what they span, and indexes of
-- the hypertable that a chunk has no part of. Only where TimescaleDB is.
SELECT h.hypertable_schema || '.' || h.hypertable_name AS relation,
       h.num_chunks AS chunks,
       (SELECT min(c.range_start)::text FROM timescaledb_information.chunks c
        WHERE c.hypertable_schema = h.hypertable_schema
          AND c.hypertable_name = h.hypertable_name) AS lower,
       (SELECT max(c.range_end)::text FROM timescaledb_information.chunks c
        WHERE c.hypertable_schema = h.hypertable_schema
          AND c.hypertable_name = h.hypertable_name) AS upper,
       ARRAY(SELECT x.relname || ' on ' || i.inhrelid::regclass
             FROM pg_catalog.pg_inherits i
             JOIN pg_catalog.pg_index o ON o.indrelid = i.inhparent
             JOIN pg_catalog.pg_class x ON x.oid = o.indexrelid
             WHERE i.inhparent
                 = format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass
               AND NOT EXISTS (
                   SELECT FROM pg_catalog.pg_index p
                   JOIN pg_catalog.pg_class y ON y.oid = p.indexrelid
                   WHERE p.indrelid = i.inhrelid AND p.indisvalid AND y.relam = x.relam
                     AND p.indisunique = o.indisunique
                     -- Columns by name: a chunk that is older than a column numbers it otherwise.
                     AND pg_catalog.pg_get_indexdef(p.indexrelid, 1, true)
                         = pg_catalog.pg_get_indexdef(o.indexrelid, 1, true)
                     AND p.indnatts = o.indnatts AND p.indnkeyatts = o.indnkeyatts)
             ORDER BY 1) AS missing
FROM timescaledb_information.hypertables h
WHERE h.hypertable_schema || '.' || h.hypertable_name = ANY ($1)
ORDER BY 1
