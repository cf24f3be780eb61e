//! `bench`: the critical queries of every domain, prepared where that holds, with a warm cache: how
//! long they take, planning apart, against their targets, and whether their plans are what they
//! should be. It changes nothing.

mod baseline;
pub(super) mod link;
pub(super) mod measure;
mod plan;
pub(super) mod query;
pub(super) mod server;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Exit;
use crate::report::human;
use crate::report::list::{Cell, Grid, Style};

use super::{Access, Answer, CommandError};
use baseline::{Baseline, Compared};
use link::Link;
use measure::{Measured, Outcome};
use query::Query;

/// What `bench` is asked.
#[derive(Debug, Clone)]
pub struct BenchRequest {
    /// Which database.
    pub access: Access,
    /// Only queries of this domain.
    pub domain: Option<String>,
    /// Only these queries, by name; none: all.
    pub names: Vec<String>,
    /// How long each query is run.
    pub patience: Duration,
    /// An earlier result to compare with.
    pub baseline: Option<PathBuf>,
}

/// Measures what is asked for.
///
/// # Errors
/// [`CommandError::Usage`] for names that nothing has; [`CommandError::Refused`] where nothing
/// could be measured.
pub async fn run(request: &BenchRequest) -> Result<Answer, CommandError> {
    let queries = chosen(request)?;
    let baseline = request.baseline.as_deref().map(Baseline::read).transpose()?;
    let (database, db) = request.access.connect().await?;
    let link = Link::probe(&database).await?;
    let mut results = Vec::new();
    for query in queries {
        let outcome = measure::measure(&db, &link, &query, request.patience).await?;
        let compared = match (&baseline, &outcome) {
            (Some(baseline), Outcome::Measured(now)) => {
                baseline.compare(query.domain, query.name, now)
            }
            _ => None,
        };
        results.push(Judged { query, outcome, compared });
    }
    if !results.iter().any(|one| matches!(one.outcome, Outcome::Measured(_))) {
        let reasons: Vec<String> = results.iter().map(Judged::why_not).collect();
        return Err(CommandError::Refused(format!(
            "nothing could be measured; load data and run `tidegate migrate up` first:\n{}",
            reasons.join("\n")
        )));
    }
    let facts = server::facts(&db).await?;
    Ok(answer(&results, &link, &facts, baseline.is_some()))
}

/// The queries that the request names.
fn chosen(request: &BenchRequest) -> Result<Vec<Query>, CommandError> {
    let mut queries = query::all().map_err(CommandError::Refused)?;
    let domains: std::collections::BTreeSet<&str> =
        queries.iter().map(|query| query.domain).collect();
    if let Some(domain) = &request.domain {
        if !domains.contains(domain.as_str()) {
            let known: Vec<&str> = domains.into_iter().collect();
            return Err(CommandError::Usage(format!(
                "no domain is called {domain:?}: there are {}",
                known.join(", ")
            )));
        }
        queries.retain(|query| query.domain == domain);
    }
    for name in &request.names {
        if !queries.iter().any(|query| query.name == name) {
            let known: Vec<&str> = queries.iter().map(|query| query.name).collect();
            return Err(CommandError::Usage(format!(
                "no query is called {name:?}: there are {}",
                known.join(", ")
            )));
        }
    }
    if !request.names.is_empty() {
        queries.retain(|query| request.names.iter().any(|name| query.name == name));
    }
    Ok(queries)
}

/// A query, what came of it, and what it was before.
struct Judged {
    query: Query,
    outcome: Outcome,
    compared: Option<Compared>,
}

impl Judged {
    fn measured(&self) -> Option<&Measured> {
        match &self.outcome {
            Outcome::Measured(measured) => Some(measured),
            _ => None,
        }
    }

    /// Why it missed; empty if it did not.
    fn misses(&self) -> Vec<String> {
        let Some(measured) = self.measured() else { return Vec::new() };
        let mut misses = Vec::new();
        let (percent, target) = (self.query.percentile, self.query.target_ms);
        let time = measured.percentile(percent);
        if let Some(target) = target.filter(|target| time >= *target) {
            misses.push(format!("p{percent} is {}, the target {target} ms", ms(time)));
        }
        misses.extend(measured.faults.iter().cloned());
        misses
    }

    fn is_slower(&self) -> bool {
        self.compared.as_ref().is_some_and(|compared| compared.slower)
    }

