DROP VIEW IF EXISTS public.fo_option_completeness;
DROP MATERIALIZED VIEW IF EXISTS public.fo_option_strike_latest;
DROP VIEW IF EXISTS public.fo_expiry_metrics_15min;
DROP VIEW IF EXISTS public.fo_expiry_metrics_5min;
