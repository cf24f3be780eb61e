DROP INDEX IF EXISTS public.killmails_raw_time_idx;
DROP INDEX IF EXISTS public.participants_alliance_time_idx;
DROP INDEX IF EXISTS public.participants_corporation_time_idx;
DROP INDEX IF EXISTS public.participants_character_time_idx;
