//! The report of a run as a machine reads it: its keys are a contract with cron jobs. It is filled
//! by `command/` from what the ledger says, and written once, at the end. It counts nothing
//! itself; it only sums the files and derives rates.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::coverage::Coverage;
use super::earlier::EarlierRun;
use super::human;
use super::nightly::Nightly;
use super::timeline::Timeline;
use crate::count::{Counts, TableCounts};
use crate::error::Exit;
use crate::span::Place;

/// Columns of a reject's original bytes that the report shows; the whole is in the reject table.
const EXAMPLE_COLUMNS: usize = 400;

/// A report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The report could not be made into JSON.
    #[error("could not make the JSON report: {0}")]
    Json(#[source] serde_json::Error),
    /// A file's name says of no form that there is.
    #[error(
        "--report {}: a report is .json, .html or .prom, by the ending of its file",
        path.display()
    )]
    Ending {
        /// The file that was asked for.
        path: PathBuf,
    },
    /// There is no folder for the file.
    #[error("--report {}: its folder is not there; make it, or name another file", path.display())]
    Folder {
        /// The file that was asked for.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error(
        "could not write the report to {}: {cause}; \
         the load itself is not affected, name another file with --report",
        path.display()
    )]
    Write {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// What a run did. Absent facts are `null`, so that every key is always there.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The run's name in the ledger.
    pub run_id: String,
    /// The verb: `backfill`, `nightly`, ...
    pub command: String,
    /// When the run started, UTC.
    #[serde(serialize_with = "rfc3339")]
    pub started_at: Timestamp,
    /// When it ended, UTC.
    #[serde(serialize_with = "rfc3339")]
    pub finished_at: Timestamp,
    /// Seconds from start to end.
    pub elapsed_s: f64,
    /// Where the data went.
    pub database: Database,
    /// Sums over the files.
    pub totals: Totals,
    /// How fast it was.
    pub throughput: Throughput,
    /// How often each rung of the ladder was used.
    pub ladder: Ladder,
    /// `direct`, `stage`, `exchange`, or several joined by `+`; `null` if nothing was written.
    pub strategy: Option<String>,
    /// The most memory that the process held, in bytes.
    pub peak_memory_bytes: u64,
    /// Rejects of this run by rule.
    pub rejects_by_rule: BTreeMap<String, u64>,
    /// Records that were loaded and are worth a look, by warning.
    pub warnings_by_rule: BTreeMap<String, u64>,
    /// Rows of each table, as the server's command tags counted them.
    #[serde(serialize_with = "tables")]
    pub tables: BTreeMap<String, TableCounts>,
    /// Sources inside a directory or glob that are no market data.
    pub ignored: Vec<String>,
    /// One entry for each source and dataset, in plan order.
    pub files: Vec<FileReport>,
    /// What the process exits with.
    #[serde(rename = "exit_code", serialize_with = "exit_code")]
    pub exit: Exit,
    /// Busy seconds of each stage, summed over its threads or tasks.
    pub stages: BTreeMap<String, f64>,
    /// The stage that the others waited for.
    pub bottleneck: Option<String>,
    /// Whether a signal ended the run before its files were done.
    pub interrupted: bool,
    /// The command that goes on where this run stopped.
    pub resume_command: Option<String>,
    /// The command that replays mended rejects.
    pub replay_command: Option<String>,
    /// The reject table, and the files to which its rows were exported.
    pub rejects_at: Vec<String>,
    /// The first reject of each rule.
    pub reject_examples: Vec<RejectExample>,
    /// Warnings and errors of the run, in order.
    pub messages: Vec<String>,
    /// The program and its version.
    pub program: String,
    /// What this run repeats, where it has a name; earlier runs of the same name are its like.
    pub job: Option<String>,
    /// What the run was asked for, as resolved, by the flag's name.
    pub settings: BTreeMap<String, String>,
    /// Seconds for which the run was held back on purpose, by reason.
    pub waits: BTreeMap<String, f64>,
    /// How it went over time.
    pub timeline: Timeline,
    /// What the tables hold where this run wrote; gathered only for an HTML report.
    pub coverage: Vec<Coverage>,
    /// Earlier runs of the same job or command, the newest first.
    pub earlier_runs: Vec<EarlierRun>,
    /// When the newest run of this job or command ended with all its records accounted for (exit
    /// code 0 or 3), this one included, UTC.
    #[serde(serialize_with = "rfc3339_or_null")]
    pub last_success_at: Option<Timestamp>,
    /// What only a nightly run has: its sources and the upkeep after them.
    #[serde(flatten)]
    pub nightly: Option<Box<Nightly>>,
}

/// The server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Database {
    /// Such as `15.8`; `null` if it was never reached.
    pub server_version: Option<String>,
    /// `apache 2.19.3` or `community 2.22.0`; `null` without the extension.
    pub timescaledb: Option<String>,
    /// Whether it is the program's own server.
    pub embedded: bool,
}

/// Sums over the files that this run worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Entries in `files`.
    pub files: u64,
    /// Bytes read from the sources as stored, before decompression.
    pub bytes_read: u64,
    /// Source records.
    #[serde(flatten, with = "CountsKeys")]
    pub counts: Counts,
}

