//! The resolved mapping from a source's fields to a dataset's columns: what recognition and flags
//! produce, and what decoders consume. Past this point nobody sees a layout or a flag.

use jiff::tz::TimeZone;

/// Whether a file that starts so has columns with types, and is read by seeking in it: Parquet, and
/// Arrow's files and streams.
pub fn is_columnar(head: &[u8]) -> bool {
    // A stream starts with the length of its schema behind a mark.
    let length = head.get(4..8).and_then(<[u8]>::first_chunk).copied().map(i32::from_le_bytes);
    let streams = length.is_some_and(|length| (16..1 << 24).contains(&length));
    has_columnar_magic(head) || (head.starts_with(&[0xff; 4]) && streams)
}

/// Whether a file starts with the name of such a format, as no other file does.
pub fn has_columnar_magic(head: &[u8]) -> bool {
    head.starts_with(b"PAR1") || head.starts_with(b"ARROW1\0\0")
}

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
    /// The field at this position (from 0): a CSV field, a Parquet leaf column, or one of
    /// [`JsonShape::fields`].
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
    /// Epoch numbers that count the local clock rather than UTC, as trading terminals write them:
    /// the reading of the clock is taken in the rule's zone.
    LocalEpoch,
    /// Milliseconds since midnight, in the rule's zone, of a day that the file's name or a flag
    /// tells: days from 1970-01-01. Without the day no time can be read.
    MillisOfDay(Option<i32>),
    /// A pattern of `%Y %y %m %b %d %H %I %M %S %f %L %p %z` and literal bytes.
    Pattern(Vec<TimeItem>),
}

/// One element of a time pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeItem {
    /// `%Y`: four digits.
    Year,
    /// `%y`: two digits, of the years 1970 to 2069.
    ShortYear,
    /// `%b`: a month's English name or its first three letters, in either case.
    MonthName,
    /// `%m`: one or two digits, 1 to 12; two where other digits touch it.
    Month,
    /// `%d`: one or two digits, 1 to 31; two where other digits touch it.
    Day,
    /// `%H`: one or two digits, 0 to 23; two where other digits touch it.
    Hour,
    /// `%I`: one or two digits, 1 to 12, with `%p`.
    Hour12,
    /// `%M`: two digits.
    Minute,
    /// `%S`: two digits.
    Second,
    /// `%f`: one to nine digits of a fraction.
    Fraction,
    /// `%L`: one to eight digits, milliseconds since midnight.
    MillisOfDay,
    /// `%p`: `AM` or `PM` in either case.
    AmPm,
    /// `%z`: `Z`, `+hh:mm` or `+hhmm`.
    Offset,
    /// A byte that must stand there.
    Literal(u8),
}

impl TimeItem {
    /// Whether the item at this position, which may have one digit or two, must have two: other
    /// digits touch it, and one digit for two would move them (2024111 is no day, and may be two).
    pub fn needs_two_digits(items: &[Self], at: usize) -> bool {
        use TimeItem::*;
        let short = |item: &TimeItem| matches!(item, Month | Day | Hour | Hour12);
        let digits = |item: &TimeItem| {
            short(item) || matches!(item, Year | ShortYear | Minute | Second | Fraction)
        };
        let before = at.checked_sub(1).and_then(|before| items.get(before));
        items.get(at).is_some_and(short)
            && [before, items.get(at + 1)].into_iter().flatten().any(digits)
    }
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
            "local_epoch" => return Ok(TimeFormat::LocalEpoch),
            "ms_of_day" => return Ok(TimeFormat::MillisOfDay(None)),
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
                Some(b'y') => TimeItem::ShortYear,
                Some(b'b') => TimeItem::MonthName,
                Some(b'm') => TimeItem::Month,
                Some(b'd') => TimeItem::Day,
                Some(b'H') => TimeItem::Hour,
                Some(b'I') => TimeItem::Hour12,
                Some(b'M') => TimeItem::Minute,
                Some(b'S') => TimeItem::Second,
                Some(b'f') => TimeItem::Fraction,
                Some(b'L') => TimeItem::MillisOfDay,
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
    /// A zone with daylight saving.
    Named(TimeZone, Clocks),
}

