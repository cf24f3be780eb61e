-- title: Accuracy of the block predictions for a ticker in 7 days
-- target_ms: 15
-- needs: public.block_predictions, function public.get_block_prediction_accuracy
-- empty: no block predictions in the last 7 days
SELECT p.ticker_id AS ticker
FROM public.block_predictions p
WHERE p.block_start >= now() - interval '7 days' AND p.block_start <= now()
GROUP BY p.ticker_id ORDER BY count(*) DESC, p.ticker_id LIMIT 1 \gset
SELECT * FROM public.get_block_prediction_accuracy(:'ticker'::integer, 7);
