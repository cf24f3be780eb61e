//! Conversions of single values to PostgreSQL's binary forms. Each takes a value whole or says why
//! the target type cannot hold it; none of them rounds or truncates. Called by the writer and by
//! the fault finder of this room, so that both always agree.

use super::numeric::Decimal;
use crate::json;

/// Microseconds from 1970-01-01 to PostgreSQL's epoch, 2000-01-01.
const EPOCH_US: i64 = 946_684_800_000_000;
/// Days from 1970-01-01 to PostgreSQL's epoch.
const EPOCH_DAYS: i64 = 10_957;
/// Microseconds in a day.
const DAY_US: i64 = 86_400_000_000;
/// The first timestamp of PostgreSQL, 4714-11-24 BC, in microseconds from its epoch.
const TIMESTAMP_MIN_US: i64 = -211_813_488_000_000_000;
/// One past the last timestamp of PostgreSQL, in microseconds from its epoch.
const TIMESTAMP_END_US: i64 = 9_223_371_331_200_000_000;
/// The first date of PostgreSQL, in days from its epoch.
const DATE_MIN: i64 = -2_451_545;
/// One past the last date of PostgreSQL, in days from its epoch.
const DATE_END: i64 = 2_145_031_949;

/// Why a target type cannot hold a value as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Beyond the greatest or the least value of an integer or floating-point type.
    Range,
    /// NaN or infinite, for a type that has neither.
    NotFinite,
    /// More digits before the point than precision and scale leave.
    NumericRange,
    /// Digits beyond the scale that are not zero.
    NumericScale,
    /// A fraction for an integer type.
    Fraction,
    /// An integer that a floating-point type would round.
    Rounded,
    /// Before the first or after the last time of PostgreSQL.
    TimeRange,
    /// Text that is no decimal literal, for a number.
    NotANumber,
    /// More characters than the column takes.
    TooLong,
    /// A NUL byte in text.
    Nul,
    /// NULL where the column refuses it.
    Null,
    /// Text that is no JSON.
    NotJson,
    /// JSON with the escape of NUL, for `jsonb`.
    JsonNul,
    /// JSON with half of a surrogate pair, for `jsonb`.
    JsonSurrogate,
    /// Text that is no UUID.
    NotAUuid,
}

impl Wrong {
    /// The rule's stable name, for counting and filtering.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Wrong::Range | Wrong::NotFinite | Wrong::NumericRange | Wrong::TimeRange => {
                "out_of_range"
            }
            Wrong::NumericScale | Wrong::Fraction | Wrong::Rounded => "precision_loss",
            Wrong::NotANumber => "bad_number",
            Wrong::TooLong => "too_long",
            Wrong::Nul => "nul_byte",
            Wrong::Null => "null_value",
            Wrong::NotJson | Wrong::JsonSurrogate => "bad_json",
            Wrong::JsonNul => "nul_escape",
            Wrong::NotAUuid => "bad_uuid",
        }
    }

    /// What is wrong, for a person. `value` is shown as it stands; `type_name` is the target's.
    pub(super) fn reason(self, value: &str, type_name: &str) -> String {
        match self {
            Wrong::Range => format!("{value} is out of range for {type_name}"),
            Wrong::NotFinite => format!("{value} is not a finite number, {type_name} needs one"),
            Wrong::NumericRange => {
                format!("{value} has more digits before the point than {type_name} takes")
            }
            Wrong::NumericScale => {
                format!("{value} has more digits after the point than {type_name} takes")
            }
            Wrong::Fraction => format!("{value} is not a whole number, {type_name} needs one"),
            Wrong::Rounded => format!("{value} would be rounded by {type_name}"),
            Wrong::TimeRange => format!("{value} is outside the times that {type_name} takes"),
            Wrong::NotANumber => format!("{value:?} is not a number, {type_name} needs one"),
            Wrong::TooLong => format!("{value:?} has more characters than {type_name} takes"),
            Wrong::Nul => format!("{value:?} has a NUL byte, which {type_name} cannot hold"),
            Wrong::Null => "the column does not take NULL and the record has no value".to_owned(),
            Wrong::NotJson => format!("{value:?} is not valid JSON, {type_name} needs it"),
            Wrong::JsonNul => {
                format!("{value:?} escapes a NUL character, which {type_name} cannot hold")
            }
            Wrong::JsonSurrogate => {
                format!("{value:?} escapes half a character, which {type_name} cannot hold")
            }
            Wrong::NotAUuid => format!("{value:?} is no UUID, {type_name} needs one"),
        }
    }
}

/// A double in an integer type.
pub(super) fn float_to_integer(value: f64) -> Result<i64, Wrong> {
    if !value.is_finite() {
        return Err(Wrong::NotFinite);
    }
    if value.fract() != 0.0 {
        return Err(Wrong::Fraction);
    }
    // Both bounds are powers of two, exact as doubles; the upper one is one too many.
    if value < i64::MIN as f64 || value >= -(i64::MIN as f64) {
        return Err(Wrong::Range);
    }
    Ok(value as i64)
}

