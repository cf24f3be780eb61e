-- Option bars with open interest: by contract, and a minute of a strike with call and put side by
-- side. Runs in psql; applying it twice changes nothing.
-- Partitions are made when data arrive, for the range that arrives.
CREATE TABLE IF NOT EXISTS public.option_bars (
    underlying        text NOT NULL,
    expiry            date NOT NULL,
    strike            double precision NOT NULL,
    option_type       text NOT NULL,
    "interval"        text NOT NULL,
    ts                timestamptz NOT NULL,
    open              double precision,
    high              double precision,
    low               double precision,
    close             double precision,
    volume            double precision,
    open_interest     double precision,
    trade_count       bigint,
    underlying_close  double precision,
    PRIMARY KEY (underlying, expiry, strike, option_type, "interval", ts),
    CONSTRAINT option_bars_strike_check CHECK (strike > 0),
    CONSTRAINT option_bars_type_check CHECK (option_type IN ('call', 'put'))
) PARTITION BY RANGE (ts);
COMMENT ON TABLE public.option_bars IS 'Bars of one option contract over one interval.';
COMMENT ON COLUMN public.option_bars.strike IS
    'A double, so that 12000 and 12000.00 of two sources are one key.';
COMMENT ON COLUMN public.option_bars.ts IS 'Start of the bar, UTC.';
COMMENT ON COLUMN public.option_bars.open IS
    'NULL, as high and low, for a contract that was settled without a trade.';
COMMENT ON COLUMN public.option_bars.close IS
    'Last or settlement price; NULL where a source has open interest alone.';
COMMENT ON COLUMN public.option_bars.open_interest IS
    'At the end of the bar, in the source''s unit: contracts, or units of the underlying (NSE).';

CREATE TABLE IF NOT EXISTS public.fo_option_strike_bars (
    symbol            text NOT NULL,
    expiry            date NOT NULL,
    strike            double precision NOT NULL,
    bucket_time       timestamptz NOT NULL,
    call_iv           double precision,
    call_delta        double precision,
    call_gamma        double precision,
    call_theta        double precision,
    call_vega         double precision,
    call_volume       double precision,
    call_count        bigint,
    call_oi           double precision,
    put_iv            double precision,
    put_delta         double precision,
    put_gamma         double precision,
    put_theta         double precision,
    put_vega          double precision,
    put_volume        double precision,
    put_count         bigint,
    put_oi            double precision,
    underlying_close  double precision,
    PRIMARY KEY (symbol, expiry, strike, bucket_time),
    CONSTRAINT fo_option_strike_bars_strike_check CHECK (strike > 0)
) PARTITION BY RANGE (bucket_time);
COMMENT ON TABLE public.fo_option_strike_bars IS
    'One minute of a strike, call and put side by side. The 5 and 15 minute aggregates are made of it.';
COMMENT ON COLUMN public.fo_option_strike_bars.bucket_time IS 'Start of the minute, UTC.';
COMMENT ON COLUMN public.fo_option_strike_bars.call_iv IS 'Implied volatility: 0.2 is 20 %.';
COMMENT ON COLUMN public.fo_option_strike_bars.call_count IS
    'Ticks behind the averages: the weight of this minute in a longer one.';
COMMENT ON COLUMN public.fo_option_strike_bars.call_oi IS 'Open interest at the end of the minute.';
