//! What a report says, gathered from the ledger and the server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::count::TableCounts;
use crate::dataset::WARNINGS;
use crate::db::{Connection, Database, DbError, Edition};
use crate::pipeline::{Hold, Stage};
use crate::report::human;
use crate::report::model::{self, Ladder, RejectExample, Report};
use crate::span::Place;

use super::LoadRequest;
use super::backfill::Begun;
use super::plan::Planning;
use super::watch::Watch;

/// The server.
pub(super) async fn server(
    connection: &Connection,
    database: &Database,
    report: &mut Report,
) -> Result<(), DbError> {
    let server = connection.server().await?;
    report.database = model::Database {
        server_version: Some(server.version),
        timescaledb: server.timescaledb.map(|timescale| {
            let edition = match timescale.edition {
                Edition::Apache => "apache",
                Edition::Community => "community",
            };
            format!("{edition} {}", timescale.version)
        }),
        embedded: database.is_embedded(),
    };
    Ok(())
}

/// The rungs, the stages and the memory.
pub(super) fn ladder(watch: &Watch, report: &mut Report) {
    let counters = &watch.counters;
    report.ladder = Ladder {
        copy_batches: counters.copy_batches.load(Relaxed),
        insert_batches: counters.insert_batches.load(Relaxed),
        row_attempts: counters.row_attempts.load(Relaxed),
        retries: counters.retries.load(Relaxed),
    };
    for stage in Stage::ALL {
        report.stages.insert(stage.name().to_owned(), watch.live.busy_s(stage));
    }
    for why in Hold::ALL {
        let seconds = watch.live.hold_s(why);
        if seconds > 0.0 {
            report.waits.insert(why.name().to_owned(), seconds);
        }
    }
    report.timeline = watch.history().timeline(&Stage::ALL.map(Stage::name));
    let longest = report.timeline.bottlenecks().first().map(|(stage, _)| (*stage).to_owned());
    report.bottleneck = longest;
    report.peak_memory_bytes = peak_memory_bytes();
}

/// The most memory that this process held.
fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// What was loaded and is worth a look, by warning, with the first of each.
pub(super) fn warnings(watch: &Watch, begun: &Begun, planning: &Planning, report: &mut Report) {
    // Records, files, and the first file with its first time.
    let mut found = WARNINGS.map(|_| (0, 0, None));
    for (&at, load) in begun {
        let planned = &planning.loads[at];
        let Some(quality) = &planned.route.quality else { continue };
        let met = watch.live.met_in(load.id, quality);
        for ((records, files, example), tally) in found.iter_mut().zip(met.tallies) {
            let Some(first_us) = tally.first_us else { continue };
            *records += tally.count;
            *files += 1;
            example.get_or_insert((&planned.source.name, first_us));
        }
    }
    for ((rule, about), (records, files, example)) in WARNINGS.into_iter().zip(found) {
        let Some((source, first_us)) = example else { continue };
        let first = jiff::Timestamp::from_microsecond(first_us)
            .map_or_else(|_| first_us.to_string(), |ts| ts.to_string());
        report.warnings_by_rule.insert(rule.to_owned(), records);
        report.messages.push(format!(
            "warning: {rule}: {} in {}, first {first} in {source}: {about}; loaded all the same \
             (--no-check {rule} says no more of it)",
            human::plural(records, "bar"),
            human::plural(files, "file"),
        ));
    }
}

/// What was counted since.
pub(super) fn without(
    now: &BTreeMap<String, TableCounts>,
    before: &BTreeMap<String, TableCounts>,
) -> BTreeMap<String, TableCounts> {
    let since = now.iter().map(|(name, counts)| {
        let mut counts = *counts;
        counts -= before.get(name).copied().unwrap_or_default();
        (name.clone(), counts)
    });
    since
        .filter(|(name, counts)| *counts != TableCounts::default() || !before.contains_key(name))
        .collect()
}

/// The number of the newest reject of a run; 0 if it has none.
pub(super) async fn newest_reject(connection: &Connection, run_id: i64) -> Result<i64, DbError> {
    let sql = "SELECT coalesce(max(id), 0) FROM tidegate.reject WHERE run_id = $1";
    Ok(connection.query_typed_one(sql, &[(&run_id, Type::INT8)]).await?.get(0))
}

