//! bzip2 streams, one right after another, cut where the marks of their blocks stand. Called by
//! `bunzip`, for which it reads.

use std::io::{self, BufRead as _, Read as _};
use std::sync::Arc;

use super::bits::Bits;
use super::{HEAD_BITS, Kind, MARK_BITS, Piece, bad};
use crate::limit::BUNZIP_BLOCK_BYTES_MAX;
use crate::source::input::{HEAD_BYTES, Input};

/// Before every block: the digits of pi.
pub const BLOCK: u64 = 0x3141_5926_5359;
/// Before the stream's checksum: those of its square root.
pub const END: u64 = 0x1772_4538_5090;

/// Cuts streams into pieces.
pub struct Scanner<'a> {
    pub input: Input<'a>,
    /// Size of the stream's blocks, in 100,000 bytes; 0: a header comes next.
    level: u8,
    /// Whether the last stream's end, or that of the input, was come upon.
    pub ended: bool,
    /// Bytes with the piece that begins last, from the byte with the first bit of its mark on.
    held: Vec<u8>,
    /// Which bit of the first of them that is.
    first: usize,
    /// The bit of them before which no further mark begins; a piece's own is no end of it.
    searched: usize,
}

/// Whether a stream begins so: with its header, and a block, or its end when it is empty.
pub fn begins(head: &[u8]) -> bool {
    let marks = [BLOCK.to_be_bytes(), END.to_be_bytes()];
    head.starts_with(b"BZh")
        && matches!(head.get(3), Some(b'1'..=b'9'))
        && marks.iter().any(|mark| head[4..].starts_with(&mark[2..]))
}

impl<'a> Scanner<'a> {
    /// Begins with the next byte.
    pub fn new(input: Input<'a>) -> Self {
        Self { input, level: 0, ended: false, held: Vec::new(), first: 0, searched: 1 }
    }

    fn header(&mut self) -> io::Result<()> {
        let mut header = [0; 4];
        self.input.read_exact(&mut header)?;
        match header {
            [b'B', b'Z', b'h', level @ b'1'..=b'9'] => {
                self.level = level - b'0';
                Ok(())
            }
            _ => Err(bad("this is no header of a stream")),
        }
    }

    /// The next piece: from the mark that was found last to the one that is found next.
    pub fn next(&mut self) -> io::Result<Piece> {
        if self.level == 0 {
            self.header()?;
        }
        if !self.hold(MARK_BITS)? {
            return Ok(self.truncated());
        }
        if mark_at(&self.held, self.first) == Some(END) {
            return self.end();
        }
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(self.truncated());
            }
            let before = self.held.len();
            let looked_at = &buffer[..buffer.len().min(SEARCH_BYTES)];
            self.held.extend_from_slice(looked_at);
            let found = find_mark(&self.held, self.searched);
            // What is behind the mark stays in the input.
            let end = found.map_or(self.held.len(), |mark| (mark + MARK_BITS).div_ceil(8));
            self.held.truncate(end);
            self.input.consume(end - before);
            match found {
                Some(mark) => return Ok(self.cut(mark - self.first, Kind::Block(None))),
                None if self.held.len() > BUNZIP_BLOCK_BYTES_MAX => {
                    return Err(bad("a block is longer than blocks are"));
                }
                None => self.searched = self.searched.max((end * 8).saturating_sub(MARK_BITS - 1)),
            }
        }
    }

    /// Takes what is missing of the first `bits`. `false`: the input ends before.
    fn hold(&mut self, bits: usize) -> io::Result<bool> {
        while self.held.len() * 8 < self.first + bits {
            let Some(&byte) = self.input.fill_buf()?.first() else { return Ok(false) };
            self.input.consume(1);
            self.held.push(byte);
        }
        Ok(true)
    }

    /// Hands out the first bits that are held.
    fn cut(&mut self, bits: usize, kind: Kind) -> Piece {
        let piece = Bits::of(&self.held, self.first, bits);
        let at = self.input.read - self.held.len() as u64;
        let end = self.first + bits;
        self.held.drain(..end / 8);
        (self.first, self.searched) = (end % 8, end % 8 + 1);
        Piece { bits: Arc::new(piece), level: self.level, at, kind }
    }

    fn truncated(&mut self) -> Piece {
        self.ended = true;
        let (bits, at) = (Arc::default(), self.input.read);
        Piece { bits, level: self.level, at, kind: Kind::Truncated }
    }

    /// The stream's end, whose mark is what is held: its checksum follows, and bits up to the next
    /// byte.
    fn end(&mut self) -> io::Result<Piece> {
        if !self.hold(HEAD_BITS)? {
            return Ok(self.truncated());
        }
        let end = self.cut(HEAD_BITS, Kind::End);
        let mut head = [0; HEAD_BYTES];
        let len = self.input.peek(&mut head)?;
        if begins(&head[..len]) {
            (self.level, self.first, self.searched) = (0, 0, 1);
            self.held.clear();
        } else {
            // What is held counts if this end is none, and the block around it goes on.
            self.ended = true;
        }
        Ok(end)
    }
}

