-- title: Latest price of a ticker
-- target_ms: 5
-- needs: public.market_data, function public.get_latest_price
SELECT t.id AS ticker, b."interval" AS width
FROM public.tickers t
CROSS JOIN LATERAL (
    SELECT m."interval" FROM public.market_data m WHERE m.ticker_id = t.id LIMIT 1
) b
ORDER BY t.id LIMIT 1 \gset
SELECT * FROM public.get_latest_price(:'ticker'::integer, :'width'::text);
