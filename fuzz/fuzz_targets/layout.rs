//! Layouts of users: no text makes the parser panic, and one that parses can be tried on a file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::layout::{GivenFacts, Layout, Sample, SampleHead, recognise};

const SAMPLES: [&[u8]; 3] = [
    b"ts,open,high,low,close,volume\n2024-01-02 03:04:05,1,2,0.5,1.5,7\n",
    b"20240102 030405;1,5;2;0,5;1,5;7\n",
    b"{\"ts\":1704164645,\"open\":1,\"high\":2,\"low\":0.5,\"close\":1.5}\n",
];

fuzz_target!(|text: &str| {
    let layout = match Layout::parse(text, "layout.toml") {
        Ok(layout) => layout,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let facts = GivenFacts { symbol: Some("ACME".to_owned()), ..GivenFacts::default() };
    for bytes in SAMPLES {
        let head = SampleHead::Text { bytes, whole: true };
        let sample = Sample { name: "ACME_1h_20240102.csv", head };
        let _ = recognise(&sample, &facts, std::slice::from_ref(&layout), Some(&layout.name));
    }
});
