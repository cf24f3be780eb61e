//! The ledger of scattered loads. A window of a set is read to its end in one transaction, the
//! *residue*, which records what of every source it covers, the rejects, and how many records each
//! route must receive. Then the routes commit, each in portions of its own, and the seal compares.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::portion::{arrays, tables_json};
use super::{PortionKey, count, int};
use crate::count::Counts;
use crate::db::{Connection, DbError};

/// The route of a residue.
pub const RESIDUE: &str = "*";
/// Between a route's name and the number of a part of it.
const PART: char = '#';

/// The part of one source that a window covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stretch {
    /// First byte or row of the source.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// Ordinal of its first span in the source.
    pub first_span: u32,
    /// Spans in it.
    pub spans: u32,
    /// Record number of its first record, from 1.
    pub first_row: u64,
    /// Records in it.
    pub rows: u64,
    /// Physical line on which it starts, from 1.
    pub first_line: u64,
    /// Physical lines in it.
    pub lines: u64,
}

/// What a route of a window receives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// Its partition's bounds, in microseconds from 1970 UTC, half-open, if it is a partition's.
    pub range: Option<(i64, i64)>,
    /// Records by position of their load in the set.
    pub rows: Vec<u64>,
    /// Packed keys at which it is cut into parts.
    pub cuts: Vec<u128>,
}

/// A window whose residue is committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// What it covers, by position of the load in the set.
    pub stretches: BTreeMap<usize, Stretch>,
    /// Its routes, by name.
    pub routes: BTreeMap<String, Share>,
    /// Names of the committed portions of its routes.
    pub done: BTreeSet<String>,
}

/// The name of part `part` of a route.
pub fn part_name(route: &str, part: usize) -> String {
    format!("{route}{PART}{part}")
}

impl Window {
    /// Whether everything that a route receives is committed.
    pub fn is_route_done(&self, route: &str) -> bool {
        let Some(share) = self.routes.get(route) else { return false };
        self.done.contains(route)
            || (0..=share.cuts.len()).all(|part| self.done.contains(&part_name(route, part)))
    }

    /// Whether any part of a route is committed.
    pub fn is_route_begun(&self, route: &str) -> bool {
        let prefix = format!("{route}{PART}");
        self.done.contains(route)
            || self
                .done
                .range(prefix.clone()..)
                .next()
                .is_some_and(|name| name.starts_with(&prefix))
    }

    /// Whether all routes are committed.
    pub fn is_done(&self) -> bool {
        self.routes.keys().all(|route| self.is_route_done(route))
    }
}

/// A load of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub load_id: i64,
    /// Its source, for people.
    pub source: String,
    /// Whether it is complete and proved.
    pub sealed: bool,
}

/// The loads of a set, in its order.
///
/// # Errors
/// The server's.
pub async fn members(db: &Connection, set_id: i64) -> Result<Vec<Member>, DbError> {
    let rows = db
        .query_typed(
            "SELECT id, source, sealed_at IS NOT NULL AS sealed FROM tidegate.load \
             WHERE set_id = $1 ORDER BY set_ordinal",
            &[(&set_id, Type::INT8)],
        )
        .await?;
    let member = |row: &Row| Member {
        load_id: row.get("id"),
        source: row.get("source"),
        sealed: row.get("sealed"),
    };
    Ok(rows.iter().map(member).collect())
}

/// The windows of a set whose residue is committed.
///
/// # Errors
/// The server's; [`DbError::Ledger`] for cuts that are no keys.
pub async fn windows(db: &Connection, set_id: i64) -> Result<BTreeMap<u32, Window>, DbError> {
    let set = [(&set_id as &(dyn tokio_postgres::types::ToSql + Sync), Type::INT8)];
    let mut windows: BTreeMap<u32, Window> = BTreeMap::new();
    let number = |row: &Row| row.get::<_, i32>("window_no").max(0) as u32;
    let sql = "SELECT * FROM tidegate.stretch WHERE set_id = $1";
    for row in db.query_typed(sql, &set).await? {
        let ordinal = row.get::<_, i32>("set_ordinal").max(1) as usize - 1;
        let stretch = Stretch {
            start: count(&row, "span_start"),
            end: count(&row, "span_end"),
            first_span: row.get::<_, i32>("first_span").max(0) as u32,
            spans: row.get::<_, i32>("spans").max(0) as u32,
            first_row: count(&row, "first_row"),
            rows: count(&row, "rows"),
            first_line: count(&row, "first_line"),
            lines: count(&row, "lines"),
        };
        windows.entry(number(&row)).or_default().stretches.insert(ordinal, stretch);
    }
    let sql =
        "SELECT window_no, route, from_us, to_us, rows, cuts FROM tidegate.route WHERE set_id = $1";
    for row in db.query_typed(sql, &set).await? {
        let rows: Vec<i64> = row.get("rows");
        let cuts = row.get::<_, Vec<String>>("cuts");
        let cuts = cuts.iter().map(|cut| {
            let bad = |_| DbError::Ledger(format!("set {set_id}: {cut:?} is no packed key"));
            u128::from_str_radix(cut, 16).map_err(bad)
        });
        let range: (Option<i64>, Option<i64>) = (row.get("from_us"), row.get("to_us"));
        let share = Share {
            range: range.0.zip(range.1),
            rows: rows.iter().map(|&rows| rows.max(0) as u64).collect(),
            cuts: cuts.collect::<Result<_, _>>()?,
        };
        windows.entry(number(&row)).or_default().routes.insert(row.get("route"), share);
    }
    let sql = "SELECT window_no, route FROM tidegate.portion WHERE set_id = $1 AND route <> '*'";
    for row in db.query_typed(sql, &set).await? {
        windows.entry(number(&row)).or_default().done.insert(row.get("route"));
    }
    Ok(windows)
}

