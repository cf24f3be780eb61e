DROP TABLE IF EXISTS public.killmail_items;
DROP TABLE IF EXISTS public.participants;
DROP TABLE IF EXISTS public.killmails_raw;
