-- Killmails whose participants are not those that they name: the victim and each attacker, of whom
-- one has the final blow.
SELECT k.killmail_id::text AS key,
       format('%s of %s participants, %s final blows', coalesce(p.rows, 0), k.attacker_count + 1,
              coalesce(p.blows, 0)) AS found,
       count(*) OVER () AS killmails
FROM public.killmails_raw k
LEFT JOIN (
    SELECT killmail_id, count(*) AS rows, count(*) FILTER (WHERE final_blow) AS blows,
           count(*) FILTER (WHERE is_victim AND seq = 0) AS victims, max(seq) AS last
    FROM public.participants GROUP BY killmail_id
) p USING (killmail_id)
WHERE (coalesce(p.rows, 0), coalesce(p.victims, 0), coalesce(p.last, -1), coalesce(p.blows, 0))
    <> (k.attacker_count + 1, 1, k.attacker_count, least(k.attacker_count, 1))
ORDER BY k.killmail_id LIMIT 1
