//! Runs merged: the rows of one route, or of a range of its keys, in key order, each key once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{concat, interleave};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType,
};

use super::key::Ranks;
use super::run::{RunReader, origins};
use super::words::decode;
use super::{Key, KeyPlan, Origin, Run, SpillError, Words};

/// What is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The route.
    pub route: i64,
    /// The first key, if not all from the start.
    pub from: Option<Key>,
    /// The first key after it, if not all to the end.
    pub to: Option<Key>,
}

/// A record whose key another record has, which won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Where it is.
    pub origin: Origin,
    /// Whether its other values are not the winner's.
    pub differs: bool,
}

/// Merged rows.
#[derive(Debug)]
pub struct Merged {
    /// The rows, as they were before they were spilled.
    pub rows: RecordBatch,
    /// Where each comes from.
    pub origins: Vec<Origin>,
    /// Records that lost.
    pub lost: Vec<Lost>,
}

/// The order of a finished set of runs.
#[derive(Debug)]
pub struct Order {
    keys: KeyPlan,
    ranks: Ranks,
    /// The words of each column that has them.
    words: Vec<Option<ArrayRef>>,
    schema: SchemaRef,
    last_wins: bool,
}

impl Order {
    /// The order of runs that were written with these words and keys, from batches of this schema.
    /// Of equal keys the first record wins, or the last.
    pub fn new(keys: KeyPlan, words: &Words, schema: SchemaRef, last_wins: bool) -> Self {
        let ranks = keys.ranks(words);
        let words = (0..schema.fields().len()).map(|column| words.values(column)).collect();
        Self { keys, ranks, words, schema, last_wins }
    }

    /// A merge of nothing.
    pub fn nothing(&self) -> Merged {
        let rows = RecordBatch::new_empty(SchemaRef::clone(&self.schema));
        Merged { rows, origins: Vec::new(), lost: Vec::new() }
    }

    /// Keys at which the rows of a route can be cut into parts of about `rows` each.
    pub fn cuts(&self, runs: &[Run], route: i64, rows: usize) -> Vec<Key> {
        let blocks = runs.iter().flat_map(|run| &run.blocks);
        let mut firsts: Vec<(Key, usize)> = blocks
            .filter(|block| block.route == route)
            .map(|block| (self.keys.pack_raw(&block.first, &self.ranks), block.rows))
            .collect();
        firsts.sort_unstable();
        let mut cuts = Vec::new();
        let mut gathered = 0;
        for (key, in_block) in firsts {
            if gathered >= rows && cuts.last() != Some(&key) {
                cuts.push(key);
                gathered = 0;
            }
            gathered += in_block;
        }
        cuts
    }
}

/// A merge under way.
pub struct Merge<'a> {
    order: &'a Order,
    cursors: Vec<Cursor<'a>>,
    heap: BinaryHeap<Reverse<(Key, u64, usize)>>,
    range: Range,
    left_out: HashSet<Origin>,
}

/// Where a merge stands in one run.
struct Cursor<'a> {
    reader: RunReader<'a>,
    /// The run's blocks that are still to be read, as positions.
    blocks: std::ops::Range<usize>,
    block: RecordBatch,
    keys: Vec<Key>,
    at: usize,
    /// Position of `block` among the sources of the batch that is being made.
    source: Option<usize>,
}

impl<'a> Merge<'a> {
    /// Begins to merge.
    ///
    /// # Errors
    /// Files and Arrow.
    pub fn new(runs: &'a [Run], order: &'a Order, range: Range) -> Result<Self, SpillError> {
        let mut merge = Self {
            order,
            cursors: Vec::new(),
            heap: BinaryHeap::new(),
            range,
            left_out: HashSet::new(),
        };
        for run in runs {
            let first_key = |at: usize| order.keys.pack_raw(&run.blocks[at].first, &order.ranks);
            let start = run.blocks.partition_point(|block| block.route < range.route);
            let end = run.blocks.partition_point(|block| block.route <= range.route);
            let before = |at: usize, key: Key| first_key(at) < key;
            let mut blocks = start..end;
            if let Some(from) = range.from {
                // The block before the first that starts at or after it may hold it.
                let later = first_where(start..end, |at| !before(at, from));
                blocks.start = later.saturating_sub(1).max(start);
            }
            if let Some(to) = range.to {
                blocks.end = first_where(start..end, |at| !before(at, to));
            }
            if blocks.is_empty() {
                continue;
            }
            let block = RecordBatch::new_empty(SchemaRef::clone(&order.schema));
            let reader = run.reader()?;
            let cursor = Cursor { reader, blocks, block, keys: Vec::new(), at: 0, source: None };
            merge.cursors.push(cursor);
            merge.enter(merge.cursors.len() - 1)?;
        }
        Ok(merge)
    }

