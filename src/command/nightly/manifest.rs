//! The totals that a source gives itself: how many records each day has. As JSON or CSV.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::fmt::strtime;
use serde_json::Value;

use super::SourceRequest;
use crate::command::CommandError;
use crate::limit::MANIFEST_BYTES_MAX;
use crate::source::{Remotes, SourceError, Spooler, find};

/// Records by day and, where the manifest tells them apart, by ticker.
pub(super) type Totals = BTreeMap<(Date, Option<String>), u64>;

/// Reads the manifest of a source: one, or one a day.
pub(super) fn read(
    source: &SourceRequest,
    days: &[Date],
    spooler: &Spooler,
) -> Result<Totals, CommandError> {
    let Some(manifest) = &source.manifest else { return Ok(Totals::new()) };
    let remotes = Remotes::new(source.load.retry_deadline);
    let mut totals = Totals::new();
    let paths: Vec<String> = match manifest.path.has_day() {
        true => days.iter().map(|&day| manifest.path.on(day)).collect(),
        false => vec![manifest.path.text().to_owned()],
    };
    for path in paths {
        let found = match find(std::slice::from_ref(&path), &remotes, spooler) {
            Err(error) if manifest.path.has_day() && error.is_absence() => continue,
            found => found?,
        };
        for file in found {
            let bytes = file.location.bytes(None)?;
            let size = usize::try_from(bytes.size()).unwrap_or(usize::MAX);
            let wrong = |why: &str| CommandError::Refused(format!("manifest {}: {why}", file.name));
            if size > MANIFEST_BYTES_MAX {
                return Err(wrong(&format!("it is larger than {MANIFEST_BYTES_MAX} bytes")));
            }
            let mut text = vec![0; size];
            let mut filled = 0;
            while filled < size {
                let read = bytes.read_at(&mut text[filled..], filled as u64);
                match read.map_err(|error| SourceError::of(&file.location, error))? {
                    0 => return Err(wrong("it ends too early; run again")),
                    more => filled += more,
                }
            }
            for (day, count) in parse(&text).map_err(|why| wrong(&why))? {
                if days.contains(&day.0) {
                    *totals.entry(day).or_default() += count;
                }
            }
        }
    }
    Ok(totals)
}

fn parse(text: &[u8]) -> Result<Totals, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    match text.trim_ascii_start().first() {
        Some(b'{' | b'[') => {
            let value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
            json(&value)
        }
        Some(_) => csv(text),
        None => Err("it is empty".to_owned()),
    }
}

/// `{"20240131": 5}`, `{"2024-01-31": {"ACME": 5}}`, or a list of objects with `date`, `ticker` and
/// `count`.
fn json(value: &Value) -> Result<Totals, String> {
    let mut totals = Totals::new();
    match value {
        Value::Object(days) => {
            for (date, count) in days {
                match count {
                    Value::Object(tickers) => {
                        for (ticker, count) in tickers {
                            let of = (day(date)?, Some(ticker.clone()));
                            *totals.entry(of).or_default() += whole(count)?;
                        }
                    }
                    count => *totals.entry((day(date)?, None)).or_default() += whole(count)?,
                }
            }
        }
        Value::Array(entries) => {
            for entry in entries {
                let field = |names: &[&str]| names.iter().find_map(|name| entry.get(name));
                let date = field(DATE).and_then(Value::as_str);
                let date = date.ok_or_else(|| format!("an entry without a date: {entry}"))?;
                let ticker = field(TICKER).and_then(Value::as_str).map(str::to_owned);
                let count = field(COUNT).ok_or_else(|| format!("no count: {entry}"))?;
                *totals.entry((day(date)?, ticker)).or_default() += whole(count)?;
            }
        }
        _ => return Err("neither an object nor a list".to_owned()),
    }
    Ok(totals)
}

const DATE: &[&str] = &["date", "day"];
const TICKER: &[&str] = &["ticker", "symbol"];
const COUNT: &[&str] = &["count", "rows", "records", "total"];

fn whole(value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("{value} is no count"))
}

/// With a header: a date, a count, and maybe a ticker.
fn csv(text: &[u8]) -> Result<Totals, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let at = |names: &[&str]| {
        header.iter().position(|name| names.contains(&name.to_ascii_lowercase().as_str()))
    };
    let (Some(date), Some(count)) = (at(DATE), at(COUNT)) else {
        return Err("its first line must name a date and a count: date,ticker,count".to_owned());
    };
    let ticker = at(TICKER);
    let mut totals = Totals::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let field = |at: usize| record.get(at).unwrap_or_default();
        let number: u64 =
            field(count).parse().map_err(|_| format!("{:?} is no count", field(count)))?;
        let of = (day(field(date))?, ticker.map(|at| field(at).to_owned()));
        *totals.entry(of).or_default() += number;
    }
    Ok(totals)
}

fn day(text: &str) -> Result<Date, String> {
    let parsed = strtime::parse("%Y-%m-%d", text).or_else(|_| strtime::parse("%Y%m%d", text));
    parsed
        .and_then(|parsed| parsed.to_date())
        .map_err(|_| format!("{text:?} is no date: use 2024-01-31 or 20240131"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn shown(text: &str) -> Result<Vec<String>, String> {
        let totals = parse(text.as_bytes())?;
        let one = |((day, ticker), count): ((Date, Option<String>), u64)| {
            format!("{day} {} {count}", ticker.unwrap_or_default())
        };
        Ok(totals.into_iter().map(one).collect())
    }

    #[test]
    fn totals_come_in_several_forms() {
        assert_eq!(shown("{\"20240131\": 5}"), Ok(vec!["2024-01-31  5".to_owned()]));
        let ticker = Ok(vec!["2024-01-31 ACME 5".to_owned()]);
        assert_eq!(shown("{\"2024-01-31\": {\"ACME\": 5}}"), ticker);
        assert_eq!(shown("[{\"day\":\"20240131\",\"symbol\":\"ACME\",\"rows\":5}]"), ticker);
        assert_eq!(shown("\u{feff}date,ticker,count\n2024-01-31, ACME ,5\n"), ticker);
        assert_eq!(shown("Count,Date\n2,20240131\n3,20240131\n").unwrap(), ["2024-01-31  5"]);
        assert_eq!(day("20240229"), Ok(date(2024, 2, 29)));
    }

    #[test]
    fn what_is_no_manifest_is_told() {
        for (wrong, why) in [
            ("", "empty"),
            ("{\"yesterday\": 5}", "no date"),
            ("{\"20240131\": -5}", "no count"),
            ("{\"20240131\": 5", "EOF"),
            ("[5]", "without a date"),
            ("when,how many\n", "date,ticker,count"),
            ("date,count\n2024-01-31,many\n", "no count"),
            ("date,count\n2024-02-30,1\n", "no date"),
        ] {
            let error = shown(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
