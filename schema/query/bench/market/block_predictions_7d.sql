-- title: Block predictions for a ticker in 7 days
-- target_ms: 15
-- needs: public.block_predictions
-- empty: no block predictions in the last 7 days
-- plan: index block_predictions_accuracy_idx | block_predictions_pkey
-- plan: no seq scan public.block_predictions
SELECT p.ticker_id AS ticker, now() - interval '7 days' AS since, now() AS upto
FROM public.block_predictions p
WHERE p.block_start >= now() - interval '7 days' AND p.block_start <= now()
GROUP BY p.ticker_id ORDER BY count(*) DESC, p.ticker_id LIMIT 1 \gset
SELECT * FROM public.block_predictions p
WHERE p.ticker_id = :'ticker'::integer
  AND p.block_start >= :'since'::timestamptz AND p.block_start <= :'upto'::timestamptz
ORDER BY p.block_start DESC;
