//! What JSON is made of, as the pull parser hands it out: values, strings, and what can be wrong.

use crate::limit::JSON_DEPTH_MAX;

/// Where and why bytes are no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Offset of the byte at fault from the first byte of the value.
    pub at: usize,
    /// What is wrong.
    pub what: Flaw,
}

/// What is wrong with JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The bytes end where this is expected.
    Ends(&'static str),
    /// Another byte stands where this is expected.
    Expected(&'static str),
    /// An escape that JSON does not know.
    BadEscape,
    /// Half of a surrogate pair without its other half.
    LoneSurrogate,
    /// A control character inside a string.
    Control,
    /// More than [`JSON_DEPTH_MAX`] values inside each other.
    TooDeep,
}

impl Malformed {
    /// The stable name of the rule that it breaks.
    pub fn rule(self) -> &'static str {
        match self.what {
            Flaw::LoneSurrogate => "lone_surrogate",
            Flaw::TooDeep => "too_deep",
            _ => "invalid_json",
        }
    }

    /// What is wrong, for a person.
    #[cold]
    pub fn reason(self) -> String {
        let at = self.at;
        match self.what {
            Flaw::Ends(wanted) => {
                format!("the record ends at byte {at}, where {wanted} is missing")
            }
            Flaw::Expected(wanted) => format!("byte {at} of the record is not {wanted}"),
            Flaw::BadEscape => format!("byte {at} of the record starts an escape that is none"),
            Flaw::LoneSurrogate => {
                format!("byte {at} of the record escapes half of a surrogate pair")
            }
            Flaw::Control => {
                format!("byte {at} of the record is a control character inside a string")
            }
            Flaw::TooDeep => format!("more than {JSON_DEPTH_MAX} values stand inside each other"),
        }
    }
}

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The text between two quotes, whose escapes are known to be good.
    pub(super) fn new(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// The bytes between the quotes, escapes and all.
    pub fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Whether [`Text::raw`] holds escapes, so that its meaning is another.
    pub fn is_escaped(self) -> bool {
        self.escaped
    }

    /// Appends what the string means: UTF-8, if its bytes are.
    pub fn unescape(self, out: &mut Vec<u8>) {
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            rest = push_escape(&rest[at + 1..], out);
        }
        out.extend_from_slice(rest);
    }

    /// What the string means: its own bytes, or `scratch` filled anew.
    pub fn bytes<'s>(self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        if !self.escaped {
            return self.raw;
        }
        scratch.clear();
        self.unescape(scratch);
        scratch
    }

    /// Whether the string means these bytes.
    #[inline]
    pub fn is(self, bytes: &[u8]) -> bool {
        if !self.escaped {
            return self.raw == bytes;
        }
        let mut scratch = Vec::new();
        self.bytes(&mut scratch) == bytes
    }
}

/// Appends the character of an escape whose backslash is behind; returns what follows it.
fn push_escape<'a>(escape: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some((&letter, rest)) = escape.split_first() else { return &[] };
    let plain = match letter {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let first = hex4(rest).unwrap_or_default();
            let mut rest = rest.get(4..).unwrap_or_default();
            let mut code = u32::from(first);
            if (0xd800..0xdc00).contains(&first)
                && let Some(second) = rest.get(2..).and_then(hex4)
            {
                code =
                    0x1_0000 + ((code - 0xd800) << 10) + (u32::from(second).wrapping_sub(0xdc00));
                rest = rest.get(6..).unwrap_or_default();
            }
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return rest;
        }
        other => other,
    };
    out.push(plain);
    rest
}

/// Four hexadecimal digits.
pub(super) fn hex4(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.get(..4)?;
    digits.iter().try_fold(0_u16, |code, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(code << 4 | digit as u16)
    })
}

/// What stands at a value's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written.
    Number(&'a [u8]),
    /// A string.
    Text(Text<'a>),
    /// An object, whose opening brace is behind: call
    /// [`Pull::key`](super::Pull::key) until it gives `None`.
    Object,
    /// An array, whose opening bracket is behind: call
    /// [`Pull::element`](super::Pull::element) until it gives `false`.
    Array,
}
