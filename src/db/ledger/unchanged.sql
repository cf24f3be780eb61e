-- Which files are as they were when they were loaded: $1 scope, $2 paths, $3 sizes, $4 versions.
-- With each its loads, and the tables in which those have rows.
SELECT s.path, s.loads,
       ARRAY(SELECT DISTINCT format('%I.%I', n.nspname, t.relname)
             FROM tidegate.load l
             JOIN tidegate.content c ON c.id = l.content_id
             JOIN pg_class t ON t.oid = c.target_oid
             JOIN pg_namespace n ON n.oid = t.relnamespace
             WHERE l.id = ANY (s.loads) AND l.inserted > 0)
FROM tidegate.seen s
JOIN unnest($2::text[], $3::bigint[], $4::text[]) AS w (path, bytes, version)
    ON w.path = s.path AND w.bytes = s.bytes AND w.version = s.version
WHERE s.scope = $1
  AND (SELECT count(*)
       FROM tidegate.load l
       JOIN tidegate.content c ON c.id = l.content_id
       JOIN pg_class t ON t.oid = c.target_oid
       WHERE l.id = ANY (s.loads) AND l.sealed_at IS NOT NULL) = cardinality(s.loads)
