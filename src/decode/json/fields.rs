//! Takes one JSON record apart: the values that columns are read from, as bytes, whatever else the
//! record holds. It parses each record once, in one go, and checks all of it.

use super::pull::Pull;
use super::token::{Malformed, Text, Value};
use crate::decode::fault::shown;
use crate::decode::rows::Record;
use crate::mapping::{FieldSource, JsonShape, Mapping, ValueKind};

/// Which values are wanted, and where those of the record at hand are.
#[derive(Debug)]
pub(super) struct Scanner {
    /// What is wanted of objects and arrays; the first is the record itself.
    nodes: Vec<Node>,
    elements: Option<(usize, usize)>,
    slots: Vec<Slot>,
    /// Values that had to be copied: texts with escapes.
    copied: Vec<u8>,
    /// The ordinal of the record at hand, to tell what was met in it.
    ordinal: u64,
}

/// What is wanted of one object or array.
#[derive(Debug, Default)]
struct Node {
    entries: Vec<Entry>,
    /// The entry that is likely to come next: records of a source are built alike.
    next: usize,
    /// The record in which it was met last.
    met: u64,
}

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    /// The position in an array that the key may also be.
    position: Option<usize>,
    /// The value itself is wanted.
    wanted: Option<Wanted>,
    /// Something inside of it is wanted.
    node: Option<usize>,
}

#[derive(Debug)]
struct Wanted {
    slot: usize,
    /// The column that is read from it, for messages.
    column: Box<str>,
    /// Whether it may be an object or array.
    parts: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    start: usize,
    end: usize,
    met: bool,
    copied: bool,
}

/// Why a record cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unfit {
    Malformed(Malformed),
    /// A key that is wanted comes twice.
    Twice(String),
    /// A column would need several values at once.
    Parts {
        column: String,
        value: String,
    },
    /// A text escapes a NUL, which the server cannot hold.
    Nul {
        column: String,
    },
    /// The record is no object or array.
    NoRecord {
        wanted: &'static str,
    },
    TooFew {
        found: usize,
        min: usize,
    },
    TooMany {
        found: usize,
        max: usize,
    },
}

impl From<Malformed> for Unfit {
    fn from(malformed: Malformed) -> Self {
        Unfit::Malformed(malformed)
    }
}

impl Unfit {
    pub fn rule(&self) -> &'static str {
        match self {
            Unfit::Malformed(malformed) => malformed.rule(),
            Unfit::Twice(_) => "duplicate_key",
            Unfit::Parts { .. } => "nested_value",
            Unfit::Nul { .. } => "nul_byte",
            Unfit::NoRecord { .. } => "no_record",
            Unfit::TooFew { .. } => "too_few_fields",
            Unfit::TooMany { .. } => "too_many_fields",
        }
    }

    pub fn column(&self) -> Option<&str> {
        match self {
            Unfit::Parts { column, .. } | Unfit::Nul { column } => Some(column),
            _ => None,
        }
    }

    #[cold]
    pub fn reason(&self) -> String {
        match self {
            Unfit::Malformed(malformed) => malformed.reason(),
            Unfit::Twice(key) => format!("the key {key:?} comes twice: which one counts?"),
            Unfit::Parts { column, value } => {
                format!("column {column}: {value} has parts where one value is needed")
            }
            Unfit::Nul { column } => format!("column {column}: the text escapes a NUL character"),
            Unfit::NoRecord { wanted } => format!("the record is no {wanted}"),
            Unfit::TooFew { found, min } => {
                format!("the record has {found} elements where at least {min} are needed")
            }
            Unfit::TooMany { found, max } => {
                format!("the record has {found} elements where {max} fit")
            }
        }
    }
}

impl Scanner {
    /// A scanner for the fields that the mapping reads.
    pub fn new(mapping: &Mapping, shape: &JsonShape) -> Self {
        let mut scanner = Self {
            nodes: vec![Node::default()],
            elements: shape.elements,
            slots: vec![Slot::default(); shape.fields.len()],
            copied: Vec::new(),
            ordinal: 0,
        };
        for column in &mapping.columns {
            let (one, two) = match column.source {
                FieldSource::Field(at) => (Some(at), None),
                FieldSource::Joined(one, two) => (Some(one), Some(two)),
                FieldSource::Constant(_) => (None, None),
            };
            for at in [one, two].into_iter().flatten() {
                if let Some(path) = shape.fields.get(at) {
                    // A text may be anything, an object too: it is stored as it is written.
                    let parts = column.kind == ValueKind::Text;
                    scanner.want(path, Wanted { slot: at, column: (*column.name).into(), parts });
                }
            }
        }
        scanner
    }

    fn want(&mut self, path: &[String], mut wanted: Wanted) {
        let Some((last, inner)) = path.split_last() else { return };
        let mut node = 0;
        for key in inner {
            let entry = self.entry(node, key);
            let known = self.nodes[node].entries[entry].node;
            let next = known.unwrap_or(self.nodes.len());
            if known.is_none() {
                self.nodes[node].entries[entry].node = Some(next);
                self.nodes.push(Node::default());
            }
            node = next;
        }
        let entry = self.entry(node, last);
        let entry = &mut self.nodes[node].entries[entry];
        wanted.parts &= entry.wanted.as_ref().is_none_or(|other| other.parts);
        entry.wanted = Some(wanted);
    }

