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
    /// Bits of the piece that begins last, from its mark on.
    held: Bits,
    /// The bits that came last.
    register: u64,
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
        Self { input, level: 0, ended: false, held: Bits::default(), register: 0 }
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
        let mark = END.to_be_bytes();
        if self.held.len >= MARK_BITS && self.held.bytes.starts_with(&mark[2..]) {
            return self.end();
        }
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(self.truncated());
            }
            let (mut used, mut found) = (0, None);
            for &byte in buffer {
                used += 1;
                self.register = self.register << 8 | u64::from(byte);
                self.held.push_byte(byte);
                if let Some(behind) = mark_behind(self.register)
                    && self.held.len >= MARK_BITS + behind
                {
                    let mark = self.held.len - behind - MARK_BITS;
                    // The piece's own mark is no end of it.
                    if mark > 0 || is_end(self.register, behind) {
                        found = Some(mark);
                        break;
                    }
                }
            }
            self.input.consume(used);
            match found {
                Some(mark) if mark > 0 => return Ok(self.cut(mark, Kind::Block(None))),
                Some(_) => return self.end(),
                None if self.held.len > BUNZIP_BLOCK_BYTES_MAX * 8 => {
                    return Err(bad("a block is longer than blocks are"));
                }
                None => {}
            }
        }
    }

    /// Hands out the first bits that are held.
    fn cut(&mut self, bits: usize, kind: Kind) -> Piece {
        let (mut piece, mut rest) = (Bits::default(), Bits::default());
        piece.push(&self.held, 0, bits);
        rest.push(&self.held, bits, self.held.len - bits);
        let at = self.input.read - (self.held.len as u64).div_ceil(8);
        self.held = rest;
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
        while self.held.len < HEAD_BITS {
            let Some(&byte) = self.input.fill_buf()?.first() else { return Ok(self.truncated()) };
            self.input.consume(1);
            self.register = self.register << 8 | u64::from(byte);
            self.held.push_byte(byte);
        }
        let end = self.cut(HEAD_BITS, Kind::End);
        let mut head = [0; HEAD_BYTES];
        let len = self.input.peek(&mut head)?;
        if begins(&head[..len]) {
            (self.level, self.register, self.held) = (0, 0, Bits::default());
        } else {
            // What is held counts if this end is none, and the block around it goes on.
            self.ended = true;
        }
        Ok(end)
    }
}

/// How many bits of the last byte lie behind a mark, if one ends in it.
fn mark_behind(register: u64) -> Option<usize> {
    const MASK: u64 = (1 << MARK_BITS) - 1;
    (0..8).find(|behind| {
        let bits = register >> behind & MASK;
        bits == BLOCK || bits == END
    })
}

fn is_end(register: u64, behind: usize) -> bool {
    register >> behind & ((1 << MARK_BITS) - 1) == END
}
