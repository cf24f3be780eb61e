//! What a replay did, counted and told.

use std::path::Path;

use serde_json::json;

use crate::error::Exit;
use crate::report::human;
use crate::report::list::{Cell, Grid};
use crate::write::Replayed;

use super::super::Answer;
use super::mended::StillBad;

/// Rejects that stay open which are shown one by one; more are only counted.
const SHOWN_MAX: usize = 1_000;
/// Columns of a reason in the table.
const REASON_COLUMNS: usize = 100;

/// Counts of records.
#[derive(Debug, Default)]
pub(super) struct Tally {
    inserted: u64,
    updated: u64,
    duplicate: u64,
    conflicting: u64,
    skipped: u64,
    pub resolved_before: u64,
    still_open: u64,
    shown: Vec<StillBad>,
}

impl Tally {
    /// Counts a record that stays open.
    pub fn open(&mut self, bad: StillBad) {
        self.still_open += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(bad);
        }
    }

    /// Counts what was written, `skipped` of it without a row.
    pub fn add(&mut self, replayed: Replayed, skipped: u64) {
        self.inserted += replayed.inserted;
        self.updated += replayed.updated;
        self.duplicate += replayed.duplicate;
        self.conflicting += replayed.conflicting;
        self.skipped += skipped;
        for (id, reject) in replayed.still_open {
            self.open(StillBad {
                id,
                rule: reject.rule.into_owned(),
                column: reject.column,
                reason: reject.reason,
            });
        }
    }

    pub fn exit(&self) -> Exit {
        if self.still_open > 0 { Exit::Rejects } else { Exit::Done }
    }

    pub fn answer(self, run_id: i64, path: &Path) -> Answer {
        let mut parts = vec![format!("{} loaded", human::count(self.inserted))];
        let mut part = |number: u64, what: &str| {
            if number > 0 {
                parts.push(format!("{} {what}", human::count(number)));
            }
        };
        part(self.updated, "updated");
        part(self.duplicate, "duplicate");
        part(self.conflicting, "of them with other values than stored");
        part(self.skipped, "outside the time window of their load");
        part(self.resolved_before, "resolved before");
        part(self.still_open, "still open");
        let mut messages = vec![format!("run {run_id}: {}", parts.join(", "))];
        if self.still_open > 0 {
            messages.push(format!(
                "mend what is still open in {} and replay it again; the rest of it is passed over",
                path.display()
            ));
        }
        let mut grid = Grid::new(["Id", "Rule", "Column", "Still wrong"]).right(&[0]);
        for bad in &self.shown {
            let reason = human::fit(&human::one_line(&bad.reason), REASON_COLUMNS);
            grid.push([
                Cell::shown(bad.id.to_string(), bad.id),
                bad.rule.as_str().into(),
                bad.column.as_deref().into(),
                Cell::shown(reason, bad.reason.as_str()),
            ]);
        }
        let open = self.shown.iter().map(|bad| {
            json!({ "id": bad.id, "rule": bad.rule, "column": bad.column, "reason": bad.reason })
        });
        let json = json!({
            "run_id": run_id, "inserted": self.inserted, "updated": self.updated,
            "duplicate": self.duplicate, "conflicting": self.conflicting,
            "skipped": self.skipped, "resolved_before": self.resolved_before,
            "still_open": self.still_open, "open": open.collect::<Vec<_>>(),
        });
        Answer { exit: self.exit(), grid: Some(grid), json: Some(json), text: None, messages }
    }
}
