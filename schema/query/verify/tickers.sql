-- Ticker ids in the table :table that no ticker has: the first, and how many they are. In psql: -v table=public.market_data.
SELECT m.ticker_id::text AS key, sum(m.rows) OVER ()::bigint AS rows, count(*) OVER () AS keys
FROM (SELECT ticker_id, count(*) AS rows FROM :table GROUP BY ticker_id) m
WHERE NOT EXISTS (SELECT FROM public.tickers t WHERE t.id = m.ticker_id)
ORDER BY m.rows DESC LIMIT 1
