-- tidegate: queries
-- Partitions ahead of time for a running engine: 12 months of orders and 30 days of trades from the
-- day of migration on, and the functions that keep it so. Runs in psql after schema/ledger;
-- applying it twice changes nothing but the partitions that time has made necessary.
CREATE OR REPLACE FUNCTION public.create_trade_partition(days_ahead integer DEFAULT 30)
RETURNS integer
LANGUAGE sql STRICT
SET timezone = 'UTC' SET search_path = pg_catalog
AS $$
    SELECT tidegate.make_partitions('public.trades', 'day', date_trunc('day', now()),
        date_trunc('day', now()) + make_interval(days => days_ahead))
$$;
COMMENT ON FUNCTION public.create_trade_partition(integer) IS
    'Makes what is missing of the daily partitions of trades from today on, today among them; to be called every day. Says how many.';

CREATE OR REPLACE FUNCTION public.create_order_partition(months_ahead integer DEFAULT 12)
RETURNS integer
LANGUAGE sql STRICT
SET timezone = 'UTC' SET search_path = pg_catalog
AS $$
    SELECT tidegate.make_partitions('public.orders', 'month', date_trunc('month', now()),
        date_trunc('month', now()) + make_interval(months => months_ahead))
$$;
COMMENT ON FUNCTION public.create_order_partition(integer) IS
    'Makes what is missing of the monthly partitions of orders from this month on. Says how many.';

CREATE OR REPLACE FUNCTION public.drop_old_trade_partitions(days integer DEFAULT 90)
RETURNS integer
LANGUAGE sql STRICT
SET timezone = 'UTC' SET search_path = pg_catalog
AS $$
    SELECT tidegate.drop_partitions('public.trades',
        date_trunc('day', now()) - make_interval(days => days))
$$;
COMMENT ON FUNCTION public.drop_old_trade_partitions(integer) IS
    'Drops partitions of trades that are older than so many days. Says how many.';

CREATE OR REPLACE FUNCTION public.drop_old_order_partitions(months integer DEFAULT 60)
RETURNS integer
LANGUAGE sql STRICT
SET timezone = 'UTC' SET search_path = pg_catalog
AS $$
    SELECT tidegate.drop_partitions('public.orders',
        date_trunc('month', now()) - make_interval(months => months))
$$;
COMMENT ON FUNCTION public.drop_old_order_partitions(integer) IS
    'Drops partitions of orders that are older than so many months. Says how many.';

-- Dropping data is for whoever owns it.
REVOKE EXECUTE ON FUNCTION public.drop_old_trade_partitions(integer),
    public.drop_old_order_partitions(integer) FROM PUBLIC;

SELECT public.create_order_partition(), public.create_trade_partition();
