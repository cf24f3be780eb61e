//! The rows that a load test writes: made by the generator, marked so that they can be told from
//! real ones and taken away again.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{max, min};
use arrow::datatypes::TimestampMicrosecondType;
use bytes::BytesMut;
use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::types::Type;

use super::super::CommandError;
use crate::column::{TargetColumn, TargetTable};
use crate::dataset::{self, Dataset};
use crate::db::{Connection, DbError, Doing as _, catalog};
use crate::generate::{Generator, Names, Records, Spec, Values, text};
use crate::mapping::ValueKind;
use crate::write::{Appender, TableTarget, WriteError, resolve_tickers};

/// What marks rows: a value that begins so, or the venue of their ticker.
pub const MARK: &str = "loadtest";
/// Seed of what is written.
const SEED: u64 = 20_240_101;
/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// How far back rows begin that carry the times of history.
const HISTORY_DAYS: i64 = 30;

/// A dataset that load tests write.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// The dataset.
    pub dataset: &'static Dataset,
    /// The column whose values are marked; none: the ticker is.
    mark: Option<&'static str>,
    /// Rows carry the time at which they fall due; else they are history.
    live: bool,
    /// How wide partitions are that are made for it.
    width: &'static str,
}

/// Dataset, marked column, live, width of partitions.
const SUBJECTS: &[(&str, Option<&str>, bool, &str)] = &[
    ("trades", Some("trade_id"), true, "day"),
    ("orders", Some("order_id"), true, "month"),
    ("bars", None, false, "month"),
    ("market_trades", None, true, "day"),
    ("option_bars", Some("underlying"), false, "month"),
    ("option_strike_bars", Some("symbol"), false, "month"),
    ("predictions", None, false, "month"),
    ("block_predictions", None, false, "month"),
    ("kalshi_trades", Some("trade_id"), true, "day"),
    ("game_states", Some("game_id"), false, "month"),
];

impl Subject {
    /// The one called so.
    pub fn find(name: &str) -> Result<Self, CommandError> {
        let known = SUBJECTS.iter().find(|subject| subject.0 == name);
        let subject = known.and_then(|&(name, mark, live, width)| {
            Some(Self { dataset: dataset::by_name(name)?, mark, live, width })
        });
        subject.ok_or_else(|| {
            let names: Vec<&str> = SUBJECTS.iter().map(|subject| subject.0).collect();
            let other = match dataset::by_name(name) {
                Some(known) => format!(
                    "; `tidegate generate {name} --into --rate N` writes {name} at a rate, as a \
                     load, and `tidegate bench --domain {}` beside it asks the queries",
                    known.domain
                ),
                None => String::new(),
            };
            CommandError::Usage(format!(
                "load tests do not write {name:?}: they write {}{other}",
                names.join(", ")
            ))
        })
    }

    /// Its table, as the catalogue has it.
    pub async fn table(&self, db: &Connection) -> Result<TargetTable, CommandError> {
        let name = self.dataset.table;
        let table = catalog::load_table(db, Some(name.schema), name.name).await?;
        table.ok_or_else(|| {
            CommandError::Refused(format!(
                "{name} is not there: `tidegate migrate up --domain {}` makes it",
                self.dataset.domain
            ))
        })
    }

    /// Whether a row is of a load test, in SQL.
    fn is_marked(&self) -> String {
        match self.mark {
            Some(column) => format!("{column} LIKE '{MARK}-%'"),
            None => format!("ticker_id IN (SELECT id FROM public.tickers WHERE venue = '{MARK}')"),
        }
    }

    /// Takes away every row that load tests wrote. How many there were.
    pub async fn clean(&self, db: &Connection) -> Result<u64, CommandError> {
        let doing = || format!("taking the rows of load tests out of {}", self.dataset.table);
        let table = self.dataset.table;
        let marked = self.is_marked();
        // Nothing but rows of ours: then no dead rows need be left behind. The lock keeps other
        // writers out between the look and the deed.
        let truncate =
            format!("BEGIN; SET LOCAL lock_timeout = '2s'; LOCK TABLE {table} IN EXCLUSIVE MODE");
        let locked = db.batch_execute(&truncate).await.is_ok();
        let others = format!("SELECT count(*), coalesce(bool_and({marked}), false) FROM {table}");
        let only_ours: Option<i64> = match locked {
            true => {
                let row = db.query_typed_one(&others, &[]).await.doing(doing())?;
                row.try_get::<_, bool>(1)?.then(|| row.get(0))
            }
            false => None,
        };
        if let Some(rows) = only_ours {
            let ended = db.batch_execute(&format!("TRUNCATE {table}; COMMIT")).await;
            if ended.is_ok() {
                return Ok(rows.unsigned_abs());
            }
        }
        db.batch_execute("ROLLBACK").await?;
        let delete = format!("DELETE FROM {table} WHERE {marked}");
        Ok(db.execute_typed(&delete, &[]).await.doing(doing())?)
    }

