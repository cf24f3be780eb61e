//! The built-in layouts: every file of `schema/layouts`, listed by the build script.

use std::sync::OnceLock;

use super::error::LayoutError;
use super::model::Layout;

include!(concat!(env!("OUT_DIR"), "/layouts.rs"));

/// All built-in layouts, in the order of their names. Parsed at the first call.
///
/// # Errors
/// A built-in layout that does not parse: a defect of the program, which its tests catch.
pub fn registry() -> Result<&'static [Layout], &'static LayoutError> {
    static PARSED: OnceLock<Result<Vec<Layout>, LayoutError>> = OnceLock::new();
    PARSED
        .get_or_init(|| {
            LAYOUTS
                .iter()
                .map(|(stem, text)| Layout::parse(text, &format!("schema/layouts/{stem}.toml")))
                .collect()
        })
        .as_ref()
        .map(Vec::as_slice)
}

/// The built-in layout called `name`.
///
/// # Errors
/// As [`registry`].
pub fn by_name(name: &str) -> Result<Option<&'static Layout>, &'static LayoutError> {
    Ok(registry()?.iter().find(|layout| layout.name == name))
}
