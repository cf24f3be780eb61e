//! The configuration of `nightly`: TOML, read and checked as a whole before anything is begun. A
//! mistake is told with its line, its key, and the nearest known key.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use toml::de::DeTable;

use super::flags::FactFlags;
use super::load::in_order;
use super::{maintenance, parse};
use crate::command::nightly::{Manifest, Pattern, SourceRequest};
use crate::command::upkeep::UpkeepPlan;
use crate::command::{Access, CommandError, LayoutChoice, LoadRequest, Reporting};
use crate::dataset::{self, ConflictPolicy};
use crate::db::ledger::TimeWindow;
use crate::layout::LayoutError;
use crate::layout::toml_table::{Doc, Table, Value};
use crate::limit::{
    LEASE_STALE_S, LOOK_BACK_DAYS, MEMORY_BYTES_DEFAULT, RETRY_DEADLINE_S, SPILL_BYTES_MAX,
};
use crate::pipeline::RejectBudget;
use crate::write::Strategy;

/// A configuration, read.
#[derive(Debug)]
pub struct Config {
    /// The database, if it is named here.
    pub url: Option<String>,
    /// Silence after which another run counts as dead.
    pub stale: Duration,
    /// The sources.
    pub sources: Vec<SourceRequest>,
    /// What is looked after once all is loaded.
    pub upkeep: Option<UpkeepPlan>,
    /// Files that the report is written to.
    pub reports: Vec<PathBuf>,
}

const ROOT: &[&str] = &["database", "lock", "source", "maintenance", "report"];
const SOURCE: &[&str] = &[
    "name",
    "paths",
    "days",
    "zone",
    "calendar",
    "manifest",
    "strict",
    "dataset",
    "table",
    "layout",
    "symbol",
    "interval",
    "tz",
    "date",
    "venue",
    "on_conflict",
    "max_rejects",
    "verify",
    "strategy",
    "writers",
    "memory",
    "spill_max",
    "no_check",
    "from",
    "to",
    "max_rows_per_sec",
    "polite",
    "retry_deadline",
];

/// Reads a configuration; relative paths in it are meant from its own folder.
///
/// # Errors
/// [`CommandError::Usage`] with the line, the key and what to write instead.
pub fn read(path: &Path) -> Result<Config, CommandError> {
    let usage = |why: String| CommandError::Usage(why);
    let text = std::fs::read_to_string(path)
        .map_err(|cause| usage(format!("{}: {cause}", path.display())))?;
    let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder.parent().unwrap_or(Path::new("/")).to_owned();
    parse_text(&text, &path.display().to_string(), &folder)
        .map_err(|error| usage(error.to_string()))
}

fn parse_text(text: &str, origin: &str, folder: &Path) -> Result<Config, LayoutError> {
    let doc = Doc { origin, text, trusted: false };
    let table = DeTable::parse(text).map_err(|error| LayoutError::Syntax {
        origin: origin.to_owned(),
        line: doc.line(error.span().map_or(0, |span| span.start)),
        reason: error.message().to_owned(),
    })?;
    let root = Table::root(doc, &table, ROOT)?;
    let url = match root.table("database", &["url"])? {
        Some(database) => text_of(&database, "url")?,
        None => None,
    };
    let stale = match root.table("lock", &["stale_after"])? {
        Some(lock) => with(&lock, "stale_after", parse::duration)?,
        None => None,
    };
    let mut sources: Vec<SourceRequest> = Vec::new();
    let upkeep = maintenance::read(&root, folder)?;
    if upkeep.is_none() && root.get("source").is_none() {
        // Says that it is missing.
        root.need("source")?;
    }
    for value in root.get("source").iter().flat_map(Value::list) {
        let source = read_source(&value, folder)?;
        if sources.iter().any(|other| other.name == source.name) {
            return Err(value.bad(format!("there are two sources called {:?}", source.name)));
        }
        sources.push(source);
    }
    let stale = stale.unwrap_or(Duration::from_secs(LEASE_STALE_S));
    if let (true, Some(lock)) = (stale < Duration::from_secs(3), root.get("lock")) {
        return Err(lock.bad("stale_after must be 3s or more"));
    }
    Ok(Config { url, stale, sources, upkeep, reports: reports(&root, folder)? })
}

