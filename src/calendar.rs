//! When the New York Stock Exchange trades: its session, holidays and early closes, by its rules,
//! from 1998 on. What `gaps` looks for and what `generate` makes are the same bars.

use jiff::civil::{Date, Weekday, date};
use jiff::{Span, ToSpan};

/// Its zone.
pub const ZONE: &str = "America/New_York";
/// Its session, in minutes from midnight: 09:30 to 16:00.
pub const SESSION: (i32, i32) = (570, 960);
/// When it ends on the days that end early: 13:00.
pub const EARLY_END: i32 = 780;

/// Days on which it stayed closed for once.
const ONCE: [(i16, i8, i8); 10] = [
    (2001, 9, 11),
    (2001, 9, 12),
    (2001, 9, 13),
    (2001, 9, 14),
    (2004, 6, 11),
    (2007, 1, 2),
    (2012, 10, 29),
    (2012, 10, 30),
    (2018, 12, 5),
    (2025, 1, 9),
];

/// Whether it is closed on a weekday.
pub fn is_holiday(day: Date) -> bool {
    let year = day.year();
    if ONCE.contains(&(year, day.month(), day.day())) {
        return true;
    }
    let fixed = |month: i8, on: i8| observed(date(year, month, on)) == Some(day);
    // A New Year's Day on a Saturday is not made up for.
    let new_year = date(year, 1, 1);
    (new_year.weekday() != Weekday::Saturday && observed(new_year) == Some(day))
        || nth(year, 1, 3, Weekday::Monday) == Some(day)
        || nth(year, 2, 3, Weekday::Monday) == Some(day)
        || good_friday(year) == Some(day)
        || nth(year, 5, -1, Weekday::Monday) == Some(day)
        || (year >= 2022 && fixed(6, 19))
        || fixed(7, 4)
        || nth(year, 9, 1, Weekday::Monday) == Some(day)
        || nth(year, 11, 4, Weekday::Thursday) == Some(day)
        || fixed(12, 25)
}

/// Whether it closes at 13:00: the day after Thanksgiving, Christmas Eve, and the day before
/// Independence Day, where they are trading days.
pub fn ends_early(day: Date) -> bool {
    let working = |day: Date| {
        !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) && !is_holiday(day)
    };
    if !working(day) {
        return false;
    }
    let thanksgiving = nth(day.year(), 11, 4, Weekday::Thursday);
    let black_friday = thanksgiving.and_then(|day| day.tomorrow().ok());
    let eve = (day.month(), day.day()) == (12, 24);
    // On a Friday it is an ordinary day: the holiday is on Saturday, or was observed.
    let independence = (day.month(), day.day()) == (7, 3) && day.weekday() != Weekday::Friday;
    black_friday == Some(day) || eve || independence
}

/// A holiday on a weekend is on the Friday before or the Monday after.
fn observed(day: Date) -> Option<Date> {
    let shift: Span = match day.weekday() {
        Weekday::Saturday => -1.day(),
        Weekday::Sunday => 1.day(),
        _ => return Some(day),
    };
    day.checked_add(shift).ok()
}

fn nth(year: i16, month: i8, nth: i8, weekday: Weekday) -> Option<Date> {
    date(year, month, 1).nth_weekday_of_month(nth, weekday).ok()
}

/// The Friday before Easter, which is found by the Gregorian computus.
fn good_friday(year: i16) -> Option<Date> {
    let y = i32::from(year);
    let golden = y % 19;
    let century = y / 100;
    let epact = (century - century / 4 - (8 * century + 13) / 25 + 19 * golden + 15) % 30;
    let moon = epact - (epact / 28) * (1 - (29 / (epact + 1)) * ((21 - golden) / 11));
    let sunday = (y + y / 4 + moon + 2 - century + century / 4) % 7;
    let offset = moon - sunday;
    let month = 3 + (offset + 40) / 44;
    let day = offset + 28 - 31 * (month / 4);
    let easter = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    easter.checked_add(-2.days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(year: i16) -> Vec<(i8, i8)> {
        let mut day = date(year, 1, 1);
        let mut found = Vec::new();
        while day.year() == year {
            let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
            if !weekend && is_holiday(day) {
                found.push((day.month(), day.day()));
            }
            day = day.tomorrow().unwrap();
        }
        found
    }

    fn early(year: i16) -> Vec<(i8, i8)> {
        let days = date(year, 1, 1).series(1.day()).take_while(|day| day.year() == year);
        days.filter(|day| ends_early(*day)).map(|day| (day.month(), day.day())).collect()
    }

    #[test]
    fn holidays_are_those_that_were_kept() {
        let year_2021 =
            [(1, 1), (1, 18), (2, 15), (4, 2), (5, 31), (7, 5), (9, 6), (11, 25), (12, 24)];
        assert_eq!(closed(2021), year_2021);
        let year_2022 =
            [(1, 17), (2, 21), (4, 15), (5, 30), (6, 20), (7, 4), (9, 5), (11, 24), (12, 26)];
        assert_eq!(closed(2022), year_2022);
        let year_2024 = [
            (1, 1),
            (1, 15),
            (2, 19),
            (3, 29),
            (5, 27),
            (6, 19),
            (7, 4),
            (9, 2),
            (11, 28),
            (12, 25),
        ];
        assert_eq!(closed(2024), year_2024);
        assert!(closed(2012).contains(&(10, 29)) && closed(2025).contains(&(1, 9)));
        assert!(!closed(2021).contains(&(12, 31)), "2022-01-01 was a Saturday");
    }

    #[test]
    fn early_closes_are_those_that_were_kept() {
        assert_eq!(early(2019), [(7, 3), (11, 29), (12, 24)]);
        assert_eq!(early(2020), [(11, 27), (12, 24)]);
        assert_eq!(early(2021), [(11, 26)]);
        assert_eq!(early(2023), [(7, 3), (11, 24)]);
        assert_eq!(early(2024), [(7, 3), (11, 29), (12, 24)]);
    }
}
