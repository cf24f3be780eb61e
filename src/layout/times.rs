//! Whether a sample value could be a time or a number of some form. Looks at spelling and ranges
//! only; the decoder is what turns values into times.

use jiff::civil::Date;

use crate::mapping::{Rewrite, TimeFormat, TimeItem};
use crate::month::month_name;

/// Whether `text` is a time of this form.
pub(super) fn is_time(format: &TimeFormat, text: &str) -> bool {
    match format {
        TimeFormat::Epoch | TimeFormat::LocalEpoch => is_epoch(text),
        TimeFormat::MillisOfDay(_) => is_millis_of_day(text),
        TimeFormat::Auto => is_epoch(text) || is_iso(text),
        TimeFormat::Pattern(items) => matches_pattern(items, text.as_bytes()),
    }
}

/// Whether the zone of a file's times comes from outside its bytes.
pub(super) fn needs_zone(format: &TimeFormat) -> bool {
    match format {
        TimeFormat::Epoch => false,
        TimeFormat::Auto | TimeFormat::LocalEpoch | TimeFormat::MillisOfDay(_) => true,
        TimeFormat::Pattern(items) => !items.contains(&TimeItem::Offset),
    }
}

/// Whether a time of this form is a day without a time of day.
pub(super) fn is_day(format: &TimeFormat, text: &str) -> bool {
    match format {
        TimeFormat::Auto => text.len() == 10 && is_iso(text),
        TimeFormat::Pattern(items) => {
            use TimeItem::{Hour, Hour12, MillisOfDay};
            !items.iter().any(|item| matches!(item, Hour | Hour12 | MillisOfDay))
        }
        TimeFormat::Epoch | TimeFormat::LocalEpoch | TimeFormat::MillisOfDay(_) => false,
    }
}

/// Whether a text ends with a time of day and says no zone.
pub(super) fn is_local_clock(text: &str) -> bool {
    let clock = text.rsplit_once([' ', 'T', 't']).map_or("", |(_, clock)| clock);
    let signs = |c: char| c.is_ascii_digit() || c == ':' || c == '.';
    clock.contains(':') && clock.chars().all(signs)
}

/// Seconds, milliseconds, microseconds or nanoseconds, told by magnitude.
fn is_epoch(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    digits(fraction)
        && digits(whole)
        && matches!(whole.len(), 10 | 13 | 16 | 19)
        && (b'1'..=b'4').contains(&whole.as_bytes()[0])
}

/// Milliseconds since midnight; a whole number of fewer digits than an epoch has.
fn is_millis_of_day(text: &str) -> bool {
    text.len() <= 8 && text.parse::<u32>().is_ok_and(|millis| millis < 86_400_000)
}

fn is_iso(text: &str) -> bool {
    use TimeItem::{Day, Literal, Month, Year};
    const DATE: [TimeItem; 5] = [Year, Literal(b'-'), Month, Literal(b'-'), Day];
    let Some((date, time)) = text.split_at_checked(10) else { return false };
    if !matches_pattern(&DATE, date.as_bytes()) {
        return false;
    }
    time.is_empty() || time.strip_prefix(['T', ' ', 't']).is_some_and(is_clock)
}

/// `hh:mm[:ss[.f]]` and perhaps an offset, which may have no minutes, as PostgreSQL writes it.
fn is_clock(text: &str) -> bool {
    use TimeItem::{Fraction, Hour, Literal, Minute, Second};
    const C: TimeItem = Literal(b':');
    const FORMS: [&[TimeItem]; 3] = [
        &[Hour, C, Minute],
        &[Hour, C, Minute, C, Second],
        &[Hour, C, Minute, C, Second, Literal(b'.'), Fraction],
    ];
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.');
    let (clock, behind) = text.split_at(end.unwrap_or(text.len()));
    let behind = behind.trim_start().as_bytes();
    let has_zone = match behind {
        b"" | b"UTC" | b"utc" => true,
        [b'+' | b'-', hours @ ..] if hours.len() == 2 => number(hours, 2, 2, 0, 23).is_some(),
        _ => offset(behind) == Some(behind.len()),
    };
    has_zone && FORMS.iter().any(|form| matches_pattern(form, clock.as_bytes()))
}

fn matches_pattern(items: &[TimeItem], text: &[u8]) -> bool {
    let mut rest = text;
    items.iter().enumerate().all(|(at, item)| {
        taken(item, rest).is_some_and(|len| {
            rest = &rest[len..];
            len > 1 || !TimeItem::needs_two_digits(items, at)
        })
    }) && rest.is_empty()
}

