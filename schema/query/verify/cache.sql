-- How often blocks were found in memory since statistics began (NULL before a thousand were read),
-- tables and indexes apart, and how many connections there are of those that there may be.
SELECT (SELECT CASE WHEN sum(heap_blks_hit + heap_blks_read) > 1000 THEN
            sum(heap_blks_hit)::double precision / sum(heap_blks_hit + heap_blks_read) END
        FROM pg_catalog.pg_statio_user_tables) AS table_hit,
       (SELECT CASE WHEN sum(idx_blks_hit + idx_blks_read) > 1000 THEN
            sum(idx_blks_hit)::double precision / sum(idx_blks_hit + idx_blks_read) END
        FROM pg_catalog.pg_statio_user_indexes) AS index_hit,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend')
           AS connections,
       current_setting('max_connections')::bigint AS max_connections,
       EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements')
           AS has_statements,
       coalesce(current_setting('shared_preload_libraries', true), '') LIKE '%pg_stat_statements%'
           AS loads_statements
