-- For each index of table $1, the statement that drops it and those that make it again as it was.
SELECT CASE WHEN o.oid IS NULL THEN format('DROP INDEX %s', x.oid::regclass)
            ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', c.oid::regclass, o.conname)
       END AS drop_it,
       pg_get_indexdef(i.indexrelid) AS make_it,
       CASE WHEN o.oid IS NOT NULL THEN
           format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I', c.oid::regclass, o.conname,
                  CASE o.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, x.relname)
       END AS constrain
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
LEFT JOIN pg_catalog.pg_constraint o ON o.conindid = i.indexrelid AND o.conrelid = c.oid
    AND o.contype IN ('p', 'u')
WHERE i.indrelid = $1
ORDER BY o.oid IS NULL, i.indexrelid
