//! What can be wrong with a layout's text and with a file that should be recognised, told so that
//! the reader knows what to do next.

use std::fmt;

use thiserror::Error;

/// A mistake in a layout's TOML text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The text is no TOML.
    #[error("{origin}, line {line}: {reason}")]
    Syntax {
        /// Where the text is from.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A key that means nothing here.
    #[error("{origin}, line {line}: unknown key {key}{}; known here: {known}", hint(nearest))]
    UnknownKey {
        /// Where the text is from.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// The key with its table.
        key: String,
        /// The known key it may be a slip of.
        nearest: Option<String>,
        /// Every known key.
        known: String,
    },
    /// A key that must be there is not.
    #[error("{origin}, line {line}: {key} is missing")]
    MissingKey {
        /// Where the text is from.
        origin: String,
        /// Line of the table that lacks it, from 1.
        line: usize,
        /// The key with its table.
        key: String,
    },
    /// A value that its key does not accept.
    #[error("{origin}, line {line}: {key}: {reason}")]
    BadValue {
        /// Where the text is from.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// The key with its table.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or(String::new(), |word| format!(", did you mean {word}?"))
}

/// Why a file could not be recognised.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecogniseError {
    /// There is nothing in it: zero bytes, or blank lines only. Legal for many vendors.
    #[error("{name} is empty")]
    Empty {
        /// The file's name.
        name: String,
    },
    /// It is compressed or an archive.
    #[error("{name} is compressed ({what}): decompress it first: {command}")]
    Compressed {
        /// The file's name.
        name: String,
        /// The format.
        what: &'static str,
        /// A shell command that does it.
        command: String,
    },
    /// Its first bytes show another kind of file.
    #[error("{name} is no delimited text: {what}; {advice}{}", shown(first_line))]
    Foreign {
        /// The file's name.
        name: String,
        /// What it looks like.
        what: String,
        /// What to do.
        advice: String,
        /// The file's first line, printable and shortened; empty where it says nothing.
        first_line: String,
    },
    /// It is market data of a kind that is not loaded.
    #[error("{name} is not loaded: {what}: {why}{}", shown(first_line))]
    Refused {
        /// The file's name.
        name: String,
        /// What it is.
        what: String,
        /// Why it is not loaded, and what to do.
        why: String,
        /// The file's first line, printable and shortened; empty where it says nothing.
        first_line: String,
    },
    /// No layout fits.
    #[error("{0}")]
    Unknown(Box<Unknown>),
    /// Several layouts fit equally well.
    #[error("{name} fits several layouts: {}; {}", layouts.join(", "), which(layouts, datasets))]
    Ambiguous {
        /// The file's name.
        name: String,
        /// The layouts.
        layouts: Vec<String>,
        /// Their datasets, in the same order.
        datasets: Vec<String>,
    },
    /// The layout that was asked for does not fit.
    #[error("{name} does not have the layout {layout}: {why}{}", shown(first_line))]
    DoesNotFit {
        /// The file's name.
        name: String,
        /// The layout.
        layout: String,
        /// Why not.
        why: String,
        /// The file's first line, printable and shortened.
        first_line: String,
    },
    /// There is no layout of this name.
    #[error("no layout is called {layout:?}{}; known: {}", hint(nearest), known.join(", "))]
    NoSuchLayout {
        /// The name.
        layout: String,
        /// The name it may be a slip of.
        nearest: Option<String>,
        /// Every name.
        known: Vec<String>,
    },
    /// Neither the file nor its name nor a flag says something that every record needs.
    #[error(
        "{name} ({layout}): neither the file nor its name says the {}: {advice}",
        facts.join(" and the ")
    )]
    MissingFact {
        /// The file's name.
        name: String,
        /// The layout that fits.
        layout: String,
        /// The facts: `symbol`, `interval`.
        facts: Vec<&'static str>,
        /// The flags that give them, in the same order.
        flags: Vec<&'static str>,
        /// What to do.
        advice: String,
    },
    /// The file and its name say different things.
    #[error("{name} ({layout}): {says}: say which with {flag}")]
    Contradiction {
        /// The file's name.
        name: String,
        /// The layout that fits.
        layout: String,
        /// Who says what.
        says: String,
        /// The flag that decides.
        flag: &'static str,
    },
    /// A flag's value cannot be used.
    #[error("{flag} {value:?}: {reason}")]
    BadFact {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The flag that tells layouts that fit equally well apart: what the rows mean, where that differs.
fn which(layouts: &[String], datasets: &[String]) -> String {
    let mut distinct = datasets.to_vec();
    distinct.sort();
    distinct.dedup();
    if distinct.len() == layouts.len() {
        format!("say what its rows are with --dataset {}", datasets.join(" or --dataset "))
    } else {
        format!("say which with --layout {}", layouts.join(" or --layout "))
    }
}

fn shown(first_line: &str) -> String {
    if first_line.is_empty() { String::new() } else { format!("\n  first line: {first_line}") }
}

impl RecogniseError {
    /// Whether the file is no market data that any layout knows: inside a directory such a file is
    /// listed as ignored. A compressed file is not of this kind, for there may be data in it.
    pub fn no_market_data(&self) -> bool {
        matches!(
            self,
            RecogniseError::Unknown(_)
                | RecogniseError::Foreign { .. }
                | RecogniseError::Refused { .. }
        )
    }

    /// Whether there is nothing in the file.
    pub fn is_empty_file(&self) -> bool {
        matches!(self, RecogniseError::Empty { .. })
    }
}

/// A file that no layout fits: what it looks like, what was tried, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The file's name.
    pub name: String,
    /// Its first line or, for Parquet, its columns: printable and shortened.
    pub first_line: String,
    /// Whether it is Parquet.
    pub parquet: bool,
    /// The layouts that came nearest, each with the reason why it does not fit.
    pub tried: Vec<(String, String)>,
    /// How many were tried.
    pub tried_in_all: usize,
    /// A layout file to start from.
    pub example: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = if self.parquet { "columns" } else { "first line" };
        writeln!(f, "no layout recognises {}", self.name)?;
        writeln!(f, "  {head}: {}", self.first_line)?;
        match (self.tried_in_all, self.tried.len()) {
            (0, _) => {
                writeln!(f, "  no layout was tried: none is for this kind of file and dataset")?;
            }
            (all, 0) => writeln!(f, "  {all} layouts were tried, and none came near")?,
            (all, shown) if shown < all => {
                writeln!(f, "  {all} layouts were tried; these came nearest:")?;
            }
            _ => writeln!(f, "  tried:")?,
        }
        for (layout, why) in &self.tried {
            writeln!(f, "    {layout}: {why}")?;
        }
        writeln!(f, "  `tidegate inspect` shows what it looks like and drafts a layout for it")?;
        writeln!(f, "  if one of them is right, say --layout NAME, and what the file does not")?;
        writeln!(f, "  say with --symbol, --interval and --tz; else describe the file in a")?;
        write!(f, "  layout file and say --layout FILE.toml:")?;
        for line in self.example.lines() {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}