/// Bytes that are searched for a mark before more are taken from the input.
const SEARCH_BYTES: usize = 1 << 16;
/// Of the whole bytes of a mark, wherever in a byte it begins, there are five; so one pair of them
/// begins at a multiple of this.
const STRIDE: usize = 4;

/// The pairs of bytes of marks that may begin at a multiple of [`STRIDE`], a bit each.
static PAIRS: [u64; 1 << 10] = {
    let mut pairs = [0; 1 << 10];
    let mut bit = 1;
    while bit <= 8 * STRIDE {
        let shift = MARK_BITS - 16 - bit;
        let (block, end) = ((BLOCK >> shift) as u16, (END >> shift) as u16);
        pairs[block as usize / 64] |= 1 << (block % 64);
        pairs[end as usize / 64] |= 1 << (end % 64);
        bit += 1;
    }
    pairs
};

/// The mark that begins with bit `at`, if one does and all of it is there.
fn mark_at(bytes: &[u8], at: usize) -> Option<u64> {
    let mut window = [0; 8];
    let from = bytes.get(at / 8..)?;
    let len = from.len().min(window.len());
    window[..len].copy_from_slice(&from[..len]);
    let bits = u64::from_be_bytes(window) << (at % 8) >> (64 - MARK_BITS);
    (at + MARK_BITS <= bytes.len() * 8 && (bits == BLOCK || bits == END)).then_some(bits)
}

/// The first bit from `from` on with which a mark begins.
fn find_mark(bytes: &[u8], from: usize) -> Option<usize> {
    let first = (from / 8 + 1).next_multiple_of(STRIDE);
    let pairs = (first..bytes.len().saturating_sub(1)).step_by(STRIDE);
    for at in pairs {
        let pair = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        if PAIRS[usize::from(pair / 64)] & 1 << (pair % 64) == 0 {
            continue;
        }
        let begins = (at.saturating_sub(STRIDE) * 8).max(from)..at * 8;
        if let Some(mark) = begins.into_iter().find(|bit| mark_at(bytes, *bit).is_some()) {
            return Some(mark);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_begin() {
        for mark in [BLOCK, END] {
            for at in 0..8 * 12 {
                let mut bytes = [0xa5_u8; 24];
                for bit in 0..MARK_BITS {
                    let (byte, mask) = ((at + bit) / 8, 0x80 >> ((at + bit) % 8));
                    match mark >> (MARK_BITS - 1 - bit) & 1 {
                        1 => bytes[byte] |= mask,
                        _ => bytes[byte] &= !mask,
                    }
                }
                let end = (at + MARK_BITS).div_ceil(8);
                for from in 0..=at {
                    assert_eq!(find_mark(&bytes, from), Some(at), "from {from}");
                    assert_eq!(find_mark(&bytes[..end], from), Some(at), "from {from}");
                }
                assert_eq!(find_mark(&bytes, at + 1), None, "{at}");
                assert_eq!(find_mark(&bytes[..end - 1], 0), None, "{at}");
                let cut = Bits::of(&bytes, at, MARK_BITS);
                assert_eq!((cut.bytes.as_slice(), cut.len), (&mark.to_be_bytes()[2..], MARK_BITS));
            }
        }
    }
}
