//! What a JSON document holds around its records: plain values that tell facts, and the keys under
//! which arrays are. Looks at the sample only, which may break off anywhere.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::sample::Text;

/// How deep a document is looked into.
const DEPTH_MAX: usize = 4;
/// Values and arrays that are kept.
const KEPT_MAX: usize = 256;

/// What was found, in the document's order, each with the keys that lead to it.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) words: Vec<(Vec<String>, String)>,
    pub(super) arrays: Vec<Vec<String>>,
}

impl Around {
    /// Looks into the first document of the sample.
    pub(super) fn of(text: Text<'_>) -> Self {
        let mut found = Self::default();
        let mut json = serde_json::Deserializer::from_slice(text.bytes);
        // An error is the end of the sample.
        let _ = Walk { path: Vec::new(), found: &mut found }.deserialize(&mut json);
        found
    }

    /// The arrays to which `path` leads, whose last key stands for any.
    pub(super) fn arrays_at(&self, path: &[String]) -> Vec<&Vec<String>> {
        let Some((_, before)) = path.split_last() else { return Vec::new() };
        let is = |array: &&Vec<String>| {
            array.len() == path.len() && array.get(..before.len()) == Some(before)
        };
        self.arrays.iter().filter(is).collect()
    }

    /// The plain value to which `path` leads; where its last key stands for any, the key of the
    /// array that is there.
    pub(super) fn word(&self, path: &[String]) -> Option<&str> {
        if path.last().is_some_and(|key| key == ANY_KEY) {
            return self.arrays_at(path).first()?.last().map(String::as_str);
        }
        let (_, word) = self.words.iter().find(|(keys, _)| keys == path)?;
        Some(word)
    }
}

/// In the place of the last key of a path to an array: whichever key an array is under.
pub(super) const ANY_KEY: &str = "*";

struct Walk<'a> {
    path: Vec<String>,
    found: &'a mut Around,
}

impl Walk<'_> {
    fn keep(self, word: String) {
        if self.found.words.len() < KEPT_MAX {
            self.found.words.push((self.path, word));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.keep(value.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.keep(value.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.keep(value.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.keep(value.to_string());
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.keep(value.trim().to_owned());
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        if self.found.arrays.len() < KEPT_MAX {
            self.found.arrays.push(self.path);
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key::<String>()? {
            if self.path.len() == DEPTH_MAX {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let mut path = self.path.clone();
            path.push(key);
            members.next_value_seed(Walk { path, found: &mut *self.found })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::json_rules::split_path;

    #[test]
    fn a_document_that_breaks_off_tells_what_it_has() {
        let bytes = br#"{"error":[],"n":7,"result":{"ticker":" ACME ","XBT":[[1,2],[3,"4"],[5"#;
        let around = Around::of(Text { bytes, whole: false });
        let word = |path: &str| around.word(&split_path(path)).map(str::to_owned);
        assert_eq!(word("result.ticker").as_deref(), Some("ACME"));
        assert_eq!(word("n").as_deref(), Some("7"));
        assert_eq!(word("result.*").as_deref(), Some("XBT"));
        assert_eq!(word("*").as_deref(), Some("error"));
        assert_eq!((word("result"), word("other.*")), (None, None));
        assert_eq!(around.arrays_at(&split_path("result.*")).len(), 1);
    }
}
