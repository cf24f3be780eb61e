//! Range partitions by time: which are there, which are needed, and making them without stopping
//! readers. It never drops, detaches or moves one. The planner and writers call it.

use std::collections::HashSet;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::column::{PgType, TargetTable, TimeRanges, quote_identifier};
use crate::limit::{PARTITIONS_PER_LOAD_MAX, PARTITIONS_PER_TRANSACTION_MAX};

use super::Connection;
use super::error::{DbError, Doing};

/// Microseconds in a day.
const DAY_US: i64 = 86_400_000_000;

/// The ranges of the partitions of table `oid`, `None` if one of them cannot be told: it is
/// partitioned itself, or its bound is no point in time.
pub(super) async fn read_ranges(client: &Client, oid: u32) -> Result<Option<TimeRanges>, DbError> {
    // Bounds are printed in the session's zone; `set_config(.., true)` lasts for the statement,
    // and its columns are returned so that it is not optimised away.
    const SQL: &str = "\
SELECT c.relkind::text, pg_catalog.pg_get_expr(c.relpartbound, c.oid), s.zone, s.style
FROM (SELECT pg_catalog.set_config('TimeZone', 'UTC', true) AS zone,
             pg_catalog.set_config('DateStyle', 'ISO, YMD', true) AS style OFFSET 0) s,
     pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1";
    let rows = client
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

/// How much time a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// A day, UTC.
    Day,
    /// A calendar month, UTC.
    Month,
    /// A calendar year, UTC.
    Year,
}

impl Width {
    /// The next narrower width.
    fn narrower(self) -> Option<Self> {
        match self {
            Width::Day => None,
            Width::Month => Some(Width::Day),
            Width::Year => Some(Width::Month),
        }
    }

    /// The next wider width.
    pub fn wider(self) -> Option<Self> {
        match self {
            Width::Day => Some(Width::Month),
            Width::Month => Some(Width::Year),
            Width::Year => None,
        }
    }

    /// How many days that is, about.
    pub fn days(self) -> i64 {
        match self {
            Width::Day => 1,
            Width::Month => 30,
            Width::Year => 365,
        }
    }

    /// The aligned range of this width that holds `ts_us`; `None` at the ends of time.
    fn around(self, ts_us: i64) -> Option<(i64, i64)> {
        let days = ts_us.div_euclid(DAY_US);
        let (year, month, _) = civil_from_days(days);
        let (from, to) = match self {
            Width::Day => (days, days + 1),
            Width::Month => {
                let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (days_from_civil(year, month, 1), days_from_civil(next_year, next, 1))
            }
            Width::Year => (days_from_civil(year, 1, 1), days_from_civil(year + 1, 1, 1)),
        };
        Some((from.checked_mul(DAY_US)?, to.checked_mul(DAY_US)?))
    }
}

/// The ranges that must be added to `existing` so that all of `[min_us, max_us]` (microseconds
/// from 1970 UTC, both included) has a partition: aligned to `width` in UTC, narrower where one
/// of that width would overlap what is there, and where even a day would, the gap itself. Sorted,
/// disjoint, none that is not needed.
///
/// # Errors
/// [`DbError::Partition`] if more than [`PARTITIONS_PER_LOAD_MAX`] would be needed, or the range
/// is the wrong way round or beyond what a timestamp holds.
pub fn plan_partitions(
    existing: &TimeRanges,
    min_us: i64,
    max_us: i64,
    width: Width,
) -> Result<Vec<(i64, i64)>, DbError> {
    if min_us > max_us {
        return Err(DbError::Partition("the time range to partition is empty".to_owned()));
    }
    let mut planned = Vec::new();
    let mut at = min_us;
    while at <= max_us {
        if let Some(&(_, to)) = holding(existing, at) {
            at = to;
            continue;
        }
        let range = range_for(existing, at, width).ok_or_else(|| {
            DbError::Partition(format!("time {at} (microseconds from 1970) is out of range"))
        })?;
        planned.push(range);
        at = range.1;
        if planned.len() > PARTITIONS_PER_LOAD_MAX {
            return Err(DbError::Partition(format!(
                "the data span more than {PARTITIONS_PER_LOAD_MAX} partitions: load them in \
                 parts with --from and --to, or make wider partitions first"
            )));
        }
    }
    Ok(planned)
}

