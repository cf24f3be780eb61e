DROP INDEX IF EXISTS public.fo_option_strike_bars_time_idx;
DROP INDEX IF EXISTS public.fo_option_strike_bars_moneyness_idx;
DROP INDEX IF EXISTS public.option_bars_contract_time_idx;
