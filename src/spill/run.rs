//! A run: gathered rows, sorted, in a file without a name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;

use super::key::RawKey;
use super::{Key, KeyPlan, Origin, SpillError, Words};
use crate::limit::{KIB, SPILL_BLOCK_ROWS};

/// The last column of a run: each row's [`Origin`].
const ORIGIN: &str = "_tidegate_origin";
/// How much is gathered before it is written.
const WRITE_BYTES: usize = 256 * KIB;

/// Rows of a route, load by load.
pub type RouteRows = BTreeMap<i64, BTreeMap<usize, u64>>;

/// Rows that wait to be sorted and written.
#[derive(Debug)]
pub struct SortBuffer {
    words: Arc<Words>,
    keys: KeyPlan,
    /// Batches whose words are numbers, and their rows' origins. In source order.
    held: Vec<(RecordBatch, Vec<Origin>)>,
    bytes: usize,
    rows: usize,
}

/// One row of the buffer: its place in the order, and where it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: Key,
    /// Position among the buffer's rows, which is source order.
    at: u32,
    /// Position of the row's route among the buffer's routes.
    route: u32,
}

impl SortBuffer {
    /// Holds nothing yet.
    pub fn new(words: Arc<Words>, keys: KeyPlan) -> Self {
        Self { words, keys, held: Vec::new(), bytes: 0, rows: 0 }
    }

    /// Takes a batch and where its rows come from. Batches come in source order.
    ///
    /// # Errors
    /// [`SpillError::Words`], or Arrow's.
    pub fn push(&mut self, batch: &RecordBatch, origins: Vec<Origin>) -> Result<(), SpillError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
        let mut fields = Vec::with_capacity(batch.num_columns());
        for (at, column) in batch.columns().iter().enumerate() {
            let field = batch.schema_ref().field(at);
            let column = match self.words.has(at) {
                true => self.words.encode(at, column)?,
                false => Arc::clone(column),
            };
            fields.push(Field::new(field.name(), column.data_type().clone(), true));
            columns.push(column);
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let width = size_of::<Origin>() + size_of::<Entry>();
        self.bytes += batch.get_array_memory_size() + batch.num_rows() * width;
        self.rows += batch.num_rows();
        self.held.push((batch, origins));
        Ok(())
    }

    /// Bytes of memory that it takes, sorting included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it holds no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The batches held, as pushed, for looking at their times.
    pub fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.held.iter().map(|(batch, _)| batch)
    }

    /// Sorts the rows by (route, key, origin) and writes them. `route_of` gives the route of each
    /// row of a batch.
    ///
    /// # Errors
    /// Files and Arrow.
    pub fn write(
        self,
        folder: &Path,
        route_of: impl Fn(&RecordBatch) -> Vec<i64>,
    ) -> Result<Run, SpillError> {
        let routes: Vec<Vec<i64>> = self.held.iter().map(|(batch, _)| route_of(batch)).collect();
        let mut names = BTreeSet::new();
        for routes in &routes {
            names.extend(routes.chunk_by(|a, b| a == b).map(|same| same[0]));
        }
        let names: Vec<i64> = names.into_iter().collect();
        let entries = self.entries(&routes, &names);
        let mut writer = RunWriter::new(&self.schema(), folder)?;
        for (route, of_route) in by_route(&entries, &names) {
            for block in of_route.chunks(SPILL_BLOCK_ROWS) {
                let block = self.gather(block)?;
                writer.write(route, &self.keys, &block)?;
            }
        }
        let mut rows = RouteRows::new();
        for ((_, origins), routes) in self.held.iter().zip(&routes) {
            // A batch is of one load.
            let Some(load) = origins.first().map(|origin| origin.load()) else { continue };
            for &route in routes {
                *rows.entry(route).or_default().entry(load).or_default() += 1;
            }
        }
        writer.finish(rows)
    }

    fn schema(&self) -> SchemaRef {
        let mut fields: Vec<Arc<Field>> = match self.held.first() {
            Some((batch, _)) => batch.schema_ref().fields().iter().cloned().collect(),
            None => Vec::new(),
        };
        fields.push(Arc::new(Field::new(ORIGIN, DataType::UInt64, false)));
        Arc::new(Schema::new(fields))
    }

    /// The rows in the order in which they are written.
    fn entries(&self, routes: &[Vec<i64>], names: &[i64]) -> Vec<Entry> {
        let ranks = self.keys.ranks(&self.words);
        let mut entries = Vec::with_capacity(self.rows);
        for ((batch, _), routes) in self.held.iter().zip(routes) {
            let keys = self.keys.pack(batch, &ranks);
            let mut known = (i64::MIN, u32::MAX);
            for (&key, &route) in keys.iter().zip(routes) {
                if known.1 == u32::MAX || known.0 != route {
                    known = (route, names.partition_point(|&name| name < route) as u32);
                }
                entries.push(Entry { key, at: entries.len() as u32, route: known.1 });
            }
        }
        entries.sort_unstable_by_key(|entry| (entry.route, entry.key, entry.at));
        entries
    }

    /// Some rows as one batch.
    fn gather(&self, entries: &[Entry]) -> Result<RecordBatch, SpillError> {
        let mut starts = Vec::with_capacity(self.held.len());
        let mut start = 0;
        for (batch, _) in &self.held {
            starts.push(start);
            start += batch.num_rows();
        }
        let place = |entry: &Entry| {
            let at = entry.at as usize;
            let batch = starts.partition_point(|&start| start <= at) - 1;
            (batch, at - starts[batch])
        };
        let places: Vec<(usize, usize)> = entries.iter().map(place).collect();
        let schema = self.schema();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for column in 0..schema.fields().len() - 1 {
            let arrays: Vec<&dyn Array> =
                self.held.iter().map(|(batch, _)| batch.column(column).as_ref()).collect();
            columns.push(interleave(&arrays, &places)?);
        }
        let origins: UInt64Array =
            (places.iter()).map(|&(batch, row)| Some(self.held[batch].1[row].number())).collect();
        // Collected without nulls.
        columns.push(Arc::new(origins));
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// The entries of each route, which are sorted by it.
fn by_route<'a>(
    entries: &'a [Entry],
    names: &'a [i64],
) -> impl Iterator<Item = (i64, &'a [Entry])> {
    entries
        .chunk_by(|a, b| a.route == b.route)
        .map(|of_route| (names[of_route[0].route as usize], of_route))
}

