//! The ledger: which contents were loaded into which target, portion by portion. A portion's row
//! commits in the transaction that writes its rows, so that what the ledger says is what the table
//! holds. Called by `command` (to plan, to report), `write` (to claim) and `pipeline` (to seal).

mod account;
mod freshness;
mod lease;
mod live;
mod memo;
mod nights;
mod pace;
mod portion;
mod scatter;

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Connection, DbError};
use crate::count::{Counts, TableCounts};
use crate::span::{Span, SpanUnit};

pub use account::{RunLoad, Seal, run_loads, run_tables, seal};
pub use freshness::{Written, kept_state, mark_fresh, written_since};
pub use lease::{Holder, Taken, keep_lease, lease_holder, release_lease, take_lease};
pub use live::{LiveRun, live_runs, publish, sweep, withdraw};
pub use memo::{Memo, Remembered, has_memos, note, recall};
pub use nights::{
    SourceEnd, end_source, ever_loaded, newest, retention_took, rewritten, superseded,
};
pub use pace::{Pace, pace};
pub use portion::{begin_portion, claim, done_portions, record, record_replay, touch};
pub use scatter::{
    Member, RESIDUE, Share, Stretch, Window, claim_residue, members, part_name, record_residue,
    windows,
};

/// Everything that makes a content the same content. A file's name is not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentKey {
    /// BLAKE3 of the bytes, decompressed.
    pub hash: [u8; 32],
    /// Their number.
    pub bytes: u64,
    /// The target, as `schema.table`.
    pub target: String,
    /// The dataset.
    pub dataset: String,
    /// Facts taken from outside the bytes: ticker, interval, zone.
    pub facts: BTreeMap<String, String>,
}

impl ContentKey {
    /// One hash over all of it.
    pub fn identity(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.hash);
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(self.target.as_bytes());
        field(self.dataset.as_bytes());
        for (name, value) in &self.facts {
            field(name.as_bytes());
            field(value.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// A positive number made of the identity: what the rows of a table without a natural key are
    /// known by. It needs no ledger to be the same again.
    pub fn number(&self) -> i64 {
        let [a, b, c, d, e, f, g, h, ..] = self.identity();
        (i64::from_be_bytes([a, b, c, d, e, f, g, h]) & i64::MAX).max(1)
    }
}

/// The time window of a load, as the user gave it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeWindow {
    /// First instant, in microseconds from 1970 UTC.
    pub from_us: Option<i64>,
    /// First instant after it.
    pub to_us: Option<i64>,
}

impl TimeWindow {
    fn first(self) -> String {
        self.from_us.map_or("-infinity".to_owned(), instant)
    }

    fn end(self) -> String {
        self.to_us.map_or("infinity".to_owned(), instant)
    }
}

fn instant(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us)
        .map_or_else(|_| "infinity".to_owned(), |ts| ts.to_string())
}

/// A load that is to be begun.
#[derive(Debug, Clone)]
pub struct NewLoad {
    /// The content.
    pub content: ContentKey,
    /// The target table's OID now.
    pub target_oid: u32,
    /// Its window.
    pub window: TimeWindow,
    /// The source's name, for people.
    pub source: String,
    /// The layout and its version.
    pub layout: (String, u32),
    /// The mapping with which a mended reject is read again.
    pub replay: serde_json::Value,
    /// The conflict policy's name.
    pub on_conflict: String,
    /// How batches are cut, by name.
    pub cut_rule: String,
    /// What spans count.
    pub span_unit: SpanUnit,
    /// The source's size in span units.
    pub span_end: u64,
    /// Open a sealed content again.
    pub reload: bool,
    /// Its set and position there, if it is scattered together with others; else it gets a set of
    /// its own.
    pub set: Option<(i64, usize)>,
}

/// A load as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Its number.
    pub id: i64,
    /// The set it belongs to.
    pub set_id: i64,
    /// Its position in the set, from 0.
    pub ordinal: usize,
    /// Whether the set's rows are scattered: sorted into the target's order before they are
    /// written.
    pub scattered: bool,
    /// Raised by each reload.
    pub generation: i32,
    /// Whether it is complete and proved.
    pub sealed: bool,
    /// The layout it was begun under.
    pub layout: (String, u32),
    /// The conflict policy it was begun under.
    pub on_conflict: String,
    /// The rule by which its batches are cut.
    pub cut_rule: String,
    /// The OID of its target when it was begun.
    pub target_oid: u32,
    /// Records inserted by it, once sealed.
    pub inserted: u64,
}

