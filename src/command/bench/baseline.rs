//! An earlier `bench --json`, and which queries have become slower since.

use std::path::Path;

use serde_json::{Value, json};

use super::super::CommandError;
use super::measure::Measured;

/// A query has become slower when its median and its 95th percentile are both at least this many
/// times what they were ...
const SLOWER: f64 = 1.25;
/// ... and at least so many milliseconds more: less is noise.
const SLOWER_MS: f64 = 0.5;

/// An earlier result.
#[derive(Debug)]
pub struct Baseline(Value);

/// A query then and now.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The 95th percentile then, in milliseconds.
    pub p95_ms: f64,
    /// How many times as long the 95th percentile is now.
    pub ratio: f64,
    /// Whether it has become slower.
    pub slower: bool,
}

impl Baseline {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let text = std::fs::read(path).map_err(CommandError::file(path))?;
        let value: Option<Value> = serde_json::from_slice(&text).ok();
        match value.filter(|value| value["queries"].is_array()) {
            Some(value) => Ok(Self(value)),
            None => Err(CommandError::Usage(format!(
                "--baseline {}: not what `tidegate bench --json` writes",
                path.display()
            ))),
        }
    }

    /// What it has of a query; none where it was not measured then.
    pub fn compare(&self, domain: &str, name: &str, now: &Measured) -> Option<Compared> {
        let queries = self.0["queries"].as_array()?;
        let then = queries.iter().find(|q| q["domain"] == domain && q["query"] == name)?;
        let (p50, p95) = (then["p50_ms"].as_f64()?, then["p95_ms"].as_f64()?);
        let is_slower = |then: f64, now: f64| now >= then * SLOWER && now >= then + SLOWER_MS;
        let (now50, now95) = (now.percentile(50.0), now.percentile(95.0));
        let slower = is_slower(p50, now50) && is_slower(p95, now95);
        Some(Compared { p95_ms: p95, ratio: now95 / p95, slower })
    }
}

impl Compared {
    /// For machines.
    pub fn to_json(&self) -> Value {
        json!({ "p95_ms": self.p95_ms, "ratio": self.ratio, "slower": self.slower })
    }
}
