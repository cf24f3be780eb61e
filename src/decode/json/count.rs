//! An independent count of a JSON source's records, for `--verify`: written with `serde_json`,
//! sharing no code with cutter and decoder, so that a fault in one shows as a difference.
//!
//! Lines are counted whatever they hold. Of documents and arrays only sources that are JSON
//! throughout are counted: how a broken one falls apart into records is the cutter's own idea.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::descend::ANY_KEY;
use crate::mapping::{JsonRecords, JsonShape};

/// Records of a JSON source; `None` if it is not JSON throughout. Holds one line at once.
///
/// # Errors
/// Those of `source`.
pub fn count_json_records<R: Read>(source: R, shape: &JsonShape) -> io::Result<Option<u64>> {
    let mut source = BufReader::new(source);
    if source.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        source.consume(3);
    }
    match &shape.records {
        JsonRecords::Lines => count_lines(source).map(Some),
        JsonRecords::Members => count_members(source),
        JsonRecords::Documents => count_documents(source, Records { path: None }),
        JsonRecords::Array(path) => count_documents(source, Records { path: Some(path) }),
    }
}

fn count_lines(mut source: impl BufRead) -> io::Result<u64> {
    let (mut records, mut filled) = (0, false);
    loop {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            return Ok(records + u64::from(filled));
        }
        for byte in bytes {
            if *byte == b'\n' {
                records += u64::from(filled);
                filled = false;
            } else {
                filled |= !matches!(byte, b' ' | b'\t' | b'\r');
            }
        }
        let len = bytes.len();
        source.consume(len);
    }
}

/// Files in a tar archive; `None` where a header is no plain one.
fn count_members(mut source: impl BufRead) -> io::Result<Option<u64>> {
    let mut files = 0;
    let mut header = [0; 512];
    while !source.fill_buf()?.is_empty() {
        source.read_exact(&mut header)?;
        let name: Vec<u8> = header[..100].iter().copied().take_while(|byte| *byte != 0).collect();
        let Some(last) = name.last() else { break };
        let parts = String::from_utf8_lossy(&name).into_owned();
        let finder = parts
            .split('/')
            .any(|part| part.starts_with("._") || matches!(part, ".DS_Store" | "__MACOSX"));
        let digits = header[124..136].iter().filter(|byte| !matches!(byte, b' ' | 0));
        let mut size = digits.map(|digit| char::from(*digit).to_digit(8));
        let size = size.try_fold(0, |size, digit| Some(size * 8 + u64::from(digit?)));
        let (Some(size), false) = (size, matches!(header[156], b'1'..=b'6')) else {
            if size.is_none() {
                return Ok(None);
            }
            continue;
        };
        files += u64::from(matches!(header[156], b'0' | b'7' | 0) && *last != b'/' && !finder);
        let padded = size.next_multiple_of(512);
        if io::copy(&mut source.by_ref().take(padded), &mut io::sink())? < padded {
            return Ok(None);
        }
    }
    Ok(Some(files))
}

fn count_documents(source: impl Read, records: Records<'_>) -> io::Result<Option<u64>> {
    let mut json = serde_json::Deserializer::from_reader(source);
    let mut found = 0;
    loop {
        match json.end() {
            Ok(()) => return Ok(Some(found)),
            Err(error) if error.is_io() => return Err(error.into()),
            Err(_) => {}
        }
        match records.deserialize(&mut json) {
            Ok(more) => found += more,
            Err(error) if error.is_io() => return Err(error.into()),
            Err(_) => return Ok(None),
        }
    }
}

/// Counts the records of a value: itself, if it is an object or array, or the elements of the array
/// to which a path leads.
#[derive(Debug, Clone, Copy)]
struct Records<'a> {
    path: Option<&'a [String]>,
}

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<u64, D::Error> {
        // Of bare words and numbers nothing says where one ends and the next begins.
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<u64, A::Error> {
        if self.path.is_none() {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(1);
        }
        if self.path.is_some_and(|path| !path.is_empty()) {
            return Err(A::Error::custom("an array stands where an object should"));
        }
        let mut found = 0;
        while elements.next_element::<IgnoredAny>()?.is_some() {
            found += 1;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        if self.path.is_none() {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(1);
        }
        let Some((name, path)) = self.path.and_then(<[String]>::split_first) else {
            return Err(A::Error::custom("an object stands where an array should"));
        };
        if name == ANY_KEY {
            return only_array(members);
        }
        let mut found = None;
        while let Some(key) = members.next_key::<String>()? {
            if key != *name {
                members.next_value::<IgnoredAny>()?;
            } else if found.is_none() {
                found = Some(members.next_value_seed(Records { path: Some(path) })?);
            } else {
                return Err(A::Error::custom("a key comes twice"));
            }
        }
        found.ok_or_else(|| A::Error::custom("there is no array"))
    }
}

/// The elements of the only array among these members.
fn only_array<'de, A: MapAccess<'de>>(mut members: A) -> Result<u64, A::Error> {
    let mut found = None;
    while members.next_key::<IgnoredAny>()?.is_some() {
        let length = match members.next_value::<Length>()? {
            Length(Some(length)) => length,
            Length(None) => continue,
        };
        if found.replace(length).is_some() {
            return Err(A::Error::custom("there are several arrays"));
        }
    }
    found.ok_or_else(|| A::Error::custom("there is no array"))
}

/// How many elements a value has, if it is an array.
struct Length(Option<u64>);

impl<'de> serde::Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(LengthOf)
    }
}

struct LengthOf;

impl<'de> Visitor<'de> for LengthOf {
    type Value = Length;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Length, E> {
        Ok(Length(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Length, E> {
        Ok(Length(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Length, E> {
        Ok(Length(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Length, E> {
        Ok(Length(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Length, E> {
        Ok(Length(None))
    }

    fn visit_unit<E>(self) -> Result<Length, E> {
        Ok(Length(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Length, A::Error> {
        let mut length = 0;
        while elements.next_element::<IgnoredAny>()?.is_some() {
            length += 1;
        }
        Ok(Length(Some(length)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Length, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Length(None))
    }
}
