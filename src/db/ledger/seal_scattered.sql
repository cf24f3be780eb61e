-- Everything that the seal of a scattered load $1 must prove, from ledger rows alone: its stretches
-- tile the source, and every route has received what the residues say.
WITH this AS (
    SELECT id, set_id, set_ordinal, span_end, sealed_at FROM tidegate.load WHERE id = $1
), stretches AS (
    SELECT s.span_start, s.span_end, s.first_row, s.rows,
           lag(s.span_end, 1, 0::bigint) OVER w AS end_before,
           lag(s.first_row + s.rows, 1, 1::bigint) OVER w AS row_expected
    FROM tidegate.stretch s
    JOIN this t ON t.set_id = s.set_id AND t.set_ordinal = s.set_ordinal
    WINDOW w AS (ORDER BY s.window_no)
), covering AS (
    SELECT coalesce(max(span_end), 0) AS covered,
           coalesce(bool_or(span_start > end_before), false) AS gaps,
           coalesce(bool_or(span_start < end_before), false) AS overlaps,
           coalesce(bool_or(first_row <> row_expected), false) AS rows_torn,
           coalesce(sum(rows), 0)::bigint AS rows
    FROM stretches
), portions AS (
    SELECT p.window_no, split_part(p.route, '#', 1) AS route,
           p.read[t.set_ordinal] AS read, p.inserted[t.set_ordinal] AS inserted,
           p.updated[t.set_ordinal] AS updated, p.duplicate[t.set_ordinal] AS duplicate,
           p.conflicting[t.set_ordinal] AS conflicting, p.rejected[t.set_ordinal] AS rejected,
           p.skipped[t.set_ordinal] AS skipped
    FROM tidegate.portion p JOIN this t ON t.set_id = p.set_id
), totals AS (
    SELECT coalesce(bool_or(read <> inserted + updated + duplicate + rejected + skipped), false)
               AS unbalanced,
           coalesce(sum(read), 0)::bigint AS read,
           coalesce(sum(inserted), 0)::bigint AS inserted,
           coalesce(sum(updated), 0)::bigint AS updated,
           coalesce(sum(duplicate), 0)::bigint AS duplicate,
           coalesce(sum(conflicting), 0)::bigint AS conflicting,
           coalesce(sum(rejected), 0)::bigint AS rejected,
           coalesce(sum(skipped), 0)::bigint AS skipped
    FROM portions
), received AS (
    SELECT window_no, route, sum(read)::bigint AS rows FROM portions GROUP BY window_no, route
), routes AS (
    SELECT coalesce(bool_or(coalesce(g.rows, 0) < r.rows[t.set_ordinal]), false) AS missing,
           coalesce(bool_or(g.rows > r.rows[t.set_ordinal]), false) AS surplus
    FROM tidegate.route r JOIN this t ON t.set_id = r.set_id
    LEFT JOIN received g ON g.window_no = r.window_no AND g.route = r.route
)
SELECT t.sealed_at IS NOT NULL AS sealed, t.span_end, c.covered, c.gaps OR r.missing AS gaps,
       c.overlaps OR r.surplus AS overlaps,
       c.rows_torn OR NOT r.missing AND c.rows <> s.read AS rows_torn,
       s.*,
       (SELECT count(*) FROM tidegate.reject j WHERE j.load_id = $1) AS rejects_recorded
FROM this t CROSS JOIN covering c CROSS JOIN totals s CROSS JOIN routes r
