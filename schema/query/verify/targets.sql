-- The tables that the ledger speaks of, and whether each is still the one that was loaded into.
-- `dataset`: one of those that were loaded into it; NULL for a table of rows that belong to others.
WITH named AS (
    SELECT c.target AS name, max(c.target_oid) AS loaded_oid, min(c.dataset) AS dataset
    FROM tidegate.content c GROUP BY c.target
    UNION ALL
    SELECT DISTINCT t.key, NULL::oid, NULL
    FROM tidegate.portion p CROSS JOIN LATERAL jsonb_object_keys(p.tables) t(key)
)
SELECT n.name, max(n.loaded_oid) AS loaded_oid, min(n.dataset) AS dataset, max(r.oid) AS oid
FROM named n
LEFT JOIN (
    SELECT c.oid, s.nspname || '.' || c.relname AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f')
) r ON r.name = n.name
GROUP BY n.name
ORDER BY n.name
