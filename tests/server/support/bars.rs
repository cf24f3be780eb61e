//! Bars to load: the same for the same numbers, always and everywhere.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// One-minute bars in order of time, one bar of each symbol a minute, from 2024-01-01 UTC on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bars {
    /// Bars in all.
    pub rows: u64,
    /// Symbols, `S000` and on.
    pub symbols: u64,
    /// Other seeds give other prices, but the same keys.
    pub seed: u64,
}

/// One bar; prices in units of 0.0001.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prices {
    open: u64,
    high: u64,
    low: u64,
    close: u64,
    volume: u64,
}

impl Bars {
    /// The header of a canonical file.
    pub const HEADER: &'static str = "symbol,interval,ts,open,high,low,close,volume";

    /// The line of bar `row` (from 0), without its end.
    pub fn line(&self, row: u64) -> String {
        let (symbol, minute) = (row % self.symbols, row / self.symbols);
        let bar = self.prices(row);
        let start = jiff::Timestamp::from_second(1_704_067_200).expect("2024 is a time");
        let minutes = i64::try_from(minute).expect("few minutes");
        let ts = start + jiff::SignedDuration::from_mins(minutes);
        let mut line = format!("S{symbol:03},1m,{ts}");
        for price in [bar.open, bar.high, bar.low, bar.close] {
            let _ = write!(line, ",{}.{:04}", price / 10_000, price % 10_000);
        }
        let _ = write!(line, ",{}", bar.volume);
        line
    }

    /// The whole file.
    pub fn csv(&self) -> String {
        let mut text = String::from(Self::HEADER);
        text.push('\n');
        for row in 0..self.rows {
            text.push_str(&self.line(row));
            text.push('\n');
        }
        text
    }

    /// Writes the file into a folder and gives its path.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, self.csv()).expect("the folder is writable");
        path
    }

    fn prices(&self, row: u64) -> Prices {
        let noise = mix(self.seed ^ mix(row));
        let level = 1_000_000 + mix(row % self.symbols) % 4_000_000;
        let (open, close) = (level + noise % 5_000, level + (noise >> 16) % 5_000);
        Prices {
            open,
            close,
            high: open.max(close) + (noise >> 32) % 1_000,
            low: open.min(close) - (noise >> 42) % 1_000,
            volume: (noise >> 52) % 4_000,
        }
    }
}

/// Spreads a number over all 64 bits (SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
