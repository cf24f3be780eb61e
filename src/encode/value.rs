//! Conversions of single values to PostgreSQL's binary forms. Each takes a value whole or says why
//! the target type cannot hold it; none of them rounds or truncates. Called by the writer and by
//! the fault finder of this room, so that both always agree.

use super::numeric::Decimal;

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
    fn lengths_are_in_characters() {
        assert_eq!(text_fits("äöü".as_bytes(), Some(3)), Ok(()));
        assert_eq!(text_fits("äöüß".as_bytes(), Some(3)), Err(Wrong::TooLong));
        assert_eq!(text_fits(b"a  ", Some(1)), Err(Wrong::TooLong), "spaces would be cut off");
        assert_eq!(text_fits(b"a\0b", None), Err(Wrong::Nul));
    }
}
