-- What files and objects held when they were looked at last, so that one that is unchanged is not
-- read again only to be found done. A memo is a short cut, never a proof: it is used while the file
-- is the same (size, times and inode, or ETag), everything that decides what a file holds was asked
-- in the same way, and every load that it names still stands sealed.
CREATE TABLE IF NOT EXISTS tidegate.memo (
    key       bytea PRIMARY KEY,
    location  text NOT NULL,
    version   text NOT NULL,
    loads     bigint[] NOT NULL,
    sources   text[] NOT NULL,
    ignored   jsonb NOT NULL,
    noted_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tidegate.memo IS
    'Files and objects whose contents are all loaded; deleting rows only costs reading them again.';
COMMENT ON COLUMN tidegate.memo.key IS
    'BLAKE3 of where it is and of everything that was asked about it.';
COMMENT ON COLUMN tidegate.memo.location IS 'Where it is, for people; no secrets.';
COMMENT ON COLUMN tidegate.memo.version IS
    'Size, times and inode of a file; size and ETag of an object.';
COMMENT ON COLUMN tidegate.memo.loads IS 'The loads of its contents, in order.';
COMMENT ON COLUMN tidegate.memo.sources IS 'How each content is called in reports.';
COMMENT ON COLUMN tidegate.memo.ignored IS 'Members that are no market data, each with why.';
