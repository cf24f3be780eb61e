DROP TABLE IF EXISTS public.market_trades;
