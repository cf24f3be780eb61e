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

#[cfg(test)]
mod tests {
    use crate::layout::{GivenFacts, Sample, SampleHead, recognise, registry};

    /// The layout of a JSON or a text with these flags, or the refusal.
    fn outcome(name: &str, text: &str, flags: &GivenFacts, only: Option<&str>) -> String {
        let head = SampleHead::Text { bytes: text.as_bytes(), whole: true };
        match recognise(&Sample { name, head }, flags, registry().unwrap(), only) {
            Ok(found) => found.layout,
            Err(error) => error.to_string(),
        }
    }

    /// Arrays of six have one order with ccxt, freqtrade and Gemini, and another with Bitfinex.
    #[test]
    fn prices_tell_the_order_of_arrays() {
        let none = GivenFacts::default();
        let usual = "[[1704067200000,10.5,11.5,10.25,11,3],[1704067260000,11,11.25,10.5,10.75,2]]";
        let close_first =
            "[[1704067200000,10.5,11,11.5,10.25,3],[1704067260000,11,10.75,11.25,10.5,2]]";
        let flat = "[[1704067200000,11,11,11,11,3],[1704067260000,10.5,10.5,10.5,10.5,2]]";
        for (name, text, layout) in [
            ("ADA_BTC-1m.json", usual, "ccxt_candles"),
            ("bitfinex_ADABTC_1m.json", usual, "ccxt_candles"),
            ("bitfinex_tADABTC_1m.json", close_first, "bitfinex_candles"),
            ("bitfinex_tADABTC_1m.json", flat, "bitfinex_candles"),
            ("gemini_adabtc_1m.json", usual, "gemini_candles"),
            ("ADA_BTC-1m.json", flat, "ccxt_candles"),
        ] {
            let found = outcome(name, text, &none, None);
            assert_eq!(found, layout, "{name} {text}");
        }
        let other = outcome("ADA_BTC-1m.json", close_first, &none, None);
        assert!(
            other.contains(
                "ccxt_candles: its records fit, but in 2 of 2 the high is not the highest price or \
                 the low not the lowest: its prices stand in another order"
            ),
            "{other}"
        );
        let some = |word: &str| Some(word.to_owned());
        let asked = GivenFacts { symbol: some("X"), interval: some("1m"), ..GivenFacts::default() };
        let untold = outcome("ohlcv.json", flat, &asked, None);
        assert!(untold.contains("the prices of each are all the same"), "{untold}");
        let found = outcome("ohlcv.json", close_first, &asked, Some("ccxt_candles"));
        assert_eq!(found, "ccxt_candles", "whoever names it knows");
    }

    #[test]
    fn prices_at_times_and_rates_in_the_shape_of_bars_are_refused() {
        let none = GivenFacts::default();
        let rates = "[[1637193600017,0.0001,0.0,0.0,0.0,0.0]]";
        for (name, text, says) in [
            ("data/binance/futures/XRP_USDT_USDT-8h-funding_rate.json", rates, "freqtrade's mark"),
            ("data/binance/futures/XRP_USDT_USDT-1h-mark.json", rates, "freqtrade's mark"),
            ("x.json", r#"{"prices":[[1,2]],"market_caps":[],"total_volumes":[]}"#, "CoinGecko's"),
            ("x.json", r#"{"history":[{"t":1767802212,"p":0.011}]}"#, "Polymarket's history"),
            (
                "x.csv",
                "snapped_at,price,market_cap,total_volume\n2013-04-28 00:00:00 UTC,135.30,15,0\n",
                "CoinGecko prices",
            ),
        ] {
            let refusal = outcome(name, text, &none, None);
            assert!(refusal.contains(" is not loaded: ") && refusal.contains(says), "{refusal}");
        }
    }
}
