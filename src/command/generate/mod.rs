//! `generate`: load-test data into files, or straight into the database. The files of a command are
//! cut and named here; for the database they are made in memory, one when it is wanted, and go
//! through everything that files go through: so both hold the same rows, and a seed that was loaded
//! is known again by the content of its files.

mod files;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::dataset::Dataset;
use crate::generate::{Form, Generator, Spec, VERSION};
use crate::source::Made;

use super::{CommandError, LoadRequest};

pub use files::{Progressing, run};

/// Records of a file, but for killmails.
const FILE_ROWS: u64 = 100_000;
/// Killmails of a file: they are some 3 kB each.
const FILE_KILLMAILS: u64 = 4_000;

/// What to make.
#[derive(Debug, Clone)]
pub struct GenerateRequest {
    /// The data.
    pub spec: Spec,
    /// The form of files; none: the dataset's usual one.
    pub form: Option<Form>,
    /// Records a second at most.
    pub rate: Option<u64>,
}

/// Where files go.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The folder, which is made if it is not there.
    pub path: PathBuf,
    /// Whether files that are there are replaced.
    pub replace: bool,
}

/// The files of a command, before they are made.
#[derive(Debug)]
pub struct Batchwork {
    generator: Generator,
    form: Form,
    dataset: &'static Dataset,
    files: Vec<Piece>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    name: String,
    rows: Range<u64>,
}

impl Batchwork {
    /// Works out which files there will be.
    ///
    /// # Errors
    /// When the spec cannot be met, or the form does not suit the dataset.
    pub fn new(request: &GenerateRequest) -> Result<Self, CommandError> {
        let dataset = request.spec.dataset;
        let form = request.form.unwrap_or(Form::usual(dataset));
        form.suits(dataset).map_err(CommandError::Usage)?;
        let impossible =
            |error: crate::generate::GenerateError| CommandError::Usage(error.to_string());
        let generator = Generator::new(&request.spec).map_err(impossible)?;
        let each = if dataset.children.is_empty() { FILE_ROWS } else { FILE_KILLMAILS };
        let seed = request.spec.seed;
        let files = (0..generator.rows().div_ceil(each)).map(|at| Piece {
            name: format!("{}-{seed}-{:05}.{}", dataset.name, at + 1, form.ending()),
            rows: at * each..((at + 1) * each).min(generator.rows()),
        });
        Ok(Self { files: files.collect(), generator, form, dataset })
    }

    /// The bytes of a file.
    fn bytes(&self, piece: &Piece) -> Vec<u8> {
        let mut records = self.generator.records();
        self.generator.make(piece.rows.clone(), &mut records);
        self.form.render(&records)
    }

    /// What a person should know: records that loading will refuse.
    fn messages(&self) -> Vec<String> {
        let mut last = self.generator.records();
        self.generator.make(self.generator.rows() - 1..self.generator.rows(), &mut last);
        let now = Timestamp::now().as_microsecond();
        let time = self.dataset.time.and_then(|name| last.column(name)?.number(0));
        let ahead = time.is_some_and(|time| time > now + 86_400_000_000);
        let text = "the last records are in the future, which loading refuses (future_time): \
                    choose an earlier --from or --to, or fewer --rows";
        ahead.then(|| text.to_owned()).into_iter().collect()
    }
}

/// Turns a request to load into one that loads what is generated.
///
/// # Errors
/// As [`Batchwork::new`].
pub fn into_load(
    request: &GenerateRequest,
    load: LoadRequest,
) -> Result<(LoadRequest, Vec<String>), CommandError> {
    let work = Arc::new(Batchwork::new(request)?);
    let messages = work.messages();
    let made = work.files.iter().map(|piece| {
        let (work, piece) = (Arc::clone(&work), piece.clone());
        // Never read back: what the bytes are is made sure of by their hash alone.
        let name = format!("generated-v{VERSION}/{}", piece.name);
        Made::new(&name, move || work.bytes(&piece))
    });
    let load = LoadRequest { made: made.collect(), rows_per_sec_max: request.rate, ..load };
    Ok((load, messages))
}
