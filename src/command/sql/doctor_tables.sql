-- Rights on the tables $1 (schema.table) as far as they are there.
SELECT c.oid::regclass::text AS name, c.relnamespace = to_regnamespace('tidegate') AS ledger,
       pg_has_role(c.relowner, 'USAGE') AS owner,
       has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
           AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
           AS may_write
FROM unnest($1::text[]) AS wanted (name)
JOIN pg_class c ON c.oid = to_regclass(wanted.name)
ORDER BY 1
