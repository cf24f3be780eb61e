-- tidegate: queries
-- Option bars of 5 and 15 minutes, each made of the minutes of fo_option_strike_bars, with open
-- interest of their own so that no reader joins back. `tidegate refresh` keeps them exact, bucket
-- by bucket, where a load touched them. Runs in psql after schema/ledger; applying it twice changes
-- nothing. Partitions are months, made when they are filled.
CREATE TABLE IF NOT EXISTS public.fo_option_strike_bars_5min (
    symbol            text NOT NULL,
    expiry            date NOT NULL,
    strike            double precision NOT NULL,
    bucket_time       timestamptz NOT NULL,
    call_iv_avg       double precision,
    call_delta_avg    double precision,
    call_gamma_avg    double precision,
    call_theta_avg    double precision,
    call_vega_avg     double precision,
    call_volume       double precision,
    call_count        bigint,
    call_oi_sum       double precision,
    put_iv_avg        double precision,
    put_delta_avg     double precision,
    put_gamma_avg     double precision,
    put_theta_avg     double precision,
    put_vega_avg      double precision,
    put_volume        double precision,
    put_count         bigint,
    put_oi_sum        double precision,
    underlying_close  double precision,
    moneyness         double precision GENERATED ALWAYS AS
        (strike / nullif(underlying_close, 0) - 1) STORED,
    PRIMARY KEY (symbol, expiry, strike, bucket_time)
) PARTITION BY RANGE (bucket_time);
COMMENT ON TABLE public.fo_option_strike_bars_5min IS
    'Five minutes of a strike, made of its minutes; 15 minutes are not made of these.';
COMMENT ON COLUMN public.fo_option_strike_bars_5min.call_iv_avg IS
    'Average of the minutes, each weighted by its count; plain where no minute has a count.';
COMMENT ON COLUMN public.fo_option_strike_bars_5min.call_oi_sum IS
    'The highest open interest of the bucket''s minutes.';
COMMENT ON COLUMN public.fo_option_strike_bars_5min.underlying_close IS 'Average of the minutes.';
COMMENT ON COLUMN public.fo_option_strike_bars_5min.moneyness IS
    'How far the strike is above the underlying, as a part of it: 0 is at the money, for calls and puts.';

CREATE TABLE IF NOT EXISTS public.fo_option_strike_bars_15min (
    symbol            text NOT NULL,
    expiry            date NOT NULL,
    strike            double precision NOT NULL,
    bucket_time       timestamptz NOT NULL,
    call_iv_avg       double precision,
    call_delta_avg    double precision,
    call_gamma_avg    double precision,
    call_theta_avg    double precision,
    call_vega_avg     double precision,
    call_volume       double precision,
    call_count        bigint,
    call_oi_sum       double precision,
    put_iv_avg        double precision,
    put_delta_avg     double precision,
    put_gamma_avg     double precision,
    put_theta_avg     double precision,
    put_vega_avg      double precision,
    put_volume        double precision,
    put_count         bigint,
    put_oi_sum        double precision,
    underlying_close  double precision,
    moneyness         double precision GENERATED ALWAYS AS
        (strike / nullif(underlying_close, 0) - 1) STORED,
    PRIMARY KEY (symbol, expiry, strike, bucket_time)
) PARTITION BY RANGE (bucket_time);
COMMENT ON TABLE public.fo_option_strike_bars_15min IS
    'Fifteen minutes of a strike, made of its minutes; columns as those of 5min.';

CREATE INDEX IF NOT EXISTS fo_option_strike_bars_5min_time_idx
    ON public.fo_option_strike_bars_5min (symbol, bucket_time DESC, expiry, strike);
CREATE INDEX IF NOT EXISTS fo_option_strike_bars_5min_moneyness_idx
    ON public.fo_option_strike_bars_5min (symbol, expiry, moneyness, bucket_time DESC);
CREATE INDEX IF NOT EXISTS fo_option_strike_bars_15min_time_idx
    ON public.fo_option_strike_bars_15min (symbol, bucket_time DESC, expiry, strike);
CREATE INDEX IF NOT EXISTS fo_option_strike_bars_15min_moneyness_idx
    ON public.fo_option_strike_bars_15min (symbol, expiry, moneyness, bucket_time DESC);

