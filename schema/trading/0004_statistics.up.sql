-- tidegate: queries
-- 24-hour statistics in slices of five minutes, so that the sliding day of any moment is whole
-- slices plus two short ends read from the trades themselves: exact, however old the refresh.
-- Runs in psql; applying it twice changes nothing.
CREATE MATERIALIZED VIEW IF NOT EXISTS public.mv_24h_statistics AS
SELECT symbol,
       date_bin('5 minutes', executed_at, 'epoch'::timestamptz) AS slice,
       count(*) AS trade_count,
       sum(quantity) AS volume,
       sum(quantity * price) AS quote_volume,
       min(price) AS low,
       max(price) AS high,
       date_bin('5 minutes', now(), 'epoch'::timestamptz) AS complete_to
FROM public.trades
WHERE executed_at >= date_bin('5 minutes', now(), 'epoch'::timestamptz) - interval '24 hours'
  AND executed_at < date_bin('5 minutes', now(), 'epoch'::timestamptz)
GROUP BY 1, 2;
COMMENT ON MATERIALIZED VIEW public.mv_24h_statistics IS
    'Trades of the last 24 hours by symbol and slices of five minutes; to be refreshed every 5 to 15 minutes. Read it through get_24h_statistics and get_24h_volume.';
COMMENT ON COLUMN public.mv_24h_statistics.complete_to IS
    'The end of the last slice: later trades are not in it.';
CREATE UNIQUE INDEX IF NOT EXISTS mv_24h_statistics_key
    ON public.mv_24h_statistics (symbol, slice);
CREATE INDEX IF NOT EXISTS mv_24h_statistics_complete_to_idx
    ON public.mv_24h_statistics (complete_to);

CREATE OR REPLACE FUNCTION public.get_24h_volume(only_symbol text DEFAULT NULL)
RETURNS TABLE (symbol text, trade_count bigint, volume numeric, quote_volume numeric,
               low numeric, high numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog
AS $$
DECLARE
    day_start CONSTANT timestamptz := now() - interval '24 hours';
    -- The first slice that lies in the day as a whole.
    first_slice CONSTANT timestamptz :=
        date_bin('5 minutes', day_start, 'epoch'::timestamptz) + interval '5 minutes';
    tail timestamptz;
BEGIN
    SELECT greatest(max(m.complete_to), first_slice) INTO tail FROM public.mv_24h_statistics m;
    -- Literals, so that partitions are left out when the statement is planned.
    RETURN QUERY EXECUTE format($sql$
        SELECT p.symbol, sum(p.trade_count)::bigint, sum(p.volume), sum(p.quote_volume),
               min(p.low), max(p.high)
        FROM (
            SELECT m.symbol, m.trade_count, m.volume, m.quote_volume, m.low, m.high
            FROM public.mv_24h_statistics m WHERE m.slice >= %1$L AND (%4$s)
            UNION ALL
            SELECT m.symbol, count(*), sum(m.quantity), sum(m.quantity * m.price), min(m.price),
                   max(m.price)
            FROM public.trades m
            WHERE m.executed_at >= %2$L AND m.executed_at < %1$L AND (%4$s) GROUP BY 1
            UNION ALL
            SELECT m.symbol, count(*), sum(m.quantity), sum(m.quantity * m.price), min(m.price),
                   max(m.price)
            FROM public.trades m
            WHERE m.executed_at >= %3$L AND m.executed_at <= %5$L AND (%4$s) GROUP BY 1
        ) p
        GROUP BY 1$sql$,
        first_slice, day_start, tail,
        CASE WHEN only_symbol IS NULL THEN 'true' ELSE format('m.symbol = %L', only_symbol) END,
        now());
END
$$;
COMMENT ON FUNCTION public.get_24h_volume(text) IS
    'Trades, volume and range of the last 24 hours by symbol, or of one.';

CREATE OR REPLACE FUNCTION public.get_24h_statistics(of_symbol text)
RETURNS TABLE (high numeric, low numeric, volume numeric, trade_count bigint)
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog
AS $$
    SELECT max(v.high), min(v.low), coalesce(sum(v.volume), 0),
           coalesce(sum(v.trade_count), 0)::bigint
    FROM public.get_24h_volume(of_symbol) v
$$;
COMMENT ON FUNCTION public.get_24h_statistics(text) IS
    'Highest and lowest price, volume and number of trades of a symbol in the last 24 hours; one row, also for a symbol without trades.';
