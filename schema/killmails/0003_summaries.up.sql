-- tidegate: queries
-- Who did what, summed up, and pages of it. Runs in psql; applying it twice changes nothing.
CREATE TABLE IF NOT EXISTS public.eve_names (
    id        bigint PRIMARY KEY,
    category  text NOT NULL,
    name      text NOT NULL
);
COMMENT ON TABLE public.eve_names IS
    'Names of characters, corporations, alliances and types, where somebody loads them.';

-- A character takes part once in a killmail, whatever the mail says: two rows would count its
-- value twice.
CREATE MATERIALIZED VIEW IF NOT EXISTS public.character_activity_summary AS
SELECT character_id,
       count(*) FILTER (WHERE NOT is_victim) AS kills,
       count(*) FILTER (WHERE is_victim) AS losses,
       count(*) FILTER (WHERE final_blow) AS final_blows,
       coalesce(sum(damage) FILTER (WHERE NOT is_victim), 0) AS damage_done,
       coalesce(sum(total_value) FILTER (WHERE NOT is_victim), 0) AS isk_destroyed,
       coalesce(sum(total_value) FILTER (WHERE is_victim), 0) AS isk_lost,
       min(killmail_time) AS first_seen,
       max(killmail_time) AS last_seen
FROM (
    SELECT p.character_id, p.killmail_id, p.is_victim, bool_or(p.final_blow) AS final_blow,
           sum(p.damage) AS damage, min(k.total_value) AS total_value,
           min(k.killmail_time) AS killmail_time
    FROM public.participants p JOIN public.killmails_raw k USING (killmail_id)
    WHERE p.character_id IS NOT NULL
    GROUP BY 1, 2, 3
) once
GROUP BY 1;
COMMENT ON MATERIALIZED VIEW public.character_activity_summary IS
    'Kills, losses and what they were worth, by character. Killmails without a value count as 0.';
CREATE UNIQUE INDEX IF NOT EXISTS character_activity_summary_key
    ON public.character_activity_summary (character_id);

CREATE MATERIALIZED VIEW IF NOT EXISTS public.corporation_member_summary AS
SELECT corporation_id,
       character_id,
       count(*) AS killmails,
       count(*) FILTER (WHERE NOT is_victim) AS kills,
       count(*) FILTER (WHERE is_victim) AS losses,
       count(*) FILTER (WHERE final_blow) AS final_blows,
       coalesce(sum(damage) FILTER (WHERE NOT is_victim), 0) AS damage_done,
       coalesce(sum(total_value) FILTER (WHERE NOT is_victim), 0) AS isk_destroyed,
       coalesce(sum(total_value) FILTER (WHERE is_victim), 0) AS isk_lost,
       min(killmail_time) AS first_seen,
       max(killmail_time) AS last_seen
FROM (
    SELECT p.corporation_id, p.character_id, p.killmail_id, p.is_victim,
           bool_or(p.final_blow) AS final_blow, sum(p.damage) AS damage,
           min(k.total_value) AS total_value, min(k.killmail_time) AS killmail_time
    FROM public.participants p JOIN public.killmails_raw k USING (killmail_id)
    WHERE p.character_id IS NOT NULL AND p.corporation_id IS NOT NULL
    GROUP BY 1, 2, 3, 4
) once
GROUP BY 1, 2;
COMMENT ON MATERIALIZED VIEW public.corporation_member_summary IS
    'The same by corporation and member: whoever flew for it in a killmail.';
CREATE UNIQUE INDEX IF NOT EXISTS corporation_member_summary_key
    ON public.corporation_member_summary (corporation_id, character_id);
CREATE INDEX IF NOT EXISTS corporation_member_summary_page_idx
    ON public.corporation_member_summary (corporation_id, killmails DESC, character_id DESC);

