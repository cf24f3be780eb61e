-- tidegate: queries
-- What the market said at each snapshot of a game. Runs in psql; applying it twice changes nothing.
-- `tidegate refresh` makes it with work_mem at 2 GB, so that trade_agg_core is one hash table.
-- The window of a game's trades comes from its seconds, for which each trade was looked at already;
-- game_windows must not depend on it. Both keep the same filter: created_time from the start of the
-- game on, without an end, and a price.
-- Asked first: IF NOT EXISTS needs a right on the database even where the schema is there.
DO $$ BEGIN
    IF to_regnamespace('derived') IS NULL THEN CREATE SCHEMA derived; END IF;
END $$;

CREATE MATERIALIZED VIEW IF NOT EXISTS derived.snapshot_features_trade_v1 AS
WITH game_time_info AS MATERIALIZED (
    SELECT g.game_id, g.home_team, g.away_team, g.game_start,
           coalesce(g.game_end, max(s.ts)) AS game_end
    FROM espn.games g LEFT JOIN espn.game_states s USING (game_id)
    GROUP BY g.game_id
),
markets_dedup AS MATERIALIZED (
    SELECT DISTINCT ON (m.ticker) m.ticker, m.espn_event_id, m.team_side
    FROM kalshi.markets m
    WHERE m.espn_event_id IS NOT NULL AND m.team_side IS NOT NULL
    ORDER BY m.ticker, m.espn_event_id
),
game_windows AS MATERIALIZED (
    SELECT (row_number() OVER (ORDER BY md.ticker))::integer AS window_no,
           gti.game_id, md.ticker, md.team_side AS kalshi_team_side, gti.game_start
    FROM game_time_info gti JOIN markets_dedup md ON md.espn_event_id = gti.game_id
),
-- Prices as millionths of a cent and whole numbers: exact, and small in a hash table. `place` numbers
-- the trades of a market in their order (by time, then by id, then by where they came from), which
-- is that of the index, and has the price in its last 27 bits. OFFSET 0 keeps a look-up for each
-- market: else all trades may go into a hash table.
trade_base AS (
    SELECT gw.window_no, t.period_ts, t.created_time, t.price_cents,
           (t.count * 1000000)::bigint AS contracts,
           (t.count * t.price_cents)::bigint AS cents,
           t.number * 134217728 + t.price_cents AS place
    FROM game_windows gw
    JOIN LATERAL (
        SELECT date_bin('1 second', kt.created_time, 'epoch'::timestamptz) AS period_ts,
               kt.created_time, kt.count,
               (coalesce(kt.yes_price, 100 - kt.no_price) * 1000000)::integer AS price_cents,
               row_number() OVER (ORDER BY kt.created_time, kt.trade_id COLLATE "C", kt.content,
                                           kt.row_no) AS number
        FROM kalshi.trades kt
        WHERE kt.ticker = gw.ticker AND kt.created_time IS NOT NULL
          AND kt.created_time >= gw.game_start
          AND (kt.yes_price IS NOT NULL OR kt.no_price IS NOT NULL)
        OFFSET 0
    ) t ON true
    OFFSET 0
),
-- A row for each game, ticker, side (together its window_no) and second, in whole numbers; what is
-- asked of them becomes numeric at the end. Nothing here is ordered or DISTINCT, which would force a
-- sort of all trades: the first and the last price are in the least and the greatest place; average
-- and volume-weighted prices are price_sum / trade_count and cents / contracts.
trade_agg_core AS MATERIALIZED (
    SELECT tb.window_no, tb.period_ts,
           min(tb.created_time) AS first_ct,
           max(tb.created_time) AS last_ct,
           min(tb.place) AS first_place,
           max(tb.place) AS last_place,
           min(tb.price_cents) AS min_price,
           max(tb.price_cents) AS max_price,
           sum(tb.price_cents) AS price_sum,
           sum(tb.cents) AS cents,
           sum(tb.contracts) AS contracts,
           count(*) AS trade_count
    FROM trade_base tb
    GROUP BY tb.window_no, tb.period_ts
),
-- One pass over the seconds for all that is asked of a market as a whole.
market_totals AS MATERIALIZED (
    SELECT tac.window_no, min(tac.first_ct) AS first_ct, max(tac.last_ct) AS last_ct,
           sum(tac.trade_count::integer) AS trades
    FROM trade_agg_core tac
    GROUP BY tac.window_no
),
kalshi_window_info AS (
    SELECT gw.game_id, min(mt.first_ct) AS kalshi_window_start,
           max(mt.last_ct) AS kalshi_window_end
    FROM market_totals mt JOIN game_windows gw USING (window_no)
    GROUP BY gw.game_id
),
game_time_with_kalshi AS (
    SELECT gti.*, kwi.kalshi_window_start, kwi.kalshi_window_end
    FROM game_time_info gti LEFT JOIN kalshi_window_info kwi USING (game_id)
),
-- The market of each side that trades most stands for it.
side_markets AS (
    SELECT DISTINCT ON (gw.game_id, gw.kalshi_team_side)
           gw.game_id, gw.kalshi_team_side, gw.ticker, gw.window_no
    FROM market_totals mt JOIN game_windows gw USING (window_no)
    ORDER BY gw.game_id, gw.kalshi_team_side, mt.trades DESC, gw.ticker
),
-- Seconds with trades and snapshots in one line of time: each snapshot belongs to the second with
-- trades before it, whose values it takes over. `at` is market and second in one number, which sorts
-- three times as fast as two. Joins would be planned for a few rows; IS TRUE keeps the planner from
-- making one of IN.
time_line AS (
    SELECT tac.window_no, tac.period_ts, NULL::bigint AS sequence, tac.last_place, tac.cents,
           tac.contracts, tac.trade_count,
           tac.window_no * 17179869184 + date_part('epoch', tac.period_ts)::bigint AS at
    FROM trade_agg_core tac
    WHERE (tac.window_no IN (SELECT sm.window_no FROM side_markets sm)) IS TRUE
    UNION ALL
    SELECT sm.window_no, date_trunc('second', s.ts), s.sequence, NULL, NULL, NULL, NULL,
           sm.window_no * 17179869184 + date_part('epoch', date_trunc('second', s.ts))::bigint
    FROM espn.game_states s JOIN side_markets sm USING (game_id)
),
-- Of the seconds, only those that a snapshot follows are asked for.
followed AS (
    SELECT tl.*, lead(tl.sequence) OVER (ORDER BY tl.at, tl.sequence NULLS FIRST) AS next_sequence
    FROM time_line tl
),
numbered AS (
    SELECT f.*, count(f.last_place) OVER (ORDER BY f.at, f.sequence NULLS FIRST
               ROWS UNBOUNDED PRECEDING) AS second_no
    FROM followed f
    WHERE f.sequence IS NOT NULL OR f.next_sequence IS NOT NULL
),
carried AS (
    SELECT n.window_no, n.period_ts, n.sequence,
           first_value(n.window_no) OVER second AS traded_window_no,
           first_value(n.period_ts) OVER second AS traded,
           first_value(n.last_place) OVER second AS last_place,
           first_value(n.cents) OVER second AS cents,
           first_value(n.contracts) OVER second AS contracts,
           first_value(n.trade_count) OVER second AS trade_count
    FROM numbered n
    WHERE n.second_no > 0
    WINDOW second AS (PARTITION BY n.second_no ORDER BY n.at, n.sequence NULLS FIRST)
),
snapshot_sides AS MATERIALIZED (
    SELECT sm.game_id, c.sequence, sm.kalshi_team_side, sm.ticker, c.traded AS last_trade_ts,
           trim_scale((c.last_place & 134217727)::numeric / 1000000) AS last_price,
           round(c.cents / nullif(c.contracts, 0), 6) AS vwap,
           CASE WHEN c.traded = c.period_ts THEN c.trade_count ELSE 0 END AS trade_count,
           CASE WHEN c.traded = c.period_ts THEN trim_scale(c.contracts / 1000000) ELSE 0 END
               AS contracts
    FROM carried c JOIN side_markets sm USING (window_no)
    -- The second before the first of a market is another market's.
    WHERE c.sequence IS NOT NULL AND c.traded_window_no = c.window_no
)
SELECT s.game_id, s.sequence, s.ts, gtk.home_team, gtk.away_team,
       extract(epoch FROM s.ts - gtk.game_start) AS seconds_since_start,
       s.period, s.clock_seconds, s.home_score, s.away_score,
       s.home_score - s.away_score AS score_difference, s.home_win_probability,
       gtk.kalshi_window_start, gtk.kalshi_window_end,
       extract(epoch FROM s.ts - gtk.kalshi_window_start)
           / nullif(extract(epoch FROM gtk.kalshi_window_end - gtk.kalshi_window_start), 0)
           AS window_progress,
       home.ticker AS home_ticker, home.last_trade_ts AS home_last_trade_ts,
       home.last_price AS home_price, home.vwap AS home_vwap,
       coalesce(home.trade_count, 0) AS home_trade_count,
       coalesce(home.contracts, 0) AS home_contracts,
       away.ticker AS away_ticker, away.last_trade_ts AS away_last_trade_ts,
       away.last_price AS away_price, away.vwap AS away_vwap,
       coalesce(away.trade_count, 0) AS away_trade_count,
       coalesce(away.contracts, 0) AS away_contracts,
       home.last_price + away.last_price - 100 AS overround,
       s.home_win_probability - (home.last_price / 100)::double precision AS home_edge
FROM espn.game_states s
JOIN game_time_with_kalshi gtk USING (game_id)
LEFT JOIN snapshot_sides home
    ON (home.game_id, home.sequence, home.kalshi_team_side) = (s.game_id, s.sequence, 'home')
LEFT JOIN snapshot_sides away
    ON (away.game_id, away.sequence, away.kalshi_team_side) = (s.game_id, s.sequence, 'away')
WITH NO DATA;
COMMENT ON MATERIALIZED VIEW derived.snapshot_features_trade_v1 IS
    'Each snapshot of a game with the prices of the markets on its two sides at that second. Prices in cents, exact to a millionth; vwap is of the second of the last trade.';
CREATE UNIQUE INDEX IF NOT EXISTS snapshot_features_trade_v1_key
    ON derived.snapshot_features_trade_v1 (game_id, sequence);
