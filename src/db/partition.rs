//! Range partitions by time: which are there, which are needed, and making them without stopping
//! readers. It never drops, detaches or moves one. The planner and writers call it.

use crate::column::{TargetTable, TimeRanges, quote_identifier};
use crate::limit::{PARTITIONS_PER_LOAD_MAX, PARTITIONS_PER_TRANSACTION_MAX};

use super::Connection;
use super::error::{DbError, Doing};
use tokio_postgres::types::Type;

/// Microseconds in a day.
const DAY_US: i64 = 86_400_000_000;

/// The ranges of the partitions of table `oid`, `None` if one of them cannot be told: it is
/// partitioned itself, or its bound is no point in time.
pub(super) async fn read_ranges(
    connection: &Connection,
    oid: u32,
) -> Result<Option<TimeRanges>, DbError> {
    // Bounds are printed in the session's zone; `set_config(.., true)` lasts for the statement,
    // and its columns are returned so that it is not optimised away.
    const SQL: &str = "\
SELECT c.relkind::text, pg_catalog.pg_get_expr(c.relpartbound, c.oid), s.zone, s.style
FROM (SELECT pg_catalog.set_config('TimeZone', 'UTC', true) AS zone,
             pg_catalog.set_config('DateStyle', 'ISO, YMD', true) AS style OFFSET 0) s,
     pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1";
    let rows = connection
        .query_typed(SQL, &[(&oid, Type::OID)])
        .await
        .doing("reading the table's partitions")?;
    let mut ranges = Vec::with_capacity(rows.len());
    for row in rows {
        let kind: &str = row.try_get(0)?;
        let bound: Option<&str> = row.try_get(1)?;
        let bound = bound.unwrap_or_default();
        if bound == "DEFAULT" {
            continue;
        }
        match parse_bound(bound) {
            Some(range) if kind != "p" => ranges.push(range),
            _ => return Ok(None),
        }
    }
    ranges.sort_unstable();
    Ok(Some(TimeRanges { ranges }))
}

/// `FOR VALUES FROM ('2024-01-01 00:00:00+00') TO (MAXVALUE)` in microseconds from 1970.
fn parse_bound(text: &str) -> Option<(i64, i64)> {
    let rest = text.strip_prefix("FOR VALUES FROM (")?;
    let (from, to) = rest.strip_suffix(')')?.split_once(") TO (")?;
    Some((parse_edge(from)?, parse_edge(to)?))
}

fn parse_edge(text: &str) -> Option<i64> {
    match text {
        "MINVALUE" => return Some(i64::MIN),
        "MAXVALUE" => return Some(i64::MAX),
        _ => {}
    }
    match text.strip_prefix('\'')?.strip_suffix('\'')? {
        "-infinity" => Some(i64::MIN),
        "infinity" => Some(i64::MAX),
        literal => parse_time(literal),
    }
}

/// `2024-01-01`, `2024-01-01 00:00:00.5`, `... +00`, `0044-03-15 BC`.
fn parse_time(text: &str) -> Option<i64> {
    let (text, bc) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let text = text.strip_suffix("+00").unwrap_or(text);
    let (date, time) = text.split_once(' ').unwrap_or((text, "00:00:00"));
    let mut parts = date.splitn(3, '-');
    let year: i64 = parts.next()?.parse().ok()?;
    let month: u8 = parts.next()?.parse().ok()?;
    let day: u8 = parts.next()?.parse().ok()?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut clock = time.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let days = days_from_civil(if bc { 1 - year } else { year }, month, day);
    let seconds = hour * 3600 + minute * 60 + second;
    days.checked_mul(DAY_US)?.checked_add(seconds * 1_000_000 + micros)
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    // Both are in calendar range by construction.
    (year, u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
}
