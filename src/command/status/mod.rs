//! `status`: what was loaded, what is loading now and where to resume, from ledger rows alone. It
//! changes nothing, and knows nothing of a process: a run that has not ended and has committed
//! nothing for a minute is called `not finished`.

mod read;
mod watch;

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::db::Connection;
use crate::report::human;
use crate::report::list::{Cell, Grid, Style};

use super::{Access, Answer, CommandError};
use read::{Load, Run, Step};
pub use watch::Watcher;

/// Unsealed loads that are listed; the rest are counted.
const LOADS_MAX: u32 = 20;
/// Loads of one run that are listed.
const RUN_LOADS_MAX: u32 = 1_000;

/// What `status` is asked.
#[derive(Debug, Clone)]
pub struct StatusRequest {
    /// Which database.
    pub access: Access,
    /// One run instead of the newest.
    pub run: Option<i64>,
    /// How many runs.
    pub limit: u32,
}

/// Answers it.
///
/// # Errors
/// [`CommandError::Refused`] if there is no such run; the database's.
pub async fn run(request: &StatusRequest) -> Result<Answer, CommandError> {
    let Some(connection) = request.access.connect_to_ledger().await? else {
        let mut answer = Answer::message(
            "nothing was loaded into this database yet: `tidegate backfill PATH` loads files",
        );
        answer.json = Some(json!({ "runs": [], "unfinished": [], "open_rejects": 0 }));
        return match request.run {
            Some(id) => Err(no_such_run(id)),
            None => Ok(answer),
        };
    };
    match request.run {
        Some(id) => one_run(&connection, id).await,
        None => newest(&connection, request.limit).await,
    }
}

fn no_such_run(id: i64) -> CommandError {
    CommandError::Refused(format!("there is no run {id}: `tidegate status` lists them"))
}

async fn newest(connection: &Connection, limit: u32) -> Result<Answer, CommandError> {
    let runs = read::runs(connection, limit, None).await?;
    let (loads, unfinished) = read::loads(connection, None, LOADS_MAX).await?;
    let rejects = read::open_rejects(connection).await?;
    let mut answer = Answer::done();
    if runs.is_empty() {
        answer.messages.push("no run is recorded in this database yet".to_owned());
    } else {
        answer.grid = Some(run_grid(&runs));
    }
    if !loads.is_empty() {
        answer.text = Some(format!("\n{}", titled("Not finished", &load_grid(&loads))));
        let stopped: Vec<&Load> = loads.iter().filter(|load| !load.active).collect();
        answer.messages.extend(resume(&stopped));
    }
    let hidden = unfinished.saturating_sub(loads.len() as u64);
    if hidden > 0 {
        let more = human::plural(hidden, "more load");
        answer.messages.push(format!("{more} not finished and not shown"));
    }
    answer.messages.extend(rejects_message(rejects));
    answer.json = Some(json!({
        "runs": runs.iter().map(run_json).collect::<Vec<_>>(),
        "unfinished": loads.iter().map(load_json).collect::<Vec<_>>(),
        "unfinished_total": unfinished,
        "open_rejects": rejects,
    }));
    Ok(answer)
}

async fn one_run(connection: &Connection, id: i64) -> Result<Answer, CommandError> {
    let runs = read::runs(connection, 1, Some(id)).await?;
    let run = runs.first().ok_or_else(|| no_such_run(id))?;
    let (loads, total) = read::loads(connection, Some(id), RUN_LOADS_MAX).await?;
    let steps = read::throughput(connection, id).await?;
    let mut text = if loads.is_empty() { String::new() } else { "\n".to_owned() };
    text.push_str(&titled(&format!("Run {id}"), &run_grid(&runs)));
    if !steps.is_empty() {
        text.push('\n');
        text.push_str(&titled("Throughput", &step_grid(&steps)));
    }
    let mut answer = Answer { text: Some(text), ..Answer::done() };
    match loads.is_empty() {
        true => answer.messages.push(format!("run {id} has loaded nothing")),
        false => answer.grid = Some(load_grid(&loads)),
    }
    if total > loads.len() as u64 {
        answer.messages.push(format!("the first {} of {total} loads are shown", loads.len()));
    }
    let stopped: Vec<&Load> = loads.iter().filter(|l| !l.sealed && !l.active).collect();
    answer.messages.extend(resume(&stopped));
    answer.messages.extend(rejects_message(loads.iter().map(|load| load.open_rejects).sum()));
    answer.json = Some(json!({
        "run": run_json(run),
        "loads": loads.iter().map(load_json).collect::<Vec<_>>(),
        "loads_total": total,
        "throughput": steps.iter().map(step_json).collect::<Vec<_>>(),
    }));
    Ok(answer)
}

