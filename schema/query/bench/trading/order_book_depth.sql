-- The best 20 levels of each side, met in the order of the index.
-- title: Depth of a symbol's order book
-- target_ms: 5
-- needs: public.orders
-- plan: index idx_orders_symbol_status
-- plan: no seq scan public.orders
SELECT o.symbol
FROM public.orders o WHERE o.status = 'OPEN'
GROUP BY o.symbol ORDER BY count(*) DESC, o.symbol LIMIT 1 \gset
(SELECT o.side, o.price, sum(o.quantity - o.filled_quantity) AS quantity, count(*) AS orders
 FROM public.orders o
 WHERE o.symbol = :'symbol'::text AND o.status = 'OPEN' AND o.side = 'BUY' AND o.price IS NOT NULL
 GROUP BY o.side, o.price ORDER BY o.price DESC LIMIT 20)
UNION ALL
(SELECT o.side, o.price, sum(o.quantity - o.filled_quantity), count(*)
 FROM public.orders o
 WHERE o.symbol = :'symbol'::text AND o.status = 'OPEN' AND o.side = 'SELL' AND o.price IS NOT NULL
 GROUP BY o.side, o.price ORDER BY o.price LIMIT 20);
