//! Files with types, Parquet and Arrow: outline, units, and batches of a unit's rows.
//!
//! A unit is the part of a file that is read, claimed and resumed as one: consecutive row groups
//! (of an Arrow file: batches) until they hold [`BATCH_ROWS`]. Units depend on the outline alone.
//! Only the columns that the mapping names are read, page by page, and no row group whose times all
//! lie outside the mapping's window. Checksums of pages that have them are compared.
//!
//! A damaged file gives an error that names it, never a panic; rows that cannot become what the
//! mapping wants are rejects. Nested columns are not read.

mod arrow_file;
mod cells;
mod convert;
mod dictionary;
mod file;
mod fixed;
mod prune;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader as _, Length as _};

use self::arrow_file::{ArrowFile, Batches};
use self::convert::{Converter, Picked};
use self::file::SharedFile;
use super::{DecodeError, Decoded};
use crate::limit::BATCH_ROWS;
use crate::mapping::{Mapping, is_columnar};
use crate::read_at::ReadAt;

/// An open Parquet or Arrow file whose outline was read.
#[derive(Debug, Clone)]
pub struct ParquetSource {
    path: PathBuf,
    file: SharedFile,
    form: Form,
    /// Rows of each row group; of an Arrow file, of each batch.
    group_rows: Vec<u64>,
    /// Whether its fixed-point numbers have 18 digits behind the point, which only it can tell.
    is_finer: bool,
}

/// What is known of a file without its rows.
#[derive(Debug, Clone)]
enum Form {
    Parquet(ArrowReaderMetadata),
    Arrow(Arc<ArrowFile>),
}

/// Consecutive row groups that are read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetUnit {
    /// Positions of its row groups in the file.
    pub row_groups: Range<usize>,
    /// Rows of the file before its first, so the ordinal of its first row from 0.
    pub first_row: u64,
    /// Its rows.
    pub rows: u64,
}

impl ParquetSource {
    /// Opens a file and reads its footer.
    ///
    /// # Errors
    /// Names the file: it cannot be read, is no Parquet file, or its footer contradicts itself.
    pub fn open(path: &Path) -> Result<Self, DecodeError> {
        let file = File::open(path);
        let file = file.map_err(|error| DecodeError::Io { path: path.to_owned(), error })?;
        Self::over(path, Arc::new(file))
    }

    /// Reads the outline of a file that is open; `path` is what it is called in errors.
    ///
    /// # Errors
    /// As [`ParquetSource::open`].
    pub fn over(path: &Path, bytes: Arc<dyn ReadAt>) -> Result<Self, DecodeError> {
        let file = SharedFile::new(bytes);
        let head = file.get_bytes(0, file.len().min(8) as usize);
        let head = head.map_err(|error| damaged(path, &parquet_reason(&error)))?;
        if is_columnar(&head) && !head.starts_with(b"PAR1") {
            let outline = guarded(path, || ArrowFile::open(&file))?;
            let outline = outline.map_err(|reason| damaged_arrow(path, reason))?;
            let group_rows = outline.batch_rows();
            if group_rows.iter().try_fold(0_u64, |sum, rows| sum.checked_add(*rows)).is_none() {
                return Err(damaged_arrow(
                    path,
                    "its batches have more rows than can be".to_owned(),
                ));
            }
            let form = Form::Arrow(Arc::new(outline));
            return Ok(Self { path: path.to_owned(), file, form, group_rows, is_finer: false });
        }
        let metadata = footer(path, &file)?;
        let group_rows = group_rows(path, &metadata)?;
        check_places(path, &metadata)?;
        let is_finer = fixed::has_18_digits(path, &file, &metadata);
        let form = Form::Parquet(metadata);
        Ok(Self { path: path.to_owned(), file, form, group_rows, is_finer })
    }

    fn schema(&self) -> &SchemaRef {
        match &self.form {
            Form::Parquet(metadata) => metadata.schema(),
            Form::Arrow(outline) => &outline.schema,
        }
    }

