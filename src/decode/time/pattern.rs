//! Times that are written by a pattern, item by item.

use super::super::number::parse_integer;
use super::super::zone::days_from_civil;
use super::{
    Reading, TimeFault, millis_of_day, read_fraction, read_offset, second_of_day, two_digits,
};
use crate::mapping::TimeItem;
use crate::month::month_name;

/// The parts of a pattern as they are met.
struct Parts {
    year: i32,
    month: u8,
    day: u8,
    hour: u8,
    hour12: Option<u8>,
    afternoon: bool,
    minute: u8,
    second: u8,
    micros: i64,
    /// Seconds and microseconds since midnight, where one number tells them.
    of_day: Option<(i64, i64)>,
    offset: Option<i64>,
}

/// Reads a time that is written by a pattern.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_pattern(items: &[TimeItem], bytes: &[u8]) -> Result<Reading, TimeFault> {
    let mut parts = Parts {
        year: 0,
        month: 1,
        day: 1,
        hour: 0,
        hour12: None,
        afternoon: false,
        minute: 0,
        second: 0,
        micros: 0,
        of_day: None,
        offset: None,
    };
    let mut rest = bytes;
    for (at, item) in items.iter().enumerate() {
        let met = rest;
        rest = read_item(*item, met, &mut parts)?;
        if met.len() - rest.len() < 2 && TimeItem::needs_two_digits(items, at) {
            return Err(TimeFault::Bad);
        }
    }
    if !rest.is_empty() {
        return Err(TimeFault::Bad);
    }
    let hour = match parts.hour12 {
        Some(hour) if !(1..=12).contains(&hour) => return Err(TimeFault::OutOfRange),
        Some(hour) => hour % 12 + if parts.afternoon { 12 } else { 0 },
        None => parts.hour,
    };
    let (second, micros) = match parts.of_day {
        Some(of_day) => of_day,
        None => (second_of_day(hour, parts.minute, parts.second)?, parts.micros),
    };
    Ok(Reading {
        days: days_from_civil(parts.year, parts.month, parts.day)?,
        second,
        micros,
        offset: parts.offset,
    })
}

/// Reads one item into its part and returns what follows it.
fn read_item<'a>(
    item: TimeItem,
    bytes: &'a [u8],
    parts: &mut Parts,
) -> Result<&'a [u8], TimeFault> {
    let rest = match (item, bytes) {
        (TimeItem::Year, [y1, y2, y3, y4, rest @ ..]) => {
            parts.year = i32::from(two_digits(*y1, *y2)?) * 100 + i32::from(two_digits(*y3, *y4)?);
            rest
        }
        (TimeItem::ShortYear, [y1, y2, rest @ ..]) => {
            let year = i32::from(two_digits(*y1, *y2)?);
            parts.year = if year < 70 { 2_000 + year } else { 1_900 + year };
            rest
        }
        (TimeItem::MonthName, _) => {
            let (month, rest) = month_name(bytes).ok_or(TimeFault::Bad)?;
            parts.month = month;
            rest
        }
        (TimeItem::Minute, [m1, m2, rest @ ..]) => {
            parts.minute = two_digits(*m1, *m2)?;
            rest
        }
        (TimeItem::Second, [s1, s2, rest @ ..]) => {
            parts.second = two_digits(*s1, *s2)?;
            rest
        }
        (TimeItem::Month, _) => short_number(bytes, &mut parts.month)?,
        (TimeItem::Day, _) => short_number(bytes, &mut parts.day)?,
        (TimeItem::Hour, _) => short_number(bytes, &mut parts.hour)?,
        (TimeItem::Hour12, _) => {
            let mut hour = 0;
            let rest = short_number(bytes, &mut hour)?;
            parts.hour12 = Some(hour);
            rest
        }
        (TimeItem::Fraction, _) => {
            let (micros, rest) = read_fraction(bytes)?;
            if bytes.len() - rest.len() > 9 {
                return Err(TimeFault::Bad);
            }
            parts.micros = micros;
            rest
        }
        (TimeItem::MillisOfDay, _) => {
            let (of_day, rest) = read_millis(bytes)?;
            parts.of_day = Some(of_day);
            rest
        }
        (TimeItem::AmPm, [half, b'M' | b'm', rest @ ..]) => {
            parts.afternoon = match half {
                b'A' | b'a' => false,
                b'P' | b'p' => true,
                _ => return Err(TimeFault::Bad),
            };
            rest
        }
        (TimeItem::Offset, _) => {
            let (offset, rest) = offset_of(bytes)?;
            parts.offset = Some(offset);
            rest
        }
        (TimeItem::Literal(want), [byte, rest @ ..]) if *byte == want => rest,
        _ => return Err(TimeFault::Bad),
    };
    Ok(rest)
}

/// One or two digits; two where two stand.
fn short_number<'a>(bytes: &'a [u8], value: &mut u8) -> Result<&'a [u8], TimeFault> {
    match bytes {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
            *value = (tens - b'0') * 10 + (ones - b'0');
            Ok(rest)
        }
        [ones @ b'0'..=b'9', rest @ ..] => {
            *value = ones - b'0';
            Ok(rest)
        }
        _ => Err(TimeFault::Bad),
    }
}

/// Milliseconds since midnight, as seconds and microseconds.
fn read_millis(bytes: &[u8]) -> Result<((i64, i64), &[u8]), TimeFault> {
    let digits = bytes.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    let (millis, rest) = bytes.split_at(digits);
    let millis = parse_integer(millis).map_err(|_| TimeFault::Bad)?;
    let Reading { second, micros, .. } = millis_of_day(Some(0), millis)?;
    Ok(((second, micros), rest))
}

/// Seconds east of UTC.
fn offset_of(bytes: &[u8]) -> Result<(i64, &[u8]), TimeFault> {
    let len = match bytes {
        [b'Z', ..] => 1,
        [_, _, _, b':', ..] => 6,
        _ => 5,
    };
    let (offset, rest) = bytes.split_at_checked(len).ok_or(TimeFault::Bad)?;
    Ok((read_offset(offset)?, rest))
}
