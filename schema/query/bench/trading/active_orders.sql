-- title: Active orders of a symbol
-- target_ms: 10
-- needs: public.orders
-- plan: index idx_orders_symbol_status | idx_orders_status
-- plan: no seq scan public.orders
SELECT o.symbol
FROM public.orders o WHERE o.status = 'OPEN'
GROUP BY o.symbol ORDER BY count(*) DESC, o.symbol LIMIT 1 \gset
SELECT * FROM public.orders o
WHERE o.symbol = :'symbol'::text AND o.status = 'OPEN'
LIMIT 100;
