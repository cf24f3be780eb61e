//! The rejects of one batch, kept small: a chunk of nothing but short bad lines has millions of
//! them. Reasons are kept once each, original bytes stay where they are in the chunk, and a whole
//! [`Reject`] is made when somebody asks for it. Knows no rule; decoders and checks fill it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::{Original, Reject};
use crate::limit::{REJECT_RAW_BYTES_MAX, REJECT_REASONS_MAX};
use crate::span::RowPlace;

/// Entries in one block of the list: it grows without being copied.
const BLOCK: usize = 1 << 16;

/// Why a record was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Why {
    /// The rule, such as `bad_number`; stable, for counting and filtering.
    pub rule: Cow<'static, str>,
    /// The column at fault, if one is.
    pub column: Option<String>,
    /// The SQLSTATE, if the server refused it.
    pub sqlstate: Option<String>,
    /// What was wrong, for a person.
    pub reason: Cow<'static, str>,
}

/// One reject, without what it shares with others.
#[derive(Debug, Clone, Copy)]
struct Slim {
    place: RowPlace,
    why: u32,
}

/// Rejects in the order in which they were found.
#[derive(Debug, Clone, Default)]
pub struct Rejects {
    blocks: Vec<Vec<Slim>>,
    whys: Vec<Arc<Why>>,
    known: HashMap<Arc<Why>, u32>,
    /// What does not follow from place and chunk, by position.
    odd: HashMap<usize, Odd>,
}

/// A reject that does not lie in its chunk, or not whole.
#[derive(Debug, Clone, Default)]
struct Odd {
    /// Its bytes, where the source has none of its own for a record.
    raw: Option<Vec<u8>>,
    /// Bytes of the record beyond what its place says.
    dropped: u64,
}

