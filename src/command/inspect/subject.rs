//! What is inspected: a file, or what a compressed file or an archive holds. Each content is
//! recognised by its first bytes as it is come upon; its bytes are read afterwards, if they say
//! more. Keeps little of each, for an archive may hold a great many.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use super::guess::{Guess, guess};
use super::{Looking, recognise_with};
use crate::command::survey::is_record;
use crate::command::{CommandError, LayoutChoice};
use crate::decode::ParquetSource;
use crate::layout::{RecogniseError, Recognised, Sample, SampleHead};
use crate::limit::{INSPECT_BYTES_MAX, KIB, RECORD_BYTES_MAX};
use crate::mapping::{JsonRecords, is_columnar};
use crate::read_at::ReadAt;
use crate::source::{Content, ContentReader, Found, Location, Seen, Visitor, Want};

/// Bytes at the head of a content that are kept to be shown.
const HEAD_BYTES: usize = 2 * KIB;
/// Contents of one file that are looked at; more are counted.
const CONTENTS_MAX: usize = 1_000;

/// Where a content's bytes are.
#[derive(Debug)]
pub(super) enum Place {
    /// They say no more than its head.
    Unread,
    /// They are the file's.
    Plain(Location),
    /// Behind compression, or in an archive.
    Packed(Content),
}

/// A content and what is known of it before it is read.
#[derive(Debug)]
pub(super) struct Subject {
    /// For people: members stand behind `!`.
    pub name: String,
    /// As the user would name the file that holds it.
    pub file: String,
    /// Its first bytes: all of the sample if a layout is to be drafted, else a little.
    pub head: Vec<u8>,
    /// Whether the sample was all of it.
    pub whole: bool,
    /// The name that facts are read from.
    pub path_name: String,
    /// Its bytes, decompressed, if they were counted.
    pub bytes: Option<u64>,
    /// Name and type of its columns, if it is Parquet.
    pub parquet: Option<Vec<(String, String)>>,
    pub place: Place,
    pub verdict: Verdict,
}

/// What its first bytes say.
#[derive(Debug)]
pub(super) enum Verdict {
    /// A layout knows it; facts that nothing says.
    Known(Box<Recognised>, Vec<&'static str>),
    /// None does; what it looks like, if it is made of fields.
    Strange(RecogniseError, Option<Guess>),
    /// It cannot be read.
    Broken(String),
}

impl Subject {
    /// What it looks like, if it is a text made of fields.
    pub(super) fn guess(&self) -> Option<Guess> {
        let fields = self.parquet.is_none() && !is_json(&self.head);
        fields.then(|| guess(&self.head, self.whole)).flatten()
    }

    fn new(seen: &Seen<'_>, file: &str) -> Self {
        Self {
            name: seen.name.to_owned(),
            file: file.to_owned(),
            head: seen.head.to_vec(),
            whole: seen.whole,
            path_name: seen.path_name.to_owned(),
            bytes: seen.whole.then_some(seen.head.len() as u64),
            parquet: None,
            place: Place::Unread,
            verdict: Verdict::Broken(String::new()),
        }
    }

    /// Something that is not looked into.
    pub fn broken(name: String, file: &str, why: String) -> Self {
        Self {
            name,
            file: file.to_owned(),
            head: Vec::new(),
            whole: false,
            path_name: String::new(),
            bytes: None,
            parquet: None,
            place: Place::Unread,
            verdict: Verdict::Broken(why),
        }
    }

    pub fn sample(&self) -> Sample<'_> {
        let head = match &self.parquet {
            Some(columns) => SampleHead::Parquet { columns },
            None => SampleHead::Text { bytes: &self.head, whole: self.whole },
        };
        Sample { name: &self.path_name, head }
    }

    /// Where the bytes of a format that is made of seeks are.
    pub fn location(&self) -> Option<&Location> {
        match &self.place {
            Place::Plain(location) => Some(location),
            Place::Packed(content) => Some(&content.location),
            Place::Unread => None,
        }
    }

    /// Reads its bytes from the start. Members of one compressed archive are read in one pass: the
    /// reader of the one before goes on.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(&self, before: &mut Option<ContentReader>) -> Result<Bytes, CommandError> {
        match &self.place {
            Place::Unread => Ok(Bytes::Plain(Box::new(std::io::empty()))),
            Place::Plain(location) => {
                let forward = Forward { bytes: location.bytes(None)?, offset: 0 };
                Ok(Bytes::Plain(Box::new(BufReader::with_capacity(256 * KIB, forward))))
            }
            Place::Packed(Content { location, fingerprint, .. }) => {
                let fingerprint = fingerprint.clone();
                Ok(Bytes::Packed(Box::new(match before.take() {
                    Some(reader) => reader.follow(location, fingerprint, 0)?,
                    None => ContentReader::open(location, fingerprint, 0)?,
                })))
            }
        }
    }
}

/// Reads from the first byte on.
struct Forward {
    bytes: Arc<dyn ReadAt>,
    offset: u64,
}

impl Read for Forward {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.bytes.read_at(into, self.offset)?;
        if read == 0 {
            self.bytes.check()?;
        }
        self.offset += read as u64;
        Ok(read)
    }
}

/// A content that is being read.
pub(super) enum Bytes {
    Plain(Box<dyn BufRead>),
    Packed(Box<ContentReader>),
}

impl Bytes {
    pub fn reader(&mut self) -> &mut dyn BufRead {
        match self {
            Bytes::Plain(reader) => reader,
            Bytes::Packed(reader) => reader,
        }
    }

