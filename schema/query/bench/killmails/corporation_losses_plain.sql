-- title: The same, asked without a function
-- target_ms: 200
-- needs: public.killmails_raw
-- plan: index killmails_raw_victim_corp_time_idx
-- plan: no seq scan public.killmails_raw
SELECT k.victim_corporation_id AS corporation
FROM public.killmails_raw k WHERE k.victim_corporation_id IS NOT NULL
GROUP BY k.victim_corporation_id ORDER BY count(*) DESC, k.victim_corporation_id LIMIT 1 \gset
SELECT k.killmail_id, k.killmail_time, k.solar_system_id, k.total_value
FROM public.killmails_raw k
WHERE k.victim_corporation_id = :'corporation'::bigint
ORDER BY k.killmail_time DESC, k.killmail_id DESC
LIMIT 100;
