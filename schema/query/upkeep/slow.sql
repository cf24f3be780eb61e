-- How many questions take longer than $1 milliseconds on average, of those that were asked five
-- times or more in this database, and how long the slowest takes. Loads, refreshes and upkeep are
-- no questions. The extension may be in another schema than public.
SELECT count(*) AS slow, max(s.mean_exec_time) AS slowest_ms
FROM public.pg_stat_statements s
WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND s.calls >= 5 AND s.mean_exec_time > $1 AND s.query ~* '^\s*(select|with)\M'
  AND s.query !~ 'tidegate\.|pg_catalog'
