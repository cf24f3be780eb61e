//! The cutter of JSON sources: says where chunks end, so that they can be decoded apart, and where
//! their records are, so that nobody looks for them again.
//!
//! A chunk that starts at byte `s` ends at the first end of a record or document at or after the
//! first multiple of [`CHUNK_BYTES`] beyond `s`; the last one ends with the source. This depends on
//! content alone. Lines are found with `memchr`. Documents and elements of arrays are walked by
//! their brackets and quotes ([`Structure`]); only what stands around an array is parsed here.
//!
//! A record that cannot end where it should (a bracket of the wrong kind, a line end inside a
//! string, an object without a key) ends before the next line that starts as records do, so that
//! one slip does not take its neighbours along.

use memchr::memchr;

use super::chunk::{RangeFault, RecordRange};
use super::descend::{close, find_array};
use super::members::Members;
use super::pull::{Pull, is_space};
use super::structure::{Recovery, Step, Structure};
use super::token::{Flaw, Malformed};
use crate::decode::Cut;
use crate::decode::cut::bom_len;
use crate::limit::{CHUNK_BYTES, RECORD_BYTES_MAX};
use crate::mapping::{JsonRecords, JsonShape};

/// Finds chunk ends and records, one after another. A source of lines, or of an archive's members,
/// may be entered where a chunk ends; any other is walked from its first byte.
#[derive(Debug)]
pub struct JsonCutter {
    records: JsonRecords,
    /// [`CHUNK_BYTES`], but for tests.
    chunk_bytes: u64,
    /// Offset in the source of the chunk that is looked for.
    chunk_start: u64,
    /// First byte of the chunk that was not looked at.
    at: usize,
    state: State,
    /// The walk through an archive's members.
    members: Members,
    /// Records found in the chunk so far.
    found: Vec<RecordRange>,
    /// The records of the chunk that was cut last.
    cut: Vec<RecordRange>,
}

/// Where the walk is. Positions count from the chunk's first byte.
#[derive(Debug, Clone)]
enum State {
    /// Between documents.
    Outside,
    /// In a document, before its array of records. With less than `enough` bytes it is not worth
    /// looking again.
    Head { start: usize, enough: usize },
    /// In the array, between records.
    Between,
    /// In a record.
    Record { start: usize, walk: Structure },
    /// In a broken record, or what follows one, up to the next that looks like a record.
    Broken { start: usize, recovery: Recovery, fault: Option<RangeFault> },
    /// In a document, behind its array of records.
    Tail { start: usize, enough: usize },
    /// In a record that was too long, of which nothing is kept.
    DropRecord(Structure),
    /// In a broken record that was too long.
    DropBroken { recovery: Recovery, fault: Option<RangeFault> },
    /// The rest of the source belongs to one broken record.
    DropAll,
}

/// What a step of the walk came to.
enum Walked {
    /// On to the next.
    On,
    /// A record or document ends here.
    End,
    /// There is no more in the bytes.
    More,
    /// The record that starts here is too long.
    TooLong(usize),
}

impl JsonCutter {
    /// A cutter for a source in `shape` that is read from byte `start_offset`: 0 or, for lines, a
    /// chunk's end.
    pub fn new(shape: &JsonShape, start_offset: u64) -> Self {
        Self {
            records: shape.records.clone(),
            chunk_bytes: CHUNK_BYTES as u64,
            chunk_start: start_offset,
            at: 0,
            state: State::Outside,
            members: Members::default(),
            found: Vec::new(),
            cut: Vec::new(),
        }
    }

    /// The same with smaller chunks.
    #[cfg(test)]
    pub(super) fn with_chunks_of(self, chunk_bytes: u64) -> Self {
        Self { chunk_bytes, ..self }
    }

    /// Whether a source may be read from a chunk's end, instead of from its start.
    pub fn can_start_anywhere(shape: &JsonShape) -> bool {
        matches!(shape.records, JsonRecords::Lines | JsonRecords::Members)
    }

    /// Offset in the source at which the chunk at hand starts.
    pub fn chunk_start(&self) -> u64 {
        self.chunk_start
    }

    /// The records of the chunk that was cut last; `None`: its lines are.
    pub fn take_records(&mut self) -> Option<Vec<RecordRange>> {
        (self.records != JsonRecords::Lines).then(|| std::mem::take(&mut self.cut))
    }

