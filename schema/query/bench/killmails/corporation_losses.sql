-- title: Losses of a corporation, the first page
-- target_ms: 200
-- needs: public.killmails_raw, function public.get_corporation_losses
SELECT k.victim_corporation_id AS corporation
FROM public.killmails_raw k WHERE k.victim_corporation_id IS NOT NULL
GROUP BY k.victim_corporation_id ORDER BY count(*) DESC, k.victim_corporation_id LIMIT 1 \gset
SELECT * FROM public.get_corporation_losses(:'corporation'::bigint, 100);
