-- The settings that queries depend on, as this session has them, in bytes where they are sizes.
SELECT name, CASE WHEN unit IN ('B', 'kB', '8kB', 'MB')
           THEN pg_catalog.pg_size_bytes(setting || CASE unit WHEN '8kB' THEN 'kB' ELSE unit END)
               * CASE unit WHEN '8kB' THEN 8 ELSE 1 END
           ELSE setting::double precision END::double precision AS value
FROM pg_catalog.pg_settings
WHERE name IN ('shared_buffers', 'effective_cache_size', 'maintenance_work_mem', 'work_mem',
               'max_parallel_workers_per_gather', 'max_parallel_workers', 'wal_buffers',
               'random_page_cost')
ORDER BY 1