    /// Looks for the end of the chunk at hand, as [`Cutter::cut`](crate::decode::Cutter::cut)
    /// does. After [`Cut::TooLong`] what follows goes to [`JsonCutter::drop_rest`].
    pub fn cut(&mut self, bytes: &[u8], eof: bool) -> Cut {
        let cut = match self.records {
            JsonRecords::Lines => self.cut_line(bytes, eof),
            JsonRecords::Members => {
                let target = self.target();
                self.members.cut(bytes, eof, target, &mut self.found)
            }
            _ => self.walk(bytes, eof),
        };
        if let Cut::End(len) | Cut::TooLong(len) = cut {
            self.chunk_start += len as u64;
            self.at = 0;
            self.cut = std::mem::take(&mut self.found);
        }
        cut
    }

    /// After [`Cut::TooLong`]: how many of `bytes`, which follow those kept, still belong to the
    /// record that was too long. `None`: all of them, and it goes on.
    pub fn drop_rest(&mut self, bytes: &[u8]) -> Option<usize> {
        let end = match self.records {
            JsonRecords::Lines => memchr(b'\n', bytes).map(|found| found + 1),
            JsonRecords::Members => self.members.drop_rest(bytes),
            _ => self.drop_walked(bytes),
        };
        self.chunk_start += end.unwrap_or(bytes.len()) as u64;
        end
    }

    fn drop_walked(&mut self, bytes: &[u8]) -> Option<usize> {
        if let State::DropRecord(walk) = &mut self.state {
            match walk.run(bytes, 0) {
                Step::More => return None,
                Step::Closed(end) => {
                    self.state = self.between();
                    return Some(end);
                }
                Step::Broken(at) => {
                    // Only from the next line on: this one may have begun in earlier bytes.
                    let recovery = Recovery::of(bytes, at, at, self.in_array());
                    self.state = State::DropBroken { recovery: recovery.loosely(), fault: None };
                }
            }
        }
        let State::DropBroken { recovery, fault } = &mut self.state else { return None };
        match (recovery.run(bytes), *fault) {
            (Some(end), fault) => {
                self.state = self.behind(fault);
                Some(end)
            }
            (None, _) => {
                recovery.follow(bytes);
                None
            }
        }
    }

    /// The state between records.
    fn between(&self) -> State {
        match self.records {
            JsonRecords::Array(_) => State::Between,
            _ => State::Outside,
        }
    }

    /// The state behind a broken record, or behind what was broken around the records.
    fn behind(&self, fault: Option<RangeFault>) -> State {
        if fault.is_some() { State::Outside } else { self.between() }
    }

    fn in_array(&self) -> bool {
        matches!(self.records, JsonRecords::Array(_))
    }

    /// The least position at which the chunk may end.
    fn target(&self) -> usize {
        (self.chunk_bytes - self.chunk_start % self.chunk_bytes) as usize
    }

    fn cut_line(&mut self, bytes: &[u8], eof: bool) -> Cut {
        let target = self.target();
        if bytes.len() < target {
            return if eof { Cut::End(bytes.len()) } else { Cut::NeedMore };
        }
        // The byte before the target may be the line end that makes the target a record end.
        self.at = self.at.max(target - 1);
        let line = memchr::memrchr(b'\n', &bytes[..target - 1]).map_or(0, |found| found + 1);
        let limit = line + RECORD_BYTES_MAX;
        let found = memchr(b'\n', &bytes[self.at..]).map(|found| self.at + found);
        match found {
            Some(end) if end <= limit => Cut::End(end + 1),
            None if bytes.len() <= limit && eof => Cut::End(bytes.len()),
            None if bytes.len() <= limit => {
                self.at = bytes.len();
                Cut::NeedMore
            }
            _ => Cut::TooLong(limit + 1),
        }
    }

