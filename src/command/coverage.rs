//! What the tables hold where a run wrote, for the map of an HTML report: rows counted in the table
//! by series and time, folded to what can be looked at. The queries may take only so long; a report
//! without a map is still a report.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use tokio_postgres::types::Type;

use crate::column::quote_identifier;
use crate::db::{Connection, DbError, Doing as _};
use crate::limit::{COVERAGE_CELLS_MAX, COVERAGE_MS, COVERAGE_ROWS_MAX};
use crate::report::coverage::{Coverage, Series};
use crate::report::human;
use crate::report::model::Report;
use crate::write::Target;

use super::plan::{Planned, Planning};

const DOING: &str = "counting what the table holds, for the report";

/// A table that a map is drawn of.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    target: Arc<Target>,
    /// The column of the ticker's id, where tickers are rows of their own.
    ticker_id: Option<String>,
    /// Seconds from 1970 that the map covers at least, day by day; none: where the run wrote.
    pub span_s: Option<(f64, f64)>,
}

impl Subject {
    fn of(planned: &Planned) -> Self {
        Self {
            target: Arc::clone(&planned.route.target),
            ticker_id: planned.route.tickers.as_ref().map(|tickers| tickers.id_name.clone()),
            span_s: None,
        }
    }
}

/// Tables of a run, by name.
pub(super) type Subjects = BTreeMap<String, Subject>;

/// The tables of a plan.
pub(super) fn subjects(planning: &Planning) -> Subjects {
    let name = |planned: &Planned| planned.route.target.root().table.display_name();
    planning.loads.iter().map(|planned| (name(planned), Subject::of(planned))).collect()
}

/// Adds a map for each table that the run wrote to and that has a time. What cannot be counted is
/// said in the map's note.
pub(super) async fn gather(
    connection: &Connection,
    run_id: i64,
    subjects: &Subjects,
    report: &mut Report,
) {
    for (table, subject) in subjects {
        if !report.tables.contains_key(table) && report.totals.counts.read == 0 {
            continue;
        }
        match of_table(connection, run_id, subject).await {
            Ok(Some(coverage)) => report.coverage.push(coverage),
            Ok(None) => {}
            Err(error) => {
                // The connection is used again.
                let _ = connection.batch_execute("ROLLBACK").await;
                let note = match error.sqlstate() {
                    Some("57014") => format!(
                        "Not counted: it would have taken more than {} s.",
                        COVERAGE_MS / 1000
                    ),
                    _ => format!("Not counted: {error}"),
                };
                report.coverage.push(Coverage {
                    table: table.clone(),
                    unit: "time".to_owned(),
                    note: Some(note),
                    ..Coverage::default()
                });
            }
        }
    }
}

/// A portion of the run: its times in seconds, rejects and restated records.
struct Mark {
    range_s: Option<(f64, f64)>,
    rejected: u64,
    restated: u64,
}

async fn of_table(
    connection: &Connection,
    run_id: i64,
    subject: &Subject,
) -> Result<Option<Coverage>, DbError> {
    let target = &subject.target;
    let root = target.root();
    let Some(time) = target.time.and_then(|at| root.columns.get(at)) else { return Ok(None) };
    let name = root.table.display_name();
    let marks = marks(connection, run_id, &name).await?;
    let ranges = || marks.iter().filter_map(|mark| mark.range_s).chain(subject.span_s);
    let first = ranges().map(|(from, _)| from).fold(f64::INFINITY, f64::min);
    let last = ranges().map(|(_, to)| to).fold(f64::NEG_INFINITY, f64::max);
    if first > last {
        return Ok(None);
    }
    let unit = match (subject.span_s, unit(last - first)) {
        (Some(_), "minute" | "hour") => "day",
        (_, unit) => unit,
    };
    let columns = columns(unit, first, last);
    let sql = counting(subject, &time.name, unit);
    connection
        .batch_execute(&format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {COVERAGE_MS}; \
             SET LOCAL jit = off"
        ))
        .await?;
    let rows = connection
        .query_typed(&sql, &[(&first, Type::FLOAT8), (&last, Type::FLOAT8)])
        .await
        .doing(DOING)?;
    connection.batch_execute("COMMIT").await?;
    let mut counted: BTreeMap<String, BTreeMap<i64, u64>> = BTreeMap::new();
    for row in rows.iter().take(COVERAGE_CELLS_MAX) {
        let series = counted.entry(row.get(0)).or_default();
        *series.entry(row.get(1)).or_default() += row.get::<_, i64>(2).max(0).unsigned_abs();
    }
    let mut coverage = fold(&counted, &columns, unit);
    coverage.table = name;
    if rows.len() > COVERAGE_CELLS_MAX {
        let most = human::count(COVERAGE_CELLS_MAX as u64);
        coverage.note = Some(format!("Only the first {most} cells were counted."));
    }
    place(&marks, &columns, &mut coverage);
    Ok(Some(coverage))
}

