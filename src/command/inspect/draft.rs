//! A layout file for a text that no layout knows, made of what was found out about it. It parses,
//! says where each line comes from, and is meant to be read and mended.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::guess::Guess;
use super::profile::Profile;
use super::roles::{Role, Roles, Source};
use super::unknown::Guessed;
use crate::layout::{GivenFacts, Layout, RecogniseError};

/// The layout called `name` as TOML. `None`: too little is known for one that could load anything.
pub(super) fn layout(
    name: &str,
    file: &str,
    guessed: &Guessed<'_>,
    given: &GivenFacts,
) -> Option<String> {
    let Guessed { guess, profile, roles } = guessed;
    roles.source("ts")?;
    roles.source(if roles.dataset == "bars" { "close" } else { "price" })?;
    let mut text = format!("# Drafted by `tidegate inspect --write-layout` from {}.\n", line(file));
    text.push_str("# Check what each column was taken for, and the zone of the times.\n");
    for doubt in &roles.doubts {
        let _ = writeln!(text, "# In doubt: {}.", line(doubt));
    }
    let dataset = quoted(roles.dataset);
    let _ = writeln!(text, "name = {}\nversion = 1\ndataset = {dataset}\n", quoted(name));
    let by_name = has_clear_names(guess, roles);
    outer(guess, profile, by_name, &mut text);
    columns(guessed, by_name, &mut text);
    facts(roles, given, &mut text);
    Some(text)
}

/// The layout called `name`, for a file that is no text: the one to start from that recognition
/// made of what the file has. `None`: it has nothing that could be a bar's time and close.
pub(super) fn of_example(name: &str, error: &RecogniseError) -> Option<String> {
    let RecogniseError::Unknown(unknown) = error else { return None };
    let example = &unknown.example;
    if !says(example, "ts") || !says(example, "close") {
        return None;
    }
    let text = example.replacen("name = \"mine\"", &format!("name = {}", quoted(name)), 1);
    Layout::parse(&text, name).ok().map(|_| text)
}

/// Whether a draft has a line for this column or fact.
pub(super) fn says(draft: &str, key: &str) -> bool {
    draft.lines().any(|line| line.split('=').next().is_some_and(|word| word.trim() == key))
}

/// Whether the header's names tell the columns that are used apart.
fn has_clear_names(guess: &Guess, roles: &Roles) -> bool {
    let Some(names) = &guess.header else { return false };
    let fold = |name: &String| name.trim().to_lowercase().replace(' ', "_");
    let used = roles.roles.iter().flat_map(|role| match role.source {
        Source::One(at) => vec![at],
        Source::Join(one, two) => vec![one, two],
    });
    used.into_iter().all(|at| {
        let Some(name) = names.get(at).map(fold).filter(|name| !name.is_empty()) else {
            return false;
        };
        names.iter().map(fold).filter(|other| *other == name).count() == 1
    })
}

fn outer(guess: &Guess, profile: &Profile, by_name: bool, text: &mut String) {
    let delimiter = char::from(guess.delimiter).to_string();
    let _ = writeln!(text, "[text]\ndelimiter = {}", quoted(&delimiter));
    if guess.quote != b'"' {
        let _ = writeln!(text, "quote = {}", quoted(&char::from(guess.quote).to_string()));
    }
    let header = match (&guess.header, by_name) {
        (Some(_), true) => "required",
        (Some(_), false) => "optional",
        (None, _) => "none",
    };
    let _ = writeln!(text, "header = {}", quoted(header));
    if guess.comma {
        text.push_str("# A comma stands before the fraction of numbers.\ndecimal = \",\"\n");
    }
    if by_name && guess.preamble > 0 {
        let _ = writeln!(text, "preamble = {}", guess.preamble);
    }
    let nothing = profile.columns.iter().flat_map(|column| column.nothing.keys().cloned());
    let nothing: BTreeSet<String> = nothing.collect();
    if !nothing.is_empty() {
        let _ = writeln!(text, "nulls = [{}]", list(&nothing));
    }
    if !by_name {
        let _ = writeln!(text, "\n[recognise]\nfields = {}", guess.fields);
        if let Some(names) = &guess.header {
            let _ = writeln!(text, "headers = [[{}]]", list(names));
        }
    }
}

fn columns(guessed: &Guessed<'_>, by_name: bool, text: &mut String) {
    let Guessed { guess, profile, roles } = guessed;
    let is_amount = |at: usize| profile.columns.get(at).is_some_and(|column| column.amounts > 0);
    text.push_str("\n[columns]\n");
    let field = |at: usize| match (&guess.header, by_name) {
        (Some(names), true) => quoted(names.get(at).map_or("", String::as_str)),
        _ => at.to_string(),
    };
    let key = if by_name { "name" } else { "at" };
    for Role { column, source, why } in &roles.roles {
        let time = roles.time.as_deref().filter(|_| *column == "ts").map(quoted);
        let value = match (source, time) {
            (Source::One(at), None) if is_amount(*at) => {
                format!("{{ {key} = {}, amount = true }}", field(*at))
            }
            (Source::One(at), None) => field(*at),
            (Source::One(at), Some(time)) => format!("{{ {key} = {}, time = {time} }}", field(*at)),
            (Source::Join(one, two), time) => format!(
                "{{ join = [{}, {}], time = {} }}",
                field(*one),
                field(*two),
                time.unwrap_or_else(|| quoted("auto"))
            ),
        };
        let _ = writeln!(text, "# {}\n{column} = {value}", line(why));
    }
}

