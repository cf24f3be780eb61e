//! The top of the page: how it ended, what to do next, and the accounts.

use std::fmt::{Display, Write};

use super::text::{Lines, Num, Shown, T};
use super::{ending, human, moment, percent, section};
use crate::error::Exit;
use crate::report::model::Report;

/// Who ran when, and how it ended.
pub fn header(out: &mut String, report: &Report) {
    let (word, class) = ending(report);
    let _ = write!(
        out,
        "<header>\n<p class=\"brand\">Tidegate</p>\n<h1>{command} <span class=\"run\">{run}</span> \
         <span class=\"pill {class}\">{word}</span></h1>\n<p class=\"when\">{start} to {end}",
        command = T(&report.command),
        run = if report.run_id.is_empty() {
            String::new()
        } else {
            format!("run {}", T(&report.run_id))
        },
        start = moment(report.started_at),
        end = moment(report.finished_at),
    );
    if let Some(job) = &report.job {
        let _ = write!(out, " &middot; job {}", T(job));
    }
    let database = &report.database;
    if let Some(version) = &database.server_version {
        let embedded = if database.embedded { " (embedded)" } else { "" };
        let _ = write!(out, " &middot; PostgreSQL {}{embedded}", T(version));
    }
    if let Some(timescale) = &database.timescaledb {
        let _ = write!(out, " &middot; TimescaleDB {}", T(timescale));
    }
    out.push_str("</p>\n</header>\n");
}

/// Errors and warnings, and the commands that go on from here.
pub fn next_steps(out: &mut String, report: &Report) {
    if report.messages.is_empty()
        && report.resume_command.is_none()
        && report.replay_command.is_none()
    {
        return;
    }
    let failed = !report.succeeded();
    let title = if failed { "What happened, and what to do" } else { "Worth knowing" };
    section(out, "next", title, |out| {
        if report.exit == Exit::Accounts {
            out.push_str(
                "<p class=\"bad\"><strong>The accounts do not add up: do not trust this load, and \
                 keep this report.</strong></p>\n",
            );
        }
        if !report.messages.is_empty() {
            out.push_str("<ul class=\"messages\">\n");
            for message in &report.messages {
                let _ = writeln!(out, "<li>{}</li>", Lines(message));
            }
            out.push_str("</ul>\n");
        }
        let mut command = |what: &str, command: &Option<String>| {
            if let Some(command) = command {
                let _ = writeln!(out, "<p>{what}</p>\n<pre tabindex=\"0\">{}</pre>", T(command));
            }
        };
        command("To go on where it stopped:", &report.resume_command);
        command("To mend what was refused and load it:", &report.replay_command);
    });
}

/// A fate of records: its name, how many, and what it means.
const MEANINGS: [(&str, &str); 5] = [
    ("inserted", "new in the table"),
    ("updated", "replaced a stored record"),
    ("duplicate", "there already"),
    ("rejected", "refused, and kept for mending"),
    ("skipped", "outside of what was asked for"),
];

/// The figures at a glance, and the equation.
pub fn totals(out: &mut String, report: &Report) {
    section(out, "totals", "Totals", |out| {
        tiles(out, report);
        equation(out, report);
    });
}

fn tiles(out: &mut String, report: &Report) {
    let (counts, speed) = (&report.totals.counts, &report.throughput);
    out.push_str("<dl class=\"tiles\">\n");
    let files = format!("from {}", human::plural(report.totals.files, "file"));
    tile(out, "Records read", &Num(counts.read, "/totals/read"), &files, "");
    let share = format!("{} of them", percent(counts.inserted, counts.read));
    tile(out, "Inserted", &Num(counts.inserted, "/totals/inserted"), &share, "");
    let (share, class) = match counts.rejected {
        0 => ("none".to_owned(), ""),
        rejected => (format!("{} of them", percent(rejected, counts.read)), "bad"),
    };
    tile(out, "Rejected", &Num(counts.rejected, "/totals/rejected"), &share, class);
    let elapsed = human::seconds(report.elapsed_s);
    let size = format!("for {}", human::size(report.totals.bytes_read));
    tile(out, "Time", &Shown(report.elapsed_s, &elapsed, "/elapsed_s"), &size, "");
    let rows = human::count(speed.rows_per_s.round() as u64);
    let rows = Shown(speed.rows_per_s, &rows, "/throughput/rows_per_s");
    let bytes = human::mb_per_s(speed.bytes_per_s);
    let bytes = Shown(speed.bytes_per_s, &bytes, "/throughput/bytes_per_s").to_string();
    tile(out, "Rows a second", &rows, &bytes, "");
    let stage = report.bottleneck.as_deref().unwrap_or("none");
    tile(out, "Bottleneck", &T(stage), "what the others waited for", "");
    out.push_str("</dl>\n");
}

/// A figure at a glance; `more` is markup of ours.
fn tile(out: &mut String, title: &str, value: &impl Display, more: &str, class: &str) {
    let _ = writeln!(
        out,
        "<div class=\"tile {class}\"><dt>{title}</dt><dd>{value} <small>{more}</small></dd></div>"
    );
}

fn equation(out: &mut String, report: &Report) {
    let counts = &report.totals.counts;
    if counts.read == 0 {
        out.push_str("<p>No records were read in this run.</p>\n");
        return;
    }
    let values =
        [counts.inserted, counts.updated, counts.duplicate, counts.rejected, counts.skipped];
    out.push_str("<div class=\"fates\" aria-hidden=\"true\">");
    for ((name, _), value) in MEANINGS.iter().zip(values).filter(|(_, value)| *value > 0) {
        let share = value as f64 * 100.0 / counts.read as f64;
        let _ = write!(
            out,
            "<span class=\"fate-{name}\" style=\"flex-grow:{share:.4}\" title=\"{name}: \
             {}\"></span>",
            human::count(value)
        );
    }
    out.push_str("</div>\n<p class=\"equation\">");
    let sign = if counts.add_up() { "=" } else { "is not" };
    let _ = write!(out, "<span>read <b>{}</b></span> {sign} ", Num(counts.read, "/totals/read"));
    for (at, ((name, meaning), value)) in MEANINGS.iter().zip(values).enumerate() {
        let plus = if at > 0 { " + " } else { "" };
        let zero = if value == 0 { " zero" } else { "" };
        let pointer = format!("/totals/{name}");
        let _ = write!(
            out,
            "{plus}<span class=\"term{zero}\" title=\"{meaning}\"><i class=\"key fate-{name}\"></i>\
             {name} <b>{}</b></span>",
            Num(value, &pointer)
        );
    }
    out.push_str("</p>\n");
    if counts.conflicting > 0 {
        let _ = writeln!(
            out,
            "<p class=\"note\">{} of the duplicates differ from what is stored: the vendor \
             restated history, or two sources disagree. \
             <code>--on-conflict update</code> takes them.</p>",
            Num(counts.conflicting, "/totals/conflicting")
        );
    }
}