/// The query that counts rows from `$1` to `$2` by series and unit of time.
fn counting(subject: &Subject, time: &str, unit: &str) -> String {
    let time = quote_identifier(time);
    let bucket = format!("date_trunc('{unit}', m.{time}::timestamptz AT TIME ZONE 'UTC')");
    let (series, join) = match &subject.ticker_id {
        Some(id) => {
            ("k.symbol", format!("JOIN public.tickers k ON k.id = m.{}", quote_identifier(id)))
        }
        None => ("'all rows'", String::new()),
    };
    format!(
        "SELECT {series}::text, extract(epoch FROM {bucket})::int8, count(*) FROM {table} m {join} \
         WHERE m.{time} >= to_timestamp($1) AND m.{time} <= to_timestamp($2) \
         GROUP BY 1, 2 LIMIT {}",
        COVERAGE_CELLS_MAX + 1,
        table = subject.target.root().table.sql_name(),
    )
}

async fn marks(connection: &Connection, run_id: i64, table: &str) -> Result<Vec<Mark>, DbError> {
    let sql = include_str!("sql/report_marks.sql");
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&run_id, Type::INT8), (&table, Type::TEXT)];
    let rows = connection.query_typed(sql, &parameters).await.doing(DOING)?;
    let mark = |row: &tokio_postgres::Row| {
        let time = |column: &str| row.get::<_, Option<f64>>(column).filter(|s| s.is_finite());
        let count =
            |column: &str| row.get::<_, Option<i64>>(column).unwrap_or(0).max(0).unsigned_abs();
        Mark {
            range_s: time("from_s").zip(time("to_s")),
            rejected: count("rejected"),
            restated: count("restated"),
        }
    };
    Ok(rows.iter().map(mark).collect())
}

/// The unit of time by which a range makes no more than about a hundred columns.
fn unit(seconds: f64) -> &'static str {
    const DAY: f64 = 86_400.0;
    match seconds {
        s if s <= 5_400.0 => "minute",
        s if s <= 4.0 * DAY => "hour",
        s if s <= 100.0 * DAY => "day",
        s if s <= 700.0 * DAY => "week",
        s if s <= 3_000.0 * DAY => "month",
        s if s <= 9_000.0 * DAY => "quarter",
        _ => "year",
    }
}

