//! The forms of files.

use super::archive::archive;
use super::columnar::parquet;
use super::records::Records;
use super::text::{csv_header, csv_row, json_row};
use crate::dataset::Dataset;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// CSV with the canonical header.
    Csv,
    /// A JSON document a line.
    Ndjson,
    /// Parquet.
    Parquet,
    /// Documents as the files of a tar, compressed by bzip2.
    Archive,
}

impl Form {
    /// What a dataset is written as where nobody says otherwise.
    pub fn usual(dataset: &Dataset) -> Self {
        if dataset.children.is_empty() { Form::Csv } else { Form::Ndjson }
    }

    /// Whether a dataset can be written so.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn suits(self, dataset: &Dataset) -> Result<(), String> {
        let (documents, name) = (!dataset.children.is_empty(), dataset.name);
        match self {
            Form::Csv | Form::Parquet if documents => Err(format!(
                "{name} are documents of several tables, which have no columns: use --format \
                 ndjson or archive"
            )),
            Form::Archive if !documents => Err(format!(
                "--format archive is for documents, and {name} are rows: use csv, ndjson or parquet"
            )),
            _ => Ok(()),
        }
    }

    /// The ending of a file's name.
    pub fn ending(self) -> &'static str {
        match self {
            Form::Csv => "csv",
            Form::Ndjson => "ndjson",
            Form::Parquet => "parquet",
            Form::Archive => "tar.bz2",
        }
    }

    /// Records as the bytes of a file. `first` is the number of the first, which documents are
    /// called by.
    ///
    /// # Errors
    /// When a library refuses what it is given: a bug of ours.
    pub fn render(self, records: &Records, first: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        match self {
            Form::Csv => {
                bytes.reserve(records.len() * 96);
                csv_header(records, &mut bytes);
                (0..records.len()).for_each(|row| csv_row(records, row, &mut bytes));
            }
            Form::Ndjson => (0..records.len()).for_each(|row| json_row(records, row, &mut bytes)),
            Form::Parquet => return parquet(records).map_err(|error| error.to_string()),
            Form::Archive => return archive(records, first).map_err(|error| error.to_string()),
        }
        Ok(bytes)
    }
}