fn facts(roles: &Roles, given: &GivenFacts, text: &mut String) {
    text.push_str("\n[facts]\n");
    if let Some(symbol) = &roles.symbol {
        let _ = writeln!(text, "symbol = {}", quoted(symbol));
    } else if roles.source("symbol").is_none() {
        text.push_str("# No column holds the ticker: say it with --symbol, or write\n");
        text.push_str("# symbol = \"ACME\"\n");
    }
    if roles.source("interval").is_none() && roles.dataset == "bars" {
        match (&given.interval, &roles.interval) {
            (Some(interval), _) => {
                let _ = writeln!(text, "interval = {}", quoted(interval));
            }
            (None, Some(interval)) => {
                text.push_str("# The step between most times.\n");
                let _ = writeln!(text, "interval = {}", quoted(interval));
            }
            (None, None) => {
                text.push_str("# Nothing says the interval: say it with --interval, or write\n");
                text.push_str("# interval = \"1d\"\n");
            }
        }
    }
    if roles.zoned {
        text.push_str("# The times tell their own zone.\n");
    } else {
        text.push_str("# The zone of the times, which do not tell it themselves:\n");
        text.push_str("# UTC, UTC-5 or a name such as Europe/Berlin. Check it.\n");
    }
    let _ = writeln!(text, "zone = {}", quoted(given.zone.as_deref().unwrap_or("UTC")));
}

fn list<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    words.into_iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A text that stays in its comment.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A layout's name made of a file's.
pub(super) fn name_of(stem: &str) -> String {
    let lower = stem.to_lowercase();
    let word = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' };
    let name: String = lower.chars().map(word).collect();
    let name = name.trim_matches('_');
    if name.is_empty() { "mine".to_owned() } else { name.to_owned() }
}

/// The ticker that a file's name may hold: its only word in capitals that is none of those that
/// say what any file holds, or two of which one is a currency, with what joins them. Where it could
/// be either of several, nothing is said: what is pasted would be believed.
pub(super) fn symbol_in(name: &str) -> Option<String> {
    const NONE: [&str; 25] = [
        "CSV", "DATA", "OHLC", "OHLCV", "BARS", "BAR", "PRICES", "DAILY", "HOURLY", "EOD", "TXT",
        "EXPORT", "COPY", "UTC", "GMT", "EST", "M1", "H1", "ALL", "FULL", "HISTORY", "JSON", "DAY",
        "MINUTE", "HOUR",
    ];
    const CURRENCIES: [&str; 24] = [
        "USD", "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD",
        "NZD", "KRW", "TRY", "BRL", "INR", "CNY", "RUB", "BTC", "XBT", "ETH", "BNB", "PERP",
    ];
    let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = base.split('.').next().unwrap_or(base);
    let mut at = 0;
    let mut found: Vec<(usize, &str)> = Vec::new();
    for word in stem.split(|c: char| !c.is_ascii_alphanumeric()) {
        let letters = word.chars().filter(char::is_ascii_uppercase).count();
        let lower = word.chars().any(|c| c.is_ascii_lowercase());
        if letters >= 2 && !lower && !NONE.contains(&word) {
            found.push((at, word));
        }
        at = stem.len().min(at + word.len() + 1);
    }
    match found.as_slice() {
        [(_, only)] => Some((*only).to_owned()),
        [(from, one), (next, two)] => {
            let paired = *next == from + one.len() + 1 && !stem[..*next].ends_with(' ');
            let pair = CURRENCIES.contains(two) || matches!(*one, "KRW" | "USDT");
            (paired && pair).then(|| stem[*from..next + two.len()].to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_toml() {
        let text = "a\"b\\c\td\u{1}é";
        let parsed: toml::Table = format!("x = {}", quoted(text)).parse().unwrap();
        assert_eq!(parsed["x"].as_str(), Some(text));
    }

    #[test]
    fn names_say_tickers() {
        assert_eq!(symbol_in("/data/kurse_SAP.csv").as_deref(), Some("SAP"));
        assert_eq!(symbol_in("BTCUSDT-1h.csv").as_deref(), Some("BTCUSDT"));
        assert_eq!(symbol_in("export.csv"), None);
        assert_eq!(symbol_in("DAILY_DATA.csv"), None);
        assert_eq!(symbol_in("binance_BTC_USDT_1m.csv").as_deref(), Some("BTC_USDT"));
        assert_eq!(symbol_in("BTC-USDT-2021-01-01_1m.csv").as_deref(), Some("BTC-USDT"));
        assert_eq!(symbol_in("KRW-BTC_days.json").as_deref(), Some("KRW-BTC"));
        assert_eq!(symbol_in("NSE_RELIANCE.csv"), None, "which of the two");
        assert_eq!(symbol_in("KXA-25JUN30-T90_1h.json"), None);
        assert_eq!(name_of("Kurse (neu)"), "kurse__neu");
        assert_eq!(name_of("日本"), "mine");
    }
}
