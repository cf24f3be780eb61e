//! The result of a load test, for people and for machines.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::super::Answer;
use super::super::bench::ms;
use super::Test;
use super::level::{Level, Limit, percentile};
use crate::error::Exit;
use crate::report::human;
use crate::report::list::{Cell, Grid, Style};

/// `cleaned`: rows that were taken away again.
pub fn answer(test: &Test<'_>, levels: &[Level], cleaned: Option<u64>) -> Answer {
    let mut answer = Answer::done();
    let ramp = test.request.ramp.is_some();
    let knee = levels.iter().filter(|level| level.held() && !level.ended_early).map(|l| l.rate);
    let knee = knee.reduce(f64::max);
    let interrupted = test.cancel.is_interrupted();
    let first_held = levels.first().is_none_or(Level::held);
    answer.exit = match (interrupted, first_held) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::Failed,
    };
    let shown = match ramp {
        // The last rate that held says more than the one that broke everything.
        true => levels.iter().rev().find(|level| level.held()).or(levels.last()),
        false => levels.last(),
    };
    answer.grid = shown.map(grid);
    for level in levels {
        let misses = level.misses();
        let at = rate(level.rate);
        if ramp || !misses.is_empty() {
            let said = if misses.is_empty() { "held".to_owned() } else { misses.join("; ") };
            answer.messages.push(format!("{at}: {said}"));
        }
    }
    if let Some(level) = shown {
        answer.messages.push(summary(level));
    }
    if ramp {
        answer.messages.push(found(test, levels, knee));
    }
    let asked = levels.first().is_some_and(|level| !level.queries.is_empty());
    if asked {
        answer.messages.push(format!("queries ran {}", test.link.describe()));
    }
    answer.messages.extend(test.unasked.iter().map(|why| format!("not asked: {why}")));
    answer.messages.push(match cleaned {
        Some(rows) => format!("{} were taken away again", human::plural(rows, "row")),
        None => format!(
            "what was written stays; `tidegate loadtest --dataset {} --clean` takes it away",
            test.subject.dataset.name
        ),
    });
    answer.json = Some(json!({
        "dataset": test.subject.dataset.name,
        "table": test.subject.dataset.table.to_string(),
        "through": { "pooled": test.link.pooled, "prepared": test.link.prepared },
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "query_workers": test.request.queries,
        "not_asked": test.unasked,
        "queries_per_s": test.request.query_rate * test.request.queries as f64,
        "writers": test.request.writers,
        "batch_interval_s": test.request.every.as_secs_f64(),
        "ramp": test.request.ramp,
        "knee_rows_per_s": knee,
        "limit": last_missed(levels).map(|(_, limit)| limit.name()),
        "held": first_held,
        "interrupted": interrupted,
        "rows_removed": cleaned,
        "levels": levels.iter().map(to_json).collect::<Vec<_>>(),
    }));
    answer
}

/// The level that ended a ramp, if one did.
fn last_missed(levels: &[Level]) -> Option<(&Level, Limit)> {
    let last = levels.last().filter(|level| !level.ended_early)?;
    Some((last, last.limit()?))
}

/// What a ramp found: up to where everything held, and who could not keep up beyond.
fn found(test: &Test<'_>, levels: &[Level], knee: Option<f64>) -> String {
    let Some(knee) = knee else {
        let why = match last_missed(levels) {
            Some((_, Limit::Writers)) => "the writers could not keep up with the first",
            _ => "queries missed their targets at the first",
        };
        return format!("no rate held: {why}: begin lower with --rate");
    };
    let a_day = |rate: f64| human::count((rate * 86_400.0) as u64);
    let held = format!("all targets held up to {} ({} a day)", rate(knee), a_day(knee));
    match last_missed(levels) {
        Some((level, Limit::Queries)) => {
            format!("{held}; at {} queries no longer held theirs", rate(level.rate))
        }
        Some((level, Limit::Writers)) => {
            let written = level.written_per_s();
            format!(
                "{held}; at {} the writers were the limit, not the queries: {} of them wrote {} \
                 ({} a day) while every query held its target (--writers gives more of them)",
                rate(level.rate),
                test.request.writers,
                rate(written),
                a_day(written)
            )
        }
        None => format!("{held}: the test ended before a rate missed (--duration, --rows)"),
    }
}

