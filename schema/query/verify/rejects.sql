-- Rejects that nobody mended yet, rule by rule.
SELECT rule, count(*) AS rejects, count(DISTINCT load_id) AS loads, min(source) AS source
FROM tidegate.reject WHERE resolved_at IS NULL
GROUP BY rule ORDER BY 2 DESC, 1
