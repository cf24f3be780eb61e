//! The forms of files.

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
        match self {
            Form::Csv if !dataset.children.is_empty() => Err(format!(
                "{} are documents of several tables, which have no columns: use --format ndjson",
                dataset.name
            )),
            Form::Csv | Form::Ndjson => Ok(()),
        }
    }

    /// The ending of a file's name.
    pub fn ending(self) -> &'static str {
        match self {
            Form::Csv => "csv",
            Form::Ndjson => "ndjson",
        }
    }

    /// Records as the bytes of a file.
    pub fn render(self, records: &Records) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(records.len() * 96);
        match self {
            Form::Csv => {
                csv_header(records, &mut bytes);
                (0..records.len()).for_each(|row| csv_row(records, row, &mut bytes));
            }
            Form::Ndjson => (0..records.len()).for_each(|row| json_row(records, row, &mut bytes)),
        }
        bytes
    }
}
