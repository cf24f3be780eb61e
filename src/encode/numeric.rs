//! PostgreSQL's binary `numeric` from decimal literals, integers and doubles, to the last digit.
//! It never rounds: what a column's precision and scale cannot take is an error. Called by the
//! conversions of this room.
//!
//! On the wire a numeric is four 16-bit words (`ndigits`, `weight`, `sign`, `dscale`), then
//! `ndigits` digits of base 10,000, the first worth `10000^weight`, without zero digits at either
//! end. `dscale` is the number of decimals to show, so that `3.00` stays `3.00`.

use std::io::Write as _;

use super::value::Wrong;

/// The greatest weight, in digits of base 10,000.
const WEIGHT_MAX: i64 = i16::MAX as i64;
/// The least weight, in digits of base 10,000.
const WEIGHT_MIN: i64 = i16::MIN as i64;
/// The greatest display scale, in decimal digits.
const SCALE_MAX: i64 = 16_383;
/// Exponents are clamped to this: far beyond any that can be stored.
const EXPONENT_CLAMP: i64 = 1_000_000_000;
/// Significant digits that the short way takes: with three zeros added they fit 64 bits.
const SHORT_DIGITS_MAX: usize = 16;
/// Whole numbers below this have at most 15 digits.
const FLOAT_DIGITS_LIMIT: f64 = 1e15;
/// Decimals that a double is tried with before its shortest spelling is searched for.
const FLOAT_DECIMALS: [f64; 9] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];

const SIGN_NEGATIVE: u16 = 0x4000;

/// What a `numeric` column takes: `(precision, scale)`, or anything.
pub(super) type Limits = Option<(u16, i16)>;

/// A decimal literal, taken apart: `[+-]digits[.digits][e[+-]digits]`, digits on at least one side
/// of the point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal<'a> {
    negative: bool,
    /// The digits, perhaps with a point among them.
    digits: &'a [u8],
    /// Number of digits.
    count: usize,
    /// Position of the first and the last digit that is not zero; `None` for zero.
    significant: Option<(usize, usize)>,
    /// Digits before the point once the exponent is applied; may be negative.
    point: i64,
    /// All digits as a number, right if there are at most 19 significant ones.
    mantissa: u64,
}

impl<'a> Decimal<'a> {
    /// Takes a literal apart; `None` if it is not one.
    pub(super) fn parse(literal: &'a [u8]) -> Option<Self> {
        let (negative, rest) = match literal.first()? {
            b'-' => (true, &literal[1..]),
            b'+' => (false, &literal[1..]),
            _ => (false, literal),
        };
        let (mut count, mut point, mut mantissa) = (0, None, 0_u64);
        let mut significant = None;
        let (mut end, mut exponent) = (rest.len(), 0);
        for (at, &byte) in rest.iter().enumerate() {
            match byte {
                b'0' => {
                    mantissa = mantissa.wrapping_mul(10);
                    count += 1;
                }
                b'1'..=b'9' => {
                    mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                    significant = Some((significant.map_or(count, |(first, _)| first), count));
                    count += 1;
                }
                b'.' if point.is_none() => point = Some(count),
                b'e' | b'E' => {
                    (end, exponent) = (at, parse_exponent(&rest[at + 1..])?);
                    break;
                }
                _ => return None,
            }
        }
        if count == 0 {
            return None;
        }
        let point = point.unwrap_or(count) as i64 + exponent;
        Some(Self { negative, digits: &rest[..end], count, significant, point, mantissa })
    }

    /// Whether it is zero, however written.
    pub(super) fn is_zero(&self) -> bool {
        self.significant.is_none()
    }

    /// The literal's number of decimals, as the server would show it; negative if it ends before
    /// the point (`1e3`: -3).
    fn decimals(&self) -> i64 {
        self.count as i64 - self.point
    }

    /// Whether a column with these limits holds it as it is.
    pub(super) fn fits(&self, limits: Limits) -> Result<(), Wrong> {
        let (top, bottom) = match self.significant {
            Some((first, last)) => {
                (Some(self.point - first as i64 - 1), self.point - last as i64 - 1)
            }
            None => (None, 0),
        };
        fits(top, bottom, self.decimals(), limits)
    }

