-- Why table $1 cannot be filled without its indexes, even if it is empty; NULL: it can.
SELECT CASE
    WHEN NOT pg_has_role(c.relowner, 'USAGE') THEN
        'this role does not own it'
    WHEN c.relkind <> 'r' OR c.relispartition
         OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) THEN
        'its indexes belong to other tables too'
    -- Foreign keys are triggers too, at both ends, and so are keys that are checked at the end.
    WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger t
                 WHERE t.tgrelid = c.oid AND t.tgtype & (1 | 4 | 32) <> 0) THEN
        'it has triggers, foreign keys or deferrable keys'
    WHEN EXISTS (SELECT FROM pg_catalog.pg_publication_tables t
                 WHERE t.schemaname = n.nspname AND t.tablename = c.relname) THEN
        'it is published to subscribers, who need its key'
    WHEN c.relreplident = 'i' THEN
        'an index is its replica identity'
    WHEN EXISTS (
        SELECT FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        LEFT JOIN pg_catalog.pg_constraint o ON o.conindid = i.indexrelid AND o.conrelid = c.oid
        WHERE i.indrelid = c.oid
          AND (NOT i.indisvalid OR i.indisclustered OR i.indisexclusion OR x.reltablespace <> 0
               OR EXISTS (SELECT FROM pg_catalog.pg_attribute a
                          WHERE a.attrelid = x.oid AND a.attstattarget >= 0)
               OR EXISTS (SELECT FROM pg_catalog.pg_description d
                          WHERE d.objoid IN (x.oid, o.oid)))) THEN
        'its indexes are more than a definition can make again'
    WHEN pg_relation_size(c.oid) > $2 THEN
        'it is not empty'
END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = $1