/// A double in `real`, which rounds by its nature; only what becomes infinite or zero is refused.
pub(super) fn float_to_float4(value: f64) -> Result<f32, Wrong> {
    let narrow = value as f32;
    if (narrow.is_infinite() && value.is_finite()) || (narrow == 0.0 && value != 0.0) {
        return Err(Wrong::Range);
    }
    Ok(narrow)
}

/// An integer as a double, if no digit is lost.
pub(super) fn integer_to_float8(value: i64) -> Result<f64, Wrong> {
    let float = value as f64;
    if float as i128 == i128::from(value) { Ok(float) } else { Err(Wrong::Rounded) }
}

/// An integer in `real`, if no digit is lost.
pub(super) fn integer_to_float4(value: i64) -> Result<f32, Wrong> {
    let float = value as f32;
    if float as i128 == i128::from(value) { Ok(float) } else { Err(Wrong::Rounded) }
}

/// A decimal literal as the nearest double, as the server itself would read it.
pub(super) fn literal_to_float8(literal: &str) -> Result<f64, Wrong> {
    let decimal = Decimal::parse(literal.as_bytes()).ok_or(Wrong::NotANumber)?;
    let value: f64 = literal.parse().map_err(|_| Wrong::NotANumber)?;
    if value.is_infinite() || (value == 0.0 && !decimal.is_zero()) {
        return Err(Wrong::Range);
    }
    Ok(value)
}

/// A decimal literal in `real`, as the server itself would read it.
pub(super) fn literal_to_float4(literal: &str) -> Result<f32, Wrong> {
    let decimal = Decimal::parse(literal.as_bytes()).ok_or(Wrong::NotANumber)?;
    let value: f32 = literal.parse().map_err(|_| Wrong::NotANumber)?;
    if value.is_infinite() || (value == 0.0 && !decimal.is_zero()) {
        return Err(Wrong::Range);
    }
    Ok(value)
}

/// Microseconds from 1970 as microseconds from PostgreSQL's epoch.
pub(super) fn time_to_timestamp(us: i64) -> Result<i64, Wrong> {
    let pg_us = us.checked_sub(EPOCH_US).ok_or(Wrong::TimeRange)?;
    if (TIMESTAMP_MIN_US..TIMESTAMP_END_US).contains(&pg_us) {
        Ok(pg_us)
    } else {
        Err(Wrong::TimeRange)
    }
}

/// Microseconds from 1970 as the UTC day, in days from PostgreSQL's epoch.
pub(super) fn time_to_date(us: i64) -> Result<i32, Wrong> {
    days_to_date(us.div_euclid(DAY_US))
}

/// Days from 1970 as days from PostgreSQL's epoch.
pub(super) fn days_to_date(days: i64) -> Result<i32, Wrong> {
    let pg_days = days - EPOCH_DAYS;
    if !(DATE_MIN..DATE_END).contains(&pg_days) {
        return Err(Wrong::TimeRange);
    }
    i32::try_from(pg_days).map_err(|_| Wrong::TimeRange)
}

/// Midnight UTC of a day counted from 1970, in microseconds from PostgreSQL's epoch.
pub(super) fn days_to_timestamp(days: i32) -> Result<i64, Wrong> {
    i64::from(days).checked_mul(DAY_US).ok_or(Wrong::TimeRange).and_then(time_to_timestamp)
}

/// Whether a text column of at most `chars_max` characters takes this text.
pub(super) fn text_fits(text: &[u8], chars_max: Option<u32>) -> Result<(), Wrong> {
    if memchr::memchr(0, text).is_some() {
        return Err(Wrong::Nul);
    }
    let Some(max) = chars_max else { return Ok(()) };
    // No fewer bytes than characters: most texts need no counting.
    if text.len() > max as usize && count_chars(text) > max as usize {
        return Err(Wrong::TooLong);
    }
    Ok(())
}

/// Whether `json` takes this text.
pub(super) fn json_fits(text: &[u8]) -> Result<(), Wrong> {
    json::check(text).map(drop).map_err(|_| Wrong::NotJson)
}

/// Whether `jsonb` takes this text. Numbers beyond what `numeric` holds are left to the server.
pub(super) fn jsonb_fits(text: &[u8]) -> Result<(), Wrong> {
    match json::check(text) {
        Err(_) => Err(Wrong::NotJson),
        Ok(found) if found.nul_escape => Err(Wrong::JsonNul),
        Ok(found) if found.lone_surrogate => Err(Wrong::JsonSurrogate),
        Ok(_) => Ok(()),
    }
}

/// The bytes of a UUID in any of the forms that the server reads: 32 hexadecimal digits in either
/// case, a hyphen after any four of them, all in braces or not.
pub(super) fn text_to_uuid(text: &str) -> Result<[u8; 16], Wrong> {
    let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'));
    let mut bytes = inner.ok_or(Wrong::NotAUuid)?.bytes().peekable();
    let mut uuid = [0; 16];
    for (at, out) in uuid.iter_mut().enumerate() {
        if at > 0 && at % 2 == 0 && bytes.peek() == Some(&b'-') {
            bytes.next();
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(Wrong::NotAUuid) };
        *out = (high * 16 + low) as u8;
    }
    if bytes.next().is_some() { Err(Wrong::NotAUuid) } else { Ok(uuid) }
}

