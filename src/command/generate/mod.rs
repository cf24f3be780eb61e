//! `generate`: load-test data into files, or straight into the database. The files of a command are
//! cut and named here; for the database they are made in memory, one when it is wanted, and go
//! through everything that files go through: so both hold the same rows, and a seed that was loaded
//! is known again by the content of its files.

mod faults;
mod files;
mod like;
mod vendor;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::dataset::Dataset;
use crate::generate::fault::Fault;
use crate::generate::{Form, GenerateError, Generator, Records, Spec, VERSION, Values};
use crate::layout::{GivenFacts, registry};
use crate::source::Made;

use super::survey::layouts;
use super::{CommandError, LayoutChoice, LoadRequest};
use faults::Extra;
use vendor::{FileOf, Inverse};

pub use faults::KEY_NAME;
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
    /// A file whose bars or trades they are like, with what it does not say itself.
    pub like: Option<(PathBuf, GivenFacts)>,
    /// The form of files; none: the dataset's usual one.
    pub form: Option<Form>,
    /// A vendor's layout instead of a form of our own.
    pub layout: Option<LayoutChoice>,
    /// Records a second at most.
    pub rate: Option<u64>,
    /// Names of faults that are mixed in, or `all`; files only.
    pub faults: Vec<String>,
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
    writing: Writing,
    dataset: &'static Dataset,
    seed: u64,
    faults: Vec<&'static Fault>,
    files: Vec<Piece>,
    /// What a person should know.
    messages: Vec<String>,
}

/// How records become bytes.
#[derive(Debug)]
enum Writing {
    Form(Form),
    Vendor(Box<Inverse>),
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    name: String,
    /// Its records, in the order of the file.
    rows: Vec<Range<u64>>,
    extra: Extra,
}

impl Piece {
    fn len(&self) -> u64 {
        self.rows.iter().map(|rows| rows.end - rows.start).sum()
    }
}

impl Batchwork {
    /// Works out which files there will be. `load` says how `--like` reads its file.
    ///
    /// # Errors
    /// When the spec cannot be met, or the form or layout does not suit the dataset.
    pub fn new(request: &GenerateRequest, load: &LoadRequest) -> Result<Self, CommandError> {
        let (mut spec, mut messages) = (request.spec.clone(), Vec::new());
        if let Some((path, facts)) = &request.like {
            let (inputs, facts) = (vec![path.display().to_string()], facts.clone());
            let fitted = like::fit(&LoadRequest { inputs, facts, ..load.clone() }, path)?;
            messages.push(fitted.says);
            spec.like = Some(fitted.like);
        }
        let dataset = spec.dataset;
        let form = request.form.unwrap_or(Form::usual(dataset));
        form.suits(dataset).map_err(CommandError::Usage)?;
        let impossible = |error: GenerateError| CommandError::Usage(error.to_string());
        let generator = Generator::new(&spec).map_err(impossible)?;
        let writing = match &request.layout {
            None => Writing::Form(form),
            Some(choice) => Writing::Vendor(Box::new(inverse(choice, &generator, dataset)?)),
        };
        let (seed, faults, files) = (request.spec.seed, Vec::new(), Vec::new());
        let mut work = Self { generator, writing, dataset, seed, faults, files, messages };
        work.files = work.pieces(seed)?;
        work.with_faults(&request.faults)?;
        work.messages.extend(work.ahead());
        Ok(work)
    }

    fn pieces(&self, seed: u64) -> Result<Vec<Piece>, CommandError> {
        let (dataset, all) = (self.dataset, 0..self.generator.rows());
        let each = if dataset.children.is_empty() { FILE_ROWS } else { FILE_KILLMAILS };
        let refused =
            |why: String| CommandError::Refused(format!("--layout cannot be written: {why}"));
        let inverse = match &self.writing {
            Writing::Form(form) => {
                return Ok(cut(std::slice::from_ref(&all), each)
                    .enumerate()
                    .map(|(at, rows)| Piece {
                        name: format!("{}-{seed}-{:05}.{}", dataset.name, at + 1, form.ending()),
                        rows,
                        extra: Extra::None,
                    })
                    .collect());
            }
            Writing::Vendor(inverse) => inverse,
        };
        let by_ticker = self.generator.by_ticker();
        let needs_symbol = dataset.ticker.is_some_and(|column| !inverse.tells(column));
        let tickers: Vec<(Option<String>, Vec<Range<u64>>)> = match (needs_symbol, by_ticker) {
            (true, Some(tickers)) => {
                tickers.into_iter().map(|(symbol, rows)| (Some(symbol), rows)).collect()
            }
            (true, None) => return Err(refused("its records do not tell their ticker".to_owned())),
            (false, _) => vec![(None, vec![all])],
        };
        let mut pieces = Vec::new();
        for (symbol, rows) in tickers {
            let of = FileOf { symbol };
            let first = self.first(&rows);
            if inverse.names_tell() {
                let path = inverse.path(&of, &first).map_err(refused)?;
                let parts: Vec<Vec<Range<u64>>> = cut(&rows, each).collect();
                let many = parts.len() > 1;
                pieces.extend(parts.into_iter().enumerate().map(|(at, rows)| Piece {
                    name: if many { format!("part-{:05}/{path}", at + 1) } else { path.clone() },
                    rows,
                    extra: Extra::None,
                }));
                continue;
            }
            let name = |at: usize| format!("{}-{seed}-{at:05}.csv", dataset.name);
            inverse.check(&name(1), &of, &first).map_err(refused)?;
            let parts = cut(&rows, each).enumerate();
            pieces.extend(parts.map(|(at, rows)| Piece {
                name: name(at + 1),
                rows,
                extra: Extra::None,
            }));
        }
        Ok(pieces)
    }

