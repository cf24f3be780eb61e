-- The keys and indexes that a partition of table $1 needs: the definition of the constraint, if the
-- index belongs to one, else how the index's definition begins before the part that says what is
-- indexed, and the definition. Keys come first.
SELECT pg_get_constraintdef(o.oid) AS constraint_definition,
       format('CREATE %sINDEX %I ON ONLY %s ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END,
              x.relname, c.oid::regclass) AS prefix,
       pg_get_indexdef(i.indexrelid) AS definition
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
LEFT JOIN pg_catalog.pg_constraint o ON o.conindid = i.indexrelid AND o.conrelid = c.oid
    AND o.contype IN ('p', 'u', 'x')
WHERE i.indrelid = $1
ORDER BY o.oid IS NULL, i.indexrelid
