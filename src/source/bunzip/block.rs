//! One block of a bzip2 stream: Huffman codes of runs and of ranks, of which the last column of a
//! Burrows-Wheeler transform comes, that is undone, and in it runs of bytes that are unfolded.
//! Called by `unpack`.
//!
//! The format as its reference implementation has it (bzip2 1.0.8): 50 codes in a row belong to one
//! table, a code has up to 20 bits, a block up to 900,000 bytes before runs are unfolded.

use super::HEAD_BITS;
use super::bits::Bits;
use super::transform::Transform;

/// Codes that one table decodes before the next selector says which is next.
const GROUP: usize = 50;
const CODE_BITS_MAX: u32 = 20;
/// Bytes of a block for each step of its level.
const LEVEL_BYTES: usize = 100_000;
/// Rows of codes that a block can have; what more of them a block announces says nothing.
const SELECTORS_MAX: usize = 18_002;
/// Two digits, the ranks from 1 of 256 bytes, and the end.
const SYMBOLS_MAX: usize = 258;
/// The symbols 0 and 1 are digits of a run's length, of one and of two.
const RUN_MAX: u16 = 1;
/// Digits beyond this weight make no run that fits in a block.
const RUN_WEIGHT_MAX: usize = 1 << 20;
/// Bits that are looked up at once; longer codes are rare.
const LOOKUP_BITS: u32 = 10;

/// Why bytes are no block.
pub type Fault = &'static str;

/// What a block holds.
pub enum Block<'a> {
    /// Its text, in which runs are folded.
    Folded(&'a [u8]),
    /// The first bzip2 shuffled blocks that were slow to sort. Nothing has written such blocks
    /// since 1997: they are left to the library.
    Shuffled,
}

/// Takes blocks apart, in the same memory one after another.
#[derive(Default)]
pub struct BlockDecoder {
    transform: Transform,
    selectors: Vec<u8>,
    tables: Vec<Table>,
}

impl BlockDecoder {
    /// Takes a block of a stream of this level apart.
    pub fn decode(&mut self, bits: &Bits, level: u8) -> Result<Block<'_>, Fault> {
        let mut input = BitReader::new(bits, HEAD_BITS / 8);
        if input.take(1) == 1 {
            return Ok(Block::Shuffled);
        }
        let origin = input.take(24) as usize;
        let mut ranks = Ranks::read(&mut input)?;
        self.read_tables(&mut input, ranks.used + 2)?;
        let last = self.transform.column(usize::from(level) * LEVEL_BYTES);
        let len = read_codes(&mut input, &self.selectors, &self.tables, &mut ranks, last)?;
        // A mark that stands in a block by chance ends it too early.
        if input.at() != bits.len {
            return Err("a block is cut off");
        }
        self.transform.undo(len, origin).map(Block::Folded)
    }

    fn read_tables(&mut self, input: &mut BitReader<'_>, symbols: usize) -> Result<(), Fault> {
        let tables = input.take(3) as usize;
        let selectors = input.take(15);
        if !(2..=6).contains(&tables) || selectors == 0 {
            return Err("a block has a wrong number of tables");
        }
        self.selectors.clear();
        let mut recent = [0, 1, 2, 3, 4, 5];
        for _ in 0..selectors {
            let rank = input.take_ones(tables)?;
            recent[..=rank].rotate_right(1);
            if self.selectors.len() < SELECTORS_MAX {
                self.selectors.push(recent[0]);
            }
        }
        self.tables.resize_with(tables, Table::default);
        for table in &mut self.tables {
            let mut lengths = [0; SYMBOLS_MAX];
            read_lengths(input, &mut lengths[..symbols])?;
            table.build(&lengths[..symbols]);
        }
        input.within()
    }
}

