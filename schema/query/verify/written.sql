-- What the ledger says of the rows of each table, summed by range of time: how many a portion's rows
-- made it more, and how many of these came by loading a content again. `kind`: `written` by a load
-- or a replay, `dropped` by retention. Times in microseconds from 1970 UTC, both included; NULL: not
-- known. `loads`: the first and the last of the loads that wrote there, and how many they are.
WITH sets AS (
    SELECT set_id, min(id) AS first, max(id) AS last, count(*) AS loads,
           bool_or(generation > 1) AS again
    FROM tidegate.load GROUP BY set_id
),
written AS (
    SELECT t.key AS name, p.from_ts, p.to_ts, s.first, s.last, s.loads,
           (t.value ->> 'inserted')::bigint AS inserted,
           (t.value ->> 'inserted')::bigint - (t.value ->> 'deleted')::bigint AS rows, s.again
    FROM tidegate.portion p
    LEFT JOIN sets s ON s.set_id = p.set_id
    CROSS JOIN LATERAL jsonb_each(p.tables) t
)
SELECT 'written' AS kind, name,
       (extract(epoch FROM from_ts) * 1000000)::bigint AS from_us,
       (extract(epoch FROM to_ts) * 1000000)::bigint AS to_us,
       sum(rows)::bigint AS rows,
       coalesce(sum(inserted) FILTER (WHERE again), 0)::bigint AS again,
       min(first) AS first_load, max(last) AS last_load
FROM written
WHERE inserted > 0 OR rows <> 0
GROUP BY name, from_ts, to_ts
UNION ALL
SELECT 'dropped', target, (extract(epoch FROM from_ts) * 1000000)::bigint,
       (extract(epoch FROM to_ts) * 1000000)::bigint - 1, sum(rows)::bigint, 0, NULL, NULL
FROM tidegate.dropped_range
GROUP BY target, from_ts, to_ts
ORDER BY 2, 3, 4