/// The day of a time that a pattern tells, in days from 1970-01-01.
pub(super) fn day_of(format: &TimeFormat, text: &str) -> Option<i64> {
    match format {
        TimeFormat::Pattern(items) => read_pattern(items, text).map(|ms| ms.div_euclid(DAY_MS)),
        _ => None,
    }
}

const DAY_MS: i64 = 86_400_000;

/// A time that is an epoch number or has a pattern, in milliseconds from 1970 by its own clock.
pub(super) fn instant_of(format: &TimeFormat, text: &str) -> Option<i64> {
    match format {
        TimeFormat::Pattern(items) => read_pattern(items, text),
        TimeFormat::Epoch | TimeFormat::LocalEpoch | TimeFormat::Auto if is_epoch(text) => {
            let (whole, _) = text.split_once('.').unwrap_or((text, ""));
            let value: i64 = whole.parse().ok()?;
            Some(match whole.len() {
                10 => value * 1_000,
                13 => value,
                16 => value / 1_000,
                _ => value / 1_000_000,
            })
        }
        _ => None,
    }
}

/// What a time says that is written by a pattern, in milliseconds; its offset is not taken off.
fn read_pattern(items: &[TimeItem], text: &str) -> Option<i64> {
    let (mut year, mut month, mut day) = (None, None, None);
    let (mut hour, mut half_day, mut of_day) = (0, 0, 0);
    let mut rest = text.as_bytes();
    for item in items {
        let len = taken(item, rest)?;
        let value = || std::str::from_utf8(&rest[..len]).ok()?.parse::<i16>().ok();
        let number = || std::str::from_utf8(&rest[..len]).ok()?.parse::<i64>().ok();
        match item {
            TimeItem::Year => year = value(),
            TimeItem::Month => month = value(),
            TimeItem::MonthName => month = month_name(rest).map(|(month, _)| i16::from(month)),
            TimeItem::Day => day = value(),
            TimeItem::Hour => hour = number()?,
            TimeItem::Hour12 => hour = number()? % 12,
            TimeItem::AmPm => half_day = if rest[0].eq_ignore_ascii_case(&b'p') { 12 } else { 0 },
            TimeItem::Minute => of_day += number()? * 60_000,
            TimeItem::Second => of_day += number()? * 1_000,
            TimeItem::MillisOfDay => of_day += number()?,
            _ => {}
        }
        rest = &rest[len..];
    }
    let date = Date::new(year?, month?.try_into().ok()?, day?.try_into().ok()?).ok()?;
    let days = date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24;
    Some(days * DAY_MS + (hour + half_day) * 3_600_000 + of_day)
}

/// How many bytes an item of a pattern takes.
fn taken(item: &TimeItem, rest: &[u8]) -> Option<usize> {
    match *item {
        TimeItem::Year => number(rest, 4, 4, 0, 9999),
        TimeItem::ShortYear => number(rest, 2, 2, 0, 99),
        TimeItem::MonthName => month_name(rest).map(|(_, behind)| rest.len() - behind.len()),
        TimeItem::Month => number(rest, 1, 2, 1, 12),
        TimeItem::Day => number(rest, 1, 2, 1, 31),
        TimeItem::Hour => number(rest, 1, 2, 0, 23),
        TimeItem::Hour12 => number(rest, 1, 2, 1, 12),
        TimeItem::Minute => number(rest, 2, 2, 0, 59),
        TimeItem::Second => number(rest, 2, 2, 0, 60),
        TimeItem::Fraction => number(rest, 1, 9, 0, 999_999_999),
        TimeItem::MillisOfDay => number(rest, 1, 8, 0, 86_399_999),
        TimeItem::AmPm => rest
            .get(..2)
            .filter(|word| word.eq_ignore_ascii_case(b"am") || word.eq_ignore_ascii_case(b"pm"))
            .map(<[u8]>::len),
        TimeItem::Offset => offset(rest),
        TimeItem::Literal(byte) => (rest.first() == Some(&byte)).then_some(1),
    }
}

/// How many digits from `least` to `most` stand here, if their value is in the range.
fn number(rest: &[u8], least: usize, most: usize, from: u32, to: u32) -> Option<usize> {
    let digits = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let value = rest[..digits].iter().fold(0, |n, byte| n * 10 + u32::from(byte - b'0'));
    (digits >= least && (from..=to).contains(&value)).then_some(digits)
}

