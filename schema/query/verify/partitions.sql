-- The partitions of the tables in $1: how many there are, what they span, how far they reach from
-- now without a gap, gaps between them, and what should not be there. `name_like` is what their
-- partitions are called.
WITH parents AS (
    SELECT c.oid, n.nspname, c.relname, n.nspname || '.' || c.relname AS relation
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = ANY ($1) AND c.relkind = 'p'
),
parts AS (
    SELECT p.relation, q.*, lag(q.upper) OVER (PARTITION BY p.relation ORDER BY q.lower) AS before
    FROM parents p CROSS JOIN LATERAL tidegate.partitions(p.oid) q
),
-- Partitions that join, as one stretch.
stretches AS (
    SELECT relation, stretch, min(lower) AS lower, max(upper) AS upper
    FROM (SELECT *, count(*) FILTER (WHERE before IS DISTINCT FROM lower)
                        OVER (PARTITION BY relation ORDER BY lower) AS stretch FROM parts) s
    GROUP BY 1, 2
)
SELECT p.relation,
       (SELECT count(*) FROM parts q WHERE q.relation = p.relation) AS partitions,
       (SELECT min(q.lower)::text FROM parts q WHERE q.relation = p.relation) AS lower,
       (SELECT max(q.upper)::text FROM parts q WHERE q.relation = p.relation) AS upper,
       (SELECT least(extract(epoch FROM s.upper - now()) / 86400, 1e6)::double precision
        FROM stretches s
        WHERE s.relation = p.relation AND s.lower <= now() AND now() < s.upper) AS days_ahead,
       ARRAY(SELECT q.before::text || ' to ' || q.lower::text FROM parts q
             WHERE q.relation = p.relation AND q.before < q.lower AND q.lower > now()
             ORDER BY q.lower) AS gaps_ahead,
       (SELECT count(*) FROM parts q
        WHERE q.relation = p.relation AND q.before < q.lower AND q.lower <= now()) AS gaps_behind,
       (SELECT x.relname::text FROM pg_catalog.pg_partitioned_table t
        JOIN pg_catalog.pg_class x ON x.oid = t.partdefid
        WHERE t.partrelid = p.oid) AS default_partition,
       -- Tables called as partitions are that are none: detached, or left by an attempt.
       ARRAY(SELECT c.relname::text FROM pg_catalog.pg_class c
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = p.nspname AND c.relkind = 'r' AND NOT c.relispartition
               AND c.relname ~ ('^' || p.relname || '_p[0-9]{4}')
             ORDER BY 1) AS strays
FROM parents p
ORDER BY 1
