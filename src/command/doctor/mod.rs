//! `doctor`: looks at the server, the rights, the ledger and this machine, and says what to change
//! and why. It changes nothing and tries nothing out: it only asks. A check that cannot be made is
//! a warning, not an error.

mod ledger;
mod link;
mod machine;
mod rights;
mod server;
mod settings;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::db::DbError;
use crate::error::Exit;
use crate::report::human;
use crate::report::list::{Cell, Grid, Style};

use super::{Access, Answer, CommandError};

/// What `doctor` is asked.
#[derive(Debug, Clone)]
pub struct DoctorRequest {
    /// Which database.
    pub access: Access,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
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
struct Finding {
    level: Level,
    check: &'static str,
    found: String,
    /// What to change; none if all is well.
    change: Option<String>,
    /// Why.
    why: Option<&'static str>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, check, found: found.into(), change: None, why: None }
    }

    fn advise(
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

/// Makes every check.
///
/// # Errors
/// Only for a database that is named in a way that makes no sense; what is wrong with one that can
/// be named is a finding.
pub async fn run(request: &DoctorRequest) -> Result<Answer, CommandError> {
    let mut findings = Vec::new();
    let machine = machine::Machine::look();
    let database = match request.access.database().await {
        Ok(database) => database,
        Err(error @ DbError::Config(_)) => return Err(error.into()),
        Err(error) => {
            findings.push(no_connection(&error));
            return Ok(answer(&findings));
        }
    };
    let link = match link::connect(&database).await {
        Ok(link) => link,
        Err(error) => {
            findings.push(no_connection(&error));
            return Ok(answer(&findings));
        }
    };
    let db = &link.connection;
    add(&mut findings, "connection", link::check(&database, &link).await);
    let facts = server::read(db).await;
    let local = facts.as_ref().is_ok_and(|facts| facts.local);
    add(&mut findings, "server", server::check(db, facts).await);
    let read = settings::read(db).await;
    let data = read.as_ref().ok().and_then(|settings| settings.data_directory());
    let memory = machine.memory_bytes.filter(|_| local);
    add(&mut findings, "settings", read.map(|settings| settings::check(&settings, memory)));
    add(&mut findings, "rights", rights::check(db).await);
    add(&mut findings, "ledger", ledger::check(db).await);
    findings.extend(machine.check(data.as_deref().filter(|_| local)));
    Ok(answer(&findings))
}

fn no_connection(error: &DbError) -> Finding {
    Finding::advise(
        Level::Fault,
        "connection",
        error.to_string(),
        "mend the connection first: everything else is checked through it",
        "nothing can be loaded without one",
    )
}

/// Takes over a group's findings; a group that could not be looked at is one itself.
fn add(findings: &mut Vec<Finding>, group: &'static str, found: Result<Vec<Finding>, DbError>) {
    match found {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::advise(
            Level::Warning,
            group,
            format!("cannot be checked: {error}"),
            "mend what the error says and run doctor again",
            "what is not checked may stop a load",
        )),
    }
}

fn answer(findings: &[Finding]) -> Answer {
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
