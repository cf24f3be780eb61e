-- What the tables in $1 hold, with their partitions or chunks: rows (an estimate), bytes of rows, of
-- indexes.
WITH RECURSIVE trees AS (
    SELECT r.name, to_regclass(r.name)::oid AS oid
    FROM unnest($1::text[]) AS r(name) WHERE to_regclass(r.name) IS NOT NULL
    UNION ALL
    SELECT t.name, i.inhrelid FROM trees t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
)
SELECT t.name AS relation,
       coalesce(sum(greatest(c.reltuples, 0)) FILTER (WHERE c.relkind <> 'p'), 0)::bigint AS rows,
       sum(pg_catalog.pg_table_size(t.oid))::bigint AS table_bytes,
       sum(pg_catalog.pg_indexes_size(t.oid))::bigint AS index_bytes
FROM trees t JOIN pg_catalog.pg_class c ON c.oid = t.oid
GROUP BY t.name
ORDER BY 3 DESC, 1
