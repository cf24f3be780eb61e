-- Everything that the seal of load $1 must prove, from ledger rows alone.
WITH this AS (
    SELECT id, set_id, set_ordinal, span_end, sealed_at FROM tidegate.load WHERE id = $1
), portions AS (
    SELECT p.window_no, p.span_start, p.span_end, p.first_row,
           p.read[t.set_ordinal] AS read, p.inserted[t.set_ordinal] AS inserted,
           p.updated[t.set_ordinal] AS updated, p.duplicate[t.set_ordinal] AS duplicate,
           p.conflicting[t.set_ordinal] AS conflicting, p.rejected[t.set_ordinal] AS rejected,
           p.skipped[t.set_ordinal] AS skipped,
           lag(p.span_end, 1, 0::bigint) OVER w AS end_before,
           lag(p.first_row + p.read[t.set_ordinal], 1, 1::bigint) OVER w AS row_expected
    FROM tidegate.portion p JOIN this t ON t.set_id = p.set_id
    WINDOW w AS (ORDER BY p.window_no)
)
SELECT (SELECT sealed_at IS NOT NULL FROM this) AS sealed,
       (SELECT span_end FROM this) AS span_end,
       coalesce(max(span_end), 0) AS covered,
       coalesce(bool_or(span_start > end_before), false) AS gaps,
       coalesce(bool_or(span_start < end_before), false) AS overlaps,
       coalesce(bool_or(first_row <> row_expected), false) AS rows_torn,
       coalesce(bool_or(read <> inserted + updated + duplicate + rejected + skipped), false)
           AS unbalanced,
       coalesce(sum(read), 0)::bigint AS read,
       coalesce(sum(inserted), 0)::bigint AS inserted,
       coalesce(sum(updated), 0)::bigint AS updated,
       coalesce(sum(duplicate), 0)::bigint AS duplicate,
       coalesce(sum(conflicting), 0)::bigint AS conflicting,
       coalesce(sum(rejected), 0)::bigint AS rejected,
       coalesce(sum(skipped), 0)::bigint AS skipped,
       (SELECT count(*) FROM tidegate.reject r WHERE r.load_id = $1) AS rejects_recorded
FROM portions