-- What the buckets that overlap a range of time must be: the one definition of the aggregates.
CREATE OR REPLACE FUNCTION public.fo_option_strike_buckets(
    minutes integer, from_ts timestamptz, to_ts timestamptz
)
RETURNS TABLE (
    symbol text, expiry date, strike double precision, bucket_time timestamptz,
    call_iv_avg double precision, call_delta_avg double precision,
    call_gamma_avg double precision, call_theta_avg double precision,
    call_vega_avg double precision, call_volume double precision, call_count bigint,
    call_oi_sum double precision, put_iv_avg double precision, put_delta_avg double precision,
    put_gamma_avg double precision, put_theta_avg double precision,
    put_vega_avg double precision, put_volume double precision, put_count bigint,
    put_oi_sum double precision, underlying_close double precision, moneyness double precision
)
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog
AS $$
DECLARE
    width CONSTANT interval := make_interval(mins => minutes);
    first CONSTANT timestamptz := date_bin(width, from_ts, 'epoch'::timestamptz);
    -- The range is half-open: a bucket that begins at its end is not in it.
    last CONSTANT timestamptz :=
        date_bin(width, to_ts - interval '1 microsecond', 'epoch'::timestamptz) + width;
BEGIN
    -- Sums are taken in the order of time, so that they come out the same to the last digit
    -- however the rows lie. Literals, so that partitions are left out when it is planned.
    RETURN QUERY EXECUTE format($sql$
        SELECT a.*, a.strike / nullif(a.underlying_close, 0) - 1
        FROM (
        SELECT b.symbol, b.expiry, b.strike,
               date_bin(%L, b.bucket_time, 'epoch'::timestamptz) AS bucket_time,
               coalesce(
                   sum(b.call_iv * b.call_count ORDER BY b.bucket_time)
                       / nullif(sum(b.call_count) FILTER (WHERE b.call_iv IS NOT NULL), 0),
                   avg(b.call_iv ORDER BY b.bucket_time)) AS call_iv_avg,
               coalesce(
                   sum(b.call_delta * b.call_count ORDER BY b.bucket_time)
                       / nullif(sum(b.call_count) FILTER (WHERE b.call_delta IS NOT NULL), 0),
                   avg(b.call_delta ORDER BY b.bucket_time)) AS call_delta_avg,
               coalesce(
                   sum(b.call_gamma * b.call_count ORDER BY b.bucket_time)
                       / nullif(sum(b.call_count) FILTER (WHERE b.call_gamma IS NOT NULL), 0),
                   avg(b.call_gamma ORDER BY b.bucket_time)) AS call_gamma_avg,
               coalesce(
                   sum(b.call_theta * b.call_count ORDER BY b.bucket_time)
                       / nullif(sum(b.call_count) FILTER (WHERE b.call_theta IS NOT NULL), 0),
                   avg(b.call_theta ORDER BY b.bucket_time)) AS call_theta_avg,
               coalesce(
                   sum(b.call_vega * b.call_count ORDER BY b.bucket_time)
                       / nullif(sum(b.call_count) FILTER (WHERE b.call_vega IS NOT NULL), 0),
                   avg(b.call_vega ORDER BY b.bucket_time)) AS call_vega_avg,
               sum(b.call_volume ORDER BY b.bucket_time) AS call_volume,
               sum(b.call_count)::bigint AS call_count,
               max(b.call_oi) AS call_oi_sum,
               coalesce(
                   sum(b.put_iv * b.put_count ORDER BY b.bucket_time)
                       / nullif(sum(b.put_count) FILTER (WHERE b.put_iv IS NOT NULL), 0),
                   avg(b.put_iv ORDER BY b.bucket_time)) AS put_iv_avg,
               coalesce(
                   sum(b.put_delta * b.put_count ORDER BY b.bucket_time)
                       / nullif(sum(b.put_count) FILTER (WHERE b.put_delta IS NOT NULL), 0),
                   avg(b.put_delta ORDER BY b.bucket_time)) AS put_delta_avg,
               coalesce(
                   sum(b.put_gamma * b.put_count ORDER BY b.bucket_time)
                       / nullif(sum(b.put_count) FILTER (WHERE b.put_gamma IS NOT NULL), 0),
                   avg(b.put_gamma ORDER BY b.bucket_time)) AS put_gamma_avg,
               coalesce(
                   sum(b.put_theta * b.put_count ORDER BY b.bucket_time)
                       / nullif(sum(b.put_count) FILTER (WHERE b.put_theta IS NOT NULL), 0),
                   avg(b.put_theta ORDER BY b.bucket_time)) AS put_theta_avg,
               coalesce(
                   sum(b.put_vega * b.put_count ORDER BY b.bucket_time)
                       / nullif(sum(b.put_count) FILTER (WHERE b.put_vega IS NOT NULL), 0),
                   avg(b.put_vega ORDER BY b.bucket_time)) AS put_vega_avg,
               sum(b.put_volume ORDER BY b.bucket_time) AS put_volume,
               sum(b.put_count)::bigint AS put_count,
               max(b.put_oi) AS put_oi_sum,
               avg(b.underlying_close ORDER BY b.bucket_time) AS underlying_close
        FROM public.fo_option_strike_bars b
        WHERE b.bucket_time >= %L AND b.bucket_time < %L
        GROUP BY 1, 2, 3, 4) a$sql$, width, first, last);
