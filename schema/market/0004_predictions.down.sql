DROP TABLE IF EXISTS public.block_predictions;
DROP TABLE IF EXISTS public.predictions;
