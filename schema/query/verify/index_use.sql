-- How much each index of the tables in $1 was used since statistics began, over all partitions:
-- its scans, its bytes, the scans of its table of any kind, and whether it enforces something.
WITH RECURSIVE trees AS (
    SELECT c.oid, c.oid AS root, n.nspname || '.' || c.relname AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = ANY ($1) AND c.relkind IN ('r', 'p', 'm')
    UNION ALL
    SELECT i.inhrelid, t.root, t.name
    FROM trees t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
),
tables AS (
    SELECT t.root, t.name,
           coalesce(sum(s.seq_scan), 0) AS seq_scans, coalesce(sum(s.idx_scan), 0) AS idx_scans,
           coalesce(sum(s.n_live_tup), 0) AS rows
    FROM trees t LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = t.oid
    GROUP BY 1, 2
),
-- The index of the root that each part belongs to, or the part itself.
parts AS (
    SELECT t.root, i.indexrelid, i.indexrelid AS part,
           i.indisunique OR i.indisexclusion OR i.indisreplident AS enforces
    FROM trees t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid)
    UNION ALL
    SELECT p.root, p.indexrelid, h.inhrelid, p.enforces
    FROM parts p JOIN pg_catalog.pg_inherits h ON h.inhparent = p.part
)
SELECT a.name AS relation, x.relname::text AS index, p.enforces,
       coalesce(sum(s.idx_scan), 0)::bigint AS scans,
       coalesce(sum(pg_catalog.pg_relation_size(p.part)), 0)::bigint AS bytes,
       a.idx_scans::bigint AS table_index_scans,
       a.seq_scans::bigint AS seq_scans,
       a.rows::bigint AS rows
FROM parts p
JOIN tables a ON a.root = p.root
JOIN pg_catalog.pg_class x ON x.oid = p.indexrelid
LEFT JOIN pg_catalog.pg_stat_all_indexes s ON s.indexrelid = p.part
GROUP BY 1, 2, 3, a.seq_scans, a.idx_scans, a.rows
ORDER BY 1, 2