/// What becomes of a local time that a zone's clocks skipped, or showed twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clocks {
    /// It is a reject.
    #[default]
    Refuse,
    /// It is the earlier of the two instants that it may be: one shown twice is the first, one
    /// skipped is read by the clock as it was set after.
    Earlier,
    /// It is the later of the two: one shown twice is the second, one skipped is read by the clock
    /// as it was set before.
    Later,
}

impl Clocks {
    /// The word behind a zone's name.
    fn word(self) -> &'static str {
        match self {
            Clocks::Refuse => "reject",
            Clocks::Earlier => "earlier",
            Clocks::Later => "later",
        }
    }
}

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone::Fixed(0);

    /// Reads `UTC`, `UTC-5`, `-05:00`, `+0530` or an IANA name such as `America/New_York`. Behind
    /// a name, `@earlier` or `@later` say which of two instants a local time is that daylight
    /// saving skipped or showed twice; without, and with `@reject`, such times are refused.
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
        let (name, clocks) = match trimmed.split_once('@') {
            None => (trimmed, Clocks::Refuse),
            Some((name, word)) => {
                let known = [Clocks::Refuse, Clocks::Earlier, Clocks::Later];
                let found = known.into_iter().find(|clocks| clocks.word() == word);
                (name, found.ok_or_else(|| {
                    format!(
                        "time zone {text:?}: behind the @ stands reject, earlier or later: what \
                         becomes of times that daylight saving skipped or showed twice"
                    )
                })?)
            }
        };
        TimeZone::get(name).map(|zone| Zone::Named(zone, clocks)).map_err(|_| {
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
            Zone::Named(zone, clocks) => {
                let name = zone.iana_name().unwrap_or("unnamed");
                match clocks {
                    Clocks::Refuse => name.to_owned(),
                    Clocks::Earlier | Clocks::Later => format!("{name}@{}", clocks.word()),
                }
            }
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
    /// How long before the written time the meant one is, in microseconds: bars that are stamped
    /// with their end begin an interval earlier. Else 0.
    pub before_us: i64,
}

impl TimeRule {
    /// Times that are meant as they are written.
    pub fn new(format: TimeFormat, zone: Zone) -> Self {
        Self { format, zone, before_us: 0 }
    }
}

/// How a field's text is put right before it is read as its column's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// A number that is written otherwise.
    Number {
        /// Whether a comma stands before its fraction, and no point can.
        comma: bool,
        /// The value is what is written times ten to the power of minus this. Above 0 the field
        /// holds a fixed-point price, which must be whole; below 0 it is written in larger units.
        scale: i8,
        /// The byte between groups of digits.
        thousands: Option<u8>,
    },
    /// A number as people write it: with a sign of a currency, groups of digits, and behind it a
    /// percent sign or one of `K`, `M`, `B` and `T` (thousand to trillion).
    Amount {
        /// Whether a comma stands before its fraction, and points between its groups.
        comma: bool,
    },
    /// Whole values that stand for others; any other stays as it is.
    Words(Vec<(String, String)>),
    /// A time whose digits beyond microseconds are cut off rather than refused.
    CutToMicros,
    /// Bytes that are a whole number, two's complement, times ten to the power of minus `scale`:
    /// fixed-point prices in files with types. At most 16 of them.
    Bytes {
        /// Whether the byte that counts most comes first.
        big_endian: bool,
        /// Digits behind the point.
        scale: i8,
    },
    /// Of a time, what [`Rewrite::CutToMicros`] cuts off: nanoseconds from 0 to 999, or nothing
    /// where the time has no such digits.
    Nanos,
    /// Of the symbol of an option in the form of the OCC, one part.
    Occ(OccPart),
    /// Of two joined fields the second is a day of this form, which is put as `2024-01-31`.
    IsoDay(TimeFormat),
}

impl Rewrite {
    /// Whether it only spells a value anew, all of it: then a record without bytes of its own is
    /// shown with what its value means, and need not be put right again.
    pub fn is_spelling(&self) -> bool {
        matches!(
            self,
            Rewrite::Number { .. }
                | Rewrite::Amount { .. }
                | Rewrite::Words(_)
                | Rewrite::Bytes { .. }
        )
    }
}

/// The parts of an option's symbol in the form of the OCC, such as `SPY230327P00390000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OccPart {
    /// What stands before the day: `SPY`.
    Underlying,
    /// The last day of the contract: `2023-03-27`.
    Expiry,
    /// `390.000`.
    Strike,
    /// `call` or `put`.
    OptionType,
}

