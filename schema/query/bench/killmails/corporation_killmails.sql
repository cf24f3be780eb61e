-- title: Killmails of a corporation, the first page
-- target_ms: 200
-- needs: public.participants, function public.get_corporation_killmails
SELECT m.corporation_id AS corporation
FROM public.participants m WHERE m.corporation_id IS NOT NULL
GROUP BY m.corporation_id ORDER BY count(*) DESC, m.corporation_id LIMIT 1 \gset
SELECT * FROM public.get_corporation_killmails(:'corporation'::bigint, 100);
