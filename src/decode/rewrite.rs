//! Fields that are put right before they are read: fixed-point prices, groups of digits, words that
//! stand for others. Only columns whose mapping asks for it come here; plain ones pay nothing.

use jiff::Span;
use memchr::{memchr, memrchr};

use super::column::time_parser;
use super::fault::Fault;
use super::number::{Exact, NumberFault, trim};
use super::time::{TimeFault, TimeParser};
use crate::mapping::{OccPart, Rewrite, TimeRule, Zone};

/// Puts the fields of one column right.
#[derive(Debug)]
pub(super) struct Rewriter {
    rewrite: Rewrite,
    /// Reads the days that are put in another form.
    days: Option<Box<TimeParser>>,
}

impl Rewriter {
    pub fn new(rewrite: &Rewrite) -> Self {
        let days = match rewrite {
            Rewrite::IsoDay(format) => {
                let rule = TimeRule::new(format.clone(), Zone::UTC);
                Some(Box::new(time_parser(Some(&rule))))
            }
            _ => None,
        };
        Self { rewrite: rewrite.clone(), days }
    }

    /// Leaves in `out` what `value` means.
    ///
    /// # Errors
    /// A fixed-point price that is not whole, groups of digits that are none, a symbol that is not
    /// of an option, a day that is none.
    pub fn rewrite(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        out.clear();
        let value = match &self.rewrite {
            Rewrite::Bytes { .. } => value,
            _ => trim(value),
        };
        match &self.rewrite {
            Rewrite::Words(words) => {
                let meant = words.iter().find(|(word, _)| word.as_bytes() == value);
                out.extend_from_slice(meant.map_or(value, |(_, meant)| meant.as_bytes()));
            }
            Rewrite::CutToMicros => cut_to_micros(value, out),
            Rewrite::Nanos => nanos(value, out),
            Rewrite::Bytes { big_endian, scale } => {
                let number = whole_number(value, *big_endian).ok_or(NumberFault::OutOfRange)?;
                scaled(number.to_string().as_bytes(), *scale, out)?;
            }
            Rewrite::Number { comma: false, scale, thousands: None } => scaled(value, *scale, out)?,
            Rewrite::Number { comma, scale, thousands } => {
                let mut plain = match thousands {
                    Some(separator) => ungrouped(value, *separator)?,
                    None => value.to_vec(),
                };
                if *comma {
                    comma_to_point(&mut plain)?;
                }
                scaled(&plain, *scale, out)?;
            }
            Rewrite::Amount { comma } => amount(value, *comma, out)?,
            Rewrite::Occ(part) => occ_part(value, *part, out).ok_or(Fault::Contract)?,
            Rewrite::IsoDay(_) => {
                let space = memrchr(b' ', value).ok_or(TimeFault::Bad)?;
                let (before, day) = value.split_at(space + 1);
                let days = self.days.as_mut().ok_or(TimeFault::Bad)?.parse_date(day)?;
                let day = Span::new().try_days(i64::from(days));
                let day = day.and_then(|days| jiff::civil::date(1970, 1, 1).checked_add(days));
                out.extend_from_slice(before);
                out.extend_from_slice(
                    day.map_err(|_| TimeFault::OutOfRange)?.to_string().as_bytes(),
                );
            }
        }
        Ok(())
    }
}

/// One part of an option's symbol: the root, a day `yymmdd`, `C` or `P`, and eight digits of
/// strike, in thousandths. A mark of the kind of instrument may stand before it (`O:`), and spaces
/// between root and day.
fn occ_part(value: &[u8], part: OccPart, out: &mut Vec<u8>) -> Option<()> {
    let value = value.strip_prefix(b"O:").unwrap_or(value);
    let (root, contract) = value.split_at_checked(value.len().checked_sub(15)?)?;
    let (day, rest) = contract.split_at(6);
    let (kind, strike) = rest.split_at(1);
    let root = root.trim_ascii_end();
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    if root.is_empty() || !digits(day) || !digits(strike) {
        return None;
    }
    match part {
        OccPart::Underlying => out.extend_from_slice(root),
        OccPart::Expiry => {
            out.extend_from_slice(b"20");
            for (at, two) in day.chunks(2).enumerate() {
                out.extend_from_slice(if at == 0 { b"" } else { b"-" });
                out.extend_from_slice(two);
            }
        }
        OccPart::Strike => {
            let (whole, thousandths) = strike.split_at(5);
            let first = whole.iter().position(|digit| *digit != b'0').unwrap_or(4);
            out.extend_from_slice(&whole[first..]);
            out.push(b'.');
            out.extend_from_slice(thousandths);
        }
        OccPart::OptionType => out.extend_from_slice(match kind {
            b"C" => b"call",
            b"P" => b"put",
            _ => return None,
        }),
    }
    matches!(kind, b"C" | b"P").then_some(())
}

