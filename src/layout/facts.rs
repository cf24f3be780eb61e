//! What is known from outside a file's records: flags first, then what the layout reads in the
//! lines before them and in the file's name.

use super::error::RecogniseError;
use super::interval::normalise_interval;
use super::model::Layout;
use super::pattern::Pattern;
use super::recognise::GivenFacts;
use crate::mapping::ValueKind;

/// A fact's value and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: String,
    pub(super) from: String,
}

/// The name without folders.
pub(super) fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// Whether the name is one that the layout's files have.
pub(super) fn name_fits(layout: &Layout, name: &str) -> bool {
    let (base, path) = (base_name(name), name.replace('\\', "/"));
    layout.facts.names.iter().any(|pattern| pattern.is_match(base))
        || layout.facts.paths.iter().any(|pattern| pattern.is_match(&path))
}

/// What the name says of `fact`.
pub(super) fn from_name(layout: &Layout, fact: &str, name: &str) -> Option<Found> {
    let (base, path) = (base_name(name), name.replace('\\', "/"));
    let names = layout.facts.names.iter().map(|pattern| (pattern, base));
    let paths = layout.facts.paths.iter().map(|pattern| (pattern, path.as_str()));
    names.chain(paths).find_map(|(pattern, text)| {
        let word = pattern.captures(text)?.name(fact)?.as_str().to_owned();
        let value = refine(layout, fact, &word)?;
        Some(Found { value, from: format!("from the name {text}") })
    })
}

/// What the lines before the first record say of `fact`.
pub(super) fn from_lines(layout: &Layout, fact: &str, lines: &[String]) -> Option<Found> {
    let matched = |line: &String| {
        let mut words = layout.facts.lines.iter().filter_map(|pattern| {
            Some(pattern.captures(line)?.name(fact)?.as_str().trim().to_owned())
        });
        words.find_map(|word| refine(layout, fact, &word))
    };
    let value = lines.iter().find_map(matched)?;
    Some(Found { value, from: "from the lines before its records".to_owned() })
}

/// What a document says of `fact` outside of its records.
pub(super) fn from_keys(layout: &Layout, fact: &str, around: &[(String, String)]) -> Option<Found> {
    let mut words = around.iter().filter(|(known, _)| known == fact);
    let mut patterns = layout.facts.lines.iter().filter(|pattern| pattern.tells(fact)).peekable();
    let whole = patterns.peek().is_none();
    let value = words.find_map(|(_, word)| {
        let part = |pattern: &Pattern| Some(pattern.captures(word)?.name(fact)?.as_str());
        refine(layout, fact, if whole { word } else { patterns.clone().find_map(part)? })
    })?;
    Some(Found { value, from: "from the keys around its records".to_owned() })
}

/// What the layout says of `fact` whatever the name.
pub(super) fn constant(layout: &Layout, fact: &str) -> Option<Found> {
    let value = layout.facts.rules.get(fact)?.constant.clone()?;
    Some(Found { value, from: format!("of the layout {}", layout.name) })
}

/// The value made of the word in the name; `None` if it is no such fact after all.
fn refine(layout: &Layout, fact: &str, word: &str) -> Option<String> {
    let rule = layout.facts.rules.get(fact);
    let mut value = word.to_owned();
    if let Some(rule) = rule {
        if rule.except.contains(&word.to_lowercase()) {
            return None;
        }
        for (from, turns) in &rule.replace {
            value = replaced(&value, from, turns);
        }
        value = match rule.upper {
            Some(true) => value.to_uppercase(),
            Some(false) => value.to_lowercase(),
            None => value,
        };
        if let Some(mapped) = rule.map.get(&value) {
            value.clone_from(mapped);
        }
        if rule.scale > 0 {
            value = fixed_point(&value, rule.scale)?;
        }
    }
    match fact {
        "interval" => normalise_interval(&value),
        "date" => iso_date(&value),
        _ if is_day(layout, fact) => iso_date(&value),
        _ => Some(value).filter(|value| !value.is_empty()),
    }
}

/// The text with each `from` in turn as `turns` says, and the last of them for all that are left.
fn replaced(text: &str, from: &str, turns: &[String]) -> String {
    let Some((last, first)) = turns.split_last() else { return text.to_owned() };
    let (mut done, mut rest) = (String::new(), text);
    for to in first {
        let Some((before, after)) = rest.split_once(from) else { break };
        done.extend([before, to]);
        rest = after;
    }
    done + &rest.replace(from, last)
}

