//! Values of flags: sizes, durations, times, ranges.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::dataset;
use crate::limit::{KIB, MEMORY_BYTES_MIN, MIB};
use crate::pipeline::RejectBudget;

/// How long a batch is tried where no flag says so.
pub const RETRY_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// `96MiB`, `1GiB`, `512KiB`, or bytes.
pub fn size(text: &str) -> Result<usize, String> {
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => 1024 * MIB,
        _ => return Err(format!("{text:?} is no size: use a number with KiB, MiB or GiB")),
    };
    let number: usize = number
        .parse()
        .map_err(|_| format!("{text:?} is no size: use a number with KiB, MiB or GiB"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too much"))
}

/// A number of records: `250000`, `500k`, `5M`.
pub fn count(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{text:?} is no number of records: use 250000, 500k or 5M"))
}

/// The number of a run.
pub fn run(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "that is no number of a run; tidegate status lists them".to_owned())
}

/// A rule or warning that can be switched off, or `all`.
pub fn rule(text: &str) -> Result<String, String> {
    let known = dataset::rule_names();
    if text == "all" || known.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no rule that can be switched off: all, {}", known.join(", ")))
}

/// A size that a load can run in.
pub fn memory(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    if bytes < MEMORY_BYTES_MIN {
        return Err(format!("{text:?} is too little: at least {}MiB", MEMORY_BYTES_MIN / MIB));
    }
    Ok(bytes)
}

/// `90s`, `15m`, `2h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: use 90s, 15m or 2h");
    let (number, unit) =
        text.trim().split_at_checked(text.trim().len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(number.checked_mul(factor).ok_or_else(wrong)?))
}

/// As [`duration`], or `100ms`; more than nothing.
pub fn pause(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time between two things: use 100ms, 1s or 5m");
    let pause = match text.trim().strip_suffix("ms") {
        Some(number) => Duration::from_millis(number.parse().map_err(|_| wrong())?),
        None => duration(text).map_err(|_| wrong())?,
    };
    if pause.is_zero() { Err(wrong()) } else { Ok(pause) }
}

/// `1000` in a second, `50000/min`, `100000/day`; in a second.
pub fn rate(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no rate: use 1000 (a second), 50000/min or 100000/day");
    let (number, unit) = text.trim().split_once('/').unwrap_or((text.trim(), "s"));
    let seconds = match unit {
        "s" | "second" => 1.0,
        "min" | "minute" => 60.0,
        "h" | "hour" => 3_600.0,
        "d" | "day" => 86_400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let rate = number / seconds;
    if rate.is_finite() && rate > 0.0 && rate <= 1e7 { Ok(rate) } else { Err(wrong()) }
}

/// A factor by which something grows.
pub fn factor(text: &str) -> Result<f64, String> {
    let factor = text.trim().parse().ok().filter(|factor| (1.01..=100.0).contains(factor));
    factor.ok_or_else(|| format!("{text:?} is no factor: use a number from 1.01 to 100"))
}

/// RFC 3339, or a date, which is its midnight in UTC; in microseconds from 1970.
pub fn instant(text: &str) -> Result<i64, String> {
    let text = text.trim();
    if let Ok(ts) = text.parse::<jiff::Timestamp>() {
        return Ok(ts.as_microsecond());
    }
    let date: Date = text.parse().map_err(|_| {
        format!("{text:?} is no time: use a date such as 2024-12-31, or 2024-12-31T14:30:00Z")
    })?;
    let midnight = date.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(midnight.timestamp().as_microsecond())
}

/// `10`, or `0.5%`.
pub fn reject_budget(text: &str) -> Result<RejectBudget, String> {
    let wrong = || format!("{text:?} is no budget: use a number of rejects, or a share such as 1%");
    match text.trim().strip_suffix('%') {
        Some(percent) => match percent.trim().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(RejectBudget::Percent(percent)),
            _ => Err(wrong()),
        },
        None => text.trim().parse().map(RejectBudget::Count).map_err(|_| wrong()),
    }
}

/// `I/N` with 0 <= I < N.
pub fn shard(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("{text:?} is no shard: use I/N with 0 <= I < N, such as 0/4");
    let (part, parts) = text.split_once('/').ok_or_else(wrong)?;
    let (part, parts): (u64, u64) =
        (part.parse().map_err(|_| wrong())?, parts.parse().map_err(|_| wrong())?);
    if part < parts { Ok((part, parts)) } else { Err(wrong()) }
}

/// `3` or `3-7`, from 1.
pub fn range(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("{text:?} is no range of units: use 3 or 3-7, counted from 1");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u64, u64) =
        (first.trim().parse().map_err(|_| wrong())?, last.trim().parse().map_err(|_| wrong())?);
    if first >= 1 && first <= last { Ok((first, last)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_durations_and_times() {
        assert_eq!(size("96MiB"), Ok(96 * MIB));
        assert_eq!(size("17"), Ok(17));
        assert!(size("96MB").is_err() && size("MiB").is_err() && size("99999999999GiB").is_err());
        assert!(memory("1MiB").is_err());
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert!(duration("15").is_err() && duration("").is_err() && duration("m").is_err());
        assert!(duration("1é").is_err());
        assert_eq!(pause("100ms"), Ok(Duration::from_millis(100)));
        assert!(pause("0s").is_err() && pause("0ms").is_err() && pause("5").is_err());
        assert_eq!(rate("86400/day"), Ok(1.0));
        assert_eq!(rate("90/min"), Ok(1.5));
        assert_eq!(rate("2000"), Ok(2_000.0));
        assert!(["0", "-1", "inf", "5/fortnight", "1e9"].iter().all(|text| rate(text).is_err()));
        assert_eq!(factor("1.5"), Ok(1.5));
        assert!(factor("1").is_err() && factor("NaN").is_err());
        assert_eq!(instant("1970-01-02"), Ok(86_400_000_000));
        assert_eq!(instant("1970-01-01T01:00:00+01:00"), Ok(0));
        assert!(instant("yesterday").is_err());
    }

    #[test]
    fn budgets_shards_and_ranges() {
        assert_eq!(reject_budget("7"), Ok(RejectBudget::Count(7)));
        assert_eq!(reject_budget("0.5%"), Ok(RejectBudget::Percent(0.5)));
        assert!(reject_budget("101%").is_err() && reject_budget("-1").is_err());
        assert_eq!(shard("0/4"), Ok((0, 4)));
        assert!(shard("4/4").is_err() && shard("1").is_err());
        assert_eq!(range("3"), Ok((3, 3)));
        assert_eq!(range("3-7"), Ok((3, 7)));
        assert!(range("0-1").is_err() && range("7-3").is_err());
    }
}