    /// What the next content may go on with.
    pub fn end(self) -> Option<ContentReader> {
        match self {
            Bytes::Plain(_) => None,
            Bytes::Packed(reader) => Some(*reader),
        }
    }
}

/// Comes upon the contents of one file.
pub(super) struct Looker<'a> {
    pub looking: &'a Looking<'a>,
    pub file: &'a Found,
    pub subjects: Vec<Subject>,
    /// Members that are passed over, with why.
    pub ignored: Vec<(String, String)>,
    /// Contents beyond the bound.
    pub more: u64,
    /// Why nothing can be looked at as asked.
    pub stop: Option<CommandError>,
}

impl<'a> Looker<'a> {
    pub fn new(looking: &'a Looking<'a>, file: &'a Found) -> Self {
        let (subjects, ignored) = (Vec::new(), Vec::new());
        Self { looking, file, subjects, ignored, more: 0, stop: None }
    }

    fn verdict(&mut self, subject: &Subject) -> Verdict {
        let Looking { request, layouts, only } = self.looking;
        match recognise_with(subject, &request.facts, layouts, *only) {
            Ok((recognised, missing)) => Verdict::Known(Box::new(recognised), missing),
            Err(error) => {
                let usage = matches!(
                    error,
                    RecogniseError::BadFact { .. } | RecogniseError::NoSuchLayout { .. }
                );
                if usage {
                    self.stop = Some(CommandError::Usage(error.to_string()));
                }
                let is_text = matches!(
                    error,
                    RecogniseError::Unknown(_)
                        | RecogniseError::DoesNotFit { .. }
                        | RecogniseError::Ambiguous { .. }
                        | RecogniseError::Contradiction { .. }
                );
                let guess = is_text.then(|| subject.guess()).flatten();
                Verdict::Strange(error, guess)
            }
        }
    }
}

/// Whether it begins as a JSON document does.
fn is_json(head: &[u8]) -> bool {
    matches!(head.trim_ascii_start(), [b'{' | b'[', rest @ ..] if !rest.is_empty())
}

impl Visitor for Looker<'_> {
    type Known = usize;

    fn look(&mut self, seen: &Seen<'_>) -> Want<usize> {
        if self.subjects.len() == CONTENTS_MAX || self.stop.is_some() {
            self.more += 1;
            return Want::No;
        }
        let at = self.subjects.len();
        let mut subject = Subject::new(seen, &self.file.name);
        if let Some(location) = seen.location.filter(|_| is_columnar(seen.head)) {
            match open_columns(location, seen.name) {
                Ok(source) => {
                    subject.parquet = Some(source.columns());
                    if let Some(own) = source.own_name() {
                        subject.path_name = format!("{}/{own}", subject.path_name);
                    }
                }
                Err(error) => {
                    subject.verdict = Verdict::Broken(error.to_string());
                    self.subjects.push(subject);
                    return Want::No;
                }
            }
        }
        subject.verdict = self.verdict(&subject);
        let says_more = match &mut subject.verdict {
            Verdict::Known(recognised, _) => {
                let archive = seen.in_tar && is_record(recognised, seen);
                if let Some(shape) = recognised.json.as_mut().filter(|_| archive) {
                    shape.records = JsonRecords::Members;
                }
                Some(archive)
            }
            Verdict::Strange(_, guess) => guess.is_some().then_some(false),
            Verdict::Broken(_) => None,
        };
        if self.looking.request.write_layout.is_none() {
            subject.head.truncate(HEAD_BYTES);
            subject.head.shrink_to_fit();
        }
        let file = seen.location.filter(|location| **location == self.file.location);
        if let Some(location) = file {
            subject.bytes = location.bytes(None).map(|bytes| bytes.size()).ok();
            subject.place = Place::Plain(location.clone());
        }
        self.subjects.push(subject);
        match says_more {
            Some(_) if file.is_some() => Want::No,
            Some(true) => Want::Archive(at),
            Some(false) => Want::This(at),
            None => Want::No,
        }
    }

    fn take(&mut self, at: usize, content: Content) {
        let subject = &mut self.subjects[at];
        if matches!(&subject.verdict, Verdict::Known(recognised, _)
            if recognised.json.as_ref().is_some_and(|json| json.records == JsonRecords::Members))
        {
            subject.name.clone_from(&content.name);
        }
        subject.bytes = Some(content.fingerprint.bytes);
        subject.place = Place::Packed(content);
    }

    fn enough(&self) -> u64 {
        match self.looking.request.all {
            true => u64::MAX,
            // The chunk that is begun last may be a long one.
            false => INSPECT_BYTES_MAX + 2 * RECORD_BYTES_MAX as u64,
        }
    }

    fn ignored(&mut self, name: String, why: String) {
        if self.ignored.len() < CONTENTS_MAX {
            self.ignored.push((name, why));
        }
    }

    fn failed(&mut self, name: String, why: String) {
        if self.subjects.len() < CONTENTS_MAX {
            self.subjects.push(Subject::broken(name, &self.file.name, why));
        }
    }
}

/// The outline of a file that is made of seeks.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub(super) fn open_columns(location: &Location, name: &str) -> Result<ParquetSource, CommandError> {
    let bytes = location.bytes(None)?;
    let source = ParquetSource::over(Path::new(name), Arc::clone(&bytes));
    bytes.check().map_err(|cause| CommandError::Refused(format!("{name}: {cause}")))?;
    source.map_err(|error| CommandError::Refused(error.to_string()))
}

/// How `--layout` is written.
pub(super) fn layout_word(layout: &LayoutChoice) -> String {
    match layout {
        LayoutChoice::File(path) => super::show::word(&path.display().to_string()),
        LayoutChoice::Named(name) => name.clone(),
    }
}
