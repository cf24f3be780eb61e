//! Fields that are put right before they are read: fixed-point prices, groups of digits, words that
//! stand for others. Only columns whose mapping asks for it come here; plain ones pay nothing.

use memchr::memchr;

use super::number::{Exact, NumberFault, trim};
use crate::mapping::Rewrite;

/// Puts the fields of one column right.
#[derive(Debug)]
pub(super) struct Rewriter(Rewrite);

impl Rewriter {
    pub fn new(rewrite: &Rewrite) -> Self {
        Self(rewrite.clone())
    }

    /// Leaves in `out` what `value` means.
    ///
    /// # Errors
    /// `Bad` for a fixed-point price that is not whole, or groups of digits that are none.
    pub fn rewrite(&self, value: &[u8], out: &mut Vec<u8>) -> Result<(), NumberFault> {
        out.clear();
        let value = trim(value);
        match &self.0 {
            Rewrite::Words(words) => {
                let meant = words.iter().find(|(word, _)| word.as_bytes() == value);
                out.extend_from_slice(meant.map_or(value, |(_, meant)| meant.as_bytes()));
                Ok(())
            }
            Rewrite::CutToMicros => {
                cut_to_micros(value, out);
                Ok(())
            }
            Rewrite::Number { comma: false, scale, thousands: None } => scaled(value, *scale, out),
            Rewrite::Number { comma, scale, thousands } => {
                let mut plain = match thousands {
                    Some(separator) => ungrouped(value, *separator)?,
                    None => value.to_vec(),
                };
                if *comma {
                    comma_to_point(&mut plain)?;
                }
                scaled(&plain, *scale, out)
            }
        }
    }
}

/// The time without digits beyond microseconds: of an epoch in nanoseconds the last three, of a
/// fraction those after the sixth.
fn cut_to_micros(value: &[u8], out: &mut Vec<u8>) {
    if value.len() == 19 && value.iter().all(u8::is_ascii_digit) {
        out.extend_from_slice(&value[..16]);
        return;
    }
    let Some(point) = memchr(b'.', value) else { return out.extend_from_slice(value) };
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

    fn rewritten(rewrite: &Rewrite, value: &str) -> Result<String, NumberFault> {
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
            assert_eq!(nano(value), Err(NumberFault::Bad), "{value:?}");
        }
    }

    #[test]
    fn larger_units_are_multiplied_out() {
        let lakh = |value: &str| {
            rewritten(&Rewrite::Number { comma: false, scale: -5, thousands: None }, value)
        };
        assert_eq!(lakh("1421837.86").as_deref(), Ok("1421837.86e5"));
        assert_eq!(lakh("-1.5e+05").as_deref(), Ok("-15e9"));
        assert_eq!(lakh("1e"), Err(NumberFault::Bad));
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
        assert_eq!(written(None, "1.234"), Err(NumberFault::Bad), "a point says two things");
        assert_eq!(written(None, "1,2,3").as_deref(), Ok("1.2,3"), "refused when it is read");
        assert_eq!(written(Some(b'.'), "1.234.567,5").as_deref(), Ok("1234567.5"));
        assert_eq!(written(Some(b'.'), "1.234").as_deref(), Ok("1234"));
        assert_eq!(written(Some(b'.'), "1.23"), Err(NumberFault::Bad));
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
            assert_eq!(number(value), Err(NumberFault::Bad), "{value}");
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
    fn words_stand_for_others() {
        let words = || Rewrite::Words(vec![("D".to_owned(), "1d".to_owned())]);
        assert_eq!(rewritten(&words(), " D").as_deref(), Ok("1d"));
        assert_eq!(rewritten(&words(), "5").as_deref(), Ok("5"));
    }
}
