-- tidegate: queries
-- An order that is changed says when. Runs in psql; applying it twice changes nothing.
CREATE OR REPLACE FUNCTION public.set_updated_at() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
BEGIN
    -- A load writes what its source says, or the same file would differ from its rows ever after.
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at
        AND current_setting('application_name') <> 'tidegate'
    THEN
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION public.set_updated_at() IS
    'Sets updated_at of a row that is updated, unless the update or a load says it.';
CREATE OR REPLACE TRIGGER orders_set_updated_at BEFORE UPDATE ON public.orders
    FOR EACH ROW EXECUTE FUNCTION public.set_updated_at();
