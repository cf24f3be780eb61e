//! Printing: results to standard output, everything for people to standard error.

use std::io::{IsTerminal, Write};

use crate::command::Answer;
use crate::error::Exit;
use crate::report::table::Look;

/// How standard error may look.
pub fn look() -> Look {
    let terminal = std::io::stderr().is_terminal();
    Look {
        width: if terminal { terminal_width() } else { 0 },
        colour: terminal && colour_allowed(),
    }
}

/// Whether nobody forbids colour.
pub fn colour_allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn terminal_width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    columns.or(asked.map(|size| usize::from(size.ws_col)).filter(|&width| width > 0)).unwrap_or(100)
}

/// A result. A reader that went away is no failure of ours.
pub fn result(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// A line for people.
pub fn message(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error.
pub fn error(text: &str) {
    message(&format!("tidegate: {text}"));
}

/// What a command answered.
pub fn answer(answer: &Answer, json: bool) -> Exit {
    if json {
        let value = match (&answer.json, &answer.grid) {
            (Some(json), _) => json.clone(),
            (None, Some(grid)) => grid.to_json(),
            (None, None) => serde_json::json!({ "messages": answer.messages }),
        };
        result(&format!("{value:#}"));
    } else {
        if let Some(grid) = answer.grid.as_ref().filter(|grid| !grid.is_empty()) {
            let terminal = std::io::stdout().is_terminal();
            let width = if terminal { terminal_width() } else { 0 };
            result(&grid.render(width, terminal && colour_allowed()));
        }
        if let Some(text) = &answer.text {
            result(text);
        }
    }
    answer.messages.iter().for_each(|text| message(text));
    answer.exit
}
