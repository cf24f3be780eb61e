-- title: Dearest killmails of a solar system, the first page
-- target_ms: 200
-- needs: public.killmails_raw, function public.get_system_killmails
SELECT k.solar_system_id AS system
FROM public.killmails_raw k WHERE k.total_value IS NOT NULL
GROUP BY k.solar_system_id ORDER BY count(*) DESC, k.solar_system_id LIMIT 1 \gset
SELECT * FROM public.get_system_killmails(:'system'::bigint, 100);
