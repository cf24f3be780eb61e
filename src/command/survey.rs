//! Looking at the sources before anything is loaded: finding them, recognising their layout, and
//! knowing their content.

use std::path::Path;
use std::sync::Arc;

use crate::dataset;
use crate::decode::ParquetSource;
use crate::layout::{Layout, RecogniseError, Recognised, Sample, SampleHead, recognise, registry};
use crate::limit::KEPT_BYTES_MAX;
use crate::mapping::{JsonRecords, JsonShape, has_columnar_magic, is_columnar};
use crate::source::{
    self, Content, Fingerprint, Found, Location, Remotes, Seen, SourceError, Spool, Spooler,
    Version, Visitor, Want, look_into,
};
use crate::spill;

use super::side_by_side::side_by_side;
use super::{CommandError, LayoutChoice, LoadRequest};

/// A file, or a member of an archive, that can be loaded.
#[derive(Debug)]
pub(super) struct Source {
    pub name: Arc<str>,
    /// Position of its file among those that were looked at.
    pub file: usize,
    /// The file or object that holds it.
    pub location: Location,
    pub fingerprint: Fingerprint,
    pub recognised: Recognised,
    /// Rows, where the file says so: Parquet.
    pub rows: Option<u64>,
    /// Names of its columns by position, where it has columns: Parquet.
    pub columns: Vec<String>,
    /// Keeps the temporary file that holds it.
    pub _spool: Option<Spool>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub sources: Vec<Source>,
    /// What has no byte, and what is no market data and was not named on the command line, with
    /// why.
    pub ignored: Vec<(String, String)>,
    /// What cannot be loaded although it should be, with why.
    pub failed: Vec<(String, String)>,
    /// Bytes on disk of the copies of what was decompressed.
    pub kept_bytes: u64,
    /// Files that were looked at, in plan order.
    pub files: Vec<Looked>,
}

/// A file that was looked at, for whoever wants to know it again.
#[derive(Debug)]
pub(super) struct Looked {
    pub name: String,
    /// What it was all the while; `None`: that cannot be said, or something in it failed.
    pub version: Option<Version>,
    /// How many sources it gave.
    pub sources: usize,
    /// Members of it that were ignored.
    pub ignored: Vec<(String, String)>,
}

/// What the inputs of a request stand for.
#[derive(Debug)]
pub(super) struct Inputs {
    pub found: Vec<Found>,
    pub spooler: Spooler,
}

/// Looks at all inputs of a request.
pub(super) fn survey(request: &LoadRequest) -> Result<Survey, CommandError> {
    let inputs = find(request)?;
    look(request, &inputs.found, &inputs.spooler)
}

/// Finds what the inputs of a request stand for, without looking into anything.
pub(super) fn find(request: &LoadRequest) -> Result<Inputs, CommandError> {
    layouts(request.layout.as_ref())?;
    let (stdin, paths): (Vec<&String>, Vec<&String>) =
        request.inputs.iter().partition(|input| *input == "-");
    let paths: Vec<String> = paths.into_iter().cloned().collect();
    let spooler = spooler(request);
    let mut found = source::find(&paths, &Remotes::new(request.retry_deadline), &spooler)?;
    if !stdin.is_empty() {
        let copy = spooler.standard_input(std::io::stdin().lock())?;
        found.push(Found::spooled("-", copy));
    }
    found.extend(request.made.iter().cloned().map(Found::made));
    Ok(Inputs { found, spooler })
}

/// Where what a load decompresses is kept.
pub(super) fn spooler(request: &LoadRequest) -> Spooler {
    let kept_max = KEPT_BYTES_MAX.min(request.spill_bytes_max / 2);
    Spooler::default().keeping(spill::folder(), kept_max)
}

/// Looks into what was found.
pub(super) fn look(
    request: &LoadRequest,
    found: &[Found],
    spooler: &Spooler,
) -> Result<Survey, CommandError> {
    let (user_layout, only) = layouts(request.layout.as_ref())?;
    let built_in = registry().map_err(|error| CommandError::Refused(error.to_string()))?;
    let layouts = if user_layout.is_empty() { built_in } else { user_layout.as_slice() };
    let surveyor = || Surveyor {
        request,
        layouts,
        only: only.clone(),
        survey: Survey::default(),
        unit: 0,
        file: OfFile::default(),
        stop: None,
    };
    // Which contents are a shard's is known by their number alone.
    let survey = if request.shard.is_some() || request.units.is_some() {
        let mut surveyor = surveyor();
        found.iter().try_for_each(|file| surveyor.look_at(file, spooler))?;
        surveyor.survey
    } else {
        let mut whole = Survey::default();
        let surveys = side_by_side(found, |file| {
            let mut surveyor = surveyor();
            surveyor.look_at(file, spooler).map(|()| surveyor.survey)
        });
        surveys?.into_iter().for_each(|survey| whole.extend(survey));
        whole
    };
    Ok(Survey { kept_bytes: spooler.kept_bytes(), ..survey })
}

