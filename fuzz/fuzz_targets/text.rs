//! Delimited text: no bytes make the decoder panic, records are counted as the independent counter
//! counts them, and where a source is cut changes nothing.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tidegate::batch::{Chunk, Original};
use tidegate::decode::{Cut, Cutter, DecodeError, TextDecoder, count_records};
use tidegate::limit::CHUNK_BYTES;
use tidegate::mapping::{Mapping, TextShape};
use tidegate_fuzz::{FIELDS, Outcome, mapping, split};

fn shape(config: u8) -> TextShape {
    TextShape {
        delimiter: if config & 1 == 0 { b',' } else { b';' },
        quote: b'"',
        head_lines: usize::from(config >> 1 & 3) % 3,
        header: None,
        header_bytes: if config & 8 == 0 { Vec::new() } else { b"ts,symbol".to_vec() },
        fields_min: 2,
        fields_max: FIELDS,
        nulls: vec![b"null".to_vec(), b"-".to_vec()],
    }
}

/// Decodes `text` in pieces that end where the cutter says, each at least `size` bytes long.
/// `None`: there is a second header in it.
fn decoded(text: &[u8], shape: &TextShape, mapping: &Mapping, size: usize) -> Option<Outcome> {
    let mut outcome = Outcome::default();
    let mut decoder = TextDecoder::new(mapping, shape).expect("the mapping fits");
    let mut start = 0;
    while start < text.len() {
        let rest = &text[start..];
        let len = match start {
            // Behind the head lines a chunk that starts so near the boundary is cut there.
            0 if shape.head_lines > 0 || size >= rest.len() => whole_lines(rest, shape, size),
            _ => {
                let near = CHUNK_BYTES.saturating_sub(size).max(1) as u64;
                match Cutter::new(shape, near).cut(rest, true) {
                    Cut::End(len) => len,
                    other => panic!("{other:?} of {} bytes", rest.len()),
                }
            }
        };
        let chunk = Arc::new(Chunk { bytes: rest[..len].to_vec() });
        let piece = match decoder.decode(&chunk, start == 0) {
            Ok(piece) => piece,
            Err(DecodeError::OtherHeader { .. }) => return None,
            Err(error) => panic!("{error}"),
        };
        outcome.follow(&piece, &Original::Text(chunk), len);
        start += len;
    }
    Some(outcome)
}

/// The end of the head lines, or of everything if that is asked for.
fn whole_lines(text: &[u8], shape: &TextShape, size: usize) -> usize {
    if size >= text.len() {
        return text.len();
    }
    let mut lines = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    lines.nth(shape.head_lines - 1).map_or(text.len(), |(at, _)| at + 1)
}

fuzz_target!(|data: &[u8]| {
    let Some((config, data)) = split(data) else { return };
    let Some((cut, text)) = split(data) else { return };
    let (shape, mapping) = (shape(config), mapping(config & 16 != 0));
    let whole = decoded(text, &shape, &mapping, usize::MAX);
    let counted = count_records(text, &shape).expect("a slice can be read");
    if let Some(whole) = &whole {
        assert_eq!(whole.records(), counted, "the independent count");
    }
    let size = usize::from(cut).max(1);
    assert_eq!(decoded(text, &shape, &mapping, size), whole, "cut every {size} bytes");
});
