-- title: The same from the trades alone
-- target_ms: none
-- needs: public.trades
-- empty: no trades in the last 24 hours
SELECT now() - interval '24 hours' AS since
FROM public.trades t WHERE t.executed_at >= now() - interval '24 hours' AND t.executed_at <= now()
LIMIT 1 \gset
SELECT t.symbol, count(*), sum(t.quantity), sum(t.quantity * t.price)
FROM public.trades t
WHERE t.executed_at >= :'since'::timestamptz
GROUP BY t.symbol;
