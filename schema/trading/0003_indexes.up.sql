-- tidegate: queries, indexes
-- The indexes of orders (7 with the key) and trades (12 with the key); partitions inherit them.
-- Runs in psql, where it locks out writers; tidegate builds them CONCURRENTLY on tables with rows.
CREATE INDEX IF NOT EXISTS idx_orders_symbol ON public.orders (symbol);
-- Active orders of a symbol, and its order book in the order of price: the best levels of a side
-- are the first that are met, however many orders wait behind them.
CREATE INDEX IF NOT EXISTS idx_orders_symbol_status
    ON public.orders (symbol, status, side, price);
CREATE INDEX IF NOT EXISTS idx_orders_user_id ON public.orders (user_id);
CREATE INDEX IF NOT EXISTS idx_orders_status ON public.orders (status);
CREATE INDEX IF NOT EXISTS idx_orders_created_at ON public.orders (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_orders_client_order_id ON public.orders (client_order_id)
    WHERE client_order_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_trades_symbol ON public.trades (symbol);
CREATE INDEX IF NOT EXISTS idx_trades_symbol_executed_at
    ON public.trades (symbol, executed_at DESC);
CREATE INDEX IF NOT EXISTS idx_trades_buyer_user_id ON public.trades (buyer_user_id);
CREATE INDEX IF NOT EXISTS idx_trades_seller_user_id ON public.trades (seller_user_id);
CREATE INDEX IF NOT EXISTS idx_trades_executed_at ON public.trades (executed_at DESC);
CREATE INDEX IF NOT EXISTS idx_trades_buyer_order ON public.trades (buyer_order_id)
    WHERE buyer_order_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_trades_seller_order ON public.trades (seller_order_id)
    WHERE seller_order_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_trades_buyer_user_executed
    ON public.trades (buyer_user_id, executed_at DESC);
CREATE INDEX IF NOT EXISTS idx_trades_seller_user_executed
    ON public.trades (seller_user_id, executed_at DESC);
CREATE INDEX IF NOT EXISTS idx_trades_symbol_time_volume
    ON public.trades (symbol, executed_at DESC) INCLUDE (quantity, price);
CREATE INDEX IF NOT EXISTS idx_trades_maker_flag
    ON public.trades (symbol, is_buyer_maker, executed_at DESC);
