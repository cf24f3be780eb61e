//! Whether a text is JSON as PostgreSQL reads it, and what in it `jsonb` refuses. Looks at bytes
//! only: it builds no values, keeps no text and never recurses, so that no input can exhaust the
//! stack. Called by the decoders for JSON columns and by the encoder for `json` and `jsonb`.

/// Objects and arrays inside each other, at most: the server's own limit is a few thousand and
/// depends on its stack.
pub const DEPTH_MAX: usize = 1_024;

/// What a JSON text holds that `json` stores and `jsonb` refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// The escape of the character NUL, which no text of the server can hold.
    pub nul_escape: bool,
    /// Half of a surrogate pair, which is no character.
    pub lone_surrogate: bool,
}

/// Why a text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonFault {
    /// It stops being JSON at this byte, from 0.
    Bad(usize),
    /// Deeper than [`DEPTH_MAX`] at this byte, from 0.
    TooDeep(usize),
}

/// Reads one JSON value with white space around it. `text` must be UTF-8, which is not looked at
/// here.
///
/// # Errors
/// Where it stops being JSON.
pub fn check(text: &[u8]) -> Result<Found, JsonFault> {
    let mut scan =
        Scan { text, at: 0, depth: 0, objects: [0; DEPTH_MAX / 64], found: Found::default() };
    scan.document()?;
    Ok(scan.found)
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    /// For each open container a bit: it is an object.
    objects: [u64; DEPTH_MAX / 64],
    found: Found,
}

