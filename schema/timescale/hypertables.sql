-- Tables of the domains as hypertables, in either edition of TimescaleDB: those that are there and
-- were never loaded. One with partitions or loads stays as it is. Runs in psql after the migrations
-- and after CREATE EXTENSION timescaledb; applying it twice changes nothing. Loads, retention,
-- refresh and verify work on both kinds.
DO $$
DECLARE
    of_table record;
    home text;
    by_range text;
BEGIN
    SELECT quote_ident(n.nspname) INTO home
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'timescaledb';
    IF home IS NULL OR to_regprocedure('tidegate.swap_table(regclass, regclass)') IS NULL THEN
        RETURN;
    END IF;
    -- The lock of migrations.
    PERFORM pg_advisory_xact_lock(8388346167643173989);
    FOR of_table IN
        SELECT t.name, t.name || '_v2' AS fresh, t.time_column, t.width
        FROM (VALUES ('public.market_data', 'ts', '7 days'),
                     ('public.market_trades', 'ts', '1 day'),
                     ('public.option_bars', 'ts', '7 days')) t(name, time_column, width)
        JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = to_regclass(t.name)
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = p.partrelid)
          AND NOT EXISTS (SELECT FROM tidegate.content c WHERE c.target = t.name)
    LOOP
        EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL)', of_table.fresh, of_table.name);
        PERFORM tidegate.swap_table(of_table.name::regclass, of_table.fresh::regclass);
        EXECUTE format(
            'SELECT %1$s.create_hypertable(%2$L::regclass, %1$s.by_range(%3$L, interval %4$L),
                 create_default_indexes => false)',
            home, of_table.name, of_table.time_column, of_table.width);
    END LOOP;
END
$$;