/// The files of `[report]`, each with the ending that its key promises.
fn reports(root: &Table<'_>, folder: &Path) -> Result<Vec<PathBuf>, LayoutError> {
    let mut files = Vec::new();
    let kinds = ["json", "html", "prom"];
    let Some(report) = root.table("report", &kinds)? else { return Ok(files) };
    for kind in kinds {
        let Some(value) = report.get(kind) else { continue };
        for item in value.list() {
            let path = folder.join(item.string()?);
            if path.extension().is_none_or(|ending| ending != kind) {
                return Err(item.bad(format!("the file's name must end in .{kind}")));
            }
            files.push(path);
        }
    }
    Ok(files)
}

fn read_source(value: &Value<'_>, folder: &Path) -> Result<SourceRequest, LayoutError> {
    let table = value.table(SOURCE)?;
    let name = table.need("name")?;
    if name.string()?.trim().is_empty() {
        return Err(name.bad("a source needs a name"));
    }
    let paths = table.need("paths")?;
    let mut patterns = Vec::new();
    for path in paths.list() {
        patterns.push(pattern(&path, folder)?);
    }
    if patterns.is_empty() {
        return Err(paths.bad("name at least one file, glob or URL"));
    }
    let days = with_number(&table, "days", LOOK_BACK_DAYS.into(), 3_660)?;
    let zone = with(&table, "zone", |zone| match TimeZone::get(zone) {
        Ok(_) => Ok(zone.to_owned()),
        Err(_) => Err(format!("{zone:?} is no zone such as America/New_York")),
    })?;
    let manifest = table.get("manifest").map(|path| pattern(&path, folder)).transpose()?;
    Ok(SourceRequest {
        name: name.string()?.to_owned(),
        paths: patterns,
        days: u16::try_from(days).unwrap_or(u16::MAX),
        calendar: text_of(&table, "calendar")?.map(|name| match name.ends_with(".toml") {
            true => folder.join(name).display().to_string(),
            false => name,
        }),
        zone: zone.unwrap_or_else(|| "UTC".to_owned()),
        strict: flag(&table, "strict")?,
        manifest: manifest.map(|path| Manifest { path }),
        load: read_load(value, &table, folder)?,
    })
}

/// How files of a source are loaded: what flags of `backfill` say.
fn read_load(
    value: &Value<'_>,
    table: &Table<'_>,
    folder: &Path,
) -> Result<LoadRequest, LayoutError> {
    let facts = FactFlags {
        dataset: with(table, "dataset", known_dataset)?,
        layout: text_of(table, "layout")?,
        symbol: text_of(table, "symbol")?,
        interval: text_of(table, "interval")?,
        tz: text_of(table, "tz")?,
        date: text_of(table, "date")?,
        venue: text_of(table, "venue")?,
    };
    let layout = facts.layout().map(|layout| match layout {
        LayoutChoice::File(path) => LayoutChoice::File(folder.join(path)),
        named => named,
    });
    let (from, to) = (with(table, "from", parse::instant)?, with(table, "to", parse::instant)?);
    in_order(from, to).map_err(|_| value.bad("from must be before to"))?;
    let retry = with(table, "retry_deadline", parse::duration)?;
    let rate = with_number(table, "max_rows_per_sec", 0, usize::MAX)?;
    let writers = with_number(table, "writers", 0, 64)?;
    let no_check = table.get("no_check").map_or(Ok(Vec::new()), |rules| {
        rules
            .list()
            .iter()
            .map(|rule| parse::rule(rule.string()?).map_err(|e| rule.bad(e)))
            .collect()
    })?;
    Ok(LoadRequest {
        inputs: Vec::new(),
        made: Vec::new(),
        access: Access::default(),
        table: text_of(table, "table")?,
        layout,
        facts: facts.given().map_err(|error| {
            let key = if facts.interval.is_some() { table.get("interval") } else { None };
            key.as_ref().unwrap_or(value).bad(error.to_string())
        })?,
        on_conflict: with(table, "on_conflict", policy)?,
        reload: false,
        verify: flag(table, "verify")?,
        strategy: with(table, "strategy", strategy)?.flatten(),
        writers: Some(writers).filter(|&writers| writers > 0),
        memory_bytes: with(table, "memory", parse::memory)?.unwrap_or(MEMORY_BYTES_DEFAULT),
        spill_bytes_max: with(table, "spill_max", parse::size)?
            .map_or(SPILL_BYTES_MAX, |bytes| bytes as u64),
        rejects_max: budget(table)?,
        no_check,
        window: TimeWindow { from_us: from, to_us: to },
        rows_per_sec_max: Some(rate as u64).filter(|&rate| rate > 0),
        polite: flag(table, "polite")?,
        shard: None,
        units: None,
        retry_deadline: retry.unwrap_or(Duration::from_secs(RETRY_DEADLINE_S)),
        arguments: Vec::new(),
        reporting: Reporting::default(),
    })
}

