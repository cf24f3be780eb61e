//! The built-in layouts: every file of `schema/layouts`, listed by the build script, and the
//! canonical layouts of the datasets, made from their columns.

use std::fmt::Write as _;
use std::sync::OnceLock;

use super::error::LayoutError;
use super::model::{Format, Layout};
use super::toml_table::Doc;
use crate::dataset::{self, Dataset};

/// Above the generic layouts of bars, whose few columns many files have, and below those of
/// vendors.
pub(super) const CANONICAL_RANK: u32 = 20;

include!(concat!(env!("OUT_DIR"), "/layouts.rs"));

/// All built-in layouts: the files in the order of their names, then the canonical ones. Parsed at
/// the first call.
///
/// # Errors
/// A built-in layout that does not parse: a defect of the program, which its tests catch.
pub fn registry() -> Result<&'static [Layout], &'static LayoutError> {
    static PARSED: OnceLock<Result<Vec<Layout>, LayoutError>> = OnceLock::new();
    PARSED
        .get_or_init(|| {
            let read = |text: &str, origin: &str| Layout::read(Doc { origin, text, trusted: true });
            let files = LAYOUTS
                .iter()
                .map(|(stem, text)| read(text, &format!("schema/layouts/{stem}.toml")));
            let marked = dataset::ALL.iter().filter(|dataset| !dataset.marks.is_empty());
            let canonical = marked.flat_map(|dataset| {
                [Format::Text, Format::Json, Format::Parquet].map(|format| {
                    let origin = format!("the canonical layout of {}", dataset.name);
                    read(&canonical(dataset, format), &origin)
                })
            });
            files.chain(canonical).collect()
        })
        .as_ref()
        .map(Vec::as_slice)
}

/// Another value means that files may be recognised in another way.
pub fn edition() -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    for (stem, text) in LAYOUTS {
        hasher.update(stem.as_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The built-in layout called `name`.
///
/// # Errors
/// As [`registry`].
pub fn by_name(name: &str) -> Result<Option<&'static Layout>, &'static LayoutError> {
    Ok(registry()?.iter().find(|layout| layout.name == name))
}

/// Columns of a dataset's own names or their usual aliases, in any order and case.
fn canonical(dataset: &Dataset, format: Format) -> String {
    let quoted = |names: &[&str]| {
        names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
    };
    let (name, title, shape) = match format {
        Format::Text => (
            "canonical",
            "CSV with a header",
            "[text]\ndelimiter = [\",\", \";\", \"\\t\"]\nheader = \"required\"\n\
             nulls = [\"null\", \"NULL\", \"NaN\", \"nan\", \"N/A\", \"None\"]\n",
        ),
        Format::Json => (
            "json",
            "JSON with our own keys",
            "[json]\nrecords = [\"lines\", \"array\"]\npath = [\"\", \"data\", \"results\"]\n\
             nulls = [\"null\", \"NULL\", \"NaN\", \"nan\", \"N/A\", \"None\"]\n",
        ),
        Format::Parquet => (
            "parquet",
            "Parquet with the usual column names",
            "[parquet]\nnulls = [\"null\", \"NULL\", \"NaN\", \"nan\", \"N/A\", \"None\"]\n",
        ),
    };
    let format = match format {
        Format::Text => "text",
        Format::Json => "json",
        Format::Parquet => "parquet",
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "name = \"{name}_{}\"\ntitle = \"{title}: {}\"\ndataset = {:?}\nformat = {format:?}\n\
         {shape}[recognise]\nrank = {CANONICAL_RANK}\naliases = true\nrequire = [{}]\n",
        dataset.name,
        dataset.name,
        dataset.name,
        quoted(dataset.marks),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_for_built_in_layouts_holds_for_each() {
        for layout in registry().unwrap() {
            let name = &layout.name;
            let file = LAYOUTS.iter().find(|(stem, _)| stem == name);
            let made = |dataset: &Dataset| {
                [Format::Text, Format::Json, Format::Parquet]
                    .map(|format| canonical(dataset, format))
                    .into_iter()
                    .find(|text| text.contains(&format!("name = {name:?}\n")))
            };
            let text = match file {
                Some((_, text)) => (*text).to_owned(),
                None => dataset::ALL.iter().find_map(|dataset| made(dataset)).expect("a text"),
            };
            let strict = Layout::parse(&text, name).unwrap_or_else(|error| panic!("{error}"));
            let told = |layout: &Layout| -> Vec<bool> {
                let own = layout.dataset.columns.iter().map(|column| column.name);
                own.chain(["venue", "date"]).map(|fact| layout.facts.tell(fact)).collect()
            };
            let lazy = Layout::read(Doc { origin: name, text: &text, trusted: true }).unwrap();
            assert_eq!(told(&lazy), told(&strict), "{name}");
        }
    }
}
