//! The report as Prometheus metrics, in the text format that node-exporter's textfile collector
//! reads. Names are a contract with alerts and dashboards. All are gauges: each run of a cron job
//! replaces what the run before said.

use std::fmt::Write;

use super::model::{FileReport, Report};
use super::nightly::{Nightly, SourceReport};

/// The metric that tells that a job has stopped succeeding, also when it no longer runs at all.
const LAST_SUCCESS: &str = "tidegate_last_success_timestamp_seconds";

/// The metrics of a run. `name` tells the files of several jobs in one folder apart. `before` is
/// what the file said until now: of it the time of the last success stays, where the report knows
/// no later one.
pub fn text(report: &Report, name: &str, before: &str) -> String {
    let mut page =
        Page { out: String::new(), common: [("command", &report.command), ("name", name)] };
    outcome(&mut page, report, last_success(report, before));
    records(&mut page, report);
    work(&mut page, report);
    if let Some(nightly) = &report.nightly {
        sources(&mut page, nightly);
        upkeep(&mut page, nightly);
    }
    page.out
}

/// What a nightly run says of each of its sources.
fn sources(page: &mut Page<'_>, nightly: &Nightly) {
    let of = |value: fn(&SourceReport) -> Option<f64>| {
        let known = nightly
            .sources
            .iter()
            .filter_map(move |source| Some((source.name.as_str(), value(source)?)));
        known.collect::<Vec<_>>()
    };
    let seconds = |time: jiff::Timestamp| time.as_microsecond() as f64 / 1e6;
    let mut each = |name: &str, help: &str, values: Vec<(&str, f64)>| {
        page.each(name, help, "source", values);
    };
    each(
        "tidegate_source_exit_code",
        "How each source of the last run ended, as an exit code.",
        of(|source| Some(f64::from(source.exit.code()))),
    );
    let last = nightly
        .sources
        .iter()
        .map(|source| (source.name.as_str(), source.last_success_at.map_or(0.0, seconds)));
    each(
        "tidegate_source_last_success_timestamp_seconds",
        "When each source last ended with 0 or 3; 0 if it never did.",
        last.collect(),
    );
    each(
        "tidegate_source_duration_seconds",
        "How long each source took in the last run.",
        of(|source| Some(source.elapsed_s)),
    );
    each(
        "tidegate_source_lag_seconds",
        "How old the newest record of each source was at the end of its load.",
        of(|source| source.lag_s),
    );
    each(
        "tidegate_source_unchanged_files",
        "Files of each source that did not need to be read.",
        of(|source| Some(source.unchanged as f64)),
    );
    each(
        "tidegate_source_missing_days",
        "Days of its calendar of which a source has nothing.",
        of(|source| Some(source.missing_days.len() as f64)),
    );
    each(
        "tidegate_source_short_days",
        "Days of which the table has fewer records than the source counts.",
        of(|source| Some(source.short_days.len() as f64)),
    );
    each(
        "tidegate_source_restated_files",
        "Files of each source that were rewritten in place.",
        of(|source| Some(source.restated.len() as f64)),
    );
    source_rows(page, nightly);
}

fn source_rows(page: &mut Page<'_>, nightly: &Nightly) {
    page.help("tidegate_source_rows", "Source records of each source by fate.");
    for source in &nightly.sources {
        let counts = &source.totals.counts;
        for (fate, number) in [
            ("read", counts.read),
            ("inserted", counts.inserted),
            ("updated", counts.updated),
            ("duplicate", counts.duplicate),
            ("conflicting", counts.conflicting),
            ("rejected", counts.rejected),
            ("skipped", counts.skipped),
        ] {
            let labels = [("source", source.name.as_str()), ("fate", fate)];
            page.sample("tidegate_source_rows", &labels, number as f64);
        }
    }
}

/// What was done to the database after loading, and figures that are watched.
fn upkeep(page: &mut Page<'_>, nightly: &Nightly) {
    page.help(
        "tidegate_upkeep_action_success",
        "Whether each action after loading did not fail, with its seconds beside.",
    );
    for action in &nightly.maintenance {
        let labels = [("action", action.action.as_str()), ("target", action.target.as_str())];
        let fine = action.outcome != "failed";
        page.sample("tidegate_upkeep_action_success", &labels, f64::from(u8::from(fine)));
    }
    page.help("tidegate_upkeep_action_seconds", "How long each action after loading took.");
    for action in &nightly.maintenance {
        let labels = [("action", action.action.as_str()), ("target", action.target.as_str())];
        page.sample("tidegate_upkeep_action_seconds", &labels, action.elapsed_s);
    }
    for (name, help) in [
        ("tidegate_database_figure", "Figures of the database that are watched."),
        ("tidegate_database_figure_alert", "Whether a figure of the database is beyond its limit."),
    ] {
        page.help(name, help);
        for alert in &nightly.alerts {
            let target = alert.target.clone().unwrap_or_default();
            let labels = [("figure", alert.name.as_str()), ("target", target.as_str())];
            let firing = f64::from(u8::from(alert.firing));
            let value = if name.ends_with("alert") { firing } else { alert.value };
            page.sample(name, &labels, value);
        }
    }
}

