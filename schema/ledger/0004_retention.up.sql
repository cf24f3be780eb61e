-- What retention takes away, step by step, so that a run that was cut short is finished by the
-- next one: a partition is detached, written to an archive if one was asked for, and dropped. And
-- when vacuuming and reindexing was done last. Runs in psql; applying it twice changes nothing.
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
