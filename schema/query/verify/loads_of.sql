-- The loads of the content with hash $1: for each target, set of facts and window the last.
SELECT DISTINCT ON (c.id, l.ts_from, l.ts_to)
       l.id, c.target, l.replay, l.on_conflict, l.sealed_at IS NOT NULL AS sealed
FROM tidegate.content c JOIN tidegate.load l ON l.content_id = c.id
WHERE c.hash = $1
ORDER BY c.id, l.ts_from, l.ts_to, l.generation DESC
