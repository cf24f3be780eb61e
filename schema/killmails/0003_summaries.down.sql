DROP FUNCTION IF EXISTS public.get_corporation_activity(bigint, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS public.get_system_killmails(bigint, integer, numeric, bigint);
DROP FUNCTION IF EXISTS public.get_corporation_losses(bigint, integer, timestamptz, bigint);
DROP FUNCTION IF EXISTS public.get_character_killmails(bigint, integer, timestamptz, bigint);
DROP FUNCTION IF EXISTS public.get_corporation_killmails(bigint, integer, timestamptz, bigint);
DROP FUNCTION IF EXISTS public.get_corporation_members(bigint, integer, bigint, bigint);
DROP MATERIALIZED VIEW IF EXISTS public.corporation_member_summary;
DROP MATERIALIZED VIEW IF EXISTS public.character_activity_summary;
DROP TABLE IF EXISTS public.eve_names;
