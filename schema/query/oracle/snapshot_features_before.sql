-- derived.snapshot_features_trade_v1 before it was optimised, for scripts/bench-snapshot-features:
-- the window scans the trades a second time, and first and last prices come from ordered aggregates,
-- which force a sort of all trades and a GroupAggregate.
WITH game_time_info AS (
    SELECT g.game_id, g.home_team, g.away_team, g.game_start,
           coalesce(g.game_end, (SELECT max(s.ts) FROM espn.game_states s
                                 WHERE s.game_id = g.game_id)) AS game_end
    FROM espn.games g
),
markets_dedup AS (
    SELECT DISTINCT ON (m.ticker) m.ticker, m.espn_event_id, m.team_side
    FROM kalshi.markets m
    WHERE m.espn_event_id IS NOT NULL AND m.team_side IS NOT NULL
    ORDER BY m.ticker, m.espn_event_id
),
kalshi_window_info AS (
    SELECT md.espn_event_id AS game_id,
           min(kt.created_time) AS kalshi_window_start,
           max(kt.created_time) AS kalshi_window_end
    FROM game_time_info gti
    JOIN markets_dedup md ON md.espn_event_id = gti.game_id
    JOIN kalshi.trades kt
        ON kt.ticker = md.ticker AND kt.created_time IS NOT NULL
       AND kt.created_time >= gti.game_start
       AND (kt.yes_price IS NOT NULL OR kt.no_price IS NOT NULL)
    GROUP BY md.espn_event_id
),
game_time_with_kalshi AS (
    SELECT gti.*, kwi.kalshi_window_start, kwi.kalshi_window_end
    FROM game_time_info gti LEFT JOIN kalshi_window_info kwi USING (game_id)
),
game_windows AS (
    SELECT gti.game_id, md.ticker, md.team_side AS kalshi_team_side, gti.game_start
    FROM game_time_info gti JOIN markets_dedup md ON md.espn_event_id = gti.game_id
),
trade_base AS (
    SELECT gw.game_id, gw.ticker, gw.kalshi_team_side,
           date_trunc('second', t.created_time) AS period_ts,
           t.created_time, t.trade_id, t.content, t.row_no,
           CASE WHEN t.yes_price IS NOT NULL THEN t.yes_price ELSE 100 - t.no_price END
               AS price_cents,
           t.count
    FROM game_windows gw
    JOIN LATERAL (
        SELECT * FROM kalshi.trades kt
        WHERE kt.ticker = gw.ticker AND kt.created_time IS NOT NULL
          AND kt.created_time >= gw.game_start
          AND (kt.yes_price IS NOT NULL OR kt.no_price IS NOT NULL)
    ) t ON true
),
trade_agg_core AS MATERIALIZED (
    SELECT game_id, ticker, kalshi_team_side, period_ts,
           min(created_time) AS first_ct, max(created_time) AS last_ct,
           (array_agg(price_cents ORDER BY created_time, trade_id COLLATE "C", content, row_no))[1]
               AS first_price,
           (array_agg(price_cents
               ORDER BY created_time DESC, trade_id COLLATE "C" DESC, content DESC, row_no DESC))[1]
               AS last_price,
           min(price_cents) AS min_price, max(price_cents) AS max_price,
           round(avg(price_cents), 6) AS avg_price,
           round(sum(price_cents * count) / nullif(sum(count), 0), 6) AS vwap,
           sum(count) AS contracts, count(*) AS trade_count
    FROM trade_base
    GROUP BY game_id, ticker, kalshi_team_side, period_ts
),
side_markets AS (
    SELECT DISTINCT ON (game_id, kalshi_team_side) game_id, kalshi_team_side, ticker
    FROM (SELECT game_id, kalshi_team_side, ticker, count(*) AS trades FROM trade_base
          GROUP BY 1, 2, 3) v
    ORDER BY game_id, kalshi_team_side, trades DESC, ticker
),
-- Seconds with trades and snapshots in one line of time, as in the view: each snapshot belongs to
-- the second with trades before it. Values are carried along, for the planner thinks the CTEs small
-- and would join them badly.
time_line AS (
    SELECT sm.game_id, sm.kalshi_team_side, sm.ticker, tac.period_ts, NULL::bigint AS sequence,
           tac.period_ts AS traded, tac.last_price, tac.vwap, tac.trade_count, tac.contracts
    FROM side_markets sm JOIN trade_agg_core tac USING (game_id, ticker, kalshi_team_side)
    UNION ALL
    SELECT sm.game_id, sm.kalshi_team_side, sm.ticker, date_trunc('second', s.ts), s.sequence,
           NULL, NULL, NULL, NULL, NULL
    FROM espn.game_states s JOIN side_markets sm USING (game_id)
),
numbered AS (
    SELECT tl.*, count(tl.traded) OVER (PARTITION BY tl.game_id, tl.kalshi_team_side
               ORDER BY tl.period_ts, tl.sequence NULLS FIRST ROWS UNBOUNDED PRECEDING) AS second_no
    FROM time_line tl
),
carried AS (
    SELECT n.game_id, n.kalshi_team_side, n.ticker, n.sequence, n.second_no,
           first_value(n.traded) OVER second AS period_ts,
           first_value(n.last_price) OVER second AS last_price,
           first_value(n.vwap) OVER second AS vwap,
           first_value(n.trade_count) OVER second AS trade_count,
           first_value(n.contracts) OVER second AS contracts
    FROM numbered n
    WINDOW second AS (PARTITION BY n.game_id, n.kalshi_team_side, n.second_no
        ORDER BY n.period_ts, n.sequence NULLS FIRST)
),
snapshot_sides AS MATERIALIZED (
    SELECT * FROM carried WHERE sequence IS NOT NULL AND second_no > 0
)
SELECT s.game_id, s.sequence, s.ts, gtk.home_team, gtk.away_team,
       extract(epoch FROM s.ts - gtk.game_start) AS seconds_since_start,
       s.period, s.clock_seconds, s.home_score, s.away_score,
       s.home_score - s.away_score AS score_difference, s.home_win_probability,
       gtk.kalshi_window_start, gtk.kalshi_window_end,
       extract(epoch FROM s.ts - gtk.kalshi_window_start)
           / nullif(extract(epoch FROM gtk.kalshi_window_end - gtk.kalshi_window_start), 0)
           AS window_progress,
       home.ticker AS home_ticker, home.period_ts AS home_last_trade_ts,
       home.last_price AS home_price, home.vwap AS home_vwap,
       CASE WHEN home.period_ts = date_trunc('second', s.ts) THEN home.trade_count ELSE 0 END
           AS home_trade_count,
       CASE WHEN home.period_ts = date_trunc('second', s.ts) THEN home.contracts ELSE 0 END
           AS home_contracts,
       away.ticker AS away_ticker, away.period_ts AS away_last_trade_ts,
       away.last_price AS away_price, away.vwap AS away_vwap,
       CASE WHEN away.period_ts = date_trunc('second', s.ts) THEN away.trade_count ELSE 0 END
           AS away_trade_count,
       CASE WHEN away.period_ts = date_trunc('second', s.ts) THEN away.contracts ELSE 0 END
           AS away_contracts,
       home.last_price + away.last_price - 100 AS overround,
       s.home_win_probability - (home.last_price / 100)::double precision AS home_edge
FROM espn.game_states s
JOIN game_time_with_kalshi gtk USING (game_id)
LEFT JOIN snapshot_sides home
    ON (home.game_id, home.sequence, home.kalshi_team_side) = (s.game_id, s.sequence, 'home')
LEFT JOIN snapshot_sides away
    ON (away.game_id, away.sequence, away.kalshi_team_side) = (s.game_id, s.sequence, 'away')