/// The nanoseconds of a time beyond its microseconds; nothing where it has no such digits.
fn nanos(value: &[u8], out: &mut Vec<u8>) {
    if value.len() == 19 && value.iter().all(u8::is_ascii_digit) {
        out.extend_from_slice(&value[16..]);
        return;
    }
    // No time is as short: it is the part itself.
    if value.len() <= 3 && value.iter().all(u8::is_ascii_digit) {
        return out.extend_from_slice(value);
    }
    let Some(point) = fraction_mark(value) else { return };
    let fraction = &value[point + 1..];
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if (7..=9).contains(&digits) {
        out.extend_from_slice(&fraction[6..digits]);
        out.extend(std::iter::repeat_n(b'0', 9 - digits));
    }
}

/// The number in two's complement that bytes are; `None` for none and for more than 16.
fn whole_number(bytes: &[u8], big_endian: bool) -> Option<i128> {
    let (least, most) = if big_endian {
        (bytes.iter().rev().copied().collect::<Vec<_>>(), bytes.first()?)
    } else {
        (bytes.to_vec(), bytes.last()?)
    };
    let sign = if most & 0x80 == 0 { 0 } else { 0xff };
    let mut word = [sign; 16];
    word.get_mut(..least.len())?.copy_from_slice(&least);
    Some(i128::from_le_bytes(word))
}

/// Where the fraction of a second begins: behind a point or, in terminals' exports, behind a space
/// and of seven digits.
fn fraction_mark(value: &[u8]) -> Option<usize> {
    let spaced = || {
        let space = memrchr(b' ', value)?;
        let digits = &value[space + 1..];
        (digits.len() == 7 && digits.iter().all(u8::is_ascii_digit)).then_some(space)
    };
    memchr(b'.', value).or_else(spaced)
}

/// The time without digits beyond microseconds: of an epoch in nanoseconds the last three, of a
/// fraction those after the sixth.
fn cut_to_micros(value: &[u8], out: &mut Vec<u8>) {
    if value.len() == 19 && value.iter().all(u8::is_ascii_digit) {
        out.extend_from_slice(&value[..16]);
        return;
    }
    let Some(point) = fraction_mark(value) else { return out.extend_from_slice(value) };
    let (before, fraction) = value.split_at(point + 1);
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    out.extend_from_slice(before);
    out.extend_from_slice(&fraction[..digits.min(6)]);
    out.extend_from_slice(&fraction[digits..]);
}

/// Puts a point for the comma before the fraction. A number that has a point is none: whether it
/// stands before a fraction or between groups of digits, nothing says.
fn comma_to_point(number: &mut [u8]) -> Result<(), NumberFault> {
    if memchr(b'.', number).is_some() {
        return Err(NumberFault::Bad);
    }
    if let Some(comma) = memchr(b',', number) {
        number[comma] = b'.';
    }
    Ok(())
}

/// The number without the bytes between its groups. The last group has three digits, those before
/// it two or three, as lakhs are written.
fn ungrouped(value: &[u8], separator: u8) -> Result<Vec<u8>, NumberFault> {
    let (sign, size) = match value {
        [sign @ (b'-' | b'+'), size @ ..] => (Some(*sign), size),
        _ => (None, value),
    };
    let whole = size.iter().position(|byte| !byte.is_ascii_digit() && *byte != separator);
    let (whole, rest) = size.split_at(whole.unwrap_or(size.len()));
    if rest.contains(&separator) {
        return Err(NumberFault::Bad);
    }
    let groups: Vec<&[u8]> = whole.split(|byte| *byte == separator).collect();
    let last = groups.len() - 1;
    let fits = |(at, group): (usize, &&[u8])| match (at, group.len()) {
        (0, len) => last == 0 || (1..=3).contains(&len),
        (at, len) if at == last => len == 3,
        (_, len) => len == 2 || len == 3,
    };
    if !groups.iter().enumerate().all(fits) {
        return Err(NumberFault::Bad);
    }
    Ok(sign.into_iter().chain(groups.concat()).chain(rest.iter().copied()).collect())
}

