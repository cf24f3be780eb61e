-- Prediction markets, their trades, and the games that they are about. Runs in psql; applying it
-- twice changes nothing. Partitions of kalshi.trades are made when data arrive.
-- Asked first: IF NOT EXISTS needs a right on the database even where the schema is there.
DO $$ BEGIN
    IF to_regnamespace('kalshi') IS NULL THEN CREATE SCHEMA kalshi; END IF;
    IF to_regnamespace('espn') IS NULL THEN CREATE SCHEMA espn; END IF;
END $$;

CREATE TABLE IF NOT EXISTS kalshi.markets (
    ticker           text PRIMARY KEY,
    event_ticker     text,
    series_ticker    text,
    title            text,
    subtitle         text,
    status           text,
    result           text,
    open_time        timestamptz,
    close_time       timestamptz,
    expiration_time  timestamptz,
    last_price       numeric,
    volume           numeric,
    open_interest    numeric,
    espn_event_id    text,
    team_side        text,
    CONSTRAINT markets_result_check CHECK (result IN ('yes', 'no')),
    CONSTRAINT markets_last_price_check CHECK (last_price BETWEEN 0 AND 100),
    CONSTRAINT markets_team_side_check CHECK (team_side IN ('home', 'away'))
);
COMMENT ON TABLE kalshi.markets IS 'Prediction markets.';
COMMENT ON COLUMN kalshi.markets.last_price IS 'In cents.';
COMMENT ON COLUMN kalshi.markets.espn_event_id IS
    'espn.games.game_id of the game that the market is about; NULL if it is about none.';
COMMENT ON COLUMN kalshi.markets.team_side IS 'Whose win means yes.';

CREATE TABLE IF NOT EXISTS kalshi.trades (
    trade_id      text NOT NULL DEFAULT '',
    ticker        text NOT NULL,
    count         numeric NOT NULL,
    yes_price     numeric,
    no_price      numeric,
    taker_side    text,
    created_time  timestamptz NOT NULL,
    content       bigint NOT NULL DEFAULT 0,
    row_no        bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (trade_id, created_time, content, row_no),
    CONSTRAINT trades_count_check CHECK (count > 0),
    CONSTRAINT trades_yes_price_check CHECK (yes_price BETWEEN 0 AND 100),
    CONSTRAINT trades_no_price_check CHECK (no_price BETWEEN 0 AND 100),
    CONSTRAINT trades_price_check CHECK (num_nonnulls(yes_price, no_price) > 0),
    CONSTRAINT trades_sum_check CHECK (yes_price + no_price = 100),
    CONSTRAINT trades_taker_side_check CHECK (taker_side IN ('yes', 'no'))
) PARTITION BY RANGE (created_time);
COMMENT ON TABLE kalshi.trades IS 'Trades on prediction markets.';
COMMENT ON COLUMN kalshi.trades.trade_id IS 'Kalshi''s; empty in dumps that have none.';
COMMENT ON COLUMN kalshi.trades.count IS 'Contracts; may be fractional.';
COMMENT ON COLUMN kalshi.trades.yes_price IS 'In cents, exact; with no_price it is 100.';
COMMENT ON COLUMN kalshi.trades.content IS
    'For a trade without an id: a number made of the content that it came from. Else 0.';
COMMENT ON COLUMN kalshi.trades.row_no IS
    'For a trade without an id: its place in the content, the byte of text, the row of Parquet. Else 0.';

CREATE TABLE IF NOT EXISTS espn.games (
    game_id     text PRIMARY KEY,
    league      text,
    season      integer,
    home_team   text NOT NULL,
    away_team   text NOT NULL,
    game_start  timestamptz NOT NULL,
    game_end    timestamptz,
    home_score  integer,
    away_score  integer,
    status      text,
    CONSTRAINT games_end_check CHECK (game_end >= game_start)
);
COMMENT ON TABLE espn.games IS 'Games that prediction markets are about.';

CREATE TABLE IF NOT EXISTS espn.game_states (
    game_id               text NOT NULL,
    sequence              bigint NOT NULL,
    ts                    timestamptz NOT NULL,
    period                integer,
    clock_seconds         double precision,
    home_score            integer NOT NULL,
    away_score            integer NOT NULL,
    home_win_probability  double precision,
    PRIMARY KEY (game_id, sequence),
    CONSTRAINT game_states_probability_check CHECK (home_win_probability BETWEEN 0 AND 1)
);
COMMENT ON TABLE espn.game_states IS 'Snapshots of games while they are played.';
COMMENT ON COLUMN espn.game_states.game_id IS
    'espn.games.game_id. No foreign key: the loader keeps no order between files.';
COMMENT ON COLUMN espn.game_states.clock_seconds IS 'Seconds left in the period.';