    /// Whether there are rows that load tests wrote before.
    pub async fn has_marked(&self, db: &Connection) -> Result<bool, DbError> {
        let (table, marked) = (self.dataset.table, self.is_marked());
        let sql = format!("SELECT EXISTS (SELECT FROM {table} WHERE {marked})");
        Ok(db.query_typed_one(&sql, &[]).await?.try_get(0)?)
    }
}

/// Makes and appends the rows of one test.
#[derive(Debug)]
pub struct Source {
    subject: Subject,
    generator: Generator,
    /// Columns that the table has too: position in the records, and the table's column.
    columns: Vec<(usize, TargetColumn)>,
    target: TableTarget,
    appender: OnceCell<Appender>,
    /// Ids of tickers that were asked for already.
    tickers: std::sync::Mutex<HashMap<String, i32>>,
    prefix: String,
    next: AtomicU64,
    /// The range of time for which there are partitions.
    partitioned: Mutex<Option<(i64, i64)>>,
}

impl Source {
    /// For at most `rows` rows of a test that begins at `now_us`.
    pub async fn new(
        db: &Connection,
        subject: Subject,
        rows: u64,
        now_us: i64,
    ) -> Result<Self, CommandError> {
        let table = subject.table(db).await?;
        let today_us = now_us.div_euclid(DAY_US) * DAY_US;
        let spec = Spec {
            dataset: subject.dataset,
            rows: Some(rows),
            names: Names::Enough,
            from_us: today_us - HISTORY_DAYS * DAY_US,
            to_us: None,
            seed: SEED,
            interval_min: None,
            like: None,
        };
        let refused = |error: crate::generate::GenerateError| {
            CommandError::Refused(format!("{}: {error}", subject.dataset.name))
        };
        let generator = Generator::new(&spec).map_err(refused)?;
        let records = generator.records();
        let mut columns = Vec::new();
        for (at, name) in records.names.iter().enumerate() {
            let of_ticker = subject.dataset.ticker == Some(*name);
            let name = if of_ticker { "ticker_id" } else { name };
            if let Some(column) = table.column(name) {
                columns.push((at, column.clone()));
            }
        }
        let sent = columns.iter().map(|(_, column)| column.clone()).collect();
        Ok(Self {
            subject,
            generator,
            columns,
            target: TableTarget { table, columns: sent, root_key: Vec::new() },
            appender: OnceCell::new(),
            tickers: std::sync::Mutex::default(),
            prefix: format!("{MARK}-{now_us}-"),
            next: AtomicU64::new(0),
            partitioned: Mutex::new(None),
        })
    }

    /// The next rows. Live ones get times from `span`, in microseconds from 1970 UTC.
    pub fn batch(&self, rows: u64, span: (i64, i64)) -> Result<RecordBatch, CommandError> {
        let first = self.next.fetch_add(rows, Ordering::Relaxed);
        let mut records = self.generator.records();
        self.generator.make(first..first + rows, &mut records);
        let mut arrays: Vec<(&str, ArrayRef)> = Vec::with_capacity(self.columns.len());
        for (at, column) in &self.columns {
            arrays.push((column.name.as_str(), self.array(&records, *at, span)));
        }
        let batch = RecordBatch::try_from_iter_with_nullable(
            arrays.into_iter().map(|(name, array)| (name, array, true)),
        );
        batch.map_err(|error| CommandError::Write(WriteError::Arrow(error)))
    }

