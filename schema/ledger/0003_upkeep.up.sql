-- What keeps derived tables fresh and partitions in order: which ranges of time were written since
-- when, what was refreshed, what retention dropped, and functions that make and drop partitions.
-- Runs in psql; applying it twice changes nothing.

-- A portion is new to a refresh if its transaction is not visible in the snapshot that the refresh
-- before kept: exact whatever the clocks say. Rows that are here already count as new.
ALTER TABLE tidegate.portion
    ADD COLUMN IF NOT EXISTS xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ADD COLUMN IF NOT EXISTS from_ts timestamptz,
    ADD COLUMN IF NOT EXISTS to_ts timestamptz;
COMMENT ON COLUMN tidegate.portion.xid IS 'The transaction that committed it.';
COMMENT ON COLUMN tidegate.portion.from_ts IS
    'The earliest time of its rows; NULL where that is not known.';
COMMENT ON COLUMN tidegate.portion.to_ts IS 'The latest time of its rows, included.';

CREATE TABLE IF NOT EXISTS tidegate.touched (
    target   text NOT NULL,
    from_ts  timestamptz,
    to_ts    timestamptz,
    xid      xid8 NOT NULL DEFAULT pg_current_xact_id()
);
COMMENT ON TABLE tidegate.touched IS
    'Ranges of time of a table that were written by other means than a portion. Anybody who changes rows by hand may add one.';
COMMENT ON COLUMN tidegate.touched.target IS 'As schema.table.';
COMMENT ON COLUMN tidegate.touched.from_ts IS 'The earliest time, included; NULL: not known.';