/// Leaves in `out`, after what is there, a number as people write it as a plain one: without the
/// sign of a currency, groups of digits and percent signs, and with an exponent for `K`, `M`, `B`
/// and `T`. With `comma` a comma stands before its fraction.
///
/// # Errors
/// When it is no such number.
pub fn amount(value: &[u8], comma: bool, out: &mut Vec<u8>) -> Result<(), NumberFault> {
    let text = std::str::from_utf8(value).map_err(|_| NumberFault::Bad)?;
    let (mut size, mut sign) = (text, "");
    // A sign may stand before that of the currency or behind it.
    for _ in 0..2 {
        size = size.trim_start_matches(['$', '€', '£', '¥', '₹']).trim_start();
        if let Some(rest) = size.strip_prefix(['-', '+']).filter(|_| sign.is_empty()) {
            sign = if size.starts_with('-') { "-" } else { "+" };
            size = rest;
        }
    }
    size = size.trim_end_matches(['%', '€', '£', '$']).trim_end();
    let power = match size.as_bytes().last().map(u8::to_ascii_uppercase) {
        Some(b'K') => "e3",
        Some(b'M') => "e6",
        Some(b'B') => "e9",
        Some(b'T') => "e12",
        _ => "",
    };
    if !power.is_empty() {
        size = size[..size.len() - 1].trim_end();
    }
    let spaced = size.replace(['\u{a0}', '\u{202f}', '\''], " ");
    let separator = match (spaced.contains(' '), comma) {
        (true, _) => b' ',
        (false, true) => b'.',
        (false, false) => b',',
    };
    let mut plain = ungrouped(spaced.as_bytes(), separator)?;
    if comma {
        comma_to_point(&mut plain)?;
    }
    let digit = |byte: &u8| byte.is_ascii_digit();
    if !plain.iter().any(digit) || !plain.iter().all(|byte| digit(byte) || *byte == b'.') {
        return Err(NumberFault::Bad);
    }
    out.extend_from_slice(if sign == "-" { b"-" } else { b"" });
    out.extend_from_slice(&plain);
    out.extend_from_slice(power.as_bytes());
    Ok(())
}

/// The number times ten to the power of minus `scale`, with every digit.
fn scaled(value: &[u8], scale: i8, out: &mut Vec<u8>) -> Result<(), NumberFault> {
    match usize::try_from(scale) {
        Ok(0) => out.extend_from_slice(value),
        Ok(places) => return fixed_point(value, places, out),
        Err(_) if value.iter().any(|byte| matches!(byte, b'e' | b'E')) => {
            let exact = Exact::parse(value).ok_or(NumberFault::Bad)?;
            if exact.negative {
                out.push(b'-');
            }
            let exponent = -exact.scale - i64::from(scale);
            out.extend_from_slice(format!("{}e{exponent}", exact.digits).as_bytes());
        }
        Err(_) => {
            out.extend_from_slice(value);
            out.extend_from_slice(format!("e{}", scale.unsigned_abs()).as_bytes());
        }
    }
    Ok(())
}