impl Survey {
    /// Adds what was found in other files.
    pub fn extend(&mut self, other: Survey) {
        let before = self.files.len();
        self.sources.extend(other.sources.into_iter().map(|mut source| {
            source.file += before;
            source
        }));
        self.ignored.extend(other.ignored);
        self.failed.extend(other.failed);
        self.files.extend(other.files);
        self.kept_bytes = self.kept_bytes.max(other.kept_bytes);
    }
}

/// Looks at contents, one after another.
struct Surveyor<'a> {
    request: &'a LoadRequest,
    layouts: &'a [Layout],
    /// The one layout that `--layout` asks for.
    only: Option<String>,
    survey: Survey,
    /// Contents that were come upon so far.
    unit: u64,
    file: OfFile,
    /// Why nothing can be loaded as asked.
    stop: Option<CommandError>,
}

/// The file at hand.
#[derive(Default)]
struct OfFile {
    name: String,
    /// Named on the command line.
    named: bool,
    /// Contents that were come upon in it.
    contents: u64,
    /// Those that are no market data; why the first is not.
    strange: u64,
    first: Option<String>,
    /// The temporary file that it is.
    spool: Option<Spool>,
}

/// What is known of a content besides its bytes.
struct Known {
    recognised: Recognised,
    rows: Option<u64>,
    columns: Vec<String>,
}

/// Whether a content is one record of several tables: an archive of such is one source, not
/// thousands.
pub(super) fn is_record(recognised: &Recognised, seen: &Seen<'_>) -> bool {
    // One line is one document.
    let one_line = || seen.whole && !seen.head.trim_ascii().contains(&b'\n');
    let whole = |shape: &JsonShape| match shape.records {
        JsonRecords::Documents => true,
        JsonRecords::Lines => one_line(),
        JsonRecords::Members | JsonRecords::Array(_) => false,
    };
    recognised.json.as_ref().is_some_and(whole)
        && dataset::by_name(&recognised.dataset).is_some_and(|dataset| !dataset.children.is_empty())
}

