-- The tables in $1, and all that loads went into, with their partitions or chunks: the root, the
-- name, whether it has parts of its own (which are rows here, too), whether rows of it changed
-- since its statistics were made, and whether the root's own statistics are old: a tenth of its
-- rows was loaded since, or there are none. Roots come before their parts.
WITH RECURSIVE roots AS (
    SELECT unnest($1::text[]) AS name
    UNION
    SELECT target FROM tidegate.content
),
trees AS (
    SELECT c.oid, c.oid AS root, r.name, 0 AS depth
    FROM roots r
    JOIN pg_catalog.pg_class c ON c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = r.name
    UNION ALL
    SELECT i.inhrelid, t.root, t.name, t.depth + 1
    FROM trees t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
),
loaded AS (
    SELECT c.target, p.committed_at, (SELECT sum(n) FROM unnest(p.inserted || p.updated) n) AS rows
    FROM tidegate.portion p
    JOIN LATERAL (SELECT DISTINCT c.target FROM tidegate.load l
                  JOIN tidegate.content c ON c.id = l.content_id WHERE l.set_id = p.set_id) c ON true
),
sizes AS (
    SELECT t.root, t.name, sum(greatest(c.reltuples, 0)) AS rows
    FROM trees t JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind <> 'p'
    GROUP BY 1, 2
)
SELECT t.name AS root,
       format('%I.%I', n.nspname, c.relname) AS name,
       EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = t.oid) OR c.relkind = 'p'
           AS has_parts,
       coalesce(s.n_mod_since_analyze, 0) > 0 AS changed,
       t.depth = 0 AND (
           greatest(s.last_analyze, s.last_autoanalyze) IS NULL
           OR coalesce((SELECT sum(l.rows) FROM loaded l
                        WHERE l.target = t.name
                          AND l.committed_at > greatest(s.last_analyze, s.last_autoanalyze)), 0)
              > coalesce((SELECT z.rows FROM sizes z WHERE z.root = t.oid), 0) / 10) AS root_is_old
FROM trees t
JOIN pg_catalog.pg_class c ON c.oid = t.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = t.oid
ORDER BY t.name, t.depth, 2