fn titled(title: &str, grid: &Grid) -> String {
    format!("{title}\n{}", grid.render(0, false))
}

fn rejects_message(open: u64) -> Option<String> {
    (open > 0).then(|| {
        format!("{}: `tidegate rejects list` shows them", human::plural(open, "open reject"))
    })
}

/// The command that goes on with what was stopped.
fn resume(stopped: &[&Load]) -> Option<String> {
    let first = stopped.first()?;
    let rest = match stopped.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Some(match first.source.as_str() {
        "-" => format!("to resume load {}, give the same input again{rest}", first.id),
        source if source.starts_with("generated-v") => {
            format!("to resume load {}, give the same `tidegate generate` again{rest}", first.id)
        }
        source => format!(
            "to resume: tidegate backfill {}{rest}, with the flags of the first time",
            shell_word(source)
        ),
    })
}

/// The text as one word of a shell.
fn shell_word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@%=".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let quoted = format!("'{}'", text.replace('\'', r"'\''"));
    // A path that begins with a dash would be taken for a flag.
    Cow::Owned(if text.starts_with('-') { format!("-- {quoted}") } else { quoted })
}

/// A time of day for people; machines get it whole.
fn moment(iso: &str) -> Cell {
    let minute = iso.get(..16).unwrap_or(iso).replace('T', " ");
    Cell::shown(minute, iso)
}

/// How a run ended, in a word.
fn ending(run: &Run) -> (&'static str, Style) {
    match (run.finished_at.is_some(), run.active, run.exit_code) {
        (false, true, _) => ("running", Style::Green),
        (false, false, _) => ("not finished", Style::Yellow),
        (true, _, Some(0)) => ("done", Style::Plain),
        (true, _, Some(3)) => ("done, with rejects", Style::Yellow),
        (true, _, Some(4)) => ("too many rejects", Style::Red),
        (true, _, Some(70)) => ("accounts wrong", Style::Red),
        (true, _, Some(130)) => ("interrupted", Style::Yellow),
        (true, ..) => ("failed", Style::Red),
    }
}

fn rejected_cell(rejected: u64) -> Cell {
    let style = if rejected > 0 { Style::Yellow } else { Style::Plain };
    Cell::from(rejected).styled(style)
}

fn run_grid(runs: &[Run]) -> Grid {
    let heads = [
        "Run",
        "Command",
        "Started",
        "Elapsed",
        "Exit",
        "Sealed",
        "Unsealed",
        "Read",
        "Inserted",
        "Updated",
        "Duplicate",
        "Rejected",
    ];
    let mut grid = Grid::new(heads).right(&[0, 2, 3, 5, 6, 7, 8, 9, 10, 11]);
    for run in runs {
        let (word, style) = ending(run);
        let unsealed = if run.unsealed > 0 { Style::Yellow } else { Style::Plain };
        grid.push([
            Cell::shown(run.id.to_string(), run.id),
            run.command.as_str().into(),
            moment(&run.started_at),
            Cell::shown(human::seconds(run.elapsed_s), run.elapsed_s),
            Cell::from(word).styled(style),
            run.sealed.into(),
            Cell::from(run.unsealed).styled(unsealed),
            run.counts.read.into(),
            run.counts.inserted.into(),
            run.counts.updated.into(),
            run.counts.duplicate.into(),
            rejected_cell(run.counts.rejected),
        ]);
    }
    grid
}

fn run_json(run: &Run) -> Value {
    json!({
        "run_id": run.id,
        "command": run.command,
        "program": run.program,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "elapsed_s": run.elapsed_s,
        "state": ending(run).0,
        "exit_code": run.exit_code,
        "loads": { "sealed": run.sealed, "unsealed": run.unsealed },
        "totals": counts_json(&run.counts),
    })
}

fn counts_json(counts: &crate::count::Counts) -> Value {
    json!({
        "read": counts.read,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "duplicate": counts.duplicate,
        "conflicting": counts.conflicting,
        "rejected": counts.rejected,
        "skipped": counts.skipped,
    })
}

