//! What the table holds of each day, beside what the source counts and its calendar expects.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use tokio_postgres::types::{ToSql, Type};

use super::SourceRequest;
use super::manifest::Totals;
use crate::column::quote_identifier;
use crate::command::CommandError;
use crate::dataset::{self, Dataset};
use crate::db::{Connection, Doing as _, catalog};

/// How rows of a source's table are counted by day.
pub(super) struct Counting {
    dataset: &'static Dataset,
    /// As `schema.table`, as the ledger has it.
    pub target: String,
    sql_name: String,
    /// The day of a row, an SQL expression of `$1`, the zone.
    day: String,
    time: String,
    /// The ticker's text, and what it takes.
    ticker: Option<(String, &'static str)>,
    conditions: Vec<(String, String)>,
    zone: String,
}

/// Columns that hold a ticker's text, the first that is there.
const TICKERS: [&str; 3] = ["symbol", "ticker", "underlying"];

impl Counting {
    /// How the rows of a source are counted; `None` while there is no table yet.
    pub async fn of(
        connection: &Connection,
        source: &SourceRequest,
        dataset: &'static Dataset,
    ) -> Result<Option<Self>, CommandError> {
        let (schema, name) = match &source.load.table {
            Some(table) => catalog::parse_table_name(table)?,
            None => (Some(dataset.table.schema.to_owned()), dataset.table.name.to_owned()),
        };
        let Some(table) = catalog::load_table(connection, schema.as_deref(), &name).await? else {
            return Ok(None);
        };
        let column = |name: &str| table.columns.iter().find(|column| column.name == name);
        let Some(time) = dataset.time.and_then(column) else {
            return Err(CommandError::Refused(format!(
                "{} has no column {}, so its rows cannot be counted by day: leave manifest and \
                 calendar out",
                table.display_name(),
                dataset.time.unwrap_or("of time")
            )));
        };
        let quoted = format!("t.{}", quote_identifier(&time.name));
        let day = match time.type_name.as_str() {
            "date" => quoted.clone(),
            "timestamp without time zone" => {
                format!("({quoted} AT TIME ZONE 'UTC' AT TIME ZONE $1)::date")
            }
            _ => format!("({quoted} AT TIME ZONE $1)::date"),
        };
        let mut counting = Self {
            dataset,
            target: table.display_name(),
            sql_name: table.sql_name(),
            day,
            time: quoted,
            ticker: None,
            conditions: Vec::new(),
            zone: source.zone.clone(),
        };
        let facts = &source.load.facts;
        counting.ticker = if column("ticker_id").is_some() {
            const JOIN: &str = "JOIN public.tickers k ON k.id = t.ticker_id";
            Some(("k.symbol".to_owned(), JOIN))
        } else {
            let named = TICKERS.into_iter().find(|name| column(name).is_some());
            named.map(|name| (format!("t.{}", quote_identifier(name)), ""))
        };
        if let (Some(symbol), Some((ticker, _))) = (&facts.symbol, &counting.ticker) {
            counting.conditions.push((ticker.clone(), symbol.clone()));
        }
        if let (Some(interval), Some(_)) = (&facts.interval, column("interval")) {
            counting.conditions.push(("t.\"interval\"".to_owned(), interval.clone()));
        }
        if let (Some(venue), Some(_)) = (&facts.venue, column("ticker_id")) {
            counting.conditions.push(("k.venue".to_owned(), venue.clone()));
        }
        Ok(Some(counting))
    }

    /// Rows by day, from the first of the days to the last.
    pub async fn by_day(
        &self,
        connection: &Connection,
        days: &[Date],
        by_ticker: bool,
    ) -> Result<Totals, CommandError> {
        let (Some(first), Some(last)) = (days.first(), days.last()) else {
            return Ok(Totals::new());
        };
        if by_ticker && self.ticker.is_none() {
            return Err(CommandError::Refused(format!(
                "the manifest counts by ticker, and {} ({}) has none",
                self.target, self.dataset.name
            )));
        }
        let needs_join = by_ticker || self.conditions.iter().any(|(of, _)| of.starts_with("k."));
        let join = match &self.ticker {
            Some((_, join)) if needs_join => join,
            _ => "",
        };
        let ticker = match &self.ticker {
            Some((ticker, _)) if by_ticker => format!("{ticker}::text"),
            _ => "NULL::text".to_owned(),
        };
        let (first, last) = (first.to_string(), last.to_string());
        let mut conditions = String::new();
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            vec![(&self.zone, Type::TEXT), (&first, Type::TEXT), (&last, Type::TEXT)];
        for (of, value) in &self.conditions {
            parameters.push((value, Type::TEXT));
            conditions.push_str(&format!(" AND {of} = ${}", parameters.len()));
        }
        let Self { day, time, sql_name, .. } = self;
        // A day more on both sides whatever the type of the column makes of its ends.
        let sql = format!(
            "SELECT d::text, ticker, n FROM ( \
                 SELECT {day} AS d, {ticker} AS ticker, count(*) AS n FROM {sql_name} t {join} \
                 WHERE {time} >= ($2::text::timestamp AT TIME ZONE $1) - interval '1 day' \
                   AND {time} < ($3::text::timestamp AT TIME ZONE $1) + interval '2 days'\
                   {conditions} \
                 GROUP BY 1, 2) c \
             WHERE d BETWEEN $2::text::date AND $3::text::date"
        );
        let rows = connection
            .query_typed(&sql, &parameters)
            .await
            .doing(format!("counting the rows of {} by day", self.target))?;
        let mut totals = Totals::new();
        for row in rows {
            let (day, ticker, n): (String, Option<String>, i64) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if let Ok(day) = day.parse::<Date>() {
                totals.insert((day, ticker), n.max(0).unsigned_abs());
            }
        }
        Ok(totals)
    }

