//! A chunk of JSON becomes a batch: each of its records goes to a record decoder, and what that
//! refuses becomes a reject with the record's own bytes, line and offset.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use memchr::{memchr, memchr_iter};

use super::flat::FlatRecords;
use super::pull::is_space;
use crate::batch::{Child, Chunk, Reject};
use crate::decode::cut::bom_len;
use crate::decode::fault::Broken;
use crate::decode::killmail::Killmails;
use crate::decode::{DecodeError, Decoded};
use crate::limit::{RECORD_BYTES_MAX, REJECT_RAW_BYTES_MAX};
use crate::mapping::{JsonShape, Mapping};
use crate::span::RowPlace;

/// Records of one dataset, which take one record after another.
pub trait RecordDecoder: Send {
    /// Takes the rows of one record: valid UTF-8, and perhaps no JSON. On a fault nothing of it is
    /// kept.
    ///
    /// # Errors
    /// Why the record is a reject.
    fn take(&mut self, record: &[u8]) -> Result<Taken, RecordFault>;

    /// The rows of all records that were taken, in order; starts anew.
    ///
    /// # Errors
    /// Only if Arrow refuses the arrays, which would be a fault of this program.
    fn finish(&mut self) -> Result<TakenRows, DecodeError>;
}

/// Makes the record decoder of a dataset.
type Make = fn(&Mapping, &JsonShape) -> Result<Box<dyn RecordDecoder>, DecodeError>;

/// Datasets whose records become rows of several tables, by name.
const OF_DATASETS: &[(&str, Make)] =
    &[("killmails", |mapping, _| Ok(Box::new(Killmails::of(mapping))))];

/// What became of a good record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is one row of the root table, with any number of children.
    Row,
    /// It lies outside the window of times, or holds nothing on purpose.
    Skipped,
}

/// Rows of a batch.
#[derive(Debug, Clone)]
pub struct TakenRows {
    /// The root table's, one for each record that was a [`Taken::Row`].
    pub root: RecordBatch,
    /// Those of other tables.
    pub children: Vec<Child>,
}

/// Why a record is a reject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFault {
    /// The rule's stable name.
    pub rule: Cow<'static, str>,
    /// The column at fault, if one is.
    pub column: Option<String>,
    /// What is wrong, for a person.
    pub reason: String,
}

/// A part of a JSON source, cut at record ends.
#[derive(Debug, Clone)]
pub struct JsonPiece {
    /// Its bytes.
    pub chunk: Arc<Chunk>,
    /// Its records in order; `None`: its lines are.
    pub records: Option<Vec<RecordRange>>,
    /// Whether it starts its source, so that a byte order mark may stand before it.
    pub first: bool,
}

/// Where a record is in its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRange {
    /// Its first byte.
    pub start: u32,
    /// Its bytes.
    pub len: u32,
    /// What is known to be wrong with it.
    pub fault: Option<RangeFault>,
}

/// What is wrong around records: each counts as one that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeFault {
    /// The source ends before the document does: records may be missing. May have no bytes.
    CutOff,
    /// The document has no array where its records should be.
    NoArray,
    /// What follows in an archive is no member: members may be missing.
    BadMember,
    /// What follows the array is not the rest of its document.
    BadTail,
}

impl RangeFault {
    fn rule(self) -> &'static str {
        match self {
            RangeFault::CutOff => "truncated_document",
            RangeFault::NoArray => "no_array",
            RangeFault::BadMember => "bad_member",
            RangeFault::BadTail => "bad_tail",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            RangeFault::CutOff => {
                "the source ends before its document does: records may be missing; fetch it again"
            }
            RangeFault::NoArray => "the document has no array where its records should be",
            RangeFault::BadMember => {
                "this is no header of an archive's member: what follows was not read; fetch the \
                 archive again"
            }
            RangeFault::BadTail => {
                "what follows the array of records is not the rest of one JSON document; if there \
                 are records in it, they were not read"
            }
        }
    }
}

impl JsonPiece {
    /// A piece made of whole documents, each of which is one record: members of an archive.
    pub fn of_documents<'a>(documents: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        for document in documents {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(document);
            records.push(RecordRange { start, len: document.len() as u32, fault: None });
            bytes.push(b'\n');
        }
        Self { chunk: Arc::new(Chunk { bytes }), records: Some(records), first: false }
    }
}

/// Decodes pieces of one source, or of sources with the same shape and mapping. Not shared between
/// threads: each has its own.
pub struct JsonDecoder {
    records: Box<dyn RecordDecoder>,
    /// Rows of the last batch: the best guess for the next.
    expected: usize,
}

impl std::fmt::Debug for JsonDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonDecoder").finish_non_exhaustive()
    }
}

/// What a piece has become so far.
struct Output<'a> {
    bytes: &'a [u8],
    places: Vec<RowPlace>,
    rejects: Vec<Reject>,
    skipped: u64,
    records: u32,
    /// Physical lines before `line_of`.
    line: u32,
    line_of: usize,
    /// Whether each record must be looked at for UTF-8.
    doubt_utf8: bool,
}

