//! Where a value ends, by its brackets and quotes alone, and where to go on when they are wrong.
//! Both remember their place, so that bytes may come piece by piece; neither judges a value.

use memchr::{memchr, memrchr};

use super::pull::is_space;

/// What [`Structure::run`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The value ends before this position.
    Closed(usize),
    /// It goes on beyond the bytes.
    More,
    /// At this position it shows that it is no JSON.
    Broken(usize),
}

/// Brackets whose kind is remembered; deeper ones are counted only.
const KINDS: u32 = 64;

/// The walk through one value.
#[derive(Debug, Clone, Default)]
pub(super) struct Structure {
    depth: u32,
    /// The kinds of the brackets that are open, the innermost last: 1 for a brace.
    kinds: u64,
    /// Inside a string.
    inside: bool,
    /// Inside a string, behind a backslash.
    escaped: bool,
    /// In a value without brackets or quotes.
    bare: bool,
    /// The last byte so far that is no white space.
    last: u8,
}

const PLAIN: u8 = 0;
const QUOTE: u8 = 1;
const OPEN: u8 = 2;
const CLOSE: u8 = 3;
const SLASH: u8 = 1;
const LINE_END: u8 = 2;

const fn table(marks: &[(u8, u8)]) -> [u8; 256] {
    let mut table = [PLAIN; 256];
    let mut at = 0;
    while at < marks.len() {
        table[marks[at].0 as usize] = marks[at].1;
        at += 1;
    }
    table
}

const OUTSIDE: [u8; 256] =
    table(&[(b'"', QUOTE), (b'{', OPEN), (b'[', OPEN), (b'}', CLOSE), (b']', CLOSE)]);
const INSIDE: [u8; 256] = table(&[(b'"', 3), (b'\\', SLASH), (b'\n', LINE_END)]);

impl Structure {
    /// Walks on at `from`, the value's first byte or where the bytes ended the last time.
    pub fn run(&mut self, bytes: &[u8], from: usize) -> Step {
        let step = self.walk(bytes, from);
        if step == Step::More {
            self.last = self.last_before(&bytes[from..]);
        }
        step
    }

    fn walk(&mut self, bytes: &[u8], from: usize) -> Step {
        let mut at = from;
        if self.bare {
            return run_bare(bytes, at);
        }
        loop {
            if self.inside {
                if let Some(step) = self.run_string(bytes, &mut at) {
                    return step;
                }
                if self.depth == 0 {
                    return Step::Closed(at);
                }
            }
            let plain = bytes[at..].iter().position(|byte| OUTSIDE[usize::from(*byte)] != PLAIN);
            // A value that starts with none of these has none.
            if self.depth == 0 && plain != Some(0) {
                self.bare = true;
                return run_bare(bytes, at + 1);
            }
            let Some(plain) = plain else { return Step::More };
            at += plain;
            match OUTSIDE[usize::from(bytes[at])] {
                QUOTE => self.inside = true,
                OPEN => {
                    if !self.may_open(&bytes[from..at]) {
                        return Step::Broken(at);
                    }
                    self.kinds = self.kinds << 1 | u64::from(bytes[at] == b'{');
                    self.depth += 1;
                }
                _ => {
                    let brace = bytes[at] == b'}';
                    if self.depth == 0 || (self.depth <= KINDS && (self.kinds & 1 == 1) != brace) {
                        return Step::Broken(at);
                    }
                    self.kinds >>= 1;
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Step::Closed(at + 1);
                    }
                }
            }
            at += 1;
        }
    }

    /// To the byte after the closing quote.
    fn run_string(&mut self, bytes: &[u8], at: &mut usize) -> Option<Step> {
        loop {
            if self.escaped {
                if *at >= bytes.len() {
                    return Some(Step::More);
                }
                self.escaped = false;
                *at += 1;
            }
            let rest = bytes.get(*at..).unwrap_or_default();
            let found = rest.iter().position(|byte| INSIDE[usize::from(*byte)] != PLAIN);
            let Some(found) = found else { return Some(Step::More) };
            *at += found;
            match INSIDE[usize::from(bytes[*at])] {
                SLASH => self.escaped = true,
                LINE_END => return Some(Step::Broken(*at)),
                _ => {
                    self.inside = false;
                    *at += 1;
                    return None;
                }
            }
            *at += 1;
        }
    }

    /// Whether a bracket may open where a value may stand, behind these bytes.
    fn may_open(&self, before: &[u8]) -> bool {
        if self.depth == 0 || self.depth > KINDS {
            return true;
        }
        match self.last_before(before) {
            b':' => self.kinds & 1 == 1,
            b'[' | b',' => self.kinds & 1 == 0,
            _ => false,
        }
    }

    /// The last byte that is no white space of these, which were walked last, or of those before.
    fn last_before(&self, walked: &[u8]) -> u8 {
        walked.iter().rev().copied().find(|byte| !is_space(*byte)).unwrap_or(self.last)
    }
}