fn load_state(load: &Load) -> (&'static str, Style) {
    match (load.sealed, load.active) {
        (true, _) => ("sealed", Style::Plain),
        (false, true) => ("loading", Style::Green),
        (false, false) => ("stopped", Style::Yellow),
    }
}

/// Whole percent, rounded down: a load is at 100 only when nothing is missing.
fn percent(part: Option<f64>) -> Cell {
    part.map_or_else(Cell::missing, |part| {
        Cell::shown(format!("{:.0} %", (part * 100.0).floor()), part)
    })
}

fn load_grid(loads: &[Load]) -> Grid {
    let heads = [
        "Load",
        "Source",
        "Target",
        "State",
        "Part",
        "Portions",
        "Last commit",
        "Rows/s",
        "Read",
        "Inserted",
        "Updated",
        "Duplicate",
        "Rejected",
    ];
    let mut grid = Grid::new(heads).right(&[0, 4, 5, 6, 7, 8, 9, 10, 11, 12]).paths(&[1]);
    for load in loads {
        let (word, style) = load_state(load);
        let rate = match load.sealed {
            true => Cell::missing(),
            false => Cell::shown(human::count(load.rows_per_s.round() as u64), load.rows_per_s),
        };
        grid.push([
            Cell::shown(load.id.to_string(), load.id),
            load.source.as_str().into(),
            load.target.as_str().into(),
            Cell::from(word).styled(style),
            percent(load.part),
            load.portions.into(),
            load.last_commit_at.as_deref().map(moment).into(),
            rate,
            load.counts.read.into(),
            load.counts.inserted.into(),
            load.counts.updated.into(),
            load.counts.duplicate.into(),
            rejected_cell(load.counts.rejected),
        ]);
    }
    grid
}

fn load_json(load: &Load) -> Value {
    json!({
        "load_id": load.id,
        "source": load.source,
        "target": load.target,
        "dataset": load.dataset,
        "layout": load.layout,
        "state": load_state(load).0,
        "sealed": load.sealed,
        "begun_at": load.begun_at,
        "last_commit_at": load.last_commit_at,
        "portions": load.portions,
        "part": load.part,
        "rows_per_s": load.rows_per_s,
        "totals": counts_json(&load.counts),
        "open_rejects": load.open_rejects,
    })
}

fn step_grid(steps: &[Step]) -> Grid {
    let heads = ["From", "Minutes", "Portions", "Read", "Inserted", "Rejected", "Rows/min"];
    let mut grid = Grid::new(heads).right(&[0, 1, 2, 3, 4, 5, 6]);
    for step in steps {
        grid.push([
            moment(&step.begins_at),
            step.minutes.into(),
            step.portions.into(),
            step.read.into(),
            step.inserted.into(),
            rejected_cell(step.rejected),
            Cell::shown(human::count(step.rows_per_min.round() as u64), step.rows_per_min),
        ]);
    }
    grid
}

fn step_json(step: &Step) -> Value {
    json!({
        "from": step.begins_at,
        "minutes": step.minutes,
        "portions": step.portions,
        "read": step.read,
        "inserted": step.inserted,
        "rejected": step.rejected,
        "rows_per_min": step.rows_per_min,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_words_of_a_shell() {
        assert_eq!(shell_word("/data/btc-1m.csv"), "/data/btc-1m.csv");
        assert_eq!(shell_word("a b.csv"), "'a b.csv'");
        assert_eq!(shell_word("it's; rm"), r"'it'\''s; rm'");
        assert_eq!(shell_word("-x.csv"), "-- '-x.csv'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn times_are_short_for_people_only() {
        let shown = Cell::shown("2026-11-21 00:13", "2026-11-21T00:13:07Z");
        assert_eq!(moment("2026-11-21T00:13:07Z"), shown);
        assert_eq!(moment("?"), Cell::shown("?", "?"));
    }

    #[test]
    fn a_load_that_misses_something_is_not_at_a_hundred() {
        assert_eq!(percent(Some(0.9999)), Cell::shown("99 %", 0.9999));
        assert_eq!(percent(Some(1.0)), Cell::shown("100 %", 1.0));
        assert_eq!(percent(None), Cell::missing());
    }
}
