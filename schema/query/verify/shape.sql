-- What the schemas of the domains consist of, one object a row: kind, relation, name, definition.
-- Partitions are left out (partitions.sql and indexes.sql look at them), and so is what belongs to
-- an extension. Definitions are as the catalogue spells them, functions as a hash of their text.
WITH here AS (
    SELECT c.oid, c.relkind, c.relowner, c.relacl, n.nspname || '.' || c.relname AS relation
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'tidegate', 'kalshi', 'espn', 'derived')
      AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.deptype = 'e')
),
functions AS (
    SELECT p.*, n.nspname || '.' || p.proname || '('
               || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')' AS signature
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname IN ('public', 'tidegate', 'kalshi', 'espn', 'derived') AND p.prokind = 'f'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                        AND d.deptype = 'e')
)
SELECT 'relation' AS kind, h.relation, '' AS name,
       CASE h.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
           ELSE 'table partitioned by ' || pg_catalog.pg_get_partkeydef(h.oid) END AS definition
FROM here h
UNION ALL
SELECT 'column', h.relation, a.attname,
       pg_catalog.format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
           || CASE a.attidentity WHEN 'a' THEN ' identity always' WHEN 'd' THEN ' identity'
                  ELSE '' END
           || coalesce(CASE a.attgenerated WHEN 's' THEN ' generated ' ELSE ' default ' END
                  || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
FROM here h
JOIN pg_catalog.pg_attribute a ON a.attrelid = h.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = h.oid AND d.adnum = a.attnum
UNION ALL
SELECT 'constraint', h.relation, o.conname,
       pg_catalog.pg_get_constraintdef(o.oid)
FROM here h JOIN pg_catalog.pg_constraint o ON o.conrelid = h.oid
WHERE o.contype IN ('p', 'u', 'c', 'f', 'x')
UNION ALL
SELECT 'index', h.relation, x.relname, pg_catalog.pg_get_indexdef(i.indexrelid)
FROM here h
JOIN pg_catalog.pg_index i ON i.indrelid = h.oid
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
UNION ALL
SELECT 'trigger', h.relation, t.tgname,
       pg_catalog.pg_get_triggerdef(t.oid)
           || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' (enabled: ' || t.tgenabled::text || ')' END
FROM here h JOIN pg_catalog.pg_trigger t ON t.tgrelid = h.oid AND NOT t.tgisinternal
UNION ALL
SELECT 'function', '', f.signature,
       pg_catalog.concat_ws(' ', pg_catalog.pg_get_function_result(f.oid), l.lanname,
           CASE f.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
           CASE WHEN f.proisstrict THEN 'strict' END,
           CASE WHEN f.prosecdef THEN 'security definer' END,
           pg_catalog.array_to_string(f.proconfig, ' '), pg_catalog.md5(f.prosrc))
FROM functions f JOIN pg_catalog.pg_language l ON l.oid = f.prolang
UNION ALL
SELECT 'grant', h.relation, g.grantee, pg_catalog.string_agg(g.privilege, ' ' ORDER BY g.privilege)
FROM here h
CROSS JOIN LATERAL (
    SELECT CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END AS grantee,
           a.privilege_type AS privilege
    FROM pg_catalog.aclexplode(h.relacl) a WHERE a.grantee <> h.relowner) g
GROUP BY h.relation, g.grantee
UNION ALL
SELECT 'grant', f.signature, g.grantee,
       pg_catalog.string_agg(g.privilege, ' ' ORDER BY g.privilege)
FROM functions f
CROSS JOIN LATERAL (
    SELECT CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END AS grantee,
           a.privilege_type AS privilege
    FROM pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) a
    WHERE a.grantee <> f.proowner) g
GROUP BY f.signature, g.grantee
ORDER BY 1, 2, 3
