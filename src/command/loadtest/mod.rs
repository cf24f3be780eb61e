//! `loadtest`: rows written at a set or rising rate while the critical queries are asked beside,
//! and whether these hold their targets. What it writes is marked and taken away at the end.

mod level;
mod reader;
mod rows;
mod server;
mod show;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;

use super::bench::link::Link;
use super::bench::{measure, query};
use super::{Access, Answer, CommandError};
use crate::db::{Connection, Database, catalog};
use crate::limit::LOADTEST_FIRST_ROWS;
use crate::pipeline::{Cancel, watch_signals};

use level::Level;
use reader::Asked;
use rows::{Source, Subject};
use writer::Room;

/// The view behind the 24-hour queries.
const STATISTICS: &str = "public.mv_24h_statistics";

/// What `loadtest` is asked.
#[derive(Debug, Clone)]
pub struct LoadTestRequest {
    /// Which database.
    pub access: Access,
    /// What is written.
    pub dataset: String,
    /// Rows in a second, at first.
    pub rate: f64,
    /// How many times as many at the next step; none: the rate stays.
    pub ramp: Option<f64>,
    /// How long a step of the ramp is.
    pub step: Duration,
    /// Query workers.
    pub queries: usize,
    /// Queries of each in a second.
    pub query_rate: f64,
    /// Writers, each with a connection.
    pub writers: usize,
    /// From one batch to the next.
    pub every: Duration,
    /// How long in all.
    pub duration: Duration,
    /// Rows in all.
    pub rows_max: u64,
    /// From one refresh of the statistics of the last day to the next.
    pub refresh_every: Duration,
    /// What is written stays.
    pub keep: bool,
    /// The table may have rows.
    pub yes: bool,
    /// Only take away what earlier tests left.
    pub clean: bool,
}

/// What a test has at hand.
struct Test<'a> {
    request: &'a LoadTestRequest,
    database: Database,
    db: Connection,
    link: Link,
    subject: Subject,
    source: Arc<Source>,
    room: Arc<Room>,
    cancel: Cancel,
    refreshed: Option<Instant>,
    /// Queries that are not asked, and why.
    unasked: Vec<String>,
}

/// Runs a load test. `on_stopping` is called when the user asks to stop, `show` with a line for
/// people now and then.
///
/// # Errors
/// [`CommandError::Refused`] for a table with rows, or where there is nothing to ask; the
/// database's.
pub async fn run(
    request: &LoadTestRequest,
    on_stopping: impl Fn() + Send + 'static,
    mut show: impl FnMut(&str),
) -> Result<Answer, CommandError> {
    let subject = Subject::find(&request.dataset)?;
    let (database, db) = request.access.connect().await?;
    let table = subject.table(&db).await?;
    if request.clean {
        let rows = subject.clean(&db).await?;
        let text = format!("{rows} rows of load tests were taken out of {}", subject.dataset.table);
        return Ok(Answer::message(text));
    }
    if !request.yes && !catalog::table_is_empty(&db, &table).await? {
        let left = subject.has_marked(&db).await?;
        return Err(CommandError::Refused(not_empty(subject, left)));
    }
    let link = Link::probe(&database).await?;
    let cancel = Cancel::default();
    let signals = tokio::spawn(watch_signals(cancel.clone(), on_stopping));
    let rows = request.rows_max.saturating_add(LOADTEST_FIRST_ROWS);
    let source = Source::new(&db, subject, rows, now_us()).await?;
    let room = Arc::new(Room(AtomicU64::new(request.rows_max)));
    let mut test = Test {
        request,
        database,
        db,
        link,
        subject,
        source: Arc::new(source),
        room,
        cancel,
        refreshed: None,
        unasked: Vec::new(),
    };
    let levels = test.levels(&mut show).await;
    // Whatever went wrong, what was written goes again.
    let cleaned = match request.keep {
        true => Ok(None),
        false => test.clean(&mut show).await.map(Some),
    };
    signals.abort();
    Ok(show::answer(&test, &levels?, cleaned?))
}

fn not_empty(subject: Subject, left: bool) -> String {
    let table = subject.dataset.table;
    let earlier = match left {
        true => format!(
            "; some of them an earlier load test left there: `tidegate loadtest --dataset {} \
             --clean` takes them away",
            subject.dataset.name
        ),
        false => String::new(),
    };
    format!(
        "{table} has rows{earlier}; --yes writes beside them: the rows of the test are marked and \
         taken away at its end"
    )
}

