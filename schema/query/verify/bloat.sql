-- Tables and B-tree indexes of the tables in $1 and their partitions that are much larger than
-- their rows need: the relation, its bytes, an estimate of the bytes needed, and dead rows. From
-- statistics alone: nothing is read but the catalogue.
WITH RECURSIVE trees AS (
    SELECT c.oid FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = ANY ($1) AND c.relkind IN ('r', 'p', 'm')
    UNION ALL
    SELECT i.inhrelid FROM trees t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
),
indexes AS (
    SELECT i.indrelid, x.oid, x.reltuples,
           pg_catalog.pg_relation_size(x.oid) AS bytes,
           -- Eight bytes of header and four of line pointer a row, pages nine tenths full.
           x.reltuples * (12 + sum(coalesce(s.avg_width, 8)
               + CASE WHEN a.attlen = -1 THEN 4 ELSE 0 END)) / 0.9 AS needed
    FROM trees t
    JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid AND x.relkind = 'i'
    JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree'
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indexrelid
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname
        AND s.attname = a.attname AND NOT s.inherited
    WHERE x.reltuples > 0
    GROUP BY i.indrelid, x.oid, x.reltuples
)
SELECT 'index' AS kind, x.oid::regclass::text AS relation, x.bytes::bigint AS bytes,
       x.needed::bigint AS needed, 0::bigint AS dead_rows
FROM indexes x
WHERE x.bytes > 10 * 1024 * 1024 AND x.bytes > 2.5 * x.needed
UNION ALL
SELECT 'table', s.relid::regclass::text, pg_catalog.pg_relation_size(s.relid), 0, s.n_dead_tup
FROM trees t JOIN pg_catalog.pg_stat_all_tables s ON s.relid = t.oid
WHERE s.n_dead_tup > 10000 AND s.n_dead_tup > s.n_live_tup / 5
ORDER BY 1, 2