fn offset(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'Z' | b'z', ..] => Some(1),
        [b'+' | b'-', after @ ..] => {
            number(after, 2, 2, 0, 23)?;
            let colon = usize::from(after.get(2) == Some(&b':'));
            number(after.get(2 + colon..)?, 2, 2, 0, 59)?;
            Some(5 + colon)
        }
        _ => None,
    }
}

/// Whether `text` is a number as the rewriting of its column expects it.
pub(super) fn is_rewritten_number(rewrite: Option<&Rewrite>, text: &str) -> bool {
    if let Some(Rewrite::Amount { comma }) = rewrite {
        return is_amount(text, *comma);
    }
    let Some(Rewrite::Number { comma, scale, thousands }) = rewrite else { return is_number(text) };
    let plain: String = match thousands {
        Some(separator) => text.chars().filter(|c| *c != char::from(*separator)).collect(),
        None => text.to_owned(),
    };
    if *comma && plain.contains('.') {
        return false;
    }
    let plain = if *comma { plain.replacen(',', ".", 1) } else { plain };
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if *scale > 0 { whole } else { is_number(&plain) }
}

/// Whether `text` looks like a number as people write it.
fn is_amount(text: &str, comma: bool) -> bool {
    let signs = ['$', '€', '£', '¥', '₹', '-', '+', '%', ' '];
    let size = text.trim_matches(signs);
    let size = size.strip_suffix(['K', 'k', 'M', 'm', 'B', 'b', 'T', 't']).unwrap_or(size);
    let (point, group) = if comma { (',', '.') } else { ('.', ',') };
    let group = |c: char| c == group || matches!(c, ' ' | '\'' | '\u{a0}' | '\u{202f}');
    let plain: String = size.chars().filter(|c| !group(*c)).collect();
    let digits = plain.replacen(point, "", 1);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a field must be from which the rewriting takes a part, if that is what it does.
pub(super) fn part(rewrite: &Rewrite) -> Option<&'static str> {
    match rewrite {
        Rewrite::Occ(_) => Some("symbol of an option"),
        Rewrite::Nanos => Some("time"),
        Rewrite::IsoDay(_) => Some("word with a day behind it"),
        Rewrite::Number { .. }
        | Rewrite::Amount { .. }
        | Rewrite::Words(_)
        | Rewrite::CutToMicros
        | Rewrite::Bytes { .. } => None,
    }
}

/// Whether `text` holds the part that the rewriting takes. A time may have no nanoseconds.
pub(super) fn is_part(rewrite: &Rewrite, text: &str) -> bool {
    match rewrite {
        Rewrite::Occ(_) => {}
        Rewrite::IsoDay(format) => {
            return text.rsplit_once(' ').is_some_and(|(_, day)| is_time(format, day));
        }
        _ => return true,
    }
    // A root, six digits of a day, the type, eight digits of strike.
    let Some(at) = text.len().checked_sub(15) else { return false };
    let (root, contract) = text.as_bytes().split_at(at);
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    !root.is_empty()
        && digits(&contract[..6])
        && matches!(contract[6], b'C' | b'P')
        && digits(&contract[7..])
}