    fn state(&self) -> &'static str {
        match &self.outcome {
            Outcome::Absent(_) => "absent",
            Outcome::Empty => "not measured",
            Outcome::Measured(_) if !self.misses().is_empty() => "miss",
            Outcome::Measured(_) if self.is_slower() => "slower",
            Outcome::Measured(_) if self.query.target_ms.is_none() => "shown",
            Outcome::Measured(_) => "pass",
        }
    }

    fn why_not(&self) -> String {
        let Query { domain, name, .. } = self.query;
        match &self.outcome {
            Outcome::Absent(what) => format!("{domain}/{name}: {what}"),
            _ => format!("{domain}/{name}: {}", self.query.empty),
        }
    }

    fn to_json(&self) -> Value {
        let mut value = self.measured().map_or_else(|| json!({}), measure::to_json);
        let fields = json!({
            "domain": self.query.domain,
            "query": self.query.name,
            "title": self.query.title,
            "state": self.state(),
            "target_ms": self.query.target_ms,
            "percentile": self.query.percentile,
            "misses": self.misses(),
            "reason": self.measured().is_none().then(|| self.why_not()),
            "baseline": self.compared.as_ref().map(Compared::to_json),
        });
        if let (Value::Object(value), Value::Object(fields)) = (&mut value, fields) {
            value.extend(fields);
        }
        value
    }

    fn row(&self, compares: bool) -> Vec<Cell> {
        let time = |of: Option<f64>| of.map_or_else(Cell::missing, |of| Cell::shown(ms(of), of));
        let of = |get: &dyn Fn(&Measured) -> f64| time(self.measured().map(get));
        let state = self.state();
        let style = match state {
            "pass" => Style::Green,
            "miss" => Style::Red,
            "slower" => Style::Yellow,
            _ => Style::Dim,
        };
        let mut row = vec![
            Cell::from(self.query.domain),
            self.query.name.into(),
            of(&|measured| measured.percentile(50.0)),
            of(&|measured| measured.percentile(95.0)),
            of(&|measured| measured.percentile(99.0)),
            of(&|measured| measured.planning),
            of(&|measured| measured.planning_unprepared),
            of(&|measured| measured.execution),
            time(self.query.target_ms),
            Cell::from(state).styled(style),
        ];
        if compares {
            let ratio = |compared: &Compared| {
                Cell::shown(format!("{:.2} times", compared.ratio), compared.ratio)
            };
            row.push(self.compared.as_ref().map_or_else(Cell::missing, ratio));
        }
        row
    }
}

/// Milliseconds with as many digits as matter.
pub(super) fn ms(time: f64) -> String {
    match time {
        time if time >= 100.0 => format!("{time:.0} ms"),
        time if time >= 10.0 => format!("{time:.1} ms"),
        time => format!("{time:.2} ms"),
    }
}

fn answer(results: &[Judged], link: &Link, facts: &Value, compares: bool) -> Answer {
    let mut headers = vec![
        "Domain",
        "Query",
        "p50",
        "p95",
        "p99",
        "Planning",
        "Unprepared",
        "Execution",
        "Target",
        "Result",
    ];
    if compares {
        headers.push("p95 to baseline");
    }
    let mut grid = Grid::new(headers).right(&[2, 3, 4, 5, 6, 7, 8, 10]);
    let mut answer = Answer::done();
    for one in results {
        grid.push(one.row(compares));
        let name = format!("{}/{}", one.query.domain, one.query.name);
        answer.messages.extend(one.misses().into_iter().map(|miss| format!("{name}: {miss}")));
        if one.is_slower() {
            answer.messages.push(format!("{name}: slower than in the baseline"));
        }
        if one.measured().is_none() {
            answer.messages.push(format!("not measured: {}", one.why_not()));
        }
    }
    let missed = results.iter().filter(|one| !one.misses().is_empty()).count();
    let slower = results.iter().filter(|one| one.is_slower()).count();
    if missed + slower > 0 {
        answer.exit = Exit::Failed;
    }
    answer.messages.push(format!("queries ran {}", link.describe()));
    let hit = |key: &str| {
        facts[key].as_f64().map_or("-".to_owned(), |part| format!("{:.1} %", part * 100.0))
    };
    answer.messages.push(format!(
        "server {}: table cache hit {}, index cache hit {}, database {}",
        facts["version"].as_str().unwrap_or_default(),
        hit("table_cache_hit"),
        hit("index_cache_hit"),
        human::size(facts["database_bytes"].as_u64().unwrap_or(0)),
    ));
    answer.json = Some(json!({
        "through": { "pooled": link.pooled, "prepared": link.prepared },
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "server": facts,
        "missed": missed,
        "slower": slower,
        "queries": results.iter().map(Judged::to_json).collect::<Vec<_>>(),
    }));
    answer.grid = Some(grid);
    answer
}