fn known_dataset(name: &str) -> Result<String, String> {
    if dataset::by_name(name).is_some() {
        return Ok(name.to_owned());
    }
    let known: Vec<&str> = dataset::ALL.iter().map(|dataset| dataset.name).collect();
    Err(format!("{name:?} is no dataset: this version knows {}", known.join(", ")))
}

fn policy(name: &str) -> Result<ConflictPolicy, String> {
    ConflictPolicy::from_name(name)
        .ok_or_else(|| format!("{name:?}: use skip, update, reject or error"))
}

fn strategy(name: &str) -> Result<Option<Strategy>, String> {
    Ok(Some(match name {
        "auto" => return Ok(None),
        "direct" => Strategy::Direct,
        "stage" => Strategy::Stage,
        "exchange" => Strategy::Exchange,
        _ => return Err(format!("{name:?}: use auto, direct, stage or exchange")),
    }))
}

/// `max_rejects`: a number, or a share such as "1%".
fn budget(table: &Table<'_>) -> Result<Option<RejectBudget>, LayoutError> {
    let Some(value) = table.get("max_rejects") else { return Ok(None) };
    if let Ok(number) = value.number() {
        return Ok(Some(RejectBudget::Count(number as u64)));
    }
    parse::reject_budget(value.string()?).map(Some).map_err(|why| value.bad(why))
}

/// A path, glob or URL with days in it; a relative path is meant from `folder`.
fn pattern(value: &Value<'_>, folder: &Path) -> Result<Pattern, LayoutError> {
    let text = value.string()?;
    if text == "-" {
        return Err(value.bad("standard input has nothing new every night: name files"));
    }
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => folder.join(text).display().to_string(),
    };
    Pattern::parse(&whole).map_err(|why| value.bad(why))
}

fn text_of(table: &Table<'_>, key: &str) -> Result<Option<String>, LayoutError> {
    table.get(key).map(|value| value.string().map(str::to_owned)).transpose()
}

fn flag(table: &Table<'_>, key: &str) -> Result<bool, LayoutError> {
    table.get(key).map_or(Ok(false), |value| value.bool())
}

