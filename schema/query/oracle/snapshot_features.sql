-- derived.snapshot_features_trade_v1 written for its reader, not for speed: what it must say. Tests
-- hold it to this. Each snapshot looks for its trade among all of them, so only for small data;
-- snapshot_features_before.sql is the form that benchmarks compare the view with.
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
trade_agg_core AS (
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
LEFT JOIN LATERAL (
    SELECT tac.* FROM side_markets sm
    JOIN trade_agg_core tac ON tac.game_id = sm.game_id AND tac.ticker = sm.ticker
        AND tac.kalshi_team_side = sm.kalshi_team_side
    WHERE sm.game_id = s.game_id AND sm.kalshi_team_side = 'home'
      AND tac.period_ts <= date_trunc('second', s.ts)
    ORDER BY tac.period_ts DESC LIMIT 1
) home ON true
LEFT JOIN LATERAL (
    SELECT tac.* FROM side_markets sm
    JOIN trade_agg_core tac ON tac.game_id = sm.game_id AND tac.ticker = sm.ticker
        AND tac.kalshi_team_side = sm.kalshi_team_side
    WHERE sm.game_id = s.game_id AND sm.kalshi_team_side = 'away'
      AND tac.period_ts <= date_trunc('second', s.ts)
    ORDER BY tac.period_ts DESC LIMIT 1
) away ON true
