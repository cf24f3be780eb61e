-- title: The same from the trades alone
-- target_ms: none
-- needs: public.trades
-- empty: no trades in the last 24 hours
SELECT t.symbol, now() - interval '24 hours' AS since
FROM public.trades t
WHERE t.executed_at >= now() - interval '24 hours' AND t.executed_at <= now()
GROUP BY t.symbol ORDER BY count(*) DESC, t.symbol LIMIT 1 \gset
SELECT max(t.price), min(t.price), sum(t.quantity), count(*)
FROM public.trades t
WHERE t.symbol = :'symbol'::text AND t.executed_at >= :'since'::timestamptz;