END
$$;
COMMENT ON FUNCTION public.fo_option_strike_buckets(integer, timestamptz, timestamptz) IS
    'The buckets of so many minutes that overlap the time from from_ts to before to_ts, computed from the minutes.';

CREATE OR REPLACE FUNCTION public.refresh_option_strike_bars(
    target regclass, minutes integer, from_ts timestamptz, to_ts timestamptz
)
RETURNS TABLE (written bigint, deleted bigint)
LANGUAGE plpgsql STRICT
SET timezone = 'UTC' SET search_path = pg_catalog
AS $$
DECLARE
    width CONSTANT interval := make_interval(mins => minutes);
    first timestamptz;
    last timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(1885434485, ('x' || lpad(to_hex(target::oid::bigint), 8, '0'))
        ::bit(32)::integer);
    -- No further than there is anything, so that no empty partitions are made.
    EXECUTE format('SELECT min(t), max(t) FROM (
            SELECT min(bucket_time), max(bucket_time) FROM public.fo_option_strike_bars
            WHERE bucket_time >= %1$L AND bucket_time < %2$L
            UNION ALL SELECT min(bucket_time), max(bucket_time) FROM %3$s
            WHERE bucket_time >= %1$L::timestamptz - %4$L::interval AND bucket_time < %2$L
        ) edges(a, b), LATERAL (VALUES (a), (b)) v(t)', from_ts, to_ts, target, width)
    INTO first, last;
    IF first IS NULL THEN
        RETURN QUERY VALUES (0::bigint, 0::bigint);
        RETURN;
    END IF;
    first := date_bin(width, first, 'epoch'::timestamptz);
    last := date_bin(width, last, 'epoch'::timestamptz) + width;
    PERFORM tidegate.make_partitions(target, 'month', first, last);
    RETURN QUERY EXECUTE format($sql$
        WITH fresh AS MATERIALIZED (
            SELECT * FROM public.fo_option_strike_buckets(%1$s, %2$L, %3$L)
        ), gone AS (
            DELETE FROM %4$s a
            WHERE a.bucket_time >= %2$L AND a.bucket_time < %3$L AND NOT EXISTS (
                SELECT FROM fresh f
                WHERE (f.symbol, f.expiry, f.strike, f.bucket_time)
                    = (a.symbol, a.expiry, a.strike, a.bucket_time))
            RETURNING 1
        ), changed AS (
            INSERT INTO %4$s AS a (symbol, expiry, strike, bucket_time,
                call_iv_avg, call_delta_avg, call_gamma_avg, call_theta_avg, call_vega_avg,
                call_volume, call_count, call_oi_sum, put_iv_avg, put_delta_avg, put_gamma_avg,
                put_theta_avg, put_vega_avg, put_volume, put_count, put_oi_sum, underlying_close)
            SELECT symbol, expiry, strike, bucket_time,
                call_iv_avg, call_delta_avg, call_gamma_avg, call_theta_avg, call_vega_avg,
                call_volume, call_count, call_oi_sum, put_iv_avg, put_delta_avg, put_gamma_avg,
                put_theta_avg, put_vega_avg, put_volume, put_count, put_oi_sum, underlying_close
            FROM fresh
            ON CONFLICT (symbol, expiry, strike, bucket_time) DO UPDATE SET (
                call_iv_avg, call_delta_avg, call_gamma_avg, call_theta_avg, call_vega_avg,
                call_volume, call_count, call_oi_sum, put_iv_avg, put_delta_avg, put_gamma_avg,
                put_theta_avg, put_vega_avg, put_volume, put_count, put_oi_sum, underlying_close) = ROW (
                excluded.call_iv_avg, excluded.call_delta_avg, excluded.call_gamma_avg,
                excluded.call_theta_avg, excluded.call_vega_avg, excluded.call_volume,
                excluded.call_count, excluded.call_oi_sum, excluded.put_iv_avg,
                excluded.put_delta_avg, excluded.put_gamma_avg, excluded.put_theta_avg,
                excluded.put_vega_avg, excluded.put_volume, excluded.put_count,
                excluded.put_oi_sum, excluded.underlying_close)
            WHERE (
                a.call_iv_avg, a.call_delta_avg, a.call_gamma_avg, a.call_theta_avg,
                a.call_vega_avg, a.call_volume, a.call_count, a.call_oi_sum, a.put_iv_avg,
                a.put_delta_avg, a.put_gamma_avg, a.put_theta_avg, a.put_vega_avg, a.put_volume,
                a.put_count, a.put_oi_sum, a.underlying_close) IS DISTINCT FROM (
                excluded.call_iv_avg, excluded.call_delta_avg, excluded.call_gamma_avg,
                excluded.call_theta_avg, excluded.call_vega_avg, excluded.call_volume,
                excluded.call_count, excluded.call_oi_sum, excluded.put_iv_avg,
                excluded.put_delta_avg, excluded.put_gamma_avg, excluded.put_theta_avg,
                excluded.put_vega_avg, excluded.put_volume, excluded.put_count,
                excluded.put_oi_sum, excluded.underlying_close)
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM gone)$sql$,
        minutes, first, last, target);
