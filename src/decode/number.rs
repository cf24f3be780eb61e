//! Numbers from bytes: doubles correctly rounded, decimals kept as written, whole numbers.
//!
//! Surrounding spaces and tabs are no part of a number. Thousands separators, hexadecimal and
//! currency signs are not read: a layout that has them would say so.

use super::record::equal_bytes;

/// Digits that a decimal may have before or after the point, and the size of its exponent, so that
/// every accepted literal fits PostgreSQL's `numeric`.
const DECIMAL_DIGITS_MAX: usize = 1_000;

/// Why a number was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberFault {
    /// Not a number of the wanted kind.
    #[error("not a number")]
    Bad,
    /// A number that the column's type cannot hold.
    #[error("a number too large")]
    OutOfRange,
    /// NaN or an infinity.
    #[error("not a finite number")]
    NotFinite,
}

/// The value without spaces and tabs around it, nor what looks like a space or like nothing.
#[inline]
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    match bytes {
        [0x80..=0xff, ..] | [.., 0x80..=0xff] => trim_wide(bytes),
        _ => bytes,
    }
}

#[cold]
fn trim_wide(bytes: &[u8]) -> &[u8] {
    // What spreadsheets and web pages put around a value: a space that does not break, narrow and
    // wide ones, one of no width, and a byte order mark.
    const SPACES: [&str; 7] = [" ", "\t", "\u{a0}", "\u{202f}", "\u{3000}", "\u{200b}", "\u{feff}"];
    let before = |rest: &[u8]| SPACES.iter().find(|s| rest.starts_with(s.as_bytes()));
    let behind = |rest: &[u8]| SPACES.iter().find(|s| rest.ends_with(s.as_bytes()));
    let mut rest = bytes;
    while let Some(space) = before(rest) {
        rest = &rest[space.len()..];
    }
    while let Some(space) = behind(rest) {
        rest = &rest[..rest.len() - space.len()];
    }
    rest
}

/// A literal taken apart: `[sign] digits [. digits] [e exponent]`.
#[derive(Debug, Clone, Copy)]
struct Literal<'a> {
    negative: bool,
    whole: &'a [u8],
    /// Digits after the point; `None` without a point.
    fraction: Option<&'a [u8]>,
    /// Saturated far outside what any type holds.
    exponent: i64,
}

impl<'a> Literal<'a> {
    /// Takes `bytes` apart; `12.` and `.5` are literals, `.` is none.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (negative, rest) = take_sign(bytes);
        let (whole, rest) = take_digits(rest);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => {
                let (digits, rest) = take_digits(rest);
                (Some(digits), rest)
            }
            _ => (None, rest),
        };
        if whole.is_empty() && fraction.is_none_or(<[u8]>::is_empty) {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => {
                let (negative, rest) = take_sign(rest);
                let (digits, rest) = take_digits(rest);
                if digits.is_empty() || !rest.is_empty() {
                    return None;
                }
                let size = digits.iter().fold(0_i64, |size, digit| {
                    (size * 10 + i64::from(digit - b'0')).min(i64::from(i32::MAX))
                });
                if negative { -size } else { size }
            }
            _ => return None,
        };
        Some(Self { negative, whole, fraction, exponent })
    }
}

#[inline]
fn take_sign(bytes: &[u8]) -> (bool, &[u8]) {
    match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    }
}

#[inline]
fn take_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let len = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.split_at(len)
}

/// `NotFinite` for the usual spellings of NaN and infinity, else `Bad`.
#[cold]
fn fault_of(bytes: &[u8]) -> NumberFault {
    let (_, word) = take_sign(bytes);
    let known: [&[u8]; 3] = [b"nan", b"inf", b"infinity"];
    if known.iter().any(|known| word.eq_ignore_ascii_case(known)) {
        NumberFault::NotFinite
    } else {
        NumberFault::Bad
    }
}

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The double nearest to a decimal literal, ties to even; `-0` keeps its sign.
///
/// # Errors
/// What kind of number it is not; a literal beyond the largest double is out of range.
#[inline]
pub fn parse_float(bytes: &[u8]) -> Result<f64, NumberFault> {
    let bytes = trim(bytes);
    match parse_float_exactly(bytes) {
        Some(value) => Ok(value),
        None => parse_float_slowly(bytes),
    }
}

