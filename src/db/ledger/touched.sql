-- What was written to the tables in $2 since the refresh $1: a row for each range of time, and one
-- without a range where there is none. `full`: everything counts as written, for there was no
-- refresh yet, or none that this server knows, or the times of some rows are not known.
WITH mark AS (
    SELECT r.seen FROM tidegate.refresh r
    -- A server that was restored from a dump counts transactions anew.
    WHERE r.name = $1 AND pg_snapshot_xmax(r.seen) <= pg_snapshot_xmax(pg_current_snapshot())
),
written AS (
    SELECT p.from_ts, p.to_ts, p.xid
    FROM tidegate.portion p JOIN tidegate.load_set s ON s.id = p.set_id
    -- The residue of a scattered load has no rows: its routes have them.
    WHERE (s.strategy <> 'scatter' OR p.route <> '*')
      -- All that is older was seen: most of a long ledger.
      AND p.xid >= coalesce((SELECT pg_snapshot_xmin(seen) FROM mark), '0'::xid8)
      AND (SELECT sum(n) FROM unnest(p.inserted || p.updated) n) > 0
      AND EXISTS (SELECT FROM tidegate.load l JOIN tidegate.content c ON c.id = l.content_id
                  WHERE l.set_id = p.set_id AND c.target = ANY ($2))
    UNION ALL
    SELECT t.from_ts, t.to_ts, t.xid FROM tidegate.touched t WHERE t.target = ANY ($2)
),
fresh AS (
    SELECT w.* FROM written w
    WHERE NOT EXISTS (SELECT FROM mark)
       OR NOT pg_visible_in_snapshot(w.xid, (SELECT seen FROM mark))
),
summed AS (
    SELECT count(*) > 0 AS any, bool_or(from_ts IS NULL OR to_ts IS NULL) AS unknown,
           range_agg(tstzrange(from_ts, to_ts, '[]')) AS ranges
    FROM fresh
)
SELECT pg_current_snapshot()::text AS seen,
       NOT EXISTS (SELECT FROM mark) OR coalesce(s.unknown, false) AS "full",
       s.any,
       lower(r.one)::text AS from_ts,
       (upper(r.one) + interval '1 microsecond')::text AS to_ts
FROM summed s
LEFT JOIN LATERAL unnest(CASE WHEN NOT s.unknown THEN s.ranges END) AS r(one) ON true
