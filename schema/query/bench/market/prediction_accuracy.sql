-- title: Accuracy of the predictions for a ticker in 30 days
-- target_ms: 50
-- needs: public.predictions, function public.get_prediction_accuracy
-- empty: no predictions in the last 30 days
SELECT p.ticker_id AS ticker
FROM public.predictions p
WHERE p.ts >= now() - interval '30 days' AND p.ts <= now()
GROUP BY p.ticker_id ORDER BY count(*) DESC, p.ticker_id LIMIT 1 \gset
SELECT * FROM public.get_prediction_accuracy(:'ticker'::integer, 30);