    /// Merges as if these records had never been.
    #[must_use]
    pub fn leaving_out(mut self, records: HashSet<Origin>) -> Self {
        self.left_out = records;
        self
    }

    /// Puts a new cursor at its first row of the range.
    fn enter(&mut self, at: usize) -> Result<(), SpillError> {
        let cursor = &mut self.cursors[at];
        while cursor.load(self.order, self.range.to)? {
            if let Some(from) = self.range.from {
                cursor.at = cursor.keys.partition_point(|&key| key < from);
            }
            if let Some((key, origin)) = cursor.head() {
                self.heap.push(Reverse((key, origin, at)));
                break;
            }
        }
        Ok(())
    }

    /// The next rows, about `rows_max` of them; `None` at the end.
    ///
    /// # Errors
    /// Files and Arrow.
    pub fn next_rows(&mut self, rows_max: usize) -> Result<Option<Merged>, SpillError> {
        let mut taken = Taken::new(self.order);
        self.cursors.iter_mut().for_each(|cursor| cursor.source = None);
        'heap: while let Some(Reverse((_, _, at))) = self.heap.pop() {
            let next = self.heap.peek().map(|Reverse((key, origin, _))| (*key, *origin));
            let cursor = &mut self.cursors[at];
            while let Some(head) = cursor.head() {
                if next.is_some_and(|next| next < head) {
                    self.heap.push(Reverse((head.0, head.1, at)));
                    continue 'heap;
                }
                // Equal keys stay together, so that all of them are judged.
                if taken.rows >= rows_max && taken.last != Some(head.0) {
                    self.heap.push(Reverse((head.0, head.1, at)));
                    break 'heap;
                }
                if !self.left_out.contains(&Origin::from_number(head.1)) {
                    taken.take(cursor, head);
                }
                cursor.at += 1;
                if cursor.at == cursor.keys.len() {
                    cursor.load(self.order, self.range.to)?;
                }
            }
        }
        if taken.rows == 0 {
            return Ok(None);
        }
        taken.finish().map(Some)
    }
}

fn first_where(range: std::ops::Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

impl Cursor<'_> {
    /// Reads the next block, without rows at or after `to`. `false`: there is none.
    fn load(&mut self, order: &Order, to: Option<Key>) -> Result<bool, SpillError> {
        self.keys.clear();
        (self.at, self.source) = (0, None);
        let Some(next) = self.blocks.next() else { return Ok(false) };
        self.block = self.reader.block(next)?;
        self.keys = order.keys.pack(&self.block, &order.ranks);
        if let Some(to) = to {
            self.keys.truncate(self.keys.partition_point(|&key| key < to));
        }
        Ok(true)
    }

    fn head(&self) -> Option<(Key, u64)> {
        let key = *self.keys.get(self.at)?;
        Some((key, origins(&self.block)[self.at]))
    }
}

/// The rows taken for one output batch.
struct Taken<'a> {
    order: &'a Order,
    /// Blocks that rows are taken from.
    sources: Vec<RecordBatch>,
    /// Stretches of rows: source, first row, rows.
    pieces: Vec<(usize, usize, usize)>,
    origins: Vec<Origin>,
    lost: Vec<Lost>,
    rows: usize,
    last: Option<Key>,
}

impl<'a> Taken<'a> {
    fn new(order: &'a Order) -> Self {
        Self {
            order,
            sources: Vec::new(),
            pieces: Vec::new(),
            origins: Vec::new(),
            lost: Vec::new(),
            rows: 0,
            last: None,
        }
    }

    /// Takes the row at the cursor, or notes that it lost.
    fn take(&mut self, cursor: &mut Cursor<'_>, (key, origin): (Key, u64)) {
        let source = *cursor.source.get_or_insert_with(|| {
            self.sources.push(cursor.block.clone());
            self.sources.len() - 1
        });
        let origin = Origin::from_number(origin);
        if self.last == Some(key) {
            self.judge(source, cursor.at, origin);
            return;
        }
        self.last = Some(key);
        self.add(source, cursor.at, origin);
    }

