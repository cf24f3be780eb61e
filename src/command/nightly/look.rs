//! What a source's paths stand for tonight.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::SourceRequest;
use crate::source::{Found, Remotes, Spooler, find};

/// A file or object, and how it was found.
#[derive(Debug)]
pub(super) struct Sighted {
    pub found: Found,
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
pub(super) fn look(source: &SourceRequest, days: &[Date], spooler: &Spooler) -> Looked {
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
                    looked.files.extend(new.map(|found| Sighted { found, day }));
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

impl Sighted {
    /// Whether an entry of a report is about this file or a member of it.
    pub fn is_in(&self, source: &str) -> bool {
        let rest = source.strip_prefix(self.found.name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('!'))
    }
}
