//! Times: no bytes make the parser panic, and what it reads is a time of our era that is written
//! the same way by a library that shares no code with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::decode::TimeParser;
use tidegate::mapping::{TimeFormat, TimeRule, Zone};
use tidegate_fuzz::split;

const FIRST_US: i64 = -62_135_596_800_000_000;
const END_US: i64 = 253_402_300_800_000_000;

fuzz_target!(|data: &[u8]| {
    let Some((config, data)) = split(data) else { return };
    let zones = ["UTC", "UTC-5", "Europe/Paris", "America/New_York"];
    let zone = Zone::parse(zones[usize::from(config & 3)]).expect("a zone");
    let (pattern, value) = match config >> 2 & 3 {
        0 => ("auto", data),
        1 => ("epoch", data),
        2 => ("local_epoch", data),
        _ => {
            let Some((len, rest)) = split(data) else { return };
            let (pattern, value) = rest.split_at(usize::from(len).min(rest.len()));
            let Ok(pattern) = std::str::from_utf8(pattern) else { return };
            (pattern, value)
        }
    };
    let Ok(format) = TimeFormat::parse(pattern) else { return };
    let mut parser = TimeParser::new(&TimeRule::new(format, zone));
    let first = parser.parse(value);
    assert_eq!(parser.parse(value), first, "what it remembers changes nothing");
    let _ = parser.parse_date(value);
    if let Ok(us) = first {
        assert!((FIRST_US..END_US).contains(&us), "{us}");
    }
});
