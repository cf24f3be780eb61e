//! Reads single values, each by the kind that its key wants, and says what it adds to the content.
//! `null` says nothing; a key that comes twice, and a value of another kind, are faults.

use super::digest::{self, Elements, Members};
use super::fault::{at, twice, value, wrong_type};
use super::read::{Read, Reader};
use crate::decode::fault::Fault;
use crate::decode::json::{Text, Value};
use crate::decode::number::{NumberFault, parse_float, parse_integer};

impl<'a> Reader<'a, '_> {
    /// A hash; an empty one is none.
    pub(super) fn hash(&mut self, name: &[u8]) -> Read<Option<String>> {
        match self.pull.value()? {
            Value::Null => Ok(None),
            Value::Text(text) => {
                let mut unescaped = Vec::new();
                let bytes = text.bytes(&mut unescaped);
                if bytes.is_empty() {
                    return Ok(None);
                }
                if bytes.contains(&0) {
                    return Err(at(name, "nul_byte", "the hash holds a NUL character"));
                }
                let text = std::str::from_utf8(bytes);
                text.map(|text| Some(text.to_owned())).map_err(|_| value(name, Fault::Utf8, bytes))
            }
            other => Err(wrong_type(name, other, "a text")),
        }
    }

    /// The killmail's time.
    pub(super) fn time(&mut self, name: &[u8]) -> Read<Option<u64>> {
        let text = match self.pull.value()? {
            Value::Null => return Ok(None),
            Value::Text(text) => text,
            other => return Err(wrong_type(name, other, "a time in quotes")),
        };
        let mut unescaped = Vec::new();
        let bytes = text.bytes(&mut unescaped);
        let us = self.times.parse(bytes).map_err(|fault| value(name, fault, bytes))?;
        if self.mail.time_us.replace(us).is_some() {
            return Err(twice(name));
        }
        Ok(Some(digest::integer(us)))
    }

    /// A whole number into `slot`.
    #[inline]
    pub(super) fn integer(&mut self, name: &[u8], slot: &mut Option<i64>) -> Read<Option<u64>> {
        let literal = match self.pull.value()? {
            Value::Null => return Ok(None),
            Value::Number(literal) => literal,
            other => return Err(wrong_type(name, other, "a whole number")),
        };
        let number = parse_integer(literal).map_err(|fault| value(name, fault, literal))?;
        if slot.replace(number).is_some() {
            return Err(twice(name));
        }
        Ok(Some(digest::integer(number)))
    }

    /// A number into `slot`.
    pub(super) fn float(&mut self, name: &[u8], slot: &mut Option<f64>) -> Read<Option<u64>> {
        let literal = match self.pull.value()? {
            Value::Null => return Ok(None),
            Value::Number(literal) => literal,
            other => return Err(wrong_type(name, other, "a number")),
        };
        let number = parse_float(literal).map_err(|fault| value(name, fault, literal))?;
        if slot.replace(number).is_some() {
            return Err(twice(name));
        }
        Ok(Some(digest::float(number)))
    }

    /// `true` or `false` into `slot`.
    pub(super) fn boolean(&mut self, name: &[u8], slot: &mut Option<bool>) -> Read<Option<u64>> {
        let found = match self.pull.value()? {
            Value::Null => return Ok(None),
            Value::Bool(found) => found,
            other => return Err(wrong_type(name, other, "true or false")),
        };
        if slot.replace(found).is_some() {
            return Err(twice(name));
        }
        Ok(Some(digest::boolean(found)))
    }

    /// Any value, which is only looked at for whether it is JSON, and for what it says.
    pub(super) fn any(&mut self, name: &[u8]) -> Read<Option<u64>> {
        let value = self.pull.value()?;
        self.rest(name, value)
    }

    /// The rest of a value that was just taken.
    pub(super) fn rest(&mut self, name: &[u8], found: Value<'a>) -> Read<Option<u64>> {
        Ok(match found {
            Value::Null => None,
            Value::Bool(found) => Some(digest::boolean(found)),
            Value::Text(text) => Some(said_by(text)),
            Value::Number(literal) => Some(said_by_number(name, literal)?),
            Value::Array => {
                let mut elements = Elements::default();
                while self.pull.element()? {
                    elements.add(self.any(name)?);
                }
                elements.array()
            }
            Value::Object => {
                let mut members = Members::default();
                while let Some(key) = self.pull.key()? {
                    let mut unescaped = Vec::new();
                    let name = key.bytes(&mut unescaped);
                    members.add(name, self.any(name)?);
                }
                Some(members.object())
            }
        })
    }
}

fn said_by(text: Text<'_>) -> u64 {
    let mut unescaped = Vec::new();
    digest::text(text.bytes(&mut unescaped))
}

/// Digits alone are a whole number; anything else is a double, also where that is not exact.
fn said_by_number(name: &[u8], literal: &[u8]) -> Read<u64> {
    if let Ok(number) = parse_integer(literal) {
        return Ok(digest::integer(number));
    }
    match parse_float(literal) {
        Ok(number) => Ok(digest::float(number)),
        // Stored as it is written, so no harm; the words that are no numbers are no JSON.
        Err(NumberFault::OutOfRange) => Ok(digest::text(literal)),
        Err(fault) => Err(value(name, fault, literal)),
    }
}
