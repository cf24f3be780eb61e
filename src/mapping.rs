//! The resolved mapping from a source's fields to a dataset's columns: what recognition and flags
//! produce, and what decoders consume. Past this point nobody sees a layout or a flag.

use jiff::tz::TimeZone;

/// How values of one column are read and which Arrow type they become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// Text with few distinct values (symbols, intervals): `Dictionary<Int32, Utf8>`.
    Word,
    /// Any other text: `Utf8`.
    Text,
    /// A number as a double: `Float64`. Never NaN or infinite.
    Float,
    /// A number kept to the last digit: `Utf8` holding a checked decimal literal such as
    /// `-12.3400` or `1e-05`. For `numeric` targets.
    Decimal,
    /// A whole number: `Int64`. Integral spellings such as `6851.0` and `1e+05` are accepted.
    Integer,
    /// A point in time: `Timestamp(Microsecond, "UTC")`.
    Time,
    /// A day: `Date32`.
    Date,
    /// `true`/`false` in the usual spellings: `Boolean`.
    Bool,
    /// One JSON value: `Utf8` holding a checked JSON text as it was written. For `json`, `jsonb`
    /// and text targets.
    Json,
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSource {
    /// The field at this position (from 0): a CSV field, or a Parquet leaf column.
    Field(usize),
    /// Two fields joined by one space: a date and a time of day.
    Joined(usize, usize),
    /// The same value for every record: a fact from outside the bytes.
    Constant(String),
}

/// How times are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// Epoch numbers, the unit told by magnitude for each row: seconds 1e9..4e9, milliseconds
    /// 1e12..4e12, microseconds 1e15..4e15, nanoseconds 1e18..4e18; fractions are allowed.
    Epoch,
    /// RFC 3339, ISO dates with or without a time of day, `T` or space between, with or without
    /// offset; or an epoch number.
    Auto,
    /// A pattern of `%Y %m %d %H %I %M %S %f %p %z` and literal bytes.
    Pattern(Vec<TimeItem>),
}

/// One element of a time pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeItem {
    /// `%Y`: four digits.
    Year,
    /// `%m`: one or two digits, 1 to 12.
    Month,
    /// `%d`: one or two digits, 1 to 31.
    Day,
    /// `%H`: one or two digits, 0 to 23.
    Hour,
    /// `%I`: one or two digits, 1 to 12, with `%p`.
    Hour12,
    /// `%M`: two digits.
    Minute,
    /// `%S`: two digits.
    Second,
    /// `%f`: one to nine digits of a fraction.
    Fraction,
    /// `%p`: `AM` or `PM` in either case.
    AmPm,
    /// `%z`: `Z`, `+hh:mm` or `+hhmm`.
    Offset,
    /// A byte that must stand there.
    Literal(u8),
}

impl TimeFormat {
    /// Reads a pattern such as `%Y%m%d %H%M%S`.
    ///
    /// # Errors
    /// Names the first `%` item that is not known.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        match pattern {
            "epoch" => return Ok(TimeFormat::Epoch),
            "auto" => return Ok(TimeFormat::Auto),
            _ => {}
        }
        let mut items = Vec::new();
        let mut bytes = pattern.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                items.push(TimeItem::Literal(byte));
                continue;
            }
            items.push(match bytes.next() {
                Some(b'Y') => TimeItem::Year,
                Some(b'm') => TimeItem::Month,
                Some(b'd') => TimeItem::Day,
                Some(b'H') => TimeItem::Hour,
                Some(b'I') => TimeItem::Hour12,
                Some(b'M') => TimeItem::Minute,
                Some(b'S') => TimeItem::Second,
                Some(b'f') => TimeItem::Fraction,
                Some(b'p') => TimeItem::AmPm,
                Some(b'z') => TimeItem::Offset,
                Some(b'%') => TimeItem::Literal(b'%'),
                other => {
                    let item = other.map_or(String::new(), |byte| char::from(byte).to_string());
                    return Err(format!("time pattern {pattern:?} has an unknown item %{item}"));
                }
            });
        }
        Ok(TimeFormat::Pattern(items))
    }
}