/// The value of a key, read by `read`.
fn with<T>(
    table: &Table<'_>,
    key: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, LayoutError> {
    let Some(value) = table.get(key) else { return Ok(None) };
    read(value.string()?).map(Some).map_err(|why| value.bad(why))
}

fn with_number(
    table: &Table<'_>,
    key: &str,
    default: usize,
    max: usize,
) -> Result<usize, LayoutError> {
    let Some(value) = table.get(key) else { return Ok(default) };
    let number = value.number()?;
    if number > max {
        return Err(value.bad(format!("at most {max}")));
    }
    Ok(number)
}

/// `--today`.
///
/// # Errors
/// When it is no date.
pub fn day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| format!("{text:?} is no date: use 2024-01-31"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Config, String> {
        parse_text(text, "c.toml", Path::new("/etc/tidegate")).map_err(|error| error.to_string())
    }

    fn source(more: &str) -> String {
        format!("[[source]]\nname = \"a\"\npaths = \"/in/*.csv\"\n{more}\n")
    }

    #[test]
    fn the_documented_configuration_is_one() {
        let config = parsed(super::super::nightly::EXAMPLE).unwrap();
        assert!(config.sources.len() >= 3 && config.reports.len() == 3, "{config:?}");
    }

    #[test]
    fn paths_are_meant_from_the_folder_of_the_configuration() {
        let text = "[[source]]\nname = \"a\"\npaths = [\"in/{date:%Y}.csv\", \"s3://b/*.csv\"]\n\
                    layout = \"own.toml\"\n[report]\njson = \"out/r.json\"\n";
        let config = parsed(text).unwrap();
        let paths: Vec<&str> = config.sources[0].paths.iter().map(Pattern::text).collect();
        assert_eq!(paths, ["/etc/tidegate/in/{date:%Y}.csv", "s3://b/*.csv"]);
        assert_eq!(config.reports, [PathBuf::from("/etc/tidegate/out/r.json")]);
        let Some(LayoutChoice::File(layout)) = &config.sources[0].load.layout else { panic!() };
        assert_eq!(layout, Path::new("/etc/tidegate/own.toml"));
    }

    #[test]
    fn values_are_those_of_the_flags() {
        let more = "on_conflict = \"update\"\nmax_rejects = \"0.5%\"\ninterval = \"60min\"\n\
                    memory = \"64MiB\"\nwriters = 3\ndays = 30\nstrategy = \"auto\"\n\
                    no_check = [\"high_low\"]\nfrom = \"2024-01-01\"\nretry_deadline = \"90s\"";
        let config = parsed(&source(more)).unwrap();
        let (of, load) = (&config.sources[0], &config.sources[0].load);
        assert_eq!(load.on_conflict, Some(ConflictPolicy::Update));
        assert_eq!(load.rejects_max, Some(RejectBudget::Percent(0.5)));
        assert_eq!(load.facts.interval.as_deref(), Some("1h"));
        assert_eq!((load.memory_bytes, load.writers, of.days), (64 << 20, Some(3), 30));
        assert_eq!((load.strategy, load.retry_deadline), (None, Duration::from_secs(90)));
        let number = parsed(&source("max_rejects = 7")).unwrap();
        assert_eq!(number.sources[0].load.rejects_max, Some(RejectBudget::Count(7)));
    }

    #[test]
    fn mistakes_are_told_with_line_key_and_what_was_meant() {
        for (wrong, words) in [
            ("[databse]\nurl = \"x\"\n", vec!["line 1", "databse", "database"]),
            ("[[source]]\nname = \"a\"\n", vec!["line 1", "source.paths", "missing"]),
            ("[database]\nurl = 5\n", vec!["line 2", "database.url", "string"]),
            ("[database]\nurl = \"x\"\n", vec!["source", "missing"]),
            ("[[source]\n", vec!["line 1"]),
        ] {
            let error = parsed(wrong).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{wrong}: {error}");
        }
        for (wrong, words) in [
            ("on_conflit = \"skip\"", vec!["line 4", "source.on_conflit", "on_conflict?"]),
            ("on_conflict = \"replace\"", vec!["line 4", "on_conflict", "skip, update"]),
            ("dataset = \"bar\"", vec!["line 4", "dataset", "bars"]),
            ("interval = \"soon\"", vec!["line 4", "interval", "1h"]),
            ("max_rejects = \"many\"", vec!["line 4", "max_rejects", "1%"]),
            ("zone = \"Mars\"", vec!["line 4", "zone", "America/New_York"]),
            ("manifest = \"/x/{day}\"", vec!["line 4", "manifest", "{date:%Y-%m-%d}"]),
            ("days = 99999", vec!["line 4", "days", "at most"]),
            ("[report]\nhtml = \"r.json\"", vec!["line 5", "report.html", ".html"]),
            ("[lock]\nstale_after = \"1s\"", vec!["line 4", "3s"]),
            ("[[source]]\nname = \"a\"\npaths = \"/b\"", vec!["line 4", "two sources"]),
        ] {
            let error = parsed(&source(wrong)).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{wrong}: {error}");
        }
    }
}