impl Load {
    /// Whether an earlier `--reload` of the same table was begun and not finished: it is resumed
    /// and not begun again.
    pub fn is_reload_under_way(&self, target_oid: u32) -> bool {
        !self.sealed && self.generation > 1 && self.target_oid == target_oid
    }
}

/// A portion's key. In direct and stage loads the route is `*` and a window is one span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortionKey {
    /// The set.
    pub set_id: i64,
    /// The route.
    pub route: String,
    /// The window.
    pub window: u32,
}

/// A portion as it is claimed.
#[derive(Debug, Clone)]
pub struct Portion {
    /// Its key.
    pub key: PortionKey,
    /// The run that writes it.
    pub run_id: i64,
    /// What it covers.
    pub span: Span,
    /// The earliest and the latest time of its rows, in microseconds from 1970 UTC, for whatever is
    /// derived from them; none where that is not known.
    pub touched: Option<(i64, i64)>,
    /// What became of its records, by position of their load in the set.
    pub counts: Vec<Counts>,
    /// Rows by table.
    pub tables: BTreeMap<String, TableCounts>,
}

/// A committed portion, as resuming needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DonePortion {
    /// Where the next span starts.
    pub span_end: u64,
    /// Record number of the first record after it.
    pub next_row: u64,
    /// Physical line on which the next span starts.
    pub next_line: u64,
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn count(row: &Row, column: &str) -> u64 {
    row.try_get::<_, Option<i64>>(column).ok().flatten().unwrap_or(0).max(0) as u64
}

fn counts(row: &Row) -> Counts {
    Counts {
        read: count(row, "read"),
        inserted: count(row, "inserted"),
        updated: count(row, "updated"),
        duplicate: count(row, "duplicate"),
        conflicting: count(row, "conflicting"),
        rejected: count(row, "rejected"),
        skipped: count(row, "skipped"),
    }
}

/// Records that a command started and returns the run's number. `job` is what the run repeats,
/// where that has a name.
///
/// # Errors
/// The server's.
pub async fn begin_run(db: &Connection, command: &str, job: Option<&str>) -> Result<i64, DbError> {
    let program = concat!("tidegate ", env!("CARGO_PKG_VERSION"));
    let row = db
        .query_typed_one(
            "INSERT INTO tidegate.run (command, program, job) VALUES ($1, $2, $3) RETURNING id",
            &[(&command, Type::TEXT), (&program, Type::TEXT), (&job, Type::TEXT)],
        )
        .await?;
    Ok(row.get(0))
}

/// Records how a run ended.
///
/// # Errors
/// The server's.
pub async fn end_run(db: &Connection, run_id: i64, exit_code: u8) -> Result<(), DbError> {
    db.execute_typed(
        "UPDATE tidegate.run SET finished_at = clock_timestamp(), exit_code = $2 WHERE id = $1",
        &[(&run_id, Type::INT8), (&i32::from(exit_code), Type::INT4)],
    )
    .await?;
    Ok(())
}

const LOAD_COLUMNS: &str = "l.id, l.set_id, l.generation, l.sealed_at IS NOT NULL AS sealed, \
     l.layout, l.layout_version, l.on_conflict, s.cut_rule, c.target_oid, \
     l.set_ordinal, s.strategy = 'scatter' AS scattered, \
     coalesce(l.inserted, 0) AS inserted";

fn load(row: &Row) -> Load {
    Load {
        id: row.get("id"),
        set_id: row.get("set_id"),
        ordinal: row.get::<_, i32>("set_ordinal").max(1) as usize - 1,
        scattered: row.get("scattered"),
        generation: row.get("generation"),
        sealed: row.get("sealed"),
        layout: (row.get("layout"), row.get::<_, i32>("layout_version").max(0) as u32),
        on_conflict: row.get("on_conflict"),
        cut_rule: row.get("cut_rule"),
        target_oid: row.get("target_oid"),
        inserted: count(row, "inserted"),
    }
}

/// The newest load of a content with this window, if there is one.
///
/// # Errors
/// The server's.
pub async fn find_load(
    db: &Connection,
    content: &ContentKey,
    window: TimeWindow,
) -> Result<Option<Load>, DbError> {
    let sql = format!(
        "SELECT {LOAD_COLUMNS} FROM tidegate.content c \
         JOIN tidegate.load l ON l.content_id = c.id \
         JOIN tidegate.load_set s ON s.id = l.set_id \
         WHERE c.identity = $1 AND l.ts_from = $2::text::timestamptz \
           AND l.ts_to = $3::text::timestamptz \
         ORDER BY l.generation DESC LIMIT 1"
    );
    let identity = content.identity().to_vec();
    let row = db
        .query_typed_opt(
            &sql,
            &[(&identity, Type::BYTEA), (&window.first(), Type::TEXT), (&window.end(), Type::TEXT)],
        )
        .await?;
    Ok(row.as_ref().map(load))
}