/// The range of the partition that holds `ts_us` (microseconds from 1970 UTC): an existing one, or
/// the one that [`plan_partitions`] would make. `None` beyond the ends of time.
pub fn range_of(existing: &TimeRanges, ts_us: i64, width: Width) -> Option<(i64, i64)> {
    match holding(existing, ts_us) {
        Some(&range) => Some(range),
        None => range_for(existing, ts_us, width),
    }
}

/// The existing range that holds `at`.
fn holding(existing: &TimeRanges, at: i64) -> Option<&(i64, i64)> {
    let end = existing.ranges.partition_point(|range| range.0 <= at);
    existing.ranges[..end].last().filter(|range| at < range.1)
}

/// The widest range around `at` that overlaps nothing; `at` is in a gap.
fn range_for(existing: &TimeRanges, at: i64, width: Width) -> Option<(i64, i64)> {
    let end = existing.ranges.partition_point(|range| range.0 <= at);
    let gap_from = existing.ranges[..end].last().map_or(i64::MIN, |range| range.1);
    let gap_to = existing.ranges.get(end).map_or(i64::MAX, |range| range.0);
    let mut try_width = Some(width);
    let mut narrowest = None;
    while let Some(width) = try_width {
        let (from, to) = width.around(at)?;
        if from >= gap_from && to <= gap_to {
            return Some((from, to));
        }
        narrowest = Some((from.max(gap_from), to.min(gap_to)));
        try_width = width.narrower();
    }
    narrowest
}

/// The advisory lock class under which partitions of one table are made ("part" in ASCII), so
/// that two processes do not plan the same ones.
const LOCK_CLASS: i32 = 0x7061_7274;

/// Makes partitions for the `needed` ranges (microseconds from 1970 UTC, half-open, as
/// [`plan_partitions`] gives them) that are not covered yet; says how many were made. Ranges
/// that another process made meanwhile are left out. Each is made as a table and attached, which
/// readers and writers of the parent do not notice; committed in groups, durably.
///
/// # Errors
/// [`DbError::Partition`] if the table is not partitioned by one time column, or a range
/// overlaps one that came into being meanwhile: plan again. [`DbError::Server`].
pub async fn ensure_partitions(
    connection: &mut Connection,
    table: &TargetTable,
    needed: &[(i64, i64)],
) -> Result<usize, DbError> {
    let time_column = table.partitioning.as_ref().and_then(|p| p.time_column.as_deref());
    let Some(kind) = time_column.and_then(|name| table.column(name)?.pg_type) else {
        return Err(DbError::Partition(format!(
            "{} is not partitioned by ranges of one time column: make its partitions yourself",
            table.display_name()
        )));
    };
    let mut made = 0;
    for group in needed.chunks(PARTITIONS_PER_TRANSACTION_MAX) {
        let doing = || format!("making partitions of {}", table.display_name());
        let transaction = connection
            .build_transaction()
            .isolation_level(IsolationLevel::ReadCommitted)
            .read_only(false)
            .start()
            .await
            .doing(doing())?;
        made += make_group(&transaction, table, kind, group).await?;
        transaction.commit().await.doing(doing())?;
    }
    Ok(made)
}

async fn make_group(
    transaction: &Transaction<'_>,
    table: &TargetTable,
    kind: PgType,
    group: &[(i64, i64)],
) -> Result<usize, DbError> {
    let doing = || format!("making partitions of {}", table.display_name());
    transaction.batch_execute("SET LOCAL synchronous_commit = on").await?;
    // The class and the table's OID, whose bits are all that matters here.
    let object = i32::from_ne_bytes(table.oid.to_ne_bytes());
    transaction
        .query_typed(
            "SELECT pg_catalog.pg_advisory_xact_lock($1, $2)::text",
            &[(&LOCK_CLASS, Type::INT4), (&object, Type::INT4)],
        )
        .await
        .doing(doing())?;
    let Some(existing) = read_ranges(transaction.client(), table.oid).await? else {
        return Err(DbError::Partition(format!(
            "{} has partitions that are partitioned themselves: make its partitions yourself",
            table.display_name()
        )));
    };
    let place = read_place(transaction.client(), table.oid).await?;
    let mut taken = names_in_schema(transaction.client(), &table.schema).await?;
    let mut made = 0;
    for &range in group {
        if range.0 >= range.1 || existing.covers(range.0, range.1 - 1) {
            continue;
        }
        if existing.ranges.iter().any(|other| other.0 < range.1 && range.0 < other.1) {
            return Err(DbError::Partition(format!(
                "{} got a partition that overlaps {}: try again",
                table.display_name(),
                bounds(range, kind)
            )));
        }
        let name = free_name(&table.name, range, &taken);
        let sql = partition_sql(table, &name, &place, &bounds(range, kind));
        transaction.batch_execute(&sql).await.doing(format!("{}: {name}", doing()))?;
        taken.insert(name);
        made += 1;
    }
    Ok(made)
}

