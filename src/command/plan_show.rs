//! A plan as it is shown: every source, the partitions that are to be made, how long it should
//! take. Writes nothing.

use serde_json::json;

use crate::db::{Connection, Database};
use crate::error::Exit;
use crate::limit::{BATCH_ROWS, CHUNK_BYTES};
use crate::report::human;
use crate::report::list::{Cell, Grid};
use crate::write::Strategy;

use super::access::has_ledger;
use super::memo::Spared;
use super::plan::{Planned, Planning, Standing};
use super::{Answer, CommandError, LoadRequest, forecast};

/// Partitions that are listed one by one.
const PARTITIONS_SHOWN_MAX: usize = 12;

/// What `plan` answers.
pub(super) async fn answer(
    request: &LoadRequest,
    (database, connection): (&Database, &Connection),
    (planning, spared): (&Planning, &Spared),
    units: bool,
) -> Result<Answer, CommandError> {
    let bytes = planning.open().map(|planned| planned.source.fingerprint.bytes).sum();
    let datasets = planning.open().map(|planned| planned.content.dataset.as_str()).collect();
    let ledger = has_ledger(connection).await?;
    let expected = forecast::time(connection, ledger, &datasets, bytes).await?;
    let partitions = forecast::partitions(&planning.loads);
    let mut answer = listed(planning, spared, units);
    tell_partitions(&partitions, &mut answer.messages);
    answer.messages.push(format!(
        "{} to load into {}, about {} ({}); nothing was written",
        human::size(bytes),
        database.display(),
        human::duration(std::time::Duration::from_secs_f64(expected.seconds.ceil())),
        match expected.pace {
            Some(pace) => format!(
                "as {} made {}",
                human::plural(pace.runs, "run"),
                human::mb_per_s(pace.bytes_per_s())
            ),
            None => "a guess: the ledger has no run of this size to go by".to_owned(),
        }
    ));
    let new = partitions.new.iter().map(|partition| {
        let (from, to) = partition.range;
        json!({ "table": partition.table, "from": edge(from), "to": edge(to) })
    });
    if let Some(json) = &mut answer.json {
        json["bytes_to_load"] = json!(bytes);
        json["expected_s"] = json!(expected.seconds);
        json["expected_by_runs"] = json!(expected.pace.map_or(0, |pace| pace.runs));
        json["partitions"] = new.collect();
        json["partitions_unseen"] = json!(partitions.unseen);
        json["writers"] = json!(request.writers);
    }
    Ok(answer)
}

/// What partitions are to be made, for people.
fn tell_partitions(partitions: &forecast::Partitions, messages: &mut Vec<String>) {
    let forecast::Partitions { new, unseen, faults } = partitions;
    for fault in faults {
        messages.push(format!("no partitions can be made: {fault}"));
    }
    for partition in new.iter().take(PARTITIONS_SHOWN_MAX) {
        let (from, to) = partition.range;
        messages.push(format!(
            "new partition of {}: {} to {}",
            partition.table,
            edge(from),
            edge(to)
        ));
    }
    if new.len() > PARTITIONS_SHOWN_MAX {
        let more = (new.len() - PARTITIONS_SHOWN_MAX) as u64;
        messages.push(format!("and {} more", human::plural(more, "new partition")));
    }
    if *unseen > 0 {
        let sources = human::plural(*unseen as u64, "source");
        messages.push(format!("{sources} not read to the end: more partitions may be needed"));
    }
}

/// An end of a partition's range.
fn edge(us: i64) -> String {
    match us {
        i64::MIN => "the beginning".to_owned(),
        i64::MAX => "the end".to_owned(),
        _ => jiff::Timestamp::from_microsecond(us).map_or_else(
            |_| us.to_string(),
            |ts| ts.to_string().trim_end_matches("T00:00:00Z").to_owned(),
        ),
    }
}

impl Planned {
    /// Batches that it will be cut into.
    fn batches(&self) -> u64 {
        match self.source.rows {
            Some(rows) => rows.div_ceil(BATCH_ROWS as u64),
            None => self.source.fingerprint.bytes.div_ceil(CHUNK_BYTES as u64),
        }
    }

