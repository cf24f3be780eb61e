-- Nanoseconds of trades, for timestamptz ends at microseconds, and open interest that comes without
-- bars. Runs in psql; applying it twice changes nothing.
ALTER TABLE public.market_trades ADD COLUMN IF NOT EXISTS ts_nanos smallint;
COMMENT ON COLUMN public.market_trades.ts_nanos IS
    'Nanoseconds of ts beyond its microseconds, 0 to 999; NULL where the source has none.';

-- Partitions are made when data arrive, for the range that arrives.
CREATE TABLE IF NOT EXISTS public.open_interest (
    ticker_id      integer NOT NULL,
    ts             timestamptz NOT NULL,
    open_interest  double precision NOT NULL,
    PRIMARY KEY (ticker_id, ts),
    CONSTRAINT open_interest_check CHECK (open_interest >= 0)
) PARTITION BY RANGE (ts);
COMMENT ON TABLE public.open_interest IS
    'Open interest of futures whose source has it apart from bars; else it is in market_data.';
COMMENT ON COLUMN public.open_interest.ticker_id IS
    'tickers.id. No foreign key: the loader keeps it, verify data proves it.';
COMMENT ON COLUMN public.open_interest.ts IS 'When it was counted, UTC.';
