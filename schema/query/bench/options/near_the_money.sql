-- title: Strikes near the money of an expiry at 5 minutes over its last day
-- target_ms: none
-- needs: public.fo_option_strike_bars_5min
-- plan: no join
WITH RECURSIVE symbols AS (
    (SELECT symbol FROM public.fo_option_strike_bars_5min ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT n.symbol FROM public.fo_option_strike_bars_5min n WHERE n.symbol > s.symbol
            ORDER BY n.symbol LIMIT 1)
    FROM symbols s WHERE s.symbol IS NOT NULL
)
SELECT s.symbol, l.expiry, l.bucket_time - interval '1 day' AS since
FROM symbols s
CROSS JOIN LATERAL (
    SELECT b.expiry, b.bucket_time FROM public.fo_option_strike_bars_5min b
    WHERE b.symbol = s.symbol ORDER BY b.bucket_time DESC, b.expiry LIMIT 1
) l
WHERE s.symbol IS NOT NULL ORDER BY s.symbol LIMIT 1 \gset
SELECT b.bucket_time, b.strike, b.call_iv_avg, b.put_iv_avg, b.call_oi_sum, b.put_oi_sum
FROM public.fo_option_strike_bars_5min b
WHERE b.symbol = :'symbol'::text AND b.expiry = :'expiry'::date
  AND b.moneyness BETWEEN -0.01 AND 0.01 AND b.bucket_time > :'since'::timestamptz
ORDER BY b.bucket_time, b.strike;
