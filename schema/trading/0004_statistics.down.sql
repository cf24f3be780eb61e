DROP FUNCTION IF EXISTS public.get_24h_statistics(text);
DROP FUNCTION IF EXISTS public.get_24h_volume(text);
DROP MATERIALIZED VIEW IF EXISTS public.mv_24h_statistics;