/// When the columns begin, in seconds since 1970.
fn columns(unit: &str, first: f64, last: f64) -> Vec<i64> {
    let moment = |seconds: f64| {
        Timestamp::from_second(seconds.floor() as i64).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let at = moment(first).to_zoned(TimeZone::UTC).datetime();
    let midnight = at.date().at(0, 0, 0, 0);
    let month_first = at.date().first_of_month();
    let quarter_month = (at.month() - 1) / 3 * 3 + 1;
    let (start, step) = match unit {
        "minute" => (at.date().at(at.hour(), at.minute(), 0, 0), jiff::Span::new().minutes(1)),
        "hour" => (at.date().at(at.hour(), 0, 0, 0), jiff::Span::new().hours(1)),
        "day" => (midnight, jiff::Span::new().days(1)),
        "week" => {
            let back = i64::from(at.weekday().to_monday_zero_offset());
            (midnight.saturating_sub(jiff::Span::new().days(back)), jiff::Span::new().weeks(1))
        }
        "month" => (month_first.at(0, 0, 0, 0), jiff::Span::new().months(1)),
        "quarter" => {
            let first = jiff::civil::date(at.year(), quarter_month, 1);
            (first.at(0, 0, 0, 0), jiff::Span::new().months(3))
        }
        _ => (at.date().first_of_year().at(0, 0, 0, 0), jiff::Span::new().years(1)),
    };
    let seconds = |time: jiff::civil::DateTime| {
        time.to_zoned(TimeZone::UTC).map_or(i64::MAX, |zoned| zoned.timestamp().as_second())
    };
    let times = start.series(step).map(seconds);
    times.take_while(|at| (*at as f64) <= last).take(COLUMNS_MAX).collect()
}

/// Columns of a map, whatever the range: years before Christ are somebody's mistake.
const COLUMNS_MAX: usize = 200;

/// The grid: series in the order of their names, several in a row where they are too many.
fn fold(counted: &BTreeMap<String, BTreeMap<i64, u64>>, columns: &[i64], unit: &str) -> Coverage {
    let anybody: Vec<bool> = columns.iter().map(|at| somebody(counted, *at, unit)).collect();
    let names: Vec<&String> = counted.keys().collect();
    let mut grid = Vec::new();
    for group in names.chunks(names.len().div_ceil(COVERAGE_ROWS_MAX).max(1)) {
        let mut row = Series {
            name: match group {
                [one] => (*one).clone(),
                _ => format!("{} to {}", group[0], group[group.len() - 1]),
            },
            count: group.len() as u64,
            rejected: vec![0; columns.len()],
            restated: vec![0; columns.len()],
            ..Series::default()
        };
        for (at, column) in columns.iter().enumerate() {
            let rows = |name: &&String| counted[*name].get(column).copied().unwrap_or(0);
            row.rows.push(group.iter().map(rows).sum());
            let without = group.iter().filter(|name| rows(name) == 0).count() as u64;
            row.missing.push(if anybody[at] { without } else { 0 });
        }
        grid.push(row);
    }
    Coverage {
        unit: unit.to_owned(),
        columns: columns.iter().map(|at| moment(*at).to_string()).collect(),
        series_total: names.len() as u64,
        series: grid,
        ..Coverage::default()
    }
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whether rows are to be expected in a column: others have some, or, where there are no others, it
/// is no weekend.
fn somebody(counted: &BTreeMap<String, BTreeMap<i64, u64>>, at: i64, unit: &str) -> bool {
    if counted.len() > 1 {
        return counted.values().any(|rows| rows.contains_key(&at));
    }
    let weekday = moment(at).to_zoned(TimeZone::UTC).weekday();
    let weekend = matches!(weekday, Weekday::Saturday | Weekday::Sunday);
    match unit {
        // Nobody knows the hours of one series.
        "minute" | "hour" => false,
        "day" => !weekend,
        _ => true,
    }
}

/// Puts rejects and restated records where their portions are, in a row of their own: which series
/// they belong to, portions do not say. Those of portions that are wider than two columns are
/// nowhere.
fn place(marks: &[Mark], columns: &[i64], coverage: &mut Coverage) {
    let column =
        |seconds: f64| columns.partition_point(|at| *at as f64 <= seconds).saturating_sub(1);
    let mut all = Series {
        name: "about here".to_owned(),
        rows: vec![0; columns.len()],
        missing: vec![0; columns.len()],
        rejected: vec![0; columns.len()],
        restated: vec![0; columns.len()],
        ..Series::default()
    };
    for row in &coverage.series {
        all.rows.iter_mut().zip(&row.rows).for_each(|(sum, rows)| *sum += rows);
    }
    let mut marked = false;
    for mark in marks.iter().filter(|mark| mark.rejected + mark.restated > 0) {
        let here = mark.range_s.map(|(from, to)| (column(from), column(to)));
        match here.filter(|(from, to)| to - from <= 1 && *to < columns.len()) {
            Some((from, _)) => {
                all.rejected[from] += mark.rejected;
                all.restated[from] += mark.restated;
                marked = true;
            }
            None => coverage.rejected_elsewhere += mark.rejected,
        }
    }
    if marked {
        coverage.series.insert(0, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(date: &str) -> i64 {
        format!("{date}T00:00:00Z").parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn columns_begin_where_their_unit_does() {
        let first = day("2024-02-28") as f64 + 3_700.0;
        let of = |unit, last: &str| columns(unit, first, day(last) as f64);
        assert_eq!(of("day", "2024-03-01"), ["2024-02-28", "2024-02-29", "2024-03-01"].map(day));
        assert_eq!(of("week", "2024-03-04"), ["2024-02-26", "2024-03-04"].map(day));
        assert_eq!(of("month", "2024-03-31"), ["2024-02-01", "2024-03-01"].map(day));
        assert_eq!(of("quarter", "2024-04-01"), ["2024-01-01", "2024-04-01"].map(day));
        assert_eq!(of("year", "2025-01-01"), ["2024-01-01", "2025-01-01"].map(day));
        assert_eq!(of("hour", "2024-02-28"), [0; 0], "the end is before the start");
        for (days, columns_max) in [(0.05, 100), (3.0, 100), (99.0, 102), (699.0, 102)] {
            let unit = unit(days * 86_400.0);
            assert!(columns(unit, first, first + days * 86_400.0).len() <= columns_max, "{unit}");
        }
        assert!(columns("year", -1e12, 1e12).len() <= COLUMNS_MAX);
    }

    #[test]
    fn what_others_have_is_missing() {
        let days = ["2024-06-06", "2024-06-07", "2024-06-08"].map(day);
        let mut counted = BTreeMap::from([
            ("A".to_owned(), BTreeMap::from([(days[0], 5), (days[1], 7)])),
            ("B".to_owned(), BTreeMap::from([(days[0], 5)])),
        ]);
        let coverage = fold(&counted, &days, "day");
        assert_eq!(coverage.series[0].rows, [5, 7, 0]);
        assert_eq!(coverage.series[0].missing, [0, 0, 0]);
        assert_eq!(coverage.series[1].missing, [0, 1, 0]);
        counted.remove("A");
        let alone = fold(&counted, &days, "day");
        assert_eq!(alone.series[0].missing, [0, 1, 0], "a Friday, and a Saturday");
        for number in 0..1_000 {
            counted.insert(format!("S{number:04}"), BTreeMap::from([(days[0], 1)]));
        }
        let many = fold(&counted, &days, "day");
        assert!(many.series.len() <= COVERAGE_ROWS_MAX, "{}", many.series.len());
        assert_eq!(many.series.iter().map(|row| row.count).sum::<u64>(), 1_001);
        assert_eq!(many.series_total, 1_001);
    }

    #[test]
    fn rejects_are_placed_where_their_portion_is() {
        let days = ["2024-06-06", "2024-06-07", "2024-06-08", "2024-06-09"].map(day);
        let mark = |from: i64, to: i64| Mark {
            range_s: Some((from as f64 + 60.0, to as f64 + 60.0)),
            rejected: 2,
            restated: 1,
        };
        let mut coverage = Coverage::default();
        let nowhere = Mark { range_s: None, rejected: 4, restated: 0 };
        let marks = [mark(days[1], days[1]), mark(days[0], days[3]), nowhere];
        place(&marks, &days, &mut coverage);
        assert_eq!(coverage.series[0].rejected, [0, 2, 0, 0]);
        assert_eq!(coverage.series[0].restated, [0, 1, 0, 0]);
        assert_eq!(coverage.rejected_elsewhere, 6);
    }
}
