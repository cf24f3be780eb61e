-- Where TimescaleDB's functions are, if the hypertable $1 (as schema.table, quoted) may be given the
-- width of its chunks: it has none, the width is still one that hypertables.sql gives, and it is
-- ours to change.
SELECT quote_ident(n.nspname)
FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
JOIN pg_catalog.pg_class c ON c.oid = $1::text::regclass
WHERE e.extname = 'timescaledb' AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
  AND EXISTS (
      SELECT FROM timescaledb_information.dimensions d
      WHERE format('%I.%I', d.hypertable_schema, d.hypertable_name)::regclass = c.oid
        AND d.dimension_number = 1
        AND d.time_interval IN (interval '1 day', interval '7 days'))
  AND NOT EXISTS (
      SELECT FROM timescaledb_information.chunks k
      WHERE format('%I.%I', k.hypertable_schema, k.hypertable_name)::regclass = c.oid)
