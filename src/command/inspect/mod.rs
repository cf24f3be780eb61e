//! `inspect`: what a file is, without a database. A file that a layout knows is read from end to
//! end and summed up; for one that no layout knows, what it looks like is guessed and a layout is
//! drafted. Loads nothing; every guess is said to be one.

mod draft;
mod guess;
mod known;
mod names;
mod profile;
mod quality;
mod read;
mod roles;
mod show;
mod unknown;

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::decode::ParquetSource;
use crate::error::Exit;
use crate::layout::{
    GivenFacts, Layout, RecogniseError, Recognised, Sample, SampleHead, recognise, registry,
};
use crate::limit::{FIELDS_MAX, RETRY_DEADLINE_S, SAMPLE_BYTES};
use crate::mapping::{FieldSource, MappedColumn, Mapping, Quirks, ValueKind, is_columnar};
use crate::source;

use super::survey::layouts;
use super::{Answer, CommandError, LayoutChoice};

/// What to look at.
#[derive(Debug, Clone)]
pub struct InspectRequest {
    /// Paths, directories, globs, or `-`.
    pub inputs: Vec<String>,
    /// A layout by name, or read from a file.
    pub layout: Option<LayoutChoice>,
    /// What the files do not say.
    pub facts: GivenFacts,
    /// Where to write a layout drafted for the one file that is not known.
    pub write_layout: Option<PathBuf>,
}

/// A file and what is known of it before it is read.
struct Subject<'a> {
    name: &'a str,
    path: &'a Path,
    head: Vec<u8>,
    bytes: u64,
    /// Name and type of its columns, if it is Parquet.
    parquet: Option<Vec<(String, String)>>,
}

/// What became of one file.
struct Inspected {
    text: String,
    json: Value,
    recognised: bool,
}

/// Inspects.
///
/// # Errors
/// When a path stands for nothing, a file cannot be read, or a layout file makes no sense.
pub fn run(request: &InspectRequest) -> Result<Answer, CommandError> {
    let (user_layout, only) = layouts(request.layout.as_ref())?;
    let built_in = registry().map_err(|error| CommandError::Refused(error.to_string()))?;
    let layouts = if user_layout.is_empty() { built_in } else { user_layout.as_slice() };
    let (found, _spool) = find(&request.inputs)?;
    if let Some(path) = &request.write_layout {
        may_write(path, found.len())?;
    }
    let (mut texts, mut files, mut exit) = (Vec::new(), Vec::new(), Exit::Done);
    for file in &found {
        let Some(path) = file.location.file() else {
            return Err(CommandError::Refused(format!(
                "{}: only files are inspected; plan shows how an object would be loaded",
                file.name
            )));
        };
        let subject = Subject::open(&file.name, path)?;
        let looking = Looking { request, layouts, only: only.as_deref() };
        let inspected = looking.inspect(&subject)?;
        if file.named && !inspected.recognised {
            exit = exit.worse(Exit::Failed);
        }
        texts.push(inspected.text);
        files.push(inspected.json);
    }
    let json = Some(json!({ "files": files }));
    Ok(Answer { exit, json, text: Some(texts.join("\n")), ..Answer::done() })
}

fn find(inputs: &[String]) -> Result<(Vec<source::Found>, Option<source::Spool>), CommandError> {
    let (stdin, paths): (Vec<&String>, Vec<&String>) =
        inputs.iter().partition(|input| *input == "-");
    let paths: Vec<String> = paths.into_iter().cloned().collect();
    let mut spooler = source::Spooler::default();
    let remotes = source::Remotes::new(Duration::from_secs(RETRY_DEADLINE_S));
    let mut found = source::find(&paths, &remotes, &mut spooler)?;
    if stdin.is_empty() {
        return Ok((found, None));
    }
    let spool = spooler.standard_input(std::io::stdin().lock())?;
    found.push(source::Found::spooled("-", spool.clone()));
    Ok((found, Some(spool)))
}

/// A layout is drafted for one file, into a file that `--layout` will take and that is not there.
fn may_write(path: &Path, files: usize) -> Result<(), CommandError> {
    let shown = path.display();
    if files != 1 {
        return Err(CommandError::Usage(format!(
            "--write-layout {shown}: a layout is drafted for one file, and these are {files}"
        )));
    }
    if path.extension().is_none_or(|ending| ending != "toml") {
        return Err(CommandError::Usage(format!("--write-layout {shown}: name a .toml file")));
    }
    if path.exists() {
        return Err(CommandError::Refused(format!(
            "{shown} is there already: remove it, or name another file"
        )));
    }
    Ok(())
}

