//! `nightly`: from the configuration to a request, log lines while it runs, the reports at the end.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use super::flags::ProgressChoice;
use super::{config, load, output};
use crate::command::nightly::{self, Event, NightlyRequest};
use crate::command::{Access, CommandError};
use crate::error::Exit;
use crate::limit::RETRY_DEADLINE_S;
use crate::report::file::{self, ReportFile};
use crate::report::model::Report;
use crate::report::progress::{Progress, ProgressMode, Snapshot};
use crate::report::table;

/// A complete configuration with comments.
pub const EXAMPLE: &str = include_str!("../../docs/nightly.toml");

/// What its help ends with.
pub const EXAMPLES: &str = "Examples:
  tidegate nightly --example > /etc/tidegate/nightly.toml
  tidegate nightly /etc/tidegate/nightly.toml --dry-run
  tidegate nightly /etc/tidegate/nightly.toml
  tidegate nightly /etc/tidegate/nightly.toml --source binance --today 2024-12-31

Exit codes: 0 all done, 1 a source or the upkeep failed, 2 usage (the configuration), 3 done with
rejects, 4 stopped by max_rejects, 70 the accounts do not add up, 75 another nightly run is at it,
130 interrupted (the same command resumes). One source that fails does not stop the others.";

/// The flags of `nightly`.
#[derive(Debug, Clone, Args)]
pub struct NightlyFlags {
    /// The configuration
    #[arg(value_name = "CONFIG.toml", required_unless_present = "example")]
    pub config: Option<PathBuf>,
    /// Print a complete configuration with comments, and do nothing
    #[arg(long)]
    pub example: bool,
    /// Say what would be loaded, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Only this source, and no upkeep; may be repeated
    #[arg(long, value_name = "NAME")]
    pub source: Vec<String>,
    /// The day that counts as today [default: today, UTC]
    #[arg(long, value_name = "DATE", value_parser = config::day)]
    pub today: Option<Date>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = ProgressChoice::Auto)]
    pub progress: ProgressChoice,
    /// Write the report to this file, too (.json, .html, .prom); may be repeated
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
    /// Print what a dry run found as JSON
    #[arg(long, requires = "dry_run")]
    pub json: bool,
}

/// Runs `nightly`.
pub async fn run(flags: &NightlyFlags) -> Result<Exit, CommandError> {
    let path = match &flags.config {
        Some(path) if !flags.example => path,
        _ => {
            output::result(EXAMPLE);
            return Ok(Exit::Done);
        }
    };
    let config = config::read(path)?;
    let reports: Vec<PathBuf> = config.reports.iter().chain(&flags.report).cloned().collect();
    let reports = load::report_files(&reports)?;
    let request =
        NightlyRequest { coverage: file::wants_html(&reports), ..request(flags, path, config)? };
    if flags.dry_run {
        return Ok(output::answer(&Box::pin(nightly::dry_run(&request)).await?, flags.json));
    }
    let mut log = Log::new(flags.progress.mode());
    let stopping = Log::new(log.mode);
    let on_stopping = move || {
        stopping.line(
            "nightly: stopping: the batches in hand are being finished; a second signal stops at \
             once",
        );
    };
    let mut listener = |event: Event<'_>| log.hear(event);
    let began = Timestamp::now();
    let ended = Box::pin(nightly::run(&request, on_stopping, &mut listener)).await;
    Ok(match ended {
        Ok(report) => deliver(report, &reports, &log),
        Err(error) => {
            log.line(&format!("nightly: {error}"));
            // Whoever watches the reports must learn of it; but those of a run that is at it, or
            // of one that was never meant, stay.
            match error.exit() {
                Exit::Failed => deliver(nightly::failed(&request, began, &error), &reports, &log),
                exit => exit,
            }
        }
    })
}

fn request(
    flags: &NightlyFlags,
    path: &std::path::Path,
    config: config::Config,
) -> Result<NightlyRequest, CommandError> {
    let mut sources = config.sources;
    if let Some(unknown) =
        flags.source.iter().find(|name| !sources.iter().any(|source| source.name == **name))
    {
        let known: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        return Err(CommandError::Usage(format!(
            "--source {unknown}: {} has {}",
            path.display(),
            known.join(", ")
        )));
    }
    sources.retain(|source| flags.source.is_empty() || flags.source.contains(&source.name));
    let url = config.url.or_else(|| std::env::var("DATABASE_URL").ok());
    let access = Access { url: url.filter(|url| !url.is_empty()) };
    Ok(NightlyRequest {
        config: path.display().to_string(),
        access,
        sources,
        today: flags.today.unwrap_or_else(|| Timestamp::now().to_zoned(TimeZone::UTC).date()),
        stale: config.stale,
        upkeep: config.upkeep.filter(|_| flags.source.is_empty()),
        retry_deadline: std::time::Duration::from_secs(RETRY_DEADLINE_S),
        arguments: load::without_credentials(std::env::args()),
        coverage: false,
    })
}

/// Writes the reports and says how it ended.
fn deliver(mut report: Report, files: &[ReportFile], log: &Log) -> Exit {
    if log.mode == ProgressMode::Bar {
        output::message(&table::render(&report, output::look()));
    }
    let mut written = Vec::new();
    for file in files {
        match file.write(&report) {
            Ok(()) => written.push(file.path.display().to_string()),
            Err(error) => {
                report.exit = report.exit.worse(Exit::Failed);
                log.line(&format!("nightly: {error}"));
            }
        }
    }
    log.line(&format!("nightly: {}", nightly::ending(&report, &written)));
    report.exit
}

/// Lines for whoever looks at night: each with its time, one after another.
struct Log {
    mode: ProgressMode,
    progress: Option<Progress>,
}

/// Puts the time before each line.
struct Stamped;

impl Write for Stamped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::stderr().lock().write_all(stamped(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().lock().flush()
    }
}

fn stamped(line: &str) -> String {
    format!("{:.0} {line}", Timestamp::now())
}

impl Log {
    fn new(mode: ProgressMode) -> Self {
        Self { mode, progress: None }
    }

    fn line(&self, text: &str) {
        match self.mode {
            ProgressMode::Json => {
                let at = format!("{:.3}", Timestamp::now());
                output::message(&json!({ "event": "message", "at": at, "text": text }).to_string());
            }
            ProgressMode::None => {}
            ProgressMode::Plain | ProgressMode::Bar => output::message(&stamped(text)),
        }
    }

    fn hear(&mut self, event: Event<'_>) {
        match event {
            Event::Line(text) => {
                self.progress = None;
                self.line(text);
            }
            Event::Progress(now) => self.show(now),
        }
    }

    /// A load that begins gets a progress of its own.
    fn show(&mut self, now: &Snapshot) {
        if now.files_total == 0 {
            return;
        }
        let mode = self.mode;
        let progress = self.progress.get_or_insert_with(|| {
            let out: Box<dyn Write + Send> = match mode {
                ProgressMode::Plain => Box::new(Stamped),
                _ => Box::new(std::io::stderr()),
            };
            Progress::new(mode, out)
        });
        progress.update(now);
        if now.finished {
            progress.finish();
            self.progress = None;
        }
    }
}