/// Lengths of a table's codes, each told by its difference from the one before.
fn read_lengths(input: &mut BitReader<'_>, lengths: &mut [u32]) -> Result<(), Fault> {
    let mut length = input.take(5);
    for to in lengths {
        loop {
            if !(1..=CODE_BITS_MAX).contains(&length) {
                return Err("a code has a wrong length");
            }
            if input.take(1) == 0 {
                break;
            }
            length = if input.take(1) == 0 { length + 1 } else { length - 1 };
        }
        *to = length;
    }
    Ok(())
}

/// The last column of the transform, from codes. Gives its length.
fn read_codes(
    input: &mut BitReader<'_>,
    selectors: &[u8],
    tables: &[Table],
    ranks: &mut Ranks,
    last: &mut [u8],
) -> Result<usize, Fault> {
    let end = ranks.used as u16 + 1;
    // The length of a run is a number of digits 1 and 2, the lowest first.
    let (mut len, mut run, mut weight) = (0, 0_usize, 1_usize);
    for selector in selectors {
        let table = &tables[usize::from(*selector)];
        for _ in 0..GROUP {
            let symbol = table.symbol(input)?;
            if symbol <= RUN_MAX {
                if weight > RUN_WEIGHT_MAX {
                    return Err(TOO_LONG);
                }
                run += weight << symbol;
                weight <<= 1;
                continue;
            }
            if run > 0 {
                let to = last.get_mut(len..len + run).ok_or(TOO_LONG)?;
                to.fill(ranks.first());
                len += run;
                (run, weight) = (0, 1);
            }
            if symbol == end {
                return input.within().map(|()| len);
            }
            let to = last.get_mut(len).ok_or(TOO_LONG)?;
            *to = ranks.recall(usize::from(symbol) - 1);
            len += 1;
        }
        input.within()?;
    }
    Err("a block has no end")
}

const TOO_LONG: Fault = "a block is longer than it says";

/// The bytes that a block uses, the most recent first.
struct Ranks {
    used: usize,
    /// The first eight, which most ranks are of; the very first in the lowest byte.
    front: u64,
    rest: [u8; 248],
}

impl Ranks {
    fn read(input: &mut BitReader<'_>) -> Result<Self, Fault> {
        let sixteens = input.take(16);
        let mut bytes = [0; 256];
        let mut used = 0;
        for high in (0..16_u8).filter(|at| sixteens >> (15 - at) & 1 == 1) {
            let ones = input.take(16);
            for low in (0..16_u8).filter(|at| ones >> (15 - at) & 1 == 1) {
                bytes[used] = high << 4 | low;
                used += 1;
            }
        }
        if used == 0 {
            return Err("a block uses no byte");
        }
        let (mut front, mut rest) = ([0; 8], [0; 248]);
        front.copy_from_slice(&bytes[..8]);
        rest.copy_from_slice(&bytes[8..]);
        Ok(Self { used, front: u64::from_le_bytes(front), rest })
    }

    fn first(&self) -> u8 {
        self.front as u8
    }

    /// The byte of a rank, which becomes the first.
    #[inline]
    fn recall(&mut self, rank: usize) -> u8 {
        if rank < 8 {
            let shift = 8 * rank as u32;
            let byte = (self.front >> shift) as u8;
            // What stands before it moves up by one; the rest stays.
            let through = u64::MAX >> (56 - shift);
            let before = self.front & (through >> 8);
            self.front = self.front & !through | before << 8 | u64::from(byte);
            return byte;
        }
        let at = rank - 8;
        let byte = self.rest[at];
        self.rest.copy_within(..at, 1);
        self.rest[0] = (self.front >> 56) as u8;
        self.front = self.front << 8 | u64::from(byte);
        byte
    }
}

/// What codes mean: canonical Huffman codes, which follow from their lengths.
struct Table {
    /// By the next bits the symbol, and in the lowest 5 bits its code's length; 0: it is longer.
    short: Box<[u16; 1 << LOOKUP_BITS]>,
    /// By length: where codes of this length end, with zeros appended up to the longest.
    ends: [u32; LENGTHS],
    /// By length: what is to be added to a code for its symbol's place.
    places: [i32; LENGTHS],
    /// By the length of their codes, then by number.
    symbols: [u16; SYMBOLS_MAX],
}

