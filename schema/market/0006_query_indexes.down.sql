DROP INDEX IF EXISTS public.market_data_latest_idx;
DROP INDEX IF EXISTS public.market_data_ts_brin;
DROP INDEX IF EXISTS public.market_trades_ts_brin;
DROP INDEX IF EXISTS public.predictions_accuracy_idx;
DROP INDEX IF EXISTS public.block_predictions_accuracy_idx;
