-- title: The same, asked without a function
-- target_ms: 50
-- needs: public.predictions
-- empty: no predictions in the last 30 days
-- plan: index predictions_accuracy_idx
-- plan: no seq scan public.predictions
SELECT p.ticker_id AS ticker, now() - interval '30 days' AS since, now() AS upto
FROM public.predictions p
WHERE p.ts >= now() - interval '30 days' AND p.ts <= now()
GROUP BY p.ticker_id ORDER BY count(*) DESC, p.ticker_id LIMIT 1 \gset
SELECT count(*), count(p.is_correct), count(*) FILTER (WHERE p.is_correct), avg(p.confidence)
FROM public.predictions p
WHERE p.ticker_id = :'ticker'::integer
  AND p.ts >= :'since'::timestamptz AND p.ts <= :'upto'::timestamptz;
