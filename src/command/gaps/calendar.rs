//! When a market trades: which bars are expected. A calendar is built in, or a TOML file of the
//! user's. Knows no database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;

use crate::calendar;
use crate::command::CommandError;

/// Microseconds in a day.
pub(super) const DAY_US: i64 = 86_400_000_000;
/// Years that calendars know.
const FIRST_DAY: Date = date(1900, 1, 1);
const LAST_DAY: Date = date(2200, 1, 1);

/// When a market trades.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    /// Its name, or that of its file.
    pub name: String,
    zone: TimeZone,
    /// Sessions of a week by weekday, Monday first: minutes from midnight, the end after the start
    /// and possibly beyond midnight.
    week: [Vec<(i32, i32)>; 7],
    /// Weekdays that have a daily bar.
    trading: [bool; 7],
    holidays: Holidays,
    /// Days that end early, with the minute.
    early: BTreeMap<Date, i32>,
}

#[derive(Debug, Clone)]
enum Holidays {
    Listed(BTreeSet<Date>),
    Nyse,
}

/// Bars that are expected in some range and are not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Missing {
    pub count: u64,
    /// Starts of the first and the last.
    pub first_us: i64,
    pub last_us: i64,
}

/// A range in which bars are looked for, without its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Between {
    pub after: i64,
    pub before: i64,
    /// Whether there is a bar at `after`, and one at `before`.
    pub bars: (bool, bool),
}

impl Between {
    /// From one bar to the next.
    pub fn bars(after: i64, before: i64) -> Self {
        Self { after, before, bars: (true, true) }
    }

    /// One past the last start of a bar that ends before the bar at the end begins.
    fn end(self, step: i64) -> i64 {
        if self.bars.1 { self.before - step + 1 } else { self.before }
    }
}

impl Missing {
    fn add(&mut self, first: i64, last: i64, count: u64) {
        if count == 0 {
            return;
        }
        if self.count == 0 {
            self.first_us = first;
        }
        self.last_us = last;
        self.count += count;
    }
}

/// The length of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Less than a day, in microseconds.
    Within(i64),
    /// One bar each trading day.
    Day,
    /// Several days, or weeks.
    Days(i64),
    /// Months.
    Months(i64),
}

impl Step {
    /// Reads an interval such as `5m`; none if it is not one.
    pub fn parse(interval: &str) -> Option<Self> {
        let split = interval.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = interval[..split].parse().ok().filter(|number| *number > 0)?;
        let second = 1_000_000;
        let step = match &interval[split..] {
            "s" => Step::Within(number.checked_mul(second)?),
            "m" => Step::Within(number.checked_mul(60 * second)?),
            "h" => Step::Within(number.checked_mul(3_600 * second)?),
            "d" if number == 1 => Step::Day,
            "d" => Step::Days(number),
            "w" => Step::Days(number.checked_mul(7)?),
            "mo" => Step::Months(number),
            "y" => Step::Months(number.checked_mul(12)?),
            _ => return None,
        };
        Some(match step {
            Step::Within(DAY_US) => Step::Day,
            Step::Within(us) if us > DAY_US => Step::Days(us / DAY_US),
            step => step,
        })
    }

    /// The shortest distance between two bars that leaves none out.
    pub fn least_us(self) -> i64 {
        match self {
            Step::Within(us) => us,
            Step::Day => DAY_US,
            Step::Days(days) => days * DAY_US,
            Step::Months(months) => months * 28 * DAY_US,
        }
    }
}

impl Calendar {
    /// The calendar called `name`, or the one in the file of this name.
    ///
    /// # Errors
    /// No such calendar, and what is wrong with a file.
    pub fn named(name: &str) -> Result<Self, CommandError> {
        if let Some(built_in) = Self::built_in(name) {
            return Ok(built_in);
        }
        if !name.ends_with(".toml") {
            return Err(CommandError::Usage(format!(
                "--calendar {name}: use 24x7, weekdays, nyse, forex, or a file ending in .toml"
            )));
        }
        let path = Path::new(name);
        let text = std::fs::read_to_string(path).map_err(CommandError::file(path))?;
        Self::parse(&text).map_err(|why| CommandError::Refused(format!("{name}: {why}")))
    }

