//! What in the first records says that a layout of general shape would read them wrongly, though
//! every value of them reads: what a file means otherwise is asked, never guessed.

use std::collections::HashSet;

use super::super::model::Layout;
use super::super::registry::CANONICAL_RANK;
use super::super::resolve::fold;
use super::super::sample::Record;
use super::super::times;
use super::FitField;
use crate::mapping::{FieldSource, Rewrite};

/// Names of fields that tell the zone of the times beside them.
const ZONE_NAMES: [&str; 6] =
    ["timezone", "time_zone", "tz", "zone", "utc_offset", "exchange_timezone"];

/// What is in doubt; an example of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::layout) struct Doubts {
    /// The time of two records of one series, which are days alone: fatal for bars of less than a
    /// day, whose times of day stand elsewhere then.
    pub(in crate::layout) day_twice: Option<String>,
    /// A field that is not read and tells the zone of times that carry none.
    pub(in crate::layout) zone_field: Option<String>,
    /// A number whose comma may stand before a fraction or between thousands.
    comma: Option<String>,
    /// Whether numbers below a thousand without a comma stand in its column.
    below: bool,
}

impl Doubts {
    /// Looks at the first records of a file. `others` are names of fields that no column uses.
    pub(in crate::layout) fn of(
        layout: &Layout,
        records: &[Record],
        fields: &[FitField],
        others: &[(String, usize)],
    ) -> Self {
        if layout.recognise.rank > CANONICAL_RANK {
            return Self::default();
        }
        let (comma, below) = comma(records, fields).unzip();
        Self {
            day_twice: day_twice(records, fields),
            zone_field: zone_field(records, fields, others),
            comma,
            below: below.unwrap_or_default(),
        }
    }

    /// Why nobody but the user can know how the numbers are meant; `tabs`: fields are parted by
    /// tabs, as tables are copied from anywhere. Spreadsheets write semicolons where commas stand
    /// before fractions; but fractions of three digits or none look like thousands there, too.
    pub(in crate::layout) fn fault(&self, layout: &Layout, tabs: bool) -> Option<String> {
        let number = self.comma.as_ref().filter(|_| tabs || self.below)?;
        Some(format!(
            "its records fit, but whether the comma in {number} stands before a fraction or \
             between thousands is not told by any of the first: for fractions say --layout {}, \
             for thousands describe the file with amount = true in its columns",
            layout.name
        ))
    }
}

/// The value of a column, or nothing.
fn value<'a>(record: &'a Record, fields: &[FitField], column: &str) -> Option<&'a str> {
    let field = fields.iter().find(|field| field.column.name == column)?;
    let FieldSource::Field(at) = field.source else { return None };
    record.fields.get(at).map(String::as_str)
}

/// The day that two records of one series have, if all times are days alone.
fn day_twice(records: &[Record], fields: &[FitField]) -> Option<String> {
    let time = fields.iter().find(|field| field.column.name == "ts")?;
    let format = time.time.as_ref()?;
    let mut seen = HashSet::new();
    let mut twice = None;
    for record in records {
        let day = value(record, fields, "ts")?;
        if !times::is_day(format, day) {
            return None;
        }
        let series = ["symbol", "interval"].map(|column| value(record, fields, column));
        if !seen.insert((series, day)) {
            twice.get_or_insert(day);
        }
    }
    twice.map(str::to_owned)
}

fn zone_field(
    records: &[Record],
    fields: &[FitField],
    others: &[(String, usize)],
) -> Option<String> {
    let (name, at) =
        others.iter().find(|(name, _)| ZONE_NAMES.iter().any(|zone| fold(zone) == fold(name)))?;
    let of_utc = |record: &Record| {
        let zone = record.fields.get(*at).map_or("", |zone| zone.trim());
        ["", "UTC", "GMT", "Z", "0", "+00:00", "Etc/UTC"]
            .iter()
            .any(|w| w.eq_ignore_ascii_case(zone))
    };
    let local = |record: &Record| {
        value(record, fields, "ts").is_some_and(times::is_local_clock) && !of_utc(record)
    };
    records.iter().any(local).then(|| name.clone())
}