/// Clinger's fast path: both the digits and the power of ten are exact doubles, so one
/// multiplication or division rounds once and correctly.
#[inline]
fn parse_float_exactly(bytes: &[u8]) -> Option<f64> {
    let (negative, rest) = take_sign(bytes);
    let (mantissa, scale) = match digits_at_once(rest) {
        Some(found) => found,
        None => digits_one_by_one(rest)?,
    };
    if mantissa > 1 << 53 {
        return None;
    }
    let value = mantissa as f64 / POWERS[scale];
    Some(if negative { -value } else { value })
}

/// What `digits[.digits]` of four to sixteen bytes means, eight bytes at a time: the digits as one
/// number, and how many of them stand behind the point. `None`: something else, or other sizes.
#[inline]
fn digits_at_once(text: &[u8]) -> Option<(u64, usize)> {
    const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);
    let four = |at: usize| text.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four));
    let eight = |at: usize| text.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word));
    // Right-justified behind zeros; what is read twice is the same both times.
    let justify = |word: u64, len: usize| match len {
        8 => word,
        _ => word << (64 - 8 * len) | ZEROS >> (8 * len),
    };
    let len = text.len();
    let (mut high, mut low) = match len {
        4..8 => {
            let word = u64::from(four(0)?) | u64::from(four(len - 4)?) << (8 * len - 32);
            (ZEROS, justify(word, len))
        }
        8..=16 => (if len == 8 { ZEROS } else { justify(eight(0)?, len - 8) }, eight(len - 8)?),
        _ => return None,
    };
    let mut scale = 0;
    if let Some(behind) = take_point(&mut low, high >> 56) {
        high = high << 8 | u64::from(b'0');
        scale = behind;
    } else if let Some(behind) = take_point(&mut high, u64::from(b'0')) {
        scale = 8 + behind;
    }
    if !are_digits(low) {
        return None;
    }
    if high == ZEROS {
        return Some((number_of(low), scale));
    }
    are_digits(high).then(|| (number_of(high) * 100_000_000 + number_of(low), scale))
}

/// Takes the last point out of eight bytes; those before it make room for `first`. Returns how many
/// bytes stand behind it.
#[inline]
fn take_point(word: &mut u64, first: u64) -> Option<usize> {
    let hits = equal_bytes(*word, b'.');
    if hits == 0 {
        return None;
    }
    let behind = hits.leading_zeros() / 8;
    let before = (1 << (56 - 8 * behind)) - 1;
    *word = *word & !(before << 8 | 0xff) | (*word & before) << 8 | first;
    Some(behind as usize)
}

/// Whether all eight bytes are digits.
#[inline]
fn are_digits(word: u64) -> bool {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const THREES: u64 = 0x3030_3030_3030_3030;
    word & HIGH == THREES && word.wrapping_add(0x0606_0606_0606_0606) & HIGH == THREES
}

/// The number that eight digits spell, the first in the lowest byte: pairs, then fours, then all.
#[inline]
fn number_of(digits: u64) -> u64 {
    const EVERY_FOURTH: u64 = 0x0000_00ff_0000_00ff;
    let digits = digits & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = digits * 10 + (digits >> 8);
    let even = (pairs & EVERY_FOURTH).wrapping_mul(100 + (1_000_000 << 32));
    let odd = (pairs >> 16 & EVERY_FOURTH).wrapping_mul(1 + (10_000 << 32));
    even.wrapping_add(odd) >> 32
}

/// The same byte by byte, for up to nineteen digits.
#[inline]
fn digits_one_by_one(rest: &[u8]) -> Option<(u64, usize)> {
    // Nineteen digits cannot overflow; a point takes the place of a twentieth byte.
    if rest.len() > 20 {
        return None;
    }
    let mut mantissa = 0_u64;
    let mut digits = 0;
    let mut point = None;
    for &byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits += 1;
        } else if byte == b'.' && point.is_none() {
            point = Some(digits);
        } else {
            return None;
        }
    }
    let is_number = (1..=19).contains(&digits);
    is_number.then(|| (mantissa, point.map_or(0, |point| digits - point)))
}

