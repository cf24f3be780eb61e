DROP TABLE IF EXISTS public.trades;
DROP TABLE IF EXISTS public.orders;
