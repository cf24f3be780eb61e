//! `inspect`: what a file is, without a database. What a layout knows is read and summed up, as far
//! as it is not too large; for what no layout knows, its look is guessed and a layout is drafted.
//! Loads nothing; every guess is said to be one, and what was left out is said too.

mod draft;
mod guess;
mod known;
mod list;
mod names;
mod profile;
mod quality;
pub(super) mod read;
mod roles;
mod show;
mod subject;
mod unknown;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Exit;
use crate::layout::{GivenFacts, Layout, RecogniseError, Recognised, recognise, registry};
use crate::limit::{FIELDS_MAX, INSPECT_BYTES_MAX, INSPECT_ROWS_MAX, RETRY_DEADLINE_S};
use crate::mapping::{FieldSource, MappedColumn, Mapping, Quirks, ValueKind};
use crate::source::{self, ContentReader, Spooler, look_into};

use super::side_by_side::side_by_side;
use super::survey::layouts;
use super::{Answer, CommandError, LayoutChoice};
pub(super) use known::mapping;
use list::Listed;
use read::Input;
use subject::{Looker, Subject, Verdict};

/// Contents that are shown in full; of more there is a list, and the first of each layout.
const FULL_MAX: usize = 3;

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
    /// Read large files to their ends.
    pub all: bool,
}

/// What became of one content.
struct Inspected {
    text: String,
    json: Value,
    /// A layout knows it, and reads something of it.
    recognised: bool,
    listed: Listed,
}

/// Inspects.
///
/// # Errors
/// When a path stands for nothing, a file cannot be read, or a layout file makes no sense.
pub fn run(request: &InspectRequest) -> Result<Answer, CommandError> {
    let (user_layout, only) = layouts(request.layout.as_ref())?;
    let built_in = registry().map_err(|error| CommandError::Refused(error.to_string()))?;
    let layouts = if user_layout.is_empty() { built_in } else { user_layout.as_slice() };
    let spooler = Spooler::default();
    let (found, _spool) = find(&request.inputs, &spooler)?;
    if let Some(path) = &request.write_layout {
        may_write(path, found.len())?;
    }
    let looking = Looking { request, layouts, only: only.as_deref() };
    let (mut all, mut messages, mut exit) = (Vec::new(), Vec::new(), Exit::Done);
    let mut more = 0;
    for (file, looked) in found.iter().zip(side_by_side(&found, |file| looking.at(file, &spooler))?)
    {
        more += looked.more;
        messages
            .extend(looked.ignored.iter().map(|(name, why)| format!("passed over: {name}: {why}")));
        if file.named && !looked.inspected.iter().any(|one| one.recognised) {
            exit = exit.worse(Exit::Failed);
        }
        all.extend(looked.inspected);
    }
    if more > 0 {
        messages.push(format!("{more} more members were not looked at"));
    }
    let text = if all.len() > FULL_MAX {
        list::text(request, &all)
    } else {
        all.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join("\n")
    };
    let files: Vec<Value> = all.into_iter().map(|one| one.json).collect();
    let json = Some(json!({ "files": files, "messages": messages }));
    Ok(Answer { exit, json, text: Some(text), messages, ..Answer::done() })
}

fn find(
    inputs: &[String],
    spooler: &Spooler,
) -> Result<(Vec<source::Found>, Option<source::Spool>), CommandError> {
    let (stdin, paths): (Vec<&String>, Vec<&String>) =
        inputs.iter().partition(|input| *input == "-");
    let paths: Vec<String> = paths.into_iter().cloned().collect();
    let remotes = source::Remotes::new(Duration::from_secs(RETRY_DEADLINE_S));
    let mut found = source::find(&paths, &remotes, spooler)?;
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
            "--write-layout {shown}: a layout is drafted for one file, and these are {files}: \
             name one of them"
        )));
    }
    if path.extension().is_none_or(|ending| ending != "toml") {
        return Err(CommandError::Usage(format!(
            "--write-layout {shown}: name a .toml file, such as {}",
            show::word(&path.with_extension("toml").display().to_string())
        )));
    }
    if path.exists() {
        return Err(CommandError::Refused(format!(
            "{shown} is there already: load by it with --layout {0}, or remove it, or name \
             another file",
            show::word(&shown.to_string())
        )));
    }
    Ok(())
}

/// What all files have in common.
struct Looking<'a> {
    request: &'a InspectRequest,
    layouts: &'a [Layout],
    only: Option<&'a str>,
}

/// What was seen of a file.
struct Looked {
    inspected: Vec<Inspected>,
    /// Names of what was passed over, and why.
    ignored: Vec<(String, String)>,
    /// Members that were not looked at.
    more: u64,
}

