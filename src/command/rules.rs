//! Which rules and warnings hold for the rows of a mapping: those of its dataset and the order that
//! its layout promises, less what the user switched off. `map` asks for loads, `rejects` for mended
//! records.

use crate::check::{Bound, InOrder, Quality};
use crate::dataset::{Dataset, TIME_ORDER, WARNINGS};
use crate::mapping::Mapping;

/// The word that switches all rules off.
const ALL_RULES: &str = "all";

/// Whether a rule or warning is not switched off.
fn is_on(name: &str, no_check: &[String]) -> bool {
    !no_check.iter().any(|off| off == name || off == ALL_RULES)
}

/// What is looked at in rows of this mapping, if they form a series.
pub(super) fn quality(
    dataset: &Dataset,
    mapping: &Mapping,
    no_check: &[String],
) -> Option<Quality> {
    let series = dataset.series?;
    let position = |name: &str| mapping.columns.iter().position(|column| column.name == name);
    Some(Quality {
        series: [position(series.ticker)?, position(series.interval)?, position(series.time)?],
        prices: series.prices.map(position),
        volume: position(series.volume),
        on: WARNINGS.map(|(name, _)| is_on(name, no_check)),
    })
    .filter(|quality| quality.on.contains(&true))
}

/// The order that the times of this mapping's rows are in, if the layout promises one. A series is
/// what has a key of its own but for the time; where time is not in the key, a ticker.
pub(super) fn in_order(
    dataset: &Dataset,
    mapping: &Mapping,
    no_check: &[String],
) -> Option<InOrder> {
    let order = mapping.quirks.order.filter(|_| is_on(TIME_ORDER, no_check))?;
    let time = dataset.time?;
    let position = |name: &str| mapping.columns.iter().position(|column| column.name == name);
    let ticker: Vec<&str> = dataset.ticker.into_iter().collect();
    let of = if dataset.key.contains(&time) { dataset.key } else { &ticker };
    let series = of.iter().filter(|name| **name != time).filter_map(|name| position(name));
    Some(InOrder { series: series.collect(), time: mapping.time_column?, order })
}

/// The dataset's rules for rows of this mapping, but for those that are switched off.
pub(super) fn rules(dataset: &Dataset, mapping: &Mapping, no_check: &[String]) -> Vec<Bound> {
    let position = |name: &str| mapping.columns.iter().position(|column| column.name == name);
    let now_us = jiff::Timestamp::now().as_microsecond();
    let rules = dataset.rules.iter().filter(|rule| is_on(rule.name, no_check));
    rules.filter_map(|rule| Bound::new(rule, position, now_us)).collect()
}
