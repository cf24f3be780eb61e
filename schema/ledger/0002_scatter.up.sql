-- What scattered loads need beyond portions: rows of many sources sorted into the order of the
-- target before they are written. A window's residue portion (route '*') commits these rows with
-- the rejects; each route's portions commit with their data.
CREATE TABLE IF NOT EXISTS tidegate.stretch (
    set_id       bigint NOT NULL,
    window_no    integer NOT NULL,
    set_ordinal  integer NOT NULL,
    span_start   bigint NOT NULL,
    span_end     bigint NOT NULL,
    first_span   integer NOT NULL,
    spans        integer NOT NULL,
    first_row    bigint NOT NULL,
    rows         bigint NOT NULL,
    first_line   bigint NOT NULL,
    lines        bigint NOT NULL,
    PRIMARY KEY (set_id, window_no, set_ordinal)
);
COMMENT ON TABLE tidegate.stretch IS
    'The part of one source that a window of a scattered load covers.';
COMMENT ON COLUMN tidegate.stretch.rows IS 'Records read in it.';

CREATE TABLE IF NOT EXISTS tidegate.route (
    set_id     bigint NOT NULL,
    window_no  integer NOT NULL,
    route      text NOT NULL,
    from_us    bigint,
    to_us      bigint,
    rows       bigint[] NOT NULL,
    cuts       text[] NOT NULL,
    PRIMARY KEY (set_id, window_no, route)
);
COMMENT ON TABLE tidegate.route IS
    'How many records of a window each route must receive: its portions must add up to them.';
COMMENT ON COLUMN tidegate.route.from_us IS
    'First instant of its partition, in microseconds from 1970 UTC; NULL if it is none.';
COMMENT ON COLUMN tidegate.route.rows IS 'An array over the loads of the set, by set_ordinal.';
COMMENT ON COLUMN tidegate.route.cuts IS
    'Packed keys at which the route is cut into parts, where it is not written as a whole.';
