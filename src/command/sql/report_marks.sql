-- Where run $1 rejected records of the table $2 or restated stored ones, as far as the times of their
-- portions tell: from, to, rejected, restated (updated, or a duplicate with other values).
SELECT extract(epoch FROM p.from_ts)::float8 AS from_s, extract(epoch FROM p.to_ts)::float8 AS to_s,
       sum(u.rejected)::bigint AS rejected, sum(u.restated)::bigint AS restated
FROM tidegate.portion p
CROSS JOIN LATERAL (
    SELECT p.rejected[l.set_ordinal] AS rejected,
           p.updated[l.set_ordinal] + p.conflicting[l.set_ordinal] AS restated
    FROM tidegate.load l JOIN tidegate.content c ON c.id = l.content_id
    WHERE l.set_id = p.set_id AND c.target = $2
) u
WHERE p.run_id = $1
GROUP BY p.set_id, p.route, p.window_no, p.from_ts, p.to_ts
