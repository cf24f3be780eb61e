//! Times and days from bytes, by the rule of their column.
//!
//! Whatever has an offset of its own uses it; everything else is in the rule's zone. A time that
//! would lose a part, or that a zone's clocks skipped or repeated, is refused, never rounded.

mod pattern;

use self::pattern::read_pattern;
use super::number::{Exact, parse_integer, trim};
use super::zone::{DAY_S, ZoneClock, days_from_civil};
use crate::mapping::{TimeFormat, TimeRule};

/// Microseconds of a second.
const SECOND_US: i64 = 1_000_000;
/// 0001-01-01T00:00:00Z in microseconds from 1970.
const FIRST_US: i64 = -62_135_596_800 * SECOND_US;
/// 10000-01-01T00:00:00Z in microseconds from 1970.
const END_US: i64 = 253_402_300_800 * SECOND_US;

/// Why a time was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    /// Not written as the column's times are.
    #[error("not a time in the column's format")]
    Bad,
    /// A day or hour that does not exist, a year outside 1 to 9999, or a bare number whose unit
    /// its size does not tell (epoch numbers are read from 2001 to 2096).
    #[error(
        "not a possible time (epoch numbers are read from 2001 to 2096 only, for a smaller or \
             larger one may be in any unit)"
    )]
    OutOfRange,
    /// Digits beyond microseconds that are not zero.
    #[error("a time finer than microseconds, which would lose digits")]
    SubMicrosecond,
    /// A local time that clocks skipped when daylight saving began.
    #[error("a local time that daylight saving skipped")]
    DstGap,
    /// A local time that clocks showed twice when daylight saving ended.
    #[error("a local time that daylight saving showed twice")]
    DstOverlap,
}

/// A calendar reading before zones are applied.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    /// Days from 1970-01-01.
    days: i64,
    /// Seconds of the day.
    second: i64,
    /// Microseconds of the second.
    micros: i64,
    /// Seconds east of UTC, if the value says so.
    offset: Option<i64>,
}

/// A value is a calendar reading or an instant, in microseconds from 1970 UTC.
#[derive(Debug, Clone, Copy)]
enum Parsed {
    Reading(Reading),
    Instant(i64),
}

/// Reads times by one rule. Remembers the last date and the last stretch of its zone, which makes
/// consecutive rows cheap.
#[derive(Debug)]
pub struct TimeParser {
    format: TimeFormat,
    clock: ZoneClock,
    /// How long before the written time the meant one is.
    before_us: i64,
    /// The last ISO date met, and its day.
    last_date: [u8; 10],
    last_days: i64,
}

impl TimeParser {
    /// A parser for the values of a column with this rule.
    pub fn new(rule: &TimeRule) -> Self {
        Self {
            format: rule.format.clone(),
            clock: ZoneClock::new(&rule.zone),
            before_us: rule.before_us,
            last_date: *b"1970-01-01",
            last_days: 0,
        }
    }

