//! One bzip2 stream, its blocks decompressed by several threads at once. Blocks know nothing of one
//! another but begin at any bit, so the stream is cut where the bits of a block's mark stand, each
//! piece is made a stream of its own, and what comes out is put in order again. The marks may stand
//! inside a block by chance: a piece that is no block is joined with the next.
//!
//! Each thread gives its blocks to one decoder that believes to read one endless stream: what a
//! decoder needs for a block is megabytes, and getting them anew for each costs as much as a third
//! of the work. For the same reason the memory that blocks come out in is used again.
//!
//! Memory is bounded by the number of blocks under way; a block that becomes far more than it says,
//! as those of bombs do, is decompressed bit by bit by the thread that reads. Called by `codec`.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crate::limit::{BUNZIP_BLOCK_BYTES_MAX, BUNZIP_OUTPUT_BYTES_MAX, BUNZIP_THREADS_MAX};

/// Before every block: the digits of pi.
const BLOCK: u64 = 0x3141_5926_5359;
/// Before the stream's checksum: those of its square root.
const END: u64 = 0x1772_4538_5090;
const MARK_BITS: usize = 48;
/// A mark and the checksum behind it.
const HEAD_BITS: usize = MARK_BITS + 32;

/// Decompresses one stream.
pub(super) struct Bunzip<R> {
    scanner: Scanner<R>,
    /// Pieces in their order.
    queue: VecDeque<Piece>,
    workers: Option<Workers>,
    /// For blocks that this thread decompresses itself.
    own: Unpacker,
    spare: Spare,
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
    Block(Option<mpsc::Receiver<io::Result<Vec<u8>>>>),
    End,
    /// The input ends here.
    Truncated,
}

impl<R: BufRead> Bunzip<R> {
    /// Reads the stream that begins with the next byte, which is byte `read` of the input.
    pub fn new(read: u64, input: R) -> Self {
        let scanner = Scanner { input, level: 0, held: Bits::default(), register: 0, read };
        let out = Out::Ready(Vec::new(), 0);
        let (queue, workers, spare) = (VecDeque::new(), None, Spare::default());
        let own = Unpacker::new(spare.clone());
        Self { scanner, queue, workers, own, spare, out, checksum: 0, ended: false, at: read }
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
                    Some(made) => made.recv().unwrap_or_else(|_| Err(bad("a thread ended"))),
                    None => self.own.unpack(&piece.bits, self.scanner.level),
                };
                let mut checksum = piece.bits.word(MARK_BITS);
                let out = match made {
                    Ok(bytes) => Out::Ready(bytes, 0),
                    Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                        let stream = piece.bits.stream(self.scanner.level);
                        let stream = io::Cursor::new(stream);
                        Out::Flowing(Box::new(bzip2::bufread::BzDecoder::new(stream)))
                    }
                    Err(error) => {
                        let (bytes, of_whole) = self.join(&piece.bits, error)?;
                        checksum = of_whole;
                        Out::Ready(bytes, 0)
                    }
                };
                self.checksum = self.checksum.rotate_left(1) ^ checksum;
                if let Out::Ready(used, _) = std::mem::replace(&mut self.out, out) {
                    self.spare.give_back(used);
                }
                Ok(true)
            }
        }
    }

    /// Finds blocks and hands them out, as many as may be under way.
    fn look_ahead(&mut self) -> io::Result<()> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.min(BUNZIP_THREADS_MAX);
        while self.queue.len() < threads + 2
            && self.queue.back().is_none_or(|piece| matches!(piece.kind, Kind::Block(_)))
        {
            let mut piece = self.scanner.next()?;
            // A stream of one block is not worth a thread.
            if let (Kind::Block(made), true) = (&mut piece.kind, !self.queue.is_empty()) {
                let workers =
                    self.workers.get_or_insert_with(|| Workers::start(threads, &self.spare));
                *made = Some(workers.unpack(Arc::clone(&piece.bits), self.scanner.level));
            }
            self.queue.push_back(piece);
        }
        Ok(())
    }

    /// A piece that is no block may be the start of one, with a mark in it that is none. Gives the
    /// output of the whole, and its checksum.
    fn join(&mut self, bits: &Bits, error: io::Error) -> io::Result<(Vec<u8>, u32)> {
        let mut joined = bits.clone();
        for _ in 0..2 {
            let next = match self.queue.pop_front() {
                Some(piece) => piece,
                None => self.scanner.next()?,
            };
            if matches!(next.kind, Kind::Truncated) {
                self.queue.push_front(next);
                return Err(error);
            }
            joined.push(&next.bits, 0, next.bits.len);
            if joined.len > BUNZIP_BLOCK_BYTES_MAX * 8 {
                break;
            }
            match self.own.unpack(&joined, self.scanner.level) {
                Ok(bytes) => return Ok((bytes, joined.word(MARK_BITS))),
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => return Err(error),
                Err(_) => {}
            }
        }
        Err(error)
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

/// Cuts the stream into pieces.
struct Scanner<R> {
    input: R,
    /// Size of the stream's blocks, in 100,000 bytes; 0: its header was not read yet.
    level: u8,
    /// Bits of the piece that begins last, from its mark on.
    held: Bits,
    /// The bits that came last.
    register: u64,
    /// Bytes that were read.
    read: u64,
}

impl<R: BufRead> Scanner<R> {
    fn header(&mut self) -> io::Result<()> {
        let mut header = [0; 4];
        self.input.read_exact(&mut header)?;
        self.read += 4;
        match header {
            [b'B', b'Z', b'h', level @ b'1'..=b'9'] => {
                self.level = level - b'0';
                Ok(())
            }
            _ => Err(bad("this is no header of a stream")),
        }
    }

    /// The next piece: from the mark that was found last to the one that is found next.
    fn next(&mut self) -> io::Result<Piece> {
        let mark = END.to_be_bytes();
        if self.held.len >= MARK_BITS && self.held.bytes.starts_with(&mark[2..]) {
            return self.end();
        }
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                let (bits, at) = (Arc::default(), self.read);
                return Ok(Piece { bits, at, kind: Kind::Truncated });
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
            self.read += used as u64;
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
        let at = self.read - (self.held.len as u64).div_ceil(8);
        self.held = rest;
        Piece { bits: Arc::new(piece), at, kind }
    }

    /// The stream's end, whose mark is what is held: its checksum follows, and bits up to the next
    /// byte.
    fn end(&mut self) -> io::Result<Piece> {
        while self.held.len < HEAD_BITS {
            let mut byte = [0];
            match self.input.read_exact(&mut byte) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let (bits, at) = (Arc::default(), self.read);
                    return Ok(Piece { bits, at, kind: Kind::Truncated });
                }
                Err(error) => return Err(error),
            }
            self.read += 1;
            self.register = self.register << 8 | u64::from(byte[0]);
            self.held.push_byte(byte[0]);
        }
        Ok(self.cut(HEAD_BITS, Kind::End))
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

/// Bits, the first in the highest of a byte.
#[derive(Debug, Clone, Default)]
struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
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
    fn push(&mut self, other: &Bits, from: usize, len: usize) {
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
        // What was appended beyond the end is zero again.
        self.len = end;
        self.bytes.truncate(end.div_ceil(8));
        if let (Some(last), 1..) = (self.bytes.last_mut(), end % 8) {
            *last &= 0xff << (8 - end % 8);
        }
    }

    /// The 32 bits from bit `at` on; `at` is a multiple of 8.
    fn word(&self, at: usize) -> u32 {
        let bytes = self.bytes.iter().skip(at / 8).take(4);
        bytes.fold(0, |word, byte| word << 8 | u32::from(*byte))
    }

    /// A stream of this block alone.
    fn stream(&self, level: u8) -> Vec<u8> {
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

/// Buffers for what comes out of blocks, to be used again.
#[derive(Clone, Default)]
struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.capacity() > 0 && buffers.len() < BUNZIP_THREADS_MAX {
            buffers.push(buffer);
        }
    }
}

