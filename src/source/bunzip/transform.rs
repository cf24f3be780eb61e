//! The Burrows-Wheeler transform, undone.
//!
//! Each byte of the text says where the next one stands, at a place that no cache foresees: to
//! follow them one by one is to wait for memory at every byte. So the text is walked from many of
//! its places at once. A walk that comes to where another one began ends there, and the text is
//! what the walks saw, each followed by the one that it came upon. Called by `block`.

use super::block::Fault;

/// Walks under way at once.
const WALKERS: usize = 8;
/// Walks in all: so many that no walker is long without one.
const WALKS: usize = 256;
/// Rows between the beginnings of walks, at least.
const STRIDE_MIN: usize = 64;
/// Rows that a table has room for: more than the 900,000 of the largest block, and a power of two,
/// so that no row need be compared with the table's end.
const ROWS: usize = 1 << 20;
/// Marks the row at which a walk begins, beside the 8 bits of its byte and the 20 of a row.
const BEGIN: u32 = 1 << 31;

/// Undoes the transform of blocks, in the same memory one after another.
#[derive(Default)]
pub struct Transform {
    /// Of each rotation of the text, sorted, the last byte.
    last: Vec<u8>,
    /// Of each rotation its first byte, in the lowest 8 bits, and the row of the rotation that
    /// begins with the next one.
    links: Vec<u32>,
    /// What each walker saw, walk after walk.
    seen: Vec<Vec<u8>>,
    text: Vec<u8>,
}

/// What one walk saw.
#[derive(Clone, Copy, Default)]
struct Walk {
    walker: usize,
    from: usize,
    to: usize,
    /// The walk at whose beginning it ended.
    next: usize,
}

/// Goes one walk after another.
struct Walker<'a> {
    number: usize,
    seen: &'a mut [u8],
    len: usize,
    walk: usize,
    /// Where its walk begins in what it saw.
    from: usize,
    row: u32,
}

impl Walker<'_> {
    #[inline]
    fn step(&mut self, link: u32) {
        self.seen[self.len] = link as u8;
        self.len += 1;
        self.row = (link & !BEGIN) >> 8;
    }
}

/// Where walks begin: at the text's own row, and at every so many.
#[derive(Clone, Copy)]
struct Beginnings {
    origin: usize,
    stride: usize,
    len: usize,
}

impl Beginnings {
    fn new(origin: usize, len: usize) -> Self {
        Self { origin, stride: len.div_ceil(WALKS).max(STRIDE_MIN), len }
    }

    /// Walks, those that would begin where the first does among them.
    fn count(self) -> usize {
        1 + self.len.div_ceil(self.stride)
    }

    fn row(self, walk: usize) -> usize {
        walk.checked_sub(1).map_or(self.origin, |before| before * self.stride)
    }

    fn walk(self, row: usize) -> usize {
        if row == self.origin { 0 } else { row / self.stride + 1 }
    }

    /// The walks, each with its row.
    fn all(self) -> impl Iterator<Item = (usize, usize)> {
        let all = (0..self.count()).map(move |walk| (walk, self.row(walk)));
        all.filter(move |(walk, row)| self.walk(*row) == *walk)
    }
}

impl Transform {
    /// Room for the last column of a block of at most `len_max` bytes, of which there are a million
    /// at most.
    pub fn column(&mut self, len_max: usize) -> &mut [u8] {
        if self.last.len() != len_max {
            self.last = vec![0; len_max];
            self.links = vec![0; ROWS];
            self.seen = vec![vec![0; len_max]; WALKERS];
        }
        &mut self.last
    }

    /// The text of which the first `len` bytes of the column are the last ones of its sorted
    /// rotations, and which is itself the rotation of row `origin`.
    pub fn undo(&mut self, len: usize, origin: usize) -> Result<&[u8], Fault> {
        if origin >= len {
            return Err("a block begins outside of itself");
        }
        let Self { last, links, seen, text } = self;
        let Some(links) = links.first_chunk_mut() else { return Err("a block has no room") };
        link(&last[..len], links);
        let beginnings = Beginnings::new(origin, len);
        let walks = walk(links, beginnings, seen);
        text.clear();
        text.reserve(len);
        // A text that repeats itself comes round before its end.
        let mut at = 0;
        while text.len() < len {
            let Walk { walker, from, to, next } = walks[at];
            let to = to.min(from + len - text.len());
            text.extend_from_slice(&seen[walker][from..to]);
            at = next;
        }
        Ok(text)
    }
}