impl Rejects {
    /// How many there are.
    pub fn len(&self) -> usize {
        let full = self.blocks.len().saturating_sub(1) * BLOCK;
        full + self.blocks.last().map_or(0, Vec::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Adds the record at `place`, whose bytes are in the chunk.
    pub fn add(&mut self, place: RowPlace, why: Why) {
        let why = self.intern(why);
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            let room = if self.blocks.is_empty() { 0 } else { BLOCK };
            self.blocks.push(Vec::with_capacity(room));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(Slim { place, why });
        }
    }

    /// Adds a record with bytes of its own, which no chunk has.
    pub fn push(&mut self, reject: Reject) {
        let Reject { row, line, offset, len, rule, column, sqlstate, reason, raw } = reject;
        let within = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let place = RowPlace { row, line, offset: within(offset), len: within(len) };
        let odd = Odd { raw: Some(raw), dropped: len - u64::from(place.len) };
        self.odd.insert(self.len(), odd);
        self.add(place, Why { rule, column, sqlstate, reason: reason.into() });
    }

    /// Adds bytes to the range of the last one, if `rule` refused it.
    pub fn lengthen_last(&mut self, rule: &str, bytes: u64) {
        let Some(slim) = self.blocks.last().and_then(|block| block.last()) else { return };
        if self.whys[slim.why as usize].rule == rule {
            self.odd.entry(self.len() - 1).or_default().dropped += bytes;
        }
    }

    /// Each in turn, with its bytes out of `original`.
    pub fn iter<'a>(&'a self, original: &'a Original) -> impl Iterator<Item = Reject> + 'a {
        let slims = self.blocks.iter().flatten().enumerate();
        slims.map(move |(at, slim)| self.whole(at, *slim, original))
    }

    fn whole(&self, at: usize, Slim { place, why }: Slim, original: &Original) -> Reject {
        let Why { rule, column, sqlstate, reason } = &*self.whys[why as usize];
        let odd = self.odd.get(&at);
        let raw = match (odd.and_then(|odd| odd.raw.as_ref()), original) {
            (Some(raw), _) => raw.clone(),
            (None, Original::Text(chunk)) => {
                let len = (place.len as usize).min(REJECT_RAW_BYTES_MAX);
                let start = place.offset as usize;
                chunk.bytes.get(start..start + len).unwrap_or_default().to_vec()
            }
            (None, Original::Columns) => Vec::new(),
        };
        Reject {
            row: place.row,
            line: place.line,
            offset: u64::from(place.offset),
            len: u64::from(place.len) + odd.map_or(0, |odd| odd.dropped),
            rule: rule.clone(),
            column: column.clone(),
            sqlstate: sqlstate.clone(),
            reason: reason.clone().into_owned(),
            raw,
        }
    }

    fn intern(&mut self, why: Why) -> u32 {
        if let Some(known) = self.known.get(&why) {
            return *known;
        }
        if self.whys.len() >= REJECT_REASONS_MAX && !why.reason.is_empty() {
            // The record itself is kept, and shows its values.
            let reason = "as many before it in its batch; the record shows the value".into();
            return self.intern_new(Why { reason, ..why });
        }
        self.intern_new(why)
    }

    fn intern_new(&mut self, why: Why) -> u32 {
        if let Some(known) = self.known.get(&why) {
            return *known;
        }
        let (at, why) = (self.whys.len() as u32, Arc::new(why));
        self.whys.push(Arc::clone(&why));
        self.known.insert(why, at);
        at
    }
}

impl FromIterator<Reject> for Rejects {
    fn from_iter<I: IntoIterator<Item = Reject>>(rejects: I) -> Self {
        let mut list = Self::default();
        rejects.into_iter().for_each(|reject| list.push(reject));
        list
    }
}

impl From<Vec<Reject>> for Rejects {
    fn from(rejects: Vec<Reject>) -> Self {
        rejects.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Chunk;
    use super::*;

    fn why(reason: &str) -> Why {
        let reason = Cow::Owned(reason.to_owned());
        Why { rule: "bad".into(), column: None, sqlstate: None, reason }
    }

    #[test]
    fn a_reject_is_whole_again() {
        let original = Original::Text(Arc::new(Chunk { bytes: b"ab\ncd\n".to_vec() }));
        let mut rejects = Rejects::default();
        for row in 0..BLOCK as u32 * 2 + 3 {
            rejects.add(RowPlace { row, line: row, offset: 3, len: 2 }, why("same"));
        }
        let own = Reject { raw: b"own".to_vec(), len: 1 << 40, ..rejects.whole_at(0, &original) };
        rejects.push(own.clone());
        rejects.add(RowPlace { row: 9, line: 9, offset: 0, len: 2 }, why("other"));
        rejects.lengthen_last("bad", 1 << 33);
        rejects.lengthen_last("another", 7);
        assert_eq!(rejects.len(), BLOCK * 2 + 5);
        assert_eq!(size_of::<Slim>(), 20, "millions of them must fit");
        assert_eq!(rejects.whys.len(), 2, "reasons are kept once");
        let all: Vec<Reject> = rejects.iter(&original).collect();
        assert_eq!(all[BLOCK].raw, b"cd");
        assert_eq!((all[BLOCK].row, all[BLOCK].reason.as_str()), (BLOCK as u32, "same"));
        assert_eq!(all[BLOCK * 2 + 3], own);
        let last = &all[BLOCK * 2 + 4];
        assert_eq!((last.raw.as_slice(), last.len), (&b"ab"[..], (1 << 33) + 2));
    }

    #[test]
    fn reasons_are_bounded() {
        let mut rejects = Rejects::default();
        let count = REJECT_REASONS_MAX as u32 + 100;
        for row in 0..count {
            rejects.add(RowPlace { row, ..RowPlace::default() }, why(&format!("reason {row}")));
        }
        assert_eq!(rejects.whys.len(), REJECT_REASONS_MAX + 1);
        assert_eq!(rejects.len(), count as usize);
        assert!(rejects.iter(&Original::Columns).all(|reject| reject.rule == "bad"));
    }

    impl Rejects {
        fn whole_at(&self, at: usize, original: &Original) -> Reject {
            self.iter(original).nth(at).unwrap()
        }
    }
}
