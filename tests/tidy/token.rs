//! Rust source as tokens, well enough for the house rules: comments are dropped, strings and
//! characters are one token each, and what belongs to tests can be told from the rest.

/// What a token is, as far as the rules care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A word: identifier, keyword or number.
    Word,
    /// The content of a string literal.
    Text,
    /// `::`, or any other single character.
    Mark,
}

/// A token and its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    pub line: usize,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
}

/// The tokens of a source file.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut scanner = Scanner { chars: source.chars().collect(), at: 0, line: 1, found: vec![] };
    while scanner.at < scanner.chars.len() {
        scanner.next();
    }
    scanner.found
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Token>,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn take(&mut self) -> char {
        let char = self.peek(0);
        self.line += usize::from(char == '\n');
        self.at += 1;
        char
    }

    fn put(&mut self, kind: Kind, text: String, line: usize) {
        self.found.push(Token { kind, text, line });
    }

    fn next(&mut self) {
        let line = self.line;
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => {
                while self.at < self.chars.len() && self.peek(0) != '\n' {
                    self.at += 1;
                }
            }
            ('/', '*') => self.comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.char_or_lifetime(),
            (':', ':') => {
                self.at += 2;
                self.put(Kind::Mark, "::".to_owned(), line);
            }
            (char, _) if char.is_alphanumeric() || char == '_' => self.word(),
            _ => {
                let char = self.take();
                if !char.is_whitespace() {
                    self.put(Kind::Mark, char.to_string(), line);
                }
            }
        }
    }

    fn comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.take();
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        self.take();
        let start = self.at;
        while self.at < self.chars.len() && self.peek(0) != '"' {
            if self.take() == '\\' {
                self.take();
            }
        }
        let end = self.at.min(self.chars.len());
        let text = self.chars[start.min(end)..end].iter().collect();
        self.take();
        self.put(Kind::Text, text, line);
    }

    fn raw_string(&mut self, hashes: usize) {
        let line = self.line;
        self.at += hashes + 1;
        let start = self.at;
        let ends = |scanner: &Self| {
            scanner.peek(0) == '"' && (1..=hashes).all(|ahead| scanner.peek(ahead) == '#')
        };
        while self.at < self.chars.len() && !ends(self) {
            self.take();
        }
        let text = self.chars[start..self.at.min(self.chars.len())].iter().collect();
        self.at += hashes + 1;
        self.put(Kind::Text, text, line);
    }

    fn char_or_lifetime(&mut self) {
        self.take();
        if self.peek(0) == '\\' {
            self.at += 2;
            while self.at < self.chars.len() && self.take() != '\'' {}
        } else if self.peek(1) == '\'' {
            self.take();
            self.take();
        }
    }

    fn word(&mut self) {
        let (start, line) = (self.at, self.line);
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        let hashes = (0..).take_while(|ahead| self.peek(*ahead) == '#').count();
        match word.as_str() {
            "r" | "br" | "cr" if self.peek(hashes) == '"' => self.raw_string(hashes),
            "b" | "c" if self.peek(0) == '"' => self.string(),
            "r" if hashes == 1 => self.at += 1,
            _ => self.put(Kind::Word, word, line),
        }
    }
}

/// A file's tokens, parted into production code and tests.
#[derive(Debug, Default)]
pub struct Parted {
    pub production: Vec<Token>,
    pub tests: Vec<Token>,
    /// Lines that belong to tests.
    pub test_lines: usize,
}

/// Parts items marked `#[cfg(test)]`, `#[cfg(all(test, ...))]` or `#[test]` from the rest.
pub fn part(tokens: &[Token]) -> Parted {
    let mut parted = Parted::default();
    let mut at = 0;
    while at < tokens.len() {
        let end = if marks_test(&tokens[at..]) { item_end(tokens, at) } else { at };
        if end == at {
            parted.production.push(tokens[at].clone());
            at += 1;
            continue;
        }
        parted.test_lines += tokens[end - 1].line - tokens[at].line + 1;
        parted.tests.extend_from_slice(&tokens[at..end]);
        at = end;
    }
    parted
}

fn marks_test(tokens: &[Token]) -> bool {
    let starts = |words: &[&str]| {
        tokens.len() >= words.len() && words.iter().zip(tokens).all(|(word, token)| token.is(word))
    };
    starts(&["#", "[", "test", "]"])
        || starts(&["#", "[", "tokio", "::", "test"])
        || starts(&["#", "[", "cfg", "(", "test", ")"])
        || starts(&["#", "[", "cfg", "(", "all", "(", "test"])
}

/// One past the item that starts with an attribute at `start`.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at + 1 < tokens.len() && tokens[at].is("#") {
        at = closing(tokens, at + 1) + 1;
    }
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            _ if tokens[at].kind != Kind::Mark => at += 1,
            ";" => return at + 1,
            "{" => return (closing(tokens, at) + 1).min(tokens.len()),
            "(" | "[" => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    tokens.len()
}

/// Position of the bracket that closes the one at `open`; the last token if none does.
pub fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.kind != Kind::Mark {
            continue;
        }
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

/// A path such as `crate::db::connect`, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub segments: Vec<String>,
    pub line: usize,
}

impl Path {
    /// Whether the path has these segments in a row.
    pub fn has(&self, segments: &[&str]) -> bool {
        self.segments.windows(segments.len()).any(|window| window == segments)
    }
}

/// Every path of at least two segments, groups of `use` taken apart.
pub fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].is("use") {
            at = use_tree(tokens, at + 1, &[], &mut found);
        } else if tokens[at].kind == Kind::Word {
            let line = tokens[at].line;
            let mut segments = vec![tokens[at].text.clone()];
            at += 1;
            while at + 1 < tokens.len() && tokens[at].is("::") && tokens[at + 1].kind == Kind::Word
            {
                segments.push(tokens[at + 1].text.clone());
                at += 2;
            }
            if segments.len() > 1 {
                found.push(Path { segments, line });
            }
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one tree of a `use`; returns where it ends.
fn use_tree(tokens: &[Token], start: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    let mut segments = prefix.to_vec();
    let mut at = start;
    while at < tokens.len() {
        let token = &tokens[at];
        match token.text.as_str() {
            "::" => at += 1,
            "as" => at += 2,
            "{" => {
                at += 1;
                while at < tokens.len() && !tokens[at].is("}") {
                    at = use_tree(tokens, at, &segments, found);
                    at += usize::from(at < tokens.len() && tokens[at].is(","));
                }
                return at + 1;
            }
            "," | "}" | ";" => break,
            _ => {
                segments.push(token.text.clone());
                at += 1;
            }
        }
    }
    if segments.len() > prefix.len() {
        found.push(Path { segments, line: tokens[start].line });
    }
    at
}