/// How a time without an offset of its own becomes UTC.
#[derive(Debug, Clone, PartialEq)]
pub enum Zone {
    /// A fixed offset, in seconds east of UTC. HistData is -18000 all year.
    Fixed(i32),
    /// A zone with daylight saving; local times in a gap or an overlap are rejected.
    Named(TimeZone),
}

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone::Fixed(0);

    /// Reads `UTC`, `UTC-5`, `-05:00`, `+0530` or an IANA name such as `America/New_York`.
    ///
    /// # Errors
    /// Says what a zone may look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if matches!(trimmed, "UTC" | "utc" | "Z" | "GMT") {
            return Ok(Zone::UTC);
        }
        let offset = trimmed.strip_prefix("UTC").or_else(|| trimmed.strip_prefix("GMT"));
        if let Some(seconds) = parse_offset(offset.unwrap_or(trimmed)) {
            return Ok(Zone::Fixed(seconds));
        }
        TimeZone::get(trimmed).map(Zone::Named).map_err(|_| {
            format!(
                "unknown time zone {text:?}: use UTC, UTC-5, +05:30 or a name like Europe/Paris"
            )
        })
    }

    /// The zone's name, for the ledger and for messages.
    pub fn name(&self) -> String {
        match self {
            Zone::Fixed(0) => "UTC".to_owned(),
            Zone::Fixed(seconds) => {
                let sign = if *seconds < 0 { '-' } else { '+' };
                let minutes = seconds.unsigned_abs() / 60;
                format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            Zone::Named(zone) => zone.iana_name().unwrap_or("unnamed").to_owned(),
        }
    }
}

/// `-5`, `-05`, `-0500` or `-05:00` in seconds.
fn parse_offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None if rest.len() == 4 => rest.split_at_checked(2)?,
        None => (rest, "0"),
    };
    let digits =
        |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?;
    let (hours, minutes): (i32, i32) = (digits(hours)?, digits(minutes)?);
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// How a column's times are read.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeRule {
    /// How they are written.
    pub format: TimeFormat,
    /// The zone of times that carry no offset.
    pub zone: Zone,
}

/// One column of the batch, in batch order.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedColumn {
    /// The dataset's name for it, or the target's for a column that no dataset knows.
    pub name: String,
    /// Where its values come from.
    pub source: FieldSource,
    /// How they are read.
    pub kind: ValueKind,
    /// For [`ValueKind::Time`] and [`ValueKind::Date`].
    pub time: Option<TimeRule>,
    /// Whether an empty value is a reject.
    pub required: bool,
}

/// The outer shape of a delimited text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextShape {
    /// Field delimiter.
    pub delimiter: u8,
    /// Quote byte; a doubled quote inside quotes is one.
    pub quote: u8,
    /// Physical lines before the first record: preamble and header.
    pub head_lines: usize,
    /// The header's field names, if there is one. A record equal to it is skipped as a repeat.
    pub header: Option<Vec<String>>,
    /// The header's bytes without line end, kept with the load so that rejects can be replayed.
    pub header_bytes: Vec<u8>,
    /// Fields in a whole record; fewer is a reject.
    pub fields_min: usize,
    /// Fields in a record at most; more is a reject.
    pub fields_max: usize,
    /// Values that mean "nothing", besides the empty one.
    pub nulls: Vec<Vec<u8>>,
}

/// A resolved mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// The dataset's name.
    pub dataset: String,
    /// The batch's columns.
    pub columns: Vec<MappedColumn>,
    /// Position in `columns` of the row's time, on which `--from` and `--to` work.
    pub time_column: Option<usize>,
    /// Rows whose time is before this, in microseconds from 1970 UTC, are skipped.
    pub from_us: Option<i64>,
    /// Rows whose time is at or after this are skipped.
    pub to_us: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read() {
        assert_eq!(Zone::parse("UTC-5"), Ok(Zone::Fixed(-18_000)));
        assert_eq!(Zone::parse("+0530"), Ok(Zone::Fixed(19_800)));
        assert_eq!(Zone::parse("-05:00").map(|zone| zone.name()), Ok("UTC-05:00".to_owned()));
        assert!(matches!(Zone::parse("America/New_York"), Ok(Zone::Named(_))));
        assert!(Zone::parse("Mars/Olympus").is_err());
        assert!(Zone::parse("UTC-5x").is_err());
    }

    #[test]
    fn time_patterns_are_read() {
        let Ok(TimeFormat::Pattern(items)) = TimeFormat::parse("%Y%m%d %I-%p") else {
            panic!("a pattern")
        };
        assert_eq!(items[3], TimeItem::Literal(b' '));
        assert_eq!(items[6], TimeItem::AmPm);
        assert!(TimeFormat::parse("%Q").is_err());
    }
}