    /// Appends its binary form. The caller has asked [`Decimal::fits`].
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let decimals = self.decimals();
        let Some((first, last)) = self.significant else {
            return put_header(0, 0, false, decimals.max(0), out);
        };
        if self.count - first <= SHORT_DIGITS_MAX && decimals >= 0 {
            return encode_scaled(self.negative, self.mantissa, decimals, out);
        }
        let top = self.point - first as i64 - 1;
        let bottom = self.point - last as i64 - 1;
        let weight = top.div_euclid(4);
        let groups = weight - bottom.div_euclid(4) + 1;
        put_header(groups, weight, self.negative, decimals.max(0), out);
        let digits = self.digits.iter().filter(|byte| **byte != b'.');
        let mut place = top.rem_euclid(4);
        let mut group = 0_u16;
        for byte in digits.skip(first).take(last - first + 1) {
            group = group * 10 + u16::from(byte - b'0');
            if place == 0 {
                out.extend_from_slice(&group.to_be_bytes());
                (group, place) = (0, 3);
            } else {
                place -= 1;
            }
        }
        if place < 3 {
            // Digits of the last group that are not written are zeros.
            let zeros = (0..=place).fold(1_u16, |power, _| power * 10);
            out.extend_from_slice(&(group * zeros).to_be_bytes());
        }
    }
}

/// The digits after `e`.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits
        .iter()
        .fold(0_i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(EXPONENT_CLAMP));
    Some(if negative { -value } else { value })
}

/// Whether a number fits: `top` and `bottom` are the powers of ten of its first and last digit
/// that is not zero, `decimals` the digits written after the point.
fn fits(top: Option<i64>, bottom: i64, decimals: i64, limits: Limits) -> Result<(), Wrong> {
    if let (Some((precision, scale)), Some(top)) = (limits, top) {
        if top >= i64::from(precision) - i64::from(scale) {
            return Err(Wrong::NumericRange);
        }
        if bottom < -i64::from(scale) {
            return Err(Wrong::NumericScale);
        }
    }
    if top.is_some_and(|top| top.div_euclid(4) > WEIGHT_MAX) {
        return Err(Wrong::NumericRange);
    }
    let too_small = top.is_some_and(|top| top.div_euclid(4) < WEIGHT_MIN);
    if too_small || decimals > SCALE_MAX {
        return Err(Wrong::NumericScale);
    }
    Ok(())
}

/// Whether `mantissa / 10^decimals` fits.
fn scaled_fits(mantissa: u64, decimals: i64, limits: Limits) -> Result<(), Wrong> {
    if limits.is_none() {
        return Ok(());
    }
    let Some(digits) = mantissa.checked_ilog10() else {
        return Ok(());
    };
    let (mut zeros, mut rest) = (0, mantissa);
    while rest.is_multiple_of(10) {
        rest /= 10;
        zeros += 1;
    }
    fits(Some(i64::from(digits) - decimals), zeros - decimals, decimals, limits)
}