    /// A calendar that needs no file.
    pub fn built_in(name: &str) -> Option<Self> {
        let days = |first: usize, last: usize, session: (i32, i32)| {
            let open = |day: usize| (first..=last).contains(&day);
            std::array::from_fn(|day| if open(day) { vec![session] } else { Vec::new() })
        };
        let weekdays = [true, true, true, true, true, false, false];
        let none = Holidays::Listed(BTreeSet::new());
        let new_york = TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC);
        let whole = (0, 1_440);
        let (zone, week, trading, holidays) = match name {
            "24x7" => (TimeZone::UTC, days(0, 6, whole), [true; 7], none),
            "weekdays" => (TimeZone::UTC, days(0, 4, whole), weekdays, none),
            "nyse" => (new_york, days(0, 4, calendar::SESSION), weekdays, Holidays::Nyse),
            "forex" => {
                // Sunday 17:00 to Friday 17:00: the day begins the evening before.
                let mut week: [Vec<(i32, i32)>; 7] = days(0, 3, whole);
                (week[4], week[6]) = (vec![(0, 1_020)], vec![(1_020, 1_440)]);
                (new_york, week, weekdays, none)
            }
            _ => return None,
        };
        let (name, early) = (name.to_owned(), BTreeMap::new());
        Some(Self { name, zone, week, trading, holidays, early })
    }

    fn is_holiday(&self, day: Date) -> bool {
        match &self.holidays {
            Holidays::Listed(days) => days.contains(&day),
            Holidays::Nyse => calendar::is_holiday(day),
        }
    }

    fn ends_early(&self, day: Date) -> Option<i32> {
        match &self.holidays {
            Holidays::Listed(_) => self.early.get(&day).copied(),
            Holidays::Nyse => calendar::ends_early(day).then_some(calendar::EARLY_END),
        }
    }

    /// Whether a day has a daily bar.
    pub fn is_trading_day(&self, day: Date) -> bool {
        self.trading[weekday(day)] && !self.is_holiday(day)
    }

    /// The sessions that begin on a day: start and end in microseconds, UTC.
    fn sessions(&self, day: Date) -> Vec<(i64, i64)> {
        if self.is_holiday(day) {
            return Vec::new();
        }
        let early = self.ends_early(day);
        let us = |minute: i32| {
            let time = day.at(0, 0, 0, 0).checked_add(minute.minutes()).ok()?;
            Some(time.to_zoned(self.zone.clone()).ok()?.timestamp().as_microsecond())
        };
        let sessions = self.week[weekday(day)].iter().filter_map(|&(start, end)| {
            let end = early.map_or(end, |early| end.min(early));
            (start < end).then(|| Some((us(start)?, us(end)?))).flatten()
        });
        sessions.collect()
    }

    /// Bars expected in a range, on the grid of a bar at `anchor`.
    pub fn missing(&self, step: Step, anchor: i64, between: Between) -> Missing {
        let mut missing = Missing::default();
        match step {
            Step::Within(us) => self.missing_within(us, anchor, between, &mut missing),
            Step::Day => self.missing_days(anchor, between, &mut missing),
            Step::Days(days) if between.bars == (true, true) => {
                // Of a week with a holiday the bar may stand a day later.
                let step = days * DAY_US;
                let count = (between.before - between.after + step / 2) / step - 1;
                let (first, last) = (between.after + step, between.after + count * step);
                missing.add(first, last, u64::try_from(count).unwrap_or(0));
            }
            Step::Days(days) => {
                let step = days * DAY_US;
                count_grid(step, anchor, between.after + 1, between.end(step), &mut missing);
            }
            Step::Months(months) => missing_months(months, anchor, between, &mut missing),
        }
        missing
    }

    /// A bar is expected where any part of it lies in a session.
    fn missing_within(&self, step: i64, anchor: i64, between: Between, missing: &mut Missing) {
        let (mut from, before) = (between.after + 1, between.end(step));
        if self.name == "24x7" {
            count_grid(step, anchor, from, before, missing);
            return;
        }
        // A session may have begun the day before, and a bar before its session.
        let Some(mut day) = self.day_of(from).and_then(|day| day.yesterday().ok()) else { return };
        while day <= LAST_DAY {
            for (start, end) in self.sessions(day) {
                let (first, end) = ((start - step + 1).max(from), end.min(before));
                count_grid(step, anchor, first, end, missing);
                from = from.max(end);
            }
            let Ok(next) = day.tomorrow() else { return };
            day = next;
            if self.midnight(day).is_none_or(|midnight| midnight - step >= before) {
                return;
            }
        }
    }

    /// One bar each trading day. Daily bars at midnight UTC are of that date, others of the date
    /// in the market's zone.
    fn missing_days(&self, anchor: i64, between: Between, missing: &mut Missing) {
        let time_of_day = anchor.rem_euclid(DAY_US);
        let date_of = |us: i64| if time_of_day == 0 { utc_day(us) } else { self.day_of(us) };
        let (Some(first), Some(last)) = (date_of(between.after), date_of(between.before)) else {
            return;
        };
        let mut day = first;
        while day <= last.min(LAST_DAY) {
            let Some(mut start) = utc_midnight(day).map(|midnight| midnight + time_of_day) else {
                return;
            };
            if date_of(start).is_some_and(|date| date > day) {
                start -= DAY_US;
            }
            // The dates of bars are taken; without a bar the range itself decides.
            let behind = if between.bars.0 { day > first } else { start > between.after };
            let ahead = if between.bars.1 { day < last } else { start < between.before };
            if behind && ahead && self.is_trading_day(day) {
                missing.add(start, start, 1);
            }
            let Ok(next) = day.tomorrow() else { return };
            day = next;
        }
    }

    fn day_of(&self, us: i64) -> Option<Date> {
        let day = Timestamp::from_microsecond(us).ok()?.to_zoned(self.zone.clone()).date();
        (FIRST_DAY..=LAST_DAY).contains(&day).then_some(day)
    }

    fn midnight(&self, day: Date) -> Option<i64> {
        Some(day.to_zoned(self.zone.clone()).ok()?.timestamp().as_microsecond())
    }
}

