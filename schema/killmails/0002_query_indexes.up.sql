-- tidegate: queries, indexes
-- Look-ups of participants by who they are and when. Runs in psql, where it locks out writers;
-- tidegate builds them CONCURRENTLY on tables with rows. Rows without one are left out: NPCs have
-- no character, and most pilots no alliance.
CREATE INDEX IF NOT EXISTS participants_character_time_idx
    ON public.participants (character_id, killmail_time DESC, killmail_id DESC)
    WHERE character_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS participants_corporation_time_idx
    ON public.participants (corporation_id, killmail_time DESC, killmail_id DESC)
    WHERE corporation_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS participants_alliance_time_idx
    ON public.participants (alliance_id, killmail_time DESC, killmail_id DESC)
    WHERE alliance_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS killmails_raw_time_idx
    ON public.killmails_raw (killmail_time DESC, killmail_id DESC);