fn parse_float_slowly(bytes: &[u8]) -> Result<f64, NumberFault> {
    if Literal::parse(bytes).is_none() {
        return Err(fault_of(bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| NumberFault::Bad)?;
    let value: f64 = text.parse().map_err(|_| NumberFault::Bad)?;
    if value.is_finite() { Ok(value) } else { Err(NumberFault::OutOfRange) }
}

/// The literal itself, if it is `[+-]digits[.digits][e[+-]digits]` and small enough for `numeric`:
/// at most 1,000 digits and an exponent of at most 1,000.
///
/// # Errors
/// What kind of number it is not. `.5` and `5.` are bad here: digits stand on both sides of a
/// point.
pub fn check_decimal(bytes: &[u8]) -> Result<&str, NumberFault> {
    let bytes = trim(bytes);
    let literal = Literal::parse(bytes).ok_or_else(|| fault_of(bytes))?;
    let fraction = literal.fraction;
    if literal.whole.is_empty() || fraction.is_some_and(<[u8]>::is_empty) {
        return Err(NumberFault::Bad);
    }
    let digits = literal.whole.len() + fraction.map_or(0, <[u8]>::len);
    if digits > DECIMAL_DIGITS_MAX || literal.exponent.unsigned_abs() > DECIMAL_DIGITS_MAX as u64 {
        return Err(NumberFault::OutOfRange);
    }
    std::str::from_utf8(bytes).map_err(|_| NumberFault::Bad)
}

/// Appends a decimal as [`check_decimal`] accepts it, putting right what other writers leave out:
/// `.5` becomes `0.5`, `5.` becomes `5`, `E` becomes `e`.
pub(super) fn push_decimal(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NumberFault> {
    let bytes = trim(bytes);
    let from = out.len();
    match check_decimal(bytes) {
        Ok(text) => out.extend_from_slice(text.as_bytes()),
        Err(fault) => {
            let literal = Literal::parse(bytes).ok_or(fault)?;
            let digits = literal.whole.len() + literal.fraction.map_or(0, <[u8]>::len);
            let size = literal.exponent.unsigned_abs();
            if digits > DECIMAL_DIGITS_MAX || size > DECIMAL_DIGITS_MAX as u64 {
                return Err(NumberFault::OutOfRange);
            }
            if literal.negative {
                out.push(b'-');
            }
            out.extend_from_slice(if literal.whole.is_empty() { b"0" } else { literal.whole });
            if let Some(fraction) = literal.fraction.filter(|fraction| !fraction.is_empty()) {
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
            if literal.exponent != 0 {
                out.extend_from_slice(format!("e{}", literal.exponent).as_bytes());
            }
        }
    }
    out[from..].make_ascii_lowercase();
    Ok(())
}

/// A whole number, also as `6851.0` or `1e+05`.
///
/// # Errors
/// What kind of number it is not; a number with a fraction is bad, one beyond 64 bits out of range.
#[inline]
pub fn parse_integer(bytes: &[u8]) -> Result<i64, NumberFault> {
    let bytes = trim(bytes);
    let (negative, digits) = take_sign(bytes);
    // Eighteen digits cannot overflow.
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return parse_integer_slowly(bytes);
    }
    let size = digits.iter().fold(0_i64, |size, digit| size * 10 + i64::from(digit - b'0'));
    Ok(if negative { -size } else { size })
}

fn parse_integer_slowly(bytes: &[u8]) -> Result<i64, NumberFault> {
    let literal = Literal::parse(bytes).ok_or_else(|| fault_of(bytes))?;
    let fraction = literal.fraction.unwrap_or_default();
    let all = || literal.whole.iter().chain(fraction);
    let len = literal.whole.len() + fraction.len();
    let Some(last) = len.checked_sub(1 + all().rev().take_while(|d| **d == b'0').count()) else {
        return Ok(0);
    };
    // Places that the significant digits are short of the decimal point, negative: past it.
    let zeros = (literal.whole.len() as i64 + literal.exponent) - (last as i64 + 1);
    if zeros < 0 {
        return Err(NumberFault::Bad);
    }
    let mut value = 0_i64;
    let digits = all().take(last + 1).map(|digit| i64::from(digit - b'0'));
    for digit in digits.chain(std::iter::repeat_n(0, zeros.min(40) as usize)) {
        let next = value.checked_mul(10).and_then(|value| value.checked_sub(digit));
        value = next.ok_or(NumberFault::OutOfRange)?;
    }
    // Built downwards, for the least integer has no positive twin.
    if literal.negative { Ok(value) } else { value.checked_neg().ok_or(NumberFault::OutOfRange) }
}

/// An epoch number or any other exact decimal: digits and the places that they stand before the
/// point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exact {
    /// The number times ten to the power of `scale`, without sign.
    pub digits: u128,
    /// Digits of it that stand after the point; negative: zeros that follow.
    pub scale: i64,
    /// Whether the number is negative.
    pub negative: bool,
}

impl Exact {
    /// Reads a literal of up to 38 significant digits without loss.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let literal = Literal::parse(bytes)?;
        let fraction = literal.fraction.unwrap_or_default();
        let mut digits = 0_u128;
        for digit in literal.whole.iter().chain(fraction) {
            digits = digits.checked_mul(10)?.checked_add(u128::from(digit - b'0'))?;
        }
        let scale = fraction.len() as i64 - literal.exponent;
        Some(Self { digits, scale, negative: literal.negative })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_like_a_space_is_one() {
        for space in ["", " ", "\t ", "\u{a0}", " \u{202f} ", "\u{feff}\u{200b}", "\u{3000}"] {
            for word in ["", "AAPL", "é", "台積電", "A\u{a0}B", "\u{20a0}"] {
                let text = format!("{space}{word}{space}");
                assert_eq!(trim(text.as_bytes()), word.as_bytes(), "{text:?}");
            }
        }
        assert_eq!(trim(b"\xa0"), b"\xa0");
        assert_eq!(parse_float("\u{a0}1.5\u{a0}".as_bytes()), Ok(1.5));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn floats_are_those_of_the_standard_library(text in r"[+-]?[0-9]{1,22}(\.[0-9]{0,22})?") {
            let want: f64 = text.parse().unwrap();
            prop_assert_eq!(parse_float(text.as_bytes()).unwrap().to_bits(), want.to_bits());
        }

        #[test]
        fn eight_bytes_at_a_time_are_read_as_one_by_one(text in "[0-9.]{4,16}|[0-9./:;]{4,16}") {
            let bytes = text.as_bytes();
            prop_assert_eq!(digits_at_once(bytes), digits_one_by_one(bytes));
        }

        #[test]
        fn floats_with_exponent_too(text in r"[+-]?[0-9]{0,20}(\.[0-9]{1,20})[eE][+-]?[0-9]{1,3}") {
            let want: f64 = text.parse().unwrap();
            match parse_float(text.as_bytes()) {
                Ok(value) => prop_assert_eq!(value.to_bits(), want.to_bits()),
                Err(fault) => {
                    prop_assert_eq!(fault, NumberFault::OutOfRange);
                    prop_assert!(want.is_infinite());
                }
            }
        }

        #[test]
        fn any_double_survives_its_own_text(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for text in [format!("{value}"), format!("{value:e}")] {
                prop_assert_eq!(parse_float(text.as_bytes()).unwrap().to_bits(), bits);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let std = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<f64>().ok());
            if let Ok(value) = parse_float(&bytes) {
                let want = std::str::from_utf8(trim(&bytes)).unwrap().parse::<f64>().unwrap();
                prop_assert_eq!(value.to_bits(), want.to_bits());
            } else {
                prop_assert!(std.is_none_or(|value| !value.is_finite()));
            }
            let _ = (check_decimal(&bytes), parse_integer(&bytes), Exact::parse(&bytes));
        }

        #[test]
        fn integers_are_those_of_the_standard_library(value in any::<i64>(), zeros in 0_usize..4) {
            prop_assert_eq!(parse_integer(value.to_string().as_bytes()), Ok(value));
            let text = format!("{value}.{}", "0".repeat(zeros));
            prop_assert_eq!(parse_integer(text.as_bytes()), Ok(value));
            let text = format!("{value}{}e-{zeros}", "0".repeat(zeros));
            prop_assert_eq!(parse_integer(text.as_bytes()), Ok(value));
        }
    }

    #[test]
    fn spellings_of_floats() {
        for (text, want) in [
            (" 1.5\t", 1.5),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("3.811e-05", 3.811e-05),
            ("1e+05", 1e5),
            ("69.86160000000000", 69.8616),
            ("1.1553499999999999", 1.155_349_999_999_999_9),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("1e-400", 0.0),
        ] {
            assert_eq!(parse_float(text.as_bytes()), Ok(want), "{text}");
        }
        assert!(parse_float(b"-0.0").unwrap().is_sign_negative());
        for text in ["", ".", "-", "e5", "1e", "1.2.3", "1,000", "0x10", "1 2", "1_0", "--1"] {
            assert_eq!(parse_float(text.as_bytes()), Err(NumberFault::Bad), "{text}");
        }
        for text in ["nan", "NaN", "-inf", "+Infinity", "INF"] {
            assert_eq!(parse_float(text.as_bytes()), Err(NumberFault::NotFinite), "{text}");
            assert_eq!(check_decimal(text.as_bytes()), Err(NumberFault::NotFinite), "{text}");
            assert_eq!(parse_integer(text.as_bytes()), Err(NumberFault::NotFinite), "{text}");
        }
        assert_eq!(parse_float(b"1e400"), Err(NumberFault::OutOfRange));
    }

    #[test]
    fn decimals_are_kept_as_written() {
        for text in ["0", "-12.3400", "1e-05", "+7", "99999999999999999999.5", "1e1000"] {
            assert_eq!(check_decimal(text.as_bytes()), Ok(text));
        }
        assert_eq!(check_decimal(b" 1.50 "), Ok("1.50"));
        for text in [".5", "5.", "", "1.5x", "."] {
            assert_eq!(check_decimal(text.as_bytes()), Err(NumberFault::Bad), "{text}");
        }
        let long = "1".repeat(1_001);
        for text in ["1e1001", "1e-1001", "1e99999999999999999999", &long] {
            assert_eq!(check_decimal(text.as_bytes()), Err(NumberFault::OutOfRange), "{text}");
        }
    }

    #[test]
    fn decimals_of_other_writers_are_put_right() {
        for (text, want) in [
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("+5.E+3", "5e3"),
            ("1.5E-7", "1.5e-7"),
            ("12.3400", "12.3400"),
        ] {
            let mut out = b"x".to_vec();
            assert_eq!(push_decimal(text.as_bytes(), &mut out), Ok(()), "{text}");
            assert_eq!(String::from_utf8_lossy(&out[1..]), want);
        }
        assert_eq!(push_decimal(b".5e1001", &mut Vec::new()), Err(NumberFault::OutOfRange));
        assert_eq!(push_decimal(b"one", &mut Vec::new()), Err(NumberFault::Bad));
    }

    #[test]
    fn spellings_of_integers() {
        for (text, want) in [
            ("6851.0", 6_851),
            ("1e+05", 100_000),
            ("1.5e3", 1_500),
            ("-0", 0),
            ("0e99", 0),
            ("000000000000000000000000000007", 7),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("-9.223372036854775808e18", i64::MIN),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), Ok(want), "{text}");
        }
        for text in ["9223372036854775808", "18446744073709551615", "1e19", "1e999999999999"] {
            assert_eq!(parse_integer(text.as_bytes()), Err(NumberFault::OutOfRange), "{text}");
        }
        for text in ["", "1.5", "15e-1", "1e", "12a", "0.1"] {
            assert_eq!(parse_integer(text.as_bytes()), Err(NumberFault::Bad), "{text}");
        }
    }
}
