//! Earlier runs beside this one, from the ledger: plain data that `command/` fills.

use jiff::Timestamp;
use serde::Serialize;

/// An earlier run of the same job, or without a job of the same command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EarlierRun {
    /// Its name in the ledger.
    pub run_id: String,
    /// When it started, UTC.
    #[serde(serialize_with = "super::model::rfc3339")]
    pub started_at: Timestamp,
    /// How long it took.
    pub elapsed_s: f64,
    /// What it exited with; `null` if it never said.
    pub exit_code: Option<u8>,
    /// Source records that it read.
    pub read: u64,
    /// Those that it inserted or updated.
    pub written: u64,
    /// Those that it rejected.
    pub rejected: u64,
    /// Source records a second.
    pub rows_per_s: f64,
}
