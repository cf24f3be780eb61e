-- Loads with what their portions hold: those that run $1 began or worked on, without it all that
-- are not sealed, the one that moved last first; at most $2.
WITH chosen AS (
    SELECT l.* FROM tidegate.load l
    WHERE CASE WHEN $1::bigint IS NULL THEN l.sealed_at IS NULL
               ELSE l.run_id = $1
                    OR l.set_id IN (SELECT set_id FROM tidegate.portion WHERE run_id = $1) END
), sets AS (
    SELECT set_id, sum(span_end)::bigint AS span_end FROM tidegate.load
    WHERE set_id IN (SELECT set_id FROM chosen) GROUP BY set_id
), done AS (
    SELECT c.id AS load_id, count(*) AS portions, max(p.committed_at) AS last_commit_at,
           sum(p.span_end - p.span_start)::bigint AS covered,
           sum(p.read[c.set_ordinal])::bigint AS read,
           sum(p.inserted[c.set_ordinal])::bigint AS inserted,
           sum(p.updated[c.set_ordinal])::bigint AS updated,
           sum(p.duplicate[c.set_ordinal])::bigint AS duplicate,
           sum(p.conflicting[c.set_ordinal])::bigint AS conflicting,
           sum(p.rejected[c.set_ordinal])::bigint AS rejected,
           sum(p.skipped[c.set_ordinal])::bigint AS skipped,
           sum(p.read[c.set_ordinal])
               FILTER (WHERE p.committed_at > clock_timestamp() - interval '1 minute')::bigint
               AS read_last_minute
    FROM chosen c JOIN tidegate.portion p ON p.set_id = c.set_id
    GROUP BY c.id
)
SELECT c.id, c.source, t.target, t.dataset, c.layout, c.sealed_at IS NOT NULL AS sealed,
       coalesce(d.portions, 0) AS portions,
       least(coalesce(d.covered, 0)::float8 / nullif(s.span_end, 0), 1) AS part,
       to_char(c.begun_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS begun_at,
       to_char(d.last_commit_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
           AS last_commit_at,
       greatest(c.begun_at, d.last_commit_at) > clock_timestamp() - interval '1 minute'
           AS active,
       coalesce(d.read_last_minute, 0)::float8
           / least(greatest(extract(epoch FROM clock_timestamp() - c.begun_at), 1), 60)::float8
           AS rows_per_s,
       coalesce(d.read, 0) AS read, coalesce(d.inserted, 0) AS inserted,
       coalesce(d.updated, 0) AS updated, coalesce(d.duplicate, 0) AS duplicate,
       coalesce(d.conflicting, 0) AS conflicting, coalesce(d.rejected, 0) AS rejected,
       coalesce(d.skipped, 0) AS skipped,
       (SELECT count(*) FROM tidegate.reject r
        WHERE r.load_id = c.id AND r.resolved_at IS NULL) AS open_rejects,
       count(*) OVER () AS total
FROM chosen c
JOIN tidegate.content t ON t.id = c.content_id
JOIN sets s ON s.set_id = c.set_id
LEFT JOIN done d ON d.load_id = c.id
ORDER BY greatest(c.begun_at, d.last_commit_at) DESC, c.id DESC
LIMIT $2