    /// The instant that a value means, in microseconds from 1970 UTC. A date alone is its
    /// midnight in the rule's zone.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub fn parse(&mut self, bytes: &[u8]) -> Result<i64, TimeFault> {
        let written = match self.read(trim(bytes))? {
            Parsed::Instant(us) => us,
            Parsed::Reading(reading) => self.instant_of(reading)?,
        };
        checked_instant(written - self.before_us)
    }

    /// The day that a value means, in days from 1970-01-01: the day as written, whatever time or
    /// offset follows it; for an epoch number the day in the rule's zone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_date(&mut self, bytes: &[u8]) -> Result<i32, TimeFault> {
        let days = match self.read(trim(bytes))? {
            Parsed::Reading(reading) => reading.days,
            Parsed::Instant(us) => return self.date_of(us),
        };
        i32::try_from(days).map_err(|_| TimeFault::OutOfRange)
    }

    /// The day of an instant in the rule's zone, in days from 1970-01-01.
    pub(super) fn date_of(&self, us: i64) -> Result<i32, TimeFault> {
        let utc_s = us.div_euclid(SECOND_US);
        let days = (utc_s + self.clock.offset_at(utc_s)).div_euclid(DAY_S);
        i32::try_from(days).map_err(|_| TimeFault::OutOfRange)
    }

    /// The instant of a local time, both in microseconds from 1970.
    pub(super) fn instant_of_local(&mut self, local_us: i64) -> Result<i64, TimeFault> {
        checked_instant(local_us)?;
        let utc_s = self.clock.utc_of(local_us.div_euclid(SECOND_US))?;
        checked_instant(utc_s * SECOND_US + local_us.rem_euclid(SECOND_US))
    }

    /// The instant that a whole number means: an epoch number, or digits of the pattern.
    pub(super) fn parse_integer(&mut self, value: i64) -> Result<i64, TimeFault> {
        let written = match self.format {
            TimeFormat::Pattern(_) => return self.parse(value.to_string().as_bytes()),
            TimeFormat::Auto | TimeFormat::Epoch => whole_epoch_us(value)?,
            TimeFormat::LocalEpoch => self.instant_of_local(whole_epoch_us(value)?)?,
            TimeFormat::MillisOfDay(day) => self.instant_of(millis_of_day(day, value)?)?,
        };
        checked_instant(written - self.before_us)
    }

    #[inline]
    fn instant_of(&mut self, reading: Reading) -> Result<i64, TimeFault> {
        let local_s = reading.days * DAY_S + reading.second;
        let utc_s = match reading.offset {
            Some(offset) => local_s - offset,
            None => self.clock.utc_of(local_s)?,
        };
        checked_instant(utc_s * SECOND_US + reading.micros)
    }

    #[inline]
    fn read(&mut self, bytes: &[u8]) -> Result<Parsed, TimeFault> {
        match &self.format {
            TimeFormat::Auto => match bytes {
                [_, _, _, _, b'-', ..] => self.read_iso(bytes).map(Parsed::Reading),
                _ => read_number_or_far_year(bytes),
            },
            TimeFormat::Epoch => read_epoch(bytes).map(Parsed::Instant),
            TimeFormat::LocalEpoch => {
                let local_us = read_epoch(bytes)?;
                self.instant_of_local(local_us).map(Parsed::Instant)
            }
            TimeFormat::MillisOfDay(day) => {
                let millis = parse_integer(bytes).map_err(|_| TimeFault::Bad)?;
                millis_of_day(*day, millis).map(Parsed::Reading)
            }
            TimeFormat::Pattern(items) => read_pattern(items, bytes).map(Parsed::Reading),
        }
    }

    /// `YYYY-MM-DD`, then nothing or `T` or a space and a time of day.
    #[inline]
    fn read_iso(&mut self, bytes: &[u8]) -> Result<Reading, TimeFault> {
        let (date, rest) = bytes.split_first_chunk::<10>().ok_or(TimeFault::Bad)?;
        if *date != self.last_date {
            self.last_days = read_iso_date(date)?;
            self.last_date = *date;
        }
        let reading = Reading { days: self.last_days, ..Reading::default() };
        match rest {
            [] => Ok(reading),
            [b'T' | b't' | b' ', rest @ ..] => read_iso_time(reading, rest),
            _ => Err(TimeFault::Bad),
        }
    }
}

/// Microseconds of a whole epoch number.
fn whole_epoch_us(value: i64) -> Result<i64, TimeFault> {
    epoch_us(u128::try_from(value).map_err(|_| TimeFault::OutOfRange)?, 0, 1)
}

/// The reading so many milliseconds after the midnight of a day.
fn millis_of_day(day: Option<i32>, millis: i64) -> Result<Reading, TimeFault> {
    let days = i64::from(day.ok_or(TimeFault::Bad)?);
    if !(0..DAY_S * 1_000).contains(&millis) {
        return Err(TimeFault::OutOfRange);
    }
    let micros = millis % 1_000 * 1_000;
    Ok(Reading { days, second: millis / 1_000, micros, offset: None })
}

/// The instant itself, if it lies in the years 1 to 9999.
#[inline]
pub(super) fn checked_instant(us: i64) -> Result<i64, TimeFault> {
    if (FIRST_US..END_US).contains(&us) { Ok(us) } else { Err(TimeFault::OutOfRange) }
}

