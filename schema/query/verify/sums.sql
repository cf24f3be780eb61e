-- Rows of a table by day, and the sum of their hashes: order and ids play no part in it. `:row` is
-- the text of a row, `:day` its day, `:table` the table as t.
SELECT day, count(*) AS rows, sum(hash)::text AS sum
FROM (
    SELECT :day AS day,
           ('x' || encode(substr(sha256(convert_to(:row, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
               AS hash
    FROM :table
) h
GROUP BY day
ORDER BY day
