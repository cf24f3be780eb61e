-- tidegate: queries
-- What the market said at each snapshot of a game. Runs in psql; applying it twice changes nothing.
-- `tidegate refresh` makes it with work_mem at 2 GB, so that trade_agg_core is one hash table.
-- The window of a game's trades comes from its seconds, for which each trade was looked at already;
-- game_windows must not depend on it. Both keep the same filter: created_time from the start of the
-- game on, without an end, and a price.
CREATE SCHEMA IF NOT EXISTS derived;

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
-- Prices as millionths of a cent and whole numbers: exact, and small in a hash table. `place` puts
-- a trade in its second: microseconds, then the id, then where it came from; its end is the price.
-- chr(1) comes before whatever ids are made of.
-- OFFSET 0 has each of these computed once, and keeps a look-up for each market: else all trades
-- may go into a hash table.
trade_base AS (
    SELECT gw.window_no, t.period_ts, t.created_time, t.price_cents,
           (t.count * 1000000)::bigint AS contracts,
           (t.count * t.price_cents)::bigint AS cents,
           ((1000000 + date_part('microseconds', t.created_time - t.period_ts)::integer)
               || t.trade_id
               || CASE t.trade_id WHEN '' THEN chr(1) || lpad(to_hex(t.content), 16, '0')
                   || lpad(to_hex(t.row_no), 16, '0') ELSE '' END
               || chr(1) || t.price_cents) COLLATE "C" AS place
    FROM game_windows gw
    JOIN LATERAL (
        SELECT date_bin('1 second', kt.created_time, 'epoch'::timestamptz) AS period_ts,
               kt.created_time, kt.trade_id, kt.content, kt.row_no, kt.count,
               (coalesce(kt.yes_price, 100 - kt.no_price) * 1000000)::integer AS price_cents
        FROM kalshi.trades kt
        WHERE kt.ticker = gw.ticker AND kt.created_time IS NOT NULL
          AND kt.created_time >= gw.game_start
          AND (kt.yes_price IS NOT NULL OR kt.no_price IS NOT NULL)
        OFFSET 0
    ) t ON true
    OFFSET 0
),
-- Nothing here is ordered or DISTINCT, which would force a sort: the first and the last price are
-- in the least and the greatest place.
trade_agg AS MATERIALIZED (
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
trade_agg_core AS NOT MATERIALIZED (
    SELECT gw.game_id, gw.ticker, gw.kalshi_team_side, ta.period_ts, ta.first_ct, ta.last_ct,
           trim_scale(split_part(ta.first_place, chr(1), -1)::numeric / 1000000) AS first_price,
           trim_scale(split_part(ta.last_place, chr(1), -1)::numeric / 1000000) AS last_price,
           trim_scale(ta.min_price::numeric / 1000000) AS min_price,
           trim_scale(ta.max_price::numeric / 1000000) AS max_price,
           round(ta.price_sum::numeric / ta.trade_count / 1000000, 6) AS avg_price,
           round(ta.cents / nullif(ta.contracts, 0), 6) AS vwap,
           trim_scale(ta.contracts / 1000000) AS contracts,
           ta.trade_count, ta.window_no
    FROM trade_agg ta JOIN game_windows gw USING (window_no)
),
-- One pass over the seconds for all that is asked of a market as a whole.
market_totals AS MATERIALIZED (
    SELECT ta.window_no, min(ta.first_ct) AS first_ct, max(ta.last_ct) AS last_ct,
           sum(ta.trade_count) AS trades
    FROM trade_agg ta
    GROUP BY ta.window_no
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
-- trades before it, whose number and values it takes over. A join would be planned for a few rows.
time_line AS (
    SELECT tac.window_no, tac.period_ts, NULL::bigint AS sequence, tac.period_ts AS traded,
           tac.last_price, tac.vwap, tac.trade_count, tac.contracts
    FROM trade_agg_core tac JOIN side_markets sm USING (window_no)
    UNION ALL
    SELECT sm.window_no, date_trunc('second', s.ts), s.sequence, NULL, NULL, NULL, NULL, NULL
    FROM espn.game_states s JOIN side_markets sm USING (game_id)
),
numbered AS (
    SELECT tl.*, count(tl.traded) OVER (PARTITION BY tl.window_no
               ORDER BY tl.period_ts, tl.sequence NULLS FIRST ROWS UNBOUNDED PRECEDING) AS second_no
    FROM time_line tl
),
carried AS (
    SELECT n.window_no, n.period_ts, n.sequence, n.second_no,
           first_value(n.traded) OVER second AS traded,
           first_value(n.last_price) OVER second AS last_price,
           first_value(n.vwap) OVER second AS vwap,
           first_value(n.trade_count) OVER second AS trade_count,
           first_value(n.contracts) OVER second AS contracts
    FROM numbered n
    WINDOW second AS (PARTITION BY n.window_no, n.second_no
        ORDER BY n.period_ts, n.sequence NULLS FIRST)
),
snapshot_sides AS MATERIALIZED (
    SELECT sm.game_id, c.sequence, sm.kalshi_team_side, sm.ticker, c.traded AS last_trade_ts,
           c.last_price, c.vwap,
           CASE WHEN c.traded = c.period_ts THEN c.trade_count ELSE 0 END AS trade_count,
           CASE WHEN c.traded = c.period_ts THEN c.contracts ELSE 0 END AS contracts
    FROM carried c JOIN side_markets sm USING (window_no)
    WHERE c.sequence IS NOT NULL AND c.second_no > 0
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