/// Adds the points `anchor + k * step` in `[first, end)`.
fn count_grid(step: i64, anchor: i64, first: i64, end: i64, missing: &mut Missing) {
    let from = first.saturating_add((anchor.saturating_sub(first)).rem_euclid(step));
    if from >= end {
        return;
    }
    let count = (end - 1 - from) / step;
    missing.add(from, from + count * step, count as u64 + 1);
}

fn missing_months(months: i64, anchor: i64, between: Between, missing: &mut Missing) {
    let number = |day: Date| i64::from(day.year()) * 12 + i64::from(day.month());
    let (Some(grid), Some(first), Some(last)) =
        (utc_day(anchor), utc_day(between.after), utc_day(between.before))
    else {
        return;
    };
    let mut day = first.first_of_month();
    while day <= last.min(LAST_DAY) {
        let on_grid = (number(day) - number(grid)).rem_euclid(months) == 0;
        // Bars may stand anywhere in their months.
        let taken = (between.bars.0 && number(day) == number(first))
            || (between.bars.1 && number(day) == number(last));
        let start = utc_midnight(day).filter(|start| between.bars.0 || *start > between.after);
        if let Some(start) = start.filter(|start| on_grid && !taken && *start < between.before) {
            missing.add(start, start, 1);
        }
        let Ok(next) = day.checked_add(1.month()) else { return };
        day = next;
    }
}

