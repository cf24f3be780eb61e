//! Times as vendors write them.

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::generate::text::{civil, time};
use crate::mapping::{Clocks, TimeFormat, TimeItem, Zone};

const DAY_US: i64 = 86_400_000_000;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A pattern of a day and a time of day as the two that stand in fields of their own.
pub fn halves(format: &TimeFormat) -> Option<(TimeFormat, TimeFormat)> {
    let TimeFormat::Pattern(items) = format else { return None };
    let space = items.iter().position(|item| *item == TimeItem::Literal(b' '))?;
    let (day, clock) = (items[..space].to_vec(), items[space + 1..].to_vec());
    Some((TimeFormat::Pattern(day), TimeFormat::Pattern(clock)))
}

/// Writes a time.
///
/// # Errors
/// When the form cannot hold it.
pub fn write(format: &TimeFormat, zone: &Zone, us: i64, into: &mut Vec<u8>) -> Result<(), String> {
    let epoch = |us: i64, into: &mut Vec<u8>| {
        // The unit is told by magnitude.
        let value = if us % 1_000 == 0 { us / 1_000 } else { us };
        into.extend_from_slice(value.to_string().as_bytes());
    };
    match format {
        TimeFormat::Auto => time(us, into),
        TimeFormat::Epoch => epoch(us, into),
        TimeFormat::LocalEpoch => epoch(local(us, zone)?, into),
        TimeFormat::Pattern(items) => pattern(items, us, zone, into)?,
        TimeFormat::MillisOfDay(_) => return Err("its times are of a day".to_owned()),
    }
    Ok(())
}

/// What a zone's clocks show, as if it were UTC.
fn local(us: i64, zone: &Zone) -> Result<i64, String> {
    let (zone, clocks) = match zone {
        Zone::Fixed(seconds) => return Ok(us + i64::from(*seconds) * 1_000_000),
        Zone::Named(zone, clocks) => (zone, *clocks),
    };
    let instant = Timestamp::from_microsecond(us).map_err(|error| error.to_string())?;
    let offset = zone.to_offset(instant);
    let shown: DateTime = offset.to_datetime(instant);
    let ambiguous = zone.to_ambiguous_timestamp(shown).is_ambiguous();
    if ambiguous && clocks == Clocks::Refuse {
        return Err(format!(
            "the clocks of its zone show {shown} twice: choose tickers or a range without it"
        ));
    }
    Ok(us + i64::from(offset.seconds()) * 1_000_000)
}

fn pattern(items: &[TimeItem], us: i64, zone: &Zone, into: &mut Vec<u8>) -> Result<(), String> {
    let shown = match items.contains(&TimeItem::Offset) {
        true => us,
        false => local(us, zone)?,
    };
    let (year, month, day) = civil(shown.div_euclid(DAY_US));
    let of_day = shown.rem_euclid(DAY_US);
    let (hour, minute) = (of_day / 3_600_000_000, of_day / 60_000_000 % 60);
    let (second, fraction) = (of_day / 1_000_000 % 60, of_day % 1_000_000);
    let has = |wanted: &[TimeItem]| wanted.iter().any(|item| items.contains(item));
    let has_day = has(&[TimeItem::Day]);
    let has_clock = has(&[TimeItem::Hour, TimeItem::Hour12]);
    let has_millis = has(&[TimeItem::MillisOfDay]);
    let lost = (has_millis && fraction % 1_000 > 0)
        || has_clock
            && ((second > 0 && !has(&[TimeItem::Second]))
                || (fraction > 0 && !has(&[TimeItem::Fraction])));
    // A day alone is one of two joined fields, or the day of a daily bar.
    if lost || (has_clock && !has(&[TimeItem::Minute]) && minute > 0) {
        return Err("its times are coarser than these".to_owned());
    }
    debug_assert!(has_day || has_clock || has_millis);
    for item in items {
        let text = match item {
            TimeItem::Year => format!("{year:04}"),
            TimeItem::ShortYear => format!("{:02}", year % 100),
            TimeItem::MonthName => MONTHS[month as usize - 1].to_owned(),
            TimeItem::Month => format!("{month:02}"),
            TimeItem::Day => format!("{day:02}"),
            TimeItem::Hour => format!("{hour:02}"),
            TimeItem::Hour12 => format!("{:02}", (hour + 11) % 12 + 1),
            TimeItem::Minute => format!("{minute:02}"),
            TimeItem::Second => format!("{second:02}"),
            TimeItem::Fraction => format!("{fraction:06}"),
            TimeItem::MillisOfDay => (of_day / 1_000).to_string(),
            TimeItem::AmPm => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            TimeItem::Offset => "+00:00".to_owned(),
            TimeItem::Literal(byte) => char::from(*byte).to_string(),
        };
        into.extend_from_slice(text.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: &str, zone: &str, time: &str) -> Result<String, String> {
        let (format, zone) = (TimeFormat::parse(format).unwrap(), Zone::parse(zone).unwrap());
        let us = time.parse::<Timestamp>().unwrap().as_microsecond();
        let mut bytes = Vec::new();
        write(&format, &zone, us, &mut bytes)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        for (format, zone, time, wanted) in [
            ("%Y%m%d %H%M%S", "UTC-5", "2024-03-04T04:30:15Z", "20240303 233015"),
            ("%d-%b-%y %I:%M %p", "America/New_York", "2024-07-04T17:05:00Z", "04-Jul-24 01:05 PM"),
            ("%Y-%m-%d %H:%M:%S%z", "UTC", "2024-01-01T00:00:00Z", "2024-01-01 00:00:00+00:00"),
            ("epoch", "UTC", "2024-01-01T00:00:00Z", "1704067200000"),
            ("epoch", "UTC", "2024-01-01T00:00:00.000001Z", "1704067200000001"),
            ("local_epoch", "UTC+2", "2024-01-01T00:00:00Z", "1704074400000"),
            ("auto", "UTC", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ] {
            assert_eq!(written(format, zone, time).as_deref(), Ok(wanted), "{format}");
        }
        let coarse = written("%Y-%m-%d %H:%M", "UTC", "2024-01-01T00:00:01Z");
        assert!(coarse.unwrap_err().contains("coarser"));
        let twice = written("%Y-%m-%d %H:%M", "America/New_York", "2024-11-03T05:30:00Z");
        assert!(twice.unwrap_err().contains("twice"));
    }
}
