//! Regular expressions of layouts, compiled when they are needed first: every start of the program
//! reads all the built-in layouts, and a file asks a few of them.

use std::ops::Deref;
use std::sync::OnceLock;

use regex::Regex;

/// A regular expression.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    compiled: OnceLock<Regex>,
}

impl Pattern {
    /// Compiles at once.
    ///
    /// # Errors
    /// When the text is no regular expression.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        let compiled = OnceLock::from(Regex::new(text)?);
        Ok(Self { text: text.to_owned(), compiled })
    }

    /// Of a built-in layout, whose patterns a test compiles.
    pub(super) fn built_in(text: &str) -> Self {
        Self { text: text.to_owned(), compiled: OnceLock::new() }
    }

    /// Whether it has a group of that name.
    pub fn tells(&self, fact: &str) -> bool {
        match self.compiled.get() {
            Some(compiled) => compiled.capture_names().flatten().any(|group| group == fact),
            None => {
                ["(?<", "(?P<"].iter().any(|open| self.text.contains(&format!("{open}{fact}>")))
            }
        }
    }
}

impl Deref for Pattern {
    type Target = Regex;

    fn deref(&self) -> &Regex {
        self.compiled.get_or_init(|| match Regex::new(&self.text) {
            Ok(compiled) => compiled,
            Err(error) => unreachable!("a built-in layout's pattern is checked by a test: {error}"),
        })
    }
}