    /// Whether all that was read so far is what was opened.
    ///
    /// # Errors
    /// Those of [`ReadAt::check`].
    pub fn check(&self) -> io::Result<()> {
        self.file.check()
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.group_rows.iter().sum()
    }

    /// Name and type of each top-level column, in the positions that a mapping's fields mean. A
    /// nested column keeps its position, but cannot be mapped.
    pub fn columns(&self) -> Vec<(String, String)> {
        let fields = self.schema().fields().iter();
        let kind = |kind: &DataType| match kind {
            DataType::FixedSizeBinary(16) if self.is_finer => format!("{kind} of 18 digits"),
            _ => kind.to_string(),
        };
        fields.map(|field| (field.name().clone(), kind(field.data_type()))).collect()
    }

    /// What the file itself calls its contents, as folders are called: bars of NautilusTrader.
    pub fn own_name(&self) -> Option<&str> {
        self.schema().metadata().get("bar_type").map(String::as_str)
    }

    /// The file's units: consecutive row groups, joined until they hold [`BATCH_ROWS`] rows. They
    /// tile the file; one without rows has none.
    pub fn units(&self) -> Vec<ParquetUnit> {
        units_of(&self.group_rows)
    }

    /// Reads a unit as batches of [`BATCH_ROWS`] rows, the last one shorter. May be called from
    /// several threads at once.
    ///
    /// # Errors
    /// Names the column that is not in the file, whose type cannot become what the mapping wants,
    /// or whose constant is not of its kind; or the file, if it is damaged.
    pub fn read_unit(
        &self,
        unit: &ParquetUnit,
        mapping: &Mapping,
    ) -> Result<UnitReader, DecodeError> {
        let (mut converter, roots) = Converter::new(self.schema(), mapping)?;
        let (reader, stretches) = match &self.form {
            Form::Arrow(outline) => {
                let groups = unit.row_groups.clone();
                let batches = outline.read(self.file.clone(), groups.clone(), roots);
                (Reader::Arrow(Box::new(batches)), vec![Stretch { rows: unit.rows, groups }])
            }
            Form::Parquet(metadata) => {
                let prune = || prune::stretches(self, metadata, unit, mapping, &mut converter);
                let stretches = guarded(&self.path, prune)?;
                let reader = self.read_groups(metadata, &stretches, roots)?;
                (Reader::Parquet(Box::new(reader)), stretches)
            }
        };
        Ok(UnitReader {
            path: self.path.clone(),
            reader: Some(reader),
            converter,
            stretches: stretches.into(),
            left: unit.rows,
            held: None,
        })
    }

    fn read_groups(
        &self,
        metadata: &ArrowReaderMetadata,
        stretches: &[Stretch],
        roots: Vec<usize>,
    ) -> Result<ParquetRecordBatchReader, DecodeError> {
        let groups: Vec<usize> = stretches.iter().flat_map(|s| s.groups.clone()).collect();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        let bytes = bytes_of(metadata.metadata().row_groups(), &groups);
        let file = self.file.ahead(bytes);
        for &group in &groups {
            let chunks = metadata.metadata().row_group(group).columns().iter().enumerate();
            let mut read = chunks.filter(|(leaf, _)| mask.leaf_included(*leaf));
            if let Some(reason) = read.find_map(|(_, chunk)| dictionary::fault(&file, chunk)) {
                return Err(damaged(&self.path, &reason));
            }
        }
        let reader = guarded(&self.path, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
                .with_row_groups(groups)
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
        })?;
        reader.map_err(|error| damaged(&self.path, &parquet_reason(&error)))
    }
}

/// Reads a Parquet file's footer.
fn footer(path: &Path, file: &SharedFile) -> Result<ArrowReaderMetadata, DecodeError> {
    let metadata = guarded(path, || {
        ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).or_else(|_| {
            // The schema that Arrow writers add is a convenience; a damaged one is no loss.
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            ArrowReaderMetadata::load(file, options)
        })
    })?;
    metadata.map_err(|error| damaged(path, &parquet_reason(&error)))
}