impl Looking<'_> {
    /// Looks into a file.
    fn at(&self, file: &source::Found, spooler: &Spooler) -> Result<Looked, CommandError> {
        let mut looker = Looker::new(self, file);
        let outcome = look_into(&file.location, &file.name, spooler, &mut looker);
        let Looker { mut subjects, ignored, more, stop, .. } = looker;
        if let Some(stop) = stop {
            return Err(stop);
        }
        if let Err(error) = outcome {
            subjects.push(Subject::broken(file.name.clone(), &file.name, error.to_string()));
        }
        Ok(Looked { inspected: self.contents(&subjects)?, ignored, more })
    }

    /// Reads the contents of one file, in their order, and says of each what it is.
    fn contents(&self, subjects: &[Subject]) -> Result<Vec<Inspected>, CommandError> {
        let mut reading = Reading {
            before: None,
            drafted: false,
            bytes_left: if self.request.all { u64::MAX } else { INSPECT_BYTES_MAX },
            rows_max: if self.request.all { u64::MAX } else { INSPECT_ROWS_MAX },
        };
        let mut inspected = Vec::with_capacity(subjects.len());
        for subject in subjects {
            match &subject.verdict {
                Verdict::Broken(why) => inspected.push(Inspected {
                    text: format!("{}: cannot be read: {why}\n", subject.name),
                    json: json!({ "source": subject.name, "recognised": false, "why_not": why }),
                    recognised: false,
                    listed: Listed::not(subject, why),
                }),
                Verdict::Known(first, missing) => {
                    for recognised in std::iter::once(&**first).chain(&first.also) {
                        let missing = missing.as_slice();
                        inspected.push(self.known(subject, (recognised, missing), &mut reading)?);
                    }
                }
                Verdict::Strange(error, guess) => {
                    inspected.push(self.unknown(subject, error, guess.as_ref(), &mut reading)?);
                }
            }
        }
        Ok(inspected)
    }

    fn known(
        &self,
        subject: &Subject,
        (recognised, missing): (&Recognised, &[&'static str]),
        reading: &mut Reading,
    ) -> Result<Inspected, CommandError> {
        let layout = self.request.layout.as_ref();
        let mut known = known(subject, (recognised, missing), (self.request, layout), reading)?;
        if let Some(path) = &self.request.write_layout {
            // A layout that reads no record of it knows something else.
            if !known.recognised
                && let Err(error) = recognise_with(subject, &self.request.facts, &[], None)
            {
                reading.begin_again(self.request.all);
                return self.unknown(subject, &error, subject.guess().as_ref(), reading);
            }
            known.text.push_str(&format!(
                "\n{} was not written: the layout {} knows this file; the command above loads it\n",
                path.display(),
                recognised.layout
            ));
        }
        Ok(known)
    }

    /// A content that no layout knows, or not as it was asked for.
    fn unknown(
        &self,
        subject: &Subject,
        error: &RecogniseError,
        guess: Option<&guess::Guess>,
        reading: &mut Reading,
    ) -> Result<Inspected, CommandError> {
        // One layout is drafted, for the first content that needs one.
        let out = self.request.write_layout.as_deref().filter(|_| !reading.drafted);
        let profile = guess.map(|guess| profile(subject, guess, reading)).transpose()?;
        let guessed = guess.zip(profile.as_ref()).map(|(guess, profile)| {
            let roles = roles::find(profile, self.request.facts.symbol.as_deref());
            unknown::Guessed { guess, profile, roles }
        });
        let json = unknown::json(subject, error, guessed.as_ref());
        let mut text = unknown::text(subject, error, guessed.as_ref());
        let name = out.and_then(Path::file_stem).map_or("mine".into(), |s| s.to_string_lossy());
        let name = draft::name_of(&name);
        let draft = match &guessed {
            Some(guessed) => draft::layout(&name, &subject.name, guessed, &self.request.facts),
            None => draft::of_example(&name, error),
        };
        if let (Some(out), Some(draft)) = (out, &draft) {
            reading.drafted = true;
            return self.written(subject, out, draft, &text, reading);
        }
        let next = unknown::what_next(subject, guessed.as_ref(), self.request, draft.as_deref());
        text.push_str(&next);
        let listed = Listed::not(subject, &error.to_string());
        Ok(Inspected { text, json, recognised: false, listed })
    }

    /// Writes the draft, and looks at the file once more by it.
    fn written(
        &self,
        subject: &Subject,
        out: &Path,
        draft: &str,
        before: &str,
        reading: &mut Reading,
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
                reading.begin_again(self.request.all);
                let by = (self.request, Some(&choice));
                let mut known = known(subject, (&recognised, &missing), by, reading)?;
                known.text = format!("{text}\nBy this layout:\n\n{}", known.text);
                known.json["layout_written"] = json!(out.display().to_string());
                Ok(known)
            }
            Err(error) => {
                text.push_str(&format!("\nIt does not fit yet, mend it: {error}\n"));
                let json = json!({
                    "source": subject.name, "recognised": false, "why_not": error.to_string(),
                    "layout_written": out.display().to_string()
                });
                let listed = Listed::not(subject, &error.to_string());
                Ok(Inspected { text, json, recognised: false, listed })
            }
        }
    }
}