/// Speed over the whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Throughput {
    /// Source records a second.
    pub rows_per_s: f64,
    /// Bytes of the sources a second.
    pub bytes_per_s: f64,
}

/// How often each rung was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Ladder {
    /// Batches sent by COPY.
    pub copy_batches: u64,
    /// Batches sent by INSERT.
    pub insert_batches: u64,
    /// Rows tried one by one.
    pub row_attempts: u64,
    /// Waits before something was tried again.
    pub retries: u64,
}

/// One source and dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FileReport {
    /// As the user named it or as it was found.
    pub source: String,
    /// The content's hash, or an object's ETag and size; `null` if it could not be read.
    pub content_hash: Option<String>,
    /// The layout's name; `null` if none was recognised.
    pub layout: Option<String>,
    /// The dataset's name; `null` if none was recognised.
    pub dataset: Option<String>,
    /// Source records.
    #[serde(flatten, with = "CountsKeys")]
    pub counts: Counts,
    /// Whether the ledger proved the load complete.
    pub sealed: bool,
    /// The load's number in the ledger; `null` if none was begun.
    pub load_id: Option<i64>,
    /// Whether an earlier run had loaded this content, so that this one read no record of it.
    pub already_loaded: bool,
    /// Open rejects of the load that earlier runs recorded, if this run completed it.
    pub rejected_before: u64,
    /// Bytes read from the source as stored.
    pub bytes_read: u64,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// The first reject of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectExample {
    /// The rule.
    pub rule: String,
    /// Where the record is.
    #[serde(flatten, with = "PlaceKeys")]
    pub place: Place,
    /// What was wrong.
    pub reason: String,
    /// The record's original bytes; shown shortened and escaped.
    #[serde(serialize_with = "shortened")]
    pub raw: Vec<u8>,
}

#[derive(Serialize)]
#[serde(remote = "Counts")]
struct CountsKeys {
    read: u64,
    inserted: u64,
    updated: u64,
    duplicate: u64,
    conflicting: u64,
    rejected: u64,
    skipped: u64,
}

#[derive(Serialize)]
#[serde(remote = "TableCounts")]
struct TableKeys {
    inserted: u64,
    updated: u64,
    deleted: u64,
}

#[derive(Serialize)]
#[serde(remote = "Place")]
struct PlaceKeys {
    #[serde(serialize_with = "text")]
    source: std::sync::Arc<str>,
    row: Option<u64>,
    line: Option<u64>,
    byte: Option<u64>,
}

impl Report {
    /// An empty report of a run that starts now.
    pub fn new(
        run_id: impl Into<String>,
        command: impl Into<String>,
        started_at: Timestamp,
    ) -> Self {
        Self {
            run_id: run_id.into(),
            command: command.into(),
            started_at,
            finished_at: started_at,
            elapsed_s: 0.0,
            database: Database::default(),
            totals: Totals::default(),
            throughput: Throughput::default(),
            ladder: Ladder::default(),
            strategy: None,
            peak_memory_bytes: 0,
            rejects_by_rule: BTreeMap::new(),
            warnings_by_rule: BTreeMap::new(),
            tables: BTreeMap::new(),
            ignored: Vec::new(),
            files: Vec::new(),
            exit: Exit::Done,
            stages: BTreeMap::new(),
            bottleneck: None,
            interrupted: false,
            resume_command: None,
            replay_command: None,
            rejects_at: Vec::new(),
            reject_examples: Vec::new(),
            messages: Vec::new(),
            program: concat!("tidegate ", env!("CARGO_PKG_VERSION")).to_owned(),
            job: None,
            settings: BTreeMap::new(),
            waits: BTreeMap::new(),
            timeline: Timeline::default(),
            coverage: Vec::new(),
            earlier_runs: Vec::new(),
            last_success_at: None,
            nightly: None,
        }
    }

    /// Whether every record is accounted for and the run did what it was asked: exit code 0 or 3.
    pub fn succeeded(&self) -> bool {
        matches!(self.exit, Exit::Done | Exit::Rejects)
    }

    /// Closes the report: sums the files into `totals` and derives time and speed. Files that
    /// were loaded before count as files, but their records are not this run's.
    pub fn finish(&mut self, finished_at: Timestamp) {
        self.finished_at = finished_at;
        self.elapsed_s = finished_at.duration_since(self.started_at).as_secs_f64().max(0.0);
        self.totals = Totals { files: self.files.len() as u64, ..Totals::default() };
        for file in &self.files {
            self.totals.bytes_read += file.bytes_read;
            if !file.already_loaded {
                self.totals.counts += file.counts;
            }
        }
        self.throughput =
            Throughput::of(self.totals.counts.read, self.totals.bytes_read, self.elapsed_s);
    }

    /// The report as indented JSON with a final newline.
    ///
    /// # Errors
    /// Only if serialisation itself fails.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let mut json = serde_json::to_string_pretty(self).map_err(ReportError::Json)?;
        json.push('\n');
        Ok(json)
    }
}