/// Rejects of a run after another, by rule, with the first example of each.
pub(super) async fn rejects(
    connection: &Connection,
    run_id: i64,
    after: i64,
    report: &mut Report,
) -> Result<(), DbError> {
    let rows = connection
        .query_typed(
            "SELECT DISTINCT ON (rule) rule, count(*) OVER (PARTITION BY rule) AS n, source, \
                 row_no, line_no, byte_offset, reason, raw \
             FROM tidegate.reject WHERE run_id = $1 AND id > $2 \
             ORDER BY rule, load_id, row_no",
            &[(&run_id, Type::INT8), (&after, Type::INT8)],
        )
        .await?;
    for row in rows {
        let rule: String = row.get("rule");
        report.rejects_by_rule.insert(rule.clone(), row.get::<_, i64>("n").max(0) as u64);
        let number = |column: &str| row.get::<_, Option<i64>>(column).map(|n| n.max(0) as u64);
        report.reject_examples.push(RejectExample {
            rule,
            place: Place {
                source: Arc::from(row.get::<_, String>("source")),
                row: number("row_no"),
                line: number("line_no"),
                byte: number("byte_offset"),
            },
            reason: row.get("reason"),
            raw: row.get("raw"),
        });
    }
    Ok(())
}

/// Open rejects that other runs recorded for some loads: the load, the run and their number.
pub(super) async fn earlier_rejects(
    connection: &Connection,
    run_id: i64,
    loads: &[i64],
) -> Result<Vec<(i64, i64, u64)>, DbError> {
    let rows = connection
        .query_typed(
            "SELECT load_id, run_id, count(*) AS n FROM tidegate.reject \
             WHERE load_id = ANY($1) AND run_id <> $2 AND resolved_at IS NULL \
             GROUP BY load_id, run_id ORDER BY load_id, run_id",
            &[(&loads, Type::INT8_ARRAY), (&run_id, Type::INT8)],
        )
        .await?;
    let entry =
        |row: &Row| (row.get("load_id"), row.get("run_id"), row.get::<_, i64>("n").max(0) as u64);
    Ok(rows.iter().map(entry).collect())
}

/// Whether a load is sealed now.
pub(super) async fn is_sealed(connection: &Connection, load_id: i64) -> Result<bool, DbError> {
    let row = connection
        .query_typed_opt(
            "SELECT 1 FROM tidegate.load WHERE id = $1 AND sealed_at IS NOT NULL",
            &[(&load_id, Type::INT8)],
        )
        .await?;
    Ok(row.is_some())
}

/// Records that a sealed load read.
pub(super) async fn sealed_read(
    connection: &Connection,
    load_id: i64,
) -> Result<Option<u64>, DbError> {
    let row = connection
        .query_typed_opt(
            "SELECT read FROM tidegate.load WHERE id = $1 AND sealed_at IS NOT NULL",
            &[(&load_id, Type::INT8)],
        )
        .await?;
    Ok(row.and_then(|row| row.get::<_, Option<i64>>(0)).map(|read| read.max(0) as u64))
}

/// The strategies that wrote something.
pub(super) fn strategy(planning: &Planning, begun: &Begun, watch: &Watch) -> Option<String> {
    let planned = begun.keys().map(|&at| planning.loads[at].strategy().name());
    let mut names: Vec<&str> = planned.collect();
    if watch.counters.insert_batches.load(Relaxed) > 0 {
        names.push("stage");
    }
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join("+"))
}

/// The commands that go on from here.
pub(super) fn commands(request: &LoadRequest, run_id: i64, report: &mut Report) {
    let unfinished = report.files.iter().any(|file| !file.sealed && file.error.is_none());
    if unfinished || report.interrupted {
        let words = request.arguments.iter().map(|word| shell_word(word));
        report.resume_command = Some(words.collect::<Vec<_>>().join(" "));
    }
    if !report.rejects_by_rule.is_empty() {
        report.replay_command = Some(replay_command(run_id));
    }
    if report.replay_command.is_some() {
        report.rejects_at.push("tidegate.reject".to_owned());
    }
}

/// The command that mends and replays a run's rejects.
pub(super) fn replay_command(run_id: i64) -> String {
    format!(
        "tidegate rejects export --run {run_id} --out rejects.csv && $EDITOR rejects.csv \
         && tidegate rejects replay rejects.csv"
    )
}

/// A word as a shell takes it.
pub(super) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
