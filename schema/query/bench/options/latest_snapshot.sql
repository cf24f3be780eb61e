-- title: Latest minute of every strike of a symbol
-- target_ms: 100
-- needs: public.fo_option_strike_latest
-- empty: nothing in it: `tidegate refresh fo_option_strike_latest` fills it
-- plan: no join
SELECT s.symbol FROM public.fo_option_strike_latest s
GROUP BY s.symbol ORDER BY count(*) DESC, s.symbol LIMIT 1 \gset
SELECT * FROM public.fo_option_strike_latest s
WHERE s.symbol = :'symbol'::text
ORDER BY s.expiry, s.strike;
