-- Which part of the scans of tables with more than 100,000 rows went by an index since statistics
-- began; NULL before a hundred of them.
SELECT CASE WHEN sum(s.idx_scan + s.seq_scan) >= 100
            THEN sum(s.idx_scan)::double precision / sum(s.idx_scan + s.seq_scan) END AS index_scans
FROM pg_catalog.pg_stat_user_tables s
WHERE s.n_live_tup > 100000
