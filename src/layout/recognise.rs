//! Which layout a file has. Every candidate is tried on the sample; the highest rank that fits
//! wins, and what the file does not say itself is taken from flags, then from its name.

use super::error::{RecogniseError, Unknown};
use super::example;
use super::facts;
use super::finish::finish;
use super::fit::{Fit, Miss, fit};
use super::model::{Format, Layout};
use super::nearest::nearest;
use super::pattern::Pattern;
use super::registry::{CANONICAL_RANK, registry};
use super::sniff::{is_json, refuse_foreign};
use crate::mapping::{FieldSource, JsonShape, Quirks, Rewrite, TextShape, TimeRule};

/// A file as recognition sees it.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The name as the user sees it. Folders are ignored, so a path or a URL will do.
    pub name: &'a str,
    /// Its head.
    pub head: SampleHead<'a>,
}

/// The head of a file.
#[derive(Debug, Clone, Copy)]
pub enum SampleHead<'a> {
    /// A text.
    Text {
        /// Its first bytes, at most [`crate::limit::SAMPLE_BYTES`].
        bytes: &'a [u8],
        /// Whether they are all.
        whole: bool,
    },
    /// JSON. A text whose first bytes are JSON's is taken for it.
    Json {
        /// Its first bytes, at most [`crate::limit::SAMPLE_BYTES`].
        bytes: &'a [u8],
        /// Whether they are all.
        whole: bool,
    },
    /// A Parquet file.
    Parquet {
        /// Name and Arrow type, as displayed, of each leaf column, in file order.
        columns: &'a [(String, String)],
    },
}

impl SampleHead<'_> {
    /// What kind of file it is the head of.
    pub(super) fn format(self) -> Format {
        match self {
            SampleHead::Text { .. } => Format::Text,
            SampleHead::Json { .. } => Format::Json,
            SampleHead::Parquet { .. } => Format::Parquet,
        }
    }
}

/// What the flags say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenFacts {
    /// `--symbol`
    pub symbol: Option<String>,
    /// `--interval`, in any spelling that [`super::normalise_interval`] reads.
    pub interval: Option<String>,
    /// `--tz`, as [`crate::mapping::Zone::parse`] reads it.
    pub zone: Option<String>,
    /// The venue.
    pub venue: Option<String>,
    /// `--date`, for times that count from the midnight of a day.
    pub date: Option<String>,
    /// `--dataset`: only layouts of this dataset are tried.
    pub dataset: Option<String>,
}

/// A file whose layout is known, with all that decoding needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognised {
    /// The layout's name.
    pub layout: String,
    /// The layout's version.
    pub version: u32,
    /// The dataset's name.
    pub dataset: String,
    /// The outer shape of a delimited text; else `None`.
    pub shape: Option<TextShape>,
    /// The outer shape of JSON; else `None`.
    pub json: Option<JsonShape>,
    /// The dataset's columns that the file or a fact feeds, in the dataset's order. A fact stands
    /// here as [`FieldSource::Constant`].
    pub fields: Vec<RecognisedField>,
    /// Fields of the header (or of the known header of a file without one) that no column of the
    /// dataset uses, with their positions.
    pub other_fields: Vec<(String, usize)>,
    /// What its records may hold besides plain values.
    pub quirks: Quirks,
    /// In a file with types: what means "nothing", besides null. The shapes have theirs.
    pub nulls: Vec<Vec<u8>>,
    /// The same file as other datasets have their records in it.
    pub also: Vec<Recognised>,
    /// What is known from outside the bytes. Part of a load's identity.
    pub facts: Facts,
    /// Why this layout and these facts, a sentence each, for `plan` and `inspect`.
    pub why: Vec<String>,
}

/// Where one column comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct RecognisedField {
    /// The dataset's name for it.
    pub column: String,
    /// Its field or constant.
    pub source: FieldSource,
    /// How its text is put right before it is read.
    pub rewrite: Option<Rewrite>,
    /// How its times are read, for time columns.
    pub time: Option<TimeRule>,
}