impl JsonDecoder {
    /// A decoder for records of this shape and mapping: the dataset's own, or one row each.
    ///
    /// # Errors
    /// Names the column whose constant is not of its kind, whose field the shape does not have, or
    /// which lacks a time rule.
    pub fn new(mapping: &Mapping, shape: &JsonShape) -> Result<Self, DecodeError> {
        let own = OF_DATASETS.iter().find(|(dataset, _)| *dataset == mapping.dataset);
        match own {
            Some((_, make)) => Ok(Self::of(make(mapping, shape)?)),
            None => Ok(Self::of(Box::new(FlatRecords::new(mapping, shape)?))),
        }
    }

    /// A decoder whose records are another's to take.
    pub fn of(records: Box<dyn RecordDecoder>) -> Self {
        Self { records, expected: 0 }
    }

    /// Decodes a piece.
    ///
    /// # Errors
    /// Only if Arrow refuses the arrays, which would be a fault of this program.
    pub fn decode(&mut self, piece: &JsonPiece) -> Result<Decoded, DecodeError> {
        let bytes = piece.chunk.bytes.as_slice();
        let mut out = Output {
            bytes,
            places: Vec::with_capacity(self.expected),
            rejects: Vec::new(),
            skipped: 0,
            records: 0,
            line: 0,
            line_of: 0,
            doubt_utf8: std::str::from_utf8(bytes).is_err(),
        };
        match &piece.records {
            Some(records) => {
                for record in records {
                    self.take(&mut out, *record);
                }
            }
            None => self.take_lines(&mut out, if piece.first { bom_len(bytes) } else { 0 }),
        }
        self.expected = out.places.len();
        let lines = u64::from(out.line) + memchr_iter(b'\n', &bytes[out.line_of..]).count() as u64;
        let TakenRows { root, children } = self.records.finish()?;
        Ok(Decoded {
            root,
            places: out.places,
            children,
            rejects: out.rejects.into(),
            skipped: out.skipped,
            lines,
        })
    }

    fn take_lines(&mut self, out: &mut Output<'_>, mut at: usize) {
        let bytes = out.bytes;
        while at < bytes.len() {
            let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |found| at + found);
            let line = &bytes[at..end];
            let blank = line.iter().take_while(|byte| is_space(**byte)).count();
            let trailing = line[blank..].iter().rev().take_while(|byte| is_space(**byte)).count();
            let (start, len) = if line.len() > RECORD_BYTES_MAX {
                (at, line.len())
            } else {
                (at + blank, (line.len() - blank).saturating_sub(trailing))
            };
            out.line_of = start;
            if len > 0 {
                self.take(out, RecordRange { start: start as u32, len: len as u32, fault: None });
            }
            // A last line without an end is a line.
            out.line += 1;
            out.line_of = (end + 1).min(bytes.len());
            at = end + 1;
        }
    }

    #[inline]
    fn take(&mut self, out: &mut Output<'_>, range: RecordRange) {
        let record = &out.bytes[range.start as usize..][..range.len as usize];
        out.count_lines(range.start as usize);
        let RecordRange { start: offset, len, .. } = range;
        let place = RowPlace { row: out.records, line: out.line, offset, len };
        out.records += 1;
        if let Some(fault) = range.fault {
            out.reject(place, fault.rule().into(), None, fault.reason().to_owned());
            return;
        }
        let broken = if record.len() > RECORD_BYTES_MAX {
            Some(Broken::TooLong { max: RECORD_BYTES_MAX })
        } else {
            (out.doubt_utf8 && std::str::from_utf8(record).is_err()).then_some(Broken::InvalidUtf8)
        };
        if let Some(broken) = broken {
            out.reject(place, broken.rule().into(), None, broken.reason().into_owned());
            return;
        }
        match self.records.take(record) {
            Ok(Taken::Row) => out.places.push(place),
            Ok(Taken::Skipped) => out.skipped += 1,
            Err(RecordFault { rule, column, reason }) => out.reject(place, rule, column, reason),
        }
    }
}

impl Output<'_> {
    /// Counts the lines up to a position, which is not before the last.
    #[inline]
    fn count_lines(&mut self, to: usize) {
        let ends = memchr_iter(b'\n', &self.bytes[self.line_of..to]).count();
        (self.line, self.line_of) = (self.line + ends as u32, to);
    }

    #[cold]
    fn reject(
        &mut self,
        place: RowPlace,
        rule: Cow<'static, str>,
        column: Option<String>,
        reason: String,
    ) {
        let raw = &self.bytes[place.offset as usize..][..place.len as usize];
        self.rejects.push(Reject {
            row: place.row,
            line: place.line,
            offset: u64::from(place.offset),
            len: u64::from(place.len),
            rule,
            column,
            sqlstate: None,
            reason,
            raw: raw[..raw.len().min(REJECT_RAW_BYTES_MAX)].to_vec(),
        });
    }
}
