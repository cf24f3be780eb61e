DROP TABLE IF EXISTS public.market_data;
DROP TABLE IF EXISTS public.tickers;
