-- Every load whose accounts are not in order, proved again from ledger rows alone, whatever its seal
-- says: its spans tile the source, record numbers join, every record has one fate, the routes of a
-- scattered load received what its residues say, as many rejects are recorded as were counted, and
-- the load's own totals are the sums of its portions. One row a load; none: all is well. Of a
-- content that was loaded again only the last load must be complete.
WITH loads AS (
    SELECT l.*, s.strategy = 'scatter' AS scattered,
           l.generation = max(l.generation) OVER (PARTITION BY l.content_id, l.ts_from, l.ts_to)
               AS newest
    FROM tidegate.load l JOIN tidegate.load_set s ON s.id = l.set_id
),
portions AS (
    SELECT l.id, l.scattered, p.window_no, split_part(p.route, '#', 1) AS route,
           p.span_start, p.span_end, p.first_row,
           p.read[l.set_ordinal] AS read, p.inserted[l.set_ordinal] AS inserted,
           p.updated[l.set_ordinal] AS updated, p.duplicate[l.set_ordinal] AS duplicate,
           p.conflicting[l.set_ordinal] AS conflicting, p.rejected[l.set_ordinal] AS rejected,
           p.skipped[l.set_ordinal] AS skipped
    FROM loads l JOIN tidegate.portion p ON p.set_id = l.set_id
),
spans AS (
    SELECT id, window_no, span_start, span_end, first_row, read AS rows
    FROM portions WHERE NOT scattered
    UNION ALL
    SELECT l.id, s.window_no, s.span_start, s.span_end, s.first_row, s.rows
    FROM loads l
    JOIN tidegate.stretch s ON s.set_id = l.set_id AND s.set_ordinal = l.set_ordinal
),
laid AS (
    SELECT id, span_start, span_end, first_row, rows,
           lag(span_end, 1, 0::bigint) OVER w AS end_before,
           lag(first_row + rows, 1, 1::bigint) OVER w AS row_expected
    FROM spans WINDOW w AS (PARTITION BY id ORDER BY window_no)
),
covering AS (
    SELECT id, max(span_end) AS covered, bool_or(span_start > end_before) AS gaps,
           bool_or(span_start < end_before) AS overlaps,
           bool_or(first_row <> row_expected) AS torn, sum(rows)::bigint AS rows
    FROM laid GROUP BY id
),
totals AS (
    SELECT id,
           bool_or(read <> inserted + updated + duplicate + rejected + skipped) AS unbalanced,
           sum(read)::bigint AS read, sum(inserted)::bigint AS inserted,
           sum(updated)::bigint AS updated, sum(duplicate)::bigint AS duplicate,
           sum(conflicting)::bigint AS conflicting, sum(rejected)::bigint AS rejected,
           sum(skipped)::bigint AS skipped
    FROM portions GROUP BY id
),
received AS (
    SELECT id, window_no, route, sum(read)::bigint AS rows
    FROM portions WHERE scattered GROUP BY id, window_no, route
),
routes AS (
    SELECT l.id, bool_or(coalesce(g.rows, 0) <> r.rows[l.set_ordinal]) AS differ
    FROM loads l
    JOIN tidegate.route r ON r.set_id = l.set_id
    LEFT JOIN received g ON g.id = l.id AND g.window_no = r.window_no AND g.route = r.route
    WHERE l.scattered
    GROUP BY l.id
),
rejects AS (
    SELECT load_id, count(*) AS recorded FROM tidegate.reject GROUP BY load_id
),
judged AS (
    SELECT l.id, l.source, l.newest, l.sealed_at IS NOT NULL AS sealed, l.span_end,
           coalesce(c.covered, 0) AS covered,
           array_remove(ARRAY[
               CASE WHEN coalesce(c.gaps, false) OR coalesce(c.covered, 0) < l.span_end
                    THEN format('%s of %s %ss are covered', coalesce(c.covered, 0), l.span_end,
                                l.span_unit) END,
               CASE WHEN c.overlaps OR c.covered > l.span_end
                    THEN 'spans of its portions overlap' END,
               CASE WHEN c.torn THEN 'row numbers of its portions do not join' END,
               CASE WHEN t.unbalanced THEN 'a portion''s records do not add up' END,
               CASE WHEN l.scattered AND coalesce(c.rows, 0) <> coalesce(t.read, 0)
                    THEN format('%s records were read, %s have a fate', c.rows, t.read) END,
               CASE WHEN r.differ THEN 'a route did not receive what was read for it' END,
               CASE WHEN coalesce(j.recorded, 0) <> coalesce(t.rejected, 0)
                    THEN format('%s records were rejected, %s rejects are recorded',
                                coalesce(t.rejected, 0), coalesce(j.recorded, 0)) END,
               CASE WHEN l.sealed_at IS NOT NULL
                     AND (coalesce(t.read, 0), coalesce(t.inserted, 0), coalesce(t.updated, 0),
                          coalesce(t.duplicate, 0), coalesce(t.conflicting, 0),
                          coalesce(t.rejected, 0), coalesce(t.skipped, 0))
                         IS DISTINCT FROM (l.read, l.inserted, l.updated, l.duplicate,
                                           l.conflicting, l.rejected, l.skipped)
                    THEN 'its totals are not the sums of its portions' END
           ], NULL) AS faults
    FROM loads l
    LEFT JOIN covering c ON c.id = l.id
    LEFT JOIN totals t ON t.id = l.id
    LEFT JOIN routes r ON r.id = l.id
    LEFT JOIN rejects j ON j.load_id = l.id
)
SELECT id, source, sealed, array_to_string(faults, '; ') AS faults
FROM judged
-- What an unsealed load lacks is that it goes on: it is named as unsealed.
WHERE CASE WHEN sealed THEN faults <> '{}' ELSE newest END
UNION ALL
SELECT r.load_id, min(r.source), true, format('%s rejects are of a load that is not there', count(*))
FROM tidegate.reject r
WHERE NOT EXISTS (SELECT FROM tidegate.load l WHERE l.id = r.load_id)
GROUP BY r.load_id
ORDER BY 1
