//! A pull parser over one JSON value: tokens and slices of the bytes, nothing copied, nothing
//! allocated. It checks the whole grammar of RFC 8259 but for UTF-8, which its callers look at
//! once for a chunk, and for `NaN` and `Infinity`, which many programs write and which are handed
//! out as numbers. It gives numbers no meaning and builds no tree.

use super::token::{Flaw, Malformed, Text, Value, hex4};
use crate::json::plain_len;
use crate::limit::JSON_DEPTH_MAX;

/// The parser. Reads tokens one after another; after an error it is of no more use.
#[derive(Debug, Clone)]
pub struct Pull<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// Whether an object or array was just opened: no comma comes before its first member.
    opened: bool,
}

type Pulled<T> = Result<T, Malformed>;

impl<'a> Pull<'a> {
    /// A parser at the first byte of a value, or of white space before it.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, opened: false }
    }

    /// A parser behind a value inside `depth` objects.
    pub(super) fn inside(bytes: &'a [u8], depth: usize) -> Self {
        Self { bytes, at: 0, depth, opened: false }
    }

    /// Offset of the next byte that is looked at.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The bytes in a range of positions that were passed.
    pub fn slice(&self, range: std::ops::Range<usize>) -> &'a [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    fn wrong(&self, what: Flaw) -> Malformed {
        Malformed { at: self.at, what }
    }

    /// The next byte that is not white space, which is left where it is.
    #[inline]
    fn peek(&mut self, wanted: &'static str) -> Pulled<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !is_space(byte) {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(self.wrong(Flaw::Ends(wanted)))
    }

    /// The value that begins here. An object or array is only entered.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub fn value(&mut self) -> Pulled<Value<'a>> {
        match self.peek("a value")? {
            b'"' => {
                self.at += 1;
                self.string().map(Value::Text)
            }
            b'{' => self.open().map(|()| Value::Object),
            b'[' => self.open().map(|()| Value::Array),
            b'-' | b'0'..=b'9' => self.number().map(Value::Number),
            b't' => self.word(b"true").map(|()| Value::Bool(true)),
            b'f' => self.word(b"false").map(|()| Value::Bool(false)),
            b'n' => self.word(b"null").map(|()| Value::Null),
            b'N' => self.not_finite(b"NaN"),
            b'I' => self.not_finite(b"Infinity"),
            _ => Err(self.wrong(Flaw::Expected("a value"))),
        }
    }

    fn open(&mut self) -> Pulled<()> {
        if self.depth >= JSON_DEPTH_MAX {
            return Err(self.wrong(Flaw::TooDeep));
        }
        self.depth += 1;
        self.at += 1;
        self.opened = true;
        Ok(())
    }

    fn word(&mut self, word: &'static [u8]) -> Pulled<()> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        let ends = word.starts_with(rest);
        Err(self.wrong(if ends { Flaw::Ends("a value") } else { Flaw::Expected("a value") }))
    }

    fn not_finite(&mut self, word: &'static [u8]) -> Pulled<Value<'a>> {
        let start = self.at;
        self.word(word)?;
        Ok(Value::Number(&self.bytes[start..self.at]))
    }

    fn number(&mut self) -> Pulled<&'a [u8]> {
        let start = self.at;
        if self.bytes[self.at] == b'-' {
            self.at += 1;
            if self.bytes.get(self.at) == Some(&b'I') {
                self.word(b"Infinity")?;
                return Ok(&self.bytes[start..self.at]);
            }
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.bytes[start..self.at])
    }

    /// One digit or more.
    #[inline]
    fn digits(&mut self) -> Pulled<()> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            _ if self.at > start => Ok(()),
            None => Err(self.wrong(Flaw::Ends("a digit"))),
            Some(_) => Err(self.wrong(Flaw::Expected("a digit"))),
        }
    }

    /// The string whose opening quote is behind.
    #[inline]
    fn string(&mut self) -> Pulled<Text<'a>> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_len(&self.bytes[self.at..]);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let raw = &self.bytes[start..self.at];
                    self.at += 1;
                    return Ok(Text::new(raw, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.wrong(Flaw::Control)),
                None => return Err(self.wrong(Flaw::Ends("a closing quote"))),
            }
        }
    }

    #[cold]
    fn escape(&mut self) -> Pulled<()> {
        const CUT: Flaw = Flaw::Ends("the rest of an escape");
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let code = self.code_unit()?;
                if (0xdc00..0xe000).contains(&code) {
                    return Err(self.wrong(Flaw::LoneSurrogate));
                }
                let high = self.at;
                self.at += 6;
                if (0xd800..0xdc00).contains(&code) {
                    let lone = Malformed { at: high, what: Flaw::LoneSurrogate };
                    match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                        (None, _) | (Some(b'\\'), None) => return Err(self.wrong(CUT)),
                        (Some(b'\\'), Some(b'u')) => {}
                        _ => return Err(lone),
                    }
                    if !(0xdc00..0xe000).contains(&self.code_unit()?) {
                        return Err(lone);
                    }
                    self.at += 6;
                }
            }
            Some(_) => return Err(self.wrong(Flaw::BadEscape)),
            None => return Err(self.wrong(CUT)),
        }
        Ok(())
    }

    /// The code of the `\u` escape that stands here.
    fn code_unit(&self) -> Pulled<u16> {
        let digits = &self.bytes[(self.at + 2).min(self.bytes.len())..];
        let known = digits.iter().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
        if known == digits.len() && known < 4 {
            return Err(self.wrong(Flaw::Ends("the rest of an escape")));
        }
        hex4(digits).ok_or_else(|| self.wrong(Flaw::BadEscape))
    }

    /// The next key of the object that was entered last, or `None` at its end. The key's value
    /// must be taken, or skipped, before the next key.
    ///
    /// # Errors
    /// What is wrong there.
    #[inline]
    pub fn key(&mut self) -> Pulled<Option<Text<'a>>> {
        let first = std::mem::take(&mut self.opened);
        let mut byte = self.peek("a key or a closing brace")?;
        if byte == b'}' {
            self.at += 1;
            self.depth -= 1;
            return Ok(None);
        }
        if !first {
            if byte != b',' {
                return Err(self.wrong(Flaw::Expected("a comma or a closing brace")));
            }
            self.at += 1;
            byte = self.peek("a key")?;
        }
        if byte != b'"' {
            return Err(self.wrong(Flaw::Expected("a key in quotes")));
        }
        self.at += 1;
        let key = self.string()?;
        if self.peek("a colon")? != b':' {
            return Err(self.wrong(Flaw::Expected("a colon")));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether another element of the array that was entered last begins here; at its end it is
    /// left. The element must be taken, or skipped, before the next call.
    ///
    /// # Errors
    /// What is wrong there.
    #[inline]
    pub fn element(&mut self) -> Pulled<bool> {
        let first = std::mem::take(&mut self.opened);
        let byte = self.peek("a value or a closing bracket")?;
        if byte == b']' {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if !first {
            if byte != b',' {
                return Err(self.wrong(Flaw::Expected("a comma or a closing bracket")));
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// Steps over a value and gives its bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub fn skip(&mut self) -> Pulled<&'a [u8]> {
        self.peek("a value")?;
        let start = self.at;
        let value = self.value()?;
        self.skip_rest(value)?;
        Ok(&self.bytes[start..self.at])
    }

    /// Steps to the end of a value that was just taken: of an object or array that was entered.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub fn skip_rest(&mut self, value: Value<'a>) -> Pulled<()> {
        match value {
            Value::Object => {
                while self.key()?.is_some() {
                    self.skip()?;
                }
            }
            Value::Array => {
                while self.element()? {
                    self.skip()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Fails unless nothing but white space is left.
    ///
    /// # Errors
    /// Where there is more.
    pub fn end(&mut self) -> Pulled<()> {
        match self.peek("") {
            Ok(_) => Err(self.wrong(Flaw::Expected("the end of the record"))),
            Err(_) => Ok(()),
        }
    }
}

/// JSON's white space.
#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8]) -> Result<(), Malformed> {
        let mut pull = Pull::new(bytes);
        pull.skip()?;
        pull.end()
    }

    #[test]
    fn flaws_are_told_with_their_place() {
        let cases: [(&str, usize, &str); 12] = [
            (r#"{"a":1"#, 6, "is missing"),
            (r#"{"a" 1}"#, 5, "a colon"),
            (r#"{"a":01}"#, 6, "a comma or a closing brace"),
            (r#"{"a":1.}"#, 7, "a digit"),
            (r#"{"a":+1}"#, 5, "a value"),
            (r#"{"a":1,}"#, 7, "a key in quotes"),
            (r#"[1,]"#, 3, "a value"),
            (r#"{'a':1}"#, 1, "a key in quotes"),
            ("\"a\nb\"", 2, "control"),
            (r#""\x""#, 1, "an escape"),
            (r#""\ud800\u0041""#, 1, "surrogate"),
            ("{} {}", 3, "the end"),
        ];
        for (text, at, part) in cases {
            let fault = check(text.as_bytes()).unwrap_err();
            assert_eq!(fault.at, at, "{text}");
            assert!(fault.reason().contains(part), "{text}: {}", fault.reason());
        }
        let deep = "[".repeat(10_000);
        assert_eq!(check(deep.as_bytes()).unwrap_err().rule(), "too_deep");
    }

    #[test]
    fn every_cut_of_a_value_says_that_it_ends() {
        let text = "{\"a\":[1.5e-3,true,\"\\ud83d\\ude00\\n\",null,-0],\"b\":{\"c\":false}}";
        for len in 0..text.len() {
            let fault = check(&text.as_bytes()[..len]).unwrap_err();
            assert!(matches!(fault.what, Flaw::Ends(_)), "{}: {fault:?}", &text[..len]);
        }
        assert_eq!(check(text.as_bytes()), Ok(()));
    }

    #[test]
    fn bare_not_finite_words_are_numbers() {
        let mut pull = Pull::new(b"[NaN,Infinity,-Infinity]");
        assert_eq!(pull.value(), Ok(Value::Array));
        for word in [&b"NaN"[..], b"Infinity", b"-Infinity"] {
            assert_eq!(pull.element(), Ok(true));
            assert_eq!(pull.value(), Ok(Value::Number(word)));
        }
        assert_eq!(pull.element(), Ok(false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        /// What one parser takes for JSON, the other does, and strings mean the same.
        #[test]
        fn it_agrees_with_another_parser(
            text in "([{}\\[\\],:]|\"[a\\\\é]{0,3}\"|\"\\\\u[dD][89cC][0-9a-f]{2}(\\\\udc0[0-9])?\"\
                |-?[0-9]{1,2}(\\.[0-9])?(e[0-9])?|true|null| |\n|\"a\":|\\{\"k\":\"v\"\\}){0,9}",
        ) {
            let other: Result<serde_json::Value, _> = serde_json::from_str(&text);
            let ours = check(text.as_bytes());
            // A number beyond a double is a number all the same: its column refuses it.
            let out_of_range = |error: &serde_json::Error| {
                error.to_string().starts_with("number out of range")
            };
            if other.as_ref().is_err_and(out_of_range) {
                return Ok(());
            }
            prop_assert_eq!(ours.is_ok(), other.is_ok(), "{} {:?} {:?}", text, ours, other);
            if let Ok(serde_json::Value::String(other)) = other {
                let mut pull = Pull::new(text.as_bytes());
                let Ok(Value::Text(text)) = pull.value() else { panic!("a string") };
                let mut scratch = Vec::new();
                prop_assert_eq!(text.bytes(&mut scratch), other.as_bytes());
            }
        }

        #[test]
        fn strings_end_where_they_should(text in "[ -~é\u{0}-\u{1f}]{0,40}") {
            let quoted = serde_json::to_string(&text).unwrap();
            let mut pull = Pull::new(quoted.as_bytes());
            let Ok(Value::Text(found)) = pull.value() else { panic!("a string") };
            let mut scratch = Vec::new();
            prop_assert_eq!(found.bytes(&mut scratch), text.as_bytes());
            prop_assert_eq!(pull.position(), quoted.len());
        }
    }
}
