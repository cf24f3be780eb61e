//! What a check found: how bad it is, what to change, and why. `doctor` and `verify` are made of
//! them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::db::DbError;
use crate::error::Exit;
use crate::report::human;
use crate::report::list::{Cell, Grid, Style};

use super::Answer;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Would be faster or tidier otherwise.
    Advice,
    /// Will make trouble some day.
    Warning,
    /// Loads fail or lose data.
    Fault,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Advice => "advice",
            Level::Warning => "warning",
            Level::Fault => "fault",
        }
    }

    fn style(self) -> Style {
        match self {
            Level::Ok => Style::Green,
            Level::Advice => Style::Plain,
            Level::Warning => Style::Yellow,
            Level::Fault => Style::Red,
        }
    }
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub level: Level,
    pub check: &'static str,
    pub found: String,
    /// What to change; none if all is well.
    pub change: Option<String>,
    /// Why.
    pub why: Option<&'static str>,
}

impl Finding {
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, check, found: found.into(), change: None, why: None }
    }

    pub fn advise(
        level: Level,
        check: &'static str,
        found: impl Into<String>,
        change: impl Into<String>,
        why: &'static str,
    ) -> Self {
        let (found, change) = (found.into(), Some(change.into()));
        Self { level, check, found, change, why: Some(why) }
    }

    fn to_json(&self) -> Value {
        json!({
            "level": self.level.name(),
            "check": self.check,
            "found": self.found,
            "change": self.change,
            "why": self.why,
        })
    }
}

/// Takes over a group's findings; a group that could not be looked at is one itself.
pub(super) fn add(
    findings: &mut Vec<Finding>,
    group: &'static str,
    found: Result<Vec<Finding>, DbError>,
) {
    match found {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::advise(
            Level::Warning,
            group,
            format!("cannot be checked: {error}"),
            "mend what the error says and look again",
            "what is not checked may stop a load",
        )),
    }
}

/// The findings as a command answers them: a fault fails it.
pub(super) fn answer(findings: &[Finding]) -> Answer {
    let mut grid = Grid::new(["Level", "Check", "Found"]);
    let mut text = String::new();
    for finding in findings {
        grid.push([
            Cell::from(finding.level.name()).styled(finding.level.style()),
            finding.check.into(),
            finding.found.as_str().into(),
        ]);
        if let (Some(change), Some(why)) = (&finding.change, finding.why) {
            // Server text may hold anything.
            let line = human::one_line(&format!("{}: {change}", finding.check));
            let _ = writeln!(text, "{:<8} {line}\n         ({why})", finding.level.name());
        }
    }
    let count = |level: Level| findings.iter().filter(|f| f.level == level).count() as u64;
    let (faults, warnings) = (count(Level::Fault), count(Level::Warning));
    let mut answer = Answer::message(format!(
        "{} made: {}, {}, {} of advice",
        human::plural(findings.len() as u64, "check"),
        human::plural(faults, "fault"),
        human::plural(warnings, "warning"),
        human::plural(count(Level::Advice), "piece"),
    ));
    if faults > 0 {
        answer.exit = Exit::Failed;
    }
    answer.grid = Some(grid);
    answer.text = (!text.is_empty()).then(|| format!("\n{text}"));
    answer.json = Some(json!({
        "faults": faults,
        "warnings": warnings,
        "advice": count(Level::Advice),
        "checks": findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
    }));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_fails_and_advice_does_not() {
        let advice = Finding::advise(Level::Advice, "a", "x", "change it", "because");
        let fault = Finding { level: Level::Fault, ..advice.clone() };
        let done = answer(&[Finding::ok("b", "fine"), advice.clone()]);
        assert_eq!(done.exit, Exit::Done);
        assert!(done.text.unwrap().contains("advice   a: change it"));
        let failed = answer(&[advice, fault]);
        assert_eq!(failed.exit, Exit::Failed);
        assert_eq!(failed.json.unwrap()["faults"], 1);
        assert_eq!(answer(&[Finding::ok("b", "fine")]).text, None);
    }
}
