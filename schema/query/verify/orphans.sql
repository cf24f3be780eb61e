-- Rows of the table :child that no row of :root has the key of, the columns :keys: the first, and how
-- many they are.
-- In psql: -v child=public.participants -v root=public.killmails_raw -v keys=killmail_id.
SELECT c.key, sum(c.rows) OVER ()::bigint AS rows, count(*) OVER () AS keys
FROM (SELECT (ROW(:keys))::text AS key, :keys, count(*) AS rows FROM :child GROUP BY :keys) c
LEFT JOIN (SELECT :keys, true AS there FROM :root) r USING (:keys)
WHERE r.there IS NULL
ORDER BY c.key LIMIT 1