CREATE TABLE IF NOT EXISTS tidegate.refresh (
    name          text PRIMARY KEY,
    seen          pg_snapshot NOT NULL,
    state         text,
    refreshed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tidegate.refresh IS 'When each derived table was made fresh, and from what.';
COMMENT ON COLUMN tidegate.refresh.seen IS 'What was visible then.';
COMMENT ON COLUMN tidegate.refresh.state IS
    'What the content amounted to, where a refresh is spared if that is still so.';

CREATE TABLE IF NOT EXISTS tidegate.dropped_range (
    target      text NOT NULL,
    partition   text NOT NULL,
    from_ts     timestamptz NOT NULL,
    to_ts       timestamptz NOT NULL,
    rows        bigint NOT NULL,
    dropped_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tidegate.dropped_range IS
    'Partitions that retention dropped: what is missing there was not lost.';

CREATE OR REPLACE FUNCTION tidegate.partitions(parent regclass)
RETURNS TABLE (partition regclass, lower timestamptz, upper timestamptz)
LANGUAGE sql STABLE STRICT
SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET search_path = pg_catalog
AS $$
    SELECT c.oid::regclass,
           (CASE b.edge[1] WHEN 'MINVALUE' THEN '-infinity' ELSE btrim(b.edge[1], '''') END)
               ::timestamptz,
           (CASE b.edge[2] WHEN 'MAXVALUE' THEN 'infinity' ELSE btrim(b.edge[2], '''') END)
               ::timestamptz
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL regexp_match(
        pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \((.+)\) TO \((.+)\)$') AS b(edge)
    WHERE i.inhparent = parent AND b.edge IS NOT NULL
    ORDER BY 2
$$;
COMMENT ON FUNCTION tidegate.partitions(regclass) IS
    'The partitions of a table that is partitioned by ranges of time, from lower to before upper.';

CREATE OR REPLACE FUNCTION tidegate.make_partitions(
    parent regclass, width text, first timestamptz, last timestamptz
) RETURNS integer
LANGUAGE plpgsql STRICT
SET timezone = 'UTC' SET search_path = pg_catalog
AS $$
DECLARE
    step CONSTANT interval := '1 ' || width;
    moment timestamptz := first;
    held timestamptz;
    lowers timestamptz[];
    uppers timestamptz[];
    lo timestamptz;
    hi timestamptz;
    home record;
    name text;
    made integer := 0;
BEGIN
    IF width NOT IN ('day', 'month', 'year') THEN
        RAISE EXCEPTION 'a partition is a day, a month or a year wide, not %', quote_literal(width);
    END IF;
    -- The lock under which loads make partitions of this table, too.
    PERFORM pg_advisory_xact_lock(1885434484, ('x' || lpad(to_hex(parent::oid::bigint), 8, '0'))
        ::bit(32)::integer);
    SELECT n.nspname, c.relname, c.relowner::regrole AS owner,
           c.relowner <> current_user::regrole AS foreign_owner
    INTO home FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = parent;
    SELECT coalesce(array_agg(p.lower), '{}'), coalesce(array_agg(p.upper), '{}')
    INTO lowers, uppers FROM tidegate.partitions(parent) p;
    WHILE moment < last LOOP
        SELECT p.upper INTO held FROM unnest(lowers, uppers) p(lower, upper)
        WHERE p.lower <= moment AND moment < p.upper;
        IF FOUND THEN
            EXIT WHEN held = 'infinity';
            moment := held;
            CONTINUE;
        END IF;
        SELECT greatest(date_trunc(width, moment), max(p.upper) FILTER (WHERE p.upper <= moment)),
               least(date_trunc(width, moment) + step,
                     min(p.lower) FILTER (WHERE p.lower > moment))
        INTO lo, hi FROM unnest(lowers, uppers) p(lower, upper);
        name := left(home.relname, 48) || '_p' || to_char(lo, CASE width
            WHEN 'day' THEN 'YYYY_MM_DD' WHEN 'month' THEN 'YYYY_MM' ELSE 'YYYY' END);
        WHILE to_regclass(format('%I.%I', home.nspname, name)) IS NOT NULL LOOP
            name := name || '_';
        END LOOP;
        -- Made apart and attached, which readers and writers of the parent do not notice.
        EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL)', home.nspname, name, parent);
        IF home.foreign_owner THEN
            EXECUTE format('ALTER TABLE %I.%I OWNER TO %s', home.nspname, name, home.owner);
        END IF;
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
            parent, home.nspname, name, lo, hi);
        lowers := lowers || lo;
        uppers := uppers || hi;
        made := made + 1;
        moment := hi;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION tidegate.make_partitions(regclass, text, timestamptz, timestamptz) IS
    'Makes what is missing of the partitions from first to before last, a day, month or year wide in UTC, narrower beside others. Says how many.';

CREATE OR REPLACE FUNCTION tidegate.drop_partitions(parent regclass, before timestamptz)
RETURNS integer
LANGUAGE plpgsql STRICT
SET timezone = 'UTC' SET search_path = pg_catalog
AS $$
DECLARE
    gone record;
    had bigint;
    dropped integer := 0;
BEGIN
    FOR gone IN
        SELECT p.*, n.nspname || '.' || c.relname AS target
        FROM tidegate.partitions(parent) p, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = parent AND p.upper <= before AND p.lower > '-infinity'
    LOOP
        EXECUTE format('SELECT count(*) FROM %s', gone.partition) INTO had;
        INSERT INTO tidegate.dropped_range (target, partition, from_ts, to_ts, rows)
        VALUES (gone.target, gone.partition::text, gone.lower, gone.upper, had);
        EXECUTE format('DROP TABLE %s', gone.partition);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
COMMENT ON FUNCTION tidegate.drop_partitions(regclass, timestamptz) IS
    'Drops the partitions that end at or before a time and records what they held. Says how many.';

CREATE OR REPLACE FUNCTION tidegate.swap_table(old regclass, fresh regclass)
RETURNS void
LANGUAGE plpgsql STRICT
SET search_path = pg_catalog
AS $$
DECLARE
    home record;
    part record;
    of_view record;
    statement text;
    make_again text[] := '{}';
    index_names text[][] := '{}';
    of_index record;
BEGIN
    SELECT n.nspname, c.relname INTO home
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = old;
    -- Views name a table by its number: they are made again over the fresh one.
    FOR of_view IN
        SELECT DISTINCT v.oid::regclass AS name, pg_get_viewdef(v.oid) AS definition,
               obj_description(v.oid, 'pg_class') AS comment, v.oid
        FROM pg_depend d
        JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v'
        WHERE d.refobjid = old AND d.refclassid = 'pg_class'::regclass
    LOOP
        make_again := make_again || format('CREATE VIEW %s AS %s', of_view.name,
            of_view.definition);
        IF of_view.comment IS NOT NULL THEN
            make_again := make_again || format('COMMENT ON VIEW %s IS %L', of_view.name,
                of_view.comment);
        END IF;
        make_again := make_again || ARRAY(
            SELECT format('GRANT %s ON %s TO %s', a.privilege_type, of_view.name,
                CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
            FROM pg_class c, aclexplode(c.relacl) a
            WHERE c.oid = of_view.oid AND a.grantee <> c.relowner);
        EXECUTE format('DROP VIEW %s', of_view.name);
    END LOOP;
    make_again := make_again || ARRAY(
        SELECT format('GRANT %s ON %s TO %s', a.privilege_type, old::text,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
        FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = old AND a.grantee <> c.relowner);
    make_again := make_again || coalesce(
        format('COMMENT ON TABLE %s IS %L', old::text, obj_description(old, 'pg_class')), '');
    make_again := make_again || ARRAY(
        SELECT format('COMMENT ON COLUMN %s.%I IS %L', old::text, a.attname,
            col_description(old, a.attnum))
        FROM pg_attribute a
        WHERE a.attrelid = old AND a.attnum > 0 AND col_description(old, a.attnum) IS NOT NULL);
    -- Which index is which: what they index, whatever they are called.
    FOR of_index IN
        SELECT DISTINCT ON (o.indexrelid) oc.relname AS old_name, nc.relname AS new_name
        FROM pg_index o
        JOIN pg_class oc ON oc.oid = o.indexrelid
        JOIN pg_index w ON w.indrelid = fresh AND w.indkey::text = o.indkey::text
            AND w.indoption::text = o.indoption::text AND w.indisunique = o.indisunique
            AND w.indnkeyatts = o.indnkeyatts
        JOIN pg_class nc ON nc.oid = w.indexrelid AND nc.relam = oc.relam
        WHERE o.indrelid = old AND pg_get_expr(w.indexprs, fresh)
                IS NOT DISTINCT FROM pg_get_expr(o.indexprs, old)
            AND pg_get_expr(w.indpred, fresh) IS NOT DISTINCT FROM pg_get_expr(o.indpred, old)
        ORDER BY o.indexrelid, w.indexrelid
    LOOP
        index_names := index_names || ARRAY[[of_index.old_name::text, of_index.new_name::text]];
    END LOOP;
    EXECUTE format('DROP TABLE %s', old);
    EXECUTE format('ALTER TABLE %s RENAME TO %I', fresh, home.relname);
    FOR n IN 1 .. coalesce(array_length(index_names, 1), 0) LOOP
        EXECUTE format('ALTER INDEX %I.%I RENAME TO %I', home.nspname, index_names[n][2],
            index_names[n][1]);
    END LOOP;
    FOR part IN
        SELECT i.inhrelid::regclass AS name,
               replace(c.relname, home.relname || '_v2_', home.relname || '_') AS plain
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = fresh AND c.relname LIKE '%\_v2\_%'
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME TO %I', part.name, part.plain);
    END LOOP;
    FOREACH statement IN ARRAY make_again LOOP
        IF statement <> '' THEN
            EXECUTE statement;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tidegate.swap_table(regclass, regclass) IS
    'Puts a fresh table in the place of an old one, which is dropped: its name, the names of its indexes, views, grants and comments.';
