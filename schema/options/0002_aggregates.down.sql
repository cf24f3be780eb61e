DROP FUNCTION IF EXISTS public.derive_option_strike_bars(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS public.refresh_option_strike_bars(regclass, integer, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS public.fo_option_strike_buckets(integer, timestamptz, timestamptz);
DROP TABLE IF EXISTS public.fo_option_strike_bars_15min;
DROP TABLE IF EXISTS public.fo_option_strike_bars_5min;