END
$$;
COMMENT ON FUNCTION public.refresh_option_strike_bars(regclass, integer, timestamptz, timestamptz) IS
    'Makes the buckets of a table that overlap a range of time what their minutes say; those that are so already are not written.';

-- Where there are bars of contracts alone, minutes of strikes can be made of them, without implied
-- volatility and greeks. Minutes that a source of their own brought are left alone.
CREATE OR REPLACE FUNCTION public.derive_option_strike_bars(
    from_ts timestamptz, to_ts timestamptz
)
RETURNS bigint
LANGUAGE plpgsql STRICT
SET timezone = 'UTC' SET search_path = pg_catalog
AS $$
DECLARE
    first timestamptz;
    last timestamptz;
    written bigint;
BEGIN
    EXECUTE format('SELECT min(ts), max(ts) FROM public.option_bars
        WHERE "interval" = ''1m'' AND ts >= %L AND ts < %L', from_ts, to_ts) INTO first, last;
    IF first IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM tidegate.make_partitions('public.fo_option_strike_bars', 'month', first,
        last + interval '1 microsecond');
    EXECUTE format($sql$
        INSERT INTO public.fo_option_strike_bars AS b (symbol, expiry, strike, bucket_time,
            call_volume, call_count, call_oi, put_volume, put_count, put_oi, underlying_close)
        SELECT underlying, expiry, strike, date_trunc('minute', ts),
               sum(volume ORDER BY ts) FILTER (WHERE option_type = 'call'),
               sum(trade_count) FILTER (WHERE option_type = 'call')::bigint,
               max(open_interest) FILTER (WHERE option_type = 'call'),
               sum(volume ORDER BY ts) FILTER (WHERE option_type = 'put'),
               sum(trade_count) FILTER (WHERE option_type = 'put')::bigint,
               max(open_interest) FILTER (WHERE option_type = 'put'),
               max(underlying_close)
        FROM public.option_bars
        WHERE "interval" = '1m' AND ts >= %1$L AND ts < %2$L
        GROUP BY 1, 2, 3, 4
        ON CONFLICT (symbol, expiry, strike, bucket_time) DO UPDATE SET
            (call_volume, call_count, call_oi, put_volume, put_count, put_oi, underlying_close)
                = ROW (excluded.call_volume, excluded.call_count, excluded.call_oi,
                       excluded.put_volume, excluded.put_count, excluded.put_oi,
                       excluded.underlying_close)
        WHERE num_nonnulls(b.call_iv, b.call_delta, b.call_gamma, b.call_theta, b.call_vega,
                b.put_iv, b.put_delta, b.put_gamma, b.put_theta, b.put_vega) = 0
            AND (b.call_volume, b.call_count, b.call_oi, b.put_volume, b.put_count, b.put_oi,
                 b.underlying_close) IS DISTINCT FROM
                (excluded.call_volume, excluded.call_count, excluded.call_oi,
                 excluded.put_volume, excluded.put_count, excluded.put_oi,
                 excluded.underlying_close)$sql$,
        date_trunc('minute', first), date_trunc('minute', last) + interval '1 minute');
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written > 0 THEN
        INSERT INTO tidegate.touched (target, from_ts, to_ts)
        VALUES ('public.fo_option_strike_bars', first, last);
    END IF;
    RETURN written;
END
$$;
COMMENT ON FUNCTION public.derive_option_strike_bars(timestamptz, timestamptz) IS
    'Makes minutes of strikes of one-minute bars of contracts. Says how many were written.';
