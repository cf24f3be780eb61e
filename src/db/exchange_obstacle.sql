-- Why partitions of table $1 cannot be filled apart and attached; NULL: they can.
SELECT CASE
    WHEN NOT pg_has_role(c.relowner, 'USAGE') THEN
        'this role does not own it'
    WHEN p.partdefid <> 0 THEN
        'it has a default partition, which every attachment would have to look through'
    WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attidentity <> '' AND NOT a.attisdropped) THEN
        'it has an identity column'
    WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger t
                 WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 4 <> 0) THEN
        'its triggers would not see the rows'
    WHEN EXISTS (SELECT FROM pg_catalog.pg_publication WHERE puballtables)
         OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prrelid = c.oid)
         OR EXISTS (SELECT FROM pg_catalog.pg_publication_tables t
                    WHERE t.schemaname = n.nspname AND t.tablename = c.relname) THEN
        'it is published to subscribers, which an attachment does not reach'
    WHEN EXISTS (SELECT FROM pg_catalog.pg_inherits i
                 JOIN pg_catalog.pg_class k ON k.oid = i.inhrelid
                 WHERE i.inhparent = c.oid AND k.relkind = 'p') THEN
        'its partitions are partitioned themselves'
END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = c.oid
WHERE c.oid = $1
