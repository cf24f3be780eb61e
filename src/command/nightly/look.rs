//! What a source's paths stand for tonight, and which of it need not be read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use super::SourceRequest;
use crate::command::{CommandError, LayoutChoice};
use crate::db::ledger::Sight;
use crate::source::{Found, Remotes, Spooler, Version, find};

/// A file that was written to within so many milliseconds before it is read may be written to again
/// without its times telling: it is looked at once more, a little later.
const TICK_MS: u64 = 20;

/// A file or object, and how it was found.
#[derive(Debug)]
pub(super) struct Sighted {
    pub found: Found,
    /// What tells its content from another without reading it; none where nothing does.
    pub sight: Option<Sight>,
    /// The day in its pattern.
    pub day: Option<Date>,
}

/// What a source's paths stand for.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub files: Vec<Sighted>,
    /// What could not be looked at, with why.
    pub failed: Vec<(String, String)>,
    /// Paths by day of which nothing is there.
    pub absent: BTreeMap<Date, Vec<String>>,
}

/// Looks at the paths of a source on these days.
pub(super) fn look(source: &SourceRequest, days: &[Date], spooler: &mut Spooler) -> Looked {
    let remotes = Remotes::new(source.load.retry_deadline);
    let mut looked = Looked::default();
    let mut names = BTreeSet::new();
    for pattern in &source.paths {
        let days: Vec<Option<Date>> = match pattern.has_day() {
            true => days.iter().copied().map(Some).collect(),
            false => vec![None],
        };
        for day in days {
            let path = day.map_or_else(|| pattern.text().to_owned(), |day| pattern.on(day));
            match find(std::slice::from_ref(&path), &remotes, spooler) {
                Ok(found) => {
                    let new = found.into_iter().filter(|file| names.insert(file.name.clone()));
                    looked.files.extend(new.map(|found| sighted(found, day)));
                }
                Err(error) => match day {
                    Some(day) if error.is_absence() => {
                        looked.absent.entry(day).or_default().push(path);
                    }
                    _ => looked.failed.push((path, error.to_string())),
                },
            }
        }
    }
    for file in &looked.files {
        if let Some(day) = file.day {
            looked.absent.remove(&day);
        }
    }
    looked
}

fn sighted(found: Found, day: Option<Date>) -> Sighted {
    // What was copied to read it has no times of its own.
    let look = || found.location.version().filter(|_| found.spool.is_none());
    let is_new = |version: &Version| {
        let now_ms = Timestamp::now().as_millisecond();
        version.changed_ms.is_some_and(|changed| now_ms - changed < TICK_MS.cast_signed())
    };
    let mut version = look();
    if version.as_ref().is_some_and(is_new) {
        std::thread::sleep(Duration::from_millis(TICK_MS));
        version = look().filter(|version| !is_new(version));
    }
    let sight = version.map(|version| Sight {
        path: found.name.clone(),
        bytes: version.bytes,
        version: version.tag,
    });
    Sighted { found, sight, day }
}

/// A name for everything besides the bytes that decides what is loaded.
pub(super) fn scope(source: &SourceRequest) -> Result<String, CommandError> {
    let load = &source.load;
    let layout = match &load.layout {
        None => String::new(),
        Some(LayoutChoice::Named(name)) => name.clone(),
        Some(LayoutChoice::File(path)) => {
            std::fs::read_to_string(path).map_err(CommandError::file(path))?
        }
    };
    let facts = &load.facts;
    let mut hasher = blake3::Hasher::new();
    let mut field = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    field(env!("CARGO_PKG_VERSION"));
    field(&layout);
    for fact in [
        &load.table,
        &facts.symbol,
        &facts.interval,
        &facts.zone,
        &facts.venue,
        &facts.date,
        &facts.dataset,
    ] {
        field(if fact.is_some() { "given" } else { "" });
        field(fact.as_deref().unwrap_or_default());
    }
    field(&load.no_check.join(","));
    field(&format!("{:?}", load.window));
    Ok(hasher.finalize().to_hex().as_str()[..32].to_owned())
}

impl Sighted {
    /// Whether an entry of a report is about this file or a member of it.
    pub fn is_in(&self, source: &str) -> bool {
        let rest = source.strip_prefix(self.found.name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('!'))
    }
}
