//! What the report of a nightly run says beyond that of a load: its sources one by one, and the
//! upkeep after them. Filled by `command/`; plain data, as the rest of the report.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::model::{FileReport, Report, Totals};
use crate::error::Exit;

/// The part of a report that only nightly runs have.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Nightly {
    /// The configuration's file.
    pub config: String,
    /// The day that counted as today, UTC.
    pub today: String,
    /// One entry for each source, in the configuration's order.
    pub sources: Vec<SourceReport>,
    /// What was done to the database after loading.
    pub maintenance: Vec<MaintenanceAction>,
    /// Figures of the database that are watched, with their limits.
    pub alerts: Vec<AlertFigure>,
}

/// What became of one source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    /// Its name in the configuration.
    pub name: String,
    /// How it ended, as an exit code.
    #[serde(rename = "exit_code", serialize_with = "exit_code")]
    pub exit: Exit,
    /// One sentence: what was done, or what failed.
    pub message: String,
    /// What to do next, where something is to be done: a command where there is one.
    pub next_step: Option<String>,
    /// Seconds that it took.
    pub elapsed_s: f64,
    /// Sums over its files.
    pub totals: Totals,
    /// Files that are as they were when they were loaded, by size and time, and were not read.
    pub unchanged: u64,
    /// What its paths stand for that is no market data.
    pub ignored: Vec<String>,
    /// Its files, as in the whole report's list.
    pub files: Vec<FileReport>,
    /// Days of the look-back window that its calendar has and of which no file is there.
    pub missing_days: Vec<String>,
    /// Days of which the table has fewer records than the source itself counts.
    pub short_days: Vec<ShortDay>,
    /// Days that its manifest counts and the table has in full.
    pub full_days: u64,
    /// Files of which another content was loaded before under the same name.
    pub restated: Vec<Restated>,
    /// The time of the newest record that its files hold, where that is known.
    #[serde(serialize_with = "rfc3339")]
    pub newest_at: Option<Timestamp>,
    /// Seconds from there to the end of its load.
    pub lag_s: Option<f64>,
    /// When it last ended with 0 or 3, this run included.
    #[serde(serialize_with = "rfc3339")]
    pub last_success_at: Option<Timestamp>,
}

impl Default for SourceReport {
    fn default() -> Self {
        Self {
            name: String::new(),
            exit: Exit::Done,
            message: String::new(),
            next_step: None,
            elapsed_s: 0.0,
            totals: Totals::default(),
            unchanged: 0,
            ignored: Vec::new(),
            files: Vec::new(),
            missing_days: Vec::new(),
            short_days: Vec::new(),
            full_days: 0,
            restated: Vec::new(),
            newest_at: None,
            lag_s: None,
            last_success_at: None,
        }
    }
}

/// A day of which the table has fewer records than the source counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShortDay {
    /// The day.
    pub day: String,
    /// Of this ticker only.
    pub ticker: Option<String>,
    /// Records that the source counts.
    pub expected: u64,
    /// Rows in the table.
    pub found: u64,
    /// Whether its files were loaded again in this run.
    pub reloaded: bool,
}

/// A file that was rewritten in place: what the new content changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restated {
    /// The file.
    pub source: String,
    /// Records that the old content did not have.
    pub inserted: u64,
    /// Records that replaced stored ones.
    pub updated: u64,
    /// Records that differ from stored ones, which stay.
    pub conflicting: u64,
    /// Records that are as they were.
    pub unchanged: u64,
}

/// Something that was done to the database after loading.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaintenanceAction {
    /// `partitions`, `retention`, `archive`, `refresh`, `analyze` and so on.
    pub action: String,
    /// The table or what is derived.
    pub target: String,
    /// `done`, `nothing to do`, `skipped` or `failed`.
    pub outcome: String,
    /// Why it was skipped or failed.
    pub detail: Option<String>,
    /// Partitions, chunks or indexes that it concerned.
    pub parts: u64,
    /// Rows that it concerned.
    pub rows: u64,
    /// Bytes that it freed or wrote.
    pub bytes: u64,
    /// Seconds it took.
    pub elapsed_s: f64,
}

/// A figure of the database with its limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertFigure {
    /// What it is.
    pub name: String,
    /// The table that it is about; none: the whole database.
    pub target: Option<String>,
    /// The figure.
    pub value: f64,
    /// Its limit.
    pub limit: f64,
    /// Whether it is beyond the limit.
    pub firing: bool,
}

