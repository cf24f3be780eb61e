-- title: Members of a corporation, a page from their middle
-- target_ms: 200
-- needs: public.corporation_member_summary, function public.get_corporation_members
-- empty: nothing in it: `tidegate refresh corporation_member_summary` fills it
SELECT c.corporation_id AS corporation, m.killmails, m.character_id AS character
FROM (SELECT corporation_id, count(*) AS members FROM public.corporation_member_summary
      GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20) c
CROSS JOIN LATERAL (
    SELECT s.killmails, s.character_id FROM public.corporation_member_summary s
    WHERE s.corporation_id = c.corporation_id
    ORDER BY s.killmails DESC, s.character_id DESC OFFSET c.members / 2 LIMIT 1
) m
ORDER BY c.members DESC LIMIT 1 \gset
SELECT * FROM public.get_corporation_members(:'corporation'::bigint, 100,
    :'killmails'::bigint, :'character'::bigint);
