//! Layouts: what files of each vendor look like, and which layout a given file has.
//!
//! A layout is a TOML text (`schema/layouts/*.toml`, or a user's own). Recognition takes the first
//! bytes of a file and its name, and answers which layout it has, which field feeds which column of
//! the dataset, and what the name says that the bytes do not. It reads no file, decodes no more
//! than a handful of sample records, and knows neither flags nor targets. `command` calls it and
//! makes the mapping from its answer.

mod document;
mod error;
mod example;
mod facts;
mod finish;
mod fit;
mod interval;
mod json_around;
mod json_fit;
mod json_rules;
mod json_sample;
mod model;
mod nearest;
mod parse;
mod parse_columns;
mod parse_facts;
mod parse_recognise;
mod pattern;
mod prices;
mod readable;
mod recognise;
mod registry;
mod resolve;
mod sample;
mod sniff;
mod step;
#[cfg(test)]
mod tests;
mod times;
pub(crate) mod toml_table;

pub use document::document;
pub use error::{LayoutError, RecogniseError, Unknown};
pub use interval::normalise_interval;
pub use model::{
    ColumnRule, FactRule, FactRules, Format, HeaderRule, Layout, RecogniseRules, SieveField,
    SieveRule, Stamp, TextRules, Way, WaySource,
};
pub use pattern::Pattern;
pub use recognise::{
    Facts, GivenFacts, Recognised, RecognisedField, Sample, SampleHead, recognise,
};
pub use registry::{by_name, edition, registry};
