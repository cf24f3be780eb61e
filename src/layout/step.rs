//! How far apart the times of a file's first records are, where that tells what nothing else does:
//! the interval of its bars, or whether they are days at all.

use std::collections::BTreeMap;

use super::fit::FitField;
use super::interval::normalise_interval;
use super::model::Layout;
use super::sample::Record;
use super::{facts, times};
use crate::mapping::FieldSource;

/// Steps of which something is said: fewer may be those of a file with pauses.
const STEPS_MIN: usize = 3;
/// Longer steps are those of months, which have no length.
const STEP_MS_MAX: u64 = 7 * 86_400_000;

/// What the first records tell of the time between two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Steps that were looked at.
    seen: usize,
    /// What more than half of them are, as an interval.
    pub(super) interval: Option<String>,
}

impl Step {
    /// Looks at the first records of a file. Those of several series tell nothing.
    pub(super) fn of(records: &[Record], fields: &[FitField]) -> Self {
        let field = |name: &str| fields.iter().find(|field| field.column.name == name);
        let (None, Some(ts)) = (field("symbol"), field("ts")) else { return Self::default() };
        let instants: Vec<i64> = records.iter().filter_map(|record| instant(record, ts)).collect();
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for pair in instants.windows(2) {
            *counts.entry(pair[1].abs_diff(pair[0])).or_default() += 1;
        }
        let seen = instants.len().saturating_sub(1);
        let usual = counts.into_iter().find(|(_, count)| *count * 2 > seen);
        let told = usual.filter(|(step, _)| {
            seen >= STEPS_MIN && (1..=STEP_MS_MAX).contains(step) && step % 1_000 == 0
        });
        let interval = told.and_then(|(step, _)| normalise_interval(&format!("{}s", step / 1_000)));
        Self { seen, interval }
    }

    /// Why a file of this name does not have records as far apart as the layout's are, or may have
    /// others.
    pub(super) fn fault(&self, layout: &Layout, name: &str) -> Option<String> {
        let wanted = layout.recognise.step.as_ref()?;
        if self.interval.as_ref() == Some(wanted) {
            return None;
        }
        if self.seen >= STEPS_MIN {
            return Some(match &self.interval {
                Some(found) => format!("its records fit, but most are {found} apart, not {wanted}"),
                None => format!("its records fit, but most are not {wanted} apart"),
            });
        }
        if facts::name_fits(layout, name) {
            return None;
        }
        let like = layout.facts.example.as_ref();
        Some(format!(
            "its records fit, but they are too few to tell whether they are {wanted} apart, and \
             its name is not {}; if they are, say --layout {}",
            like.map_or("as expected".to_owned(), |like| format!("like {like}")),
            layout.name
        ))
    }
}

/// The time of a record in milliseconds from 1970, by whatever clock it is written.
fn instant(record: &Record, ts: &FitField) -> Option<i64> {
    let format = ts.time.as_ref()?;
    match ts.source {
        FieldSource::Field(at) => times::instant_of(format, record.fields.get(at)?),
        FieldSource::Joined(date, time) => {
            let (date, time) = (record.fields.get(date)?, record.fields.get(time)?);
            times::instant_of(format, &format!("{date} {time}"))
        }
        FieldSource::Constant(_) => None,
    }
}