    /// Those of the days of which retention dropped something: what is missing there is not short.
    pub async fn dropped(
        &self,
        connection: &Connection,
        days: &[Date],
    ) -> Result<BTreeSet<Date>, CommandError> {
        let days: Vec<String> = days.iter().map(Date::to_string).collect();
        let sql = "SELECT d FROM unnest($2::text[]) AS d WHERE EXISTS ( \
                       SELECT FROM tidegate.dropped_range r WHERE r.target = $1 \
                           AND r.from_ts < d::timestamptz + interval '2 days' \
                           AND r.to_ts > d::timestamptz - interval '1 day')";
        let rows = connection
            .query_typed(sql, &[(&self.target, Type::TEXT), (&days, Type::TEXT_ARRAY)])
            .await?;
        let day = |row: &tokio_postgres::Row| row.get::<_, String>(0).parse().ok();
        Ok(rows.iter().filter_map(day).collect())
    }
}

/// The dataset of a source: as configured, else the one that all of its loads have.
pub(super) async fn dataset_of(
    connection: &Connection,
    source: &SourceRequest,
    loads: &[i64],
) -> Result<Option<&'static Dataset>, CommandError> {
    if let Some(name) = &source.load.facts.dataset {
        return Ok(dataset::by_name(name));
    }
    let sql = "SELECT DISTINCT c.dataset FROM tidegate.load l \
               JOIN tidegate.content c ON c.id = l.content_id WHERE l.id = ANY($1)";
    let rows = connection.query_typed(sql, &[(&loads, Type::INT8_ARRAY)]).await?;
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    match names.as_slice() {
        [] => Ok(None),
        [name] => Ok(dataset::by_name(name)),
        several => Err(CommandError::Refused(format!(
            "its files hold {}: say by `dataset` which of them manifest and calendar are about",
            several.join(" and ")
        ))),
    }
}

/// Sources of loads that may have rows of a day.
pub(super) async fn covering(
    connection: &Connection,
    loads: &[i64],
    day: Date,
) -> Result<Vec<String>, CommandError> {
    let sql = "SELECT DISTINCT l.source FROM tidegate.load l \
               JOIN tidegate.portion p ON p.set_id = l.set_id \
               WHERE l.id = ANY($1) AND (p.from_ts IS NULL \
                   OR p.from_ts < $2::text::timestamptz + interval '2 days' \
                      AND p.to_ts >= $2::text::timestamptz - interval '1 day')";
    let day = day.to_string();
    let rows =
        connection.query_typed(sql, &[(&loads, Type::INT8_ARRAY), (&day, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Days that stayed short before although their files were loaded again: expected and found.
pub(super) async fn known_short(
    connection: &Connection,
    source: &str,
) -> Result<BTreeMap<(Date, Option<String>), (u64, u64)>, CommandError> {
    let sql = "SELECT day::text, ticker, expected, found FROM tidegate.short_day WHERE source = $1";
    let rows = connection.query_typed(sql, &[(&source, Type::TEXT)]).await?;
    let mut known = BTreeMap::new();
    for row in rows {
        let (day, ticker): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (expected, found): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        if let Ok(day) = day.parse() {
            let ticker = Some(ticker).filter(|ticker| !ticker.is_empty());
            known.insert((day, ticker), (expected.unsigned_abs(), found.unsigned_abs()));
        }
    }
    Ok(known)
}

/// Keeps which days are short now.
pub(super) async fn keep_short(
    connection: &Connection,
    source: &str,
    run_id: i64,
    short: &BTreeMap<(Date, Option<String>), (u64, u64)>,
) -> Result<(), CommandError> {
    let days: Vec<String> = short.keys().map(|(day, _)| day.to_string()).collect();
    let tickers: Vec<&str> =
        short.keys().map(|(_, ticker)| ticker.as_deref().unwrap_or_default()).collect();
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let expected: Vec<i64> = short.values().map(|&(expected, _)| number(expected)).collect();
    let found: Vec<i64> = short.values().map(|&(_, found)| number(found)).collect();
    connection.batch_execute("BEGIN").await?;
    connection
        .execute_typed("DELETE FROM tidegate.short_day WHERE source = $1", &[(&source, Type::TEXT)])
        .await?;
    connection
        .execute_typed(
            "INSERT INTO tidegate.short_day (source, day, ticker, expected, found, run_id) \
             SELECT $1, d::date, t, e, f, $6 \
             FROM unnest($2::text[], $3::text[], $4::int8[], $5::int8[]) AS s (d, t, e, f)",
            &[
                (&source, Type::TEXT),
                (&days, Type::TEXT_ARRAY),
                (&tickers, Type::TEXT_ARRAY),
                (&expected, Type::INT8_ARRAY),
                (&found, Type::INT8_ARRAY),
                (&run_id, Type::INT8),
            ],
        )
        .await?;
    connection.batch_execute("COMMIT").await?;
    Ok(())
}
