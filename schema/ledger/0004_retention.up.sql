-- What retention takes away, step by step, so that a run that was cut short is finished by the
-- next one: a partition is detached, written to an archive if one was asked for, and dropped. When
-- vacuuming and reindexing was done last. And what chunks of hypertables have in common with
-- partitions. Runs in psql; applying it twice changes nothing.
CREATE TABLE IF NOT EXISTS tidegate.retired (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target      text NOT NULL,
    partition   text NOT NULL,
    from_ts     timestamptz NOT NULL,
    to_ts       timestamptz NOT NULL,
    archive_to  text,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    file        text,
    rows        bigint,
    content     text,
    bytes       bigint,
    written_at  timestamptz,
    dropped_at  timestamptz,
    removed_at  timestamptz
);
CREATE INDEX IF NOT EXISTS retired_unfinished_idx ON tidegate.retired (id)
    WHERE dropped_at IS NULL;
COMMENT ON TABLE tidegate.retired IS
    'Partitions that retention took away, or is about to: those without dropped_at are detached, or soon will be, and are finished by the next run.';
COMMENT ON COLUMN tidegate.retired.target IS 'The table, as schema.table.';
COMMENT ON COLUMN tidegate.retired.partition IS 'The partition, quoted as SQL needs it.';
COMMENT ON COLUMN tidegate.retired.archive_to IS
    'The folder or URL that its file is written to; NULL: it is dropped without one.';
COMMENT ON COLUMN tidegate.retired.file IS 'The archive, once it was written and compared.';
COMMENT ON COLUMN tidegate.retired.content IS
    'The sum of the hashes of its rows, which does not depend on their order.';
COMMENT ON COLUMN tidegate.retired.removed_at IS
    'When the archive was removed, its own time being up.';

CREATE TABLE IF NOT EXISTS tidegate.upkeep (
    action   text NOT NULL,
    target   text NOT NULL,
    done_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (action, target)
);
COMMENT ON TABLE tidegate.upkeep IS
    'When what is done every so often was done last: vacuum, reindex, and for which table.';

CREATE OR REPLACE FUNCTION tidegate.is_hypertable(of_table regclass)
RETURNS boolean
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog
AS $$
DECLARE
    found boolean;
BEGIN
    -- The view is TimescaleDB's, which may be here or not.
    IF to_regclass('timescaledb_information.hypertables') IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE 'SELECT EXISTS (SELECT FROM timescaledb_information.hypertables h
                 WHERE format(''%I.%I'', h.hypertable_schema, h.hypertable_name)::regclass = $1)'
    INTO found USING of_table;
    RETURN found;
END
$$;
COMMENT ON FUNCTION tidegate.is_hypertable(regclass) IS 'Whether a table is one of TimescaleDB.';

-- As before, and the chunks of a hypertable.
CREATE OR REPLACE FUNCTION tidegate.partitions(parent regclass)
RETURNS TABLE (partition regclass, lower timestamptz, upper timestamptz)
LANGUAGE plpgsql STABLE STRICT
SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET search_path = pg_catalog
AS $$
#variable_conflict use_column
BEGIN
    IF tidegate.is_hypertable(parent) THEN
        RETURN QUERY EXECUTE
            'SELECT format(''%I.%I'', c.chunk_schema, c.chunk_name)::regclass,
                    c.range_start, c.range_end
             FROM timescaledb_information.chunks c
             WHERE format(''%I.%I'', c.hypertable_schema, c.hypertable_name)::regclass = $1
             ORDER BY 2' USING parent;
        RETURN;
    END IF;
    RETURN QUERY
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
    ORDER BY 2;
END
$$;
COMMENT ON FUNCTION tidegate.partitions(regclass) IS
    'The partitions of a table that is partitioned by ranges of time, or the chunks of a hypertable, from lower to before upper.';

-- As before, but never more than 500 in a transaction: call it again while it says 500.
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
        ORDER BY p.upper LIMIT 500
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
    'Drops the oldest partitions that end at or before a time, 500 at most, and records what they held. Says how many.';