fn utc_day(us: i64) -> Option<Date> {
    let day = Timestamp::from_microsecond(us).ok()?.to_zoned(TimeZone::UTC).date();
    (FIRST_DAY..=LAST_DAY).contains(&day).then_some(day)
}

fn utc_midnight(day: Date) -> Option<i64> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
}

/// Monday is 0.
fn weekday(day: Date) -> usize {
    usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or_default()
}

/// A calendar as a user writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    name: String,
    zone: String,
    #[serde(default)]
    days: Option<Vec<String>>,
    #[serde(default)]
    sessions: Vec<String>,
    #[serde(default)]
    week: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    trading_days: Option<Vec<String>>,
    #[serde(default)]
    holidays: Vec<String>,
    #[serde(default)]
    early: BTreeMap<String, String>,
}

impl Calendar {
    /// Reads a calendar's TOML text.
    fn parse(text: &str) -> Result<Self, String> {
        let wire: Wire = toml::from_str(text).map_err(|error| error.to_string())?;
        let zone = TimeZone::get(&wire.zone)
            .map_err(|_| format!("zone: {:?} is no name such as Europe/Berlin", wire.zone))?;
        let usual: Vec<(i32, i32)> =
            wire.sessions.iter().map(|text| session(text)).collect::<Result<_, _>>()?;
        let five = || ["mon", "tue", "wed", "thu", "fri"].map(str::to_owned).to_vec();
        let mut week: [Vec<(i32, i32)>; 7] = Default::default();
        for day in wire.days.clone().unwrap_or_else(five) {
            week[day_number(&day)?].clone_from(&usual);
        }
        for (day, sessions) in &wire.week {
            let sessions: Result<_, _> = sessions.iter().map(|text| session(text)).collect();
            week[day_number(day)?] = sessions?;
        }
        week.iter_mut().for_each(|sessions| sessions.sort_unstable());
        if week.iter().all(Vec::is_empty) {
            return Err("no day has a session: write sessions = [\"09:00-17:30\"]".to_owned());
        }
        let mut trading: [bool; 7] = std::array::from_fn(|day| !week[day].is_empty());
        if let Some(days) = &wire.trading_days {
            trading = [false; 7];
            for day in days {
                trading[day_number(day)?] = true;
            }
        }
        let holidays = wire.holidays.iter().map(|day| read_day(day)).collect::<Result<_, _>>()?;
        let early = wire.early.iter().map(|(day, time)| Ok((read_day(day)?, minute(time)?)));
        Ok(Self {
            name: wire.name,
            zone,
            week,
            trading,
            holidays: Holidays::Listed(holidays),
            early: early.collect::<Result<_, String>>()?,
        })
    }
}

fn day_number(name: &str) -> Result<usize, String> {
    const DAYS: [(&str, Weekday); 7] = [
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
        ("sun", Weekday::Sunday),
    ];
    let found = DAYS.iter().find(|(known, _)| *known == name.to_lowercase());
    found
        .and_then(|(_, day)| usize::try_from(day.to_monday_zero_offset()).ok())
        .ok_or_else(|| format!("{name:?} is no day: use mon tue wed thu fri sat sun"))
}

fn read_day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| format!("{text:?} is no day such as 2024-12-25"))
}

/// `09:30` in minutes; up to `24:00`.
fn minute(text: &str) -> Result<i32, String> {
    let wrong = || format!("{text:?} is no time such as 09:30");
    let (hour, minute) = text.trim().split_once(':').ok_or_else(wrong)?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return Err(wrong());
    }
    let hour: i32 = hour.parse().map_err(|_| wrong())?;
    let minute: i32 = minute.parse().map_err(|_| wrong())?;
    let total = hour * 60 + minute;
    if minute < 60 && total <= 1_440 { Ok(total) } else { Err(wrong()) }
}

