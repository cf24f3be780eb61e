-- $1: keys, $2: for each what the file is now. One row for each load of each file that is still
-- what was noted; no layout where a load does not stand as it did.
SELECT m.key, m.ignored::text AS ignored, u.load_id, u.source, c.hash, c.dataset, c.target, c.target_oid,
       l.layout, coalesce(l.inserted, 0) AS inserted
FROM unnest($1::bytea[], $2::text[]) AS w (key, version)
JOIN tidegate.memo m ON m.key = w.key AND m.version = w.version
CROSS JOIN LATERAL unnest(m.loads, m.sources) WITH ORDINALITY AS u (load_id, source, n)
LEFT JOIN tidegate.load l ON l.id = u.load_id AND l.sealed_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM tidegate.load newer
                    WHERE newer.content_id = l.content_id AND newer.ts_from = l.ts_from
                      AND newer.ts_to = l.ts_to AND newer.generation > l.generation)
LEFT JOIN tidegate.content c ON c.id = l.content_id
ORDER BY m.key, u.n