impl<'a> Subject<'a> {
    fn open(name: &'a str, path: &'a Path) -> Result<Self, CommandError> {
        let mut head = Vec::with_capacity(SAMPLE_BYTES);
        let file = File::open(path).map_err(CommandError::file(path))?;
        let bytes = file.metadata().map_err(CommandError::file(path))?.len();
        file.take(SAMPLE_BYTES as u64).read_to_end(&mut head).map_err(CommandError::file(path))?;
        let parquet = match is_columnar(&head) {
            true => Some(
                ParquetSource::open(path)
                    .map_err(|error| CommandError::Refused(error.to_string()))?
                    .columns(),
            ),
            false => None,
        };
        Ok(Self { name, path, head, bytes, parquet })
    }

    fn is_whole(&self) -> bool {
        self.bytes as usize == self.head.len()
    }

    fn sample(&self) -> Sample<'_> {
        let head = match &self.parquet {
            Some(columns) => SampleHead::Parquet { columns },
            None => SampleHead::Text { bytes: &self.head, whole: self.is_whole() },
        };
        Sample { name: self.name, head }
    }
}

/// What all files have in common.
struct Looking<'a> {
    request: &'a InspectRequest,
    layouts: &'a [Layout],
    only: Option<&'a str>,
}

impl Looking<'_> {
    fn inspect(&self, subject: &Subject<'_>) -> Result<Inspected, CommandError> {
        match recognise_with(subject, &self.request.facts, self.layouts, self.only) {
            Ok((recognised, missing)) => {
                let layout = self.request.layout.as_ref();
                let mut known = known(subject, &recognised, &missing, layout)?;
                if let Some(path) = &self.request.write_layout {
                    known.text.push_str(&format!(
                        "\n{} was not written: the layout {} knows this file\n",
                        path.display(),
                        recognised.layout
                    ));
                }
                Ok(known)
            }
            Err(error @ (RecogniseError::BadFact { .. } | RecogniseError::NoSuchLayout { .. })) => {
                Err(CommandError::Usage(error.to_string()))
            }
            Err(error) => self.unknown(subject, &error),
        }
    }

    /// A file that no layout knows, or not as it was asked for.
    fn unknown(
        &self,
        subject: &Subject<'_>,
        error: &RecogniseError,
    ) -> Result<Inspected, CommandError> {
        let is_text = matches!(
            error,
            RecogniseError::Unknown(_)
                | RecogniseError::DoesNotFit { .. }
                | RecogniseError::Ambiguous { .. }
                | RecogniseError::Contradiction { .. }
        );
        let guess = match &subject.parquet {
            None if is_text => guess::guess(&subject.head, subject.is_whole()),
            _ => None,
        };
        let Some(guess) = guess else {
            let json = unknown::json(subject.name, subject.bytes, error, None);
            let text = unknown::text(subject.name, subject.bytes, error, &subject.head, None);
            return Ok(Inspected { text, json, recognised: false });
        };
        let profile = profile(subject.path, &guess)?;
        let roles = roles::find(&profile);
        let out = self.request.write_layout.as_deref();
        let stem = out.and_then(Path::file_stem).map_or("mine".into(), |s| s.to_string_lossy());
        let draft = draft::layout(&draft::name_of(&stem), subject.name, &guess, &profile, &roles);
        let guessed = unknown::Guessed { guess: &guess, profile: &profile, roles: &roles };
        let json = unknown::json(subject.name, subject.bytes, error, Some(&guessed));
        let mut text =
            unknown::text(subject.name, subject.bytes, error, &subject.head, Some(&guessed));
        let inspected = match (out, draft) {
            (Some(out), Some(draft)) => return self.written(subject, out, &draft, &text),
            (_, draft) => {
                text.push_str(&unknown::what_next(subject.name, &guessed, draft.is_some()));
                Inspected { text, json, recognised: false }
            }
        };
        Ok(inspected)
    }

    /// Writes the draft, and looks at the file once more by it.
    fn written(
        &self,
        subject: &Subject<'_>,
        out: &Path,
        draft: &str,
        before: &str,
    ) -> Result<Inspected, CommandError> {
        let layout = Layout::parse(draft, &out.display().to_string())?;
        let name = layout.name.clone();
        let mut file = File::create_new(out).map_err(CommandError::file(out))?;
        file.write_all(draft.as_bytes()).map_err(CommandError::file(out))?;
        let layouts = [layout];
        let again = recognise_with(subject, &self.request.facts, &layouts, Some(&name));
        let mut text = format!("{before}\n{} is written:\n\n", out.display());
        for line in draft.lines() {
            text.push_str(&format!("  {line}\n"));
        }
        let choice = LayoutChoice::File(out.to_owned());
        match again {
            Ok((recognised, missing)) => {
                let known = known(subject, &recognised, &missing, Some(&choice))?;
                text.push_str(&format!("\nBy this layout:\n\n{}", known.text));
                let mut json = known.json;
                json["layout_written"] = json!(out.display().to_string());
                Ok(Inspected { text, json, recognised: true })
            }
            Err(error) => {
                text.push_str(&format!("\nIt does not fit yet, mend it: {error}\n"));
                let json = json!({
                    "source": subject.name, "recognised": false, "why_not": error.to_string(),
                    "layout_written": out.display().to_string()
                });
                Ok(Inspected { text, json, recognised: false })
            }
        }
    }
}

