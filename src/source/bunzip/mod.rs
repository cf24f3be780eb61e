//! One bzip2 stream, its blocks decompressed by several threads at once. Blocks know nothing of one
//! another but begin at any bit, so the stream is cut where the bits of a block's mark stand, each
//! piece is decompressed by itself, and what comes out is put in order again. The marks may stand
//! inside a block by chance: a piece that is no block is joined with the next.
//!
//! The blocks are taken apart by our own code (`block`, `transform`): it needs no stream around
//! each, uses its memory again, and takes a third of the library's time. The library decompresses
//! what is left: blocks of one byte repeated, and those of the first bzip2.
//!
//! Memory is bounded by the number of blocks under way; a block that becomes far more than it says,
//! as those of bombs do, is decompressed bit by bit by the thread that reads. Called by `codec`.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, mpsc};

use bits::Bits;
use scan::Scanner;
use unpack::{Failure, Unpacked, Unpacker, Workers};

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

/// Decompresses one stream.
pub(super) struct Bunzip<R> {
    scanner: Scanner<R>,
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
    /// Made of the checksums of the blocks so far.
    checksum: u32,
    ended: bool,
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

impl<R: BufRead> Bunzip<R> {
    /// Reads the stream that begins with the next byte, which is byte `read` of the input.
    pub fn new(read: u64, input: R) -> Self {
        let scanner = Scanner::new(read, input);
        let out = Out::Ready(Vec::new(), 0);
        Self {
            scanner,
            queue: VecDeque::new(),
            workers: None,
            own: Unpacker::default(),
            spare: Vec::new(),
            out,
            checksum: 0,
            ended: false,
            at: read,
        }
    }

    pub fn get_ref(&self) -> &R {
        &self.scanner.input
    }

    /// The input, behind the stream once that is read to its end.
    pub fn into_inner(self) -> R {
        self.scanner.input
    }

    /// Byte of the input at which what is being decompressed begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Makes the next piece's output ready. False at the stream's end.
    fn advance(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.scanner.level == 0 {
            self.scanner.header()?;
        }
        self.look_ahead()?;
        let Some(piece) = self.queue.pop_front() else { return Ok(false) };
        self.at = piece.at;
        match piece.kind {
            Kind::Truncated => Err(io::ErrorKind::UnexpectedEof.into()),
            Kind::End => {
                self.ended = true;
                if piece.bits.word(MARK_BITS) == self.checksum {
                    return Ok(false);
                }
                Err(bad("the checksum of the whole does not fit"))
            }
            Kind::Block(made) => {
                let made = match made {
                    Some(made) => match made.recv() {
                        Ok(made) => made,
                        Err(_) => return Err(io::Error::other("a thread that unpacks ended")),
                    },
                    None => self.unpack(&piece.bits),
                };
                let mut checksum = piece.bits.word(MARK_BITS);
                let out = match made {
                    Ok(bytes) => Out::Ready(bytes, 0),
                    Err(Failure::Flows) => self.flow(&piece.bits),
                    Err(Failure::Bad(reason)) => {
                        let (out, of_whole) = self.join(&piece.bits, reason)?;
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
        while self.queue.len() < Workers::threads() + 2
            && self.queue.back().is_none_or(|piece| matches!(piece.kind, Kind::Block(_)))
        {
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
                *made = Some(workers.unpack(bits, self.scanner.level, into));
            }
        }
        Ok(())
    }

    fn unpack(&mut self, bits: &Bits) -> Unpacked {
        let into = self.spare.pop().unwrap_or_default();
        self.own.unpack(bits, self.scanner.level, into)
    }

    /// A block whose output is not kept.
    fn flow(&self, bits: &Bits) -> Out {
        let stream = io::Cursor::new(bits.stream(self.scanner.level));
        Out::Flowing(Box::new(bzip2::bufread::BzDecoder::new(stream)))
    }

    /// A piece that is no block may be the start of one, with a mark in it that is none. Gives the
    /// output of the whole, and its checksum.
    fn join(&mut self, bits: &Bits, reason: &str) -> io::Result<(Out, u32)> {
        let mut joined = bits.clone();
        for _ in 0..2 {
            let next = match self.queue.pop_front() {
                Some(piece) => piece,
                None => self.scanner.next()?,
            };
            if matches!(next.kind, Kind::Truncated) {
                self.queue.push_front(next);
                break;
            }
            joined.push(&next.bits, 0, next.bits.len);
            if joined.len > BUNZIP_BLOCK_BYTES_MAX * 8 {
                break;
            }
            let out = match self.unpack(&joined) {
                Ok(bytes) => Out::Ready(bytes, 0),
                Err(Failure::Flows) => self.flow(&joined),
                Err(Failure::Bad(_)) => continue,
            };
            return Ok((out, joined.word(MARK_BITS)));
        }
        Err(bad(reason))
    }
}

impl<R: BufRead> Read for Bunzip<R> {
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
