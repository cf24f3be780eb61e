//! The `[facts]` of a layout's text: what the file's name, its first lines or the vendor say.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::error::LayoutError;
use super::json_rules::split_path;
use super::model::{FactRule, FactRules};
use super::parse::{one_of, regex};
use super::parse_columns::read_interval;
use super::toml_table::{Table, Value};
use crate::dataset::Dataset;
use crate::mapping::Zone;

/// Besides these, the columns of the dataset.
const FACTS_KEYS: &[&str] =
    &["names", "paths", "lines", "keys", "example", "venue", "date", "zone"];
const FACT_KEYS: &[&str] = &["constant", "case", "replace", "map", "except", "spacing", "scale"];

/// Where a symbol may start in a file's name. Words that renaming or a download put before it are
/// known one by one: any other word before an underscore may be half of the symbol (`BTC_USD`).
const WORD_START: &str = "(?:^|[^A-Za-z0-9._^-]|(?:^|[^A-Za-z0-9])\
    (?i:old|new|copy|of|my|bak|backup|tmp|temp|binance|bitfinex|bitstamp|bybit|coinbase|gemini|\
    histdata|kraken|kucoin|okx|stooq)[_-])";
/// Where an interval may end.
const WORD_END: &str = "(?:[^A-Za-z0-9]|$)";

pub(super) fn read_facts(
    root: &Table<'_>,
    dataset: &'static Dataset,
) -> Result<FactRules, LayoutError> {
    let mut rules = FactRules {
        names: Vec::new(),
        paths: Vec::new(),
        lines: Vec::new(),
        keys: Vec::new(),
        example: None,
        rules: BTreeMap::new(),
        zone: Some(Zone::UTC),
    };
    let own = dataset.columns.iter().map(|column| column.name);
    let keys: Vec<&str> = FACTS_KEYS.iter().copied().chain(own.clone()).collect();
    let Some(table) = root.table("facts", &keys)? else { return Ok(rules) };
    for (key, patterns) in
        [("names", &mut rules.names), ("paths", &mut rules.paths), ("lines", &mut rules.lines)]
    {
        let Some(list) = table.get(key) else { continue };
        for item in list.list() {
            let text = item.string()?.replace("{start}", WORD_START).replace("{end}", WORD_END);
            patterns.push(regex(&text, &item)?);
        }
    }
    if let Some(value) = table.get("keys") {
        let facts = value.table(&own.clone().chain(["venue", "date"]).collect::<Vec<_>>())?;
        for (fact, paths) in facts.entries() {
            for path in paths.list() {
                rules.keys.push((fact.to_owned(), split_path(path.string()?)));
            }
        }
    }
    if let Some(example) = table.get("example") {
        let name = example.string()?;
        let mut patterns = rules.names.iter().chain(&rules.paths);
        if !table.doc.trusted && !patterns.any(|pattern| pattern.is_match(name)) {
            return Err(example.bad(format!("no pattern of facts.names matches {name:?}")));
        }
        rules.example = Some(name.to_owned());
    }
    let own_names = own.clone();
    for name in own.chain(["venue", "date"]) {
        if let Some(value) = table.get(name) {
            rules.rules.insert(name.to_owned(), read_fact(&value)?);
        }
    }
    let spaced = |name: &&str| rules.rules.get(*name).is_some_and(|rule| rule.spacing);
    let others = own_names.filter(|name| *name != "interval").chain(["venue", "date"]);
    if let Some(value) = others.into_iter().find(spaced).and_then(|name| table.get(name)) {
        return Err(value.bad("times tell an interval by their spacing, and nothing else"));
    }
    if let (Some(value), Some(rule)) = (table.get("interval"), rules.rules.get("interval")) {
        for word in rule.map.values().chain(&rule.constant) {
            read_interval(word, &value)?;
        }
    }
    if let Some(zone) = table.get("zone") {
        rules.zone = match zone.string()? {
            "ask" => None,
            text => Some(Zone::parse(text).map_err(|reason| zone.bad(reason))?),
        };
    }
    Ok(rules)
}

fn read_fact(value: &Value<'_>) -> Result<FactRule, LayoutError> {
    if let DeValue::String(text) = value.value {
        return Ok(FactRule { constant: Some(text.to_string()), ..FactRule::default() });
    }
    let table = value.table(FACT_KEYS)?;
    let mut rule = FactRule::default();
    if let Some(constant) = table.get("constant") {
        rule.constant = Some(constant.string()?.to_owned());
    }
    if let Some(case) = table.get("case") {
        rule.upper = Some(one_of(&case, &[("upper", true), ("lower", false)])?);
    }
    if let Some(replace) = table.get("replace") {
        for (from, to) in replace.any_table()?.entries() {
            let turns = to.strings()?;
            if from.is_empty() || turns.is_empty() {
                return Err(to.bad("expected a part, and what it becomes"));
            }
            rule.replace.push((from.to_owned(), turns));
        }
    }
    if let Some(map) = table.get("map") {
        for (from, to) in map.any_table()?.entries() {
            rule.map.insert(from.to_owned(), to.string()?.to_owned());
        }
    }
    if let Some(spacing) = table.get("spacing") {
        rule.spacing = spacing.bool()?;
    }
    if let Some(scale) = table.get("scale") {
        rule.scale = scale.number()?;
    }
    if let Some(except) = table.get("except") {
        rule.except = except.strings()?.iter().map(|word| word.to_lowercase()).collect();
    }
    Ok(rule)
}