/// Recognises a file even if facts are missing: which ones.
fn recognise_with(
    subject: &Subject<'_>,
    given: &GivenFacts,
    layouts: &[Layout],
    only: Option<&str>,
) -> Result<(Recognised, Vec<&'static str>), RecogniseError> {
    match recognise(&subject.sample(), given, layouts, only) {
        Ok(recognised) => Ok((recognised, Vec::new())),
        Err(RecogniseError::MissingFact { facts, .. }) => {
            let mut given = given.clone();
            for fact in &facts {
                match *fact {
                    "symbol" => given.symbol = Some(MISSING.to_owned()),
                    "interval" => given.interval = Some("1d".to_owned()),
                    _ => {}
                }
            }
            let mut recognised = recognise(&subject.sample(), &given, layouts, only)?;
            for field in &mut recognised.fields {
                if facts.contains(&field.column.as_str()) {
                    field.source = FieldSource::Constant(MISSING.to_owned());
                }
            }
            recognised.why.retain(|why| !facts.iter().any(|fact| why.starts_with(fact)));
            Ok((recognised, facts))
        }
        Err(error) => Err(error),
    }
}

/// Stands for a fact that nothing says.
const MISSING: &str = "?";

fn known(
    subject: &Subject<'_>,
    recognised: &Recognised,
    missing: &[&'static str],
    layout: Option<&LayoutChoice>,
) -> Result<Inspected, CommandError> {
    let columns = subject.parquet.iter().flatten().map(|(name, _)| name.clone());
    let columns: Vec<String> = columns.collect();
    let known = known::inspect(subject.path, recognised, &columns)?;
    let shown = show::Shown {
        name: subject.name,
        bytes: subject.bytes,
        recognised,
        missing,
        layout,
        known: &known,
    };
    Ok(Inspected { text: shown.text(), json: shown.json(), recognised: true })
}

/// Reads all of a text as columns of plain text.
fn profile(path: &Path, guess: &guess::Guess) -> Result<profile::Profile, CommandError> {
    let names: Vec<String> = match &guess.header {
        Some(names) => names.clone(),
        None => (0..guess.fields).map(|at| format!("field {}", at + 1)).collect(),
    };
    let names: Vec<String> = names.into_iter().take(profile::COLUMNS_MAX.min(FIELDS_MAX)).collect();
    let columns = names.iter().enumerate().map(|(at, name)| MappedColumn {
        name: name.clone(),
        source: FieldSource::Field(at),
        kind: ValueKind::Text,
        time: None,
        rewrite: None,
        required: false,
    });
    let mapping = Mapping {
        dataset: "bars".to_owned(),
        columns: columns.collect(),
        time_column: None,
        from_us: None,
        to_us: None,
        quirks: Quirks::default(),
        nulls: Vec::new(),
    };
    let mut profile = profile::Profile::new(names);
    read::text(path, &guess.shape(), &mapping, |piece| profile.add(&piece))?;
    profile.settle();
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        /// Whatever the bytes: an answer, and a draft that is written is one that parses.
        #[test]
        fn any_file_is_answered(
            text in "(2024-01-0[1-9]|[0-9]{1,10}|-?[0-9]\\.[0-9]|1,5|null|ACME|open|Zeit|\
                     [,;|\t ]|[,;|\t ]|\"|'|\n|\n|\r\n|\u{0}|é|#){0,120}",
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file.csv");
            std::fs::write(&path, &text).unwrap();
            let request = InspectRequest {
                inputs: vec![path.display().to_string()],
                layout: None,
                facts: GivenFacts::default(),
                write_layout: Some(folder.path().join("draft.toml")),
            };
            let answer = run(&request).unwrap();
            prop_assert!(answer.json.is_some() && answer.text.is_some());
        }
    }
}
