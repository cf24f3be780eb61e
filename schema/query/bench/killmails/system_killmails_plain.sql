-- title: The same, asked without a function
-- target_ms: 200
-- needs: public.killmails_raw
-- plan: index killmails_raw_system_value_idx
-- plan: no seq scan public.killmails_raw
SELECT k.solar_system_id AS system
FROM public.killmails_raw k WHERE k.total_value IS NOT NULL
GROUP BY k.solar_system_id ORDER BY count(*) DESC, k.solar_system_id LIMIT 1 \gset
SELECT k.killmail_id, k.killmail_time, k.total_value
FROM public.killmails_raw k
WHERE k.solar_system_id = :'system'::bigint AND k.total_value <= 'Infinity'
ORDER BY k.total_value DESC, k.killmail_id DESC
LIMIT 100;
