//! A text file line by line, so that a test can spoil some and knows where each of them is.

use std::path::{Path, PathBuf};

use super::bars::Bars;
use super::db::TestDb;

/// A file of bars with a header. Row 0 is the first data line.
#[derive(Debug, Clone)]
pub struct Lines(Vec<Vec<u8>>);

impl Lines {
    /// The lines of some bars.
    pub fn of(bars: &Bars) -> Self {
        let header = std::iter::once(Bars::HEADER.to_owned());
        Self(
            header
                .chain((0..bars.rows).map(|row| bars.line(row)))
                .map(String::into_bytes)
                .collect(),
        )
    }

    /// Replaces a row.
    pub fn set(&mut self, row: usize, line: impl Into<Vec<u8>>) {
        self.0[row + 1] = line.into();
    }

    /// Replaces one field of a row; fields are counted from 0.
    pub fn set_field(&mut self, row: usize, field: usize, value: impl AsRef<[u8]>) {
        let mut fields: Vec<&[u8]> = self.0[row + 1].split(|&byte| byte == b',').collect();
        fields[field] = value.as_ref();
        self.0[row + 1] = fields.join(&b','.to_owned());
    }

    /// A row's bytes.
    pub fn row(&self, row: usize) -> &[u8] {
        &self.0[row + 1]
    }

    /// Rows without the header.
    pub fn rows(&self) -> usize {
        self.0.len() - 1
    }

    /// A file with these rows only.
    pub fn pick(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        let picked = rows.into_iter().map(|row| self.0[row + 1].clone());
        Self(std::iter::once(self.0[0].clone()).chain(picked).collect())
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.join(&b'\n');
        bytes.push(b'\n');
        bytes
    }

    /// Writes the file into a folder and gives its path.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, self.bytes()).expect("the folder is writable");
        path
    }

    /// Fails unless the rejects on record are these rows, each with its rule, its place and its
    /// bytes.
    pub fn expect_rejects(&self, db: &TestDb<'_>, expected: &[(usize, &str)]) {
        let mut starts = Vec::with_capacity(self.0.len());
        let mut offset = 0;
        for line in &self.0 {
            starts.push(offset);
            offset += line.len() + 1;
        }
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut expected: Vec<(usize, &str)> = expected.to_vec();
        expected.sort_unstable();
        let expected: Vec<Vec<Option<String>>> = (expected.iter())
            .map(|&(row, rule)| {
                let line = &self.0[row + 1];
                let text = [row + 1, row + 2, starts[row + 1], line.len()].map(|n| n.to_string());
                text.into_iter().chain([rule.to_owned(), hex(line)]).map(Some).collect()
            })
            .collect();
        let found = db.client().rows(
            "SELECT row_no, line_no, byte_offset, byte_len, rule, encode(raw, 'hex') \
             FROM tidegate.reject ORDER BY row_no",
        );
        if found == expected {
            return;
        }
        let only = |of: &[Vec<Option<String>>], not: &[Vec<Option<String>>]| -> Vec<String> {
            of.iter()
                .filter(|row| !not.contains(row))
                .take(5)
                .map(|row| format!("{row:?}"))
                .collect()
        };
        panic!(
            "rejects: {} found, {} expected\nnot expected: {:#?}\nmissing: {:#?}",
            found.len(),
            expected.len(),
            only(&found, &expected),
            only(&expected, &found)
        );
    }
}

