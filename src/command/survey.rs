//! Looking at the sources before anything is loaded: finding them, recognising their layout, and
//! knowing their content.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decode::ParquetSource;
use crate::layout::{
    GivenFacts, Layout, RecogniseError, Recognised, Sample, SampleHead, recognise, registry,
};
use crate::limit::SAMPLE_BYTES;
use crate::source::{self, Fingerprint};

use super::{CommandError, LayoutChoice, LoadRequest};

/// A file that can be loaded.
#[derive(Debug)]
pub(super) struct Source {
    pub name: Arc<str>,
    pub path: PathBuf,
    pub fingerprint: Fingerprint,
    pub recognised: Recognised,
    /// Rows, where the file says so: Parquet.
    pub rows: Option<u64>,
    /// Names of its columns by position, where it has columns: Parquet.
    pub columns: Vec<String>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub sources: Vec<Source>,
    /// Files without a byte, and files inside a directory or glob that are no market data, with
    /// why.
    pub ignored: Vec<(String, String)>,
    /// Files named on the command line that cannot be loaded, with why.
    pub failed: Vec<(String, String)>,
    /// Keeps the copy of standard input.
    pub spool: Option<tempfile::NamedTempFile>,
}

/// Looks at all inputs of a request.
pub(super) fn survey(request: &LoadRequest) -> Result<Survey, CommandError> {
    let mut survey = Survey::default();
    let (user_layout, only) = layouts(request.layout.as_ref())?;
    let built_in = registry().map_err(|error| CommandError::Refused(error.to_string()))?;
    let layouts = user_layout.as_slice();
    let layouts = if layouts.is_empty() { built_in } else { layouts };
    let (stdin, paths): (Vec<&String>, Vec<&String>) =
        request.inputs.iter().partition(|input| *input == "-");
    let paths: Vec<String> = paths.into_iter().cloned().collect();
    let mut found = source::find(&paths)?;
    if !stdin.is_empty() {
        let spool = source::spool(std::io::stdin().lock())?;
        let path = spool.path().to_owned();
        found.push(source::Found { path, name: "-".to_owned(), named: true });
        survey.spool = Some(spool);
    }
    for (at, file) in (1..).zip(found) {
        let in_shard = request.shard.is_none_or(|(part, parts)| (at - 1) % parts == part);
        let in_units = request.units.is_none_or(|(first, last)| (first..=last).contains(&at));
        if !in_shard || !in_units {
            continue;
        }
        match look(&file.path, &file.name, &request.facts, layouts, only.as_deref()) {
            Ok(Looked::Known { recognised, rows, columns }) => {
                let fingerprint = source::fingerprint(&file.path)?;
                survey.sources.push(Source {
                    name: file.name.into(),
                    path: file.path,
                    fingerprint,
                    recognised: *recognised,
                    rows,
                    columns,
                });
            }
            Ok(Looked::Not(why)) if file.named => survey.failed.push((file.name, why)),
            Ok(Looked::Empty(why) | Looked::Not(why)) => survey.ignored.push((file.name, why)),
            Err(error) if file.named => return Err(error),
            Err(error) => survey.failed.push((file.name, error.to_string())),
        }
    }
    Ok(survey)
}

/// A user's layout, and the name that `--layout` asks for.
pub(super) fn layouts(
    choice: Option<&LayoutChoice>,
) -> Result<(Vec<Layout>, Option<String>), CommandError> {
    match choice {
        None => Ok((Vec::new(), None)),
        Some(LayoutChoice::Named(name)) => Ok((Vec::new(), Some(name.clone()))),
        Some(LayoutChoice::File(path)) => {
            let text = std::fs::read_to_string(path).map_err(CommandError::file(path))?;
            let layout = Layout::parse(&text, &path.display().to_string())?;
            let name = layout.name.clone();
            Ok((vec![layout], Some(name)))
        }
    }
}

enum Looked {
    Known {
        recognised: Box<Recognised>,
        rows: Option<u64>,
        columns: Vec<String>,
    },
    /// Legal, and there is nothing to load.
    Empty(String),
    Not(String),
}

fn look(
    path: &Path,
    name: &str,
    facts: &GivenFacts,
    layouts: &[Layout],
    only: Option<&str>,
) -> Result<Looked, CommandError> {
    let mut head = Vec::with_capacity(SAMPLE_BYTES);
    let file = File::open(path).map_err(CommandError::file(path))?;
    let size = file.metadata().map_err(CommandError::file(path))?.len();
    file.take(SAMPLE_BYTES as u64).read_to_end(&mut head).map_err(CommandError::file(path))?;
    let is_parquet = head.starts_with(b"PAR1");
    let (columns, rows) = match is_parquet.then(|| ParquetSource::open(path)) {
        Some(Ok(parquet)) => (parquet.columns(), Some(parquet.rows())),
        Some(Err(error)) => return Ok(Looked::Not(error.to_string())),
        None => (Vec::new(), None),
    };
    let sample_head = if is_parquet {
        SampleHead::Parquet { columns: &columns }
    } else {
        SampleHead::Text { bytes: &head, whole: size as usize == head.len() }
    };
    match recognise(&Sample { name, head: sample_head }, facts, layouts, only) {
        Ok(recognised) => Ok(Looked::Known {
            recognised: Box::new(recognised),
            rows,
            columns: columns.into_iter().map(|(name, _)| name).collect(),
        }),
        Err(error @ RecogniseError::BadFact { .. }) => Err(CommandError::Usage(error.to_string())),
        Err(error @ RecogniseError::NoSuchLayout { .. }) => {
            Err(CommandError::Usage(error.to_string()))
        }
        Err(error) if error.is_empty_file() => Ok(Looked::Empty(error.to_string())),
        Err(error) => Ok(Looked::Not(error.to_string())),
    }
}
