-- title: The same, asked without a function
-- target_ms: 50
-- needs: public.market_data
-- plan: index market_data_latest_idx | *_recent_ | market_data_pkey
-- plan: no seq scan public.market_data
SELECT b.ticker_id AS ticker, b."interval" AS width, b.ts - interval '30 days' AS since,
       b.ts AS upto
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
ORDER BY m.ts;
