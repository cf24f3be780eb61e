-- title: The same from all active orders of the symbol
-- target_ms: none
-- needs: public.orders
SELECT o.symbol
FROM public.orders o WHERE o.status = 'OPEN'
GROUP BY o.symbol ORDER BY count(*) DESC, o.symbol LIMIT 1 \gset
SELECT o.side, o.price, sum(o.quantity - o.filled_quantity) AS quantity, count(*) AS orders
FROM public.orders o
WHERE o.symbol = :'symbol'::text AND o.status = 'OPEN'
GROUP BY o.side, o.price
ORDER BY o.side, CASE o.side WHEN 'BUY' THEN -o.price ELSE o.price END
LIMIT 20;