/// Rows of each row group, if the footer agrees with itself.
fn group_rows(path: &Path, metadata: &ArrowReaderMetadata) -> Result<Vec<u64>, DecodeError> {
    let groups = metadata.metadata().row_groups();
    let rows: Result<Vec<u64>, _> =
        groups.iter().map(|group| u64::try_from(group.num_rows())).collect();
    let group_rows = rows.map_err(|_| damaged(path, "a row group has fewer than no rows"))?;
    let total = metadata.metadata().file_metadata().num_rows();
    let sum = group_rows.iter().try_fold(0_u64, |sum, rows| sum.checked_add(*rows));
    if sum.is_none() || sum != u64::try_from(total).ok() {
        let reason =
            format!("the footer says {total} rows, but its row groups add up to another number");
        return Err(damaged(path, &reason));
    }
    Ok(group_rows)
}

/// Refuses columns that start before the file does or have less than no bytes: asked where they
/// are, the library panics.
fn check_places(path: &Path, metadata: &ArrowReaderMetadata) -> Result<(), DecodeError> {
    let columns = metadata.metadata().row_groups().iter().flat_map(|group| group.columns());
    let starts = |column: &ColumnChunkMetaData| {
        column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset())
    };
    match columns.into_iter().find(|column| starts(column) < 0 || column.compressed_size() < 0) {
        None => Ok(()),
        Some(column) => {
            let (name, start) = (column.column_path().string(), starts(column));
            let len = column.compressed_size();
            let reason = format!("the footer places column {name} at byte {start}, {len} bytes");
            Err(damaged(path, &reason))
        }
    }
}

/// The stretch of a file that some of its row groups take.
fn bytes_of(all: &[RowGroupMetaData], groups: &[usize]) -> Range<u64> {
    let columns = groups.iter().filter_map(|group| all.get(*group)).flat_map(|g| g.columns());
    let ends = columns.map(|column| {
        let (start, len) = column.byte_range();
        (start, start.saturating_add(len))
    });
    let whole = ends.reduce(|one, two| (one.0.min(two.0), one.1.max(two.1)));
    whole.map_or(0..0, |(start, end)| start..end)
}

fn units_of(group_rows: &[u64]) -> Vec<ParquetUnit> {
    let mut units: Vec<ParquetUnit> = Vec::new();
    let mut unit = ParquetUnit { row_groups: 0..0, first_row: 0, rows: 0 };
    for (at, rows) in group_rows.iter().enumerate() {
        unit.row_groups.end = at + 1;
        unit.rows += rows;
        if unit.rows >= BATCH_ROWS as u64 {
            let first_row = unit.first_row + unit.rows;
            let next = ParquetUnit { row_groups: at + 1..at + 1, first_row, rows: 0 };
            units.push(std::mem::replace(&mut unit, next));
        }
    }
    if unit.rows > 0 {
        units.push(unit);
    }
    units
}

/// Rows of a unit, one after another, that are all read or all left out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    rows: u64,
    /// The row groups that are read; none: they are left out.
    groups: Range<usize>,
}

/// Where batches come from.
enum Reader {
    Parquet(Box<ParquetRecordBatchReader>),
    Arrow(Box<Batches>),
}

impl Reader {
    fn next(&mut self, path: &Path) -> Result<Option<RecordBatch>, DecodeError> {
        match self {
            Reader::Parquet(reader) => guarded(path, || reader.next())?
                .transpose()
                .map_err(|error| damaged(path, &arrow_reason(&error))),
            Reader::Arrow(batches) => {
                guarded(path, || batches.next())?.map_err(|reason| damaged_arrow(path, reason))
            }
        }
    }
}

/// Reads the batches of one unit. Ends after its first error.
pub struct UnitReader {
    path: PathBuf,
    /// None once it is done or failed.
    reader: Option<Reader>,
    converter: Converter,
    /// What is left of the unit.
    stretches: VecDeque<Stretch>,
    /// Rows that the footer says are still to come.
    left: u64,
    /// Rows that were read and belong to the next batch.
    held: Option<RecordBatch>,
}