    fn array(&self, records: &Records, at: usize, span: (i64, i64)) -> ArrayRef {
        let (name, values) = (records.names[at], &records.columns[at]);
        let rows = 0..values.len();
        let dataset = self.subject.dataset;
        if dataset.ticker == Some(name) {
            // Names for now; `ids` puts numbers in their place.
            return texts(values, "");
        }
        // What else has a time (when an order changed) is no earlier.
        if self.subject.live && matches!(values, Values::Times(_)) {
            return spread(rows, span);
        }
        let kind = dataset.column(name).map(|column| column.kind);
        match values {
            Values::Words { .. } | Values::Text { .. } => {
                let is_mark = self.subject.mark == Some(name);
                texts(values, if is_mark { &self.prefix } else { "" })
            }
            Values::Times(_) => {
                let times = rows.map(|row| values.number(row));
                Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            Values::Days(_) => Arc::new(
                rows.map(|row| values.number(row).map(|day| day as i32)).collect::<Date32Array>(),
            ),
            Values::Flags(flags) => Arc::new(flags.iter().copied().collect::<BooleanArray>()),
            Values::Numbers { places, .. } => numbers(values, *places, kind),
        }
    }

    /// Makes the partitions that the rows need, and turns names of tickers into ids. Not part of
    /// what is timed: both come once.
    pub async fn make_room(
        &self,
        db: &Connection,
        batch: &RecordBatch,
    ) -> Result<RecordBatch, CommandError> {
        self.make_partitions(db, batch).await?;
        self.ids(db, batch).await
    }

    async fn make_partitions(
        &self,
        db: &Connection,
        batch: &RecordBatch,
    ) -> Result<(), CommandError> {
        let Some(time) = self.subject.dataset.time else { return Ok(()) };
        if self.target.table.partitioning.is_none() {
            return Ok(());
        }
        let Some(times) = batch.column_by_name(time) else { return Ok(()) };
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let Some((from, to)) = min(times).zip(max(times)) else { return Ok(()) };
        let mut covered = self.partitioned.lock().await;
        if covered.is_some_and(|(first, last)| first <= from && to < last) {
            return Ok(());
        }
        let (first, last) = covered.unwrap_or((from, to));
        // A day more, so that this is rare.
        let (first, last) = (first.min(from), last.max(to + DAY_US));
        db.execute_typed(
            "SELECT tidegate.make_partitions($1::text::regclass, $2, \
                 'epoch'::timestamptz + $3 * interval '1 microsecond', \
                 'epoch'::timestamptz + $4 * interval '1 microsecond')",
            &[
                (&self.subject.dataset.table.to_string(), Type::TEXT),
                (&self.subject.width, Type::TEXT),
                (&(first as f64), Type::FLOAT8),
                (&(last as f64), Type::FLOAT8),
            ],
        )
        .await
        .doing("making partitions")?;
        *covered = Some((first, last));
        Ok(())
    }

    async fn ids(&self, db: &Connection, batch: &RecordBatch) -> Result<RecordBatch, CommandError> {
        let Some(at) = batch.schema_ref().index_of("ticker_id").ok() else {
            return Ok(batch.clone());
        };
        let names = batch.column(at).as_string::<i32>();
        let known = || self.tickers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut missing: Vec<String> = {
            let known = known();
            names
                .iter()
                .flatten()
                .filter(|name| !known.contains_key(*name))
                .map(str::to_owned)
                .collect()
        };
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let found = resolve_tickers(db, MARK, &missing).await?;
            known().extend(found);
        }
        let ids: Int32Array = {
            let known = known();
            names.iter().map(|name| known.get(name?).copied()).collect()
        };
        let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
        let schema = batch.schema_ref();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            columns.push((field.name().as_str(), Arc::clone(column)));
        }
        columns[at].1 = Arc::new(ids);
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        RecordBatch::try_from_iter_with_nullable(columns)
            .map_err(|error| CommandError::Write(WriteError::Arrow(error)))
    }

    /// Writes a batch that [`Source::make_room`] gave. How many rows there were.
    pub async fn append(
        &self,
        db: &Connection,
        batch: &RecordBatch,
        buffer: &mut BytesMut,
    ) -> Result<u64, CommandError> {
        let make = || async { Appender::new(&self.target, batch.schema_ref()) };
        let appender = self.appender.get_or_try_init(make).await?;
        Ok(appender.append(db, batch, buffer).await?)
    }
}

fn texts(values: &Values, prefix: &str) -> ArrayRef {
    let mut marked = String::new();
    let mut builder = arrow::array::StringBuilder::new();
    for row in 0..values.len() {
        match values.text(row) {
            Some(text) if prefix.is_empty() => builder.append_value(text),
            Some(text) => {
                marked.clear();
                marked.push_str(prefix);
                marked.push_str(text);
                builder.append_value(&marked);
            }
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn numbers(values: &Values, places: u32, kind: Option<ValueKind>) -> ArrayRef {
    let rows = 0..values.len();
    match kind {
        Some(ValueKind::Integer) => {
            Arc::new(rows.map(|row| values.number(row)).collect::<Int64Array>())
        }
        Some(ValueKind::Decimal) => {
            let mut digits = Vec::new();
            let one = |row| {
                digits.clear();
                text::number(values.number(row)?, places, &mut digits);
                Some(String::from_utf8_lossy(&digits).into_owned())
            };
            Arc::new(rows.map(one).collect::<StringArray>())
        }
        _ => {
            let unit = 10_f64.powi(places as i32);
            let one = |row| values.number(row).map(|units| units as f64 / unit);
            Arc::new(rows.map(one).collect::<Float64Array>())
        }
    }
}

/// Times that share out a span.
fn spread(rows: Range<usize>, (from, to): (i64, i64)) -> ArrayRef {
    let count = rows.len().max(1) as i64;
    let times = rows.map(|row| from + (to - from) * row as i64 / count);
    Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
}