/// How far the contents of one file are read.
struct Reading {
    /// The reader of the content before.
    before: Option<ContentReader>,
    /// Whether a layout was drafted.
    drafted: bool,
    bytes_left: u64,
    rows_max: u64,
}

impl Reading {
    fn begin_again(&mut self, all: bool) {
        self.bytes_left = if all { u64::MAX } else { INSPECT_BYTES_MAX };
    }

    /// Reads a content by `read`, which says whether it came to the end.
    fn content(
        &mut self,
        subject: &Subject,
        read: impl FnOnce(Input<'_>) -> Result<bool, CommandError>,
    ) -> Result<bool, CommandError> {
        let mut bytes = subject.open(&mut self.before)?;
        let input = Input { name: &subject.name, bytes: bytes.reader(), enough: self.bytes_left };
        let whole = read(input)?;
        self.before = bytes.end();
        self.bytes_left = self.bytes_left.saturating_sub(subject.bytes.unwrap_or_default());
        Ok(whole)
    }
}

/// Recognises a file even if facts are missing: which ones.
fn recognise_with(
    subject: &Subject,
    given: &GivenFacts,
    layouts: &[Layout],
    only: Option<&str>,
) -> Result<(Recognised, Vec<&'static str>), RecogniseError> {
    let (mut given, mut missing) = (given.clone(), Vec::new());
    let mut recognised = loop {
        // The zone is asked for first, then the day, then what the rows need.
        match recognise(&subject.sample(), &given, layouts, only) {
            Ok(recognised) => break recognised,
            Err(RecogniseError::MissingFact { facts, .. })
                if !facts.iter().any(|fact| missing.contains(fact)) =>
            {
                facts.iter().for_each(|fact| stand_in(&mut given, fact));
                missing.extend(facts);
            }
            Err(error) => return Err(error),
        }
    };
    for field in &mut recognised.fields {
        if missing.contains(&field.column.as_str()) {
            field.source = FieldSource::Constant(MISSING.to_owned());
        }
    }
    let stands_in = |why: &String| {
        missing.iter().any(|fact| match *fact {
            "zone" => why.ends_with("from --tz"),
            fact => why.starts_with(fact),
        })
    };
    recognised.why.retain(|why| !stands_in(why));
    Ok((recognised, missing))
}

/// Puts something in the place of a fact that nothing says, so that the file can be looked at.
fn stand_in(given: &mut GivenFacts, fact: &str) {
    let (place, value) = match fact {
        "interval" => (&mut given.interval, "1m"),
        "zone" => (&mut given.zone, "UTC"),
        "date" => (&mut given.date, "1970-01-01"),
        _ => (&mut given.symbol, MISSING),
    };
    *place = Some(value.to_owned());
}

/// Stands for a fact that nothing says.
const MISSING: &str = "?";

fn known(
    subject: &Subject,
    (recognised, missing): (&Recognised, &[&'static str]),
    (request, layout): (&InspectRequest, Option<&LayoutChoice>),
    reading: &mut Reading,
) -> Result<Inspected, CommandError> {
    let known = known::inspect(subject, recognised, reading)?;
    let shown = show::Shown { subject, recognised, missing, layout, known: &known, request };
    let listed = Listed::known(subject, recognised, &known);
    let (text, json) = (shown.text(), shown.json());
    Ok(Inspected { text, json, recognised: !known.nothing_good(), listed })
}

/// Reads a text as columns of plain text.
fn profile(
    subject: &Subject,
    guess: &guess::Guess,
    reading: &mut Reading,
) -> Result<profile::Profile, CommandError> {
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
    let mut profile = profile::Profile::new(names, guess.comma);
    profile.whole = reading.content(subject, |input| {
        read::text(input, &guess.shape(), &mapping, |piece| profile.add(&piece))
    })?;
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
                all: false,
            };
            let answer = run(&request).unwrap();
            prop_assert!(answer.json.is_some() && answer.text.is_some());
        }
    }
}
