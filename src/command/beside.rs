//! What a report says beside what its run did: what was asked for, earlier runs of the same job,
//! and when the last of them succeeded.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::types::Type;

use crate::db::{Connection, DbError, Doing as _};
use crate::limit::EARLIER_RUNS_MAX;
use crate::pipeline::RejectBudget;
use crate::report::earlier::EarlierRun;
use crate::report::human;
use crate::report::model::{Report, Throughput};

use super::plan::Planning;
use super::{LayoutChoice, LoadRequest, coverage};

const DOING: &str = "reading earlier runs";

/// What reports of a run are to have that not every run needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reporting {
    /// What the run repeats: runs of one job are compared with each other, and a failure of one job
    /// is not hidden by the success of another.
    pub job: Option<String>,
    /// Whether somebody will look at what the tables hold where the run wrote, which takes queries.
    pub coverage: bool,
}

/// Completes a report whose run has ended: earlier runs, the last success, and where somebody will
/// look at it, the maps. The load is done: what fails here is a message.
pub(super) async fn complete(
    connection: &Connection,
    run_id: i64,
    planning: &Planning,
    request: &LoadRequest,
    report: &mut Report,
) {
    if let Err(error) = earlier_runs(connection, run_id, report).await {
        report.messages.push(format!("the report lacks earlier runs: {error}"));
    }
    if request.reporting.coverage {
        coverage::gather(connection, run_id, &coverage::subjects(planning), report).await;
    }
}

/// Fills in earlier runs and the last success.
pub(super) async fn earlier_runs(
    connection: &Connection,
    run_id: i64,
    report: &mut Report,
) -> Result<(), DbError> {
    let sql = include_str!("sql/report_earlier.sql");
    let rows = connection
        .query_typed(
            sql,
            &[
                (&run_id, Type::INT8),
                (&report.command, Type::TEXT),
                (&report.job, Type::TEXT),
                (&i64::from(EARLIER_RUNS_MAX), Type::INT8),
            ],
        )
        .await
        .doing(DOING)?;
    for row in rows {
        let count = |column: &str| row.get::<_, i64>(column).max(0).unsigned_abs();
        let (read, elapsed_s) = (count("read"), row.get::<_, f64>("elapsed_s"));
        report.earlier_runs.push(EarlierRun {
            run_id: row.get::<_, i64>("id").to_string(),
            started_at: moment(row.get("started_s")),
            elapsed_s,
            exit_code: row
                .get::<_, Option<i32>>("exit_code")
                .and_then(|code| u8::try_from(code).ok()),
            read,
            written: count("written"),
            rejected: count("rejected"),
            rows_per_s: Throughput::of(read, 0, elapsed_s).rows_per_s,
        });
    }
    let row = connection
        .query_typed_one(
            "SELECT extract(epoch FROM max(finished_at))::float8 FROM tidegate.run \
             WHERE command = $1 AND job IS NOT DISTINCT FROM $2 AND exit_code IN (0, 3)",
            &[(&report.command, Type::TEXT), (&report.job, Type::TEXT)],
        )
        .await
        .doing(DOING)?;
    report.last_success_at = row.get::<_, Option<f64>>(0).map(moment);
    Ok(())
}

/// Seconds since 1970 as a time.
fn moment(seconds: f64) -> Timestamp {
    Timestamp::from_microsecond((seconds * 1e6) as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What was asked for, by the flag's name; what was left to the program is not in it.
pub fn settings(request: &LoadRequest) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            settings.insert(name.to_owned(), value);
        }
    };
    let flag = |on: bool| on.then(|| "yes".to_owned());
    let instant = |us: Option<i64>| {
        us.and_then(|us| Timestamp::from_microsecond(us).ok()).map(|time| time.to_string())
    };
    // A URL may be signed: only what the arguments show of it is shown.
    set("command line", Some(request.arguments.join(" ")).filter(|line| !line.is_empty()));
    set("--table", request.table.clone());
    set(
        "--layout",
        request.layout.as_ref().map(|layout| match layout {
            LayoutChoice::Named(name) => name.clone(),
            LayoutChoice::File(path) => path.display().to_string(),
        }),
    );
    let facts = &request.facts;
    for (name, value) in [
        ("--symbol", &facts.symbol),
        ("--interval", &facts.interval),
        ("--tz", &facts.zone),
        ("--venue", &facts.venue),
        ("--date", &facts.date),
        ("--dataset", &facts.dataset),
    ] {
        set(name, value.clone());
    }
    set("--on-conflict", request.on_conflict.map(|policy| policy.name().to_owned()));
    set("--reload", flag(request.reload));
    set("--verify", flag(request.verify));
    set("--strategy", request.strategy.map(|strategy| strategy.name().to_owned()));
    set("--writers", request.writers.map(|writers| writers.to_string()));
    set("--memory", Some(human::memory(request.memory_bytes as u64)));
    set(
        "--max-rejects",
        request.rejects_max.map(|budget| match budget {
            RejectBudget::Count(count) => human::count(count),
            RejectBudget::Percent(percent) => format!("{percent}%"),
        }),
    );
    set("--no-check", Some(request.no_check.join(",")).filter(|rules| !rules.is_empty()));
    set("--from", instant(request.window.from_us));
    set("--to", instant(request.window.to_us));
    set("--max-rows-per-sec", request.rows_per_sec_max.map(human::count));
    set("--polite", flag(request.polite));
    set("--shard", request.shard.map(|(part, parts)| format!("{part}/{parts}")));
    set("--units", request.units.map(|(first, last)| format!("{first}-{last}")));
    set("--retry-deadline", Some(human::duration(request.retry_deadline)));
    settings
}