impl std::fmt::Debug for UnitReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnitReader").field("path", &self.path).field("left", &self.left).finish()
    }
}

impl UnitReader {
    /// The next batch of the unit; `None` at its end.
    fn read(&mut self) -> Result<Option<Decoded>, DecodeError> {
        if self.left == 0 {
            return match self.take(1)? {
                None => Ok(None),
                Some(_) => Err(damaged(&self.path, "it has more rows than its footer says")),
            };
        }
        let rows = self.left.min(BATCH_ROWS as u64) as usize;
        let (picked, wanted) = self.pick(rows);
        self.left -= rows as u64;
        if wanted == 0 {
            return Ok(Some(self.converter.nothing(rows)));
        }
        let batch = self.take(wanted)?;
        let found = batch.as_ref().map_or(0, RecordBatch::num_rows);
        match batch {
            Some(batch) if found == wanted => self.converter.convert(&batch, &picked).map(Some),
            _ => {
                let missing = (wanted - found) as u64 + self.left;
                let reason = format!("it ends {missing} rows before its footer says");
                Err(damaged(&self.path, &reason))
            }
        }
    }

    /// Which of the next rows of the unit are read, and how many.
    fn pick(&mut self, rows: usize) -> (Picked, usize) {
        let (mut at, mut places) = (0, Vec::new());
        while at < rows {
            let Some(stretch) = self.stretches.front_mut() else { break };
            let taken = stretch.rows.min((rows - at) as u64) as usize;
            if !stretch.groups.is_empty() {
                places.extend(at as u32..(at + taken) as u32);
            }
            stretch.rows -= taken as u64;
            at += taken;
            if stretch.rows == 0 {
                self.stretches.pop_front();
            }
        }
        let wanted = places.len();
        (Picked { rows, places: (wanted < rows).then_some(places) }, wanted)
    }

    /// So many rows of those that are read, or as many as are left; `None`: none.
    fn take(&mut self, wanted: usize) -> Result<Option<RecordBatch>, DecodeError> {
        let mut parts: Vec<RecordBatch> = self.held.take().into_iter().collect();
        let mut found: usize = parts.iter().map(RecordBatch::num_rows).sum();
        while found < wanted {
            let Some(reader) = &mut self.reader else { break };
            let Some(batch) = reader.next(&self.path)? else { break };
            found += batch.num_rows();
            parts.push(batch);
        }
        let all = match parts.as_slice() {
            [] => return Ok(None),
            [one] => one.clone(),
            [one, ..] => concat_batches(one.schema_ref(), &parts)?,
        };
        if found > wanted {
            self.held = Some(all.slice(wanted, found - wanted));
        }
        Ok(Some(all.slice(0, wanted.min(found))))
    }
}

impl Iterator for UnitReader {
    type Item = Result<Decoded, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.as_ref()?;
        let decoded = self.read().transpose();
        if !matches!(decoded, Some(Ok(_))) {
            self.reader = None;
        }
        decoded
    }
}

/// Runs a part of the Parquet library on bytes that anybody may have made. It is not proof against
/// all of them: a panic in it is a fault of the file.
fn guarded<T>(path: &Path, run: impl FnOnce() -> T) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        damaged(path, text.unwrap_or("its contents make no sense"))
    })
}

fn damaged(path: &Path, reason: &str) -> DecodeError {
    DecodeError::Parquet { path: path.to_owned(), reason: reason.to_owned() }
}

fn damaged_arrow(path: &Path, reason: String) -> DecodeError {
    DecodeError::ArrowFile { path: path.to_owned(), reason }
}

/// The message without the library's own prefixes.
fn parquet_reason(error: &ParquetError) -> String {
    let text = error.to_string();
    text.trim_start_matches("Parquet error: ").trim_end_matches('.').to_owned()
}

fn arrow_reason(error: &ArrowError) -> String {
    let text = error.to_string();
    text.trim_start_matches("Parquet argument error: ")
        .trim_start_matches("Parquet error: ")
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests;
