//! What comparing files with tables came to, as findings.

use std::collections::BTreeMap;

use crate::report::human;

use super::super::super::finding::{Finding, Level};
use super::compare::{Subject, Tally};
use super::fault;

/// What the records of a load with other values than the table's are.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Rightly lost to another record.
    pub restated: u64,
    /// Perhaps lost to a record of a load that was not compared, and whose file that is.
    pub other: u64,
    pub by: Option<String>,
    /// Nobody wrote what is stored.
    pub wrong: u64,
    pub first: Vec<String>,
}

/// A finding for each load and kind, and the sum.
pub(super) fn findings(
    subjects: &[Subject],
    tallies: &[Tally],
    verdicts: &BTreeMap<i64, Verdict>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut compared, mut dropped) = (0, 0);
    for (subject, tally) in subjects.iter().zip(tallies) {
        compared += tally.compared;
        dropped += tally.dropped;
        let (name, table) = (&subject.name, &subject.target_name);
        if tally.missing > 0 {
            findings.push(fault(
                "content",
                format!(
                    "{name}: {} not in {table}: {}",
                    human::plural(tally.missing, "record"),
                    tally.first.join(" | ")
                ),
                "load the file with --reload",
                "the ledger says that they were stored, and nothing that it says removed them",
            ));
        }
        let Some(verdict) = verdicts.get(&subject.load_id) else { continue };
        if verdict.wrong > 0 {
            findings.push(fault(
                "content",
                format!(
                    "{name}: {} in {table} with other values: {}",
                    human::plural(verdict.wrong, "record"),
                    verdict.first.join(" | ")
                ),
                "load the file with --reload --on-conflict update, if the file is right",
                "no load wrote what is stored there",
            ));
        }
        if verdict.other > 0 {
            let by = verdict.by.as_deref().unwrap_or_default();
            findings.push(Finding::advise(
                Level::Warning,
                "content",
                format!(
                    "{name}: {} in {table} with other values, which may be those of {by}",
                    human::plural(verdict.other, "record")
                ),
                format!("name {by} as well"),
                "a file that is not named may have restated them",
            ));
        }
        if verdict.restated > 0 {
            let restated = human::plural(verdict.restated, "record");
            let found = format!("{name}: {restated} rightly hold the values of another record");
            findings.push(Finding::ok("content", found));
        }
    }
    if dropped > 0 {
        let dropped = human::plural(dropped, "record");
        findings.push(Finding::ok("content", format!("{dropped} of ranges that were dropped")));
    }
    let found = format!(
        "{} of {} compared with the tables",
        human::plural(compared, "record"),
        human::plural(subjects.len() as u64, "load")
    );
    findings.push(Finding::ok("content", found));
    findings
}
