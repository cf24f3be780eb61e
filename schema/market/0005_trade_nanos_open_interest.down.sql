DROP TABLE IF EXISTS public.open_interest;
ALTER TABLE IF EXISTS public.market_trades DROP COLUMN IF EXISTS ts_nanos;
