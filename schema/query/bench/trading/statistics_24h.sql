-- title: Statistics of a symbol in the last 24 hours
-- target_ms: 10
-- needs: public.trades, function public.get_24h_statistics
-- empty: no trades in the last 24 hours
SELECT t.symbol
FROM public.trades t
WHERE t.executed_at >= now() - interval '24 hours' AND t.executed_at <= now()
GROUP BY t.symbol ORDER BY count(*) DESC, t.symbol LIMIT 1 \gset
SELECT * FROM public.get_24h_statistics(:'symbol'::text);
