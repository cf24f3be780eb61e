DROP FUNCTION IF EXISTS public.drop_old_order_partitions(integer);
DROP FUNCTION IF EXISTS public.drop_old_trade_partitions(integer);
DROP FUNCTION IF EXISTS public.create_order_partition(integer);
DROP FUNCTION IF EXISTS public.create_trade_partition(integer);
