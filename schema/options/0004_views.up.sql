-- tidegate: queries
-- Views on the option aggregates, and putting a table in the place of another without a gap. Runs in
-- psql; applying it twice changes nothing.
CREATE OR REPLACE VIEW public.fo_expiry_metrics_5min AS
SELECT symbol, expiry, bucket_time,
       count(*) AS strikes,
       sum(call_volume) AS call_volume,
       sum(put_volume) AS put_volume,
       sum(call_oi_sum) AS call_oi,
       sum(put_oi_sum) AS put_oi,
       sum(put_oi_sum) / nullif(sum(call_oi_sum), 0) AS put_call_oi_ratio,
       sum(put_volume) / nullif(sum(call_volume), 0) AS put_call_volume_ratio,
       (array_agg(strike ORDER BY call_oi_sum DESC NULLS LAST, strike))[1] AS highest_call_oi_strike,
       (array_agg(strike ORDER BY put_oi_sum DESC NULLS LAST, strike))[1] AS highest_put_oi_strike,
       (array_agg(strike ORDER BY abs(moneyness), strike))[1] AS atm_strike,
       (array_agg(call_iv_avg ORDER BY abs(moneyness), strike))[1] AS atm_call_iv,
       (array_agg(put_iv_avg ORDER BY abs(moneyness), strike))[1] AS atm_put_iv,
       avg(underlying_close) AS underlying_close
FROM public.fo_option_strike_bars_5min
GROUP BY symbol, expiry, bucket_time;
COMMENT ON VIEW public.fo_expiry_metrics_5min IS
    'All strikes of an expiry in a bucket of 5 minutes: totals, put to call ratios, at the money.';

CREATE OR REPLACE VIEW public.fo_expiry_metrics_15min AS
SELECT symbol, expiry, bucket_time,
       count(*) AS strikes,
       sum(call_volume) AS call_volume,
       sum(put_volume) AS put_volume,
       sum(call_oi_sum) AS call_oi,
       sum(put_oi_sum) AS put_oi,
       sum(put_oi_sum) / nullif(sum(call_oi_sum), 0) AS put_call_oi_ratio,
       sum(put_volume) / nullif(sum(call_volume), 0) AS put_call_volume_ratio,
       (array_agg(strike ORDER BY call_oi_sum DESC NULLS LAST, strike))[1] AS highest_call_oi_strike,
       (array_agg(strike ORDER BY put_oi_sum DESC NULLS LAST, strike))[1] AS highest_put_oi_strike,
       (array_agg(strike ORDER BY abs(moneyness), strike))[1] AS atm_strike,
       (array_agg(call_iv_avg ORDER BY abs(moneyness), strike))[1] AS atm_call_iv,
       (array_agg(put_iv_avg ORDER BY abs(moneyness), strike))[1] AS atm_put_iv,
       avg(underlying_close) AS underlying_close
FROM public.fo_option_strike_bars_15min
GROUP BY symbol, expiry, bucket_time;
COMMENT ON VIEW public.fo_expiry_metrics_15min IS
    'All strikes of an expiry in a bucket of 15 minutes: totals, put to call ratios, at the money.';

CREATE MATERIALIZED VIEW IF NOT EXISTS public.fo_option_strike_latest AS
SELECT DISTINCT ON (b.symbol, b.expiry, b.strike)
       b.*, b.strike / nullif(b.underlying_close, 0) - 1 AS moneyness
FROM (
    -- The last bucket of each symbol, one probe of an index each.
    WITH RECURSIVE symbols AS (
        (SELECT symbol FROM public.fo_option_strike_bars ORDER BY symbol LIMIT 1)
        UNION ALL
        SELECT (SELECT n.symbol FROM public.fo_option_strike_bars n WHERE n.symbol > s.symbol
                ORDER BY n.symbol LIMIT 1)
        FROM symbols s WHERE s.symbol IS NOT NULL
    )
    SELECT s.symbol, (SELECT max(m.bucket_time) FROM public.fo_option_strike_bars m
                      WHERE m.symbol = s.symbol) AS last
    FROM symbols s WHERE s.symbol IS NOT NULL
) of
JOIN public.fo_option_strike_bars b
    ON b.symbol = of.symbol AND b.bucket_time > of.last - interval '1 day'
   AND b.expiry >= (of.last AT TIME ZONE 'UTC')::date
ORDER BY b.symbol, b.expiry, b.strike, b.bucket_time DESC;
COMMENT ON MATERIALIZED VIEW public.fo_option_strike_latest IS
    'The last minute of each strike that had one in the last day of its symbol and has not expired; to be refreshed every minute.';
CREATE UNIQUE INDEX IF NOT EXISTS fo_option_strike_latest_key
    ON public.fo_option_strike_latest (symbol, expiry, strike);
CREATE INDEX IF NOT EXISTS fo_option_strike_latest_moneyness_idx
    ON public.fo_option_strike_latest (symbol, expiry, moneyness);

CREATE OR REPLACE VIEW public.fo_option_completeness AS
SELECT '1min' AS width, count(*) AS total, count(call_oi) AS with_call_oi,
       count(put_oi) AS with_put_oi
FROM public.fo_option_strike_bars
UNION ALL
SELECT '5min', count(*), count(call_oi_sum), count(put_oi_sum)
FROM public.fo_option_strike_bars_5min
UNION ALL
SELECT '15min', count(*), count(call_oi_sum), count(put_oi_sum)
FROM public.fo_option_strike_bars_15min;
COMMENT ON VIEW public.fo_option_completeness IS
    'Rows of each width, and how many of them have open interest of calls and of puts.';
