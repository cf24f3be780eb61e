-- The ledger: what was loaded from where, committed in the same transaction as the data.
-- No foreign keys: every writer would lock the same parent row. The loader keeps the references,
-- and the seal of a load proves them.
-- Asked first: IF NOT EXISTS needs a right on the database even where the schema is there.
DO $$ BEGIN
    IF to_regnamespace('tidegate') IS NULL THEN CREATE SCHEMA tidegate; END IF;
END $$;

CREATE TABLE IF NOT EXISTS tidegate.run (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command      text NOT NULL,
    program      text NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at  timestamptz,
    exit_code    integer
);
COMMENT ON TABLE tidegate.run IS 'One invocation of a command that writes.';

CREATE TABLE IF NOT EXISTS tidegate.content (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity    bytea NOT NULL UNIQUE,
    hash        bytea NOT NULL,
    bytes       bigint NOT NULL,
    target      text NOT NULL,
    target_oid  oid NOT NULL,
    dataset     text NOT NULL,
    facts       jsonb NOT NULL,
    first_seen  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tidegate.content IS
    'Bytes that were loaded into a target, with every fact taken from outside the bytes.';
COMMENT ON COLUMN tidegate.content.identity IS
    'BLAKE3 over hash, target, dataset and facts: what makes a content the same content.';
COMMENT ON COLUMN tidegate.content.hash IS 'BLAKE3 of the stored bytes; never of a name.';

CREATE TABLE IF NOT EXISTS tidegate.load_set (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    strategy    text NOT NULL,
    cut_rule    text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tidegate.load_set IS
    'A frozen, ordered list of loads that share a rule for cutting batches.';

CREATE TABLE IF NOT EXISTS tidegate.load (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content_id      bigint NOT NULL,
    generation      integer NOT NULL,
    ts_from         timestamptz NOT NULL,
    ts_to           timestamptz NOT NULL,
    set_id          bigint NOT NULL,
    set_ordinal     integer NOT NULL,
    run_id          bigint NOT NULL,
    source          text NOT NULL,
    layout          text NOT NULL,
    layout_version  integer NOT NULL,
    replay          jsonb NOT NULL,
    on_conflict     text NOT NULL,
    span_unit       text NOT NULL,
    span_end        bigint NOT NULL,
    begun_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    sealed_at       timestamptz,
    read            bigint,
    inserted        bigint,
    updated         bigint,
    duplicate       bigint,
    conflicting     bigint,
    rejected        bigint,
    skipped         bigint,
    UNIQUE (content_id, generation, ts_from, ts_to)
);
CREATE INDEX IF NOT EXISTS load_set_id_idx ON tidegate.load (set_id);
COMMENT ON TABLE tidegate.load IS
    'A content with its time window. Sealed once its portions are proved complete.';
COMMENT ON COLUMN tidegate.load.generation IS 'Raised by --reload, which opens a content again.';
COMMENT ON COLUMN tidegate.load.span_end IS
    'Size of the source in span units: its portions must tile 0 to this.';
COMMENT ON COLUMN tidegate.load.replay IS
    'The mapping with which a mended reject is read again.';

CREATE TABLE IF NOT EXISTS tidegate.portion (
    set_id        bigint NOT NULL,
    route         text NOT NULL,
    window_no     integer NOT NULL,
    run_id        bigint NOT NULL,
    committed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    span_start    bigint NOT NULL,
    span_end      bigint NOT NULL,
    first_row     bigint NOT NULL,
    first_line    bigint NOT NULL,
    lines         bigint NOT NULL,
    read          bigint[] NOT NULL,
    inserted      bigint[] NOT NULL,
    updated       bigint[] NOT NULL,
    duplicate     bigint[] NOT NULL,
    conflicting   bigint[] NOT NULL,
    rejected      bigint[] NOT NULL,
    skipped       bigint[] NOT NULL,
    tables        jsonb NOT NULL,
    PRIMARY KEY (set_id, route, window_no)
);
CREATE INDEX IF NOT EXISTS portion_run_id_idx ON tidegate.portion (run_id);
COMMENT ON TABLE tidegate.portion IS
    'The unit of claim, commit, resume and proof: its row commits with its data. Counts are arrays over the loads of the set, by set_ordinal.';

CREATE TABLE IF NOT EXISTS tidegate.reject (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    load_id      bigint NOT NULL,
    window_no    integer NOT NULL,
    run_id       bigint NOT NULL,
    source       text NOT NULL,
    row_no       bigint NOT NULL,
    line_no      bigint,
    byte_offset  bigint,
    byte_len     bigint NOT NULL,
    rule         text NOT NULL,
    column_name  text,
    sqlstate     text,
    reason       text NOT NULL,
    raw          bytea NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at  timestamptz,
    resolved_by  bigint
);
CREATE INDEX IF NOT EXISTS reject_load_id_idx ON tidegate.reject (load_id, window_no);
COMMENT ON TABLE tidegate.reject IS
    'Source records that were refused, with their original bytes (up to 1 MiB each).';
COMMENT ON COLUMN tidegate.reject.resolved_by IS 'The run that replayed the mended record.';
