-- A trade engine's orders and trades. Runs in psql; applying it twice changes nothing.
-- Partitions are made when data arrive, for the range that arrives. Indexes beyond the keys come
-- in later migrations: the names that they have are fixed, those of the keys among them.
CREATE TABLE IF NOT EXISTS public.orders (
    order_id         text NOT NULL,
    client_order_id  text,
    user_id          text NOT NULL,
    symbol           text NOT NULL,
    side             text NOT NULL,
    order_type       text NOT NULL,
    status           text NOT NULL,
    price            numeric,
    stop_price       numeric,
    quantity         numeric NOT NULL,
    filled_quantity  numeric NOT NULL DEFAULT 0,
    time_in_force    text,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz,
    CONSTRAINT orders_pkey PRIMARY KEY (order_id, created_at),
    CONSTRAINT orders_side_check CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT orders_type_check CHECK (order_type IN ('LIMIT', 'MARKET', 'STOP', 'STOP_LIMIT')),
    CONSTRAINT orders_status_check CHECK (status IN (
        'PENDING', 'OPEN', 'PARTIALLY_FILLED', 'FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED')),
    CONSTRAINT orders_time_in_force_check
        CHECK (time_in_force IN ('GTC', 'IOC', 'FOK', 'DAY', 'GTD')),
    CONSTRAINT orders_price_check CHECK (price > 0),
    CONSTRAINT orders_limit_check CHECK (price IS NOT NULL OR order_type IN ('MARKET', 'STOP')),
    CONSTRAINT orders_stop_price_check CHECK (stop_price > 0),
    CONSTRAINT orders_quantity_check CHECK (quantity > 0),
    CONSTRAINT orders_filled_quantity_check CHECK (filled_quantity BETWEEN 0 AND quantity)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE public.orders IS 'Orders as they stand. A later state replaces an earlier one.';
COMMENT ON COLUMN public.orders.order_id IS 'The engine''s: a UUID, a number, whatever it is.';
COMMENT ON COLUMN public.orders.client_order_id IS 'The client''s, by which it sends an order once.';
COMMENT ON COLUMN public.orders.price IS 'Limit, in the quote currency; NULL for market orders.';
COMMENT ON COLUMN public.orders.quantity IS 'In units of the base asset.';
COMMENT ON COLUMN public.orders.created_at IS 'When it was placed: the partition.';

CREATE TABLE IF NOT EXISTS public.trades (
    trade_id         text NOT NULL,
    symbol           text NOT NULL,
    buyer_user_id    text NOT NULL,
    seller_user_id   text NOT NULL,
    buyer_order_id   text,
    seller_order_id  text,
    price            numeric NOT NULL,
    quantity         numeric NOT NULL,
    is_buyer_maker   boolean NOT NULL,
    buyer_fee        numeric,
    seller_fee       numeric,
    executed_at      timestamptz NOT NULL,
    CONSTRAINT trades_pkey PRIMARY KEY (trade_id, executed_at),
    CONSTRAINT trades_price_check CHECK (price > 0),
    CONSTRAINT trades_quantity_check CHECK (quantity > 0)
) PARTITION BY RANGE (executed_at);
COMMENT ON TABLE public.trades IS
    'Trades of the engine, with buyer and seller. Trades that a vendor sells are in market_trades.';
COMMENT ON COLUMN public.trades.is_buyer_maker IS
    'Whether the buyer''s order was in the book first, so that the seller was the taker.';
COMMENT ON COLUMN public.trades.executed_at IS 'When it happened: the partition.';