/// A number such as `1,234`, if all with a comma are like it, and whether one without a comma, such
/// as `950`, stands in the column of one.
fn comma(records: &[Record], fields: &[FitField]) -> Option<(String, bool)> {
    let commas = fields
        .iter()
        .filter(|field| matches!(field.rewrite, Some(Rewrite::Number { comma: true, .. })));
    let (mut example, mut below) = (None, false);
    for field in commas {
        let FieldSource::Field(at) = field.source else { continue };
        let (mut with, mut without) = (false, false);
        for number in records.iter().filter_map(|record| record.fields.get(at)) {
            let Some((whole, fraction)) = number.split_once(',') else {
                without |= (2..=3).contains(&number.len());
                continue;
            };
            with = true;
            let whole = whole.trim_start_matches(['+', '-']);
            if whole.is_empty() || whole.len() > 3 || whole.starts_with('0') || fraction.len() != 3
            {
                return None;
            }
            example.get_or_insert(number);
        }
        below |= with && without;
    }
    Some((example?.clone(), below))
}

#[cfg(test)]
mod tests {
    use crate::layout::{GivenFacts, Sample, SampleHead, recognise, registry};

    /// The layout of a text, or the refusal.
    fn outcome(text: &str, interval: &str, zone: Option<&str>, only: Option<&str>) -> String {
        let some = |word: &str| Some(word.to_owned());
        let given = GivenFacts {
            symbol: some("X"),
            interval: some(interval),
            zone: zone.map(str::to_owned),
            ..GivenFacts::default()
        };
        let head = SampleHead::Text { bytes: text.as_bytes(), whole: true };
        match recognise(&Sample { name: "x.csv", head }, &given, registry().unwrap(), only) {
            Ok(found) => found.layout,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn days_alone_are_no_times_of_shorter_bars() {
        let hours = "date,hour,open,high,low,close\n2024-01-02,9,1,2,1,2\n2024-01-02,10,1,2,1,2\n";
        let says = outcome(hours, "1h", None, None);
        assert!(says.contains("2024-01-02") && says.contains("--interval"), "{says}");
        assert!(says.contains("hour"), "what is not read is told: {says}");
        assert_eq!(outcome(hours, "1d", None, None), "canonical", "a day twice is a duplicate");
        let two = "symbol,date,open,high,low,close\nA,2024-01-02,1,2,1,2\nB,2024-01-02,1,2,1,2\n";
        assert_eq!(outcome(two, "1h", None, None), "canonical", "one bar of each at midnight");
        let times = "date,open,high,low,close\n2024-01-02,1,2,1,2\n2024-01-02 01:00,1,2,1,2\n";
        assert_eq!(outcome(times, "1h", None, None), "canonical");
    }

    #[test]
    fn a_zone_that_stands_beside_the_times_is_asked_for() {
        let file = |time: &str, zone: &str| {
            format!("datetime,timezone,open,high,low,close\n{time},{zone},1,2,1,2\n")
        };
        let local = file("2024-01-02 09:30", "America/New_York");
        let says = outcome(&local, "1m", None, None);
        assert!(says.contains("timezone") && says.contains("--tz"), "{says}");
        assert_eq!(outcome(&local, "1m", Some("America/New_York"), None), "canonical");
        for (time, zone) in [
            ("2024-01-02 09:30", "UTC"),
            ("2024-01-02T09:30:00Z", "America/New_York"),
            ("2024-01-02 09:30:00-05:00", "America/New_York"),
            ("1704205800", "America/New_York"),
            ("2024-01-02", "America/New_York"),
        ] {
            assert_eq!(outcome(&file(time, zone), "1m", None, None), "canonical", "{time} {zone}");
        }
    }

    #[test]
    fn commas_that_may_mean_two_things_are_asked_about() {
        let file = |one: &str, two: &str| {
            format!("date\topen\thigh\tlow\tclose\n2024-01-02\t{one}\t{two}\t{one}\t{one}\n")
        };
        let either = file("1,234", "1,250");
        let says = outcome(&either, "1d", None, None);
        assert!(says.contains("1,234") && says.contains("--layout canonical_comma"), "{says}");
        assert_eq!(outcome(&either, "1d", None, Some("canonical_comma")), "canonical_comma");
        for (one, two) in [("1,23", "1,250"), ("0,123", "0,125"), ("1234,123", "1250,125")] {
            assert_eq!(outcome(&file(one, two), "1d", None, None), "canonical_comma", "{one}");
        }
        let spreadsheet = either.replace('\t', ";");
        assert_eq!(outcome(&spreadsheet, "1d", None, None), "canonical_comma");
        let grows = format!("{spreadsheet}2024-01-03;950;952;948;951\n");
        assert!(outcome(&grows, "1d", None, None).contains("1,234"));
        let fractions = format!("{spreadsheet}2024-01-03;950;952,5;948;951\n");
        assert_eq!(outcome(&fractions, "1d", None, None), "canonical_comma");
    }
}
