-- The role stays: it belongs to the whole server, and others may be members of it.
DROP FUNCTION IF EXISTS public.get_block_prediction_accuracy(integer, integer);
DROP FUNCTION IF EXISTS public.get_prediction_accuracy(integer, integer);
DROP FUNCTION IF EXISTS public.get_price_range(integer, text, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS public.get_latest_price(integer, text);
DO $$
BEGIN
    IF to_regrole('tidegate_reader') IS NOT NULL AND to_regclass('public.tickers') IS NOT NULL THEN
        REVOKE ALL ON public.tickers, public.market_data, public.market_trades,
            public.predictions, public.block_predictions, public.open_interest FROM tidegate_reader;
    END IF;
END
$$;