/// Claims a residue in the transaction that [`super::begin_portion`] opened. `false`: it was
/// committed before.
///
/// # Errors
/// The server's.
pub async fn claim_residue(
    db: &Connection,
    key: &PortionKey,
    run_id: i64,
) -> Result<bool, DbError> {
    let inserted = db
        .execute_typed(
            "INSERT INTO tidegate.portion (set_id, route, window_no, run_id, span_start, \
                 span_end, first_row, first_line, lines, read, inserted, updated, duplicate, \
                 conflicting, rejected, skipped, tables) \
             VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', \
                 '{}') \
             ON CONFLICT (set_id, route, window_no) DO NOTHING",
            &[
                (&key.set_id, Type::INT8),
                (&key.route, Type::TEXT),
                (&i32::try_from(key.window).unwrap_or(i32::MAX), Type::INT4),
                (&run_id, Type::INT8),
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Records what a window's reading found, in the transaction of its residue. `counts` are the
/// records that no route receives, by load: `read = rejected + skipped`.
///
/// # Errors
/// The server's.
pub async fn record_residue(
    db: &Connection,
    key: &PortionKey,
    counts: &[Counts],
    window: &Window,
) -> Result<(), DbError> {
    let number = i32::try_from(key.window).unwrap_or(i32::MAX);
    let covered: u64 = window.stretches.values().map(|stretch| stretch.end - stretch.start).sum();
    let c = arrays(counts);
    db.execute_typed(
        "UPDATE tidegate.portion SET span_end = $4, read = $5, inserted = $6, updated = $6, \
             duplicate = $6, conflicting = $6, rejected = $7, skipped = $8, tables = $9, \
             committed_at = clock_timestamp() \
         WHERE set_id = $1 AND route = $2 AND window_no = $3",
        &[
            (&key.set_id, Type::INT8),
            (&key.route, Type::TEXT),
            (&number, Type::INT4),
            (&int(covered), Type::INT8),
            (&c.read, Type::INT8_ARRAY),
            (&c.inserted, Type::INT8_ARRAY),
            (&c.rejected, Type::INT8_ARRAY),
            (&c.skipped, Type::INT8_ARRAY),
            (&tables_json(&BTreeMap::new()), Type::JSONB),
        ],
    )
    .await?;
    record_stretches(db, key.set_id, number, &window.stretches).await?;
    for (route, share) in &window.routes {
        let rows: Vec<i64> = share.rows.iter().map(|&rows| int(rows)).collect();
        let cuts: Vec<String> = share.cuts.iter().map(|cut| format!("{cut:x}")).collect();
        db.execute_typed(
            "INSERT INTO tidegate.route (set_id, window_no, route, rows, cuts, from_us, to_us) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                (&key.set_id, Type::INT8),
                (&number, Type::INT4),
                (route, Type::TEXT),
                (&rows, Type::INT8_ARRAY),
                (&cuts, Type::TEXT_ARRAY),
                (&share.range.map(|range| range.0), Type::INT8),
                (&share.range.map(|range| range.1), Type::INT8),
            ],
        )
        .await?;
    }
    Ok(())
}

async fn record_stretches(
    db: &Connection,
    set_id: i64,
    window: i32,
    stretches: &BTreeMap<usize, Stretch>,
) -> Result<(), DbError> {
    let ordinals: Vec<i32> = stretches.keys().map(|&ordinal| ordinal as i32 + 1).collect();
    let column = |of: fn(&Stretch) -> u64| -> Vec<i64> {
        stretches.values().map(|stretch| int(of(stretch))).collect()
    };
    db.execute_typed(
        "INSERT INTO tidegate.stretch (set_id, window_no, set_ordinal, span_start, span_end, \
             first_span, spans, first_row, rows, first_line, lines) \
         SELECT $1, $2, u.* FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::bigint[], \
             $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]) u",
        &[
            (&set_id, Type::INT8),
            (&window, Type::INT4),
            (&ordinals, Type::INT4_ARRAY),
            (&column(|stretch| stretch.start), Type::INT8_ARRAY),
            (&column(|stretch| stretch.end), Type::INT8_ARRAY),
            (&column(|stretch| u64::from(stretch.first_span)), Type::INT8_ARRAY),
            (&column(|stretch| u64::from(stretch.spans)), Type::INT8_ARRAY),
            (&column(|stretch| stretch.first_row), Type::INT8_ARRAY),
            (&column(|stretch| stretch.rows), Type::INT8_ARRAY),
            (&column(|stretch| stretch.first_line), Type::INT8_ARRAY),
            (&column(|stretch| stretch.lines), Type::INT8_ARRAY),
        ],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_done_as_a_whole_or_in_all_its_parts() {
        let mut window = Window::default();
        window.routes.insert("a".to_owned(), Share { range: None, rows: vec![3], cuts: vec![7] });
        window.routes.insert("ab".to_owned(), Share::default());
        assert!(!window.is_done() && !window.is_route_begun("a"));
        window.done.insert(part_name("ab", 0));
        assert!(!window.is_route_begun("a") && window.is_route_done("ab"));
        window.done.insert(part_name("a", 1));
        assert!(window.is_route_begun("a") && !window.is_route_done("a"));
        window.done.insert(part_name("a", 0));
        assert!(window.is_done());
        window.done = BTreeSet::from(["a".to_owned(), "ab".to_owned()]);
        assert!(window.is_done());
    }
}