/// Decompresses blocks, one after another.
struct Unpacker {
    spare: Spare,
    /// Stands behind a block and has read `ahead` bits of the next one's mark; the size of blocks
    /// that it was told, in 100,000 bytes.
    decoder: Option<(bzip2::Decompress, u8)>,
    ahead: usize,
}

impl Unpacker {
    fn new(spare: Spare) -> Self {
        Self { spare, decoder: None, ahead: 0 }
    }

    /// Decompresses one block. [`io::ErrorKind::OutOfMemory`]: it becomes too much to be kept.
    fn unpack(&mut self, bits: &Bits, level: u8) -> io::Result<Vec<u8>> {
        let mut made = self.spare.take();
        // Runs of bytes are folded before blocks are filled, so they become more than they say.
        made.reserve(usize::from(level) * 125_000);
        let known = self.decoder.take().filter(|(_, of)| *of == level);
        let (mut decoder, mut input) = match known {
            Some((decoder, _)) => (decoder, Bits::default()),
            None => {
                self.ahead = 0;
                let header = vec![b'B', b'Z', b'h', b'0' + level];
                (bzip2::Decompress::new(false), Bits { bytes: header, len: 32 })
            }
        };
        let mark = Bits { bytes: BLOCK.to_be_bytes()[2..].to_vec(), len: MARK_BITS };
        if bits.len < HEAD_BITS || !bits.bytes.starts_with(&mark.bytes) {
            return Err(bad("this is no block"));
        }
        // Most of the mark of a block that may follow makes whole bytes, and makes the decoder say
        // whether this block ends where the mark was found.
        input.push(bits, self.ahead, bits.len - self.ahead);
        let ahead = MARK_BITS - 8 + (8 - input.len % 8) % 8;
        input.push(&mark, 0, ahead);
        let mut left = input.bytes.as_slice();
        loop {
            let before = decoder.total_in();
            let outcome = decoder.decompress_vec(left, &mut made);
            match outcome.map_err(|error| bad(&error.to_string()))? {
                bzip2::Status::MemNeeded => return Err(io::ErrorKind::OutOfMemory.into()),
                bzip2::Status::StreamEnd => return Err(bad("the stream ends inside a block")),
                _ => {}
            }
            left = &left[(decoder.total_in() - before) as usize..];
            if made.len() >= BUNZIP_OUTPUT_BYTES_MAX {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            if made.len() < made.capacity() {
                break;
            }
            made.reserve(made.len() / 2);
        }
        // Nothing comes out before all of a block is there, and then all of it.
        if made.is_empty() || !left.is_empty() {
            return Err(bad("a block is cut off"));
        }
        (self.decoder, self.ahead) = (Some((decoder, level)), ahead);
        Ok(made)
    }
}

fn bad(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Threads that decompress blocks. They end with the channel of their work.
struct Workers {
    work: mpsc::Sender<Work>,
}

struct Work {
    bits: Arc<Bits>,
    level: u8,
    made: mpsc::SyncSender<io::Result<Vec<u8>>>,
}

impl Workers {
    fn start(threads: usize, spare: &Spare) -> Self {
        let (work, given) = mpsc::channel::<Work>();
        let given = Arc::new(Mutex::new(given));
        for _ in 0..threads {
            let given = Arc::clone(&given);
            let mut unpacker = Unpacker::new(spare.clone());
            std::thread::spawn(move || {
                loop {
                    let next = given.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Work { bits, level, made }) = next else { return };
                    // Whoever asked may be gone.
                    let _ = made.send(unpacker.unpack(&bits, level));
                }
            });
        }
        Self { work }
    }

    fn unpack(&self, bits: Arc<Bits>, level: u8) -> mpsc::Receiver<io::Result<Vec<u8>>> {
        let (made, result) = mpsc::sync_channel(1);
        // Without threads there is no answer, which the one who waits for it notices.
        let _ = self.work.send(Work { bits, level, made });
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pack(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(level));
        to.write_all(bytes).and_then(|()| to.finish()).unwrap()
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            b'0' + (state >> 60) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    #[test]
    fn blocks_come_out_in_order_and_the_input_stands_behind_the_stream() {
        for len in [0, 1, 99_000, 100_000, 1_234_567] {
            let bytes = noise(len);
            let mut packed = pack(&bytes, 1);
            packed.extend(b"rest");
            // Small reads, so that marks are met at every edge.
            for part in [1, 7, 4_096] {
                let input = io::BufReader::with_capacity(part, &packed[..]);
                let mut stream = Bunzip::new(0, input);
                let mut made = Vec::new();
                stream.read_to_end(&mut made).unwrap();
                assert!(made == bytes, "{len} by {part}");
                let mut rest = String::new();
                stream.into_inner().read_to_string(&mut rest).unwrap();
                assert_eq!(rest, "rest", "{len} by {part}");
            }
        }
    }

    #[test]
    fn a_mark_inside_a_block_is_no_mark() {
        // Not compressible, so the digits of the mark survive: two marks' worth of any alignment
        // cannot be made on purpose, but a cut in the middle of a block can be.
        let bytes = noise(250_000);
        let packed = pack(&bytes, 1);
        let mut whole = Bunzip::new(0, &packed[..]);
        whole.scanner.header().unwrap();
        let mut pieces = Vec::new();
        loop {
            let piece = whole.scanner.next().unwrap();
            let last = matches!(piece.kind, Kind::End);
            pieces.push(piece);
            if last {
                break;
            }
        }
        let first = pieces.remove(0);
        let (mut left, mut right) = (Bits::default(), Bits::default());
        left.push(&first.bits, 0, 1_003);
        right.push(&first.bits, 1_003, first.bits.len - 1_003);
        let cut = |bits: Bits| Piece { bits: Arc::new(bits), at: 4, kind: Kind::Block(None) };
        whole.queue.extend([cut(left), cut(right)]);
        whole.queue.extend(pieces);
        let mut made = Vec::new();
        whole.read_to_end(&mut made).unwrap();
        assert!(made == bytes);
    }

    #[test]
    fn what_is_damaged_is_noticed_in_every_byte() {
        let bytes = noise(220_000);
        let packed = pack(&bytes, 1);
        for at in (4..packed.len()).step_by(packed.len() / 97) {
            let mut broken = packed.clone();
            broken[at] ^= 0x10;
            let mut made = Vec::new();
            let read = Bunzip::new(0, &broken[..]).read_to_end(&mut made);
            // Bits behind the end count for nothing.
            assert!(read.is_err() || made == bytes && at == packed.len() - 1, "byte {at}");
            let mut made = Vec::new();
            let read = Bunzip::new(0, &packed[..at]).read_to_end(&mut made);
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "cut at {at}");
            assert!(bytes.starts_with(&made));
        }
    }

    #[test]
    fn a_block_that_becomes_too_much_flows() {
        let bytes = vec![b'1'; 30_000_000];
        let mut made = Vec::new();
        Bunzip::new(0, &pack(&bytes, 9)[..]).read_to_end(&mut made).unwrap();
        assert!(made == bytes);
    }
}