    fn add(&mut self, source: usize, row: usize, origin: Origin) {
        match self.pieces.last_mut() {
            Some((of, start, len)) if *of == source && *start + *len == row => *len += 1,
            _ => self.pieces.push((source, row, 1)),
        }
        self.origins.push(origin);
        self.rows += 1;
    }

    /// Two records with one key: the winner stays, the other is noted.
    fn judge(&mut self, source: usize, row: usize, origin: Origin) {
        let (Some(&mut (of, start, ref mut len)), Some(&winner)) =
            (self.pieces.last_mut(), self.origins.last())
        else {
            return;
        };
        let differs =
            self.order.differ((&self.sources[of], start + *len - 1), (&self.sources[source], row));
        if !self.order.last_wins {
            self.lost.push(Lost { origin, differs });
            return;
        }
        *len -= 1;
        if *len == 0 {
            self.pieces.pop();
        }
        self.origins.pop();
        self.rows -= 1;
        self.lost.push(Lost { origin: winner, differs });
        self.add(source, row, origin);
    }

    fn finish(self) -> Result<Merged, SpillError> {
        let schema = &self.order.schema;
        let mut columns = Vec::with_capacity(schema.fields().len());
        // Long stretches are copied as such, scattered rows are picked one by one.
        let places: Option<Vec<(usize, usize)>> = (self.pieces.len() * 4 > self.rows).then(|| {
            let rows = |&(of, start, len): &(usize, usize, usize)| {
                (start..start + len).map(move |row| (of, row))
            };
            self.pieces.iter().flat_map(rows).collect()
        });
        for (at, field) in schema.fields().iter().enumerate() {
            let column = match &places {
                Some(places) => {
                    let arrays: Vec<&dyn Array> =
                        self.sources.iter().map(|source| source.column(at).as_ref()).collect();
                    interleave(&arrays, places)?
                }
                None => {
                    let slices: Vec<ArrayRef> = (self.pieces.iter())
                        .map(|&(of, start, len)| self.sources[of].column(at).slice(start, len))
                        .collect();
                    let slices: Vec<&dyn Array> = slices.iter().map(AsRef::as_ref).collect();
                    concat(&slices)?
                }
            };
            columns.push(match &self.order.words[at] {
                Some(words) if matches!(field.data_type(), DataType::Dictionary(..)) => {
                    decode(&column, words)?
                }
                _ => column,
            });
        }
        let rows = RecordBatch::try_new(SchemaRef::clone(schema), columns)?;
        Ok(Merged { rows, origins: self.origins, lost: self.lost })
    }
}

impl Order {
    /// Whether two spilled rows differ outside the key.
    fn differ(&self, a: (&RecordBatch, usize), b: (&RecordBatch, usize)) -> bool {
        let outside = (0..self.schema.fields().len()).filter(|&column| !self.keys.has(column));
        outside
            .into_iter()
            .any(|column| !same_value(a.0.column(column), a.1, b.0.column(column), b.1))
    }
}

/// Whether two values of one column are equal; nulls are equal to each other.
fn same_value(a: &ArrayRef, a_row: usize, b: &ArrayRef, b_row: usize) -> bool {
    if a.is_null(a_row) || b.is_null(b_row) {
        return a.is_null(a_row) && b.is_null(b_row);
    }
    match a.data_type() {
        DataType::Float64 => {
            let (a, b) = (a.as_primitive::<Float64Type>(), b.as_primitive::<Float64Type>());
            a.value(a_row).to_bits() == b.value(b_row).to_bits()
        }
        DataType::Int32 => {
            a.as_primitive::<Int32Type>().value(a_row) == b.as_primitive::<Int32Type>().value(b_row)
        }
        DataType::Date32 => {
            a.as_primitive::<Date32Type>().value(a_row)
                == b.as_primitive::<Date32Type>().value(b_row)
        }
        DataType::Int64 => {
            a.as_primitive::<Int64Type>().value(a_row) == b.as_primitive::<Int64Type>().value(b_row)
        }
        DataType::Timestamp(..) => {
            let a = a.as_primitive::<TimestampMicrosecondType>();
            a.value(a_row) == b.as_primitive::<TimestampMicrosecondType>().value(b_row)
        }
        DataType::Utf8 => a.as_string::<i32>().value(a_row) == b.as_string::<i32>().value(b_row),
        _ => a.slice(a_row, 1).to_data() == b.slice(b_row, 1).to_data(),
    }
}
