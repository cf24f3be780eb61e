//! What can be wrong with a killmail, with the stable rule names that rejects are counted by.

use std::borrow::Cow;

use crate::decode::fault::{Fault, shown};
use crate::decode::json::{Malformed, RecordFault, Value};

/// A record that says something of no killmail, or nothing.
pub(super) const NO_KILLMAIL: &str = "no_killmail";

impl From<Malformed> for RecordFault {
    fn from(fault: Malformed) -> Self {
        Self { rule: Cow::Borrowed(fault.rule()), column: None, reason: fault.reason() }
    }
}

/// A fault of the record as a whole.
#[cold]
pub(super) fn whole(rule: &'static str, reason: impl Into<String>) -> RecordFault {
    RecordFault { rule: Cow::Borrowed(rule), column: None, reason: reason.into() }
}

/// A fault of the value of `key`.
#[cold]
pub(super) fn at(key: &[u8], rule: &'static str, reason: impl Into<String>) -> RecordFault {
    let column = Some(String::from_utf8_lossy(key).into_owned());
    RecordFault { rule: Cow::Borrowed(rule), column, reason: reason.into() }
}

/// A value that is not of its key's kind.
#[cold]
pub(super) fn value(key: &[u8], fault: impl Into<Fault>, value: &[u8]) -> RecordFault {
    let fault = fault.into();
    at(key, fault.rule(), fault.reason(&String::from_utf8_lossy(key), value))
}

/// A key whose value is of another type than `wanted`.
#[cold]
pub(super) fn wrong_type(key: &[u8], found: Value<'_>, wanted: &str) -> RecordFault {
    let found = match found {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(literal) => format!("the number {}", String::from_utf8_lossy(literal)),
        Value::Text(text) => format!("the text {}", shown(text.raw())),
        Value::Object => "an object".to_owned(),
        Value::Array => "an array".to_owned(),
    };
    let name = String::from_utf8_lossy(key);
    at(key, "wrong_type", format!("{name}: {found} where {wanted} is required"))
}

/// A key that must be there.
#[cold]
pub(super) fn missing(key: &str, of: &str) -> RecordFault {
    at(key.as_bytes(), Fault::Null.rule(), format!("{key} of {of} is missing"))
}

/// A key that comes twice in one object.
#[cold]
pub(super) fn twice(key: &[u8]) -> RecordFault {
    let name = String::from_utf8_lossy(key);
    at(key, "duplicate_key", format!("the key {name:?} comes twice: which one counts?"))
}
