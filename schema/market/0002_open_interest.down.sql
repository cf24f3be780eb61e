ALTER TABLE IF EXISTS public.market_data DROP COLUMN IF EXISTS open_interest;
