//! What a person at night is told: what happened, and what to type next.

use super::lock::Lease;
use super::{NightlyRequest, SourceRequest};
use crate::command::summary::{replay_command, shell_word};
use crate::command::upkeep::{Outcome, UpkeepReport};
use crate::db::Database;
use crate::error::Exit;
use crate::report::human;
use crate::report::model::Report;
use crate::report::nightly::{AlertFigure, MaintenanceAction, Nightly, ShortDay, SourceReport};

/// The first line of a run.
pub(super) fn beginning(
    request: &NightlyRequest,
    run_id: i64,
    database: &Database,
    lease: &Lease,
) -> String {
    let mut text = format!(
        "run {run_id} of {} begins: {}, today is {}, into {}",
        request.config,
        human::plural(request.sources.len() as u64, "source"),
        request.today,
        database.display()
    );
    if let Some(before) = &lease.before {
        let run = before.run_id.map_or(String::new(), |run| format!(" (run {run})"));
        text.push_str(&format!(
            "; the run before{run} ended without a word, last heard {} ago: what it left \
             unfinished is resumed",
            human::seconds(before.silent_s)
        ));
    }
    text
}

/// The command that runs one source again.
pub(super) fn again(request: &NightlyRequest, source: &str) -> String {
    format!("tidegate nightly {} --source {}", shell_word(&request.config), shell_word(source))
}

/// What to do about how a source ended.
pub(super) fn next_step(
    request: &NightlyRequest,
    source: &str,
    run_id: i64,
    exit: Exit,
) -> Option<String> {
    let again = again(request, source);
    match exit {
        Exit::Done => None,
        Exit::Rejects => Some(replay_command(run_id)),
        Exit::Budget => Some(format!(
            "look at what was refused: tidegate rejects list --run {run_id}; then mend the source \
             or raise its max_rejects, and: {again}"
        )),
        Exit::Accounts => Some(format!(
            "do not trust what this source loaded: tidegate status {run_id}, tidegate doctor; \
             please report it"
        )),
        Exit::Interrupted | Exit::Locked => Some(format!("goes on where it stopped: {again}")),
        Exit::Failed | Exit::Usage => Some(format!("mend what the message names, then: {again}")),
    }
}

/// A source that was not begun, for the run was stopped before.
pub(super) fn not_begun(source: &SourceRequest, request: &NightlyRequest) -> SourceReport {
    SourceReport {
        name: source.name.clone(),
        exit: Exit::Interrupted,
        message: "not begun: the run was stopped before".to_owned(),
        next_step: Some(again(request, &source.name)),
        ..SourceReport::default()
    }
}

/// One sentence about how a source ended.
pub(super) fn sentence(part: &Report, outcome: &SourceReport) -> String {
    let counts = &part.totals.counts;
    let mut said = Vec::new();
    if part.files.is_empty() {
        said.push("nothing new".to_owned());
    } else {
        said.push(format!(
            "{} read, {} inserted, {} updated, {} there already, {} rejected",
            human::plural(counts.read, "record"),
            human::count(counts.inserted),
            human::count(counts.updated),
            human::count(counts.duplicate),
            human::count(counts.rejected)
        ));
    }
    if outcome.unchanged > 0 {
        said.push(format!("{} unchanged", human::plural(outcome.unchanged, "file")));
    }
    for restated in &outcome.restated {
        said.push(format!(
            "{} was rewritten: {} new, {} updated, {} differ from what is stored and were left out",
            restated.source,
            human::plural(restated.inserted, "record"),
            human::count(restated.updated),
            human::count(restated.conflicting)
        ));
    }
    if !outcome.missing_days.is_empty() {
        said.push(format!("no data of {}", list(&outcome.missing_days)));
    }
    if !outcome.short_days.is_empty() {
        let days: Vec<String> = outcome.short_days.iter().map(short).collect();
        said.push(format!("short: {}", list(&days)));
    }
    said.join("; ")
}

fn short(day: &ShortDay) -> String {
    let ticker = day.ticker.as_ref().map_or(String::new(), |ticker| format!(" {ticker}"));
    format!("{}{ticker} has {} of {}", day.day, human::count(day.found), human::count(day.expected))
}

/// The first of them, and how many more.
fn list(all: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        text.push_str(&format!(" and {} more", all.len() - SHOWN));
    }
    text
}

/// What failed, each with its name, on one line.
pub(super) fn failures(part: &Report) -> Vec<String> {
    let failed = part.files.iter().filter_map(|file| {
        let error = file.error.as_ref()?;
        let named = error.starts_with(file.source.as_str());
        Some(if named { error.clone() } else { format!("{}: {error}", file.source) })
    });
    failed.map(|text| human::one_line(&text.replace('\n', " "))).collect()
}

/// Books what upkeep did; says what failed.
pub(super) fn upkeep(done: UpkeepReport, nightly: &mut Nightly) -> Vec<String> {
    let mut problems = Vec::new();
    for action in &done.actions {
        if let Outcome::Failed(why) = &action.outcome {
            let why = human::one_line(&why.replace('\n', " "));
            problems.push(format!("FAILED: {} of {}: {why}", action.kind, action.target));
        }
        nightly.maintenance.push(MaintenanceAction {
            action: action.kind.to_owned(),
            target: action.target.clone(),
            outcome: action.outcome.word().to_owned(),
            detail: action.outcome.why().map(str::to_owned),
            parts: action.parts,
            rows: action.rows,
            bytes: action.bytes,
            elapsed_s: action.elapsed_s,
        });
    }
    for alert in done.figures.map(|figures| figures.alerts()).unwrap_or_default() {
        nightly.alerts.push(AlertFigure {
            name: alert.name.to_owned(),
            target: alert.target,
            value: alert.value,
            limit: alert.limit,
            firing: alert.firing,
        });
    }
    problems
}

/// The last line of a run, with where the reports are.
pub fn ending(report: &Report, written: &[String]) -> String {
    let code = report.exit.code();
    let mut text = format!("exit code {code} after {}", human::seconds(report.elapsed_s));
    if let Some(nightly) = &report.nightly {
        let bad = |exit: Exit| !matches!(exit, Exit::Done | Exit::Rejects);
        let failed: Vec<String> = nightly
            .sources
            .iter()
            .filter(|source| bad(source.exit))
            .map(|source| source.name.clone())
            .collect();
        let all = human::plural(nightly.sources.len() as u64, "source");
        text.push_str(&match failed.len() {
            0 => format!(": {all} done"),
            n => format!(": {n} of {all} not done: {}", list(&failed)),
        });
        let upkeep = nightly.maintenance.iter().filter(|action| action.outcome == "failed").count();
        if upkeep > 0 {
            text.push_str(&format!(
                "; {} of upkeep failed",
                human::plural(upkeep as u64, "action")
            ));
        }
    }
    if !written.is_empty() {
        text.push_str(&format!("; reports: {}", written.join(", ")));
    }
    text
}
