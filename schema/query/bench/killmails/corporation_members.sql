-- title: Members of a corporation with their names, the first page
-- target_ms: 200
-- needs: public.corporation_member_summary, function public.get_corporation_members
-- empty: nothing in it: `tidegate refresh corporation_member_summary` fills it
SELECT m.corporation_id AS corporation
FROM public.corporation_member_summary m
GROUP BY m.corporation_id ORDER BY count(*) DESC, m.corporation_id LIMIT 1 \gset
SELECT * FROM public.get_corporation_members(:'corporation'::bigint, 100);