/// `09:30-16:00`; an end before the start is on the next day.
fn session(text: &str) -> Result<(i32, i32), String> {
    let wrong = || format!("{text:?} is no session such as 09:30-16:00");
    let (start, end) = text.split_once('-').ok_or_else(wrong)?;
    let (start, end) = (minute(start)?, minute(end)?);
    Ok((start, if end <= start { end + 1_440 } else { end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn missing(calendar: &str, interval: &str, after: &str, before: &str) -> u64 {
        let calendar = Calendar::built_in(calendar).unwrap();
        let step = Step::parse(interval).unwrap();
        calendar.missing(step, at(after), Between::bars(at(after), at(before))).count
    }

    #[test]
    fn intervals_are_steps() {
        assert_eq!(Step::parse("5m"), Some(Step::Within(300_000_000)));
        assert_eq!(Step::parse("24h"), Some(Step::Day));
        assert_eq!(Step::parse("1w"), Some(Step::Days(7)));
        assert_eq!(Step::parse("3mo"), Some(Step::Months(3)));
        assert_eq!(Step::parse("tick"), None);
        assert_eq!(Step::parse("0m"), None);
        assert_eq!(Step::parse("99999999999999999h"), None);
    }

    #[test]
    fn a_market_that_never_closes_lacks_every_bar() {
        assert_eq!(missing("24x7", "1h", "2024-01-05T20:00:00Z", "2024-01-08T00:00:00Z"), 51);
        assert_eq!(missing("24x7", "1h", "2024-01-05T20:00:00Z", "2024-01-05T21:00:00Z"), 0);
        assert_eq!(missing("24x7", "1d", "2024-01-01T00:00:00Z", "2024-01-05T00:00:00Z"), 3);
        assert_eq!(missing("24x7", "1w", "2024-01-01T00:00:00Z", "2024-01-22T00:00:00Z"), 2);
        assert_eq!(missing("24x7", "1mo", "2024-01-01T00:00:00Z", "2024-04-01T00:00:00Z"), 2);
        assert_eq!(missing("24x7", "1mo", "2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z"), 0);
    }

    #[test]
    fn weekends_are_no_gaps() {
        assert_eq!(missing("weekdays", "1h", "2024-01-05T20:00:00Z", "2024-01-08T00:00:00Z"), 3);
        assert_eq!(missing("weekdays", "1d", "2024-01-05T00:00:00Z", "2024-01-09T00:00:00Z"), 1);
    }

    #[test]
    fn the_exchange_closes_at_night_on_holidays_and_early() {
        // From the last minute of a Friday to the first of the Tuesday after a Monday's holiday.
        let friday = "2024-01-12T20:59:00Z";
        assert_eq!(missing("nyse", "1m", friday, "2024-01-16T14:30:00Z"), 0);
        assert_eq!(missing("nyse", "1m", friday, "2024-01-16T14:33:00Z"), 3);
        // Over the start of daylight saving, which moves the opening.
        assert_eq!(missing("nyse", "1m", "2024-03-08T20:59:00Z", "2024-03-11T13:30:00Z"), 0);
        // The day after Thanksgiving ends at 13:00.
        assert_eq!(missing("nyse", "1m", "2024-11-29T17:59:00Z", "2024-12-02T14:30:00Z"), 0);
        assert_eq!(missing("nyse", "1m", "2024-11-29T17:58:00Z", "2024-12-02T14:30:00Z"), 1);
        // Days: a holiday is none, a day left out is one.
        assert_eq!(missing("nyse", "1d", "2024-01-12T00:00:00Z", "2024-01-16T00:00:00Z"), 0);
        assert_eq!(missing("nyse", "1d", "2024-01-12T05:00:00Z", "2024-01-17T05:00:00Z"), 1);
        // Hours on the hour: the one of the opening begins before it.
        assert_eq!(missing("nyse", "1h", "2024-01-12T20:00:00Z", "2024-01-16T14:00:00Z"), 0);
        assert_eq!(missing("nyse", "1h", "2024-01-12T20:30:00Z", "2024-01-16T14:30:00Z"), 0);
        assert_eq!(missing("nyse", "1h", "2024-01-12T20:30:00Z", "2024-01-17T14:30:00Z"), 7);
    }

    #[test]
    fn currencies_trade_from_sunday_evening() {
        // Friday 17:00 in New York is 22:00 UTC in winter.
        assert_eq!(missing("forex", "1h", "2024-01-05T21:00:00Z", "2024-01-07T22:00:00Z"), 0);
        assert_eq!(missing("forex", "1h", "2024-01-05T20:00:00Z", "2024-01-07T23:00:00Z"), 2);
        assert_eq!(missing("forex", "1m", "2024-01-09T04:59:00Z", "2024-01-09T05:01:00Z"), 1);
        assert_eq!(missing("forex", "1h", "2024-01-08T00:00:00Z", "2024-01-09T00:00:00Z"), 23);
    }

    #[test]
    fn a_range_before_the_first_bar_counts_too() {
        let calendar = Calendar::built_in("24x7").unwrap();
        let (first, from) = (at("2024-01-01T10:00:00Z"), at("2024-01-01T00:00:00Z"));
        let before = |after, before| Between { after, before, bars: (false, true) };
        let found = calendar.missing(Step::Within(HOUR), first, before(from - 1, first));
        assert_eq!(found, Missing { count: 10, first_us: from, last_us: first - HOUR });
        let days = Calendar::built_in("weekdays").unwrap();
        let monday = at("2024-01-08T00:00:00Z");
        let found = days.missing(Step::Day, monday, before(monday - 4 * DAY_US - 1, monday));
        assert_eq!(found.count, 2);
        // And after the last, where the range ends between two bars.
        let after = Between { after: first, before: first + 5 * HOUR / 2, bars: (true, false) };
        assert_eq!(calendar.missing(Step::Within(HOUR), first, after).count, 2);
    }

    #[test]
    fn the_documented_calendar_is_one() {
        let page = include_str!("../../../docs/calendars.md");
        let (_, after) = page.split_once("```toml\n").unwrap();
        let calendar = Calendar::parse(after.split("```").next().unwrap()).unwrap();
        assert_eq!(calendar.name, "xetra");
        assert_eq!(calendar.ends_early(date(2024, 12, 30)), Some(14 * 60));
        assert_eq!(calendar.trading.iter().filter(|day| **day).count(), 5);
    }

    #[test]
    fn a_calendar_is_read_from_toml() {
        let text = "name = \"xetra\"\nzone = \"Europe/Berlin\"\nsessions = [\"09:00-17:30\"]\n\
            holidays = [\"2024-05-01\"]\n[early]\n\"2024-12-30\" = \"14:00\"\n\
            [week]\nsat = [\"22:00-02:00\"]\n";
        let calendar = Calendar::parse(text).unwrap();
        let count = |after: &str, before: &str| {
            let between = Between::bars(at(after), at(before));
            calendar.missing(Step::Within(HOUR / 2), at(after), between).count
        };
        assert_eq!(count("2024-04-30T15:00:00Z", "2024-05-02T07:00:00Z"), 0);
        assert_eq!(count("2024-12-30T12:30:00Z", "2024-12-31T08:00:00Z"), 0);
        // Saturday night, until two on Sunday.
        assert_eq!(count("2024-01-05T16:00:00Z", "2024-01-08T08:00:00Z"), 8);
        for (wrong, why) in [
            ("name = \"x\"", "zone"),
            ("name = \"x\"\nzone = \"Mars\"", "no name such as"),
            ("name = \"x\"\nzone = \"UTC\"", "no day has a session"),
            ("name = \"x\"\nzone = \"UTC\"\nsessions = [\"9-17\"]", "no time such as"),
            ("name = \"x\"\nzone = \"UTC\"\nsesions = []", "unknown field"),
            (
                "name = \"x\"\nzone = \"UTC\"\nholidays = [\"May\"]\nsessions = [\"09:00-10:00\"]",
                "no day",
            ),
        ] {
            let error = Calendar::parse(wrong).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
