//! Paths and URLs with days in them: `{date:%Y-%m-%d}`.

use jiff::civil::Date;
use jiff::fmt::strtime;

/// A path, glob or URL that may have days in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// As written.
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A day, in this form.
    Day(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A brace that begins no day, and a form of days that is none; says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            let close = after.find('}').ok_or_else(|| format!("{text:?}: a {{ without its }}"))?;
            let inside = &after[1..close];
            let form = match inside.split_once(':') {
                Some(("date", form)) if !form.is_empty() => form,
                None if inside == "date" => "%Y-%m-%d",
                _ => {
                    return Err(format!(
                        "{text:?}: {{{inside}}} means nothing; write {{date:%Y-%m-%d}} for a day"
                    ));
                }
            };
            let day = jiff::civil::date(2024, 1, 31);
            let shown = strtime::format(form, day)
                .map_err(|error| format!("{text:?}: {form:?} is no form of a day: {error}"))?;
            if shown == form {
                return Err(format!("{text:?}: {form:?} has no part of a day, such as %Y-%m-%d"));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Day(form.to_owned()));
            rest = &after[close + 1..];
        }
        if rest.contains('}') {
            return Err(format!("{text:?}: a }} without its {{"));
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { text: text.to_owned(), parts })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it has a day in it.
    pub fn has_day(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Day(_)))
    }

    /// The path, glob or URL of a day.
    pub fn on(&self, day: Date) -> String {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(text),
                // The form was tried when the pattern was read.
                Part::Day(form) => path.push_str(&strtime::format(form, day).unwrap_or_default()),
            }
        }
        path
    }
}

/// The days that are looked at: `days` before today, in their order, and today.
pub(super) fn window(today: Date, days: u16) -> Vec<Date> {
    let first = today.saturating_sub(jiff::Span::new().days(i64::from(days)));
    let mut window = vec![first];
    while let Some(next) = window.last().and_then(|day| day.tomorrow().ok()) {
        if next > today {
            break;
        }
        window.push(next);
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn days_stand_in_paths_and_urls() {
        let on = |text: &str| Pattern::parse(text).unwrap().on(date(2024, 3, 9));
        assert_eq!(on("/in/{date:%Y}/{date:%Y%m%d}.csv"), "/in/2024/20240309.csv");
        assert_eq!(on("https://h/{date}/a_*.csv"), "https://h/2024-03-09/a_*.csv");
        assert_eq!(on("/in/*.csv"), "/in/*.csv");
        assert!(Pattern::parse("/a/{date:%j}").unwrap().has_day());
        assert!(!Pattern::parse("/a/*.csv").unwrap().has_day());
        for (wrong, why) in [
            ("/a/{day}", "{date:%Y-%m-%d}"),
            ("/a/{date:%Q!}", "no form"),
            ("/a/{date:YYYY}", "no part"),
            ("/a/{date", "without its }"),
            ("/a/date}", "without its {"),
            ("/a/{date:}", "{date:%Y-%m-%d}"),
        ] {
            let error = Pattern::parse(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_window_ends_today() {
        let days = window(date(2024, 3, 1), 2);
        assert_eq!(days, [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]);
        assert_eq!(window(date(2024, 3, 1), 0), [date(2024, 3, 1)]);
    }
}
