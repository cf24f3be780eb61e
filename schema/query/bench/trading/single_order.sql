-- title: One order by its id
-- target_ms: 2
-- needs: public.orders
-- plan: index orders_pkey
-- plan: no seq scan public.orders
SELECT o.order_id
FROM public.orders o
ORDER BY o.order_id LIMIT 1 \gset
SELECT * FROM public.orders o WHERE o.order_id = :'order_id'::text;
