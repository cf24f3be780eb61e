-- What the nightly job keeps from night to night: who is at it, and how each source stands. Runs in psql; applying it twice changes nothing.
CREATE TABLE IF NOT EXISTS tidegate.lease (
    name         text PRIMARY KEY,
    epoch        bigint NOT NULL,
    holder       text NOT NULL,
    run_id       bigint,
    taken_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    stale_s      double precision NOT NULL,
    released_at  timestamptz
);
COMMENT ON TABLE tidegate.lease IS
    'Who may do what only one may do. A row, not an advisory lock: it holds behind poolers, too.';
COMMENT ON COLUMN tidegate.lease.epoch IS
    'Raised whenever the lease changes hands: a holder whose epoch is not the row''s has lost it.';
COMMENT ON COLUMN tidegate.lease.beat_at IS 'When its holder last said that it is alive.';
COMMENT ON COLUMN tidegate.lease.stale_s IS
    'Seconds of silence after which another may take it.';

CREATE TABLE IF NOT EXISTS tidegate.nightly_source (
    name             text PRIMARY KEY,
    run_id           bigint NOT NULL,
    exit_code        integer NOT NULL,
    ended_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_success_at  timestamptz,
    newest_at        timestamptz
);
COMMENT ON TABLE tidegate.nightly_source IS 'How each source of the nightly job stands.';
COMMENT ON COLUMN tidegate.nightly_source.newest_at IS
    'The time of the newest record that it gave.';

CREATE TABLE IF NOT EXISTS tidegate.short_day (
    source    text NOT NULL,
    day       date NOT NULL,
    ticker    text NOT NULL,
    expected  bigint NOT NULL,
    found     bigint NOT NULL,
    run_id    bigint NOT NULL,
    PRIMARY KEY (source, day, ticker)
);
COMMENT ON TABLE tidegate.short_day IS
    'Days of which the table has fewer records than the source counts, although their files were loaded again.';

-- By bytes, so that it also finds the members of an archive.
CREATE INDEX IF NOT EXISTS load_source_idx ON tidegate.load (source COLLATE "C");
