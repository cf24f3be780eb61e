-- What is wrong with indexes of the tables in $1 (as schema.table) and their partitions: the table
-- or partition, the index, and the fault.
WITH RECURSIVE trees AS (
    SELECT c.oid, c.oid AS root, n.nspname || '.' || c.relname AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = ANY ($1) AND c.relkind IN ('r', 'p', 'm')
    UNION ALL
    SELECT c.oid, t.root, n.nspname || '.' || c.relname
    FROM trees t
    JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
)
-- An index of the parent that a partition has no part of.
SELECT p.name AS relation, x.relname::text AS index, 'missing' AS fault,
       pg_catalog.pg_get_indexdef(i.indexrelid) AS definition
FROM trees p
JOIN pg_catalog.pg_inherits h ON h.inhrelid = p.oid
JOIN pg_catalog.pg_index i ON i.indrelid = h.inhparent
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid AND x.relkind = 'I'
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_inherits part
    JOIN pg_catalog.pg_index of ON of.indexrelid = part.inhrelid
    WHERE part.inhparent = i.indexrelid AND of.indrelid = p.oid)
UNION ALL
SELECT t.name, x.relname::text,
       CASE WHEN NOT i.indisvalid THEN 'invalid' WHEN NOT i.indisready THEN 'not ready'
           ELSE 'not live' END,
       pg_catalog.pg_get_indexdef(i.indexrelid)
FROM trees t
JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive)
ORDER BY 1, 2, 3