/// What is known from outside a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The ticker; `None` if the file has a column for it.
    pub symbol: Option<String>,
    /// The interval in its canonical spelling; `None` if the file has a column for it.
    pub interval: Option<String>,
    /// The venue, if the layout or the caller knows it.
    pub venue: Option<String>,
    /// The zone of times without an offset, as [`crate::mapping::Zone::name`] writes it; `UTC`
    /// where every time carries its own or is an epoch.
    pub zone: String,
    /// The day from whose midnight its times count, as `2013-10-09`; `None` where they do not.
    pub date: Option<String>,
}

/// Finds the layout of a file among `layouts`; with `only`, takes the one of that name or says why
/// it does not fit.
///
/// # Errors
/// See [`RecogniseError`]: nothing in the file, no text, no layout or several, a fact that nothing
/// says, a flag that cannot be used.
pub fn recognise(
    sample: &Sample<'_>,
    given: &GivenFacts,
    layouts: &[Layout],
    only: Option<&str>,
) -> Result<Recognised, RecogniseError> {
    let mut sample = *sample;
    if let SampleHead::Text { bytes, whole } = sample.head {
        refuse_foreign(sample.name, bytes)?;
        if is_json(bytes) {
            sample.head = SampleHead::Json { bytes, whole };
        }
    }
    let sample = &sample;
    if let Some(only) = only {
        let layout = called(only, layouts)?;
        let fit = fit(layout, sample.head).map_err(|miss| RecogniseError::DoesNotFit {
            name: sample.name.to_owned(),
            layout: only.to_owned(),
            why: miss.reason,
            first_line: example::first_line(sample.head),
        })?;
        return taken(sample, given, (layout, layouts), fit);
    }
    let (mut fits, mut tried) = (Vec::new(), Vec::new());
    for layout in layouts.iter().filter(|layout| is_candidate(layout, sample, given)) {
        match fit_named(layout, sample) {
            Ok(fit) => fits.push((layout, fit)),
            // What is not loaded is nothing to be asked for.
            Err(miss) if layout.refuse.is_some() || is_far(layout, given, &miss) => {}
            Err(miss) => tried.push((layout.name.clone(), miss)),
        }
    }
    let rank = fits.iter().map(|(layout, _)| layout.recognise.rank).max();
    fits.retain(|(layout, _)| Some(layout.recognise.rank) == rank);
    if fits.len() > 1 {
        return Err(RecogniseError::Ambiguous {
            name: sample.name.to_owned(),
            layouts: fits.iter().map(|(layout, _)| layout.name.clone()).collect(),
            datasets: fits.iter().map(|(layout, _)| layout.dataset.name.to_owned()).collect(),
        });
    }
    let Some((layout, fit)) = fits.pop() else {
        return Err(RecogniseError::Unknown(Box::new(Unknown {
            name: sample.name.to_owned(),
            first_line: example::first_line(sample.head),
            parquet: matches!(sample.head, SampleHead::Parquet { .. }),
            tried_in_all: tried.len(),
            tried: nearest_misses(tried),
            example: example::layout_file(sample.head),
        })));
    };
    taken(sample, given, (layout, layouts), fit)
}

/// The layout that fits, unless it is one of files that are not loaded.
fn taken(
    sample: &Sample<'_>,
    given: &GivenFacts,
    (layout, layouts): (&Layout, &[Layout]),
    first: Fit,
) -> Result<Recognised, RecogniseError> {
    let name = sample.name;
    if let Some(why) = &layout.refuse {
        return Err(RecogniseError::Refused {
            name: name.to_owned(),
            what: layout.title.clone(),
            why: why.clone(),
            first_line: match sample.head {
                SampleHead::Parquet { .. } => String::new(),
                head => example::first_line(head),
            },
        });
    }
    let mut recognised = finish(name, given, layout, first)?;
    // A user's own layout may name a built-in one.
    let known = layouts.iter().chain(registry().unwrap_or_default());
    for other in &layout.also {
        let other = match known.clone().find(|layout| layout.name == *other) {
            Some(other) => other,
            None => called(other, layouts)?,
        };
        if given.dataset.as_ref().is_some_and(|dataset| *dataset != other.dataset.name) {
            continue;
        }
        let fit = fit(other, sample.head).map_err(|miss| RecogniseError::DoesNotFit {
            name: name.to_owned(),
            layout: other.name.clone(),
            why: miss.reason,
            first_line: example::first_line(sample.head),
        })?;
        let other = finish(name, given, other, fit)?;
        let why = format!("it holds {} too: layout {}", other.dataset, other.layout);
        recognised.why.push(why);
        recognised.also.push(other);
    }
    Ok(recognised)
}

