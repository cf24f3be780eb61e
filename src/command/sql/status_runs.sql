-- The newest $1 runs, or with $2 that run alone: what their portions did, and how the loads that
-- they worked on stand. A run is active if it began or committed something in the last minute.
WITH chosen AS (
    SELECT id, command, program, started_at, finished_at, exit_code
    FROM tidegate.run
    WHERE $2::bigint IS NULL OR id = $2
    ORDER BY id DESC
    LIMIT $1
), done AS (
    SELECT p.run_id, max(p.committed_at) AS last_commit_at,
           sum(u.read)::bigint AS read, sum(u.inserted)::bigint AS inserted,
           sum(u.updated)::bigint AS updated, sum(u.duplicate)::bigint AS duplicate,
           sum(u.conflicting)::bigint AS conflicting, sum(u.rejected)::bigint AS rejected,
           sum(u.skipped)::bigint AS skipped
    FROM tidegate.portion p
    JOIN chosen c ON c.id = p.run_id
    CROSS JOIN LATERAL unnest(p.read, p.inserted, p.updated, p.duplicate, p.conflicting,
                              p.rejected, p.skipped)
         AS u (read, inserted, updated, duplicate, conflicting, rejected, skipped)
    GROUP BY p.run_id
), touched AS (
    SELECT l.run_id, l.id, l.sealed_at FROM tidegate.load l JOIN chosen c ON c.id = l.run_id
    UNION
    SELECT p.run_id, l.id, l.sealed_at
    FROM (SELECT DISTINCT p.run_id, p.set_id FROM tidegate.portion p
          JOIN chosen c ON c.id = p.run_id) p
    JOIN tidegate.load l ON l.set_id = p.set_id
), loads AS (
    SELECT run_id, count(sealed_at) AS sealed, count(*) - count(sealed_at) AS unsealed
    FROM touched GROUP BY run_id
)
SELECT c.id, c.command, c.program,
       to_char(c.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS started_at,
       to_char(c.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS finished_at,
       c.exit_code, a.active,
       greatest(extract(epoch FROM CASE
           WHEN c.finished_at IS NOT NULL THEN c.finished_at
           WHEN a.active THEN clock_timestamp()
           ELSE coalesce(d.last_commit_at, c.started_at) END - c.started_at), 0)::float8
           AS elapsed_s,
       coalesce(l.sealed, 0) AS sealed, coalesce(l.unsealed, 0) AS unsealed,
       coalesce(d.read, 0) AS read, coalesce(d.inserted, 0) AS inserted,
       coalesce(d.updated, 0) AS updated, coalesce(d.duplicate, 0) AS duplicate,
       coalesce(d.conflicting, 0) AS conflicting, coalesce(d.rejected, 0) AS rejected,
       coalesce(d.skipped, 0) AS skipped
FROM chosen c
LEFT JOIN done d ON d.run_id = c.id
LEFT JOIN loads l ON l.run_id = c.id
CROSS JOIN LATERAL (
    SELECT c.finished_at IS NULL
           AND greatest(c.started_at, d.last_commit_at) > clock_timestamp() - interval '1 minute'
           AS active
) a
ORDER BY c.id DESC