/// Whether the column of this name holds days.
fn is_day(layout: &Layout, fact: &str) -> bool {
    let mut columns = layout.dataset.columns.iter();
    columns.any(|column| column.name == fact && column.kind == ValueKind::Date)
}

/// A whole number with a point before its last `places` digits.
fn fixed_point(digits: &str, places: usize) -> Option<String> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, part) = padded.split_at(padded.len() - places);
    Some(format!("{whole}.{part}"))
}

/// `20131009` or `2013-10-09` as the latter; `None` for what is no day of the calendar.
fn iso_date(text: &str) -> Option<String> {
    let digits: String = text.split('-').collect();
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i16>().ok();
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let dash = |at: usize| text.as_bytes().get(at) == Some(&b'-');
    let written = text.len() == 8 || (text.len() == 10 && dash(4) && dash(7));
    let date = jiff::civil::Date::new(year, month as i8, day as i8).ok()?;
    (written && digits.len() == 8).then(|| date.to_string())
}

/// Days from 1970-01-01 of a date that [`iso_date`] made.
pub(super) fn days_of(date: &str) -> Option<i32> {
    let date: jiff::civil::Date = date.parse().ok()?;
    (date - jiff::civil::date(1970, 1, 1)).get_days().into()
}

/// The flag that gives a fact.
pub(super) fn flag(fact: &str) -> &'static str {
    match fact {
        "interval" => "--interval",
        "venue" => "--venue",
        "date" => "--date",
        "zone" => "--tz",
        _ => "--symbol",
    }
}

/// What the flags say of `fact`.
///
/// # Errors
/// An interval or a date that is none, an empty value.
pub(super) fn given(facts: &GivenFacts, fact: &str) -> Result<Option<Found>, RecogniseError> {
    let value = match fact {
        "symbol" | "underlying" => &facts.symbol,
        "interval" => &facts.interval,
        "venue" => &facts.venue,
        "date" => &facts.date,
        _ => return Ok(None),
    };
    let Some(value) = value else { return Ok(None) };
    let flag = flag(fact);
    let bad = |reason: &str| RecogniseError::BadFact {
        flag,
        value: value.clone(),
        reason: reason.to_owned(),
    };
    let made = match fact {
        "interval" => normalise_interval(value)
            .ok_or_else(|| bad("no interval: use 1s, 1m, 5m, 1h, 4h, 1d, 1w, 1mo or the like"))?,
        "date" => iso_date(value).ok_or_else(|| bad("no date: write it as 2024-01-31"))?,
        _ => value.trim().to_owned(),
    };
    if made.is_empty() {
        return Err(bad("is empty"));
    }
    Ok(Some(Found { value: made, from: format!("from {flag}") }))
}

#[cfg(test)]
mod tests {
    use super::{days_of, fixed_point, iso_date, replaced};

    #[test]
    fn dates_have_one_spelling() {
        for text in ["20131009", "2013-10-09"] {
            assert_eq!(iso_date(text).as_deref(), Some("2013-10-09"));
        }
        for text in ["2013109", "2013-1-009", "20131301", "2013-02-30", "", "2013/10/09", "é131009"]
        {
            assert_eq!(iso_date(text), None, "{text}");
        }
        assert_eq!(days_of("1970-01-02"), Some(1));
        assert_eq!(days_of("1969-12-31"), Some(-1));
    }

    #[test]
    fn parts_are_replaced_in_turn() {
        let turns = |list: &[&str]| list.iter().map(|to| (*to).to_owned()).collect::<Vec<_>>();
        assert_eq!(replaced("A_B_C", "_", &turns(&["/"])), "A/B/C");
        assert_eq!(replaced("A_B_C", "_", &turns(&["/", ":"])), "A/B:C");
        assert_eq!(replaced("A_B_C_D", "_", &turns(&["/", ":"])), "A/B:C:D");
        assert_eq!(replaced("A_B", "_", &turns(&["/", ":"])), "A/B");
        assert_eq!(replaced("AB", "_", &turns(&["/", ":"])), "AB");
    }

    #[test]
    fn whole_numbers_get_their_point() {
        assert_eq!(fixed_point("10000000", 4).as_deref(), Some("1000.0000"));
        assert_eq!(fixed_point("5", 4).as_deref(), Some("0.0005"));
        assert_eq!(fixed_point("1.5", 4), None);
    }
}