/// A block of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub route: i64,
    pub first: RawKey,
    pub rows: usize,
}

/// A sorted run in a temporary file.
#[derive(Debug)]
pub struct Run {
    file: Arc<File>,
    folder: std::path::PathBuf,
    pub(super) blocks: Vec<Block>,
    rows: RouteRows,
    bytes: u64,
}

impl Run {
    /// Its rows by route and load.
    pub fn rows(&self) -> &RouteRows {
        &self.rows
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A reader of its blocks.
    pub(super) fn reader(&self) -> Result<RunReader<'_>, SpillError> {
        let at = At { file: Arc::clone(&self.file), position: 0, len: self.bytes };
        let reader = FileReader::try_new(at, None)?;
        Ok(RunReader { run: self, reader })
    }
}

/// Reads blocks of a run.
pub(super) struct RunReader<'a> {
    run: &'a Run,
    reader: FileReader<At>,
}

impl RunReader<'_> {
    /// Block number `at`.
    pub fn block(&mut self, at: usize) -> Result<RecordBatch, SpillError> {
        self.reader.set_index(at)?;
        let block = self.reader.next().transpose()?;
        block.ok_or_else(|| SpillError::Io {
            folder: self.run.folder.clone(),
            cause: io::ErrorKind::UnexpectedEof.into(),
        })
    }
}

/// The origins of a block's rows.
pub(super) fn origins(block: &RecordBatch) -> &[u64] {
    use arrow::array::AsArray;
    use arrow::datatypes::UInt64Type;
    block.column(block.num_columns() - 1).as_primitive::<UInt64Type>().values()
}

struct RunWriter {
    writer: FileWriter<BufWriter<File>>,
    folder: std::path::PathBuf,
    blocks: Vec<Block>,
}

impl RunWriter {
    fn new(schema: &SchemaRef, folder: &Path) -> Result<Self, SpillError> {
        let io = |cause| SpillError::Io { folder: folder.to_path_buf(), cause };
        let file = tempfile::tempfile_in(folder).map_err(io)?;
        let writer = FileWriter::try_new(BufWriter::with_capacity(WRITE_BYTES, file), schema)?;
        Ok(Self { writer, folder: folder.to_path_buf(), blocks: Vec::new() })
    }

    fn write(&mut self, route: i64, keys: &KeyPlan, block: &RecordBatch) -> Result<(), SpillError> {
        let first = keys.raw(block, 0);
        self.writer.write(block).map_err(|error| self.cause(error))?;
        self.blocks.push(Block { route, first, rows: block.num_rows() });
        Ok(())
    }

    /// A full disk is told apart from a bug.
    fn cause(&self, error: arrow::error::ArrowError) -> SpillError {
        match error {
            arrow::error::ArrowError::IoError(_, cause) => {
                SpillError::Io { folder: self.folder.clone(), cause }
            }
            other => SpillError::Arrow(other),
        }
    }

    fn finish(mut self, rows: RouteRows) -> Result<Run, SpillError> {
        if let Err(error) = self.writer.finish() {
            return Err(self.cause(error));
        }
        let folder = self.folder.clone();
        let io = |cause| SpillError::Io { folder: folder.clone(), cause };
        let inner = self.writer.into_inner()?;
        let file = inner.into_inner().map_err(|error| io(error.into_error()))?;
        let bytes = file.metadata().map_err(io)?.len();
        Ok(Run { file: Arc::new(file), folder, blocks: self.blocks, rows, bytes })
    }
}

/// A file read at a position of one's own, so that several merges share it.
struct At {
    file: Arc<File>,
    position: u64,
    len: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for At {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
