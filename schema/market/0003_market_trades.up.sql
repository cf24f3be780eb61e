-- Trades on a venue, as vendors sell them. Runs in psql; applying it twice changes nothing.
-- Partitions are made when data arrive, for the range that arrives.
CREATE TABLE IF NOT EXISTS public.market_trades (
    ticker_id  integer NOT NULL,
    ts         timestamptz NOT NULL,
    trade_id   text NOT NULL DEFAULT '',
    content    bigint NOT NULL DEFAULT 0,
    row_no     bigint NOT NULL DEFAULT 0,
    price      double precision NOT NULL,
    size       double precision NOT NULL,
    side       text,
    PRIMARY KEY (ticker_id, ts, trade_id, content, row_no),
    CONSTRAINT market_trades_size_check CHECK (size >= 0),
    CONSTRAINT market_trades_side_check CHECK (side IN ('buy', 'sell'))
) PARTITION BY RANGE (ts);
COMMENT ON TABLE public.market_trades IS
    'Trades on a venue. Equal rows are real: what identifies one is its id or its place.';
COMMENT ON COLUMN public.market_trades.ticker_id IS
    'tickers.id. No foreign key: the loader keeps it, verify data proves it.';
COMMENT ON COLUMN public.market_trades.trade_id IS 'The vendor''s; empty where it gives none.';
COMMENT ON COLUMN public.market_trades.content IS
    'For a trade without an id: a number made of the content that it came from. Else 0.';
COMMENT ON COLUMN public.market_trades.row_no IS
    'For a trade without an id: its place in the content, the byte of text, the row of Parquet. Else 0.';
COMMENT ON COLUMN public.market_trades.price IS 'In the quote currency; negative for spreads.';
COMMENT ON COLUMN public.market_trades.size IS 'In units of the base asset, shares or contracts.';
COMMENT ON COLUMN public.market_trades.side IS 'Of the taker; NULL where the source does not say.';