/// A number or word ends where another value may begin.
fn run_bare(bytes: &[u8], at: usize) -> Step {
    let ends =
        |byte: &u8| is_space(*byte) || matches!(byte, b',' | b'"' | b'{' | b'[' | b'}' | b']');
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(ends).map_or(Step::More, |len| Step::Closed(at + len))
}

/// The search for the next record behind a broken one: a line that starts as records do. Where the
/// broken record started a line, that is with the same white space; so the inner lines of records
/// that take several are told apart from their first.
#[derive(Debug, Clone)]
pub(super) struct Recovery {
    /// White space before a record's first byte, where records start lines.
    indent: Option<Vec<u8>>,
    /// The first byte of records; `None`: an opening brace or bracket.
    opening: Option<u8>,
    /// Whether a closing bracket may end the array of records.
    in_array: bool,
    /// The start of a line, or else the position from which the next is looked for.
    at: usize,
    at_line: bool,
    /// White space of that line before the bytes at hand.
    passed: Vec<u8>,
}

impl Recovery {
    /// Behind the record that starts at `start` and is seen to be broken at `broken`.
    pub fn of(bytes: &[u8], start: usize, broken: usize, in_array: bool) -> Self {
        let line = memrchr(b'\n', &bytes[..start]).map_or(0, |found| found + 1);
        let before = &bytes[line..start];
        let indent = before.iter().all(|byte| is_space(*byte)).then(|| before.to_vec());
        let opening = bytes.get(start).copied().filter(|byte| matches!(byte, b'{' | b'['));
        let (at, at_line) = match memrchr(b'\n', &bytes[start..broken]) {
            Some(found) => (start + found + 1, true),
            None => (broken, false),
        };
        Self { indent, opening, in_array, at, at_line, passed: Vec::new() }
    }

    /// Any line will do that starts with a brace or bracket.
    pub fn loosely(self) -> Self {
        Self { indent: None, opening: None, ..self }
    }

    /// Goes on at the first byte of other bytes; `at_line` says that they start a line.
    pub fn anew(self, at_line: bool) -> Self {
        Self { at: 0, at_line, passed: Vec::new(), ..self }
    }

    /// Goes on with bytes that follow those of [`Recovery::run`] and come without them.
    pub fn follow(&mut self, bytes: &[u8]) {
        if self.at_line {
            self.passed.extend_from_slice(bytes.get(self.at..).unwrap_or_default());
        }
        self.at = 0;
    }

    /// The first byte of the record where the search ends. `None`: it goes on beyond the bytes,
    /// which are to come again with more behind them, or to be followed.
    pub fn run(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            if self.at_line {
                let line = bytes.get(self.at..).unwrap_or_default();
                let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r');
                let indent = line.iter().take_while(blank).count();
                let first = line.get(indent)?;
                let indent = &line[..indent];
                if self.starts_record(&[&self.passed[..], indent].concat(), *first) {
                    return Some(self.at + indent.len());
                }
                self.at_line = false;
                self.passed.clear();
            }
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(found) = memchr(b'\n', rest) else {
                self.at = bytes.len();
                return None;
            };
            self.at += found + 1;
            self.at_line = true;
        }
    }

    fn starts_record(&self, indent: &[u8], first: u8) -> bool {
        let same = self.indent.as_ref().is_none_or(|known| known == indent);
        match (first, self.opening) {
            (b']', _) => {
                let outer = |known: &Vec<u8>| known.is_empty() || indent.len() < known.len();
                self.in_array && self.indent.as_ref().is_none_or(outer)
            }
            (b'{' | b'[', None) => same,
            (first, Some(opening)) => same && first == opening,
            _ => false,
        }
    }
}
