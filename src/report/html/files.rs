//! The files, the tables they went into, and the settings.

use std::fmt::Write;

use super::text::{Lines, Num, Shown, T, pointer_key};
use super::{human, section};
use crate::limit::HTML_FILES_MAX;
use crate::report::model::{FileReport, Report};
use crate::report::table::{COUNT_COLUMNS, CountColumn};

/// All files, the worst first.
pub fn section_of(out: &mut String, report: &Report) {
    section(out, "files", "Files", |out| {
        if report.files.is_empty() {
            out.push_str("<p>There were none to load.</p>\n");
        } else {
            table(out, report);
        }
        if !report.ignored.is_empty() {
            let _ = writeln!(
                out,
                "<details><summary>{} ignored: no market data</summary><ul class=\"facts\">",
                human::plural(report.ignored.len() as u64, "source")
            );
            for name in &report.ignored {
                let _ = writeln!(out, "<li>{}</li>", T(name));
            }
            out.push_str("</ul></details>\n");
        }
    });
}

/// What is looked at first: failures and rejects, then what is not complete, then what is large.
fn badness(file: &FileReport) -> (bool, u64, bool, bool, u64) {
    let open = !file.sealed;
    (file.error.is_some(), file.counts.rejected, open, !file.already_loaded, file.bytes_read)
}

fn table(out: &mut String, report: &Report) {
    let always = ["read", "inserted", "rejected"];
    let columns: Vec<CountColumn> = COUNT_COLUMNS
        .into_iter()
        .filter(|(name, get)| {
            always.contains(name) || report.files.iter().any(|file| get(&file.counts) > 0)
        })
        .collect();
    let mut files: Vec<(usize, &FileReport)> = report.files.iter().enumerate().collect();
    files.sort_by_key(|(at, file)| (std::cmp::Reverse(badness(file)), *at));
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Files\"><table \
         class=\"sortable\"><thead><tr><th scope=\"col\" class=\"word\">file</th><th scope=\"col\" \
         class=\"word\">state</th>",
    );
    for (name, _) in &columns {
        let _ = write!(out, "<th scope=\"col\">{name}</th>");
    }
    out.push_str(
        "<th scope=\"col\">size</th><th scope=\"col\" class=\"word\">layout</th><th scope=\"col\" \
         class=\"word\">dataset</th></tr></thead><tbody>\n",
    );
    for (at, file) in files.iter().take(HTML_FILES_MAX) {
        row(out, *at, file, &columns);
    }
    out.push_str("</tbody></table></div>\n");
    let hidden = files.len().saturating_sub(HTML_FILES_MAX) as u64;
    if hidden > 0 {
        let _ = writeln!(
            out,
            "<p class=\"note\">... and {}, no worse than these; the JSON in this page has \
             them.</p>",
            human::plural(hidden, "more file")
        );
    }
}

fn row(out: &mut String, at: usize, file: &FileReport, columns: &[CountColumn]) {
    let (state, class) = match file {
        FileReport { error: Some(_), .. } => ("failed", "bad"),
        FileReport { already_loaded: true, .. } => ("loaded before", "calm"),
        FileReport { sealed: true, .. } => ("complete", "good"),
        _ => ("not complete", "warn"),
    };
    let _ = write!(out, "<tr><th scope=\"row\" class=\"path\">{}", T(&file.source));
    if let Some(error) = &file.error {
        let _ = write!(out, "<p class=\"bad\">{}</p>", Lines(error));
    }
    if file.rejected_before > 0 {
        let pointer = format!("/files/{at}/rejected_before");
        let _ = write!(
            out,
            "<p class=\"warn\">{} refused by an earlier run are still open</p>",
            Num(file.rejected_before, &pointer)
        );
    }
    let _ = write!(out, "</th><td class=\"word\"><span class=\"pill {class}\">{state}</span></td>");
    for (name, get) in columns {
        let value = get(&file.counts);
        let class = match *name {
            "rejected" if value > 0 => " class=\"bad\"",
            "conflicting" if value > 0 => " class=\"warn\"",
            _ => "",
        };
        let pointer = format!("/files/{at}/{name}");
        let _ = write!(out, "<td{class}>{}</td>", Num(value, &pointer));
    }
    let pointer = format!("/files/{at}/bytes_read");
    let size = human::size(file.bytes_read);
    let word = |word: &Option<String>| word.as_deref().unwrap_or("").to_owned();
    let _ = writeln!(
        out,
        "<td>{}</td><td class=\"word\">{}</td><td class=\"word\">{}</td></tr>",
        Shown(file.bytes_read as f64, &size, &pointer),
        T(&word(&file.layout)),
        T(&word(&file.dataset)),
    );
}

/// Tables, the ladder, and what the run was asked for.
pub fn details(out: &mut String, report: &Report) {
    section(out, "details", "Details", |out| {
        tables(out, report);
        out.push_str("<h3>Settings and circumstances</h3>\n<dl class=\"settings\">\n");
        let mut fact = |name: &str, value: &str| {
            let _ = writeln!(out, "<dt>{}</dt><dd>{value}</dd>", T(name));
        };
        let ladder = &report.ladder;
        fact(
            "strategy",
            &T(report.strategy.as_deref().unwrap_or("nothing was written")).to_string(),
        );
        fact("batches by COPY", &Num(ladder.copy_batches, "/ladder/copy_batches").to_string());
        fact(
            "batches by INSERT",
            &Num(ladder.insert_batches, "/ladder/insert_batches").to_string(),
        );
        fact(
            "rows tried one by one",
            &Num(ladder.row_attempts, "/ladder/row_attempts").to_string(),
        );
        fact("retries", &Num(ladder.retries, "/ladder/retries").to_string());
        let memory = human::memory(report.peak_memory_bytes);
        let memory = Shown(report.peak_memory_bytes as f64, &memory, "/peak_memory_bytes");
        fact("peak memory", &memory.to_string());
        fact("exit code", &Num(u64::from(report.exit.code()), "/exit_code").to_string());
        for (name, value) in &report.settings {
            fact(name, &T(value).to_string());
        }
        if let Some(time) = report.last_success_at {
            fact("last success", &super::moment(time));
        }
        out.push_str("</dl>\n");
    });
}

fn tables(out: &mut String, report: &Report) {
    if report.tables.is_empty() {
        return;
    }
    out.push_str(
        "<h3>Rows of tables</h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Tables\"><table><thead><tr><th scope=\"col\" class=\"word\">table</th><th \
         scope=\"col\">inserted</th><th scope=\"col\">updated</th><th scope=\"col\">deleted</th>\
         </tr></thead><tbody>\n",
    );
    for (name, rows) in &report.tables {
        let key = pointer_key(name);
        let cell =
            |value: u64, change: &str| Num(value, &format!("/tables/{key}/{change}")).to_string();
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
            T(name),
            cell(rows.inserted, "inserted"),
            cell(rows.updated, "updated"),
            cell(rows.deleted, "deleted"),
        );
    }
    out.push_str("</tbody></table></div>\n");
}