/// Fails unless every load is sealed and its accounts add up: portions tile the source, records of
/// neighbours join, each record has one fate, and as many rejects are recorded as were counted.
pub fn equations(db: &TestDb<'_>) {
    scattered_equations(db);
    let wrong = db.client().rows(
        "SELECT l.id, l.source, l.sealed_at, l.read, l.inserted, l.rejected, t.* \
         FROM tidegate.load l \
         JOIN tidegate.load_set d ON d.id = l.set_id AND d.strategy = 'direct' \
         CROSS JOIN LATERAL ( \
             SELECT count(*) AS n, max(window_no) AS last, sum(read[1]) AS r, \
                 sum(inserted[1]) AS i, sum(updated[1]) AS u, sum(duplicate[1]) AS d, \
                 sum(rejected[1]) AS j, sum(skipped[1]) AS s, max(span_end) AS e, \
                 bool_and(joins) AS joins \
             FROM (SELECT *, span_start = lag(span_end, 1, 0::bigint) OVER w \
                     AND first_row = lag(first_row + read[1], 1, 1::bigint) OVER w AS joins \
                   FROM tidegate.portion WHERE set_id = l.set_id \
                   WINDOW w AS (ORDER BY window_no)) p) t \
         WHERE l.sealed_at IS NULL OR t.n <> t.last + 1 OR NOT t.joins OR t.e <> l.span_end \
             OR t.r <> t.i + t.u + t.d + t.j + t.s \
             OR (l.read, l.inserted, l.updated, l.duplicate, l.rejected, l.skipped) \
                IS DISTINCT FROM (t.r, t.i, t.u, t.d, t.j, t.s) \
             OR t.j <> (SELECT count(DISTINCT row_no) FROM tidegate.reject WHERE load_id = l.id) \
             OR t.j <> (SELECT count(*) FROM tidegate.reject WHERE load_id = l.id)",
    );
    assert!(wrong.is_empty(), "loads whose accounts do not add up: {wrong:?}");
    let loads: i64 = db.client().query_one("SELECT count(*) FROM tidegate.load");
    assert!(loads > 0, "nothing was loaded");
}

/// The same of loads that were scattered: stretches tile the source, every route received what the
/// residues say, and what was read is what the stretches hold.
fn scattered_equations(db: &TestDb<'_>) {
    let wrong = db.client().rows(
        "SELECT l.id, l.source, l.sealed_at, l.span_end, l.read, t.*, p.* FROM tidegate.load l \
         JOIN tidegate.load_set d ON d.id = l.set_id AND d.strategy = 'scatter' \
         CROSS JOIN LATERAL ( \
             SELECT coalesce(max(span_end), 0) AS e, coalesce(sum(rows), 0) AS rows, \
                 coalesce(bool_and(joins), true) AS joins \
             FROM (SELECT *, span_start = lag(span_end, 1, 0::bigint) OVER w \
                     AND first_row = lag(first_row + rows, 1, 1::bigint) OVER w AS joins \
                   FROM tidegate.stretch \
                   WHERE set_id = l.set_id AND set_ordinal = l.set_ordinal \
                   WINDOW w AS (ORDER BY window_no)) s) t \
         CROSS JOIN LATERAL ( \
             SELECT sum(read[o]) AS r, sum(inserted[o]) AS i, sum(updated[o]) AS u, \
                 sum(duplicate[o]) AS d, sum(rejected[o]) AS j, sum(skipped[o]) AS s \
             FROM (SELECT *, l.set_ordinal AS o FROM tidegate.portion WHERE set_id = l.set_id) p \
         ) p \
         WHERE l.sealed_at IS NULL OR NOT t.joins OR t.e <> l.span_end OR t.rows <> p.r \
             OR p.r <> p.i + p.u + p.d + p.j + p.s \
             OR (l.read, l.inserted, l.updated, l.duplicate, l.rejected, l.skipped) \
                IS DISTINCT FROM (p.r, p.i, p.u, p.d, p.j, p.s) \
             OR p.j <> (SELECT count(DISTINCT row_no) FROM tidegate.reject WHERE load_id = l.id) \
             OR EXISTS (SELECT FROM tidegate.route r WHERE r.set_id = l.set_id \
                 AND r.rows[l.set_ordinal] <> (SELECT coalesce(sum(q.read[l.set_ordinal]), 0) \
                     FROM tidegate.portion q WHERE q.set_id = r.set_id \
                         AND q.window_no = r.window_no \
                         AND split_part(q.route, '#', 1) = r.route))",
    );
    assert!(wrong.is_empty(), "scattered loads whose accounts do not add up: {wrong:?}");
}
