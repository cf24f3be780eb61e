-- EVE Online killmails. Runs in psql; applying it twice changes nothing.
-- Children have no foreign key, which would be looked up for each row: the loader writes a killmail
-- and all its rows in one transaction, and replaces them together.
CREATE TABLE IF NOT EXISTS public.killmails_raw (
    killmail_id            bigint PRIMARY KEY,
    killmail_hash          text,
    killmail_time          timestamptz NOT NULL,
    solar_system_id        bigint NOT NULL,
    war_id                 bigint,
    moon_id                bigint,
    victim_character_id    bigint,
    victim_corporation_id  bigint,
    victim_alliance_id     bigint,
    victim_faction_id      bigint,
    victim_ship_type_id    bigint,
    victim_damage_taken    bigint NOT NULL,
    position_x             double precision,
    position_y             double precision,
    position_z             double precision,
    attacker_count         integer NOT NULL,
    total_value            numeric,
    content_hash           bigint NOT NULL,
    raw_data               json NOT NULL
);
COMMENT ON TABLE public.killmails_raw IS 'Killmails: one row for each ship or structure lost.';
COMMENT ON COLUMN public.killmails_raw.killmail_hash IS
    'The hash under which ESI gives the killmail; NULL where no source said it.';
COMMENT ON COLUMN public.killmails_raw.position_x IS 'Metres in the solar system; NULL in old mails.';
COMMENT ON COLUMN public.killmails_raw.total_value IS
    'ISK, as zKillboard values it; NULL until one of its envelopes of this killmail was loaded.';
COMMENT ON COLUMN public.killmails_raw.content_hash IS
    'Of what the body says, whatever its spelling: equal for equal killmails.';
COMMENT ON COLUMN public.killmails_raw.raw_data IS
    'The document as it came, envelope and all. json, not jsonb: docs/killmails.md says why.';

CREATE TABLE IF NOT EXISTS public.participants (
    killmail_id      bigint NOT NULL,
    seq              integer NOT NULL,
    killmail_time    timestamptz NOT NULL,
    character_id     bigint,
    corporation_id   bigint,
    alliance_id      bigint,
    faction_id       bigint,
    ship_type_id     bigint,
    weapon_type_id   bigint,
    damage           bigint NOT NULL,
    security_status  double precision,
    is_victim        boolean NOT NULL,
    final_blow       boolean NOT NULL,
    PRIMARY KEY (killmail_id, seq)
);
COMMENT ON TABLE public.participants IS
    'Who took part in a killmail: the victim as number 0, then its attackers as the mail lists them.';
COMMENT ON COLUMN public.participants.killmail_time IS 'That of the killmail, for look-ups by time.';
COMMENT ON COLUMN public.participants.character_id IS 'NULL for NPCs and structures.';
COMMENT ON COLUMN public.participants.damage IS 'Done; by the victim: taken.';

CREATE TABLE IF NOT EXISTS public.killmail_items (
    killmail_id         bigint NOT NULL,
    seq                 integer NOT NULL,
    parent_seq          integer,
    item_type_id        bigint NOT NULL,
    flag                bigint,
    singleton           bigint,
    quantity_dropped    bigint,
    quantity_destroyed  bigint,
    PRIMARY KEY (killmail_id, seq)
);
COMMENT ON TABLE public.killmail_items IS
    'What the victim had with it, numbered from 1 as the mail lists it, a container before what is in it.';
COMMENT ON COLUMN public.killmail_items.parent_seq IS 'seq of the container; NULL outside of one.';
COMMENT ON COLUMN public.killmail_items.flag IS 'Where it was: a slot, the cargo hold.';

CREATE INDEX IF NOT EXISTS killmails_raw_victim_corp_time_idx
    ON public.killmails_raw (victim_corporation_id, killmail_time DESC);
CREATE INDEX IF NOT EXISTS killmails_raw_system_value_idx
    ON public.killmails_raw (solar_system_id, total_value DESC);

-- lz4 compresses documents several times as fast as the default; not every server is built with it.
DO $$
BEGIN
    ALTER TABLE public.killmails_raw ALTER COLUMN raw_data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;