/// Layouts that are named to the user of a file that none fits.
const TRIED_SHOWN_MAX: usize = 6;

/// Those that got farthest, in the order of their names.
fn nearest_misses(mut tried: Vec<(String, Miss)>) -> Vec<(String, String)> {
    tried.retain(|(_, miss)| miss.progress > 0);
    tried.sort_by_key(|(_, miss)| std::cmp::Reverse(miss.progress));
    tried.truncate(TRIED_SHOWN_MAX);
    tried.sort_by(|(one, _), (other, _)| one.cmp(other));
    tried.into_iter().map(|(layout, miss)| (layout, miss.reason)).collect()
}

fn called<'a>(name: &str, layouts: &'a [Layout]) -> Result<&'a Layout, RecogniseError> {
    layouts.iter().find(|layout| layout.name == name).ok_or_else(|| {
        let known = layouts.iter().map(|layout| layout.name.as_str());
        RecogniseError::NoSuchLayout {
            layout: name.to_owned(),
            nearest: nearest(name, known.clone()).map(str::to_owned),
            known: known.map(str::to_owned).collect(),
        }
    })
}

fn is_candidate(layout: &Layout, sample: &Sample<'_>, given: &GivenFacts) -> bool {
    let dataset = given.dataset.as_ref().is_none_or(|dataset| dataset == layout.dataset.name);
    layout.format == sample.head.format() && (dataset || layout.refuse.is_some())
}

/// Whether the canonical layout of a dataset that nobody asked for is too far off to be mentioned:
/// the file has less than half of the columns that it takes.
fn is_far(layout: &Layout, given: &GivenFacts, miss: &Miss) -> bool {
    let is_canonical = layout.recognise.rank == CANONICAL_RANK && given.dataset.is_none();
    let needed = layout.dataset.columns.iter().filter(|column| {
        column.required && !column.fact || layout.recognise.require.contains(&column.name)
    });
    is_canonical && miss.progress * 2 < needed.count()
}

/// Fits by content and, where the content says too little, by name.
fn fit_named(layout: &Layout, sample: &Sample<'_>) -> Result<Fit, Miss> {
    let late = |reason: String| Miss { reason, progress: usize::MAX };
    let named = || facts::name_fits(layout, sample.name);
    let fit = fit(layout, sample.head).map_err(|miss| {
        match miss.progress > 0 && layout.recognise.by_name && !named() {
            true => Miss { progress: 0, ..miss },
            false => miss,
        }
    })?;
    let name = facts::base_name(sample.name);
    let path = sample.name.replace('\\', "/");
    let is_not = |pattern: &Pattern| pattern.is_match(name) || pattern.is_match(&path);
    if let Some((_, reason)) =
        layout.recognise.not_names.iter().find(|(pattern, _)| is_not(pattern))
    {
        return Err(late(format!("its records fit, but its name does not: {reason}")));
    }
    if layout.recognise.by_name && !named() {
        let like = layout.facts.example.as_ref();
        return Err(late(format!(
            "its records fit, but their shape alone says too little and its name is not {}; \
             if it is one, say --layout {}",
            like.map_or("as expected".to_owned(), |like| format!("like {like}")),
            layout.name
        )));
    }
    let tabs = fit.shape.as_ref().is_some_and(|shape| shape.delimiter == b'\t');
    let prices = fit.prices.fault(layout, sample.name).filter(|_| layout.recognise.prices);
    let step = || fit.step.fault(layout, sample.name);
    match prices.or_else(step).or_else(|| fit.doubts.fault(layout, tabs)) {
        Some(reason) => Err(late(reason)),
        None => Ok(fit),
    }
}
