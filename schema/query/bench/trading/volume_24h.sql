-- title: Volume of every symbol in the last 24 hours
-- target_ms: 10
-- needs: public.trades, function public.get_24h_volume
-- empty: no trades in the last 24 hours
SELECT 1 AS any
FROM public.trades t WHERE t.executed_at >= now() - interval '24 hours' AND t.executed_at <= now()
LIMIT 1 \gset
SELECT * FROM public.get_24h_volume();