/// What a partition takes from its parent and `LIKE` does not copy.
pub(super) struct Place {
    /// ` TABLESPACE x`, or nothing.
    pub tablespace: String,
    /// The parent's owner, if it is not the current role.
    pub owner: Option<String>,
}

pub(super) async fn read_place(client: &Client, oid: u32) -> Result<Place, DbError> {
    const SQL: &str = "\
SELECT t.spcname::text, CASE WHEN r.rolname <> current_user THEN r.rolname::text END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace
WHERE c.oid = $1";
    let row = client
        .query_typed_opt(SQL, &[(&oid, Type::OID)])
        .await
        .doing("reading the table's owner and tablespace")?
        .ok_or_else(|| DbError::Partition("the table was dropped meanwhile".to_owned()))?;
    let tablespace: Option<&str> = row.try_get(0)?;
    Ok(Place {
        tablespace: tablespace
            .map_or_else(String::new, |name| format!(" TABLESPACE {}", quote_identifier(name))),
        owner: row.try_get(1)?,
    })
}

/// `PARTITION OF` would lock the parent against everybody; a table made apart and attached only
/// keeps other schema changes out. Identities come with the attachment.
fn partition_sql(table: &TargetTable, name: &str, place: &Place, bounds: &str) -> String {
    let parent = table.sql_name();
    let partition = format!("{}.{}", quote_identifier(&table.schema), quote_identifier(name));
    let owner = place.owner.as_ref().map_or_else(String::new, |owner| {
        format!("ALTER TABLE {partition} OWNER TO {}; ", quote_identifier(owner))
    });
    format!(
        "CREATE TABLE {partition} (LIKE {parent} INCLUDING ALL EXCLUDING IDENTITY){}; {owner}\
         ALTER TABLE {parent} ATTACH PARTITION {partition} {bounds}",
        place.tablespace
    )
}

pub(super) fn bounds(range: (i64, i64), kind: PgType) -> String {
    format!("FOR VALUES FROM ({}) TO ({})", edge(range.0, kind), edge(range.1, kind))
}

/// A bound as SQL, the reverse of [`parse_edge`].
pub(super) fn edge(us: i64, kind: PgType) -> String {
    match us {
        i64::MIN => return "MINVALUE".to_owned(),
        i64::MAX => return "MAXVALUE".to_owned(),
        _ => {}
    }
    let (year, month, day) = civil_from_days(us.div_euclid(DAY_US));
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    if kind == PgType::Date {
        return format!("'{year:04}-{month:02}-{day:02}{era}'");
    }
    let of_day = us.rem_euclid(DAY_US);
    let seconds = of_day / 1_000_000;
    let zone = if kind == PgType::Timestamptz { "+00" } else { "" };
    format!(
        "'{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{:06}{zone}{era}'",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        of_day % 1_000_000
    )
}

pub(super) async fn names_in_schema(
    client: &Client,
    schema: &str,
) -> Result<HashSet<String>, DbError> {
    const SQL: &str = "\
SELECT c.relname::text FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1";
    let rows = client
        .query_typed(SQL, &[(&schema, Type::TEXT)])
        .await
        .doing("listing names of partitions")?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The longest identifier, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// `start` and `suffix` as one identifier; what is too long of `start` is left out.
pub(super) fn fitting_name(start: &str, suffix: &str) -> String {
    let mut end = start.len().min(NAME_BYTES_MAX.saturating_sub(suffix.len()));
    while !start.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &start[..end])
}

