-- What is going on right now, for whoever watches from another connection, and the name of the job
-- that a run belongs to. Runs in psql; applying it twice changes nothing.

-- Unlogged: a row is overwritten every second and worth nothing after a crash.
CREATE UNLOGGED TABLE IF NOT EXISTS tidegate.live (
    run_id     bigint PRIMARY KEY,
    host       text NOT NULL,
    pid        integer NOT NULL,
    heartbeat  timestamptz NOT NULL DEFAULT clock_timestamp(),
    figures    jsonb NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE tidegate.live IS
    'Loads that are running, as they say so themselves; `tidegate status --watch` shows them.';
COMMENT ON COLUMN tidegate.live.heartbeat IS
    'When the process last said something; one that has been silent for long is dead.';

ALTER TABLE tidegate.run ADD COLUMN IF NOT EXISTS job text;
COMMENT ON COLUMN tidegate.run.job IS
    'What this run repeats, where it has a name: runs of one job are compared with each other.';