/// The day itself, if it lies in the years 1 to 9999.
pub(super) fn checked_day(days: i32) -> Result<i32, TimeFault> {
    checked_instant(i64::from(days) * DAY_S * SECOND_US).map(|_| days)
}

#[inline]
fn two_digits(tens: u8, ones: u8) -> Result<u8, TimeFault> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens < 10 && ones < 10 { Ok(tens * 10 + ones) } else { Err(TimeFault::Bad) }
}

fn read_iso_date(date: &[u8; 10]) -> Result<i64, TimeFault> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return Err(TimeFault::Bad) };
    let year = i32::from(two_digits(y1, y2)?) * 100 + i32::from(two_digits(y3, y4)?);
    days_from_civil(year, two_digits(m1, m2)?, two_digits(d1, d2)?)
}

/// `[H]H:MM[:SS[.f]][Z|UTC|±hh[[:]mm]]`.
#[inline]
fn read_iso_time(mut reading: Reading, bytes: &[u8]) -> Result<Reading, TimeFault> {
    // Spreadsheets write the hours before ten with one digit.
    let (hour, [m1, m2, rest @ ..]) = (match bytes {
        [h1, h2, b':', rest @ ..] => (two_digits(*h1, *h2)?, rest),
        [h, b':', rest @ ..] => (two_digits(b'0', *h)?, rest),
        _ => return Err(TimeFault::Bad),
    }) else {
        return Err(TimeFault::Bad);
    };
    let minute = two_digits(*m1, *m2)?;
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (two_digits(*s1, *s2)?, rest),
        _ => (0, rest),
    };
    reading.second = second_of_day(hour, minute, second)?;
    let rest = match rest {
        [b'.', rest @ ..] => {
            let (micros, rest) = read_fraction(rest)?;
            reading.micros = micros;
            rest
        }
        _ => rest,
    };
    reading.offset = match rest {
        [] => None,
        [b'Z'] => Some(0),
        _ => Some(read_offset(trim(rest))?),
    };
    Ok(reading)
}

#[inline]
fn second_of_day(hour: u8, minute: u8, second: u8) -> Result<i64, TimeFault> {
    if second == 60 {
        // A leap second has no place of its own on the time line.
        return Err(TimeFault::Bad);
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err(TimeFault::OutOfRange);
    }
    Ok(i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second))
}

/// Microseconds of the digits of a fraction, and what follows them.
#[inline]
fn read_fraction(bytes: &[u8]) -> Result<(i64, &[u8]), TimeFault> {
    let len = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    if len == 0 {
        return Err(TimeFault::Bad);
    }
    let (digits, rest) = bytes.split_at(len);
    if digits.iter().skip(6).any(|digit| *digit != b'0') {
        return Err(TimeFault::SubMicrosecond);
    }
    let micros = (0..6).fold(0_i64, |micros, at| {
        micros * 10 + digits.get(at).map_or(0, |digit| i64::from(digit - b'0'))
    });
    Ok((micros, rest))
}