    fn fact(&self, name: &str) -> Cell {
        match self.content.facts.get(name) {
            Some(value) => value.as_str().into(),
            None => "in file".into(),
        }
    }

    fn why_strategy(&self) -> &'static str {
        let table = &self.route.target.root().table;
        match self.strategy() {
            Strategy::Stage if table.row_security => "row security refuses COPY",
            Strategy::Stage if table.before_triggers => "triggers may change rows",
            Strategy::Stage => "asked for",
            Strategy::Exchange if self.route.makes_partitions => {
                "rows are sorted first, fresh partitions of many rows filled apart and attached"
            }
            Strategy::Exchange => "many rows for a table with a key: they are sorted first",
            Strategy::Direct if self.route.target.key.is_empty() => "no key to keep",
            Strategy::Direct => "batches that meet stored keys are staged",
        }
    }
}

/// Sources that are unchanged since they were loaded and were not read.
fn push_spared(spared: &Spared, grid: &mut Grid, messages: &mut Vec<String>) {
    let files = spared.files();
    let word = |word: &Option<String>| Cell::from(word.clone().unwrap_or_default());
    for file in files {
        let none = Cell::missing;
        grid.push([
            none(),
            Cell::from(file.source.clone()),
            word(&file.layout),
            none(),
            none(),
            none(),
            none(),
            none(),
            none(),
            Cell::from("loaded before".to_owned()),
        ]);
    }
    if !files.is_empty() {
        messages.push(format!(
            "{} unchanged since the load, and not read: --units reads all, and numbers them",
            human::plural(files.len() as u64, "source")
        ));
    }
}

fn listed(planning: &Planning, spared: &Spared, units: bool) -> Answer {
    let headers = [
        "unit", "source", "layout", "symbol", "interval", "zone", "target", "size", "strategy",
        "state",
    ];
    let mut grid = Grid::new(headers).right(&[0, 7]).paths(&[1]);
    let mut exit = Exit::Done;
    let mut messages = planning.messages.clone();
    for (at, planned) in (1_u64..).zip(&planning.loads) {
        let bytes = planned.source.fingerprint.bytes;
        let state = match &planned.standing {
            Standing::New => "to load".to_owned(),
            Standing::Resumable { portions_done } => {
                format!("to resume: {portions_done} of about {} batches done", planned.batches())
            }
            Standing::Done => "loaded before".to_owned(),
            Standing::Blocked(why) => {
                exit = Exit::Failed;
                messages.push(format!("{}: {why}", planned.source.name));
                "blocked".to_owned()
            }
        };
        // With some left out, the numbers would be others than those of --units.
        let unit = match spared.files() {
            [] => Cell::from(at),
            _ => Cell::missing(),
        };
        grid.push([
            unit,
            Cell::from(&*planned.source.name),
            planned.source.recognised.layout.as_str().into(),
            planned.fact("symbol"),
            planned.fact("interval"),
            planned.fact("zone"),
            planned.content.target.as_str().into(),
            Cell::shown(human::size(bytes), bytes),
            Cell::from(planned.strategy().name()),
            state.into(),
        ]);
        if units {
            let why = planned.source.recognised.why.join("; ");
            messages.push(format!("unit {at}: {why}; {}", planned.why_strategy()));
        }
        if !planned.route.unused.is_empty() {
            let unused = planned.route.unused.join(", ");
            messages.push(format!("{}: not stored: {unused}", planned.source.name));
        }
    }
    push_spared(spared, &mut grid, &mut messages);
    messages.extend(spared.ignored().iter().map(|name| format!("ignored: {name}")));
    messages.extend(planning.ignored.iter().map(|(name, why)| format!("ignored: {name}: {why}")));
    for (name, why) in &planning.failed {
        exit = Exit::Failed;
        messages.push(format!("cannot be loaded: {name}: {why}"));
    }
    let json = json!({
        "units": grid.to_json(),
        "ignored": planning.ignored.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "failed": planning.failed.iter().map(|(name, _)| name).collect::<Vec<_>>(),
    });
    Answer { exit, grid: Some(grid), json: Some(json), text: None, messages }
}
