-- TimescaleDB's Community edition alone: compresses the chunks of the hypertable $1 (as
-- schema.table, quoted) that end $2 (an interval) or longer before today, most of an hour's rows of
-- one series in one. The first statement says how, once; the second compresses a chunk at a time.
-- ALTER TABLE public.market_data SET (timescaledb.compress,
--     timescaledb.compress_segmentby = 'ticker_id, "interval"',
--     timescaledb.compress_orderby = 'ts DESC');
SELECT format('%I.%I', c.chunk_schema, c.chunk_name) AS chunk
FROM timescaledb_information.chunks c
WHERE format('%I.%I', c.hypertable_schema, c.hypertable_name)::regclass = $1::text::regclass
  AND NOT c.is_compressed
  AND c.range_end <= (date_trunc('day', now() AT TIME ZONE 'UTC') - $2::text::interval)
      AT TIME ZONE 'UTC'
ORDER BY c.range_end