/// Whether the ledger has any load of this content, under whatever window.
///
/// # Errors
/// The server's.
pub async fn knows_content(db: &Connection, content: &ContentKey) -> Result<bool, DbError> {
    let identity = content.identity().to_vec();
    let found = db
        .query_typed_opt(
            "SELECT 1 FROM tidegate.content c JOIN tidegate.load l ON l.content_id = c.id \
             WHERE c.identity = $1 LIMIT 1",
            &[(&identity, Type::BYTEA)],
        )
        .await?;
    Ok(found.is_some())
}

/// Begins a load, or finds the one that is under way or sealed. A sealed one is opened again, as a
/// new generation, only when `reload` says so.
///
/// # Errors
/// The server's.
pub async fn begin_load(db: &Connection, run_id: i64, new: &NewLoad) -> Result<Load, DbError> {
    let generation = match find_load(db, &new.content, new.window).await? {
        None => 1,
        Some(found) if !new.reload || found.is_reload_under_way(new.target_oid) => {
            return Ok(found);
        }
        Some(found) => found.generation + 1,
    };
    let facts = serde_json::to_value(&new.content.facts).unwrap_or_default();
    let (identity, hash) = (new.content.identity().to_vec(), new.content.hash.to_vec());
    // A content whose target was dropped and made again belongs to the new table from now on.
    let content_id: i64 = db
        .query_typed_one(
            "INSERT INTO tidegate.content (identity, hash, bytes, target, target_oid, dataset, \
             facts) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (identity) DO UPDATE SET target_oid = excluded.target_oid RETURNING id",
            &[
                (&identity, Type::BYTEA),
                (&hash, Type::BYTEA),
                (&int(new.content.bytes), Type::INT8),
                (&new.content.target, Type::TEXT),
                (&new.target_oid, Type::OID),
                (&new.content.dataset, Type::TEXT),
                (&facts, Type::JSONB),
            ],
        )
        .await?
        .get(0);
    insert_load(db, run_id, new, content_id, generation).await?;
    find_load(db, &new.content, new.window).await?.ok_or_else(|| {
        DbError::Ledger("a load that was just begun is not in the ledger".to_owned())
    })
}

async fn insert_load(
    db: &Connection,
    run_id: i64,
    new: &NewLoad,
    content_id: i64,
    generation: i32,
) -> Result<(), DbError> {
    let (set_id, ordinal) = match new.set {
        Some((set_id, position)) => (set_id, position as i32 + 1),
        None => (begin_set(db, "direct", &new.cut_rule).await?, 1),
    };
    db.execute_typed(
        "INSERT INTO tidegate.load (content_id, generation, ts_from, ts_to, set_id, set_ordinal, \
             run_id, source, layout, layout_version, replay, on_conflict, span_unit, span_end) \
         VALUES ($1, $2, $3::text::timestamptz, $4::text::timestamptz, $12, $14, $5, $6, $7, $8, \
             $9, $10, $11, $13) \
         ON CONFLICT (content_id, generation, ts_from, ts_to) DO NOTHING",
        &[
            (&content_id, Type::INT8),
            (&generation, Type::INT4),
            (&new.window.first(), Type::TEXT),
            (&new.window.end(), Type::TEXT),
            (&run_id, Type::INT8),
            (&new.source, Type::TEXT),
            (&new.layout.0, Type::TEXT),
            (&i32::try_from(new.layout.1).unwrap_or(i32::MAX), Type::INT4),
            (&new.replay, Type::JSONB),
            (&new.on_conflict, Type::TEXT),
            (&new.span_unit.name(), Type::TEXT),
            (&set_id, Type::INT8),
            (&int(new.span_end), Type::INT8),
            (&ordinal, Type::INT4),
        ],
    )
    .await?;
    Ok(())
}

/// Begins a set of loads that are scattered together.
///
/// # Errors
/// The server's.
pub async fn begin_scatter(db: &Connection, cut_rule: &str) -> Result<i64, DbError> {
    begin_set(db, "scatter", cut_rule).await
}

async fn begin_set(db: &Connection, strategy: &str, cut_rule: &str) -> Result<i64, DbError> {
    let row = db
        .query_typed_one(
            "INSERT INTO tidegate.load_set (strategy, cut_rule) VALUES ($1, $2) RETURNING id",
            &[(&strategy, Type::TEXT), (&cut_rule, Type::TEXT)],
        )
        .await?;
    Ok(row.get(0))
}
