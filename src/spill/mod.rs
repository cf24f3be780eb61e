//! Bounded memory for unbounded input: rows of many spans are gathered in a buffer, sorted by
//! (route, key, place in the sources) and written to a temporary file as a *run*; the runs are read
//! back merged, a route or a range of keys at a time, each key once. Knows neither threads nor a
//! database; called by the pipeline when a load's rows have to be brought into the order of the
//! target.
//!
//! A run is an Arrow IPC file whose blocks hold rows of one route each. It is unlinked as soon as
//! it is open, so that nothing is left over, however the program ends.

mod key;
mod merge;
mod origin;
mod run;
mod words;

use std::path::PathBuf;

use arrow::error::ArrowError;

pub use key::{Key, KeyPlan};
pub use merge::{Lost, Merge, Merged, Order, Range};
pub use origin::Origin;
pub use run::{RouteRows, Run, SortBuffer};
pub use words::Words;

/// Why rows could not be spilled or read back.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The folder of temporary files.
    #[error(
        "spilling to {}: {cause}; make room there, name another folder in TIDEGATE_SPILL_DIR, or \
         use --strategy direct, which spills nothing",
        folder.display()
    )]
    Io {
        /// Where the files are.
        folder: PathBuf,
        /// What went wrong.
        cause: std::io::Error,
    },
    /// Arrow's error about a run: a bug of ours, or a damaged disk.
    #[error("a spilled run cannot be handled: {0}; use --strategy direct, which spills nothing")]
    Arrow(#[from] ArrowError),
    /// Words (symbols, intervals) fill the memory that they may have.
    #[error(
        "more than {bytes} bytes of different words in one column: use --strategy direct, which \
         does not keep them"
    )]
    Words {
        /// The bound.
        bytes: usize,
    },
    /// A thread that merges rows panicked: a bug of ours.
    #[error("merging the sorted rows failed; use --strategy direct, which sorts nothing on disk")]
    Thread,
    /// A source with more spans, or a run with more sources, than a row's origin can name.
    #[error("too many sources or batches in one load: load them in several runs")]
    TooMany,
}

/// Where runs are kept: `TIDEGATE_SPILL_DIR`, else `/var/tmp`, which unlike `/tmp` is never kept in
/// memory, else the system's folder of temporary files.
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("TIDEGATE_SPILL_DIR").filter(|name| !name.is_empty()) {
        return folder.into();
    }
    let lasting = PathBuf::from("/var/tmp");
    if lasting.is_dir() { lasting } else { std::env::temp_dir() }
}

#[cfg(test)]
mod tests;
