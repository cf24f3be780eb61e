-- What run $1 committed over time, in at most about 60 steps of whole minutes. A rate counts only
-- the part of its step in which the run was at work.
WITH portions AS (
    SELECT p.committed_at, (SELECT sum(n) FROM unnest(p.read) n) AS read,
           (SELECT sum(n) FROM unnest(p.inserted) n) AS inserted,
           (SELECT sum(n) FROM unnest(p.rejected) n) AS rejected
    FROM tidegate.portion p WHERE p.run_id = $1
), work AS (
    SELECT r.started_at, max(p.committed_at) AS last_commit_at,
           ceil(greatest(extract(epoch FROM max(p.committed_at) - r.started_at) / 3600, 1))
               * interval '1 minute' AS step
    FROM portions p JOIN tidegate.run r ON r.id = $1
    GROUP BY r.started_at
), steps AS (
    SELECT date_bin(w.step, p.committed_at, timestamptz '2000-01-01 00:00:00+00') AS begins_at,
           count(*) AS portions, sum(p.read)::bigint AS read,
           sum(p.inserted)::bigint AS inserted, sum(p.rejected)::bigint AS rejected
    FROM portions p CROSS JOIN work w
    GROUP BY 1
)
SELECT to_char(s.begins_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS begins_at,
       (extract(epoch FROM w.step) / 60)::int8 AS minutes,
       s.portions, s.read, s.inserted, s.rejected,
       s.read::float8 * 60
           / greatest(extract(epoch FROM least(s.begins_at + w.step, w.last_commit_at)
                                         - greatest(s.begins_at, w.started_at)), 1)::float8
           AS rows_per_min
FROM steps s CROSS JOIN work w
ORDER BY s.begins_at
