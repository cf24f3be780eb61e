//! Why decoding cannot go on. A record that cannot be read is no error but a reject.

use std::path::PathBuf;

use arrow::error::ArrowError;

/// Why a decoder cannot be made, or a source cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The mapping names a field that the source cannot have.
    #[error(
        "column {column} is read from field {field}, but a record has at most {fields}: \
         give a --layout that fits the file"
    )]
    NoSuchField {
        /// The batch's column.
        column: String,
        /// The field's position, the first being 1.
        field: usize,
        /// Fields of a record.
        fields: usize,
    },
    /// A header in the midst of the records, whose columns are not those of the source's own.
    #[error(
        "line {line} is a second header, whose columns are not those of the first ({header}): what \
         follows would be read into the wrong ones; split the file before that line, and load the \
         parts"
    )]
    OtherHeader {
        /// Its line, from 1.
        line: u64,
        /// Its text, in quotes and shortened.
        header: String,
    },
    /// A time column whose mapping does not say how times are written.
    #[error("column {column} holds times, but its mapping has no time rule: name a --layout")]
    NoTimeRule {
        /// The batch's column.
        column: String,
    },
    /// A value given from outside the bytes is not of its column's kind.
    #[error("the value given for column {column} cannot be used: {reason}")]
    Constant {
        /// The batch's column.
        column: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is no Parquet file, or a damaged one.
    #[error("{} is not a readable Parquet file: {reason}; fetch it again, or load the rest \
             without it", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is no Arrow file or stream, or a damaged one, or one that cannot be held.
    #[error("{} is not a readable Arrow file: {reason}; fetch it again, or load the rest \
             without it", path.display())]
    ArrowFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A column's type in the file cannot become what the batch needs.
    #[error(
        "column {column} needs {wanted}, but the file's {field} is {found}: \
         map another field to it, or convert the file"
    )]
    Incompatible {
        /// The batch's column.
        column: String,
        /// The file's column.
        field: String,
        /// Its type in the file.
        found: String,
        /// The kind that is wanted.
        wanted: String,
    },
    /// A batch could not be put together: a fault of this program.
    #[error("cannot build a batch: {0}; please report this with the file")]
    Arrow(#[from] ArrowError),
}

impl DecodeError {
    /// The error of a part, as that of the whole, of which the part's first line has this number.
    #[must_use]
    pub fn starting_at(self, first: u64) -> Self {
        match self {
            Self::OtherHeader { line, header } => {
                Self::OtherHeader { line: line - 1 + first, header }
            }
            other => other,
        }
    }
}
