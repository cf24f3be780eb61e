//! `refresh`: makes what is derived from the loaded tables fresh again. Aggregates are made anew
//! where a load touched them and nowhere else; views as a whole, and only if something was written
//! that they are made of. One transaction each, so that a refresh that fails changed nothing.

mod known;
mod recent;

use std::time::Instant;

use serde_json::json;
use tokio_postgres::types::Type;

use crate::db::ledger::{self, Written};
use crate::db::{Connection, DbError, Doing as _};
use crate::report::human;
use crate::report::list::{Cell, Grid, Style};

use super::{Access, Answer, CommandError};

use known::{Derived, KNOWN, Kind};

/// What `refresh` is asked.
#[derive(Debug, Clone)]
pub struct RefreshRequest {
    /// Which database.
    pub access: Access,
    /// Only these; none: all that are there.
    pub names: Vec<String>,
    /// As if nothing had ever been refreshed.
    pub full: bool,
    /// Aggregates are made anew beside the old ones, which they replace at the end.
    pub rebuild: bool,
}

/// How much of it is made anew.
#[derive(Debug, Clone, Copy, Default)]
struct How {
    full: bool,
    rebuild: bool,
}

impl How {
    fn of(request: &RefreshRequest) -> Self {
        Self { full: request.full, rebuild: request.rebuild }
    }
}

/// What [`one`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct One {
    /// Another process was at it, and nothing was done.
    pub busy: bool,
    /// It was not fresh.
    pub changed: bool,
    /// Rows that were written, where that is known.
    pub written: u64,
    /// Rows that were deleted, where that is known.
    pub deleted: u64,
}

/// The names of everything that is refreshed where none is given, in their order.
pub(super) fn unasked() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().filter(|known| known.unasked).map(|known| known.name)
}

/// Whether views are made of `table` as a whole, so that what is dropped of it is to go from them.
pub(super) fn is_viewed(table: &str) -> bool {
    let is_of = |known: &&Derived| known.made_of.contains(&table);
    let mut of_table = KNOWN.iter().filter(is_of).peekable();
    of_table.peek().is_some() && of_table.all(|known| matches!(known.kind, Kind::View { .. }))
}

/// Refreshes one, incrementally where that is exact. `None`: it is not there.
///
/// # Errors
/// [`CommandError::Usage`] for a name that nothing has; [`DbError`].
pub(super) async fn one(db: &mut Connection, name: &str) -> Result<Option<One>, CommandError> {
    let derived = known::find(name)?;
    if !is_there(db, derived).await? {
        return Ok(None);
    }
    let Done { state, written, deleted, .. } = refresh(db, derived, How::default()).await?;
    let (busy, changed) = (state == BUSY, state == REFRESHED);
    let (written, deleted) = (written.unwrap_or(0), deleted.unwrap_or(0));
    Ok(Some(One { busy, changed, written, deleted }))
}

/// What became of one of them.
struct Done {
    state: &'static str,
    written: Option<u64>,
    deleted: Option<u64>,
    ranges: Option<u64>,
}

impl Done {
    fn only(state: &'static str) -> Self {
        Self { state, written: None, deleted: None, ranges: None }
    }
}

const FRESH: &str = "fresh already";
const REFRESHED: &str = "refreshed";
const BUSY: &str = "another process is at it";

/// Refreshes what is asked for.
///
/// # Errors
/// [`CommandError::Usage`] for a name that nothing has; [`CommandError::Refused`] for something
/// that is not there; [`DbError`].
pub async fn run(request: &RefreshRequest) -> Result<Answer, CommandError> {
    let mut wanted = Vec::new();
    for name in &request.names {
        wanted.push(known::find(name)?);
    }
    if request.rebuild && wanted.iter().any(|derived| !matches!(derived.kind, Kind::Bars { .. })) {
        let bars = KNOWN.iter().filter(|known| matches!(known.kind, Kind::Bars { .. }));
        let names: Vec<&str> = bars.map(|known| known.name).collect();
        return Err(CommandError::Usage(format!(
            "--rebuild is for tables that grow bucket by bucket: {}",
            names.join(", ")
        )));
    }
    let (_, mut db) = request.access.connect().await?;
    let named = !wanted.is_empty();
    if !named {
        let rebuilt = |known: &&Derived| {
            known.unasked && (!request.rebuild || matches!(known.kind, Kind::Bars { .. }))
        };
        wanted = KNOWN.iter().filter(rebuilt).collect();
    }
    let mut grid =
        Grid::new(["Name", "State", "Ranges", "Written", "Deleted", "Time"]).right(&[2, 3, 4, 5]);
    for derived in wanted {
        if !is_there(&db, derived).await? {
            if named {
                return Err(CommandError::Refused(format!(
                    "{} is not there: `tidegate migrate up --domain {}` makes it",
                    derived.name, derived.domain
                )));
            }
            continue;
        }
        let began = Instant::now();
        let done = refresh(&mut db, derived, How::of(request)).await?;
        let seconds = began.elapsed().as_secs_f64();
        let style = if done.state == BUSY { Style::Yellow } else { Style::Green };
        grid.push([
            derived.name.into(),
            Cell::from(done.state).styled(style),
            done.ranges.into(),
            done.written.into(),
            done.deleted.into(),
            Cell::shown(human::seconds(seconds), json!(seconds)),
        ]);
    }
    let mut answer = Answer::done();
    if grid.is_empty() {
        answer.messages.push(
            "nothing to refresh: `tidegate migrate up` makes what is derived from the tables"
                .to_owned(),
        );
    }
    answer.json = Some(grid.to_json());
    answer.grid = Some(grid);
    Ok(answer)
}

