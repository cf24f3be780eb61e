-- title: Killmails of a corporation, a page from their middle
-- target_ms: 200
-- needs: public.participants, function public.get_corporation_killmails
SELECT c.corporation_id AS corporation, m.killmail_time AS time, m.killmail_id AS killmail
FROM (SELECT p.corporation_id, count(*) AS rows FROM public.participants p
      WHERE p.corporation_id IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20) c
CROSS JOIN LATERAL (
    SELECT p.killmail_time, p.killmail_id FROM public.participants p
    WHERE p.corporation_id = c.corporation_id
    ORDER BY p.killmail_time DESC, p.killmail_id DESC OFFSET c.rows / 2 LIMIT 1
) m
ORDER BY c.rows DESC LIMIT 1 \gset
SELECT * FROM public.get_corporation_killmails(:'corporation'::bigint, 100,
    :'time'::timestamptz, :'killmail'::bigint);
