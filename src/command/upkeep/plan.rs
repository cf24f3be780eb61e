//! What is to be kept in order, as whoever reads a configuration resolves it. No database here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

/// What is kept in order, and how. The default does nothing at all: retention above all is off
/// unless a table is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpkeepPlan {
    /// Partitions that are made ahead of time.
    pub partitions_ahead: Vec<Ahead>,
    /// How long tables keep their rows; tables that are not named keep them for ever.
    pub retention: Vec<Retention>,
    /// How long archives are kept; none: for ever.
    pub archives_kept: Option<Age>,
    /// What is refreshed of what is derived.
    pub refresh: Refreshed,
    /// Statistics of what changed.
    pub analyze: bool,
    /// `VACUUM (ANALYZE)` of every table, so often.
    pub vacuum: Option<Age>,
    /// `REINDEX CONCURRENTLY` of every table, so often.
    pub reindex: Option<Age>,
    /// Chunks of hypertables that are compressed (TimescaleDB Community).
    pub compress: Vec<Compress>,
}

/// A table whose partitions are made ahead of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// As `schema.table`, or `table` for one of the schema `public`.
    pub table: String,
    /// How far from today.
    pub ahead: Age,
}

/// A table that does not keep its rows for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// As `schema.table`, or `table` for one of the schema `public`.
    pub table: String,
    /// Partitions that end longer ago than this, counted from the start of today (UTC), go.
    pub keep: Age,
    /// Where they are written before they are dropped; none: they are dropped.
    pub archive: Option<Destination>,
}

/// A hypertable whose older chunks are compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compress {
    /// As `schema.table`, or `table` for one of the schema `public`.
    pub table: String,
    /// Chunks that end longer ago than this are compressed.
    pub after: Age,
}

/// What is refreshed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Refreshed {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything that `refresh` without a name refreshes.
    All,
    /// These.
    Names(Vec<String>),
}

/// A stretch of calendar time: months and days, for a day is the shortest that partitions know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Age {
    /// Calendar months.
    pub months: u32,
    /// Days.
    pub days: u32,
}

impl Age {
    /// So many days.
    pub fn of_days(days: u32) -> Self {
        Self { months: 0, days }
    }

    /// So many calendar months.
    pub fn of_months(months: u32) -> Self {
        Self { months, days: 0 }
    }

    /// As the server takes it for an `interval`.
    pub(super) fn sql(self) -> String {
        format!("{} mons {} days", self.months, self.days)
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.months, self.days) {
            (0, days) => write!(f, "{days} days"),
            (months, 0) => write!(f, "{months} months"),
            (months, days) => write!(f, "{months} months and {days} days"),
        }
    }
}

/// The longest stretch, in years: beyond it somebody mistyped.
const YEARS_MAX: u32 = 1_000;

impl FromStr for Age {
    type Err = String;

    /// `90d`, `90 days`, `2 weeks`, `60 months`, `60mo`, `5y`; `daily`, `weekly`, `monthly`,
    /// `quarterly`, `yearly`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no stretch of days: write 90d, 2 weeks, 60 months or 5 years \
                 (or daily, weekly, monthly, quarterly, yearly)"
            )
        };
        let word = text.trim().to_ascii_lowercase();
        match word.as_str() {
            "daily" => return Ok(Self::of_days(1)),
            "weekly" => return Ok(Self::of_days(7)),
            "monthly" => return Ok(Self::of_months(1)),
            "quarterly" => return Ok(Self::of_months(3)),
            "yearly" => return Ok(Self::of_months(12)),
            _ => {}
        }
        let digits = word.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = word.split_at(digits);
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let (months, days) = match unit.trim() {
            "d" | "day" | "days" => (0, 1),
            "w" | "week" | "weeks" => (0, 7),
            "mo" | "month" | "months" => (1, 0),
            "y" | "year" | "years" => (12, 0),
            "m" => {
                return Err(format!("{text:?}: m is minutes elsewhere; write mo or months"));
            }
            _ => return Err(wrong()),
        };
        let times = |one: u32| one.checked_mul(number).ok_or_else(wrong);
        let age = Self { months: times(months)?, days: times(days)? };
        if number == 0 || age.months > YEARS_MAX * 12 || age.days > YEARS_MAX * 366 {
            return Err(wrong());
        }
        Ok(age)
    }
}

/// Where archives go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A folder of an object store: `s3://bucket/folder`, `gs://`, `az://`.
    Url(String),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Folder(path) => write!(f, "{}", path.display()),
            Destination::Url(url) => f.write_str(url),
        }
    }
}

impl FromStr for Destination {
    type Err = String;

    /// A URL with one of the schemes of object stores, else a folder, which must be absolute: a
    /// cron job has no place of its own.
    fn from_str(text: &str) -> Result<Self, String> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("s3" | "gs" | "az") => Ok(Destination::Url(text.trim_end_matches('/').to_owned())),
            Some("file") => Self::from_str(&text["file://".len()..]),
            Some(other) => Err(format!(
                "{text:?}: archives are not written to {other}: name a folder, or an s3, gs or \
                 az URL"
            )),
            None if PathBuf::from(text).is_absolute() => Ok(Destination::Folder(text.into())),
            None => Err(format!("{text:?} is no absolute path of a folder, and no URL")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_read() {
        let age = |text: &str| text.parse::<Age>();
        assert_eq!(age("730d"), Ok(Age::of_days(730)));
        assert_eq!(age("90 days"), Ok(Age::of_days(90)));
        assert_eq!(age("60 months"), Ok(Age::of_months(60)));
        assert_eq!(age("5Y"), Ok(Age::of_months(60)));
        assert_eq!(age("2w"), Ok(Age::of_days(14)));
        assert_eq!(age("quarterly"), Ok(Age::of_months(3)));
        for wrong in ["", "d", "5", "5m", "0d", "-3d", "1.5y", "90 h", "99999999999d", "9999y"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
        assert!(age("5m").unwrap_err().contains("write mo"));
        assert_eq!(Age { months: 2, days: 3 }.to_string(), "2 months and 3 days");
        assert_eq!(Age::of_days(3).sql(), "0 mons 3 days");
    }

    #[test]
    fn destinations_are_folders_and_urls() {
        let to = |text: &str| text.parse::<Destination>();
        assert_eq!(to("/var/archive"), Ok(Destination::Folder("/var/archive".into())));
        assert_eq!(to("file:///var/a"), Ok(Destination::Folder("/var/a".into())));
        assert_eq!(to("s3://b/x/"), Ok(Destination::Url("s3://b/x".to_owned())));
        for wrong in ["archive", "./x", "http://a/b", "ftp://a"] {
            assert!(to(wrong).is_err(), "{wrong}");
        }
    }
}
