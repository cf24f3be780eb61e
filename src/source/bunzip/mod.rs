//! bzip2 streams, their blocks decompressed by several threads at once. Blocks know nothing of one
//! another but begin at any bit, so a stream is cut where the bits of a block's mark stand, each
//! piece is decompressed by itself, and what comes out is put in order again. The marks may stand
//! inside a block by chance: a piece that is no block is joined with the next. Where streams follow
//! one another, as parallel compressors write them, all are read as one.
//!
//! The blocks are taken apart by our own code (`block`, `transform`): it needs no stream around
//! each, uses its memory again, and takes a third of the library's time. The library decompresses
//! what is left: blocks of one byte repeated, and those of the first bzip2.
//!
//! Memory is bounded by the number of blocks under way; a block that becomes far more than it says,
//! as those of bombs do, is decompressed bit by bit by the thread that reads. Called by `codec`.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, mpsc};

use bits::Bits;
use scan::Scanner;
use unpack::{Failure, Unpacked, Unpacker, Workers};

use super::input::Input;
use crate::limit::BUNZIP_BLOCK_BYTES_MAX;

mod bits;
mod block;
mod scan;
mod transform;
mod unpack;

#[cfg(test)]
mod tests;

/// Marks stand before blocks and before the end.
const MARK_BITS: usize = 48;
/// A mark and the checksum behind it.
const HEAD_BITS: usize = MARK_BITS + 32;

/// Decompresses a stream, and those that follow it without a byte in between.
pub(super) struct Bunzip<'a> {
    scanner: Scanner<'a>,
    /// Pieces in their order.
    queue: VecDeque<Piece>,
    /// None, until there are two blocks for them.
    workers: Option<Arc<Workers>>,
    /// For blocks that this thread decompresses itself.
    own: Unpacker,
    /// Buffers for what comes out of blocks, to be used again.
    spare: Vec<Vec<u8>>,
    /// What comes out of the piece at hand.
    out: Out,
    /// Made of the checksums of the stream's blocks so far.
    checksum: u32,
    /// Byte of the input at which the piece at hand begins.
    at: u64,
}

enum Out {
    Ready(Vec<u8>, usize),
    /// A block whose output is not kept.
    Flowing(Box<bzip2::bufread::BzDecoder<io::Cursor<Vec<u8>>>>),
}

struct Piece {
    bits: Arc<Bits>,
    /// Size of its stream's blocks, in 100,000 bytes.
    level: u8,
    /// Byte of the input at which it begins.
    at: u64,
    kind: Kind,
}

enum Kind {
    Block(Option<mpsc::Receiver<Unpacked>>),
    End,
    /// The input ends here.
    Truncated,
}

impl<'a> Bunzip<'a> {
    /// Reads the stream that begins with the next byte.
    pub fn new(input: Input<'a>) -> Self {
        let at = input.read;
        Self {
            scanner: Scanner::new(input),
            queue: VecDeque::new(),
            workers: None,
            own: Unpacker::default(),
            spare: Vec::new(),
            out: Out::Ready(Vec::new(), 0),
            checksum: 0,
            at,
        }
    }

    /// Whether a stream begins so.
    pub fn begins(head: &[u8]) -> bool {
        scan::begins(head)
    }

