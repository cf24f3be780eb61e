//! A TOML table whose mistakes are told with the key, the line and the nearest known key. Knows
//! nothing of layouts: other files that a user writes are read by it, too.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::LayoutError;
use super::nearest::nearest;

/// The text that is being read, for lines in messages.
#[derive(Debug, Clone, Copy)]
pub struct Doc<'a> {
    pub origin: &'a str,
    pub text: &'a str,
    /// Whether it is a part of the program, whose tests have read it as if it were not.
    pub trusted: bool,
}

impl Doc<'_> {
    /// The line of a byte offset, from 1.
    pub fn line(self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    pub fn bad(self, span: &Range<usize>, key: &str, reason: String) -> LayoutError {
        let line = self.line(span.start);
        LayoutError::BadValue { origin: self.origin.to_owned(), line, key: key.to_owned(), reason }
    }
}

/// One table of the text, all keys of which are known.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    pub doc: Doc<'a>,
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
}

/// A value with the full name of its key.
#[derive(Debug, Clone)]
pub struct Value<'a> {
    pub doc: Doc<'a>,
    pub path: String,
    pub span: Range<usize>,
    pub value: &'a DeValue<'a>,
}

impl<'a> Table<'a> {
    /// The whole text's table.
    pub fn root(
        doc: Doc<'a>,
        table: &'a Spanned<DeTable<'a>>,
        known: &[&str],
    ) -> Result<Self, LayoutError> {
        let root = Self { doc, path: String::new(), span: 0..0, table: table.get_ref() };
        root.only(known)?;
        Ok(root)
    }

    fn only(&self, known: &[&str]) -> Result<(), LayoutError> {
        let Some(key) = self.table.keys().find(|key| !known.contains(&key.get_ref().as_ref()))
        else {
            return Ok(());
        };
        let name = key.get_ref().as_ref();
        Err(LayoutError::UnknownKey {
            origin: self.doc.origin.to_owned(),
            line: self.doc.line(key.span().start),
            key: self.path_of(name),
            nearest: nearest(name, known.iter().copied()).map(str::to_owned),
            known: known.join(", "),
        })
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of `key`, if it is there.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        let value = self.table.get(key)?;
        Some(Value {
            doc: self.doc,
            path: self.path_of(key),
            span: value.span(),
            value: value.get_ref(),
        })
    }

    /// The value of `key`, which must be there.
    pub fn need(&self, key: &str) -> Result<Value<'a>, LayoutError> {
        self.get(key).ok_or_else(|| LayoutError::MissingKey {
            origin: self.doc.origin.to_owned(),
            line: self.doc.line(self.span.start),
            key: self.path_of(key),
        })
    }

    /// Every key with its value.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + '_ {
        self.table.iter().map(|(key, value)| {
            let key = key.get_ref().as_ref();
            let path = self.path_of(key);
            (key, Value { doc: self.doc, path, span: value.span(), value: value.get_ref() })
        })
    }

    /// The table under `key`, if it is there, with only these keys.
    pub fn table(&self, key: &str, known: &[&str]) -> Result<Option<Table<'a>>, LayoutError> {
        self.get(key).map(|value| value.table(known)).transpose()
    }
}

impl<'a> Value<'a> {
    pub fn bad(&self, reason: impl Into<String>) -> LayoutError {
        self.doc.bad(&self.span, &self.path, reason.into())
    }

    fn wrong_type(&self, wanted: &str) -> LayoutError {
        self.bad(format!("expected {wanted}, found {}", self.value.type_str()))
    }

    /// A table with only these keys.
    pub fn table(&self, known: &[&str]) -> Result<Table<'a>, LayoutError> {
        let table = self.any_table()?;
        table.only(known)?;
        Ok(table)
    }

    /// A table with any keys.
    pub fn any_table(&self) -> Result<Table<'a>, LayoutError> {
        let table = self.value.as_table().ok_or_else(|| self.wrong_type("a table"))?;
        Ok(Table { doc: self.doc, path: self.path.clone(), span: self.span.clone(), table })
    }

    pub fn string(&self) -> Result<&'a str, LayoutError> {
        self.value.as_str().ok_or_else(|| self.wrong_type("a string"))
    }

    pub fn bool(&self) -> Result<bool, LayoutError> {
        self.value.as_bool().ok_or_else(|| self.wrong_type("true or false"))
    }

    /// A whole number from 0.
    pub fn number(&self) -> Result<usize, LayoutError> {
        let number = self.value.as_integer().ok_or_else(|| self.wrong_type("a whole number"))?;
        usize::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| self.bad("expected a whole number from 0"))
    }

    /// A whole number.
    pub fn integer(&self) -> Result<i64, LayoutError> {
        let number = self.value.as_integer().ok_or_else(|| self.wrong_type("a whole number"))?;
        i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| self.bad("expected a small whole number"))
    }

    /// A list, or one value as a list of one.
    pub fn list(&self) -> Vec<Value<'a>> {
        let Some(array) = self.value.as_array() else { return vec![self.clone()] };
        array
            .iter()
            .map(|item| Value {
                doc: self.doc,
                path: self.path.clone(),
                span: item.span(),
                value: item.get_ref(),
            })
            .collect()
    }

    /// A string or a list of strings.
    pub fn strings(&self) -> Result<Vec<String>, LayoutError> {
        self.list().iter().map(|item| item.string().map(str::to_owned)).collect()
    }
}