    fn walk(&mut self, bytes: &[u8], eof: bool) -> Cut {
        if self.chunk_start == 0 && self.at == 0 {
            if bytes.len() < 3 && !eof {
                return Cut::NeedMore;
            }
            self.at = bom_len(bytes);
        }
        let target = self.target();
        loop {
            match self.step(bytes, eof) {
                Walked::On => {}
                Walked::End if self.at < target => {}
                Walked::End => return Cut::End(self.at),
                Walked::TooLong(start) => {
                    let len = RECORD_BYTES_MAX + 1;
                    self.push(start, start + len, None);
                    return Cut::TooLong(start + len);
                }
                Walked::More if !eof => return Cut::NeedMore,
                Walked::More => {
                    self.end(bytes);
                    return Cut::End(bytes.len());
                }
            }
        }
    }

    fn push(&mut self, start: usize, end: usize, fault: Option<RangeFault>) {
        let (start, len) = (start as u32, (end - start) as u32);
        self.found.push(RecordRange { start, len, fault });
    }

    /// One step of the walk from `self.at` on.
    fn step(&mut self, bytes: &[u8], eof: bool) -> Walked {
        match &mut self.state {
            State::Outside => self.enter(bytes),
            State::Between => self.next_record(bytes),
            State::Record { start, walk } => {
                let start = *start;
                let step = walk.run(bytes, self.at);
                self.end_record(bytes, start, step)
            }
            State::Broken { .. } => self.recover(bytes),
            State::Head { start, enough } => {
                let (start, enough) = (*start, *enough);
                if bytes.len() < enough && !eof {
                    Walked::More
                } else {
                    self.head(bytes, start, eof)
                }
            }
            State::Tail { start, enough } => {
                let (start, enough) = (*start, *enough);
                if bytes.len() < enough && !eof {
                    Walked::More
                } else {
                    self.tail(bytes, start, eof)
                }
            }
            State::DropRecord(_) | State::DropBroken { .. } | State::DropAll => Walked::More,
        }
    }

    /// Steps over white space between documents.
    fn enter(&mut self, bytes: &[u8]) -> Walked {
        self.at += bytes[self.at..].iter().take_while(|byte| is_space(**byte)).count();
        if self.at == bytes.len() {
            return Walked::More;
        }
        let start = self.at;
        self.state = match self.records {
            JsonRecords::Array(_) => State::Head { start, enough: 0 },
            _ => State::Record { start, walk: Structure::default() },
        };
        Walked::On
    }

    /// Steps to the next record of the array, or out of the array. Commas too many or too few lose
    /// nothing.
    fn next_record(&mut self, bytes: &[u8]) -> Walked {
        let gap = bytes[self.at..].iter().take_while(|byte| is_space(**byte) || **byte == b',');
        self.at += gap.count();
        match bytes.get(self.at) {
            None => return Walked::More,
            Some(b']') => {
                self.at += 1;
                self.state = State::Tail { start: self.at, enough: 0 };
            }
            Some(_) => {
                self.state = State::Record { start: self.at, walk: Structure::default() };
            }
        }
        Walked::On
    }

    fn end_record(&mut self, bytes: &[u8], start: usize, step: Step) -> Walked {
        let end = match step {
            Step::Closed(end) => end,
            Step::More => bytes.len(),
            Step::Broken(at) => at,
        };
        if end - start > RECORD_BYTES_MAX {
            // What is kept of it, and no more, is walked again.
            let mut walk = Structure::default();
            walk.run(&bytes[..start + RECORD_BYTES_MAX + 1], start);
            self.state = State::DropRecord(walk);
            return Walked::TooLong(start);
        }
        self.at = end;
        match step {
            Step::Closed(_) => {
                self.push(start, end, None);
                self.state = self.between();
                Walked::End
            }
            Step::More => Walked::More,
            Step::Broken(at) => {
                self.break_at(bytes, start, at, None);
                Walked::On
            }
        }
    }

    fn break_at(&mut self, bytes: &[u8], start: usize, at: usize, fault: Option<RangeFault>) {
        let recovery = Recovery::of(bytes, start, at, self.in_array() && fault.is_none());
        self.state = State::Broken { start, recovery, fault };
    }