    /// The entry of this key, made if it is not there.
    fn entry(&mut self, node: usize, key: &str) -> usize {
        let entries = &mut self.nodes[node].entries;
        let known = entries.iter().position(|entry| *entry.key == *key.as_bytes());
        known.unwrap_or_else(|| {
            let (key, position) = (key.as_bytes().into(), key.parse().ok());
            entries.push(Entry { key, position, wanted: None, node: None });
            entries.len() - 1
        })
    }

    /// Takes a record apart.
    #[inline]
    pub fn scan<'s>(&'s mut self, record: &'s [u8]) -> Result<Found<'s>, Unfit> {
        self.slots.fill(Slot::default());
        self.copied.clear();
        self.ordinal += 1;
        let mut pull = Pull::new(record);
        match (pull.value()?, self.elements) {
            (Value::Object, None) => self.object(&mut pull, 0)?,
            (Value::Array, Some((min, max))) => {
                let found = self.array(&mut pull, 0)?;
                pull.end()?;
                if found < min {
                    return Err(Unfit::TooFew { found, min });
                }
                if found > max {
                    return Err(Unfit::TooMany { found, max });
                }
            }
            (other, elements) => {
                pull.skip_rest(other)?;
                pull.end()?;
                let wanted = if elements.is_some() { "JSON array" } else { "JSON object" };
                return Err(Unfit::NoRecord { wanted });
            }
        }
        pull.end()?;
        Ok(Found { record, copied: &self.copied, slots: &self.slots })
    }

    fn object(&mut self, pull: &mut Pull<'_>, node: usize) -> Result<(), Unfit> {
        while let Some(key) = pull.key()? {
            match self.nodes[node].find(key) {
                Some(entry) => self.take(pull, node, entry)?,
                None => {
                    pull.skip()?;
                }
            }
        }
        Ok(())
    }

    fn array(&mut self, pull: &mut Pull<'_>, node: usize) -> Result<usize, Unfit> {
        let mut elements = 0;
        while pull.element()? {
            match self.nodes[node].at(elements) {
                Some(entry) => self.take(pull, node, entry)?,
                None => {
                    pull.skip()?;
                }
            }
            elements += 1;
        }
        Ok(elements)
    }

    /// Takes the value of an entry.
    fn take(&mut self, pull: &mut Pull<'_>, node: usize, entry: usize) -> Result<(), Unfit> {
        let value = pull.value()?;
        let start = pull.position() - 1;
        match (value, self.nodes[node].entries[entry].node) {
            (Value::Object | Value::Array, Some(inner)) => {
                if std::mem::replace(&mut self.nodes[inner].met, self.ordinal) == self.ordinal {
                    return Err(self.nodes[node].twice(entry));
                }
                if value == Value::Object {
                    self.object(pull, inner)?;
                } else {
                    self.array(pull, inner)?;
                }
            }
            _ => pull.skip_rest(value)?,
        }
        let Some(wanted) = &self.nodes[node].entries[entry].wanted else { return Ok(()) };
        let slot = &mut self.slots[wanted.slot];
        if slot.met {
            return Err(self.nodes[node].twice(entry));
        }
        slot.met = true;
        let end = pull.position();
        (slot.start, slot.end) = match value {
            Value::Null => (end, end),
            Value::Bool(value) => (end - if value { 4 } else { 5 }, end),
            Value::Number(number) => (end - number.len(), end),
            Value::Text(text) if !text.is_escaped() => (end - 1 - text.raw().len(), end - 1),
            Value::Text(text) => {
                slot.copied = true;
                let from = self.copied.len();
                text.unescape(&mut self.copied);
                if self.copied[from..].contains(&0) {
                    return Err(Unfit::Nul { column: String::from(&*wanted.column) });
                }
                (from, self.copied.len())
            }
            Value::Object | Value::Array if wanted.parts => (start, end),
            Value::Object | Value::Array => {
                let column = String::from(&*wanted.column);
                return Err(Unfit::Parts { column, value: shown(pull.slice(start..end)) });
            }
        };
        Ok(())
    }
}

impl Node {
    /// The entry of a key.
    #[inline]
    fn find(&mut self, key: Text<'_>) -> Option<usize> {
        if let Some(likely) = self.entries.get(self.next)
            && !key.is_escaped()
            && *likely.key == *key.raw()
        {
            return Some(self.passed(self.next));
        }
        let found = self.entries.iter().position(|entry| key.is(&entry.key));
        found.map(|found| self.passed(found))
    }

    #[inline]
    fn passed(&mut self, entry: usize) -> usize {
        self.next = if entry + 1 == self.entries.len() { 0 } else { entry + 1 };
        entry
    }

    #[cold]
    fn twice(&self, entry: usize) -> Unfit {
        Unfit::Twice(String::from_utf8_lossy(&self.entries[entry].key).into_owned())
    }

    /// The entry of an array's element.
    #[inline]
    fn at(&self, position: usize) -> Option<usize> {
        // Positions come in order, and so do entries where all are positions.
        if self.entries.get(position).is_some_and(|entry| entry.position == Some(position)) {
            return Some(position);
        }
        self.entries.iter().position(|entry| entry.position == Some(position))
    }
}

/// A record taken apart.
#[derive(Debug)]
pub(super) struct Found<'a> {
    record: &'a [u8],
    copied: &'a [u8],
    slots: &'a [Slot],
}

impl Record for Found<'_> {
    #[inline]
    fn field(&self, at: usize) -> &[u8] {
        let Some(slot) = self.slots.get(at) else { return &[] };
        let bytes = if slot.copied { self.copied } else { self.record };
        bytes.get(slot.start..slot.end).unwrap_or_default()
    }
}
