-- Bars of futures carry open interest. Runs in psql; applying it twice changes nothing.
ALTER TABLE public.market_data ADD COLUMN IF NOT EXISTS open_interest double precision;
COMMENT ON COLUMN public.market_data.open_interest IS
    'Open contracts at the end of the bar; NULL for everything but futures.';
