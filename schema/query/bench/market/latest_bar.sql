-- title: Latest bar of a ticker, asked without a function
-- target_ms: 5
-- needs: public.market_data
-- plan: index market_data_latest_idx | *_recent_
-- plan: no seq scan public.market_data
-- plan: partitions 2
SELECT b.ticker_id AS ticker, b."interval" AS width, b.ts - interval '1 hour' AS since,
       b.ts + interval '1 second' AS upto
FROM public.tickers t
CROSS JOIN LATERAL (
    SELECT m.ticker_id, m."interval", m.ts FROM public.market_data m
    WHERE m.ticker_id = t.id ORDER BY m.ts DESC LIMIT 1
) b
ORDER BY t.id LIMIT 1 \gset
SELECT m.ts, m.open, m.high, m.low, m.close, m.volume
FROM public.market_data m
WHERE m.ticker_id = :'ticker'::integer AND m."interval" = :'width'::text
  AND m.ts >= :'since'::timestamptz AND m.ts < :'upto'::timestamptz
ORDER BY m.ts DESC LIMIT 1;