impl Throughput {
    /// Rows and bytes over a time; zero where no time passed.
    pub fn of(rows: u64, bytes: u64, elapsed_s: f64) -> Self {
        if elapsed_s <= 0.0 {
            return Self::default();
        }
        Self { rows_per_s: rows as f64 / elapsed_s, bytes_per_s: bytes as f64 / elapsed_s }
    }
}

pub(super) fn rfc3339<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{time:.3}"))
}

fn rfc3339_or_null<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339(time, to),
        None => to.serialize_none(),
    }
}

fn exit_code<S: Serializer>(exit: &Exit, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u8(exit.code())
}

fn text<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

fn shortened<S: Serializer>(raw: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&human::original(raw, EXAMPLE_COLUMNS))
}

fn tables<S: Serializer>(tables: &BTreeMap<String, TableCounts>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Entry<'a>(#[serde(with = "TableKeys")] &'a TableCounts);
    to.collect_map(tables.iter().map(|(name, counts)| (name, Entry(counts))))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::Value;

    pub fn sample() -> Report {
        let start: Timestamp = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        let mut report = Report::new("r1", "backfill", start);
        let counts = Counts { read: 10, inserted: 9, rejected: 1, ..Counts::default() };
        report.files = vec![
            FileReport {
                source: "a.csv".into(),
                content_hash: Some("b3:00".into()),
                counts,
                sealed: true,
                bytes_read: 500,
                ..FileReport::default()
            },
            FileReport {
                source: "b.csv".into(),
                counts,
                already_loaded: true,
                sealed: true,
                ..FileReport::default()
            },
        ];
        report.rejects_by_rule.insert("bad_number".into(), 1);
        report
            .tables
            .insert("market_data".into(), TableCounts { inserted: 9, ..Default::default() });
        report.reject_examples.push(RejectExample {
            rule: "bad_number".into(),
            place: Place { source: "a.csv".into(), row: Some(3), line: Some(4), byte: Some(120) },
            reason: "open is no number".into(),
            raw: b"x,\xff,1".to_vec(),
        });
        report.exit = Exit::Rejects;
        report.finish("2026-01-02T03:04:07.678901Z".parse().unwrap());
        report
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    fn parsed(report: &Report) -> Value {
        serde_json::from_str(&report.to_json().unwrap()).unwrap()
    }

    const COUNT_KEYS: [&str; 7] =
        ["read", "inserted", "updated", "duplicate", "conflicting", "rejected", "skipped"];

    #[test]
    fn every_key_of_the_contract_is_there() {
        let json = parsed(&sample());
        for key in [
            "run_id",
            "command",
            "started_at",
            "finished_at",
            "elapsed_s",
            "database",
            "totals",
            "throughput",
            "ladder",
            "strategy",
            "peak_memory_bytes",
            "rejects_by_rule",
            "warnings_by_rule",
            "tables",
            "ignored",
            "files",
            "exit_code",
            "stages",
            "bottleneck",
            "interrupted",
            "resume_command",
            "replay_command",
            "messages",
        ] {
            assert!(keys(&json).contains(&key), "{key}");
        }
        for key in COUNT_KEYS.iter().chain(&["files", "bytes_read"]) {
            assert!(json["totals"][key].is_u64(), "totals.{key}");
        }
        for key in COUNT_KEYS {
            assert!(json["files"][0][key].is_u64(), "files.{key}");
        }
        for key in ["source", "content_hash", "layout", "dataset", "sealed", "already_loaded"] {
            assert!(keys(&json["files"][0]).contains(&key), "files.{key}");
        }
        let sorted = |value: &Value| {
            let mut keys = keys(value).into_iter().map(str::to_owned).collect::<Vec<_>>();
            keys.sort();
            keys
        };
        assert_eq!(sorted(&json["database"]), ["embedded", "server_version", "timescaledb"]);
        assert_eq!(sorted(&json["throughput"]), ["bytes_per_s", "rows_per_s"]);
        assert_eq!(
            sorted(&json["ladder"]),
            ["copy_batches", "insert_batches", "retries", "row_attempts"]
        );
        assert_eq!(sorted(&json["tables"]["market_data"]), ["deleted", "inserted", "updated"]);
    }

    #[test]
    fn values_are_what_was_counted() {
        let json = parsed(&sample());
        assert_eq!(json["started_at"], "2026-01-02T03:04:05.678Z");
        assert_eq!(json["elapsed_s"], 2.0);
        assert_eq!(json["totals"]["files"], 2);
        assert_eq!(json["totals"]["read"], 10, "a file loaded before is not read again");
        assert_eq!(json["throughput"]["rows_per_s"], 5.0);
        assert_eq!(json["throughput"]["bytes_per_s"], 250.0);
        assert_eq!(json["exit_code"], 3);
        assert_eq!(json["tables"]["market_data"]["inserted"], 9);
        assert_eq!(json["reject_examples"][0]["raw"], "x,\\xff,1");
        assert_eq!(json["reject_examples"][0]["line"], 4);
        assert_eq!(json["strategy"], Value::Null);
    }

    #[test]
    fn no_time_is_no_speed() {
        assert_eq!(Throughput::of(5, 5, 0.0), Throughput::default());
    }
}
