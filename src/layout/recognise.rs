//! Which layout a file has. Every candidate is tried on the sample; the highest rank that fits
//! wins, and what the file does not say itself is taken from flags, then from its name.

use super::error::{RecogniseError, Unknown};
use super::example;
use super::facts;
use super::finish::finish;
use super::fit::{Fit, Miss, fit};
use super::model::{Format, Layout};
use super::nearest::nearest;
use super::registry::CANONICAL_RANK;
use super::sniff::refuse_foreign;
use crate::mapping::{FieldSource, TextShape, TimeRule};

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
    /// A Parquet file.
    Parquet {
        /// Name and Arrow type, as displayed, of each leaf column, in file order.
        columns: &'a [(String, String)],
    },
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
    /// The outer shape of a text; `None` for Parquet.
    pub shape: Option<TextShape>,
    /// The dataset's columns that the file or a fact feeds, in the dataset's order. A fact stands
    /// here as [`FieldSource::Constant`].
    pub fields: Vec<RecognisedField>,
    /// Fields of the header (or of the known header of a file without one) that no column of the
    /// dataset uses, with their positions.
    pub other_fields: Vec<(String, usize)>,
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
    if let SampleHead::Text { bytes, .. } = sample.head {
        refuse_foreign(sample.name, bytes)?;
    }
    if let Some(only) = only {
        let layout = called(only, layouts)?;
        let fit = fit(layout, sample.head).map_err(|miss| RecogniseError::DoesNotFit {
            name: sample.name.to_owned(),
            layout: only.to_owned(),
            why: miss.reason,
            first_line: example::first_line(sample.head),
        })?;
        return finish(sample.name, given, layout, fit);
    }
    let (mut fits, mut tried) = (Vec::new(), Vec::new());
    for layout in layouts.iter().filter(|layout| is_candidate(layout, sample, given)) {
        match fit_named(layout, sample) {
            Ok(fit) => fits.push((layout, fit)),
            Err(miss) if is_far(layout, given, &miss) => {}
            Err(miss) => tried.push((layout.name.clone(), miss.reason)),
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
            tried,
            example: example::layout_file(sample.head),
        })));
    };
    finish(sample.name, given, layout, fit)
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
    let format = match sample.head {
        SampleHead::Text { .. } => Format::Text,
        SampleHead::Parquet { .. } => Format::Parquet,
    };
    let dataset = given.dataset.as_ref().is_none_or(|dataset| dataset == layout.dataset.name);
    layout.format == format && dataset
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
    let misnamed = |reason: String| Err(Miss { reason, progress: usize::MAX });
    let fit = fit(layout, sample.head)?;
    let name = facts::base_name(sample.name);
    if let Some((_, reason)) =
        layout.recognise.not_names.iter().find(|(pattern, _)| pattern.is_match(name))
    {
        return misnamed(format!("its records fit, but its name does not: {reason}"));
    }
    if layout.recognise.by_name && !facts::name_fits(layout, name) {
        let like = layout.facts.example.as_ref();
        return misnamed(format!(
            "its records fit, but their shape alone says too little and its name is not {}; \
             if it is one, say --layout {}",
            like.map_or("as expected".to_owned(), |like| format!("like {like}")),
            layout.name
        ));
    }
    Ok(fit)
}