-- Pages go on behind the last row of the page before (its values, both or neither), not at a
-- number of rows: the millionth page costs what the first does.
CREATE OR REPLACE FUNCTION public.get_corporation_members(
    of_corporation bigint, page_rows integer DEFAULT 100,
    after_killmails bigint DEFAULT NULL, after_character bigint DEFAULT NULL
)
RETURNS TABLE (character_id bigint, name text, killmails bigint, kills bigint, losses bigint,
               final_blows bigint, damage_done numeric, isk_destroyed numeric, isk_lost numeric,
               last_seen timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog
AS $$
    SELECT m.character_id, n.name, m.killmails, m.kills, m.losses, m.final_blows, m.damage_done,
           m.isk_destroyed, m.isk_lost, m.last_seen
    FROM (
        SELECT * FROM public.corporation_member_summary s
        WHERE s.corporation_id = of_corporation
          AND (s.killmails, s.character_id) < (coalesce(after_killmails, 9223372036854775807),
                                               coalesce(after_character, 9223372036854775807))
        ORDER BY s.killmails DESC, s.character_id DESC LIMIT page_rows
    ) m
    LEFT JOIN public.eve_names n ON n.id = m.character_id
    ORDER BY m.killmails DESC, m.character_id DESC
$$;
COMMENT ON FUNCTION public.get_corporation_members(bigint, integer, bigint, bigint) IS
    'A page of the members of a corporation, the busiest first, with their names where eve_names has them.';

CREATE OR REPLACE FUNCTION public.get_corporation_killmails(
    of_corporation bigint, page_rows integer DEFAULT 100,
    after_time timestamptz DEFAULT 'infinity', after_killmail bigint DEFAULT 9223372036854775807
)
RETURNS TABLE (killmail_id bigint, killmail_time timestamptz, is_loss boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog
AS $$
    SELECT p.killmail_id, p.killmail_time, bool_or(p.is_victim)
    FROM public.participants p
    WHERE p.corporation_id = of_corporation
      AND (p.killmail_time, p.killmail_id) < (after_time, after_killmail)
    GROUP BY p.killmail_time, p.killmail_id
    ORDER BY p.killmail_time DESC, p.killmail_id DESC
    LIMIT page_rows
$$;
COMMENT ON FUNCTION public.get_corporation_killmails(bigint, integer, timestamptz, bigint) IS
    'A page of the killmails that a corporation had a part in, the latest first.';

CREATE OR REPLACE FUNCTION public.get_character_killmails(
    of_character bigint, page_rows integer DEFAULT 100,
    after_time timestamptz DEFAULT 'infinity', after_killmail bigint DEFAULT 9223372036854775807
)
RETURNS TABLE (killmail_id bigint, killmail_time timestamptz, is_loss boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog
AS $$
    SELECT p.killmail_id, p.killmail_time, bool_or(p.is_victim)
    FROM public.participants p
    WHERE p.character_id = of_character
      AND (p.killmail_time, p.killmail_id) < (after_time, after_killmail)
    GROUP BY p.killmail_time, p.killmail_id
    ORDER BY p.killmail_time DESC, p.killmail_id DESC
    LIMIT page_rows
$$;
COMMENT ON FUNCTION public.get_character_killmails(bigint, integer, timestamptz, bigint) IS
    'A page of the killmails that a character had a part in, the latest first.';

CREATE OR REPLACE FUNCTION public.get_corporation_losses(
    of_corporation bigint, page_rows integer DEFAULT 100,
    after_time timestamptz DEFAULT 'infinity', after_killmail bigint DEFAULT 9223372036854775807
)
RETURNS TABLE (killmail_id bigint, killmail_time timestamptz, solar_system_id bigint,
               victim_character_id bigint, victim_ship_type_id bigint, total_value numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog
AS $$
    SELECT k.killmail_id, k.killmail_time, k.solar_system_id, k.victim_character_id,
           k.victim_ship_type_id, k.total_value
    FROM public.killmails_raw k
    WHERE k.victim_corporation_id = of_corporation AND k.killmail_time <= after_time
      AND (k.killmail_time, k.killmail_id) < (after_time, after_killmail)
    ORDER BY k.killmail_time DESC, k.killmail_id DESC
    LIMIT page_rows
$$;
COMMENT ON FUNCTION public.get_corporation_losses(bigint, integer, timestamptz, bigint) IS
    'A page of the losses of a corporation, the latest first.';

CREATE OR REPLACE FUNCTION public.get_system_killmails(
    of_system bigint, page_rows integer DEFAULT 100,
    after_value numeric DEFAULT 'Infinity', after_killmail bigint DEFAULT 9223372036854775807
)
RETURNS TABLE (killmail_id bigint, killmail_time timestamptz, victim_corporation_id bigint,
               victim_ship_type_id bigint, total_value numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog
AS $$
    SELECT k.killmail_id, k.killmail_time, k.victim_corporation_id, k.victim_ship_type_id,
           k.total_value
    FROM public.killmails_raw k
    WHERE k.solar_system_id = of_system AND k.total_value <= after_value
      AND (k.total_value, k.killmail_id) < (after_value, after_killmail)
    ORDER BY k.total_value DESC, k.killmail_id DESC
    LIMIT page_rows
$$;
COMMENT ON FUNCTION public.get_system_killmails(bigint, integer, numeric, bigint) IS
    'A page of the killmails of a solar system whose value is known, the dearest first.';

CREATE OR REPLACE FUNCTION public.get_corporation_activity(
    of_corporation bigint, from_ts timestamptz, to_ts timestamptz
)
RETURNS TABLE (day date, kills bigint, losses bigint, active_members bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog
AS $$
    SELECT (p.killmail_time AT TIME ZONE 'UTC')::date,
           count(DISTINCT p.killmail_id) FILTER (WHERE NOT p.is_victim),
           count(DISTINCT p.killmail_id) FILTER (WHERE p.is_victim),
           count(DISTINCT p.character_id)
    FROM public.participants p
    WHERE p.corporation_id = of_corporation
      AND p.killmail_time >= from_ts AND p.killmail_time < to_ts
    GROUP BY 1 ORDER BY 1
$$;
COMMENT ON FUNCTION public.get_corporation_activity(bigint, timestamptz, timestamptz) IS
    'Kills, losses and active members of a corporation by day (UTC).';
