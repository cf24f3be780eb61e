//! What upkeep did, and how the database is doing, for reports and metrics.

use serde::Serialize;

/// What upkeep did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct UpkeepReport {
    /// What was done, in its order; also what was tried and failed.
    pub actions: Vec<Action>,
    /// How the database is doing after it; none where that could not be asked.
    pub figures: Option<Figures>,
}

impl UpkeepReport {
    /// How many actions failed.
    pub fn failed(&self) -> usize {
        self.actions.iter().filter(|action| matches!(action.outcome, Outcome::Failed(_))).count()
    }
}

/// One thing that was done to one table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// `partitions`, `retention` (archiving included), `archives` (whose own time is up),
    /// `refresh`, `analyze`, `vacuum`, `reindex` or `compress`.
    pub kind: &'static str,
    /// The table, or what is derived, as `schema.name`.
    pub target: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Partitions, chunks or indexes that were made, dropped or worked on.
    pub parts: u64,
    /// Rows that were dropped or written.
    pub rows: u64,
    /// Bytes that were freed.
    pub bytes: u64,
    /// Seconds it took.
    pub elapsed_s: f64,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Something was done.
    Done,
    /// There was nothing to do.
    Nothing,
    /// It does not apply here, and why.
    Skipped(String),
    /// It failed, and why; what it had done by then stays.
    Failed(String),
}

impl Outcome {
    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Nothing => "nothing to do",
            Outcome::Skipped(_) => "skipped",
            Outcome::Failed(_) => "failed",
        }
    }

    /// Why, of what was skipped or failed.
    pub fn why(&self) -> Option<&str> {
        match self {
            Outcome::Skipped(why) | Outcome::Failed(why) => Some(why),
            _ => None,
        }
    }
}

/// How the database is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Statements of this database whose average time is above [`QUERY_MS_MAX`], loads and upkeep
    /// aside; none without `pg_stat_statements`.
    pub slow_queries: Option<u64>,
    /// The longest average time among them, in milliseconds.
    pub slowest_query_ms: Option<f64>,
    /// Which part of the blocks of tables was found in memory; none while too little was read.
    pub table_cache_hit: Option<f64>,
    /// The same of blocks of indexes.
    pub index_cache_hit: Option<f64>,
    /// Which part of the scans of large tables went by an index; none while there were too few.
    pub index_scans: Option<f64>,
    /// Connections of clients.
    pub connections: u64,
    /// How many there may be.
    pub connections_max: u64,
    /// For each table whose partitions are made ahead of time: how many days they reach.
    pub partitions_ahead_days: Vec<(String, f64)>,
}

/// Queries should take less, in milliseconds.
pub const QUERY_MS_MAX: f64 = 50.0;
/// So much should be found in memory.
pub const CACHE_HIT_MIN: f64 = 0.95;
/// So many scans of large tables should go by an index.
pub const INDEX_SCANS_MIN: f64 = 0.90;
/// Partitions should reach so far, in days.
pub const DAYS_AHEAD_MIN: f64 = 7.0;
/// The part of the connections that should not be exceeded.
pub const CONNECTIONS_PART_MAX: f64 = 0.8;

/// A figure with its limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// `slow_queries`, `cache_hit`, `index_scans`, `partitions_ahead` or `connections`.
    pub name: &'static str,
    /// The table that it is about; none: the whole database.
    pub target: Option<String>,
    /// The figure.
    pub value: f64,
    /// Its limit.
    pub limit: f64,
    /// Whether it is beyond the limit.
    pub firing: bool,
}

impl Figures {
    /// Each figure that is known, with its limit.
    pub fn alerts(&self) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let mut add = |name, target: Option<&String>, value: f64, limit: f64, firing| {
            alerts.push(Alert { name, target: target.cloned(), value, limit, firing });
        };
        if let Some(slow) = self.slow_queries {
            add("slow_queries", None, slow as f64, 0.0, slow > 0);
        }
        if let Some(hit) = self.table_cache_hit {
            add("cache_hit", None, hit, CACHE_HIT_MIN, hit < CACHE_HIT_MIN);
        }
        if let Some(part) = self.index_scans {
            add("index_scans", None, part, INDEX_SCANS_MIN, part < INDEX_SCANS_MIN);
        }
        for (table, days) in &self.partitions_ahead_days {
            add("partitions_ahead", Some(table), *days, DAYS_AHEAD_MIN, *days < DAYS_AHEAD_MIN);
        }
        let part = self.connections as f64 / (self.connections_max.max(1)) as f64;
        add("connections", None, part, CONNECTIONS_PART_MAX, part > CONNECTIONS_PART_MAX);
        alerts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_fire_beyond_their_limits() {
        let firing = |figures: &Figures| {
            let alerts = figures.alerts().into_iter().filter(|alert| alert.firing);
            alerts.map(|alert| alert.name).collect::<Vec<_>>()
        };
        let fine = Figures {
            slow_queries: Some(0),
            table_cache_hit: Some(0.99),
            index_scans: Some(0.95),
            connections: 10,
            connections_max: 100,
            partitions_ahead_days: vec![("public.trades".to_owned(), 29.0)],
            ..Figures::default()
        };
        assert_eq!(firing(&fine), [""; 0]);
        let bad = Figures {
            slow_queries: Some(2),
            table_cache_hit: Some(0.94),
            index_scans: Some(0.89),
            connections: 81,
            partitions_ahead_days: vec![("public.trades".to_owned(), 6.9)],
            ..fine
        };
        let all = ["slow_queries", "cache_hit", "index_scans", "partitions_ahead", "connections"];
        assert_eq!(firing(&bad), all);
        assert_eq!(Figures { connections_max: 1, ..Figures::default() }.alerts().len(), 1);
    }
}