fn outcome(page: &mut Page<'_>, report: &Report, last_success: f64) {
    let database = &report.database;
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    page.help("tidegate_run_info", "The last run, in its labels; always 1.");
    let (server, strategy) = (or_empty(&database.server_version), or_empty(&report.strategy));
    page.sample(
        "tidegate_run_info",
        &[
            ("program", &report.program),
            ("run_id", &report.run_id),
            ("server_version", &server),
            ("strategy", &strategy),
        ],
        1.0,
    );
    let seconds = |time: jiff::Timestamp| time.as_microsecond() as f64 / 1e6;
    page.one(
        "tidegate_run_exit_code",
        "Exit code of the last run: 0 done, 1 failed, 3 done with rejects, 4 too many rejects, 70 \
         the accounts do not add up, 130 interrupted.",
        f64::from(report.exit.code()),
    );
    page.one(
        "tidegate_run_success",
        "Whether the last run accounted for all records (exit code 0 or 3).",
        f64::from(u8::from(report.succeeded())),
    );
    page.one(
        LAST_SUCCESS,
        "When the last run of this job that succeeded ended, 0 if none ever did.",
        last_success,
    );
    let start = seconds(report.started_at);
    page.one("tidegate_run_start_timestamp_seconds", "When the last run started.", start);
    let end = seconds(report.finished_at);
    page.one("tidegate_run_end_timestamp_seconds", "When the last run ended.", end);
    page.one("tidegate_run_duration_seconds", "How long the last run took.", report.elapsed_s);
}

fn records(page: &mut Page<'_>, report: &Report) {
    let counts = &report.totals.counts;
    let fates = [
        ("read", counts.read),
        ("inserted", counts.inserted),
        ("updated", counts.updated),
        ("duplicate", counts.duplicate),
        ("conflicting", counts.conflicting),
        ("rejected", counts.rejected),
        ("skipped", counts.skipped),
    ];
    let rows = fates.map(|(fate, number)| (fate, number as f64));
    page.each(
        "tidegate_run_rows",
        "Source records of the last run by fate: read is the sum of the others, conflicting is a \
         part of duplicate.",
        "fate",
        rows,
    );
    let rules = report.rejects_by_rule.iter().map(|(rule, n)| (rule.as_str(), *n as f64));
    page.each("tidegate_run_rejects", "Rejects of the last run by rule.", "rule", rules);
    let warnings = report.warnings_by_rule.iter().map(|(rule, n)| (rule.as_str(), *n as f64));
    page.each(
        "tidegate_run_warnings",
        "Records of the last run that were loaded and are worth a look, by rule.",
        "rule",
        warnings,
    );
    let files = ["complete", "loaded_before", "not_complete", "failed"].map(|state| {
        (state, report.files.iter().filter(|file| state_of(file) == state).count() as f64)
    });
    page.each("tidegate_run_files", "Files of the last run by state.", "state", files);
    page.help("tidegate_run_table_rows", "Rows of each table that the last run changed.");
    for (table, changed) in &report.tables {
        for (change, number) in [
            ("inserted", changed.inserted),
            ("updated", changed.updated),
            ("deleted", changed.deleted),
        ] {
            let labels = [("table", table.as_str()), ("change", change)];
            page.sample("tidegate_run_table_rows", &labels, number as f64);
        }
    }
}

fn state_of(file: &FileReport) -> &'static str {
    match file {
        FileReport { error: Some(_), .. } => "failed",
        FileReport { already_loaded: true, .. } => "loaded_before",
        FileReport { sealed: true, .. } => "complete",
        _ => "not_complete",
    }
}