fn put_header(groups: i64, weight: i64, negative: bool, decimals: i64, out: &mut Vec<u8>) {
    // The bounds of `fits` keep each word in 16 bits.
    let sign = if negative { SIGN_NEGATIVE } else { 0 };
    for word in [groups as u16, weight as i16 as u16, sign, decimals as u16] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// Appends `mantissa / 10^decimals`. `mantissa` is below 10^16, or `decimals` is 0.
fn encode_scaled(negative: bool, mantissa: u64, decimals: i64, out: &mut Vec<u8>) {
    if mantissa == 0 {
        return put_header(0, 0, false, decimals, out);
    }
    let low_groups = (decimals + 3) / 4;
    let aligned = match low_groups * 4 - decimals {
        1 => mantissa * 10,
        2 => mantissa * 100,
        3 => mantissa * 1_000,
        _ => mantissa,
    };
    let (mut rest, mut weight) = (aligned, -low_groups);
    while rest.is_multiple_of(10_000) {
        rest /= 10_000;
        weight += 1;
    }
    let mut groups = [0_u8; 10];
    let mut at = groups.len();
    while rest > 0 {
        at -= 2;
        groups[at..at + 2].copy_from_slice(&((rest % 10_000) as u16).to_be_bytes());
        rest /= 10_000;
    }
    let count = ((groups.len() - at) / 2) as i64;
    put_header(count, weight + count - 1, negative, decimals, out);
    out.extend_from_slice(&groups[at..]);
}

/// Whether a column with these limits holds an integer.
pub(super) fn integer_fits(value: i64, limits: Limits) -> Result<(), Wrong> {
    scaled_fits(value.unsigned_abs(), 0, limits)
}

/// Appends an integer. The caller has asked [`integer_fits`].
pub(super) fn encode_integer(value: i64, out: &mut Vec<u8>) {
    encode_scaled(value < 0, value.unsigned_abs(), 0, out);
}

/// Appends a double as the shortest decimal that reads back as the same double, if a column with
/// these limits holds that as it is.
pub(super) fn encode_float(value: f64, limits: Limits, out: &mut Vec<u8>) -> Result<(), Wrong> {
    if !value.is_finite() {
        return Err(Wrong::NotFinite);
    }
    let size = value.abs();
    for (decimals, power) in FLOAT_DECIMALS.iter().enumerate() {
        // The product may be off in its last bit: the division decides.
        let scaled = (size * power).round();
        if scaled >= FLOAT_DIGITS_LIMIT {
            break;
        }
        // A decimal of at most 15 digits that reads back as this double is the shortest one.
        if scaled / power == size {
            let (mantissa, decimals) = (scaled as u64, decimals as i64);
            scaled_fits(mantissa, decimals, limits)?;
            encode_scaled(value < 0.0, mantissa, decimals, out);
            return Ok(());
        }
    }
    let mut text = [0_u8; 32];
    let mut rest = text.as_mut_slice();
    write!(rest, "{value:e}").map_err(|_| Wrong::NotANumber)?;
    let unused = rest.len();
    let decimal = Decimal::parse(&text[..32 - unused]).ok_or(Wrong::NotANumber)?;
    decimal.fits(limits)?;
    decimal.encode(out);
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The wire form as text, written apart from the encoder: every digit of every group, then
    /// the point put in its place.
    pub(in super::super) fn decode(bytes: &[u8]) -> String {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let (count, weight) = (usize::from(word(0)), i32::from(word(2) as i16));
        let (sign, scale) = (word(4), usize::from(word(6)));
        assert_eq!(bytes.len(), 8 + 2 * count, "as many digits as announced");
        let groups: Vec<u16> = (0..count).map(|at| word(8 + 2 * at)).collect();
        assert!(groups.iter().all(|group| *group < 10_000));
        assert!(groups.first() != Some(&0) && groups.last() != Some(&0), "no zeros at the ends");
        let group = |weight_at: i32| {
            usize::try_from(weight - weight_at).ok().and_then(|at| groups.get(at)).copied()
        };
        let mut whole: String =
            (0..=weight.max(0)).rev().map(|w| format!("{:04}", group(w).unwrap_or(0))).collect();
        whole = whole.trim_start_matches('0').to_owned();
        let groups_after = scale.div_ceil(4) as i32;
        let fraction: String =
            (1..=groups_after).map(|w| format!("{:04}", group(-w).unwrap_or(0))).collect();
        assert!(weight - count as i32 + 1 >= -groups_after || count == 0, "no digit is hidden");
        assert!(fraction[scale..].bytes().all(|digit| digit == b'0'), "no digit is hidden");
        let sign = if sign == SIGN_NEGATIVE { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { &whole };
        let point = if scale > 0 { "." } else { "" };
        format!("{sign}{whole}{point}{}", &fraction[..scale])
    }

    fn encode(literal: &str) -> Vec<u8> {
        let decimal = Decimal::parse(literal.as_bytes()).expect("a literal");
        decimal.fits(None).expect("it fits");
        let mut out = Vec::new();
        decimal.encode(&mut out);
        out
    }

    fn float(value: f64) -> String {
        let mut out = Vec::new();
        encode_float(value, None, &mut out).expect("it fits");
        decode(&out)
    }

    /// What the server shows for a literal, by moving the point in its text.
    fn plain(negative: bool, whole: &str, fraction: &str, exponent: i32) -> String {
        let digits = format!("{whole}{fraction}");
        let point = whole.len() as i32 + exponent;
        let padded = format!("{}{digits}", "0".repeat((1 - point).max(0) as usize));
        let at = point.max(1) as usize;
        let padded = format!("{padded}{}", "0".repeat(at.saturating_sub(padded.len())));
        let (whole, fraction) = padded.split_at(at);
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let zero = digits.bytes().all(|digit| digit == b'0');
        let sign = if negative && !zero { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }

    #[test]
    fn known_values_have_known_bytes() {
        let cases: [(&str, &[u16]); 13] = [
            ("0", &[0, 0, 0, 0]),
            ("-0.00", &[0, 0, 0, 2]),
            ("1", &[1, 0, 0, 0, 1]),
            ("3.00", &[1, 0, 0, 2, 3]),
            ("10000", &[1, 1, 0, 0, 1]),
            ("0.0001", &[1, 0xFFFF, 0, 4, 1]),
            ("-12.34", &[2, 0, 0x4000, 2, 12, 3400]),
            ("1e-05", &[1, 0xFFFE, 0, 5, 1000]),
            ("123456789.987654321", &[6, 2, 0, 9, 1, 2345, 6789, 9876, 5432, 1000]),
            ("1.5e3", &[1, 0, 0, 0, 1500]),
            ("1e+05", &[1, 1, 0, 0, 10]),
            ("+.5", &[1, 0xFFFF, 0, 1, 5000]),
            ("007.", &[1, 0, 0, 0, 7]),
        ];
        for (literal, words) in cases {
            let expected: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(encode(literal), expected, "{literal}");
        }
    }

    #[test]
    fn only_decimal_literals_are_taken() {
        for text in ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "1,5", " 1", "1 ", "NaN", "0x1", "٣"]
        {
            assert!(Decimal::parse(text.as_bytes()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn precision_and_scale_are_kept_to_the_last_digit() {
        let fits = |literal: &str, limits| Decimal::parse(literal.as_bytes()).unwrap().fits(limits);
        let price = Some((5, 2));
        assert_eq!(fits("999.99", price), Ok(()));
        assert_eq!(fits("-999.9900", price), Ok(()), "zeros beyond the scale lose nothing");
        assert_eq!(fits("1000", price), Err(Wrong::NumericRange));
        assert_eq!(fits("999.995", price), Err(Wrong::NumericScale));
        assert_eq!(fits("0.001", price), Err(Wrong::NumericScale));
        assert_eq!(fits("0e9", price), Ok(()));
        let thousands = Some((3, -3));
        assert_eq!(fits("999000", thousands), Ok(()));
        assert_eq!(fits("999500", thousands), Err(Wrong::NumericScale));
        assert_eq!(fits("1000000", thousands), Err(Wrong::NumericRange));
        let tiny = Some((2, 4));
        assert_eq!(fits("0.0099", tiny), Ok(()));
        assert_eq!(fits("0.01", tiny), Err(Wrong::NumericRange));
        assert_eq!(integer_fits(-99_900, Some((3, -2))), Ok(()));
        assert_eq!(integer_fits(99_910, Some((3, -2))), Err(Wrong::NumericScale));
        assert_eq!(integer_fits(i64::MIN, Some((18, 0))), Err(Wrong::NumericRange));
        let float = |value| encode_float(value, price, &mut Vec::new());
        assert_eq!(float(0.125), Err(Wrong::NumericScale));
        assert_eq!(float(1e300), Err(Wrong::NumericRange));
        assert_eq!(float(f64::INFINITY), Err(Wrong::NotFinite));
    }

    #[test]
    fn what_no_numeric_can_hold_is_refused() {
        let fits = |literal: &str| Decimal::parse(literal.as_bytes()).unwrap().fits(None);
        assert_eq!(fits("1e131071"), Ok(()));
        assert_eq!(fits("1e131072"), Err(Wrong::NumericRange));
        assert_eq!(fits("1e-16383"), Ok(()));
        assert_eq!(fits("1e-16384"), Err(Wrong::NumericScale));
        assert_eq!(fits("1e99999999999999999999"), Err(Wrong::NumericRange));
        assert_eq!(fits("1e-99999999999999999999"), Err(Wrong::NumericScale));
        assert_eq!(decode(&encode("1e131071")).len(), 131_072);
    }

    #[test]
    fn doubles_are_spelled_as_short_as_possible() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (65_432.1, "65432.1"),
            (-1.5e-7, "-0.00000015"),
            (1e22, "10000000000000000000000"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (123_456_789.987_654_33, "123456789.98765433"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    proptest! {
        #[test]
        fn any_literal_keeps_its_digits(
            negative: bool,
            whole in "[0-9]{0,40}",
            fraction in "[0-9]{0,40}",
            exponent in proptest::option::of(-60..60_i32),
            point: bool,
        ) {
            prop_assume!(!whole.is_empty() || (point && !fraction.is_empty()));
            let fraction = if point { fraction } else { String::new() };
            let sign = if negative { "-" } else { "" };
            let dot = if point { "." } else { "" };
            let tail = exponent.map_or(String::new(), |exponent| format!("e{exponent}"));
            let literal = format!("{sign}{whole}{dot}{fraction}{tail}");
            let expected = plain(negative, &whole, &fraction, exponent.unwrap_or(0));
            prop_assert_eq!(decode(&encode(&literal)), expected, "{}", literal);
        }

        #[test]
        fn short_literals_keep_their_digits(
            units in 0..10_000_000_000_u64,
            decimals in 0..12_usize,
        ) {
            let text = format!("{units:013}");
            let (whole, fraction) = text.split_at(13 - decimals);
            let literal = format!("{whole}.{fraction}");
            prop_assert_eq!(decode(&encode(&literal)), plain(false, whole, fraction, 0));
        }

        #[test]
        fn any_integer_keeps_its_digits(value: i64) {
            let mut out = Vec::new();
            encode_integer(value, &mut out);
            prop_assert_eq!(decode(&out), value.to_string());
        }

        #[test]
        fn any_double_reads_back(value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            prop_assert_eq!(float(value).parse::<f64>(), Ok(value));
            prop_assert_eq!(float(value), format!("{}", if value == 0.0 { 0.0 } else { value }));
        }

        #[test]
        fn prices_as_doubles_read_as_they_were_written(
            units in 0..10_000_000_000_i64,
            d in 0..9_i32,
        ) {
            let text = format!("{units}e-{d}");
            let value: f64 = text.parse().unwrap();
            prop_assert_eq!(float(value), format!("{value}"));
        }
    }
}