    pub fn get_ref(&self) -> &Input<'a> {
        &self.scanner.input
    }

    /// The input, behind the last stream once that is read to its end.
    pub fn into_inner(self) -> Input<'a> {
        self.scanner.input
    }

    /// Byte of the input at which what is being decompressed begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Makes the next piece's output ready. False at the end.
    fn advance(&mut self) -> io::Result<bool> {
        self.look_ahead()?;
        let Some(Piece { bits, level, at, kind }) = self.queue.pop_front() else {
            return Ok(false);
        };
        self.at = at;
        match kind {
            Kind::Truncated => Err(io::ErrorKind::UnexpectedEof.into()),
            Kind::End => {
                if bits.word(MARK_BITS) != std::mem::take(&mut self.checksum) {
                    return Err(bad("the checksum of the whole does not fit"));
                }
                self.out = Out::Ready(Vec::new(), 0);
                Ok(true)
            }
            Kind::Block(made) => {
                let made = match made {
                    Some(made) => match made.recv() {
                        Ok(made) => made,
                        Err(_) => return Err(io::Error::other("a thread that unpacks ended")),
                    },
                    None => self.unpack(&bits, level),
                };
                let mut checksum = bits.word(MARK_BITS);
                let out = match made {
                    Ok(bytes) => Out::Ready(bytes, 0),
                    Err(Failure::Flows) => flow(&bits, level),
                    Err(Failure::Bad(reason)) => {
                        let (out, of_whole) = self.join(&bits, level, reason)?;
                        checksum = of_whole;
                        out
                    }
                };
                self.checksum = self.checksum.rotate_left(1) ^ checksum;
                if let Out::Ready(mut used, _) = std::mem::replace(&mut self.out, out) {
                    used.clear();
                    self.spare.push(used);
                }
                Ok(true)
            }
        }
    }

    /// Finds blocks and hands them out, as many as may be under way.
    fn look_ahead(&mut self) -> io::Result<()> {
        while self.queue.len() < Workers::threads() + 2 && !self.scanner.ended {
            let piece = self.scanner.next()?;
            self.queue.push_back(piece);
        }
        let blocks = self.queue.iter().filter(|piece| matches!(piece.kind, Kind::Block(_)));
        if self.workers.is_none() && blocks.count() < 2 {
            // A stream of one block is not worth a thread.
            return Ok(());
        }
        let workers = self.workers.get_or_insert_with(Workers::shared);
        for piece in &mut self.queue {
            if let Kind::Block(made @ None) = &mut piece.kind {
                let into = self.spare.pop().unwrap_or_default();
                let bits = Arc::clone(&piece.bits);
                *made = Some(workers.unpack(bits, piece.level, into));
            }
        }
        Ok(())
    }

    fn unpack(&mut self, bits: &Bits, level: u8) -> Unpacked {
        let into = self.spare.pop().unwrap_or_default();
        self.own.unpack(bits, level, into)
    }

    /// A piece that is no block may be the start of one, with a mark in it that is none. Gives the
    /// output of the whole, and its checksum.
    fn join(&mut self, bits: &Bits, level: u8, reason: &str) -> io::Result<(Out, u32)> {
        let mut joined = bits.clone();
        for _ in 0..2 {
            let next = match self.queue.pop_front() {
                Some(piece) => piece,
                None => self.scanner.next()?,
            };
            match next.kind {
                Kind::Block(_) => {}
                // If what ends here is the block's own data, the stream goes on.
                Kind::End => self.scanner.ended = false,
                Kind::Truncated => {
                    self.queue.push_front(next);
                    break;
                }
            }
            joined.push(&next.bits, 0, next.bits.len);
            if joined.len > BUNZIP_BLOCK_BYTES_MAX * 8 {
                break;
            }
            let out = match self.unpack(&joined, level) {
                Ok(bytes) => Out::Ready(bytes, 0),
                Err(Failure::Flows) => flow(&joined, level),
                Err(Failure::Bad(_)) => continue,
            };
            return Ok((out, joined.word(MARK_BITS)));
        }
        Err(bad(reason))
    }
}

/// A block whose output is not kept.
fn flow(bits: &Bits, level: u8) -> Out {
    let stream = io::Cursor::new(bits.stream(level));
    Out::Flowing(Box::new(bzip2::bufread::BzDecoder::new(stream)))
}

impl Read for Bunzip<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = match &mut self.out {
                Out::Ready(bytes, used) => {
                    let len = (bytes.len() - *used).min(into.len());
                    into[..len].copy_from_slice(&bytes[*used..*used + len]);
                    *used += len;
                    len
                }
                Out::Flowing(decoder) => decoder.read(into)?,
            };
            if len > 0 || into.is_empty() || !self.advance()? {
                return Ok(len);
            }
        }
    }
}

fn bad(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
