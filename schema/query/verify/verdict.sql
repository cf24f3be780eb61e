-- Of every key whose stored row is not what some record says: the record that decides what must be
-- stored, and whether it is. `tidegate_claim` has all records of the files with such keys: by load
-- and row, whether the record equals the stored row, and whether its load lets the last record win
-- (update) or the first (skip). Of the tables in $1 any record may be the one that is stored.
-- One row a load and verdict: `restated`: records whose row another record rightly holds; `other`:
-- a load that is not among those compared ($2) may have written the row; `wrong`: nobody did.
WITH decided AS (
    SELECT DISTINCT ON (target, key) target, key, load, row_no, equal, last_wins,
           bool_or(equal) OVER (PARTITION BY target, key) AS any_equal
    FROM tidegate_claim
    ORDER BY target, key, last_wins DESC, CASE WHEN last_wins THEN -load ELSE load END,
             CASE WHEN last_wins THEN -row_no ELSE row_no END
),
judged AS (
    SELECT d.*, CASE WHEN d.target = ANY ($1) THEN d.any_equal ELSE d.equal END AS right
    FROM decided d
),
others AS (
    SELECT t.target, l.id, l.on_conflict = 'update' AS updates, l.source, p.from_ts, p.to_ts
    FROM tidegate_target t
    JOIN tidegate.content c ON c.target = t.name
    JOIN tidegate.load l ON l.content_id = c.id AND l.id <> ALL ($2)
    JOIN tidegate.portion p ON p.set_id = l.set_id
    WHERE (SELECT sum(n) FROM unnest(p.inserted || p.updated) n) > 0
),
wrong AS (
    SELECT j.target, j.key, j.load, j.row_no, f.what, f.line,
           (SELECT min(o.source) FROM others o
            WHERE o.target = j.target
              AND (o.updates AND o.id > j.load OR o.id < j.load AND NOT j.last_wins)
              AND (o.from_ts IS NULL OR f.ts IS NULL OR f.ts BETWEEN o.from_ts AND o.to_ts))
               AS other
    FROM judged j
    LEFT JOIN tidegate_difference f USING (target, key, load, row_no)
    WHERE NOT j.right
),
restated AS (
    SELECT f.load, count(*) AS rows
    FROM tidegate_difference f JOIN judged j USING (target, key)
    WHERE j.right GROUP BY f.load
)
SELECT 'restated' AS verdict, load, rows, NULL AS key, NULL AS what, NULL::bigint AS row_no,
       NULL::bigint AS line, NULL AS other
FROM restated
UNION ALL
SELECT * FROM (
    SELECT CASE WHEN other IS NULL THEN 'wrong' ELSE 'other' END, load,
           count(*) OVER (PARTITION BY load, other IS NULL) AS rows, key, what, row_no, line, other
    FROM wrong
    ORDER BY row_number() OVER (PARTITION BY load, other IS NULL ORDER BY row_no), load
    LIMIT 1000
) w
ORDER BY 2, 1, 6
