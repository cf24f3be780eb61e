DROP TABLE IF EXISTS public.fo_option_strike_bars;
DROP TABLE IF EXISTS public.option_bars;