async fn is_there(db: &Connection, derived: &Derived) -> Result<bool, DbError> {
    let sql = "SELECT to_regclass($1) IS NOT NULL AND to_regclass('tidegate.refresh') IS NOT NULL";
    let row = db.query_typed_one(sql, &[(&derived.needs, Type::TEXT)]).await?;
    Ok(row.try_get(0)?)
}

async fn refresh(db: &mut Connection, derived: &Derived, how: How) -> Result<Done, CommandError> {
    if matches!(derived.kind, Kind::RecentIndex) {
        let (made, dropped) = recent::roll(db).await?;
        let state = if made + dropped == 0 { FRESH } else { REFRESHED };
        let (written, deleted) = (Some(made), Some(dropped));
        return Ok(Done { state, written, deleted, ranges: None });
    }
    db.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await?;
    let done = in_transaction(db, derived, how).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = db.batch_execute(end).await.doing(format!("refreshing {}", derived.name));
    let done = done?;
    ended?;
    Ok(done)
}

async fn in_transaction(db: &Connection, derived: &Derived, how: How) -> Result<Done, DbError> {
    let lock = "SELECT pg_try_advisory_xact_lock(hashtextextended('tidegate refresh ' || $1, 0))";
    let row = db.query_typed_one(lock, &[(&derived.name, Type::TEXT)]).await?;
    if !row.try_get::<_, bool>(0)? {
        return Ok(Done::only(BUSY));
    }
    let mut written = ledger::written_since(db, derived.name, derived.made_of).await?;
    written.full |= how.full || how.rebuild;
    let (done, state) = match &derived.kind {
        Kind::Bars { minutes } => {
            (bars(db, derived.name, *minutes, &written, how.rebuild).await?, None)
        }
        Kind::Call { function } => (call(db, function, &written).await?, None),
        Kind::View { settings, content } => view(db, derived, settings, *content, &written).await?,
        Kind::RecentIndex => return Ok(Done::only(FRESH)),
    };
    ledger::mark_fresh(db, derived.name, &written.seen, state.as_deref()).await?;
    Ok(done)
}

/// The ranges that are to be made anew: those that were written, or all there is, a month each.
async fn ranges(
    db: &Connection,
    written: &Written,
    source: &str,
    all: &str,
) -> Result<Vec<[String; 2]>, DbError> {
    if !written.full {
        return Ok(written.ranges.iter().map(|(from, to)| [from.clone(), to.clone()]).collect());
    }
    let sql = format!(
        "SELECT lower(part)::text, upper(part)::text \
         FROM ({all}) edges(lo, hi), \
              generate_series(date_trunc('month', lo, 'UTC'), hi, '1 month') month, \
              unnest(tstzmultirange(tstzrange(month, month + interval '1 month')) \
                     - ({GONE})) part"
    );
    let rows = db.query_typed(&sql, &[(&source, Type::TEXT)]).await;
    let rows = rows.doing("asking what there is to aggregate")?;
    rows.iter().map(|row| Ok([row.try_get(0)?, row.try_get(1)?])).collect()
}

/// Times of table `$1` that retention dropped and nobody loaded again: what was made of them stays
/// as it is.
const GONE: &str = "\
SELECT coalesce((SELECT range_agg(tstzrange(d.from_ts, d.to_ts)) FROM tidegate.dropped_range d \
                 WHERE d.target = $1), '{}'::tstzmultirange) \
     - coalesce((SELECT range_agg(tstzrange(p.lower, p.upper)) \
                 FROM tidegate.partitions($1::text::regclass) p), '{}'::tstzmultirange)";

/// A table that is made anew of its minutes would lack those that retention dropped.
async fn refuse_to_lose(db: &Connection, name: &str, source: &str) -> Result<(), DbError> {
    let sql = format!("SELECT EXISTS (SELECT FROM {name} WHERE ({GONE}) @> bucket_time)");
    let row = db.query_typed_one(&sql, &[(&source, Type::TEXT)]).await;
    if row.doing(format!("asking what {name} alone still has"))?.try_get(0)? {
        return Err(DbError::Table(format!(
            "{name} has buckets of minutes that retention dropped: --rebuild would lose them; \
             --full makes the others anew"
        )));
    }
    Ok(())
}