/// Rows in a second, with a fraction where they are few.
pub fn rate(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.2} rows/s") } else { human::rows_per_s(rate) }
}

fn summary(level: &Level) -> String {
    let server = &level.server;
    let wal = server["wal_bytes_per_s"].as_f64().map_or("-".to_owned(), human::mb_per_s);
    let hit = server["cache_hit"].as_f64();
    let hit = hit.map_or("-".to_owned(), |part| format!("{:.1} %", part * 100.0));
    let checkpoints = server["checkpoints"].as_i64();
    format!(
        "at {}: {} written in {}; server: WAL {wal}, checkpoints {}, cache hit {hit}, sessions \
         waiting for locks at most {}",
        rate(level.rate),
        human::plural(level.written.rows, "row"),
        human::seconds(level.seconds),
        checkpoints.map_or("-".to_owned(), |count| count.to_string()),
        server["lock_waits_most"],
    )
}

fn at(histogram: &Histogram<u64>, percent: f64) -> f64 {
    histogram.value_at_quantile(percent / 100.0) as f64 / 1e3
}

fn grid(level: &Level) -> Grid {
    let headers =
        vec!["Query", "Asked", "p50", "p95", "p99", "Highest", "p95 as run", "Target", "Result"];
    let mut grid = Grid::new(headers).right(&[1, 2, 3, 4, 5, 6, 7]);
    let time = |time: f64| Cell::shown(ms(time), time);
    let latencies = |histogram: &Histogram<u64>| {
        [50.0, 95.0, 99.0, 100.0].map(|percent| time(at(histogram, percent)))
    };
    for (query, latency) in &level.queries {
        let target = query.target_ms;
        let held = target.is_none_or(|target| percentile(latency, query.percentile) < target);
        let held = held && latency.errors == 0;
        let result = match (latency.corrected.is_empty(), held) {
            (true, _) => Cell::from("not asked").styled(Style::Dim),
            (false, true) => Cell::from("held").styled(Style::Green),
            (false, false) => Cell::from("missed").styled(Style::Red),
        };
        let mut row = vec![Cell::from(query.name), latency.corrected.len().into()];
        row.extend(latencies(&latency.corrected));
        row.push(time(at(&latency.service, 95.0)));
        row.push(target.map_or_else(Cell::missing, time));
        row.push(result);
        grid.push(row);
    }
    let written = &level.written;
    let mut row = vec![Cell::from("(a batch written)"), written.latency.len().into()];
    row.extend(latencies(&written.latency));
    row.extend([Cell::missing(), Cell::missing(), Cell::missing()]);
    grid.push(row);
    grid
}

fn to_json(level: &Level) -> Value {
    let latencies = |histogram: &Histogram<u64>| {
        json!({
            "count": histogram.len(),
            "p50_ms": at(histogram, 50.0),
            "p95_ms": at(histogram, 95.0),
            "p99_ms": at(histogram, 99.0),
            "max_ms": at(histogram, 100.0),
        })
    };
    let queries = level.queries.iter().map(|(query, latency)| {
        json!({
            "query": query.name,
            "target_ms": query.target_ms,
            "percentile": query.percentile,
            "held": query.target_ms
                .is_none_or(|target| percentile(latency, query.percentile) < target)
                && latency.errors == 0,
            "latency": latencies(&latency.corrected),
            "service": latencies(&latency.service),
            "errors": latency.errors,
            "error": latency.error,
        })
    });
    json!({
        "rows_per_s": level.rate,
        "seconds": level.seconds,
        "held": level.held(),
        "misses": level.misses(),
        "limit": level.limit().map(Limit::name),
        "written_per_s": level.written_per_s(),
        "ended_early": level.ended_early,
        "rows_due": level.written.due,
        "rows_written": level.written.rows,
        "batches": level.written.batches,
        "write_latency": latencies(&level.written.latency),
        "queries": queries.collect::<Vec<_>>(),
        "server": level.server,
    })
}
