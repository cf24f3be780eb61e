-- What the table :table holds, partition by partition, with the range of each where it has one, in
-- microseconds from 1970 UTC, the end not included. In psql: -v table=public.market_data.
WITH held AS (
    SELECT tableoid AS oid, count(*) AS rows FROM :table GROUP BY tableoid
),
ranges AS (
    SELECT p.partition::oid AS oid, p.lower, p.upper
    FROM tidegate.partitions(to_regclass(':table')) p
    WHERE isfinite(p.lower) AND isfinite(p.upper)
)
SELECT coalesce(h.oid, r.oid)::regclass::text AS partition,
       (extract(epoch FROM r.lower) * 1000000)::bigint AS from_us,
       (extract(epoch FROM r.upper) * 1000000)::bigint AS to_us,
       coalesce(h.rows, 0) AS rows
FROM held h FULL JOIN ranges r ON r.oid = h.oid
ORDER BY 2, 1
