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
/// Where walkers without a walk stay: a row that no block has.
const IDLE: u32 = ROWS as u32 - 1;
/// Marks the row at which a walk begins, beside the 8 bits of its byte and the 20 of a row.
const BEGIN: u32 = 1 << 31;
/// Bytes between where one walker writes and where the next does, beyond a whole number of pages:
/// all write at the same pace, and of places whole pages apart a cache holds only as many.
const STAGGER: usize = 320;
const PAGE_BYTES: usize = 4096;

/// Undoes the transform of blocks, in the same memory one after another.
#[derive(Default)]
pub struct Transform {
    /// Of each rotation of the text, sorted, the last byte.
    last: Vec<u8>,
    /// Of each rotation its first byte, in the lowest 8 bits, and the row of the rotation that
    /// begins with the next one.
    links: Vec<u32>,
    /// What each walker saw, walk after walk, and [`STAGGER`] from where the one before wrote.
    seen: Vec<u8>,
    /// Bytes from one walker's to the next one's.
    pitch: usize,
    text: Vec<u8>,
}

/// What one walk saw: the steps from `from` to `to` of its walker.
#[derive(Clone, Copy, Default)]
struct Walk {
    walker: usize,
    from: usize,
    to: usize,
    /// The walk at whose beginning it ended.
    next: usize,
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
            self.pitch = (len_max + 1).next_multiple_of(PAGE_BYTES) + STAGGER;
            self.seen = vec![0; self.pitch * WALKERS];
        }
        &mut self.last
    }

    /// The text of which the first `len` bytes of the column are the last ones of its sorted
    /// rotations, and which is itself the rotation of row `origin`.
    pub fn undo(&mut self, len: usize, origin: usize) -> Result<&[u8], Fault> {
        if origin >= len {
            return Err("a block begins outside of itself");
        }
        let Self { last, links, seen, pitch, text } = self;
        let Some(links) = links.first_chunk_mut() else { return Err("a block has no room") };
        link(&last[..len], links);
        let beginnings = Beginnings::new(origin, len);
        let walks = walk(links, beginnings, seen, *pitch);
        text.clear();
        text.reserve(len);
        // A text that repeats itself comes round before its end.
        let mut at = 0;
        while text.len() < len {
            let Walk { walker, from, to, next } = walks[at];
            let to = to.min(from + len - text.len());
            text.extend_from_slice(&seen[walker * *pitch..][from..to]);
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

/// Goes all walks: in every round each walker takes one step, and all of them wait for memory at
/// once.
fn walk(
    links: &mut [u32; ROWS],
    beginnings: Beginnings,
    seen: &mut [u8],
    pitch: usize,
) -> Vec<Walk> {
    let mut walks = vec![Walk::default(); beginnings.count()];
    for (_, row) in beginnings.all() {
        links[row % ROWS] |= BEGIN;
    }
    links[IDLE as usize] = IDLE << 8;
    let mut seen = seen.chunks_exact_mut(pitch);
    let mut seen: [&mut [u8]; WALKERS] = std::array::from_fn(|_| seen.next().unwrap_or_default());
    let mut waiting = beginnings.all();
    let mut walking = 0;
    // Of each walker its walk, the round in which that began, and the link at which it is.
    let (mut current, mut found) = ([(0, 0); WALKERS], [IDLE << 8; WALKERS]);
    for ((current, found), (walk, row)) in current.iter_mut().zip(&mut found).zip(&mut waiting) {
        (*current, *found) = ((walk, 0), links[row % ROWS]);
        walking += 1;
    }
    for round in 0..pitch {
        let rows = found.map(|link| (link & !BEGIN) >> 8);
        for (seen, link) in seen.iter_mut().zip(found) {
            seen[round] = link as u8;
        }
        found = rows.map(|row| links[row as usize % ROWS]);
        if found.iter().fold(0, |all, link| all | link) & BEGIN == 0 {
            continue;
        }
        let to = round + 1;
        for (walker, found) in found.iter_mut().enumerate().filter(|(_, link)| **link & BEGIN != 0)
        {
            let (walk, from) = current[walker];
            let next = beginnings.walk(rows[walker] as usize);
            walks[walk] = Walk { walker, from, to, next };
            if let Some((walk, row)) = waiting.next() {
                (current[walker], *found) = ((walk, to), links[row % ROWS]);
            } else {
                *found = IDLE << 8;
                walking -= 1;
            }
        }
        if walking == 0 {
            break;
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