fn work(page: &mut Page<'_>, report: &Report) {
    page.one(
        "tidegate_run_read_bytes",
        "Bytes of sources that the last run read.",
        report.totals.bytes_read as f64,
    );
    page.one(
        "tidegate_run_rows_per_second",
        "Source records a second of the last run.",
        report.throughput.rows_per_s,
    );
    page.one(
        "tidegate_run_bytes_per_second",
        "Bytes of sources a second of the last run.",
        report.throughput.bytes_per_s,
    );
    page.one(
        "tidegate_run_retries",
        "Times that the last run tried something again.",
        report.ladder.retries as f64,
    );
    page.one(
        "tidegate_run_peak_memory_bytes",
        "The most memory that the last run held.",
        report.peak_memory_bytes as f64,
    );
    let stages = report.stages.iter().map(|(stage, busy)| (stage.as_str(), *busy));
    page.each(
        "tidegate_run_stage_busy_seconds",
        "Busy time of each stage of the last run, summed over its workers.",
        "stage",
        stages,
    );
    let waits = report.waits.iter().map(|(reason, seconds)| (reason.as_str(), *seconds));
    page.each(
        "tidegate_run_held_back_seconds",
        "Time for which the last run was slowed down on purpose, by reason.",
        "reason",
        waits,
    );
}

/// Seconds since 1970 of the last success that anything tells of; 0: none ever was.
fn last_success(report: &Report, before: &str) -> f64 {
    let known = report.last_success_at.map_or(0.0, |time| time.as_microsecond() as f64 / 1e6);
    let said = before.lines().filter(|line| line.starts_with(LAST_SUCCESS)).filter_map(|line| {
        line.rsplit(' ').next()?.parse::<f64>().ok().filter(|seconds| seconds.is_finite())
    });
    said.fold(known, f64::max)
}

/// Metrics as they are written, with the labels that all of them have.
struct Page<'a> {
    out: String,
    common: [(&'static str, &'a str); 2],
}

impl Page<'_> {
    /// The head of a metric; its samples follow.
    fn help(&mut self, name: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels = self.common.iter().chain(labels);
        let labels = labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value)));
        let labels = labels.collect::<Vec<_>>().join(",");
        let _ = writeln!(self.out, "{name}{{{labels}}} {value}");
    }

    /// A metric of one value.
    fn one(&mut self, name: &str, help: &str, value: f64) {
        self.help(name, help);
        self.sample(name, &[], value);
    }

    /// A metric of a value for each value of a label.
    fn each<'l>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'l str, f64)>,
    ) {
        self.help(name, help);
        for (of, value) in values {
            self.sample(name, &[(label, of)], value);
        }
    }
}

/// A label's value between its quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::sample;
    use super::*;
    use crate::error::Exit;

    fn value(text: &str, start: &str) -> f64 {
        let line = text.lines().find(|line| line.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("no {start} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn values_are_those_of_the_report() {
        let text = text(&sample(), "bars", "");
        let labels = "{command=\"backfill\",name=\"bars\"";
        assert_eq!(value(&text, &format!("tidegate_run_exit_code{labels}}}")), 3.0);
        assert_eq!(value(&text, &format!("tidegate_run_rows{labels},fate=\"read\"}}")), 10.0);
        assert_eq!(
            value(&text, &format!("tidegate_run_rejects{labels},rule=\"bad_number\"}}")),
            1.0
        );
        assert_eq!(value(&text, "tidegate_run_duration_seconds"), 2.0);
        assert_eq!(value(&text, "tidegate_run_start_timestamp_seconds"), 1_767_323_045.678_901);
        let files = format!("tidegate_run_files{labels},state=\"loaded_before\"}}");
        assert_eq!(value(&text, &files), 1.0);
    }

    #[test]
    fn labels_cannot_break_out() {
        let mut report = sample();
        report.tables.insert("a\"} 1\nb\\".into(), Default::default());
        let text = text(&report, "x\ny", "");
        assert!(text.contains(r#"name="x\ny",table="a\"} 1\nb\\",change="inserted"} 0"#), "{text}");
        assert!(text.lines().all(|line| line.starts_with("tidegate_") || line.starts_with("# ")));
    }

    #[test]
    fn the_last_success_outlives_failures() {
        let mut report = sample();
        assert_eq!(value(&text(&report, "n", ""), LAST_SUCCESS), 0.0, "none ever was");
        report.last_success_at = Some(report.finished_at);
        let good = text(&report, "n", "");
        let then = value(&good, LAST_SUCCESS);
        assert_eq!(then, 1_767_323_047.678_901);
        (report.last_success_at, report.exit) = (None, Exit::Failed);
        let failed = text(&report, "n", &good);
        assert_eq!(value(&failed, LAST_SUCCESS), then);
        assert_eq!(value(&text(&report, "n", &failed), LAST_SUCCESS), then);
        assert_eq!(value(&failed, "tidegate_run_success"), 0.0);
        assert_eq!(value(&text(&report, "n", "what \x00 else"), LAST_SUCCESS), 0.0);
    }
}
