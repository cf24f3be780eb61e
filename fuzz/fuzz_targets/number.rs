//! Numbers: what is read as one is what the standard library reads, to the last bit, and the
//! literals that go to `numeric` columns have the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::decode::{check_decimal, parse_float, parse_integer};

fuzz_target!(|data: &[u8]| {
    let spaces = [' ', '\t', '\u{a0}', '\u{202f}', '\u{3000}', '\u{200b}', '\u{feff}'];
    let text = std::str::from_utf8(data).ok().map(|text| text.trim_matches(spaces));
    let float = parse_float(data);
    if let Ok(value) = float {
        let theirs: f64 = text.expect("UTF-8").parse().expect("a number");
        assert_eq!(value.to_bits(), theirs.to_bits());
        assert!(value.is_finite());
    } else if let Some(theirs) = text.and_then(|text| text.parse::<f64>().ok()) {
        assert!(!theirs.is_finite(), "{text:?} is a number");
    }
    if let Ok(decimal) = check_decimal(data) {
        let value: f64 = decimal.parse().expect("a number");
        // Beyond a double's range both say so.
        assert!(!value.is_finite() || float == Ok(value), "{decimal}");
    }
    if let Ok(whole) = parse_integer(data)
        && whole.unsigned_abs() < 1 << 53
    {
        assert_eq!(float, Ok(whole as f64));
    }
});
