-- title: Bars of a ticker over the last 24 hours of its data
-- target_ms: 30
-- needs: public.market_data, function public.get_price_range
SELECT b.ticker_id AS ticker, b."interval" AS width, b.ts - interval '24 hours' AS since,
       b.ts AS upto
FROM public.tickers t
CROSS JOIN LATERAL (
    SELECT m.ticker_id, m."interval", m.ts FROM public.market_data m
    WHERE m.ticker_id = t.id ORDER BY m.ts DESC LIMIT 1
) b
ORDER BY t.id LIMIT 1 \gset
SELECT * FROM public.get_price_range(:'ticker'::integer, :'width'::text,
    :'since'::timestamptz, :'upto'::timestamptz);