/// What option bars of 5 and 15 minutes are made of.
const MINUTES: &str = "public.fo_option_strike_bars";

async fn bars(
    db: &Connection,
    name: &str,
    minutes: i32,
    written: &Written,
    rebuild: bool,
) -> Result<Done, DbError> {
    let target = if rebuild { format!("{name}_v2") } else { name.to_owned() };
    if rebuild {
        refuse_to_lose(db, name, MINUTES).await?;
        let sql = format!(
            "DROP TABLE IF EXISTS {target}; \
             CREATE TABLE {target} (LIKE {name} INCLUDING ALL) PARTITION BY RANGE (bucket_time)"
        );
        db.batch_execute(&sql).await.doing(format!("making {target}"))?;
    }
    let all = format!(
        "SELECT least(a.lo, b.lo), greatest(a.hi, b.hi) FROM \
         (SELECT min(bucket_time), max(bucket_time) FROM public.fo_option_strike_bars) \
             a(lo, hi), \
         (SELECT min(bucket_time), max(bucket_time) FROM {name}) b(lo, hi)"
    );
    let ranges = ranges(db, written, MINUTES, &all).await?;
    let (mut changed, mut deleted) = (0, 0);
    for [from, to] in &ranges {
        let row = db
            .query_typed_one(
                "SELECT written, deleted FROM public.refresh_option_strike_bars(\
                     $1::text::regclass, $2, $3::text::timestamptz, $4::text::timestamptz)",
                &[
                    (&target, Type::TEXT),
                    (&minutes, Type::INT4),
                    (from, Type::TEXT),
                    (to, Type::TEXT),
                ],
            )
            .await
            .doing(format!("refreshing {target} from {from}"))?;
        changed += row.try_get::<_, i64>(0)?.unsigned_abs();
        deleted += row.try_get::<_, i64>(1)?.unsigned_abs();
    }
    if rebuild {
        let sql = format!("SELECT tidegate.swap_table('{name}', '{target}')::text");
        db.query_typed_one(&sql, &[]).await.doing(format!("putting {target} in place"))?;
    }
    Ok(Done {
        state: if ranges.is_empty() { FRESH } else { REFRESHED },
        written: Some(changed),
        deleted: Some(deleted),
        ranges: Some(ranges.len() as u64),
    })
}

/// A function of a range of time that says how many rows it wrote.
async fn call(db: &Connection, function: &str, written: &Written) -> Result<Done, DbError> {
    let everything = ["-infinity".to_owned(), "infinity".to_owned()];
    let ranges = match written.full {
        true => vec![everything],
        false => written.ranges.iter().map(|(from, to)| [from.clone(), to.clone()]).collect(),
    };
    let mut changed = 0;
    for [from, to] in &ranges {
        let sql = format!("SELECT {function}($1::text::timestamptz, $2::text::timestamptz)");
        let row = db
            .query_typed_one(&sql, &[(from, Type::TEXT), (to, Type::TEXT)])
            .await
            .doing(format!("calling {function}"))?;
        changed += row.try_get::<_, i64>(0)?.unsigned_abs();
    }
    Ok(Done {
        state: if ranges.is_empty() { FRESH } else { REFRESHED },
        written: Some(changed),
        deleted: None,
        ranges: Some(ranges.len() as u64),
    })
}

/// `content`: what the view is made of, summed up; while that stays the same, so does the view.
async fn view(
    db: &Connection,
    derived: &Derived,
    settings: &str,
    content: Option<&str>,
    written: &Written,
) -> Result<(Done, Option<String>), DbError> {
    let populated = "SELECT relispopulated FROM pg_catalog.pg_class WHERE oid = to_regclass($1)";
    let row = db.query_typed_one(populated, &[(&derived.name, Type::TEXT)]).await?;
    let is_populated: bool = row.try_get(0)?;
    let kept = ledger::kept_state(db, derived.name).await?;
    let must = written.full || !is_populated || derived.made_of.is_empty();
    if !must && !written.any {
        return Ok((Done::only(FRESH), kept));
    }
    let state = match content {
        Some(sql) => {
            let row = db.query_typed_one(sql, &[]).await.doing("summing up what is there")?;
            Some(row.try_get::<_, String>(0)?)
        }
        None => None,
    };
    if !must && state.is_some() && state == kept {
        return Ok((Done::only(FRESH), kept));
    }
    // Without readers there is nobody to wait for, and CONCURRENTLY costs a comparison.
    let how = if is_populated { "CONCURRENTLY " } else { "" };
    let sql = format!("{settings}; REFRESH MATERIALIZED VIEW {how}{}", derived.name);
    db.batch_execute(&sql).await.doing(format!("refreshing {}", derived.name))?;
    Ok((Done::only(REFRESHED), state))
}