/// Which records of a source are a load's, where the others are another dataset's: they are
/// skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sieve {
    /// Position of the field that tells.
    pub field: usize,
    /// Its values; one that ends with `*` stands for all that begin so.
    pub words: Vec<String>,
    /// Whether the records with such a value are taken, or all others.
    pub takes: bool,
}

impl Sieve {
    /// Whether a record with this value is the load's.
    pub fn passes(&self, value: &[u8]) -> bool {
        let value = value.trim_ascii();
        let is = |word: &String| match word.strip_suffix('*') {
            Some(start) => value.starts_with(start.as_bytes()),
            None => value == word.as_bytes(),
        };
        self.words.iter().any(is) == self.takes
    }
}

/// What records of a source may hold besides plain values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quirks {
    /// A record without open, high, low and close tells of an interval without a trade: it is
    /// skipped.
    pub idle_skipped: bool,
    /// Open, high and low of zero beside another close mean that nothing was traded: they are
    /// nothing.
    pub zero_untraded: bool,
    /// Which of the records are taken; `None`: all.
    pub sieve: Option<Sieve>,
    /// The order that the times of each series are in, where that is promised.
    pub order: Option<Order>,
}

/// An order of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
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
    /// How they are put right before that.
    pub rewrite: Option<Rewrite>,
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

/// Where the records of a JSON source are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonRecords {
    /// One value a line (NDJSON). Blank lines are no records.
    Lines,
    /// Whole documents one after another, on as many lines as they like; each is a record.
    Documents,
    /// The files in a tar archive, whose own bytes the source is; each is one document.
    Members,
    /// The elements of the array to which these keys lead from a document's root; without a key
    /// the document is the array. A last key `*` stands for the key of the only array there.
    Array(Vec<String>),
}

/// The outer shape of a JSON source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonShape {
    /// Where the records are.
    pub records: JsonRecords,
    /// What columns may be read from, where [`FieldSource::Field`] counts in this list: for each
    /// the keys that lead to it from the record. For an array a position from 0 is a key.
    pub fields: Vec<Vec<String>>,
    /// Elements that a record has at least and at most, where records are arrays; `None`: they are
    /// objects.
    pub elements: Option<(usize, usize)>,
    /// Texts that mean "nothing", besides `null` and the empty one.
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
    /// What its records may hold besides plain values.
    pub quirks: Quirks,
    /// In a file with types: texts and numbers that mean "nothing", besides null. The shapes of
    /// text and JSON have theirs.
    pub nulls: Vec<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read() {
        assert_eq!(Zone::parse("UTC-5"), Ok(Zone::Fixed(-18_000)));
        assert_eq!(Zone::parse("+0530"), Ok(Zone::Fixed(19_800)));
        assert_eq!(Zone::parse("-05:00").map(|zone| zone.name()), Ok("UTC-05:00".to_owned()));
        assert!(matches!(Zone::parse("America/New_York"), Ok(Zone::Named(_, Clocks::Refuse))));
        for name in ["Europe/Athens", "Europe/Athens@earlier", "Europe/Athens@later"] {
            assert_eq!(Zone::parse(name).map(|zone| zone.name()).as_deref(), Ok(name));
        }
        assert_eq!(Zone::parse("Europe/Athens@reject"), Zone::parse("Europe/Athens"));
        assert!(Zone::parse("Europe/Athens@sometimes").is_err());
        assert!(Zone::parse("UTC@later").is_ok_and(|zone| zone.name() == "UTC@later"));
        assert!(Zone::parse("Mars/Olympus").is_err());
        assert!(Zone::parse("UTC-5x").is_err());
    }

    #[test]
    fn a_sieve_and_its_opposite_share_all_records() {
        let words = vec!["FUT*".to_owned(), "7".to_owned()];
        let takes = Sieve { field: 0, words, takes: true };
        let leaves = Sieve { takes: false, ..takes.clone() };
        for (value, passes) in [("FUTIDX", true), (" 7 ", true), ("71", false), ("", false)] {
            assert_eq!(takes.passes(value.as_bytes()), passes, "{value:?}");
            assert_eq!(leaves.passes(value.as_bytes()), !passes, "{value:?}");
        }
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