/// `market_data_p2024`, `_p2024_01` or `_p2024_01_31`, by what the range is; with a number behind
/// it if it is only a part of that, or the name is taken.
pub(super) fn free_name(table: &str, range: (i64, i64), taken: &HashSet<String>) -> String {
    let (year, month, day) = civil_from_days(range.0.div_euclid(DAY_US));
    let year = if year > 0 { format!("{year:04}") } else { format!("{:04}bc", 1 - year) };
    let is = |width: Width| width.around(range.0) == Some(range);
    let (suffix, exact) = if is(Width::Year) {
        (format!("_p{year}"), true)
    } else if is(Width::Month) {
        (format!("_p{year}_{month:02}"), true)
    } else {
        (format!("_p{year}_{month:02}_{day:02}"), is(Width::Day))
    };
    let shortened = |suffix: &str| fitting_name(table, suffix);
    let plain = shortened(&suffix);
    if exact && !taken.contains(&plain) {
        return plain;
    }
    // More numbers than names, so one is free.
    (1..=taken.len() + 1)
        .map(|number| shortened(&format!("{suffix}_{number}")))
        .find(|name| !taken.contains(name))
        .unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{catalog, testing};

    fn us(text: &str) -> i64 {
        parse_time(text).unwrap()
    }

    #[test]
    fn days_and_dates_agree() {
        for days in (-1_000_000..1_000_000).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(-1), (1969, 12, 31));
        assert_eq!(civil_from_days(19_782), (2024, 2, 29));
        assert_eq!(civil_from_days(11_016), (2000, 2, 29));
    }

    #[test]
    fn bounds_are_read() {
        let text = "FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2024-02-01 00:00:00.5+00')";
        let range = (1_704_067_200_000_000, 1_706_745_600_500_000);
        assert_eq!(parse_bound(text), Some(range));
        let dates = "FOR VALUES FROM (MINVALUE) TO ('1969-12-31')";
        assert_eq!(parse_bound(dates), Some((i64::MIN, -DAY_US)));
        let open = "FOR VALUES FROM ('-infinity') TO ('infinity')";
        assert_eq!(parse_bound(open), Some((i64::MIN, i64::MAX)));
        for text in ["", "FOR VALUES IN (1)", "FOR VALUES FROM (1) TO (2)", "x"] {
            assert_eq!(parse_bound(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_are_written_as_they_are_read() {
        for kind in [PgType::Timestamptz, PgType::Timestamp] {
            for time in [0, -1, 1, DAY_US - 1, -62_135_596_800_000_001, i64::MIN, i64::MAX] {
                assert_eq!(parse_edge(&edge(time, kind)), Some(time), "{}", edge(time, kind));
            }
        }
        assert_eq!(edge(DAY_US, PgType::Date), "'1970-01-02'");
        assert_eq!(edge(-1, PgType::Timestamp), "'1969-12-31 23:59:59.999999'");
    }

    #[test]
    fn planned_ranges_are_aligned_and_needed() {
        let plan = |ranges: Vec<(i64, i64)>, min: &str, max: &str, width| {
            plan_partitions(&TimeRanges { ranges }, us(min), us(max), width).unwrap()
        };
        let months = plan(vec![], "2023-12-31 23:59:59.999999", "2024-02-01", Width::Month);
        assert_eq!(
            months,
            [
                (us("2023-12-01"), us("2024-01-01")),
                (us("2024-01-01"), us("2024-02-01")),
                (us("2024-02-01"), us("2024-03-01")),
            ]
        );
        let year = plan(vec![], "2024-02-29", "2024-02-29", Width::Year);
        assert_eq!(year, [(us("2024-01-01"), us("2025-01-01"))]);
        let there = vec![(us("2024-01-01"), us("2024-02-01"))];
        assert_eq!(plan(there.clone(), "2024-01-05", "2024-01-31", Width::Day), []);
        // The year would overlap January, so months are used until the year ends.
        let beside = plan(there, "2024-01-15", "2024-03-01", Width::Year);
        assert_eq!(
            beside,
            [(us("2024-02-01"), us("2024-03-01")), (us("2024-03-01"), us("2024-04-01"))]
        );
    }

    #[test]
    fn a_gap_smaller_than_a_day_is_filled_as_it_is() {
        let existing = TimeRanges {
            ranges: vec![
                (us("2024-01-01"), us("2024-01-02 06:00:00")),
                (us("2024-01-02 18:00:00"), us("2024-01-04")),
            ],
        };
        let noon = us("2024-01-02 12:00:00");
        let plan = plan_partitions(&existing, noon, noon, Width::Month).unwrap();
        assert_eq!(plan, [(us("2024-01-02 06:00:00"), us("2024-01-02 18:00:00"))]);
    }

    #[test]
    fn too_many_partitions_are_refused() {
        let none = TimeRanges::default();
        let error = plan_partitions(&none, us("1900-01-01"), us("2024-01-01"), Width::Day);
        assert!(error.is_err());
        assert!(plan_partitions(&none, 1, 0, Width::Day).is_err());
        assert!(plan_partitions(&none, i64::MAX - 1, i64::MAX, Width::Day).is_err());
    }

    #[test]
    fn names_say_what_a_partition_holds() {
        let none = HashSet::new();
        let name = |range, taken: &HashSet<String>| free_name("t", range, taken);
        let month = (us("2024-01-01"), us("2024-02-01"));
        assert_eq!(name((us("2024-01-01"), us("2025-01-01")), &none), "t_p2024");
        assert_eq!(name(month, &none), "t_p2024_01");
        assert_eq!(name((us("2024-01-09"), us("2024-01-10")), &none), "t_p2024_01_09");
        assert_eq!(name((us("2024-01-09"), us("2024-01-11")), &none), "t_p2024_01_09_1");
        let taken = HashSet::from(["t_p2024_01".to_owned()]);
        assert_eq!(name(month, &taken), "t_p2024_01_1");
        let long = free_name(&"ä".repeat(40), month, &none);
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("_p2024_01"), "{long}");
    }

    #[test]
    fn partitions_are_made_once_by_two_processes() {
        testing::run(async |database| {
            let mut first = database.connect().await.unwrap();
            let mut second = database.connect().await.unwrap();
            first
                .batch_execute(
                    "CREATE TABLE bars (id bigint GENERATED ALWAYS AS IDENTITY, ts timestamptz, \
                     c float8 CHECK (c > 0), PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts); \
                     CREATE INDEX ON bars (ts)",
                )
                .await
                .unwrap();
            let load = async |connection: &Connection| {
                catalog::load_table(connection, None, "bars").await.unwrap().unwrap()
            };
            let table = load(&first).await;
            let (min, max) = (us("2023-11-15"), us("2024-02-15"));
            let needed = plan_partitions(&TimeRanges::default(), min, max, Width::Month).unwrap();
            let (one, two) = tokio::join!(
                ensure_partitions(&mut first, &table, &needed),
                ensure_partitions(&mut second, &table, &needed)
            );
            assert_eq!(one.unwrap() + two.unwrap(), 4);
            let table = load(&first).await;
            let accepted = table.partitioning.unwrap().accepted;
            assert_eq!(accepted.ranges, needed);
            // A row goes in, and its partition has the indexes of the parent.
            let row = first
                .query_typed_one(
                    "INSERT INTO bars (ts, c) VALUES ('2024-01-31 23:59:59.999999+00', 1) \
                     RETURNING tableoid::regclass::text, (SELECT count(*) FROM pg_indexes \
                     WHERE tablename = 'bars_p2024_01')",
                    &[],
                )
                .await
                .unwrap();
            assert_eq!(row.get::<_, &str>(0), "bars_p2024_01");
            assert_eq!(row.get::<_, i64>(1), 2);
        });
    }

    #[test]
    fn making_partitions_does_not_wait_for_readers_and_writers() {
        testing::run(async |database| {
            let mut maker = database.connect().await.unwrap();
            let writer = database.connect().await.unwrap();
            maker
                .batch_execute(
                    "CREATE TABLE d (day date PRIMARY KEY) PARTITION BY RANGE (day); \
                     CREATE TABLE d1 PARTITION OF d FOR VALUES FROM (MINVALUE) TO ('2020-01-01'); \
                     SET lock_timeout = '1s'",
                )
                .await
                .unwrap();
            writer
                .batch_execute("BEGIN; INSERT INTO d VALUES ('2019-01-01'); SELECT * FROM d")
                .await
                .unwrap();
            let table = catalog::load_table(&maker, None, "d").await.unwrap().unwrap();
            let accepted = &table.partitioning.as_ref().unwrap().accepted;
            assert_eq!(accepted.ranges, [(i64::MIN, us("2020-01-01"))]);
            let at = us("2020-06-01");
            let needed = plan_partitions(accepted, at, at, Width::Year).unwrap();
            assert_eq!(ensure_partitions(&mut maker, &table, &needed).await.unwrap(), 1);
            assert_eq!(ensure_partitions(&mut maker, &table, &needed).await.unwrap(), 0);
            let overlapping = [(us("2020-12-31"), us("2021-02-01"))];
            assert!(ensure_partitions(&mut maker, &table, &overlapping).await.is_err());
        });
    }
}
