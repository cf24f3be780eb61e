-- title: Killmails of a character, the first page
-- target_ms: 200
-- needs: public.participants, function public.get_character_killmails
SELECT p.character_id AS character
FROM public.participants p WHERE p.character_id IS NOT NULL
GROUP BY p.character_id ORDER BY count(*) DESC, p.character_id LIMIT 1 \gset
SELECT * FROM public.get_character_killmails(:'character'::bigint, 100);
