//! JSON in each of its outer forms: no bytes make cutter or decoder panic, and neither where a
//! source is cut nor how reads were sized changes anything.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tidegate::batch::{Chunk, Original};
use tidegate::decode::{Cut, JsonCutter, JsonDecoder, JsonPiece, count_json_records};
use tidegate::mapping::{JsonRecords, JsonShape, Mapping};
use tidegate_fuzz::{FIELDS, Outcome, mapping, split};

fn shape(config: u8) -> JsonShape {
    let records = match config & 3 {
        0 => JsonRecords::Lines,
        1 => JsonRecords::Documents,
        2 => JsonRecords::Array(Vec::new()),
        _ => JsonRecords::Array(vec!["a".to_owned(), "b".to_owned()]),
    };
    let positions = config & 4 != 0;
    let key = |at: usize| match (positions, at) {
        (true, at) => vec![at.to_string()],
        (false, 1) => vec!["o".to_owned(), "s".to_owned()],
        (false, at) => vec![format!("k{at}")],
    };
    JsonShape {
        records,
        fields: (0..FIELDS).map(key).collect(),
        elements: positions.then_some((2, FIELDS)),
        nulls: vec![b"null".to_vec()],
    }
}

/// Cuts and decodes; bytes become known `step` at a time.
fn decoded(text: &[u8], shape: &JsonShape, mapping: &Mapping, step: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut decoder = JsonDecoder::new(mapping, shape).expect("the mapping fits");
    let mut cutter = JsonCutter::new(shape, 0);
    let (mut start, mut have) = (0, 0);
    while start < text.len() {
        match cutter.cut(&text[start..have], have == text.len()) {
            Cut::NeedMore => {
                assert!(have < text.len(), "more is wanted at the end");
                have = (have + step).min(text.len());
            }
            Cut::TooLong(_) => panic!("nothing here is so long"),
            Cut::End(len) => {
                let chunk = Arc::new(Chunk { bytes: text[start..start + len].to_vec() });
                let records = cutter.take_records();
                let piece = JsonPiece { chunk: Arc::clone(&chunk), records, first: start == 0 };
                let decoded = decoder.decode(&piece).expect("Arrow takes the arrays");
                outcome.follow(&decoded, &Original::Text(chunk), len);
                start += len;
            }
        }
    }
    outcome
}

fuzz_target!(|data: &[u8]| {
    let Some((config, data)) = split(data) else { return };
    let Some((step, text)) = split(data) else { return };
    let (shape, mapping) = (shape(config), mapping(config & 16 != 0));
    let whole = decoded(text, &shape, &mapping, text.len().max(1));
    assert_eq!(decoded(text, &shape, &mapping, usize::from(step).max(1)), whole);
    // What the counter cannot know (damaged documents) it does not count.
    let counted = count_json_records(text, &shape).expect("a slice can be read");
    if let Some(counted) = counted {
        assert_eq!(whole.records(), counted, "the independent count");
    }
});
