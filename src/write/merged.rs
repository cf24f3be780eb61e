//! Jobs whose rows were merged from the spans of several loads: where each row comes from, and what
//! that means for counts and rejects.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Job, Target, WriteError};
use crate::batch::{Batch, Fault, Original, Reject, Rejects, row_as_json};
use crate::count::Counts;
use crate::db::ledger;
use crate::limit::REJECT_RAW_BYTES_MAX;
use crate::span::Span;
use crate::spill::{Lost, Merged, Origin, SpillError};

/// A load of a set, as its rejects name it.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its number in the ledger.
    pub load_id: i64,
    /// Its source, for people.
    pub source: Arc<str>,
}

/// Where a record stands in its source, and its original bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Record number, from 1.
    pub row: u64,
    /// Physical line, from 1; none for sources without lines.
    pub line: Option<u64>,
    /// Byte offset and length in the decompressed source; none for sources without bytes of their
    /// own for a record.
    pub bytes: Option<(u64, u64)>,
    /// The bytes, if it has any.
    pub raw: Option<Vec<u8>>,
}

/// What a merged job may ask about its rows. Blocks: it is asked only about rows that the server
/// refuses.
pub trait Rows: Send + Sync {
    /// Where a record is, read again from its source.
    ///
    /// # Errors
    /// Why the source cannot be read, or is another one now.
    fn find(&self, origin: Origin) -> Result<Found, String>;

    /// The job's rows once more, as if those of `refused` had never been: rows that lost to one of
    /// them compete again.
    ///
    /// # Errors
    /// As merging.
    fn without(&self, refused: HashSet<Origin>) -> Result<Merged, SpillError>;
}

/// Where a job's rows come from.
pub(super) struct Origins {
    members: Arc<[Member]>,
    rows: Vec<Origin>,
    lost: Vec<Lost>,
    source: Arc<dyn Rows>,
    /// Rows that the server refused.
    pub(super) refused: Vec<Refused>,
}

/// A refused row with its place in its source.
pub(super) struct Refused {
    pub origin: Origin,
    pub load_id: i64,
    pub source: Arc<str>,
    pub found: Found,
    pub reject: Reject,
}

impl std::fmt::Debug for Origins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origins").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl Job {
    /// A job of merged rows, which are in key order and unique already.
    pub fn merged(
        key: ledger::PortionKey,
        run_id: i64,
        members: Arc<[Member]>,
        merged: Merged,
        rows: Arc<dyn Rows>,
    ) -> Self {
        let batch = Batch {
            span: Span::default(),
            last: false,
            root: merged.rows,
            places: Vec::new(),
            children: Vec::new(),
            rejects: Rejects::default(),
            skipped: 0,
            original: Original::Columns,
        };
        let (lost, origins) = (merged.lost, merged.origins);
        Self {
            key,
            load_id: 0,
            run_id,
            source: "several sources".into(),
            order: (0..batch.root.num_rows() as u32).collect(),
            batch,
            duplicate: 0,
            conflicting: 0,
            origins: Some(Origins {
                members,
                rows: origins,
                lost,
                source: rows,
                refused: Vec::new(),
            }),
        }
    }

    /// Takes out merged rows that the server refuses.
    pub(super) fn refuse_merged(&mut self, faults: Vec<Fault>) -> Result<(), WriteError> {
        let Some(origins) = &mut self.origins else { return Ok(()) };
        for fault in faults {
            let origin = origins.rows[fault.row];
            let member = &origins.members[origin.load()];
            let found = origins.source.find(origin).map_err(|cause| WriteError::Original {
                source_name: member.source.to_string(),
                cause,
            })?;
            let raw = found
                .raw
                .clone()
                .unwrap_or_else(|| row_as_json(&self.batch.root, fault.row).into_bytes());
            let reject = Reject {
                row: origin.row(),
                line: 0,
                offset: 0,
                len: found.bytes.map_or(0, |(_, len)| len),
                rule: fault.rule,
                column: fault.column,
                sqlstate: fault.sqlstate,
                reason: fault.reason,
                raw: raw[..raw.len().min(REJECT_RAW_BYTES_MAX)].to_vec(),
            };
            let (load_id, source) = (member.load_id, Arc::clone(&member.source));
            origins.refused.push(Refused { origin, load_id, source, found, reject });
        }
        let refused = origins.refused.iter().map(|refused| refused.origin).collect();
        let merged = origins.source.without(refused)?;
        (origins.rows, origins.lost) = (merged.origins, merged.lost);
        self.batch.root = merged.rows;
        self.order = (0..self.batch.root.num_rows() as u32).collect();
        Ok(())
    }
}

impl Origins {
    /// The counts by load if every row is new.
    pub(super) fn expected(&self) -> Vec<Counts> {
        let mut counts = lost_counts(&self.lost, self.members.len());
        for origin in &self.rows {
            counts[origin.load()].read += 1;
            counts[origin.load()].inserted += 1;
        }
        for refused in &self.refused {
            counts[refused.origin.load()].read += 1;
            counts[refused.origin.load()].rejected += 1;
        }
        counts
    }

    /// The counts of the load that row `row` comes from.
    pub(super) fn of_row<'a>(&self, counts: &'a mut [Counts], row: u32) -> &'a mut Counts {
        &mut counts[self.rows[row as usize].load()]
    }
}

/// What records that lost while merging count for, by load.
pub(super) fn lost_counts(lost: &[Lost], members: usize) -> Vec<Counts> {
    let mut counts = vec![Counts::default(); members];
    for lost in lost {
        let of_load = &mut counts[lost.origin.load()];
        of_load.read += 1;
        of_load.duplicate += 1;
        of_load.conflicting += u64::from(lost.differs);
    }
    counts
}

impl Target {
    /// Why rows for this target cannot be scattered: sorted into its order before they are written.
    /// `None`: they can.
    pub fn scatter_obstacle(&self) -> Option<&'static str> {
        use crate::dataset::ConflictPolicy;
        let root = self.root();
        if self.key.is_empty() {
            return Some("the table has no key to sort by");
        }
        if self.tables.len() > 1 {
            return Some("its records have rows in several tables");
        }
        if !matches!(self.policy, ConflictPolicy::Skip | ConflictPolicy::Update) {
            return Some("--on-conflict needs every record at hand");
        }
        if root.table.row_security || root.table.before_triggers {
            return Some("row security or triggers need every row staged");
        }
        if self.key.iter().any(|&column| !root.columns[column].not_null) {
            return Some("a column of its key may be NULL");
        }
        None
    }
}