const LENGTHS: usize = CODE_BITS_MAX as usize + 1;

impl Default for Table {
    fn default() -> Self {
        let short = Box::new([0; 1 << LOOKUP_BITS]);
        Self { short, ends: [0; LENGTHS], places: [0; LENGTHS], symbols: [0; SYMBOLS_MAX] }
    }
}

impl Table {
    fn build(&mut self, lengths: &[u32]) {
        self.short.fill(0);
        let (mut code, mut place) = (0_u32, 0);
        for length in 1..=CODE_BITS_MAX {
            self.places[length as usize] = place as i32 - code as i32;
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, of)| **of == length) {
                self.symbols[place] = symbol as u16;
                place += 1;
                if let Some(free) = LOOKUP_BITS.checked_sub(length) {
                    let from = (code as usize) << free;
                    // More short codes than there can be have no place; nor do blocks with them.
                    if let Some(entries) = self.short.get_mut(from..from + (1 << free)) {
                        entries.fill((symbol as u16) << 5 | length as u16);
                    }
                }
                code += 1;
            }
            self.ends[length as usize] = code << (CODE_BITS_MAX - length);
            code <<= 1;
        }
    }

    #[inline]
    fn symbol(&self, input: &mut BitReader<'_>) -> Result<u16, Fault> {
        input.fill();
        let entry = self.short[input.peek(LOOKUP_BITS) as usize];
        let length = u32::from(entry & 31);
        if length > 0 {
            input.skip(length);
            return Ok(entry >> 5);
        }
        self.long_symbol(input)
    }

    #[cold]
    fn long_symbol(&self, input: &mut BitReader<'_>) -> Result<u16, Fault> {
        let bits = input.peek(CODE_BITS_MAX);
        let fits = |length: &u32| bits < self.ends[*length as usize];
        let length = (1..=CODE_BITS_MAX).find(fits).ok_or("a code means nothing")?;
        input.skip(length);
        let code = (bits >> (CODE_BITS_MAX - length)) as i32;
        let symbol = self.symbols.get((code + self.places[length as usize]) as usize);
        symbol.copied().ok_or("a code means nothing")
    }
}

/// Reads bits. Behind the last one come zeros, and [`BitReader::within`] finds out.
struct BitReader<'a> {
    bits: &'a Bits,
    /// Bytes of which all bits were held.
    used: usize,
    /// The next bits, the first the highest.
    held: u64,
    held_bits: u32,
}

impl<'a> BitReader<'a> {
    /// Begins with byte `used`.
    fn new(bits: &'a Bits, used: usize) -> Self {
        Self { bits, used, held: 0, held_bits: 0 }
    }

    /// Holds at least 32 bits.
    #[inline]
    fn fill(&mut self) {
        if self.held_bits >= 32 {
            return;
        }
        let rest = self.bits.bytes.get(self.used..).unwrap_or_default();
        let next = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut next = [0; 8];
            next[..rest.len()].copy_from_slice(rest);
            next
        });
        let bytes = (64 - self.held_bits) / 8;
        self.used += bytes as usize;
        // Only whole bytes: what is left of the next one would be there twice.
        let fresh = u64::from_be_bytes(next) & !u64::MAX.checked_shr(8 * bytes).unwrap_or(0);
        self.held |= fresh >> self.held_bits;
        self.held_bits += 8 * bytes;
    }

    /// The next bits, at least one; after [`BitReader::fill`].
    #[inline]
    fn peek(&self, bits: u32) -> u32 {
        (self.held >> (64 - bits)) as u32
    }

    #[inline]
    fn skip(&mut self, bits: u32) {
        self.held <<= bits;
        self.held_bits -= bits;
    }

    fn take(&mut self, bits: u32) -> u32 {
        self.fill();
        let taken = self.peek(bits);
        self.skip(bits);
        taken
    }

    /// How many ones stand before the next zero, fewer than `max`.
    fn take_ones(&mut self, max: usize) -> Result<usize, Fault> {
        self.fill();
        let ones = self.held.leading_ones();
        if ones as usize >= max {
            return Err("a selector names no table");
        }
        self.skip(ones + 1);
        Ok(ones as usize)
    }

    /// The bit that is next.
    fn at(&self) -> usize {
        self.used * 8 - self.held_bits as usize
    }

    /// That no more was read than there is.
    fn within(&self) -> Result<(), Fault> {
        if self.at() <= self.bits.len { Ok(()) } else { Err("a block is cut off") }
    }
}