/// Microseconds from 1970 UTC.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl Test<'_> {
    /// One level, or one after the other until a target is missed.
    async fn levels(&mut self, show: &mut impl FnMut(&str)) -> Result<Vec<Level>, CommandError> {
        self.first_rows().await?;
        self.refresh().await?;
        let asked = Arc::new(self.asked().await?);
        let began = Instant::now();
        let (mut levels, mut rate) = (Vec::<Level>::new(), self.request.rate);
        let mut again = false;
        loop {
            let left = self.request.duration.saturating_sub(began.elapsed());
            let time = match self.request.ramp {
                Some(_) => left.min(self.request.step),
                None => left,
            };
            // What is left of a step tells nothing.
            let is_short = !levels.is_empty() && time < self.request.step;
            if is_short || self.cancel.is_set() || self.room.is_spent() {
                break;
            }
            let level = level::run(self, &asked, rate, time, show).await?;
            let (held, ended) = (level.held(), level.ended_early);
            match levels.last_mut().filter(|_| again) {
                // The second try counts.
                Some(last) => *last = level,
                None => levels.push(level),
            }
            let Some(factor) = self.request.ramp else { break };
            if held {
                (rate, again) = (rate * factor, false);
            } else if again || ended {
                break;
            } else {
                // A machine has hiccups: a rate is missed when it is missed twice.
                again = true;
            }
        }
        Ok(levels)
    }

    /// A few rows before anything is asked, so that there is something to ask for.
    async fn first_rows(&self) -> Result<(), CommandError> {
        let rows = (self.request.rate.ceil() as u64).clamp(100, LOADTEST_FIRST_ROWS);
        let rows = rows.min(self.request.rows_max);
        let now = now_us();
        let batch = self.source.batch(rows, (now - 1_000_000, now))?;
        let batch = self.source.make_room(&self.db, &batch).await?;
        self.source.append(&self.db, &batch, &mut BytesMut::new()).await?;
        Ok(())
    }

    /// The critical queries of the dataset's domain that there is something to ask for.
    async fn asked(&mut self) -> Result<Vec<Asked>, CommandError> {
        if self.request.queries == 0 {
            return Ok(Vec::new());
        }
        let domain = self.subject.dataset.domain;
        let mut wanted = query::all().map_err(CommandError::Refused)?;
        wanted.retain(|query| {
            query.domain == domain && query.target_ms.is_some() && query.settings.is_empty()
        });
        if wanted.is_empty() {
            self.unasked.push(format!(
                "anything: no query of the domain {domain} has a target to hold while rows are \
                 written; only the writers were measured"
            ));
            return Ok(Vec::new());
        }
        let mut asked = Vec::new();
        for query in wanted {
            if let Some(what) = measure::missing(&self.db, &query).await? {
                self.unasked.push(format!("{}: {what}", query.name));
                continue;
            }
            let values = measure::pick(&self.db, &query).await?;
            match values.is_empty() {
                true => self.unasked.push(format!("{}: {}", query.name, query.empty)),
                false => asked.push(Asked { query, values }),
            }
        }
        if asked.is_empty() {
            return Err(CommandError::Refused(format!(
                "there is nothing to ask: `tidegate migrate up --domain {domain}` makes what the \
                 queries need, or give --queries 0"
            )));
        }
        Ok(asked)
    }

    /// Refreshes the statistics of the last day, if they are due, as a scheduler would.
    async fn refresh(&mut self) -> Result<(), CommandError> {
        let due = self.refreshed.is_none_or(|at| at.elapsed() >= self.request.refresh_every);
        if due && self.subject.dataset.domain == "trading" {
            refresh_statistics(&self.db).await?;
            self.refreshed = Some(Instant::now());
        }
        Ok(())
    }

    async fn clean(&mut self, show: &mut impl FnMut(&str)) -> Result<u64, CommandError> {
        show("taking away what was written");
        let rows = self.subject.clean(&self.db).await?;
        if self.subject.dataset.domain == "trading" {
            refresh_statistics(&self.db).await?;
        }
        Ok(rows)
    }
}

/// Where the view is there at all.
async fn refresh_statistics(db: &Connection) -> Result<(), CommandError> {
    let is_populated = "SELECT relispopulated FROM pg_catalog.pg_class WHERE oid = to_regclass($1)";
    let row = db
        .query_typed_opt(is_populated, &[(&STATISTICS, tokio_postgres::types::Type::TEXT)])
        .await?;
    let Some(row) = row else { return Ok(()) };
    let how = if row.try_get(0)? { "CONCURRENTLY " } else { "" };
    db.batch_execute(&format!("REFRESH MATERIALIZED VIEW {how}{STATISTICS}")).await?;
    Ok(())
}