/// Whether `text` is a decimal number.
pub(super) fn is_number(text: &str) -> bool {
    let first = text.bytes().find(|byte| !matches!(byte, b'+' | b'-' | b'.'));
    first.is_some_and(|byte| byte.is_ascii_digit()) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(pattern: &str, text: &str) -> bool {
        TimeFormat::parse(pattern).is_ok_and(|format| is_time(&format, text))
    }

    #[test]
    fn epochs_are_told_by_magnitude() {
        for good in ["1381017600", "1586995200.0", "1730419200000", "1735689600000000"] {
            assert!(reads("epoch", good) && reads("auto", good), "{good}");
        }
        for bad in ["", "0", "93576.0", "173041920000", "9730419200", "1e9", "1381017600."] {
            assert!(!reads("epoch", bad), "{bad}");
        }
        assert!(reads("epoch", "4102444800000000000"));
    }

    #[test]
    fn iso_times_are_read() {
        for good in [
            "2024-01-31",
            "2024-01-31 09:05",
            "2024-01-31T09:05:00Z",
            "2024-01-31 09:05:00.123",
            "2024-01-31 00:00:00-05:00",
            "2024-01-31T00:00:00.000000001+0530",
            "2024-01-31 9:05",
            "2024-01-31 00:00:00+00",
            "2024-01-31 00:00:00.5-05",
            "2024-01-31 00:00:00 UTC",
            "2024-01-31 00:00 +01:00",
        ] {
            assert!(reads("auto", good), "{good}");
        }
        for bad in [
            "2024/01/31",
            "31.01.2024",
            "2024-13-01",
            "2024-01-31 25:00",
            "2024-1-31",
            "2024-01-31 01-AM",
            "2024-01-31 00:00 +1",
            "2024-01-31 00:00 PM",
            "2024-01-31 00:00:00 EST",
            "2024-01-31é",
            "aé",
        ] {
            assert!(!reads("auto", bad), "{bad}");
        }
    }

    #[test]
    fn patterns_match_whole_values() {
        assert!(reads("%Y-%m-%d %I-%p", "2019-06-04 01-AM"));
        assert!(reads("%Y-%m-%d %I-%p", "2019-06-04 12-pm"));
        assert!(!reads("%Y-%m-%d %I-%p", "2019-06-04 13-PM"));
        assert!(!reads("%Y-%m-%d", "2019-06-04 01-AM"));
        assert!(!reads("%Y-%m-%d %I-%p", "2019-06-04"));
        assert!(reads("%Y%m%d %H%M%S", "20150201 170000"));
        assert!(!reads("%Y%m%d %H%M%S", "20151301 170000"));
        assert!(reads("%d-%b-%Y", "30-Jan-2020") && reads("%d-%b-%Y", "01-JAN-2020"));
        assert!(!reads("%d-%b-%Y", "30-Jab-2020") && !reads("%d-%b-%Y", "30-01-2020"));
        assert!(reads("%b %d, %Y", "January 8, 2024") && reads("%b %d, %Y", "Jan 08, 2024"));
        assert!(!reads("%b %d, %Y", "Januar 8, 2024"));
        assert!(reads("%d-%b-%y", "14-May-12") && !reads("%d-%b-%Y", "14-May-12"));
        assert!(reads("ms_of_day", "34200000") && reads("ms_of_day", "0"));
        assert!(!reads("ms_of_day", "86400000") && !reads("ms_of_day", "20131009 00:00"));
    }

    #[test]
    fn instants_are_those_of_the_clock_that_is_written() {
        let instant = |pattern: &str, text: &str| {
            instant_of(&TimeFormat::parse(pattern).unwrap(), text).map(|ms| ms / 1_000)
        };
        let noon = Some(1_704_196_800);
        for (pattern, text) in [
            ("%Y-%m-%d %H:%M:%S", "2024-01-02 12:00:00"),
            ("%d-%b-%y %I:%M %p", "02-Jan-24 12:00 PM"),
            ("%Y%m%d %L", "20240102 43200000"),
            ("epoch", "1704196800"),
            ("epoch", "1704196800000"),
            ("auto", "1704196800000000"),
        ] {
            assert_eq!(instant(pattern, text), noon.filter(|_| !pattern.contains("%y")), "{text}");
        }
        assert_eq!(instant("auto", "2024-01-02"), None);
        assert!(reads("%Y%m%d %L", "20240102 0") && reads("%L", "86399999"));
        assert!(!reads("%L", "86400000") && !reads("%L", ""));
    }

    #[test]
    fn parts_are_looked_for_where_they_are() {
        let occ = Rewrite::Occ(crate::mapping::OccPart::Strike);
        assert!(is_part(&occ, "O:SPY230327P00390000") && is_part(&occ, "X250117C12345678"));
        for bad in ["", "SPY", "230327P00390000", "SPY230327X00390000", "SPY23032ééé00390000"] {
            assert!(!is_part(&occ, bad), "{bad}");
        }
        let day = Rewrite::IsoDay(TimeFormat::parse("%d-%b-%Y").unwrap());
        assert!(is_part(&day, "M&M FIN 30-Jan-2020"));
        assert!(!is_part(&day, "M&M 30-Jan-20") && !is_part(&day, "30-Jan-2020"));
        assert!(is_part(&Rewrite::Nanos, "") && part(&Rewrite::CutToMicros).is_none());
    }

    #[test]
    fn numbers_are_finite_decimals() {
        for good in ["1", "-1.5", "1e+05", ".5", "+3.", "3.811e-05"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "inf", "NaN", "1,5", "0x10", "abc", "-", "1e999", "-inf"] {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