/// Characters of UTF-8: bytes that do not continue one.
fn count_chars(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_every_digit_or_are_refused() {
        assert_eq!(float_to_integer(-0.0), Ok(0));
        assert_eq!(float_to_integer(-9_223_372_036_854_775_808.0), Ok(i64::MIN));
        assert_eq!(float_to_integer(9_223_372_036_854_775_808.0), Err(Wrong::Range));
        assert_eq!(float_to_integer(1.5), Err(Wrong::Fraction));
        assert_eq!(float_to_integer(f64::NAN), Err(Wrong::NotFinite));
        assert_eq!(integer_to_float8(1 << 53), Ok(9_007_199_254_740_992.0));
        assert_eq!(integer_to_float8((1 << 53) + 1), Err(Wrong::Rounded));
        assert_eq!(integer_to_float8(i64::MAX), Err(Wrong::Rounded));
        assert_eq!(integer_to_float4((1 << 24) + 1), Err(Wrong::Rounded));
    }

    #[test]
    fn real_refuses_what_becomes_infinite_or_zero() {
        assert_eq!(float_to_float4(0.1), Ok(0.1_f32));
        assert_eq!(float_to_float4(1e39), Err(Wrong::Range));
        assert_eq!(float_to_float4(1e-60), Err(Wrong::Range));
        assert_eq!(float_to_float4(0.0), Ok(0.0));
        assert_eq!(literal_to_float4("1e39"), Err(Wrong::Range));
    }

    #[test]
    fn literals_become_the_nearest_double() {
        assert_eq!(literal_to_float8("0.10"), Ok(0.1));
        assert_eq!(literal_to_float8("1e-05"), Ok(0.00001));
        assert_eq!(literal_to_float8("1e400"), Err(Wrong::Range));
        assert_eq!(literal_to_float8("1e-400"), Err(Wrong::Range));
        assert_eq!(literal_to_float8("0e-400"), Ok(0.0));
        for text in ["", "inf", "NaN", "1_0", " 1", "0x10", "."] {
            assert_eq!(literal_to_float8(text), Err(Wrong::NotANumber), "{text:?}");
        }
    }

    #[test]
    fn times_move_to_the_servers_epoch_within_its_bounds() {
        assert_eq!(time_to_timestamp(EPOCH_US), Ok(0));
        assert_eq!(time_to_timestamp(0), Ok(-EPOCH_US));
        assert_eq!(time_to_timestamp(i64::MIN), Err(Wrong::TimeRange));
        let first = TIMESTAMP_MIN_US + EPOCH_US;
        assert_eq!(time_to_timestamp(first), Ok(TIMESTAMP_MIN_US));
        assert_eq!(time_to_timestamp(first - 1), Err(Wrong::TimeRange));
        assert!(time_to_timestamp(i64::MAX).is_ok());
        assert_eq!(time_to_date(-1), Ok(-10_958), "a microsecond before 1970 is 1969-12-31");
        assert_eq!(days_to_date(10_957), Ok(0));
        assert_eq!(days_to_date(DATE_MIN + EPOCH_DAYS - 1), Err(Wrong::TimeRange));
        assert_eq!(days_to_timestamp(10_958), Ok(DAY_US));
        assert_eq!(days_to_timestamp(i32::MAX), Err(Wrong::TimeRange));
    }

    #[test]
    fn uuids_are_read_as_the_server_reads_them() {
        let uuid = [
            0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38,
            0x0a, 0x11,
        ];
        for text in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            assert_eq!(text_to_uuid(text), Ok(uuid), "{text}");
        }
        for text in [
            "",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0eebc999c0b4ef8bb6d6bb9bd380a1",
            "a0eebc999c0b4ef8bb6d6bb9bd380a111",
            "a0-eebc999c0b4ef8bb6d6bb9bd380a11",
            "g0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert_eq!(text_to_uuid(text), Err(Wrong::NotAUuid), "{text}");
        }
    }

    #[test]
    fn jsonb_takes_less_than_json() {
        for (text, json, jsonb) in [
            (r#"{"a": "\u0041"}"#, Ok(()), Ok(())),
            (r#""\u0000""#, Ok(()), Err(Wrong::JsonNul)),
            (r#""\ud800""#, Ok(()), Err(Wrong::JsonSurrogate)),
            ("{", Err(Wrong::NotJson), Err(Wrong::NotJson)),
        ] {
            assert_eq!(json_fits(text.as_bytes()), json, "{text}");
            assert_eq!(jsonb_fits(text.as_bytes()), jsonb, "{text}");
        }
    }

    #[test]
    fn lengths_are_in_characters() {
        assert_eq!(text_fits("äöü".as_bytes(), Some(3)), Ok(()));
        assert_eq!(text_fits("äöüß".as_bytes(), Some(3)), Err(Wrong::TooLong));
        assert_eq!(text_fits(b"a  ", Some(1)), Err(Wrong::TooLong), "spaces would be cut off");
        assert_eq!(text_fits(b"a\0b", None), Err(Wrong::Nul));
    }
}
