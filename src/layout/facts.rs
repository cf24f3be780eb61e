//! What is known from outside a file's bytes: flags first, then what the layout reads in the name.

use super::error::RecogniseError;
use super::interval::normalise_interval;
use super::model::{FactRule, Layout};
use super::recognise::GivenFacts;

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
    let name = base_name(name);
    layout.facts.names.iter().any(|pattern| pattern.is_match(name))
}

/// What the name says of `fact`.
pub(super) fn from_name(layout: &Layout, fact: &str, name: &str) -> Option<Found> {
    let rule = layout.facts.rule(fact)?;
    let name = base_name(name);
    layout.facts.names.iter().find_map(|pattern| {
        let word = pattern.captures(name)?.name(fact)?.as_str().to_owned();
        let value = refine(rule, fact, &word)?;
        Some(Found { value, from: format!("from the name {name}") })
    })
}

/// What the layout says of `fact` whatever the name.
pub(super) fn constant(layout: &Layout, fact: &str) -> Option<Found> {
    let value = layout.facts.rule(fact)?.constant.clone()?;
    Some(Found { value, from: format!("of the layout {}", layout.name) })
}

/// The value made of the word in the name; `None` if it is no such fact after all.
fn refine(rule: &FactRule, fact: &str, word: &str) -> Option<String> {
    if word.is_empty() || rule.except.contains(&word.to_lowercase()) {
        return None;
    }
    let mut value = word.to_owned();
    for (from, to) in &rule.replace {
        value = value.replace(from, to);
    }
    value = match rule.upper {
        Some(true) => value.to_uppercase(),
        Some(false) => value.to_lowercase(),
        None => value,
    };
    if let Some(mapped) = rule.map.get(&value) {
        value.clone_from(mapped);
    }
    if fact == "interval" { normalise_interval(&value) } else { Some(value) }
}

/// The flag that gives a fact.
pub(super) fn flag(fact: &str) -> &'static str {
    match fact {
        "interval" => "--interval",
        "venue" => "--venue",
        _ => "--symbol",
    }
}

/// What the flags say of `fact`.
///
/// # Errors
/// An interval that is none, an empty value.
pub(super) fn given(facts: &GivenFacts, fact: &str) -> Result<Option<Found>, RecogniseError> {
    let value = match fact {
        "symbol" => &facts.symbol,
        "interval" => &facts.interval,
        "venue" => &facts.venue,
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
        _ => value.trim().to_owned(),
    };
    if made.is_empty() {
        return Err(bad("is empty"));
    }
    Ok(Some(Found { value: made, from: format!("from {flag}") }))
}
