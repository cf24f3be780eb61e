//! The words for bar intervals.

/// The interval in its canonical spelling: `1s 1m 5m 1h 4h 1d 1w 1mo`. Accepts the usual others:
/// `60m` and `60min` (`1h`), `1D`, `d`, `daily` (`1d`), `1M`, `month` (`1mo`), `M1`, `H4`, `MN1`.
///
/// A bare number has no unit, and `m` alone may be a minute or a month: both give `None`, as does
/// anything else that is no interval.
pub fn normalise_interval(text: &str) -> Option<String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, word) = text.split_at(split);
    if digits.is_empty() {
        return word_alone(word).map(str::to_owned).or_else(|| unit_first(word));
    }
    let count: u64 = digits.parse().ok().filter(|count| *count > 0)?;
    let word = word.trim_start_matches([' ', '-', '_']);
    spell(count, unit(word, count)?)
}

/// Units in ascending order: name, and how many make one of the next.
const UNITS: [(&str, u64); 6] =
    [("s", 60), ("m", 60), ("h", 24), ("d", 7), ("w", u64::MAX), ("mo", u64::MAX)];

fn unit(word: &str, count: u64) -> Option<usize> {
    // A capital M is a month, in the one spelling that vendors use; 15M is more likely a slip.
    if word == "M" {
        return (count == 1).then_some(5);
    }
    Some(match word.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => 0,
        "m" | "min" | "mins" | "minute" | "minutes" => 1,
        "h" | "hr" | "hrs" | "hour" | "hours" => 2,
        "d" | "day" | "days" => 3,
        "w" | "wk" | "week" | "weeks" => 4,
        "mo" | "mon" | "mth" | "month" | "months" => 5,
        _ => return None,
    })
}

fn word_alone(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "second" => "1s",
        "min" | "minute" => "1m",
        "h" | "hour" | "hourly" => "1h",
        "d" | "day" | "daily" => "1d",
        "w" | "week" | "weekly" => "1w",
        "mo" | "month" | "monthly" => "1mo",
        _ => return None,
    })
}

/// The terminal spelling: `M1`, `H4`, `D1`, `W1`, `MN1`.
fn unit_first(text: &str) -> Option<String> {
    let split = text.find(|c: char| c.is_ascii_digit())?;
    let (word, digits) = text.split_at(split);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok().filter(|count| *count > 0)?;
    let unit = match word.to_ascii_uppercase().as_str() {
        "S" => 0,
        "M" => 1,
        "H" => 2,
        "D" => 3,
        "W" => 4,
        "MN" => 5,
        _ => return None,
    };
    spell(count, unit)
}

fn spell(mut count: u64, mut unit: usize) -> Option<String> {
    while let Some(&(_, next)) = UNITS.get(unit)
        && next != u64::MAX
        && count.is_multiple_of(next)
    {
        count /= next;
        unit += 1;
    }
    let (name, _) = UNITS.get(unit)?;
    Some(format!("{count}{name}"))
}

#[cfg(test)]
mod tests {
    use super::normalise_interval;

    #[test]
    fn intervals_have_one_spelling() {
        let cases = [
            ("1s", "1s"),
            ("1m", "1m"),
            ("5m", "5m"),
            ("1h", "1h"),
            ("4h", "4h"),
            ("1d", "1d"),
            ("1w", "1w"),
            ("1mo", "1mo"),
            ("60m", "1h"),
            ("60min", "1h"),
            ("60s", "1m"),
            ("240m", "4h"),
            ("1440m", "1d"),
            ("90m", "90m"),
            ("24h", "1d"),
            ("7d", "1w"),
            ("1D", "1d"),
            ("d", "1d"),
            ("daily", "1d"),
            ("Hourly", "1h"),
            ("1H", "1h"),
            ("1M", "1mo"),
            ("monthly", "1mo"),
            ("M1", "1m"),
            ("M30", "30m"),
            ("H4", "4h"),
            ("D1", "1d"),
            ("MN1", "1mo"),
            ("m5", "5m"),
            ("15 minutes", "15m"),
            ("1-hour", "1h"),
            (" 1h ", "1h"),
            ("3d", "3d"),
            ("10080m", "1w"),
            ("minute", "1m"),
        ];
        for (given, expected) in cases {
            assert_eq!(normalise_interval(given).as_deref(), Some(expected), "{given}");
            assert_eq!(normalise_interval(expected).as_deref(), Some(expected), "{expected}");
        }
    }

    #[test]
    fn what_is_no_interval_is_none() {
        for given in [
            "",
            "60",
            "m",
            "M",
            "0m",
            "15M",
            "1x",
            "h1h",
            "99999999999999999999m",
            "-1m",
            "1",
            "é",
            "1é",
            "M",
            "MN",
            "2024-11",
        ] {
            assert_eq!(normalise_interval(given), None, "{given}");
        }
    }
}