/// Appends a text with its runs unfolded: behind four equal bytes stands how many more there are.
/// False if `made` becomes longer than `max`, and then that is not all.
pub fn unfold(folded: &[u8], made: &mut Vec<u8>, max: usize) -> bool {
    let mut rest = folded;
    while let Some(at) = four_equal(rest) {
        let (run, behind) = rest.split_at(at + 4);
        made.extend_from_slice(run);
        let Some((more, behind)) = behind.split_first() else { return true };
        made.resize(made.len() + usize::from(*more), run[at]);
        if made.len() > max {
            return false;
        }
        rest = behind;
    }
    made.extend_from_slice(rest);
    made.len() <= max
}

const LOWEST_OF_BYTES: u64 = 0x0101_0101_0101_0101;

/// Where four equal bytes begin.
fn four_equal(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // Eight beginnings at a time: a byte of `unlike` is 0 where the next three are as it is.
    while let Some(eleven) = bytes.get(at..at + 11) {
        let word =
            |from: usize| eleven[from..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let unlike = (word(0) ^ word(1)) | (word(1) ^ word(2)) | (word(2) ^ word(3));
        let zeros = unlike.wrapping_sub(LOWEST_OF_BYTES) & !unlike & LOWEST_OF_BYTES << 7;
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes[at..].windows(4).position(|four| four.iter().all(|byte| *byte == four[0]));
    rest.map(|found| at + found)
}

/// The checksum of a block's bytes: CRC-32 as others count it, with all bits in the other order.
pub fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut turned = [0; 4096];
    for piece in bytes.chunks(turned.len()) {
        let turned = &mut turned[..piece.len()];
        for (to, byte) in turned.iter_mut().zip(piece) {
            *to = byte.reverse_bits();
        }
        hasher.update(turned);
    }
    hasher.finalize().reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_equal_bytes_are_found_wherever_they_begin() {
        for len in 0..40 {
            for run in 0..=len {
                for from in 0..=len - run {
                    let mut bytes: Vec<u8> = (0..len as u8).map(|at| 100 + at % 2).collect();
                    bytes[from..from + run].fill(7);
                    let found = (run >= 4).then_some(from);
                    assert_eq!(four_equal(&bytes), found, "{run} at {from} of {len}");
                }
            }
        }
    }

    #[test]
    fn runs_are_unfolded_and_bounded() {
        let unfolded = |folded: &[u8], max| {
            let mut made = Vec::new();
            unfold(folded, &mut made, max).then_some(made)
        };
        assert_eq!(unfolded(b"abbbb\x02b", 9).as_deref(), Some(&b"abbbbbbb"[..]));
        assert_eq!(unfolded(b"aaaa\x00aaaa\x01", 9).as_deref(), Some(&b"aaaaaaaaa"[..]));
        assert_eq!(unfolded(b"aaaa", 9).as_deref(), Some(&b"aaaa"[..]), "no more follow");
        assert_eq!(unfolded(b"aaaa\xff", 258), None);
        assert_eq!(unfolded(b"abcdefghij", 9), None);
    }

    #[test]
    fn the_checksum_is_that_of_bzip2() {
        // The check value of CRC-32/BZIP2.
        assert_eq!(checksum(b"123456789"), 0xfc89_1918);
    }
}