impl Scan<'_> {
    fn document(&mut self) -> Result<(), JsonFault> {
        loop {
            // Here a value must start, or the container that was just opened ends.
            self.white_space();
            let closed_at_once = match self.peek() {
                Some(b'{') => self.open(true)? && self.closes(b'}'),
                Some(b'[') => self.open(false)? && self.closes(b']'),
                _ => {
                    self.scalar()?;
                    true
                }
            };
            if !closed_at_once {
                if self.in_object() {
                    self.key()?;
                }
                continue;
            }
            if self.after_value()? {
                return Ok(());
            }
        }
    }

    /// Steps over what may follow a value. `true`: the document ends.
    fn after_value(&mut self) -> Result<bool, JsonFault> {
        loop {
            self.white_space();
            if self.depth == 0 {
                return if self.at == self.text.len() { Ok(true) } else { Err(self.bad()) };
            }
            match (self.peek(), self.in_object()) {
                (Some(b','), object) => {
                    self.at += 1;
                    if object {
                        self.key()?;
                    }
                    return Ok(false);
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.at += 1;
                    self.depth -= 1;
                }
                _ => return Err(self.bad()),
            }
        }
    }

    /// Opens a container; always `true`.
    fn open(&mut self, object: bool) -> Result<bool, JsonFault> {
        if self.depth == DEPTH_MAX {
            return Err(JsonFault::TooDeep(self.at));
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        self.objects[word] =
            if object { self.objects[word] | bit } else { self.objects[word] & !bit };
        self.depth += 1;
        self.at += 1;
        Ok(true)
    }

    /// Closes the innermost container if its end follows.
    fn closes(&mut self, end: u8) -> bool {
        self.white_space();
        let closes = self.peek() == Some(end);
        if closes {
            self.at += 1;
            self.depth -= 1;
        }
        closes
    }

    fn in_object(&self) -> bool {
        let Some(top) = self.depth.checked_sub(1) else { return false };
        self.objects[top / 64] >> (top % 64) & 1 == 1
    }

    fn key(&mut self) -> Result<(), JsonFault> {
        self.white_space();
        if self.peek() != Some(b'"') {
            return Err(self.bad());
        }
        self.string()?;
        self.white_space();
        self.take(b':')
    }

    fn scalar(&mut self) -> Result<(), JsonFault> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.bad()),
        }
    }

    fn string(&mut self) -> Result<(), JsonFault> {
        self.at += 1;
        loop {
            self.at += plain_len(&self.text[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.bad()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonFault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => self.unicode(),
            _ => Err(self.bad()),
        }
    }

    /// The rest of an escape from its `u` on, with the second half of a surrogate pair.
    fn unicode(&mut self) -> Result<(), JsonFault> {
        self.at += 1;
        match self.hex4()? {
            0 => self.found.nul_escape = true,
            0xd800..=0xdbff if self.text[self.at..].starts_with(b"\\u") => {
                let second = self.at;
                self.at += 2;
                if !(0xdc00..=0xdfff).contains(&self.hex4()?) {
                    self.found.lone_surrogate = true;
                    // What follows is an escape of its own.
                    self.at = second;
                }
            }
            0xd800..=0xdfff => self.found.lone_surrogate = true,
            _ => {}
        }
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, JsonFault> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            value = value * 16 + digit.ok_or_else(|| self.bad())?;
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.bad()) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonFault> {
        word.iter().try_for_each(|byte| self.take(*byte))
    }

    fn take(&mut self, byte: u8) -> Result<(), JsonFault> {
        if self.peek() != Some(byte) {
            return Err(self.bad());
        }
        self.at += 1;
        Ok(())
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn bad(&self) -> JsonFault {
        JsonFault::Bad(self.at)
    }
}

/// How many bytes from here are neither quote, backslash nor control character.
#[inline]
pub fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let zero = |mixed: u64| mixed.wrapping_sub(ONES) & !mixed & HIGH;
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let slash = zero(word ^ (ONES * u64::from(b'\\')));
        let hits = control | quote | slash;
        if hits != 0 {
            // The lowest hit is exact: a borrow can only make false ones above a true one.
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    at + bytes[at..].iter().position(special).unwrap_or(bytes.len() - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(text: &str) -> Found {
        check(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
    }

    #[test]
    fn json_is_json() {
        for text in [
            "null",
            " true\n",
            "false",
            "0",
            "-0",
            "-0.0e-0",
            "12.50E+3",
            r#""""#,
            r#""ä\"\\\/\b""#,
            "[]",
            "[ ]",
            "{}",
            "{ }",
            "[[],{}]",
            r#"{"a":[1,{"b":null}],"a":2}"#,
            "[1,\t2\r\n]",
            r#""é\u00e9\ud83d\ude00""#,
        ] {
            assert_eq!(good(text), Found::default(), "{text}");
        }
    }

    #[test]
    fn what_jsonb_refuses_is_found() {
        assert!(good(r#"["a\u0000b"]"#).nul_escape);
        assert!(!good(r#"["a\\u0000b"]"#).nul_escape);
        for lone in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83dx""#, r#""\ud83d\u0041""#] {
            assert!(good(lone).lone_surrogate, "{lone}");
        }
        assert!(good(r#""\ud83d\u0000""#).nul_escape);
    }

    #[test]
    fn what_is_no_json_says_where() {
        for (text, at) in [
            ("", 0),
            ("  ", 2),
            ("nul", 3),
            ("NaN", 0),
            ("01", 1),
            ("+1", 0),
            ("1.", 2),
            (".5", 0),
            ("1e", 2),
            ("-", 1),
            ("\"a", 2),
            ("\"a\nb\"", 2),
            (r#""\x""#, 2),
            (r#""\u00g0""#, 5),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("[1}", 2),
            (r#"{"a"}"#, 4),
            (r#"{"a":1,}"#, 7),
            ("{a:1}", 1),
            ("{\"a\":}", 5),
            ("1 2", 2),
            ("[", 1),
            ("]", 0),
            ("{'a':1}", 1),
        ] {
            assert_eq!(check(text.as_bytes()), Err(JsonFault::Bad(at)), "{text}");
        }
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(check(nested(DEPTH_MAX).as_bytes()), Ok(Found::default()));
        let fault = check(nested(DEPTH_MAX + 1).as_bytes());
        assert_eq!(fault, Err(JsonFault::TooDeep(DEPTH_MAX)));
    }
}
