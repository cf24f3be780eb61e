//! Values on their way into a page. Whatever comes from outside passes through one of these: a
//! file's name with `<script>` in it is a text on the page and nothing else.

use std::fmt::{self, Display, Formatter};

use crate::report::human;

/// Foreign text in an element or in a quoted attribute, on one line: control characters and marks
/// that reorder text are shown as escapes.
pub struct T<'a>(pub &'a str);

impl Display for T<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for character in human::one_line(self.0).chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

/// Foreign text whose lines stay lines.
pub struct Lines<'a>(pub &'a str);

impl Display for Lines<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, line) in self.0.lines().enumerate() {
            let before = if at > 0 { "<br>" } else { "" };
            write!(f, "{before}{}", T(line))?;
        }
        Ok(())
    }
}

/// A count, and where in the JSON report it is, as a JSON pointer.
pub struct Num<'a>(pub u64, pub &'a str);

impl Display for Num<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Num(value, pointer) = self;
        let shown = human::count(*value);
        write!(f, "<data value=\"{value}\" data-json=\"{}\">{shown}</data>", T(pointer))
    }
}

/// A number that is shown in words, and where in the JSON report it is.
pub struct Shown<'a>(pub f64, pub &'a str, pub &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Shown(value, words, pointer) = self;
        write!(f, "<data value=\"{value}\" data-json=\"{}\">{}</data>", T(pointer), T(words))
    }
}

/// A key as a part of a JSON pointer.
pub fn pointer_key(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// JSON for a script element that is data. No `<` is left in it, so that nothing in it can end the
/// element or begin a comment; as JSON it is the same.
pub fn json_data(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let name = "<script>alert('1')</script>&\"\u{202e}\n.csv";
        let shown = T(name).to_string();
        assert!(!shown.contains(['<', '>', '"', '\'', '\n', '\u{202e}']), "{shown}");
        assert!(shown.starts_with("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;"));
        assert_eq!(Lines("a<b\nc").to_string(), "a&lt;b<br>c");
    }

    #[test]
    fn json_cannot_end_its_element() {
        let text = serde_json::json!({ "a": "</script><!-- & \u{2028}" }).to_string();
        let data = json_data(&text);
        assert!(!data.contains(['<', '>', '&']), "{data}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&data), read(&text));
        assert_eq!(pointer_key("a/b~c"), "a~1b~0c");
    }
}
