//! Text in UTF-16, as Windows programs write it, becomes UTF-8: below the rules by which text is
//! cut, so that offsets, hashes and rejects are those of the same text in UTF-8 without a byte
//! order mark. Only a mark says that a text is UTF-16; one without is refused by recognition.
//!
//! Nothing is replaced in silence: half of a pair, and an odd byte at the end, become bytes that
//! are no UTF-8, and so a reject of the record in which they stand. Called by `codec`.

use std::io::{self, BufRead};

/// A byte that no UTF-8 has, for an odd one at the end.
const NO_TEXT: u8 = 0xff;
/// The most bytes that one step writes: a half pair, and the character behind it.
const STEP_BYTES: usize = 6;

/// Whether a text in UTF-16 begins so, and which of its halves come first (`true`: the low ones).
/// What begins as UTF-32 does is none.
pub(super) fn begins(head: &[u8]) -> Option<bool> {
    match head {
        [0xff, 0xfe, 0, 0, ..] => None,
        [0xff, 0xfe, ..] => Some(true),
        [0xfe, 0xff, ..] => Some(false),
        _ => None,
    }
}

/// Turns units into UTF-8.
#[derive(Debug)]
pub(super) struct Units {
    /// Whether the low byte of a unit comes first.
    low_first: bool,
    /// Whether the mark is behind.
    begun: bool,
    /// A unit's first byte.
    half: Option<u8>,
    /// A pair's first unit.
    high: Option<u16>,
}

impl Units {
    pub fn new(low_first: bool) -> Self {
        Self { low_first, begun: false, half: None, high: None }
    }

    /// Writes the next bytes of `input` as UTF-8 into `into`, which holds at least
    /// [`STEP_BYTES`]. 0 at the end of the input.
    pub fn read(&mut self, input: &mut impl BufRead, into: &mut [u8]) -> io::Result<usize> {
        let mut out = Out { into, len: 0 };
        while out.len == 0 {
            let bytes = input.fill_buf()?;
            if bytes.is_empty() {
                self.finish(&mut out);
                break;
            }
            let mut used = 0;
            for &byte in bytes {
                if out.into.len() - out.len < STEP_BYTES {
                    break;
                }
                used += 1;
                match self.half.take() {
                    None => self.half = Some(byte),
                    Some(first) if self.low_first => {
                        self.push(u16::from_le_bytes([first, byte]), &mut out);
                    }
                    Some(first) => self.push(u16::from_be_bytes([first, byte]), &mut out),
                }
            }
            input.consume(used);
        }
        Ok(out.len)
    }

    #[inline]
    fn push(&mut self, unit: u16, out: &mut Out<'_>) {
        if let Some(high) = self.high.take() {
            if let 0xdc00..=0xdfff = unit {
                let plane = u32::from(high - 0xd800) << 10 | u32::from(unit - 0xdc00);
                return out.push(plane + 0x1_0000);
            }
            out.push(u32::from(high));
        }
        match unit {
            0..=0x7f => {
                // What was written is at most as long as its room, which was looked at.
                out.into[out.len] = unit as u8;
                out.len += 1;
                self.begun = true;
            }
            0xd800..=0xdbff => self.high = Some(unit),
            0xfeff if !self.begun => {}
            _ => out.push(u32::from(unit)),
        }
        self.begun = true;
    }

    /// What is left at the end is no text.
    fn finish(&mut self, out: &mut Out<'_>) {
        if let Some(high) = self.high.take() {
            out.push(u32::from(high));
        }
        if self.half.take().is_some() {
            out.into[out.len] = NO_TEXT;
            out.len += 1;
        }
    }
}

/// Where UTF-8 goes.
struct Out<'a> {
    into: &'a mut [u8],
    len: usize,
}

impl Out<'_> {
    /// A code point above 0x7f, in the bytes that UTF-8 has for it; for half of a pair the three
    /// that it would have, which UTF-8 does not allow.
    fn push(&mut self, point: u32) {
        let tail = |shift: u32| 0x80 | (point >> shift & 0x3f) as u8;
        let (bytes, len) = match point {
            0..=0x7ff => ([0xc0 | (point >> 6) as u8, tail(0), 0, 0], 2),
            0x800..=0xffff => ([0xe0 | (point >> 12) as u8, tail(6), tail(0), 0], 3),
            _ => ([0xf0 | (point >> 18) as u8, tail(12), tail(6), tail(0)], 4),
        };
        self.into[self.len..self.len + len].copy_from_slice(&bytes[..len]);
        self.len += len;
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    /// The UTF-8 of these bytes, read `piece` bytes at a time into `room` bytes.
    fn read(bytes: &[u8], piece: usize, room: usize) -> Vec<u8> {
        let mut input = BufReader::with_capacity(piece, bytes);
        let mut units = Units::new(begins(bytes).unwrap());
        let (mut made, mut into) = (Vec::new(), vec![0; room]);
        loop {
            match units.read(&mut input, &mut into).unwrap() {
                0 => return made,
                len => made.extend_from_slice(&into[..len]),
            }
        }
    }

    fn wide(text: &str, low_first: bool) -> Vec<u8> {
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        units.flat_map(|u| if low_first { u.to_le_bytes() } else { u.to_be_bytes() }).collect()
    }

    proptest! {
        #[test]
        fn every_text_is_the_same_in_utf8(
            text in "[ -~\r\n]{0,9}(\\PC|[\u{0}-\u{800}]|\u{feff}|\u{10ffff}){0,30}",
            low_first: bool,
            piece in 1_usize..9,
            room in STEP_BYTES..40,
        ) {
            // A zero behind the mark of the low ones is the mark of UTF-32.
            prop_assume!(!text.starts_with('\0'));
            let made = read(&wide(&text, low_first), piece, room);
            prop_assert_eq!(made, text.as_bytes());
        }
    }

    #[test]
    fn half_pairs_and_odd_bytes_are_no_utf8() {
        for (tail, valid) in [
            (&[0x41, 0xd8, 0x0a, 0x00][..], "a"),
            (&[0x00, 0xdc, 0x0a, 0x00], "a"),
            (&[0x41, 0xd8], "a"),
            (&[0x62], "a"),
        ] {
            let bytes = [&wide("a", true)[..], tail].concat();
            let made = read(&bytes, 3, 8);
            let error = std::str::from_utf8(&made).expect_err("no UTF-8");
            assert_eq!(&made[..error.valid_up_to()], valid.as_bytes(), "{tail:?}");
        }
        let lone = read(&[&wide("a", true)[..], &[0x41, 0xd8, 0x0a, 0x00]].concat(), 2, 6);
        assert!(lone.ends_with(b"\n"), "the line ends where it did");
    }

    #[test]
    fn only_a_mark_begins_it() {
        assert_eq!(begins(b"\xff\xfe"), Some(true));
        assert_eq!(begins(b"\xfe\xff\0a"), Some(false));
        assert_eq!(begins(b"\xff\xfe\0\0a\0\0\0"), None, "UTF-32");
        assert_eq!(begins(b"t\0s\0"), None);
    }
}
