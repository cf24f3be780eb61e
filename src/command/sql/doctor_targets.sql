-- The tables that the ledger has sealed records in, and whether they are still the same ones.
SELECT t.target, t.loads, t.stored,
       c.oid IS NOT NULL AS there,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS sql_name,
       coalesce(has_schema_privilege(c.relnamespace, 'USAGE')
                AND has_table_privilege(c.oid, 'SELECT'), false) AS may_read
FROM (
    SELECT c.target, c.target_oid, count(*) AS loads,
           sum(l.inserted + l.updated)::bigint AS stored
    FROM tidegate.content c JOIN tidegate.load l ON l.content_id = c.id
    WHERE l.sealed_at IS NOT NULL
    GROUP BY c.target, c.target_oid
) t
LEFT JOIN pg_class c ON c.oid = t.target_oid
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY t.target, t.target_oid
LIMIT 200
