//! An archive as a Parquet file: written row group by row group, and summed up as it is read back.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use sha2::{Digest as _, Sha256};

use crate::limit::{ARCHIVE_GROUP_BYTES, ARCHIVE_GROUP_ROWS, BATCH_ROWS};

use super::form::Shape;

/// How many rows there are, and the sum of their hashes, whatever their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Sums {
    pub rows: u64,
    /// As the server prints a numeric.
    pub content: String,
}

/// A file that is being written.
pub(super) struct ArchiveWriter {
    writer: ArrowWriter<File>,
}

impl ArchiveWriter {
    pub fn create(path: &Path, schema: &Arc<Schema>) -> Result<Self, ParquetError> {
        let level = ZstdLevel::try_new(3)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ARCHIVE_GROUP_ROWS))
            .set_created_by(concat!("tidegate ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer =
            ArrowWriter::try_new(File::create(path)?, Arc::clone(schema), Some(properties))?;
        Ok(Self { writer })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.writer.write(batch)?;
        if self.writer.in_progress_size() > ARCHIVE_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Writes what is left, and waits until the disk has it all. Its size in bytes.
    pub fn finish(self) -> Result<u64, ParquetError> {
        let file = self.writer.into_inner()?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

/// Reads a file of this shape from its start to its end.
pub(super) fn sums(path: &Path, shape: &Shape) -> Result<Sums, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let expected = shape.schema();
    if builder.schema().fields() != expected.fields() {
        return Err(ParquetError::General("it has other columns than were written".to_owned()));
    }
    let (mut rows, mut sum, mut bytes) = (0_u64, 0_i128, Vec::new());
    for batch in builder.with_batch_size(BATCH_ROWS / 8).build()? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            bytes.clear();
            shape.row_bytes(&batch, row, &mut bytes);
            let hash = Sha256::digest(&bytes);
            let mut head = [0; 8];
            head.copy_from_slice(&hash[..8]);
            sum += i128::from(i64::from_be_bytes(head));
        }
        rows += batch.num_rows() as u64;
    }
    Ok(Sums { rows, content: sum.to_string() })
}

/// Puts a finished file in its place, so that it is there as a whole or not at all.
pub(super) fn put_in_place(part: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(part, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