/// Seconds of `Z`, `UTC`, `±hh`, `±hhmm` or `±hh:mm`.
fn read_offset(bytes: &[u8]) -> Result<i64, TimeFault> {
    let (east, rest) = match bytes {
        b"Z" | b"z" | b"UTC" | b"utc" => return Ok(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return Err(TimeFault::Bad),
    };
    let (hours, minutes) = match rest {
        [h1, h2] => (two_digits(*h1, *h2)?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?),
        _ => return Err(TimeFault::Bad),
    };
    if hours > 23 || minutes > 59 {
        return Err(TimeFault::OutOfRange);
    }
    Ok(east * (i64::from(hours) * 3_600 + i64::from(minutes) * 60))
}

/// An epoch number, or a year of more than four digits or before year 1, which is out of range
/// rather than badly written.
fn read_number_or_far_year(bytes: &[u8]) -> Result<Parsed, TimeFault> {
    let digits = match bytes {
        [b'-' | b'+', rest @ ..] => rest,
        _ => bytes,
    };
    let year = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if year >= 4
        && matches!(digits[year..], [b'-', m1, m2, b'-', ..]
        if m1.is_ascii_digit() && m2.is_ascii_digit())
    {
        return Err(TimeFault::OutOfRange);
    }
    read_epoch(bytes).map(Parsed::Instant)
}

/// Nanoseconds in the unit that a number of this size is written in; none if it tells no unit.
fn epoch_unit_ns(whole: u128) -> Option<u128> {
    Some(match whole {
        1_000_000_000..4_000_000_000 => 1_000_000_000,
        1_000_000_000_000..4_000_000_000_000 => 1_000_000,
        1_000_000_000_000_000..4_000_000_000_000_000 => 1_000,
        1_000_000_000_000_000_000..4_000_000_000_000_000_000 => 1,
        _ => return None,
    })
}

/// Microseconds of an epoch number, its unit told by its size.
fn read_epoch(bytes: &[u8]) -> Result<i64, TimeFault> {
    if !bytes.is_empty() && bytes.len() <= 19 && bytes.iter().all(u8::is_ascii_digit) {
        let whole = bytes.iter().fold(0_u64, |whole, digit| whole * 10 + u64::from(digit - b'0'));
        return epoch_us(u128::from(whole), 0, 1);
    }
    let Some(exact) = Exact::parse(bytes) else {
        // Too many digits for an exact number, or no number at all.
        let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
        let other = bytes.len() - digits;
        let all = other <= 2 && digits > 38;
        return Err(if all { TimeFault::OutOfRange } else { TimeFault::Bad });
    };
    if exact.negative && exact.digits != 0 {
        return Err(TimeFault::OutOfRange);
    }
    let power = 10_u128.checked_pow(exact.scale.unsigned_abs().min(99) as u32);
    match (exact.scale >= 0, power) {
        (true, Some(power)) => epoch_us(exact.digits / power, exact.digits % power, power),
        (false, Some(power)) => {
            epoch_us(exact.digits.checked_mul(power).ok_or(TimeFault::OutOfRange)?, 0, 1)
        }
        (_, None) => Err(TimeFault::OutOfRange),
    }
}

/// Microseconds of `whole + part / of` units.
fn epoch_us(whole: u128, part: u128, of: u128) -> Result<i64, TimeFault> {
    let unit_ns = epoch_unit_ns(whole).ok_or(TimeFault::OutOfRange)?;
    let part_ns = part.checked_mul(unit_ns).ok_or(TimeFault::SubMicrosecond)?;
    let ns = whole * unit_ns + part_ns / of;
    if !part_ns.is_multiple_of(of) || !ns.is_multiple_of(1_000) {
        return Err(TimeFault::SubMicrosecond);
    }
    i64::try_from(ns / 1_000).map_err(|_| TimeFault::OutOfRange)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::mapping::Zone;

    /// Jiff's calendar ends two days early.
    const LAST_US: i64 = END_US - 2 * DAY_S * SECOND_US;

    fn parser(format: &str, zone: &str) -> TimeParser {
        let format = TimeFormat::parse(format).unwrap();
        TimeParser::new(&TimeRule::new(format, Zone::parse(zone).unwrap()))
    }

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn local_epochs_and_milliseconds_of_a_day_are_local() {
        let mut broker = parser("local_epoch", "Europe/Athens");
        assert_eq!(broker.parse(b"1704240000"), Ok(us("2024-01-02T22:00:00Z")));
        assert_eq!(broker.parse(b"1719878400"), Ok(us("2024-07-01T21:00:00Z")));
        assert_eq!(broker.parse(b"1711854000"), Err(TimeFault::DstGap));
        assert_eq!(broker.parse_integer(1_704_240_000), Ok(us("2024-01-02T22:00:00Z")));
        let zone = Zone::parse("America/New_York").unwrap();
        let of = |day| TimeParser::new(&TimeRule::new(TimeFormat::MillisOfDay(day), zone.clone()));
        let mut lean = of(Some(15_987));
        assert_eq!(lean.parse(b"34200000"), Ok(us("2013-10-09T13:30:00Z")));
        assert_eq!(lean.parse(b"34200001"), Ok(us("2013-10-09T13:30:00.001Z")));
        assert_eq!(lean.parse_integer(34_200_000), Ok(us("2013-10-09T13:30:00Z")));
        assert_eq!(lean.parse_date(b"34200000"), Ok(15_987));
        assert_eq!(lean.parse(b"86400000"), Err(TimeFault::OutOfRange));
        assert_eq!(lean.parse(b"-1"), Err(TimeFault::OutOfRange));
        assert_eq!(lean.parse(b"9:30"), Err(TimeFault::Bad));
        assert_eq!(of(None).parse(b"34200000"), Err(TimeFault::Bad));
    }

    #[test]
    fn months_by_name_and_short_years_are_read() {
        let mut days = parser("%d-%b-%Y", "UTC");
        for text in ["02-JAN-2020", "2-Jan-2020"] {
            assert_eq!(days.parse(text.as_bytes()), Ok(us("2020-01-02T00:00:00Z")));
        }
        for text in ["02-Jab-2020", "02-Ja-2020", "02-01-2020", "02-JAN-20"] {
            assert_eq!(days.parse(text.as_bytes()), Err(TimeFault::Bad), "{text}");
        }
        let mut short = parser("%d-%b-%y", "UTC");
        assert_eq!(short.parse(b"14-May-12"), Ok(us("2012-05-14T00:00:00Z")));
        assert_eq!(short.parse(b"14-May-70"), Ok(us("1970-05-14T00:00:00Z")));
    }

    #[test]
    fn one_digit_stands_for_two_only_where_something_parts_it_from_others() {
        let mut days = parser("%Y%m%d", "UTC");
        assert_eq!(days.parse(b"20240111"), Ok(us("2024-01-11T00:00:00Z")));
        // A day of the year, and a date that may be of January or November.
        for text in ["2024032", "2024111", "202411"] {
            assert_eq!(days.parse(text.as_bytes()), Err(TimeFault::Bad), "{text}");
        }
        let mut times = parser("%Y%m%d %H%M%S", "UTC");
        assert_eq!(times.parse(b"20240111 093000"), Ok(us("2024-01-11T09:30:00Z")));
        assert_eq!(times.parse(b"2024111 093000"), Err(TimeFault::Bad));
        assert!(times.parse(b"20240111 93000").is_err());
        let mut parted = parser("%Y/%m/%d %H:%M", "UTC");
        assert_eq!(parted.parse(b"2024/1/2 9:30"), Ok(us("2024-01-02T09:30:00Z")));
    }

    #[test]
    fn iso_times_are_read() {
        let mut auto = parser("auto", "UTC-5");
        for (text, want) in [
            ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
            ("2024-01-02t03:04:05.123456z", "2024-01-02T03:04:05.123456Z"),
            ("2024-01-02 03:04:05", "2024-01-02T08:04:05Z"),
            ("2024-01-02 03:04", "2024-01-02T08:04:00Z"),
            ("2024-01-02", "2024-01-02T05:00:00Z"),
            (" 2024-01-02 03:04:05+00 ", "2024-01-02T03:04:05Z"),
            ("2024-01-02 03:04:05 UTC", "2024-01-02T03:04:05Z"),
            ("2023-03-28 09:30:00.067424000-04:00", "2023-03-28T13:30:00.067424Z"),
            ("2018-05-01T08:04:00.000000000Z", "2018-05-01T08:04:00Z"),
            ("2020-02-29T23:59:59.9+0530", "2020-02-29T18:29:59.9Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(auto.parse(text.as_bytes()), Ok(us(want)), "{text}");
        }
        assert_eq!(auto.parse(b"9999-12-31T23:59:59.999999Z"), Ok(END_US - 1));
    }

    #[test]
    fn times_that_are_none_are_refused() {
        let mut auto = parser("auto", "UTC");
        for text in [
            "",
            "now",
            "2024-1-2",
            "2024-01-02T",
            "2024-01-02T03",
            "2024-01-02T03:04:05X",
            "2024-01-02T03:04:05.",
            "2024-01-02x03:04:05",
            "2024-01-02T03:04:05+",
            "2024/01/02",
            "2016-12-31T23:59:60Z",
            "2024-01-02T03:04:05+1",
            "12:30:00",
            "2024-0a-02",
            "-",
            "1e",
        ] {
            assert_eq!(auto.parse(text.as_bytes()), Err(TimeFault::Bad), "{text}");
        }
        for text in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-32",
            "2024-01-00",
            "0000-01-01",
            "10000-01-01",
            "-0001-01-01",
            "2024-01-01T25:00:00",
            "2024-01-01T24:00:00",
            "2024-01-01T00:60:00",
            "2024-01-01T00:00:61",
            "0001-01-01T00:00:00+05:00",
            "9999-12-31T23:59:59-01:00",
            "2024-01-01T00:00:00+24:00",
            "20240102",
            "0",
            "-5",
            "-1704067200",
            "999999999",
            "4000000000",
            "4000000000000",
            "999999999999999",
            "9223372036854775807",
            "1e30",
            "123456789012345678901234567890123456789012345",
        ] {
            assert_eq!(auto.parse(text.as_bytes()), Err(TimeFault::OutOfRange), "{text}");
        }
        for text in [
            "2024-01-01T00:00:00.0000001Z",
            "2023-03-28 09:30:00.067424405-04:00",
            "1762795433.9717445",
            "1704067200000000001",
            "1704067200000.0001",
        ] {
            assert_eq!(auto.parse(text.as_bytes()), Err(TimeFault::SubMicrosecond), "{text}");
        }
    }

    #[test]
    fn epochs_tell_their_unit() {
        for format in ["epoch", "auto"] {
            let mut parser = parser(format, "America/New_York");
            for text in [
                "1704067200",
                "1704067200.0",
                "1704067200000",
                "1704067200000.000",
                "1704067200000000",
                "1704067200000000000",
                "1.7040672e9",
                "17040672e+02",
            ] {
                let want = us("2024-01-01T00:00:00Z");
                assert_eq!(parser.parse(text.as_bytes()), Ok(want), "{format} {text}");
            }
            assert_eq!(
                parser.parse(b"1762795433.971744"),
                Ok(1_762_795_433_971_744),
                "fractions to the microsecond"
            );
            assert_eq!(parser.parse(b"1704067200123.456"), Ok(1_704_067_200_123_456));
        }
        assert_eq!(parser("epoch", "UTC").parse(b"2024-01-01"), Err(TimeFault::Bad));
    }

    #[test]
    fn patterns_are_read() {
        for (pattern, zone, text, want) in [
            ("%Y%m%d %H%M%S", "UTC-5", "20190101 170000", "2019-01-01T22:00:00Z"),
            ("%Y%m%d %H%M%S%f", "UTC-5", "20190101 170000123", "2019-01-01T22:00:00.123Z"),
            ("%Y.%m.%d %H:%M", "UTC", "2013.11.29 12:00", "2013-11-29T12:00:00Z"),
            ("%d.%m.%Y %H:%M:%S.%f", "UTC", "01.02.2020 22:00:00.000", "2020-02-01T22:00:00Z"),
            (
                "%d.%m.%Y %H:%M:%S GMT%z",
                "UTC",
                "01.01.2020 00:00:00 GMT+0200",
                "2019-12-31T22:00:00Z",
            ),
            ("%Y-%m-%d %I-%p", "UTC", "2019-06-04 01-AM", "2019-06-04T01:00:00Z"),
            ("%Y-%m-%d %I-%p", "UTC", "2019-06-04 12-am", "2019-06-04T00:00:00Z"),
            ("%Y-%m-%d %I-%p", "UTC", "2019-06-04 12-PM", "2019-06-04T12:00:00Z"),
            ("%m/%d/%Y %H:%M", "UTC", "6/4/2019 9:05", "2019-06-04T09:05:00Z"),
            ("%Y%m%d%z", "UTC", "20190604-01:00", "2019-06-04T01:00:00Z"),
            ("%Y%m%d %L", "America/New_York", "20240702 34200001", "2024-07-02T13:30:00.001Z"),
            ("%Y%m%d %L", "UTC", "20240702 0", "2024-07-02T00:00:00Z"),
        ] {
            let got = parser(pattern, zone).parse(text.as_bytes());
            assert_eq!(got, Ok(us(want)), "{pattern} {text}");
        }
        let mut day = parser("%Y%m%d", "UTC");
        assert_eq!(day.parse(b"20190604x"), Err(TimeFault::Bad));
        let mut millis = parser("%Y%m%d %L", "UTC");
        assert_eq!(millis.parse(b"20240702 86400000"), Err(TimeFault::OutOfRange));
        assert_eq!(millis.parse(b"20240702 "), Err(TimeFault::Bad));
        assert_eq!(millis.parse(b"20240702 -1"), Err(TimeFault::Bad));
        assert_eq!(day.parse(b"20190600"), Err(TimeFault::OutOfRange), "day 0");
        assert_eq!(day.parse(b"20190631"), Err(TimeFault::OutOfRange));
        assert_eq!(parser("%I%p", "UTC").parse(b"01AM"), Err(TimeFault::OutOfRange));
        assert_eq!(
            parser("%Y%m%d %I%p", "UTC").parse(b"20190604 13PM"),
            Err(TimeFault::OutOfRange)
        );
        assert_eq!(
            parser("%Y%m%d.%f", "UTC").parse(b"20190604.0000000001"),
            Err(TimeFault::SubMicrosecond)
        );
        assert_eq!(parser("%Y%m%d.%f", "UTC").parse(b"20190604.0000000000"), Err(TimeFault::Bad));
    }

    #[test]
    fn daylight_saving_gaps_and_overlaps_are_refused() {
        let mut auto = parser("auto", "America/New_York");
        assert_eq!(auto.parse(b"2024-03-10 02:30:00"), Err(TimeFault::DstGap));
        assert_eq!(auto.parse(b"2024-11-03 01:30:00"), Err(TimeFault::DstOverlap));
        assert_eq!(auto.parse(b"2024-03-10 01:59:59"), Ok(us("2024-03-10T06:59:59Z")));
        assert_eq!(auto.parse(b"2024-03-10 03:00:00"), Ok(us("2024-03-10T07:00:00Z")));
        assert_eq!(auto.parse(b"2024-11-03 01:30:00-05:00"), Ok(us("2024-11-03T06:30:00Z")));
    }

    #[test]
    fn days_are_read_as_written() {
        let day = |format, zone, text: &str| parser(format, zone).parse_date(text.as_bytes());
        assert_eq!(day("auto", "UTC", "1970-01-02"), Ok(1));
        assert_eq!(day("auto", "America/New_York", "1970-01-02T23:00:00Z"), Ok(1));
        assert_eq!(day("epoch", "America/New_York", "1704067200"), Ok(19_722));
        assert_eq!(day("epoch", "UTC", "1704067200"), Ok(19_723));
        assert_eq!(day("%Y%m%d", "UTC", "19700102"), Ok(1));
        assert_eq!(day("auto", "UTC", "1970-02-30"), Err(TimeFault::OutOfRange));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn any_time_is_read_back(us in FIRST_US..LAST_US, minutes in -1_439_i64..1_440) {
            let mut auto = parser("auto", "UTC");
            let text = Timestamp::from_microsecond(us).unwrap().to_string();
            prop_assert_eq!(auto.parse(text.as_bytes()), Ok(us));
            let local = us + minutes * 60 * SECOND_US;
            prop_assume!((FIRST_US..LAST_US).contains(&local));
            let text = Timestamp::from_microsecond(local).unwrap().to_string();
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
            let text = format!("{}{sign}{hours:02}:{minutes:02}", text.trim_end_matches('Z'));
            prop_assert_eq!(auto.parse(text.as_bytes()), Ok(us));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in "[-0-9TZ:. +eA-]{0,45}") {
            for format in ["auto", "epoch", "%Y%m%d%H%M%S%f%z", "%d.%m.%Y %I:%M%p"] {
                let _ = parser(format, "Europe/Paris").parse(bytes.as_bytes());
                let _ = parser(format, "UTC").parse_date(bytes.as_bytes());
            }
        }
    }
}