/// A whole number with a point put before its last `places` digits.
fn fixed_point(value: &[u8], places: usize, out: &mut Vec<u8>) -> Result<(), NumberFault> {
    let digits = match value {
        [b'-', digits @ ..] => {
            out.push(b'-');
            digits
        }
        [b'+', digits @ ..] => digits,
        _ => value,
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NumberFault::Bad);
    }
    let point = digits.len().saturating_sub(places);
    out.extend_from_slice(if point == 0 { b"0" } else { &digits[..point] });
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', places.saturating_sub(digits.len())));
    out.extend_from_slice(&digits[point..]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: Fault = Fault::Number(NumberFault::Bad);

    fn rewritten(rewrite: &Rewrite, value: &str) -> Result<String, Fault> {
        let mut out = b"left over".to_vec();
        Rewriter::new(rewrite).rewrite(value.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn fixed_points_keep_every_digit() {
        let nano = |value: &str| {
            rewritten(&Rewrite::Number { comma: false, scale: 9, thousands: None }, value)
        };
        for (value, want) in [
            ("368200000000000", "368200.000000000"),
            (" -1 ", "-0.000000001"),
            ("+1234567890", "1.234567890"),
            ("0", "0.000000000"),
            ("9223372036854775806", "9223372036.854775806"),
        ] {
            assert_eq!(nano(value).as_deref(), Ok(want), "{value}");
        }
        for value in ["", "-", "1.5", "1e9", "NaN", "1 2"] {
            assert_eq!(nano(value), Err(BAD), "{value:?}");
        }
    }

    #[test]
    fn larger_units_are_multiplied_out() {
        let lakh = |value: &str| {
            rewritten(&Rewrite::Number { comma: false, scale: -5, thousands: None }, value)
        };
        assert_eq!(lakh("1421837.86").as_deref(), Ok("1421837.86e5"));
        assert_eq!(lakh("-1.5e+05").as_deref(), Ok("-15e9"));
        assert_eq!(lakh("1e"), Err(BAD));
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let written = |comma, value: &str| rewritten(&Rewrite::Amount { comma }, value);
        for (value, want) in [
            ("$189.46", "189.46"),
            ("-$1,234.5", "-1234.5"),
            ("€ -7", "-7"),
            ("1.2M", "1.2e6"),
            ("987k", "987e3"),
            ("3B", "3e9"),
            ("12.5%", "12.5"),
            ("12,34,567.89", "1234567.89"),
            ("1'234.5", "1234.5"),
            ("1 234 567", "1234567"),
            ("42", "42"),
        ] {
            assert_eq!(written(false, value).as_deref(), Ok(want), "{value}");
        }
        for (value, want) in [
            ("1.234,5", "1234.5"),
            ("1,25 Mio", ""),
            ("0,5M", "0.5e6"),
            ("1\u{202f}234,5 €", "1234.5"),
        ] {
            let found = written(true, value);
            match want {
                "" => assert_eq!(found, Err(BAD), "{value}"),
                want => assert_eq!(found.as_deref(), Ok(want), "{value}"),
            }
        }
        for value in ["", "$", "M", "1,23", "1.2MM", "1e5", "--1", "1 2", "N/A", "1,234,5"] {
            assert_eq!(written(false, value), Err(BAD), "{value}");
        }
    }

    #[test]
    fn a_comma_may_stand_before_the_fraction() {
        let written = |thousands, value: &str| {
            rewritten(&Rewrite::Number { comma: true, scale: 0, thousands }, value)
        };
        for (value, want) in
            [("1,5", "1.5"), ("-0,25", "-0.25"), ("7", "7"), ("3,8e-05", "3.8e-05"), ("NaN", "NaN")]
        {
            assert_eq!(written(None, value).as_deref(), Ok(want), "{value}");
        }
        assert_eq!(written(None, "1.234"), Err(NumberFault::Bad.into()), "a point says two things");
        assert_eq!(written(None, "1,2,3").as_deref(), Ok("1.2,3"), "refused when it is read");
        assert_eq!(written(Some(b'.'), "1.234.567,5").as_deref(), Ok("1234567.5"));
        assert_eq!(written(Some(b'.'), "1.234").as_deref(), Ok("1234"));
        assert_eq!(written(Some(b'.'), "1.23"), Err(NumberFault::Bad.into()));
        let scaled = Rewrite::Number { comma: true, scale: -5, thousands: None };
        assert_eq!(rewritten(&scaled, "14,25").as_deref(), Ok("14.25e5"));
    }

    #[test]
    fn groups_of_digits_are_joined() {
        let grouped = Rewrite::Number { comma: false, scale: 0, thousands: Some(b',') };
        let number = |value: &str| rewritten(&grouped, value);
        for (value, want) in [
            ("1,234.5", "1234.5"),
            ("-12,34,567", "-1234567"),
            ("1234", "1234"),
            ("0.5", "0.5"),
            ("", ""),
        ] {
            assert_eq!(number(value).as_deref(), Ok(want), "{value}");
        }
        for value in ["1,23", "1,2345", ",123", "1.234,5", "1234,567,", "1,,234"] {
            assert_eq!(number(value), Err(BAD), "{value}");
        }
    }

    #[test]
    fn times_lose_what_a_microsecond_cannot_hold() {
        for (value, want) in [
            ("1789718400831008119", "1789718400831008"),
            ("2024-07-01T23:40:00.123456789Z", "2024-07-01T23:40:00.123456Z"),
            ("2024-07-01 23:40:00.1234567-04:00", "2024-07-01 23:40:00.123456-04:00"),
            ("1762795433.97174456", "1762795433.971744"),
            ("2024-07-01T23:40:00.5Z", "2024-07-01T23:40:00.5Z"),
            ("1735689600000", "1735689600000"),
            ("", ""),
        ] {
            assert_eq!(rewritten(&Rewrite::CutToMicros, value).as_deref(), Ok(want), "{value}");
        }
    }

    #[test]
    fn bytes_are_numbers_of_any_width() {
        let number = |big_endian, scale, bytes: &[u8]| {
            let mut out = Vec::new();
            let mut rewriter = Rewriter::new(&Rewrite::Bytes { big_endian, scale });
            rewriter.rewrite(bytes, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        let cents = 12_345_i128.to_le_bytes();
        assert_eq!(number(false, 2, &cents).as_deref(), Ok("123.45"));
        assert_eq!(number(false, 2, &cents[..3]).as_deref(), Ok("123.45"));
        assert_eq!(number(true, 2, &(-5_i64).to_be_bytes()).as_deref(), Ok("-0.05"));
        assert_eq!(number(false, 0, &[32, 0]).as_deref(), Ok("32"), "no blank is cut off");
        let least = format!("-{}.{}", "17014118346046923173168", "7303715884105728");
        assert_eq!(number(false, 16, &i128::MIN.to_le_bytes()), Ok(least));
        let beyond = Err(Fault::Number(NumberFault::OutOfRange));
        assert_eq!(number(false, 2, &[]), beyond);
        assert_eq!(number(false, 2, &[0; 17]), beyond);
    }

    #[test]
    fn what_a_microsecond_cannot_hold_is_a_number_of_its_own() {
        for (value, want) in [
            ("1789718400831008119", "119"),
            ("1789718400831008000", "000"),
            ("2024-07-01T23:40:00.123456789Z", "789"),
            ("2024-07-01 23:40:00.1234567-04:00", "700"),
            ("2024-07-01T23:40:00.123456Z", ""),
            ("1735689600000", ""),
            ("", ""),
        ] {
            assert_eq!(rewritten(&Rewrite::Nanos, value).as_deref(), Ok(want), "{value}");
        }
    }

    #[test]
    fn the_symbol_of_an_option_is_taken_apart() {
        let parts = [OccPart::Underlying, OccPart::Expiry, OccPart::Strike, OccPart::OptionType];
        for (symbol, want) in [
            ("O:SPY230327P00390000", ["SPY", "2023-03-27", "390.000", "put"]),
            ("BRK.B260116C00512500", ["BRK.B", "2026-01-16", "512.500", "call"]),
            ("ACME1 250117C00000500", ["ACME1", "2025-01-17", "0.500", "call"]),
            ("X250117P12345678", ["X", "2025-01-17", "12345.678", "put"]),
        ] {
            let found = parts.map(|part| rewritten(&Rewrite::Occ(part), symbol).unwrap());
            assert_eq!(found, want, "{symbol}");
        }
        for symbol in ["", "ACME", "O:230327P00390000", "SPY230327X00390000", "SPY23032P003900000"]
        {
            for part in parts {
                let found = rewritten(&Rewrite::Occ(part), symbol);
                assert_eq!(found, Err(Fault::Contract), "{symbol}");
            }
        }
    }

    #[test]
    fn the_day_behind_a_symbol_has_one_spelling() {
        let format = crate::mapping::TimeFormat::parse("%d-%b-%Y").unwrap();
        let day = Rewrite::IsoDay(format);
        for (value, want) in [
            ("NIFTY 30-Jan-2020", "NIFTY 2020-01-30"),
            ("M&M FIN 01-JAN-2020", "M&M FIN 2020-01-01"),
        ] {
            assert_eq!(rewritten(&day, value).as_deref(), Ok(want), "{value}");
        }
        for value in ["NIFTY", "NIFTY 30-Jab-2020", "NIFTY 31-Feb-2020", ""] {
            assert!(rewritten(&day, value).is_err(), "{value}");
        }
    }

    #[test]
    fn words_stand_for_others() {
        let words = || Rewrite::Words(vec![("D".to_owned(), "1d".to_owned())]);
        assert_eq!(rewritten(&words(), " D").as_deref(), Ok("1d"));
        assert_eq!(rewritten(&words(), "5").as_deref(), Ok("5"));
    }
}
