//! Recognition: the head of any file is known by a layout or refused by name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::layout::{GivenFacts, Sample, SampleHead, recognise, registry};
use tidegate_fuzz::split;

const NAMES: [&str; 8] = [
    "ACME.csv",
    "EURUSD60.csv",
    "DAT_ASCII_EURUSD_M1_2019.csv",
    "BTCUSDT-1h-2024-12.csv",
    "equity/usa/daily/acme.csv",
    "XBTUSD_1440.csv",
    "killmails/1.json",
    "-",
];

fuzz_target!(|data: &[u8]| {
    let Some((config, bytes)) = split(data) else { return };
    let layouts = registry().expect("the built-in layouts parse");
    let facts = match config & 8 {
        0 => GivenFacts::default(),
        _ => GivenFacts {
            symbol: Some("ACME".to_owned()),
            interval: Some("1h".to_owned()),
            zone: Some("Europe/Athens".to_owned()),
            date: Some("2024-01-02".to_owned()),
            ..GivenFacts::default()
        },
    };
    let head = SampleHead::Text { bytes, whole: config & 16 == 0 };
    let sample = Sample { name: NAMES[usize::from(config & 7)], head };
    match recognise(&sample, &facts, layouts, None) {
        Ok(recognised) => assert!(!recognised.why.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
