-- title: What a character did in all
-- target_ms: 200
-- needs: public.character_activity_summary
-- empty: nothing in it: `tidegate refresh character_activity_summary` fills it
-- plan: index character_activity_summary_key
SELECT s.character_id AS character
FROM public.character_activity_summary s
ORDER BY s.kills DESC, s.character_id LIMIT 1 \gset
SELECT * FROM public.character_activity_summary s WHERE s.character_id = :'character'::bigint;
