-- title: Recent trades of a symbol
-- target_ms: 10
-- needs: public.trades
-- plan: index idx_trades_symbol_executed_at | idx_trades_symbol_time_volume
-- plan: no seq scan public.trades
SELECT t.symbol
FROM public.trades t
WHERE t.executed_at > (SELECT max(l.executed_at) - interval '1 day' FROM public.trades l)
GROUP BY t.symbol ORDER BY count(*) DESC, t.symbol LIMIT 1 \gset
SELECT * FROM public.trades t
WHERE t.symbol = :'symbol'::text
ORDER BY t.executed_at DESC
LIMIT 100;
