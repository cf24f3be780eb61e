//! Every record of files against the row that it became. A file is read again by the recipe of its
//! load, batch by batch, each is staged beside the table, and the server compares values with
//! values: nothing is hashed, nothing is kept but differences, and those are kept by the server.
//!
//! A record whose row holds other values may rightly have lost: to a record before it (skip), or
//! to one after it (update). So the files that have such records are read once more for their keys
//! alone, and for each key the one record that decides is compared.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use tokio_postgres::types::{ToSql, Type};

use crate::batch::{Batch, Original};
use crate::check::Checker;
use crate::db::ledger::PortionKey;
use crate::db::{Connection, DbError};
use crate::pipeline::prepare;
use crate::source::{Fingerprint, Location};
use crate::span::Span;
use crate::write::{Comparer, Job, Seen, Standing, Target, WriteError};

use super::super::super::CommandError;
use super::super::super::finding::Finding;
use super::super::super::inspect::read::Piece;
use super::super::super::recipe::Recipe;
use super::pieces::pieces;
use super::verdict::{Verdict, findings};

/// Differences that are shown for each file.
const SHOWN_MAX: usize = 3;
/// The id of a symbol that no ticker has; ids are positive.
const NO_TICKER: i32 = -1;

/// A content and the load that it became.
#[derive(Debug)]
pub(super) struct Subject {
    pub load_id: i64,
    pub name: Arc<str>,
    pub location: Location,
    pub fingerprint: Fingerprint,
    pub target_name: String,
    pub recipe: Recipe,
    pub checker: Checker,
    pub target: Arc<Target>,
}

/// What was found of one load.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub compared: u64,
    pub differing: u64,
    pub missing: u64,
    /// Missing where retention dropped a range.
    pub dropped: u64,
    /// The first that are missing, for people.
    pub first: Vec<String>,
}

/// Where a record is.
#[derive(Debug, Clone, Copy)]
struct Where {
    row: i64,
    line: Option<i64>,
    ts_us: Option<i64>,
}

/// Compares them all, in one transaction that leaves nothing behind.
pub(super) async fn check(
    db: &Connection,
    subjects: Vec<Subject>,
) -> Result<Vec<Finding>, CommandError> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let mut checking = Checking::begin(db, &subjects).await?;
    let mut tallies = Vec::with_capacity(subjects.len());
    for subject in &subjects {
        tallies.push(checking.first(subject).await?);
    }
    let differ: Vec<usize> = (subjects.iter().zip(&tallies))
        .filter(|(_, tally)| tally.differing > 0)
        .map(|(subject, _)| checking.targets[&subject.target_name])
        .collect();
    for subject in &subjects {
        if differ.contains(&checking.targets[&subject.target_name]) {
            checking.again(subject).await?;
        }
    }
    let verdicts = match differ.is_empty() {
        true => BTreeMap::new(),
        false => checking.verdicts(&subjects).await?,
    };
    db.batch_execute("ROLLBACK").await?;
    Ok(findings(&subjects, &tallies, &verdicts))
}

struct Checking<'a> {
    db: &'a Connection,
    comparer: Comparer<'a>,
    /// Numbers of the targets.
    targets: HashMap<String, usize>,
    /// Ranges that retention dropped, by target: from the first to before the last microsecond.
    dropped: HashMap<String, Vec<(i64, i64)>>,
    /// Ids of tickers, by venue and symbol.
    tickers: HashMap<(String, String), i32>,
}