    /// The first records of some ranges.
    fn first(&self, rows: &[Range<u64>]) -> Records {
        let mut records = self.generator.records();
        if let Some(first) = rows.first() {
            let count = Inverse::checked_rows(first.end - first.start);
            self.generator.make(first.start..first.start + count, &mut records);
        }
        records
    }

    /// The bytes of a file.
    fn bytes(&self, piece: &Piece) -> Result<Vec<u8>, String> {
        let mut records = self.generator.records();
        for rows in &piece.rows {
            self.generator.make(rows.clone(), &mut records);
        }
        match &self.writing {
            Writing::Form(form) => {
                form.render(&records, piece.rows.first().map_or(0, |rows| rows.start))
            }
            Writing::Vendor(inverse) => inverse.render(&records),
        }
    }

    /// Whether loading will refuse records, for they are in the future.
    fn ahead(&self) -> Option<String> {
        let mut last = self.generator.records();
        self.generator.make(self.generator.rows() - 1..self.generator.rows(), &mut last);
        let now = Timestamp::now().as_microsecond();
        let time = self.dataset.time.and_then(|name| last.column(name)?.number(0));
        let text = "the last records are in the future, which loading refuses (future_time): \
                    choose an earlier --from or --to, or fewer --rows";
        time.is_some_and(|time| time > now + 86_400_000_000).then(|| text.to_owned())
    }
}

/// The layout that is asked for, read backwards.
fn inverse(
    choice: &LayoutChoice,
    generator: &Generator,
    dataset: &Dataset,
) -> Result<Inverse, CommandError> {
    let (of_user, only) = layouts(Some(choice))?;
    let built_in = registry().map_err(|error| CommandError::Refused(error.to_string()))?;
    let known = if of_user.is_empty() { built_in } else { of_user.as_slice() };
    let name = only.unwrap_or_default();
    let layout = known.iter().find(|layout| layout.name == name).ok_or_else(|| {
        CommandError::Usage(format!(
            "--layout {name}: there is no such layout; docs/layouts.md has \
                                     them all"
        ))
    })?;
    if layout.dataset.name != dataset.name {
        return Err(CommandError::Usage(format!(
            "--layout {name} is of {}, not of {}",
            layout.dataset.name, dataset.name
        )));
    }
    let mut sample = generator.records();
    generator.make(0..Inverse::checked_rows(generator.rows()), &mut sample);
    let interval = match sample.column("interval") {
        Some(Values::Words { words, .. }) => words.first().cloned(),
        _ => None,
    };
    Inverse::of(layout, interval.as_deref(), &sample)
        .map_err(|why| CommandError::Refused(format!("--layout {name} cannot be written: {why}")))
}

/// Ranges in pieces of at most `each` rows.
fn cut(rows: &[Range<u64>], each: u64) -> impl Iterator<Item = Vec<Range<u64>>> {
    let mut pieces: Vec<Vec<Range<u64>>> = Vec::new();
    let mut room = 0;
    for range in rows {
        let mut at = range.start;
        while at < range.end {
            if room == 0 {
                pieces.push(Vec::new());
                room = each;
            }
            let end = range.end.min(at + room);
            room -= end - at;
            if let Some(piece) = pieces.last_mut() {
                piece.push(at..end);
            }
            at = end;
        }
    }
    pieces.into_iter()
}

/// Turns a request to load into one that loads what is generated, with what a person should know.
///
/// # Errors
/// As [`Batchwork::new`].
pub fn into_load(
    request: &GenerateRequest,
    load: LoadRequest,
) -> Result<(LoadRequest, Vec<String>), CommandError> {
    if !request.faults.is_empty() {
        let why = "--faults makes files with an answer key beside them: use --out, not --into";
        return Err(CommandError::Usage(why.to_owned()));
    }
    let work = Arc::new(Batchwork::new(request, &load)?);
    let made = work.files.iter().map(|piece| {
        let (work, piece) = (Arc::clone(&work), piece.clone());
        let name = format!("generated-v{VERSION}/{}", piece.name);
        Made::new(&name, move || work.bytes(&piece).map_err(std::io::Error::other))
    });
    let (layout, rate) = (request.layout.clone(), request.rate);
    let load = LoadRequest { made: made.collect(), layout, rows_per_sec_max: rate, ..load };
    Ok((load, work.messages.clone()))
}

/// A path as a person reads it.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_same_number_of_rows() {
        let pieces: Vec<_> = cut(&[0..5, 8..10, 20..21], 3).collect();
        assert_eq!(format!("{pieces:?}"), "[[0..3], [3..5, 8..9], [9..10, 20..21]]");
        assert_eq!(cut(&[], 3).count(), 0);
    }
}
