-- What the tables in $1 hold, with their partitions: rows (an estimate), bytes of rows, of indexes.
SELECT r.name AS relation,
       (SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
        FROM pg_catalog.pg_partition_tree(r.name::regclass) t
        JOIN pg_catalog.pg_class c ON c.oid = t.relid AND c.relkind <> 'p') AS rows,
       (SELECT coalesce(sum(pg_catalog.pg_table_size(t.relid)), 0)::bigint
        FROM pg_catalog.pg_partition_tree(r.name::regclass) t) AS table_bytes,
       (SELECT coalesce(sum(pg_catalog.pg_indexes_size(t.relid)), 0)::bigint
        FROM pg_catalog.pg_partition_tree(r.name::regclass) t) AS index_bytes
FROM unnest($1::text[]) AS r(name)
WHERE to_regclass(r.name) IS NOT NULL
ORDER BY 3 DESC, 1
