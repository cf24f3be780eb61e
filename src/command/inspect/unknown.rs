//! What is said of a file that no layout knows, for people and as JSON: what was tried, how it
//! begins, what it looks like, and what to do next.

use serde_json::{Value, json};

use super::guess::Guess;
use super::profile::{Column, Profile};
use super::roles::{Roles, Source};
use super::show::{indent, line, word};
use crate::layout::{RecogniseError, normalise_interval};
use crate::mapping::is_columnar;
use crate::report::human;
use crate::report::list::{Cell, Grid};

/// Lines that are shown, and characters of each.
const LINES_SHOWN: usize = 5;
const LINE_CHARS: usize = 160;

/// What was guessed of a text that no layout knows.
pub(super) struct Guessed<'a> {
    pub guess: &'a Guess,
    pub profile: &'a Profile,
    pub roles: &'a Roles,
}

impl Guessed<'_> {
    fn role_of(&self, at: usize) -> Option<&'static str> {
        let is = |source: &Source| match *source {
            Source::One(one) => one == at,
            Source::Join(one, two) => one == at || two == at,
        };
        self.roles.roles.iter().find(|role| is(&role.source)).map(|role| role.column)
    }

    fn grid(&self) -> Grid {
        let headers = ["field", "name", "looks like", "empty", "least", "greatest", "taken for"];
        let mut grid = Grid::new(headers).right(&[0, 3]);
        for (at, column) in self.profile.columns.iter().enumerate() {
            let (least, most) = range(column);
            grid.push([
                Cell::from(at as u64 + 1),
                Cell::from(human::one_line(&column.name)),
                Cell::from(kind(column)),
                Cell::from(column.rows - column.filled()),
                Cell::from(least),
                Cell::from(most),
                Cell::from(self.role_of(at).unwrap_or_default().to_owned()),
            ]);
        }
        grid
    }
}

fn range(column: &Column) -> (String, String) {
    if column.is_numeric() {
        (column.least.to_string(), column.most.to_string())
    } else {
        (String::new(), String::new())
    }
}

fn kind(column: &Column) -> String {
    let form = column.forms.first().filter(|_| !column.is_numeric() || column.most > 1e7);
    match form {
        _ if column.filled() == 0 => "nothing".to_owned(),
        Some(form) => format!("times written {}", form.text),
        None if column.is_numeric() && column.commas > 0 => "numbers with commas".to_owned(),
        None if column.is_numeric() && column.whole == column.numbers => "whole numbers".to_owned(),
        None if column.is_numeric() => "numbers".to_owned(),
        None if !column.many_words
            && column.words.keys().all(|w| normalise_interval(w).is_some()) =>
        {
            "intervals".to_owned()
        }
        None if column.many_words => format!("text such as {:?}", column.example),
        None => match column.words.len() {
            1 => format!("always {:?}", column.example),
            words => format!("{words} words such as {:?}", column.example),
        },
    }
}

/// A file that no layout knows, for people.
pub(super) fn text(
    name: &str,
    bytes: u64,
    error: &RecogniseError,
    head: &[u8],
    guessed: Option<&Guessed<'_>>,
) -> String {
    let mut out = format!("{name}: not recognised, {}\n", human::size(bytes));
    match error {
        RecogniseError::Unknown(unknown) => {
            if unknown.parquet {
                line(&mut out, &format!("columns: {}", unknown.first_line));
            }
            line(&mut out, "tried");
            for (layout, why) in &unknown.tried {
                line(&mut out, &format!("  {layout}: {why}"));
            }
        }
        other => other.to_string().lines().for_each(|text| line(&mut out, text)),
    }
    let text_lines = head.split(|&byte| byte == b'\n').filter(|text| !text.is_empty());
    if !is_columnar(head) && !head.is_empty() {
        out.push_str("\nfirst lines\n");
        for text in text_lines.take(LINES_SHOWN) {
            line(&mut out, &human::original(text, LINE_CHARS));
        }
    }
    let Some(guessed) = guessed else { return out };
    let Guessed { guess, profile, roles } = guessed;
    out.push_str("\nit looks like\n");
    let header = match (&guess.header, guess.preamble) {
        (Some(_), 0) => "a header".to_owned(),
        (Some(_), lines) => format!("a header after {}", human::plural(lines as u64, "line")),
        (None, _) => "no header".to_owned(),
    };
    let records = human::plural(profile.rows, "record");
    let fields = human::plural(guess.fields as u64, "field");
    let delimiter = char::from(guess.delimiter);
    line(&mut out, &format!("{records} of {fields} with {delimiter:?} between them, {header}"));
    if let Some((at, reason)) = &profile.first_reject {
        let rejected = human::count(profile.rejected);
        line(&mut out, &format!("{rejected} more lines do not: the first is {at}: {reason}"));
    }
    indent(&mut out, &guessed.grid().render(0, false));
    if let Some(interval) = &roles.interval {
        line(&mut out, &format!("most times are {interval} apart"));
    }
    for doubt in &roles.doubts {
        line(&mut out, &format!("in doubt: {doubt}"));
    }
    out
}

/// What to do with a file that no layout knows.
pub(super) fn what_next(name: &str, guessed: &Guessed<'_>, drafted: bool) -> String {
    if let Some(column) = &guessed.roles.comma {
        let from = format!("\n{column:?} has decimal commas, which no layout reads");
        if guessed.guess.delimiter == b',' {
            return format!("{from}: let the file be written with decimal points\n");
        }
        return format!(
            "{from}; with points instead:\n  tr , . < {0} > points.csv\n  \
             tidegate inspect points.csv --write-layout mine.toml\n",
            word(name)
        );
    }
    if drafted {
        format!(
            "\nto load it, let a layout be drafted, look at it, and load by it:\n  \
             tidegate inspect {0} --write-layout mine.toml\n  \
             tidegate backfill {0} --layout mine.toml\n",
            word(name)
        )
    } else {
        "\nno layout can be drafted: a time and a price are needed, and were not found\n".to_owned()
    }
}

/// A file that no layout knows, as JSON.
pub(super) fn json(
    name: &str,
    bytes: u64,
    error: &RecogniseError,
    guessed: Option<&Guessed<'_>>,
) -> Value {
    let tried = match error {
        RecogniseError::Unknown(unknown) => unknown.tried.clone(),
        _ => Vec::new(),
    };
    let tried: Vec<Value> =
        tried.iter().map(|(layout, why)| json!({ "layout": layout, "why_not": why })).collect();
    let guess = guessed.map(|guessed| {
        let Guessed { guess, profile, roles } = guessed;
        let columns = profile.columns.iter().enumerate().map(|(at, column)| {
            let (least, most) = range(column);
            json!({
                "field": at + 1, "name": column.name, "looks_like": kind(column),
                "empty": column.rows - column.filled(), "least": least, "greatest": most,
                "taken_for": guessed.role_of(at), "example": column.example,
            })
        });
        json!({
            "delimiter": char::from(guess.delimiter).to_string(), "fields": guess.fields,
            "preamble": guess.preamble, "header": guess.header, "records": profile.rows,
            "other_lines": profile.rejected, "columns": columns.collect::<Vec<_>>(),
            "time": roles.time, "interval": roles.interval, "doubts": roles.doubts,
            "sample": profile.sample,
        })
    });
    json!({
        "source": name, "bytes": bytes, "recognised": false, "why_not": error.to_string(),
        "tried": tried, "guess": guess,
    })
}
