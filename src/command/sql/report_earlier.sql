-- The $4 runs before run $1 with the command $2 and the job $3, the newest first: how long they took
-- and what their portions did.
WITH chosen AS (
    SELECT id, started_at, finished_at, exit_code
    FROM tidegate.run
    WHERE id < $1 AND command = $2 AND job IS NOT DISTINCT FROM $3 AND finished_at IS NOT NULL
    ORDER BY id DESC
    LIMIT $4
), done AS (
    SELECT p.run_id, sum(u.read)::bigint AS read,
           sum(u.inserted + u.updated)::bigint AS written, sum(u.rejected)::bigint AS rejected
    FROM tidegate.portion p
    JOIN chosen c ON c.id = p.run_id
    CROSS JOIN LATERAL unnest(p.read, p.inserted, p.updated, p.rejected)
         AS u (read, inserted, updated, rejected)
    GROUP BY p.run_id
)
SELECT c.id, extract(epoch FROM c.started_at)::float8 AS started_s,
       extract(epoch FROM c.finished_at - c.started_at)::float8 AS elapsed_s, c.exit_code,
       coalesce(d.read, 0) AS read, coalesce(d.written, 0) AS written,
       coalesce(d.rejected, 0) AS rejected
FROM chosen c
LEFT JOIN done d ON d.run_id = c.id
ORDER BY c.id DESC
