-- What models predicted, and what came of it. Runs in psql; applying it twice changes nothing.
-- Partitions are made when data arrive, for the range that arrives.
CREATE TABLE IF NOT EXISTS public.predictions (
    ticker_id            integer NOT NULL,
    "interval"           text NOT NULL,
    model                text NOT NULL DEFAULT 'default',
    ts                   timestamptz NOT NULL,
    target_ts            timestamptz,
    predicted_direction  text NOT NULL,
    confidence           double precision,
    reference_price      double precision,
    predicted_price      double precision,
    actual_direction     text,
    actual_price         double precision,
    is_correct           boolean,
    PRIMARY KEY (ticker_id, "interval", model, ts),
    CONSTRAINT predictions_target_check CHECK (target_ts >= ts),
    CONSTRAINT predictions_predicted_check CHECK (predicted_direction IN ('up', 'down', 'flat')),
    CONSTRAINT predictions_actual_check CHECK (actual_direction IN ('up', 'down', 'flat')),
    CONSTRAINT predictions_confidence_check CHECK (confidence BETWEEN 0 AND 1)
) PARTITION BY RANGE (ts);
COMMENT ON TABLE public.predictions IS
    'What a model said at ts of the price at target_ts, and what came of it.';
COMMENT ON COLUMN public.predictions.ticker_id IS
    'tickers.id. No foreign key: the loader keeps it, verify data proves it.';
COMMENT ON COLUMN public.predictions.is_correct IS
    'NULL while the outcome is not known.';

CREATE TABLE IF NOT EXISTS public.block_predictions (
    ticker_id            integer NOT NULL,
    model                text NOT NULL DEFAULT 'default',
    block_start          timestamptz NOT NULL,
    block_minutes        integer NOT NULL DEFAULT 60,
    block_no             integer,
    predicted_at         timestamptz,
    predicted_direction  text NOT NULL,
    confidence           double precision,
    reference_price      double precision,
    actual_direction     text,
    actual_price         double precision,
    is_correct           boolean,
    PRIMARY KEY (ticker_id, model, block_start, block_minutes),
    CONSTRAINT block_predictions_minutes_check CHECK (block_minutes > 0),
    CONSTRAINT block_predictions_predicted_check
        CHECK (predicted_direction IN ('up', 'down', 'flat')),
    CONSTRAINT block_predictions_actual_check CHECK (actual_direction IN ('up', 'down', 'flat')),
    CONSTRAINT block_predictions_confidence_check CHECK (confidence BETWEEN 0 AND 1)
) PARTITION BY RANGE (block_start);
COMMENT ON TABLE public.block_predictions IS
    'What a model said of the block of block_minutes that begins at block_start.';
COMMENT ON COLUMN public.block_predictions.ticker_id IS
    'tickers.id. No foreign key: the loader keeps it, verify data proves it.';
COMMENT ON COLUMN public.block_predictions.block_no IS 'Number of the block in its session.';