impl<'a> Checking<'a> {
    async fn begin(db: &'a Connection, subjects: &[Subject]) -> Result<Self, CommandError> {
        db.batch_execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; \
             CREATE TEMPORARY TABLE tidegate_target (target integer, name text) ON COMMIT DROP; \
             CREATE TEMPORARY TABLE tidegate_difference (target integer, key text, load bigint, \
                 row_no bigint, line bigint, ts timestamptz, what text) ON COMMIT DROP; \
             CREATE TEMPORARY TABLE tidegate_claim (target integer, key text, load bigint, \
                 row_no bigint, equal boolean, last_wins boolean) ON COMMIT DROP",
        )
        .await?;
        let mut targets = HashMap::new();
        for subject in subjects {
            let next = targets.len();
            if targets.contains_key(&subject.target_name) {
                continue;
            }
            targets.insert(subject.target_name.clone(), next);
            db.execute_typed(
                "INSERT INTO tidegate_target VALUES ($1, $2)",
                &[(&(next as i32), Type::INT4), (&subject.target_name, Type::TEXT)],
            )
            .await?;
        }
        let rows = db
            .query_typed(
                "SELECT target, (extract(epoch FROM from_ts) * 1000000)::bigint, \
                     (extract(epoch FROM to_ts) * 1000000)::bigint FROM tidegate.dropped_range",
                &[],
            )
            .await?;
        let mut dropped: HashMap<String, Vec<(i64, i64)>> = HashMap::new();
        for row in &rows {
            dropped.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
        }
        let comparer = Comparer::new(db);
        Ok(Self { db, comparer, targets, dropped, tickers: HashMap::new() })
    }

    /// Looks every record up.
    async fn first(&mut self, subject: &Subject) -> Result<Tally, CommandError> {
        let mut tally = Tally::default();
        let mut pieces = pieces(subject);
        let mut window = 0;
        while let Some(piece) = pieces.recv().await {
            let job = self.job(subject, piece?, window).await?;
            window += 1;
            tally.compared += job.order.len() as u64;
            if job.order.is_empty() {
                continue;
            }
            let seen = self.comparer.differing(&subject.target, &job).await?;
            let seen = self.not_rejected(subject, &job, seen).await?;
            self.add(subject, &job, seen, &mut tally).await?;
        }
        Ok(tally)
    }

    /// Looks up all records whose keys have differences.
    async fn again(&mut self, subject: &Subject) -> Result<(), CommandError> {
        let target = self.targets[&subject.target_name] as i32;
        let last_wins = subject.target.policy == crate::dataset::ConflictPolicy::Update;
        let mut pieces = pieces(subject);
        let mut window = 0;
        while let Some(piece) = pieces.recv().await {
            let job = self.job(subject, piece?, window).await?;
            window += 1;
            if job.order.is_empty() {
                continue;
            }
            let keys = "SELECT key FROM tidegate_difference WHERE target = $1";
            let of_target = [(&target as &(dyn ToSql + Sync), Type::INT4)];
            let seen = self.comparer.with_keys(&subject.target, &job, keys, &of_target).await?;
            let seen = self.not_rejected(subject, &job, seen).await?;
            let texts: Vec<&str> = seen.iter().map(|(seen, _)| seen.key.as_str()).collect();
            let rows: Vec<i64> = seen.iter().map(|(_, place)| place.row).collect();
            let equal: Vec<bool> =
                seen.iter().map(|(seen, _)| seen.standing == Standing::Equal).collect();
            self.db
                .execute_typed(
                    "INSERT INTO tidegate_claim SELECT $1, u.key, $2, u.row_no, u.equal, $3 \
                     FROM unnest($4::text[], $5::bigint[], $6::boolean[]) u (key, row_no, equal)",
                    &[
                        (&target, Type::INT4),
                        (&subject.load_id, Type::INT8),
                        (&last_wins, Type::BOOL),
                        (&texts, Type::TEXT_ARRAY),
                        (&rows, Type::INT8_ARRAY),
                        (&equal, Type::BOOL_ARRAY),
                    ],
                )
                .await?;
        }
        Ok(())
    }

    /// A piece as its load's job: tickers, rules, order.
    async fn job(
        &mut self,
        subject: &Subject,
        piece: Piece,
        window: u32,
    ) -> Result<Job, CommandError> {
        let Piece { decoded, original, first_line, first_row, start } = piece;
        let span = Span { window, start, end: start, first_row, first_line, lines: decoded.lines };
        let mut batch = Batch {
            span,
            last: false,
            root: decoded.root,
            places: decoded.places,
            children: decoded.children,
            rejects: decoded.rejects,
            skipped: decoded.skipped,
            original,
        };
        if let Some(tickers) = &subject.recipe.tickers {
            let symbols = prepare::symbols(&batch.root, tickers);
            let ids = self.ids(&tickers.venue, &symbols).await?;
            batch.root = prepare::put_ids(&batch.root, tickers, &ids).map_err(WriteError::from)?;
        }
        if let Some(identity) = &subject.recipe.identity {
            let place = |row: usize| {
                let place = &batch.places[row];
                let inside = match batch.original {
                    Original::Text(_) => u64::from(place.offset),
                    Original::Columns => u64::from(place.row),
                };
                (start + inside) as i64
            };
            let filled = prepare::put_identity(&batch.root, identity, place);
            batch.root = filled.map_err(WriteError::from)?;
        }
        prepare::check(
            &mut batch,
            subject.recipe.interval_column,
            &subject.checker,
            &subject.target,
        )?;
        let key = PortionKey { set_id: 0, route: "verify".to_owned(), window };
        Ok(Job::new(&subject.target, key, (subject.load_id, 0), Arc::clone(&subject.name), batch)?)
    }

    async fn ids(&mut self, venue: &str, symbols: &[&str]) -> Result<Vec<i32>, CommandError> {
        let pair = |symbol: &str| (venue.to_owned(), symbol.to_owned());
        let unknown: Vec<&str> = (symbols.iter().copied())
            .filter(|symbol| !self.tickers.contains_key(&pair(symbol)))
            .collect();
        if !unknown.is_empty() {
            let rows = self
                .db
                .query_typed(
                    "SELECT symbol, id FROM public.tickers WHERE symbol = ANY($1) AND venue = $2",
                    &[(&unknown, Type::TEXT_ARRAY), (&venue, Type::TEXT)],
                )
                .await?;
            self.tickers.extend(unknown.iter().map(|symbol| (pair(symbol), NO_TICKER)));
            self.tickers.extend(rows.iter().map(|row| (pair(row.get(0)), row.get(1))));
        }
        Ok(symbols.iter().map(|symbol| self.tickers[&pair(symbol)]).collect())
    }

    /// Those of the rows that their load did not refuse, with their places. Rules may have become
    /// milder since: the future becomes the past.
    async fn not_rejected(
        &self,
        subject: &Subject,
        job: &Job,
        seen: Vec<Seen>,
    ) -> Result<Vec<(Seen, Where)>, CommandError> {
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let span = job.batch.span;
        let has_lines = matches!(job.batch.original, Original::Text(_));
        let time = subject.target.time.map(|at| job.batch.root.column(at));
        let times = time.and_then(|time| time.as_primitive_opt::<TimestampMicrosecondType>());
        let place = |seen: &Seen| {
            let place = job.batch.places[seen.row];
            let line = (span.first_line + u64::from(place.line)) as i64;
            Where {
                row: (span.first_row + u64::from(place.row)) as i64,
                line: has_lines.then_some(line),
                ts_us: times.map(|times| times.value(seen.row)),
            }
        };
        let seen: Vec<(Seen, Where)> = seen
            .into_iter()
            .map(|seen| (place(&seen), seen))
            .map(|(at, seen)| (seen, at))
            .collect();
        let rows: Vec<i64> = seen.iter().map(|(_, place)| place.row).collect();
        let refused = self
            .db
            .query_typed(
                "SELECT row_no FROM tidegate.reject WHERE load_id = $1 AND row_no = ANY($2)",
                &[(&subject.load_id, Type::INT8), (&rows, Type::INT8_ARRAY)],
            )
            .await?;
        let refused: std::collections::HashSet<i64> =
            refused.iter().map(|row| row.get(0)).collect();
        Ok(seen.into_iter().filter(|(_, place)| !refused.contains(&place.row)).collect())
    }

    async fn add(
        &self,
        subject: &Subject,
        job: &Job,
        seen: Vec<(Seen, Where)>,
        tally: &mut Tally,
    ) -> Result<(), CommandError> {
        let dropped = self.dropped.get(&subject.target_name).map_or(&[][..], Vec::as_slice);
        let is_dropped = |at: &Where| {
            at.ts_us.is_some_and(|ts| dropped.iter().any(|&(from, to)| (from..to).contains(&ts)))
        };
        let mut differing = Vec::new();
        for (seen, at) in seen {
            match seen.standing {
                Standing::Missing if is_dropped(&at) => tally.dropped += 1,
                Standing::Missing => {
                    tally.missing += 1;
                    if tally.first.len() < SHOWN_MAX {
                        tally.first.push(shown(at.row, at.line, &named(job, subject, seen.row)));
                    }
                }
                _ => differing.push((seen, at)),
            }
        }
        tally.differing += differing.len() as u64;
        if differing.is_empty() {
            return Ok(());
        }
        let target = self.targets[&subject.target_name] as i32;
        let column = |of: fn(&Seen) -> &str| -> Vec<&str> {
            differing.iter().map(|(seen, _)| of(seen)).collect()
        };
        let (keys, whats) = (column(|seen| &seen.key), column(|seen| &seen.what));
        let rows: Vec<i64> = differing.iter().map(|(_, at)| at.row).collect();
        let lines: Vec<Option<i64>> = differing.iter().map(|(_, at)| at.line).collect();
        let times: Vec<Option<i64>> = differing.iter().map(|(_, at)| at.ts_us).collect();
        self.db
            .execute_typed(
                "INSERT INTO tidegate_difference SELECT $1, u.key, $2, u.row_no, u.line, \
                     'epoch'::timestamptz + u.us * interval '1 microsecond', u.what \
                 FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[]) \
                     u (key, row_no, line, us, what)",
                &[
                    (&target, Type::INT4),
                    (&subject.load_id, Type::INT8),
                    (&keys, Type::TEXT_ARRAY),
                    (&rows, Type::INT8_ARRAY),
                    (&lines, Type::INT8_ARRAY),
                    (&times, Type::INT8_ARRAY),
                    (&whats, Type::TEXT_ARRAY),
                ],
            )
            .await?;
        Ok(())
    }

    async fn verdicts(&self, subjects: &[Subject]) -> Result<BTreeMap<i64, Verdict>, CommandError> {
        let any: Vec<i32> = (subjects.iter())
            .filter(|subject| subject.target.meeting.content.is_some())
            .map(|subject| self.targets[&subject.target_name] as i32)
            .collect();
        let loads: Vec<i64> = subjects.iter().map(|subject| subject.load_id).collect();
        let sql = include_str!("../../../../schema/query/verify/verdict.sql");
        let rows = self
            .db
            .query_typed(sql, &[(&any, Type::INT4_ARRAY), (&loads, Type::INT8_ARRAY)])
            .await
            .map_err(DbError::from)?;
        let mut verdicts: BTreeMap<i64, Verdict> = BTreeMap::new();
        for row in &rows {
            let verdict = verdicts.entry(row.get("load")).or_default();
            let count = row.get::<_, i64>("rows").unsigned_abs();
            let example = || {
                let what: Option<&str> = row.get("what");
                let what = what.unwrap_or("a record after it is not stored");
                let text = format!("key {}: {what}", row.get::<_, &str>("key"));
                shown(row.get("row_no"), row.get("line"), &text)
            };
            match row.get::<_, &str>("verdict") {
                "restated" => verdict.restated = count,
                "other" => {
                    verdict.other = count;
                    verdict.by.get_or_insert_with(|| row.get("other"));
                }
                _ => {
                    verdict.wrong = count;
                    if verdict.first.len() < SHOWN_MAX {
                        verdict.first.push(example());
                    }
                }
            }
        }
        Ok(verdicts)
    }
}

fn shown(row: i64, line: Option<i64>, text: &str) -> String {
    match line {
        Some(line) => format!("row {row} (line {line}), {text}"),
        None => format!("row {row}, {text}"),
    }
}

/// The key of a row, column by column.
fn named(job: &Job, subject: &Subject, row: usize) -> String {
    let root = subject.target.root();
    let value = |&at: &usize| {
        let value = crate::batch::value_as_text(job.batch.root.column(at), row);
        format!("{} {}", root.columns[at].name, value.unwrap_or_default())
    };
    subject.target.key.iter().map(value).collect::<Vec<_>>().join(", ")
}
