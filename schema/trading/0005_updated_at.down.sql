DROP TRIGGER IF EXISTS orders_set_updated_at ON public.orders;
DROP FUNCTION IF EXISTS public.set_updated_at();