impl Report {
    /// Adds the report of one part of this run.
    pub fn absorb(&mut self, part: Report) {
        self.exit = self.exit.worse(part.exit);
        self.interrupted |= part.interrupted;
        if part.database.server_version.is_some() {
            self.database = part.database;
        }
        self.ladder.copy_batches += part.ladder.copy_batches;
        self.ladder.insert_batches += part.ladder.insert_batches;
        self.ladder.row_attempts += part.ladder.row_attempts;
        self.ladder.retries += part.ladder.retries;
        self.strategy = joined(self.strategy.take(), part.strategy);
        self.peak_memory_bytes = self.peak_memory_bytes.max(part.peak_memory_bytes);
        for (rule, number) in part.rejects_by_rule {
            *self.rejects_by_rule.entry(rule).or_default() += number;
        }
        for (rule, number) in part.warnings_by_rule {
            *self.warnings_by_rule.entry(rule).or_default() += number;
        }
        for (table, counts) in part.tables {
            *self.tables.entry(table).or_default() += counts;
        }
        for (stage, busy) in part.stages {
            *self.stages.entry(stage).or_default() += busy;
        }
        for (why, seconds) in part.waits {
            *self.waits.entry(why).or_default() += seconds;
        }
        let end = self.timeline.points.last().map_or(0.0, |point| point.to_s);
        self.timeline.stages = part.timeline.stages;
        self.timeline.points.extend(part.timeline.points.into_iter().map(|mut point| {
            point.from_s += end;
            point.to_s += end;
            point
        }));
        // Stages have about the same number of workers in every part.
        let busiest = self.stages.iter().max_by(|a, b| a.1.total_cmp(b.1));
        self.bottleneck = busiest.filter(|(_, busy)| **busy > 0.0).map(|(stage, _)| stage.clone());
        self.ignored.extend(part.ignored);
        self.files.extend(part.files);
        for example in part.reject_examples {
            if self.reject_examples.iter().all(|known| known.rule != example.rule) {
                self.reject_examples.push(example);
            }
        }
        for at in part.rejects_at {
            if !self.rejects_at.contains(&at) {
                self.rejects_at.push(at);
            }
        }
        self.resume_command = self.resume_command.take().or(part.resume_command);
        self.replay_command = self.replay_command.take().or(part.replay_command);
        self.messages.extend(part.messages);
    }
}

/// Names joined by `+`, each once.
fn joined(one: Option<String>, two: Option<String>) -> Option<String> {
    let (one, two) = (one.unwrap_or_default(), two.unwrap_or_default());
    let mut names: Vec<&str> =
        one.split('+').chain(two.split('+')).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join("+"))
}

fn exit_code<S: Serializer>(exit: &Exit, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u8(exit.code())
}

fn rfc3339<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => to.collect_str(&format_args!("{time:.3}")),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::{Counts, TableCounts};

    #[test]
    fn parts_add_up_to_the_whole() {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let part = |read: u64, strategy: &str, exit: Exit| {
            let mut part = Report::new("7", "nightly", start);
            let counts = Counts { read, inserted: read, ..Counts::default() };
            part.files.push(FileReport { counts, bytes_read: read * 10, ..FileReport::default() });
            part.tables.insert("t".into(), TableCounts { inserted: read, ..Default::default() });
            part.rejects_by_rule.insert("high_low".into(), 1);
            part.stages.insert("write".into(), 2.0);
            part.stages.insert("read".into(), 1.0);
            part.strategy = Some(strategy.into());
            part.exit = exit;
            part
        };
        let mut whole = Report::new("7", "nightly", start);
        whole.absorb(part(3, "direct", Exit::Rejects));
        whole.absorb(part(4, "direct+stage", Exit::Failed));
        whole.absorb(part(5, "exchange", Exit::Done));
        whole.finish(start);
        assert_eq!((whole.totals.files, whole.totals.counts.read), (3, 12));
        assert_eq!(whole.totals.bytes_read, 120);
        assert_eq!(whole.tables["t"].inserted, 12);
        assert_eq!(whole.rejects_by_rule["high_low"], 3);
        assert_eq!(whole.strategy.as_deref(), Some("direct+exchange+stage"));
        assert_eq!(whole.bottleneck.as_deref(), Some("write"));
        assert_eq!(whole.exit, Exit::Failed);
    }
}
