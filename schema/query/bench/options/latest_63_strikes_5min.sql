-- title: Latest 63 strikes of a symbol at 5 minutes
-- target_ms: 13.4
-- needs: public.fo_option_strike_bars_5min
-- plan: index fo_option_strike_bars_5min_time_idx
-- plan: no seq scan public.fo_option_strike_bars_5min
-- plan: no join
WITH RECURSIVE symbols AS (
    (SELECT symbol FROM public.fo_option_strike_bars_5min ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT n.symbol FROM public.fo_option_strike_bars_5min n WHERE n.symbol > s.symbol
            ORDER BY n.symbol LIMIT 1)
    FROM symbols s WHERE s.symbol IS NOT NULL
)
SELECT s.symbol,
       (SELECT max(b.bucket_time)::date FROM public.fo_option_strike_bars_5min b
        WHERE b.symbol = s.symbol) AS day
FROM symbols s WHERE s.symbol IS NOT NULL ORDER BY s.symbol LIMIT 1 \gset
SELECT * FROM public.fo_option_strike_bars_5min b
WHERE b.symbol = :'symbol'::text AND b.expiry >= :'day'::date
  AND b.bucket_time = (SELECT max(l.bucket_time) FROM public.fo_option_strike_bars_5min l
                       WHERE l.symbol = :'symbol'::text)
ORDER BY b.expiry, b.strike
LIMIT 63;
