//! Bytes that need not begin with a byte's first bit. Called by its siblings.

use super::scan::END;
use super::{HEAD_BITS, MARK_BITS};

/// Bits, the first in the highest of a byte.
#[derive(Debug, Clone, Default)]
pub struct Bits {
    pub bytes: Vec<u8>,
    pub len: usize,
}

impl Bits {
    /// `len` bits of `bytes` from bit `from` on.
    pub fn of(bytes: &[u8], from: usize, len: usize) -> Self {
        let (shift, bytes) = (from % 8, &bytes[from / 8..(from + len).div_ceil(8)]);
        let mut all: Vec<u8> = match shift {
            0 => bytes.to_vec(),
            _ => bytes.windows(2).map(|pair| pair[0] << shift | pair[1] >> (8 - shift)).collect(),
        };
        if let (Some(last), 1..) = (bytes.last(), shift) {
            all.push(last << shift);
        }
        let mut bits = Self { bytes: all, len };
        bits.end();
        bits
    }

    fn push_byte(&mut self, byte: u8) {
        let shift = self.len % 8;
        if shift == 0 {
            self.bytes.push(byte);
        } else {
            if let Some(last) = self.bytes.last_mut() {
                *last |= byte >> shift;
            }
            self.bytes.push(byte << (8 - shift));
        }
        self.len += 8;
    }

    /// Appends `len` bits of `other` from its bit `from` on.
    pub fn push(&mut self, other: &Bits, from: usize, len: usize) {
        let (shift, first) = (from % 8, from / 8);
        let end = self.len + len;
        for at in first..(from + len).div_ceil(8) {
            let high = other.bytes[at] << shift;
            let low = other.bytes.get(at + 1).map_or(0, |next| match shift {
                0 => 0,
                shift => next >> (8 - shift),
            });
            self.push_byte(high | low);
        }
        self.len = end;
        self.end();
    }

    /// Makes what is beyond the end zero.
    fn end(&mut self) {
        self.bytes.truncate(self.len.div_ceil(8));
        if let (Some(last), 1..) = (self.bytes.last_mut(), self.len % 8) {
            *last &= 0xff << (8 - self.len % 8);
        }
    }

    /// The 32 bits from bit `at` on; `at` is a multiple of 8.
    pub fn word(&self, at: usize) -> u32 {
        let bytes = self.bytes.iter().skip(at / 8).take(4);
        bytes.fold(0, |word, byte| word << 8 | u32::from(*byte))
    }

    /// A stream of this block alone.
    pub fn stream(&self, level: u8) -> Vec<u8> {
        let mut stream = Bits { bytes: vec![b'B', b'Z', b'h', b'0' + level], len: 32 };
        stream.bytes.reserve(self.bytes.len() + 2 * HEAD_BITS / 8);
        stream.push(self, 0, self.len);
        let checksum = self.word(MARK_BITS);
        for byte in END.to_be_bytes().into_iter().skip(2).chain(checksum.to_be_bytes()) {
            stream.push_byte(byte);
        }
        stream.bytes
    }
}
