//! Whether a layout has the prices of bars in the order that a file has them: the high of a bar is
//! its highest price and the low its lowest, so any other order shows in the first bar that moved.

use super::facts;
use super::fit::FitField;
use super::model::Layout;
use super::sample::Record;
use crate::mapping::FieldSource;

/// What the first records tell of the order of their prices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Prices {
    /// Bars whose prices differ.
    moved: usize,
    /// Those of them whose high is not their highest price, or whose low is not the lowest.
    contrary: usize,
}

impl Prices {
    /// Looks at the first records of a file.
    pub(super) fn of(records: &[Record], fields: &[FitField]) -> Self {
        let mut seen = Self::default();
        for bar in records.iter().filter_map(|record| bar(record, fields)) {
            let [open, high, low, close] = bar;
            if [high, low, close].iter().all(|price| price.total_cmp(&open).is_eq()) {
                continue;
            }
            seen.moved += 1;
            let highest = bar.iter().all(|price| *price <= high);
            let lowest = bar.iter().all(|price| *price >= low);
            seen.contrary += usize::from(!(highest && lowest));
        }
        seen
    }

    /// Why a file of this name has another order, or may have. In dirty files one bar in four
    /// may break the rule; in another order nearly all do.
    pub(super) fn fault(self, layout: &Layout, name: &str) -> Option<String> {
        let Self { moved, contrary } = self;
        if contrary * 4 > moved {
            return Some(format!(
                "its records fit, but in {contrary} of {moved} the high is not the highest price \
                 or the low not the lowest: its prices stand in another order"
            ));
        }
        if moved > 0 || facts::name_fits(layout, name) {
            return None;
        }
        let like = layout.facts.example.as_ref();
        Some(format!(
            "its records fit, but the prices of each are all the same, so they do not tell their \
             order, and its name is not {}; if it is one, say --layout {}",
            like.map_or("as expected".to_owned(), |like| format!("like {like}")),
            layout.name
        ))
    }
}

/// Open, high, low and close of a record that has them all.
fn bar(record: &Record, fields: &[FitField]) -> Option<[f64; 4]> {
    let price = |name: &str| {
        let field = fields.iter().find(|field| field.column.name == name)?;
        let FieldSource::Field(at) = field.source else { return None };
        record.fields.get(at)?.parse::<f64>().ok().filter(|price| price.is_finite())
    };
    Some([price("open")?, price("high")?, price("low")?, price("close")?])
}