fn link(last: &[u8], links: &mut [u32; ROWS]) {
    let mut next = starts(last);
    for (row, byte) in last.iter().enumerate() {
        let place = &mut next[usize::from(*byte)];
        links[*place as usize % ROWS] = (row as u32) << 8 | u32::from(*byte);
        *place += 1;
    }
}

/// The first row of the rotations that begin with each byte.
fn starts(last: &[u8]) -> [u32; 256] {
    // Equal neighbours are counted in different places: counts of one place wait for one another.
    let mut counts = [[0_u32; 256]; 4];
    for four in last.chunks(4) {
        for (counts, byte) in counts.iter_mut().zip(four) {
            counts[usize::from(*byte)] += 1;
        }
    }
    let mut sum = 0;
    std::array::from_fn(|byte| {
        let start = sum;
        sum += counts.iter().map(|counts| counts[byte]).sum::<u32>();
        start
    })
}

fn walk(links: &mut [u32; ROWS], beginnings: Beginnings, seen: &mut [Vec<u8>]) -> Vec<Walk> {
    let mut walks = vec![Walk::default(); beginnings.count()];
    for (_, row) in beginnings.all() {
        links[row % ROWS] |= BEGIN;
    }
    let mut waiting = beginnings.all();
    let mut walkers = Vec::with_capacity(WALKERS);
    for ((number, seen), (walk, row)) in seen.iter_mut().enumerate().zip(&mut waiting) {
        let mut walker = Walker { number, seen, len: 0, walk, from: 0, row: 0 };
        walker.step(links[row % ROWS]);
        walkers.push(walker);
    }
    while !walkers.is_empty() {
        let mut at = 0;
        while let Some(walker) = walkers.get_mut(at) {
            let link = links[walker.row as usize % ROWS];
            if link & BEGIN == 0 {
                walker.step(link);
                at += 1;
                continue;
            }
            let next = beginnings.walk(walker.row as usize);
            let Walker { number, from, len: to, .. } = *walker;
            walks[walker.walk] = Walk { walker: number, from, to, next };
            if let Some((walk, row)) = waiting.next() {
                (walker.walk, walker.from) = (walk, to);
                walker.step(links[row % ROWS]);
                at += 1;
            } else {
                walkers.swap_remove(at);
            }
        }
    }
    walks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last column of a text's sorted rotations, and the text's row.
    fn column(text: &[u8]) -> (Vec<u8>, usize) {
        let doubled = [text, text].concat();
        let mut rows: Vec<usize> = (0..text.len()).collect();
        rows.sort_by_key(|at| &doubled[*at..*at + text.len()]);
        let last = rows.iter().map(|at| doubled[at + text.len() - 1]).collect();
        (last, rows.iter().position(|at| *at == 0).unwrap())
    }

    #[test]
    fn texts_come_back_whatever_repeats_in_them() {
        let mut transform = Transform::default();
        let long: Vec<u8> = (0..5_000_u32).map(|at| (at * at % 251) as u8).collect();
        let of_all: Vec<u8> = (0..=255).collect();
        for text in [
            &b"a"[..],
            b"ab",
            b"banana",
            &b"abc".repeat(700),
            &[7; 3_000],
            &[&[0; 999][..], b"x"].concat(),
            &of_all,
            &long,
        ] {
            let (last, origin) = column(text);
            transform.column(100_000)[..last.len()].copy_from_slice(&last);
            assert!(transform.undo(last.len(), origin).unwrap() == text, "{} bytes", text.len());
        }
        assert!(transform.undo(6, 6).is_err(), "a row that is none");
        assert!(transform.undo(0, 0).is_err(), "a text of nothing");
    }
}
