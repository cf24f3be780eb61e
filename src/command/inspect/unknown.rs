//! What is said of a file that no layout knows, for people and as JSON: what was tried, how it
//! begins, what it looks like, and what to do next.

use std::path::Path;

use serde_json::{Value, json};

use super::InspectRequest;
use super::draft::{says, symbol_in};
use super::guess::Guess;
use super::profile::{Column, Profile};
use super::roles::{Roles, Source};
use super::show::{given_words, indent, line, word};
use super::subject::{Subject, Verdict};
use crate::layout::{GivenFacts, RecogniseError, normalise_interval};
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
    pub roles: Roles,
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
        None if column.is_numeric() && column.amounts > 0 => {
            format!("amounts such as {:?}", column.example)
        }
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
    subject: &Subject,
    error: &RecogniseError,
    guessed: Option<&Guessed<'_>>,
) -> String {
    let head = subject.head.as_slice();
    let size = subject.bytes.map(|bytes| format!(", {}", human::size(bytes)));
    let mut out = format!("{}: not recognised{}\n", subject.name, size.unwrap_or_default());
    match error {
        RecogniseError::Unknown(unknown) => {
            if unknown.parquet {
                line(&mut out, &format!("columns: {}", unknown.first_line));
            }
            if unknown.tried.is_empty() {
                line(&mut out, "no layout comes near it");
            } else {
                line(&mut out, "layouts that come nearest, and why they do not fit");
            }
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
    let part = if profile.whole { "" } else { "the part that was read has " };
    let fields = human::plural(guess.fields as u64, "field");
    let delimiter = char::from(guess.delimiter);
    line(
        &mut out,
        &format!("{part}{records} of {fields} with {delimiter:?} between them, {header}"),
    );
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

/// What to do with a file that no layout knows: the commands to type next.
pub(super) fn what_next(
    subject: &Subject,
    guessed: Option<&Guessed<'_>>,
    request: &InspectRequest,
    draft: Option<&str>,
) -> String {
    let file = word(&subject.file);
    let given = given_words(&request.facts);
    let layout = word(&free_name(&subject.file));
    if let Some(Guessed { roles, .. }) = guessed
        && !roles.wide.is_empty()
        && roles.symbol.is_none()
    {
        let tickers: Vec<String> = roles.wide.iter().map(|name| word(name)).collect();
        let stem = layout.trim_end_matches(".toml").trim_matches('\'').to_owned();
        let each = format!("{stem}-$ticker.toml");
        return format!(
            "\neach of its columns has the prices of one ticker; to load them, one layout a \
                 ticker:\n  for ticker in {}; do\n    tidegate inspect {file} --symbol \"$ticker\" \
                 --write-layout \"{each}\"{given} &&\n    tidegate backfill {file} --layout \
                 \"{each}\"{given}\n  done\n",
            tickers.join(" "),
        );
    }
    let Some(draft) = draft else {
        return match (guessed, &subject.verdict) {
            (None, Verdict::Strange(RecogniseError::Unknown(unknown), _)) => format!(
                "\nno column is called like a time or a close; say which are, in a file \
                 {layout}, and load by it:\n{}\n  \
                 tidegate backfill {file} --layout {layout}{given}\n",
                unknown.example.lines().map(|line| format!("    {line}\n")).collect::<String>(),
            ),
            (None, _) => String::new(),
            (Some(_), _) => "\nno layout can be drafted: a time and a price are needed, and were \
                             not found\n"
                .to_owned(),
        };
    };
    let mut facts = given.clone();
    let mut blanks = String::new();
    let GivenFacts { symbol, interval, .. } = &request.facts;
    if symbol.is_none() && !says(draft, "symbol") {
        let guess = symbol_in(&subject.name);
        if guess.is_none() {
            blanks.push_str("\n  (TICKER stands for the ticker, which nothing in the file says)");
        }
        facts.push_str(&format!(" --symbol {}", word(guess.as_deref().unwrap_or("TICKER"))));
    }
    let bars = guessed.is_none_or(|guessed| guessed.roles.dataset == "bars");
    if interval.is_none() && bars && !says(draft, "interval") {
        blanks.push_str("\n  (INTERVAL stands for the bars' interval, such as 1m, 1h, 1d)");
        facts.push_str(" --interval INTERVAL");
    }
    format!(
        "\nto load it, let a layout be drafted, look at it, and load by it:\n  \
         tidegate inspect {file} --write-layout {layout}{given}\n  \
         tidegate backfill {file} --layout {layout}{facts}{blanks}\n"
    )
}

/// A name for a layout file made of the file's, under which nothing is there yet.
pub(super) fn free_name(file: &str) -> String {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = base.split('.').next().filter(|stem| !stem.is_empty() && *stem != "-");
    let stem = stem.unwrap_or("mine");
    let names = (2..1_000).map(|number| format!("{stem}-{number}.toml"));
    let mut names = std::iter::once(format!("{stem}.toml")).chain(names);
    names.find(|name| !Path::new(name).exists()).unwrap_or_else(|| "mine.toml".to_owned())
}

/// A file that no layout knows, as JSON.
pub(super) fn json(
    subject: &Subject,
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
            "dataset": roles.dataset, "wide": roles.wide, "read_all": profile.whole,
            "time": roles.time, "interval": roles.interval, "doubts": roles.doubts,
            "sample": profile.sample,
        })
    });
    json!({
        "source": subject.name, "bytes": subject.bytes, "recognised": false,
        "why_not": error.to_string(),
        "tried": tried, "guess": guess,
    })
}
