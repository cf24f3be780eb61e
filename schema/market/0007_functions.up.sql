-- tidegate: queries
-- Questions about market data, and a role that may ask them and change nothing. Runs in psql after
-- schema/ledger; applying it twice changes nothing.
-- Bounds of time go into the statements as literals: so partitions are left out when a statement
-- is planned, and planning does not grow with their number.

CREATE OR REPLACE FUNCTION public.get_latest_price(of_ticker integer, of_interval text)
RETURNS TABLE (ts timestamptz, open double precision, high double precision, low double precision,
               close double precision, volume double precision)
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog
AS $$
DECLARE
    statement CONSTANT text := $sql$
        SELECT m.ts, m.open, m.high, m.low, m.close, m.volume FROM public.market_data m
        WHERE m.ticker_id = %L AND m."interval" = %L AND m.ts >= %L AND m.ts < %L
        ORDER BY m.ts DESC LIMIT 1$sql$;
    upto CONSTANT timestamptz := now() + interval '1 microsecond';
    day_before CONSTANT timestamptz := now() - interval '1 day';
    part record;
BEGIN
    -- Today's and yesterday's partition, which is all where data keep coming.
    RETURN QUERY EXECUTE format(statement, of_ticker, of_interval, day_before, upto);
    IF FOUND THEN RETURN; END IF;
    RETURN QUERY EXECUTE
        format(statement, of_ticker, of_interval, day_before - interval '1 day', day_before);
    IF FOUND THEN RETURN; END IF;
    IF NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = 'public.market_data'::regclass)
    THEN
        RETURN QUERY EXECUTE format(statement, of_ticker, of_interval, '-infinity', day_before);
        RETURN;
    END IF;
    -- Then one partition after the other, the newest first.
    FOR part IN
        SELECT p.lower, least(p.upper, day_before) AS upper
        FROM tidegate.partitions('public.market_data') p
        WHERE p.lower < day_before ORDER BY p.lower DESC
    LOOP
        RETURN QUERY EXECUTE format(statement, of_ticker, of_interval, part.lower, part.upper);
        IF FOUND THEN RETURN; END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION public.get_latest_price(integer, text) IS
    'The latest bar of a ticker that begins now or before; no row where there is none.';

-- The planner puts this one in the place of its call, which it does not with STRICT or SET: so it
-- sees the bounds, and rows go out while others are still read.
CREATE OR REPLACE FUNCTION public.get_price_range(
    of_ticker integer, of_interval text, from_ts timestamptz, to_ts timestamptz
)
RETURNS TABLE (ts timestamptz, open double precision, high double precision, low double precision,
               close double precision, volume double precision)
LANGUAGE sql STABLE
AS $$
    SELECT m.ts, m.open, m.high, m.low, m.close, m.volume FROM public.market_data m
    WHERE m.ticker_id = of_ticker AND m."interval" = of_interval
      AND m.ts >= from_ts AND m.ts < to_ts
    ORDER BY m.ts
$$;
COMMENT ON FUNCTION public.get_price_range(integer, text, timestamptz, timestamptz) IS
    'The bars of a ticker from from_ts to before to_ts, in their order.';

CREATE OR REPLACE FUNCTION public.get_prediction_accuracy(of_ticker integer, days integer)
RETURNS TABLE (predictions bigint, settled bigint, correct bigint, accuracy double precision,
               up_accuracy double precision, down_accuracy double precision,
               average_confidence double precision)
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog
AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        SELECT count(*), count(p.is_correct), count(*) FILTER (WHERE p.is_correct),
               avg(p.is_correct::integer)::double precision,
               (avg(p.is_correct::integer) FILTER (WHERE p.predicted_direction = 'up'))
                   ::double precision,
               (avg(p.is_correct::integer) FILTER (WHERE p.predicted_direction = 'down'))
                   ::double precision,
               avg(p.confidence)
        FROM public.predictions p WHERE p.ticker_id = %L AND p.ts >= %L AND p.ts <= %L$sql$,
        of_ticker, now() - make_interval(days => days), now());
END
$$;
COMMENT ON FUNCTION public.get_prediction_accuracy(integer, integer) IS
    'Of the predictions for a ticker in the last days: how many there are, how many outcomes are known, how many were right, and which part that is. One row; the parts are NULL where nothing is known.';

CREATE OR REPLACE FUNCTION public.get_block_prediction_accuracy(of_ticker integer, days integer)
RETURNS TABLE (predictions bigint, settled bigint, correct bigint, accuracy double precision,
               up_accuracy double precision, down_accuracy double precision,
               average_confidence double precision)
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog
AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        SELECT count(*), count(p.is_correct), count(*) FILTER (WHERE p.is_correct),
               avg(p.is_correct::integer)::double precision,
               (avg(p.is_correct::integer) FILTER (WHERE p.predicted_direction = 'up'))
                   ::double precision,
               (avg(p.is_correct::integer) FILTER (WHERE p.predicted_direction = 'down'))
                   ::double precision,
               avg(p.confidence)
        FROM public.block_predictions p
        WHERE p.ticker_id = %L AND p.block_start >= %L AND p.block_start <= %L$sql$,
        of_ticker, now() - make_interval(days => days), now());
END
$$;
COMMENT ON FUNCTION public.get_block_prediction_accuracy(integer, integer) IS
    'As get_prediction_accuracy, of predictions for blocks of time.';

-- A role belongs to the whole server: another database may have made it, or be making it now, and
-- not everybody may.
DO $$
BEGIN
    IF to_regrole('tidegate_reader') IS NULL THEN
        CREATE ROLE tidegate_reader NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE WARNING 'this role may not create roles: let one that may run CREATE ROLE tidegate_reader NOLOGIN, then run this again';
END
$$;
REVOKE EXECUTE ON FUNCTION public.get_latest_price(integer, text),
    public.get_price_range(integer, text, timestamptz, timestamptz),
    public.get_prediction_accuracy(integer, integer),
    public.get_block_prediction_accuracy(integer, integer) FROM PUBLIC;
DO $$
BEGIN
    IF to_regrole('tidegate_reader') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA public, tidegate TO tidegate_reader;
        GRANT SELECT ON public.tickers, public.market_data, public.market_trades,
            public.predictions, public.block_predictions, public.open_interest TO tidegate_reader;
        GRANT EXECUTE ON FUNCTION public.get_latest_price(integer, text),
            public.get_price_range(integer, text, timestamptz, timestamptz),
            public.get_prediction_accuracy(integer, integer),
            public.get_block_prediction_accuracy(integer, integer) TO tidegate_reader;
    END IF;
END
$$;