    fn recover(&mut self, bytes: &[u8]) -> Walked {
        let State::Broken { start, recovery, fault } = &mut self.state else { return Walked::On };
        let (start, fault, end) = (*start, *fault, recovery.run(bytes));
        if end.unwrap_or(bytes.len()) - start > RECORD_BYTES_MAX {
            let at_line = bytes[start + RECORD_BYTES_MAX] == b'\n';
            let recovery = recovery.clone().anew(at_line);
            self.state = State::DropBroken { recovery, fault };
            return Walked::TooLong(start);
        }
        let Some(end) = end else { return Walked::More };
        self.push(start, start + content_len(&bytes[start..end]), fault);
        self.at = end;
        self.state = self.behind(fault);
        Walked::End
    }

    /// Looks for the array of records in the document that starts here.
    fn head(&mut self, bytes: &[u8], start: usize, eof: bool) -> Walked {
        let JsonRecords::Array(path) = &self.records else { return Walked::On };
        let mut pull = Pull::new(&bytes[start..]);
        let found = find_array(&mut pull, path);
        if pull.position() > RECORD_BYTES_MAX {
            self.state = State::DropAll;
            return Walked::TooLong(start);
        }
        match found {
            Ok(true) => {
                self.at = start + pull.position();
                self.state = State::Between;
                Walked::On
            }
            // A bare number or word may go on in bytes that are still to come.
            Ok(false) if !eof && is_open(&bytes[start..], pull.position()) => {
                self.state = State::Head { start, enough: bytes.len() + 1 };
                Walked::More
            }
            Ok(false) => {
                self.at = start + pull.position();
                self.push(start, self.at, Some(RangeFault::NoArray));
                self.state = State::Outside;
                Walked::End
            }
            Err(malformed) => self.around(bytes, start, malformed, eof, None),
        }
    }

    /// Checks what stands between the array's closing bracket and the document's end.
    fn tail(&mut self, bytes: &[u8], start: usize, eof: bool) -> Walked {
        let JsonRecords::Array(path) = &self.records else { return Walked::On };
        let mut pull = Pull::inside(&bytes[start..], path.len());
        let closed = close(&mut pull, path);
        if pull.position() > RECORD_BYTES_MAX {
            self.state = State::DropAll;
            return Walked::TooLong(start);
        }
        match closed {
            Ok(once) => {
                self.at = start + pull.position();
                if !once {
                    self.push(start, self.at, Some(RangeFault::BadTail));
                }
                self.state = State::Outside;
                Walked::End
            }
            Err(malformed) => self.around(bytes, start, malformed, eof, Some(RangeFault::BadTail)),
        }
    }

    /// What stands around an array is not all there, or no JSON.
    fn around(
        &mut self,
        bytes: &[u8],
        start: usize,
        malformed: Malformed,
        eof: bool,
        fault: Option<RangeFault>,
    ) -> Walked {
        let ends = matches!(malformed.what, Flaw::Ends(_));
        if !ends {
            // The document is lost: what comes next is outside of it.
            self.break_at(bytes, start, start + malformed.at, fault.or(Some(RangeFault::NoArray)));
            return Walked::On;
        }
        if !eof {
            let enough = start + 2 * (bytes.len() - start);
            self.state = match self.state {
                State::Tail { .. } => State::Tail { start, enough },
                _ => State::Head { start, enough },
            };
        }
        Walked::More
    }

    /// The source ends here: what is open is a record that is refused.
    fn end(&mut self, bytes: &[u8]) {
        let (start, fault) = match &self.state {
            State::Record { start, .. } => (*start, None),
            State::Broken { start, fault, .. } => (*start, *fault),
            State::Head { start, .. } | State::Tail { start, .. } => {
                (*start, Some(RangeFault::CutOff))
            }
            State::Between => (bytes.len(), Some(RangeFault::CutOff)),
            State::Outside | State::DropRecord(_) | State::DropBroken { .. } | State::DropAll => {
                return;
            }
        };
        self.push(start, start + content_len(&bytes[start..]), fault);
        self.at = bytes.len();
        self.state = State::Outside;
    }
}

/// Whether a value that ends where the bytes do has no end of its own.
fn is_open(bytes: &[u8], end: usize) -> bool {
    end == bytes.len() && !matches!(bytes.last(), Some(b'}' | b']' | b'"'))
}

/// Bytes of a record without what may stand between it and the next.
fn content_len(bytes: &[u8]) -> usize {
    let gap = bytes.iter().rev().take_while(|byte| is_space(**byte) || **byte == b',');
    bytes.len() - gap.count()
}
