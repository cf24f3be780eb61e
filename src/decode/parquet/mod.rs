//! Parquet files: footer, units, and batches of a unit's rows.
//!
//! A unit is the part of a file that is read, claimed and resumed as one: consecutive row groups
//! until they hold [`BATCH_ROWS`]. Units depend on the footer alone. Only the columns that the
//! mapping names are read, page by page. Checksums of pages that have them are compared.
//!
//! A damaged file gives an error that names it, never a panic; rows that cannot become what the
//! mapping wants are rejects. Nested columns are not read.

mod cells;
mod convert;
mod file;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;

use self::convert::Converter;
use self::file::SharedFile;
use super::{DecodeError, Decoded};
use crate::limit::BATCH_ROWS;
use crate::mapping::Mapping;
use crate::read_at::ReadAt;

/// An open Parquet file whose footer was read.
#[derive(Debug, Clone)]
pub struct ParquetSource {
    path: PathBuf,
    file: SharedFile,
    metadata: ArrowReaderMetadata,
    /// Rows of each row group.
    group_rows: Vec<u64>,
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

    /// Reads the footer of a file that is open; `path` is what it is called in errors.
    ///
    /// # Errors
    /// As [`ParquetSource::open`].
    pub fn over(path: &Path, bytes: Arc<dyn ReadAt>) -> Result<Self, DecodeError> {
        let file = SharedFile(bytes);
        let metadata = guarded(path, || {
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).or_else(|_| {
                // The schema that Arrow writers add is a convenience; a damaged one is no loss.
                let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
                ArrowReaderMetadata::load(&file, options)
            })
        })?
        .map_err(|error| damaged(path, &parquet_reason(&error)))?;
        let groups = metadata.metadata().row_groups();
        let rows: Result<Vec<u64>, _> =
            groups.iter().map(|group| u64::try_from(group.num_rows())).collect();
        let group_rows = rows.map_err(|_| damaged(path, "a row group has fewer than no rows"))?;
        let total = metadata.metadata().file_metadata().num_rows();
        let sum = group_rows.iter().try_fold(0_u64, |sum, rows| sum.checked_add(*rows));
        if sum.is_none() || sum != u64::try_from(total).ok() {
            let reason = format!(
                "the footer says {total} rows, but its row groups add up to \
                                  another number"
            );
            return Err(damaged(path, &reason));
        }
        Ok(Self { path: path.to_owned(), file, metadata, group_rows })
    }

    /// Whether all that was read so far is what was opened.
    ///
    /// # Errors
    /// Those of [`ReadAt::check`].
    pub fn check(&self) -> io::Result<()> {
        self.file.0.check()
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.group_rows.iter().sum()
    }

    /// The row groups as the footer describes them, with sizes and statistics by leaf column.
    pub fn row_groups(&self) -> &[RowGroupMetaData] {
        self.metadata.metadata().row_groups()
    }

    /// Name and type of each top-level column, in the positions that a mapping's fields mean. A
    /// nested column keeps its position, but cannot be mapped.
    pub fn columns(&self) -> Vec<(String, String)> {
        let fields = self.metadata.schema().fields().iter();
        fields.map(|field| (field.name().clone(), field.data_type().to_string())).collect()
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
        let (converter, roots) = Converter::new(self.metadata.schema(), mapping)?;
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        let reader = guarded(&self.path, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(
                self.file.clone(),
                self.metadata.clone(),
            )
            .with_row_groups(unit.row_groups.clone().collect())
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
        })?
        .map_err(|error| damaged(&self.path, &parquet_reason(&error)))?;
        Ok(UnitReader { path: self.path.clone(), reader: Some(reader), converter, left: unit.rows })
    }
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

/// Reads the batches of one unit. Ends after its first error.
pub struct UnitReader {
    path: PathBuf,
    /// None once it is done or failed.
    reader: Option<ParquetRecordBatchReader>,
    converter: Converter,
    /// Rows that the footer says are still to come.
    left: u64,
}

impl std::fmt::Debug for UnitReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnitReader").field("path", &self.path).field("left", &self.left).finish()
    }
}

impl UnitReader {
    fn read(&mut self) -> Result<Option<RecordBatch>, DecodeError> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let batch = guarded(&self.path, || reader.next())?.transpose();
        let batch = batch.map_err(|error| damaged(&self.path, &arrow_reason(&error)))?;
        let rows = batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        match self.left.checked_sub(rows) {
            Some(left) if batch.is_some() || left == 0 => self.left = left,
            Some(left) => {
                let reason = format!("it ends {left} rows before its footer says");
                return Err(damaged(&self.path, &reason));
            }
            None => return Err(damaged(&self.path, "it has more rows than its footer says")),
        }
        Ok(batch)
    }
}

impl Iterator for UnitReader {
    type Item = Result<Decoded, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let decoded = match self.read() {
            Ok(Some(batch)) => Some(self.converter.convert(&batch)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        };
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