impl Surveyor<'_> {
    fn look_at(&mut self, file: &Found, spooler: &Spooler) -> Result<(), CommandError> {
        self.file = OfFile {
            name: file.name.clone(),
            named: file.named,
            spool: file.spool.clone(),
            ..OfFile::default()
        };
        // What is in a temporary file cannot be known again.
        let version = || file.spool.is_none().then(|| Version::of(&file.location)).flatten();
        let before = version();
        let failed = self.survey.failed.len();
        let (sources, ignored) = (self.survey.sources.len(), self.survey.ignored.len());
        let outcome = look_into(&file.location, &file.name, spooler, self);
        self.survey.files.push(Looked {
            name: file.name.clone(),
            version: before.filter(|before| {
                outcome.is_ok()
                    && failed == self.survey.failed.len()
                    && version().as_ref() == Some(before)
            }),
            sources: self.survey.sources.len() - sources,
            ignored: self.survey.ignored[ignored..].to_vec(),
        });
        if let Some(stop) = self.stop.take() {
            return Err(stop);
        }
        let OfFile { name, named, contents, strange, first, .. } = std::mem::take(&mut self.file);
        match outcome {
            Ok(()) if contents == 0 && named && self.survey.ignored.len() > ignored => {
                let (member, why) = &self.survey.ignored[ignored];
                let why = format!("none of its members can be loaded: {member}: {why}");
                self.survey.failed.push((name, why));
            }
            Ok(()) if contents == 0 => {
                self.survey.ignored.push((name, "it is an archive with nothing to load".into()));
            }
            Ok(()) if named && strange == contents => {
                if let Some(first) = first {
                    let why = format!("none of its {contents} members is market data: {first}");
                    self.survey.failed.push((name, why));
                }
            }
            Ok(()) => {}
            Err(
                error @ (SourceError::Io { .. }
                | SourceError::Remote { .. }
                | SourceError::Absent { .. }),
            ) if named => {
                return Err(error.into());
            }
            Err(error) => self.survey.failed.push((name, error.to_string())),
        }
        Ok(())
    }

    fn is_mine(&self, unit: u64) -> bool {
        let in_shard = self.request.shard.is_none_or(|(part, parts)| (unit - 1) % parts == part);
        in_shard && self.request.units.is_none_or(|(first, last)| (first..=last).contains(&unit))
    }

    /// Something that is not recognised. Market data that cannot be loaded without a word from the
    /// user is an error wherever it is.
    fn not_known(&mut self, seen: &Seen<'_>, why: &RecogniseError) -> Result<(), CommandError> {
        let name = seen.name.to_owned();
        match why {
            RecogniseError::BadFact { .. } | RecogniseError::NoSuchLayout { .. } => {
                return Err(CommandError::Usage(why.to_string()));
            }
            // What was piped in may have failed.
            RecogniseError::Empty { .. } if name == "-" => {
                self.survey.failed.push((name, why.to_string()));
            }
            RecogniseError::Empty { .. } => self.survey.ignored.push((name, why.to_string())),
            RecogniseError::DoesNotFit { .. } => self.strange(name, why.to_string()),
            _ if why.no_market_data() => self.strange(name, why.to_string()),
            _ => self.survey.failed.push((name, why.to_string())),
        }
        Ok(())
    }

    /// No market data: an error for a file that was named, else it is ignored.
    fn strange(&mut self, name: String, why: String) {
        if self.file.named && name == self.file.name {
            self.survey.failed.push((name, why));
            return;
        }
        self.file.strange += 1;
        self.file.first.get_or_insert_with(|| why.clone());
        // In full it would be a page for each of what may be thousands of members.
        let lines: Vec<&str> = why.lines().take(2).map(str::trim).collect();
        self.survey.ignored.push((name, lines.join("; ")));
    }

    fn recognise(&mut self, seen: &Seen<'_>) -> Result<Option<Known>, CommandError> {
        let is_parquet = is_columnar(seen.head);
        let parquet = match seen.location.filter(|_| is_parquet) {
            Some(location) => {
                let bytes = location.bytes(None)?;
                let opened = ParquetSource::over(Path::new(seen.name), Arc::clone(&bytes));
                bytes.check().map_err(|error| SourceError::of(location, error))?;
                match opened {
                    Ok(parquet) => Some(parquet),
                    // It says what it is, so it is no stranger that may be passed over.
                    Err(error) if has_columnar_magic(seen.head) => {
                        self.survey.failed.push((seen.name.to_owned(), error.to_string()));
                        return Ok(None);
                    }
                    Err(error) => {
                        self.strange(seen.name.to_owned(), error.to_string());
                        return Ok(None);
                    }
                }
            }
            None => None,
        };
        let columns = parquet.as_ref().map(ParquetSource::columns).unwrap_or_default();
        let head = match &parquet {
            Some(_) => SampleHead::Parquet { columns: &columns },
            None => SampleHead::Text { bytes: seen.head, whole: seen.whole },
        };
        let own = parquet.as_ref().and_then(ParquetSource::own_name);
        let name = own.map(|own| format!("{}/{own}", seen.path_name));
        let sample = Sample { name: name.as_deref().unwrap_or(seen.path_name), head };
        match recognise(&sample, &self.request.facts, self.layouts, self.only.as_deref()) {
            Ok(recognised) => Ok(Some(Known {
                recognised,
                rows: parquet.as_ref().map(ParquetSource::rows),
                columns: columns.into_iter().map(|(name, _)| name).collect(),
            })),
            Err(why) => self.not_known(seen, &why).map(|()| None),
        }
    }
}

impl Visitor for Surveyor<'_> {
    type Known = Known;

    fn look(&mut self, seen: &Seen<'_>) -> Want<Known> {
        self.unit += 1;
        self.file.contents += 1;
        if self.stop.is_some() || !self.is_mine(self.unit) {
            return Want::No;
        }
        match self.recognise(seen) {
            Ok(Some(mut known)) if seen.in_tar && is_record(&known.recognised, seen) => {
                if let Some(shape) = &mut known.recognised.json {
                    shape.records = JsonRecords::Members;
                }
                Want::Archive(known)
            }
            Ok(Some(known)) => Want::This(known),
            Ok(None) => Want::No,
            Err(error) => {
                self.stop = Some(error);
                Want::No
            }
        }
    }

    fn take(&mut self, known: Known, content: Content) {
        let Known { mut recognised, rows, columns } = known;
        let name: Arc<str> = content.name.into();
        let also = std::mem::take(&mut recognised.also);
        if !also.is_empty() && self.request.table.is_some() {
            let datasets = also.iter().map(|other| other.dataset.as_str());
            let datasets: Vec<&str> =
                std::iter::once(recognised.dataset.as_str()).chain(datasets).collect();
            let why = format!(
                "it holds {}, and a table takes one of them: say which with --dataset",
                datasets.join(" and ")
            );
            self.survey.failed.push((name.to_string(), why));
            return;
        }
        for recognised in std::iter::once(recognised).chain(also) {
            self.survey.sources.push(Source {
                name: Arc::clone(&name),
                file: self.survey.files.len(),
                location: content.location.clone(),
                fingerprint: content.fingerprint.clone(),
                recognised,
                rows,
                columns: columns.clone(),
                _spool: content.spool.clone().or_else(|| self.file.spool.clone()),
            });
        }
    }

    fn ignored(&mut self, name: String, why: String) {
        self.survey.ignored.push((name, why));
    }

    fn failed(&mut self, name: String, why: String) {
        self.survey.failed.push((name, why));
    }
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
