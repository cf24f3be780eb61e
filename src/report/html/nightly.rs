//! The sources of a nightly run, one by one, and the upkeep after them.

use std::fmt::Write;

use super::text::{Num, Shown, T};
use super::{human, moment, section};
use crate::error::Exit;
use crate::report::model::Report;
use crate::report::nightly::{Nightly, SourceReport};

/// The sources and the upkeep; nothing in reports of other runs.
pub fn section_of(out: &mut String, report: &Report) {
    let Some(nightly) = &report.nightly else { return };
    section(out, "sources", "Sources", |out| {
        if nightly.sources.is_empty() {
            out.push_str("<p>There were none.</p>\n");
        } else {
            sources(out, nightly);
        }
        for (at, source) in nightly.sources.iter().enumerate() {
            facts(out, at, source);
        }
    });
    if !nightly.maintenance.is_empty() {
        section(out, "upkeep", "Upkeep", |out| upkeep(out, nightly));
    }
}

fn state(exit: Exit) -> (&'static str, &'static str) {
    match exit {
        Exit::Done => ("done", "good"),
        Exit::Rejects => ("done, with rejects", "warn"),
        Exit::Budget => ("stopped: too many rejects", "bad"),
        Exit::Accounts => ("the accounts do not add up", "bad"),
        Exit::Interrupted => ("interrupted", "warn"),
        _ => ("failed", "bad"),
    }
}

fn sources(out: &mut String, nightly: &Nightly) {
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Sources\"><table>\
         <thead><tr><th scope=\"col\" class=\"word\">source</th>\
         <th scope=\"col\" class=\"word\">state</th><th scope=\"col\">read</th>\
         <th scope=\"col\">inserted</th><th scope=\"col\">updated</th>\
         <th scope=\"col\">rejected</th>\
         <th scope=\"col\">unchanged files</th>\
         <th scope=\"col\">time</th><th scope=\"col\" class=\"word\">newest record</th>\
         <th scope=\"col\" class=\"word\">last success</th></tr></thead>\n<tbody>\n",
    );
    for (at, source) in nightly.sources.iter().enumerate() {
        let (word, class) = state(source.exit);
        let counts = &source.totals.counts;
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"word\">\
             <span class=\"pill {class}\">{word}</span></td>",
            T(&source.name)
        );
        for (key, number) in [
            ("read", counts.read),
            ("inserted", counts.inserted),
            ("updated", counts.updated),
            ("rejected", counts.rejected),
        ] {
            let pointer = format!("/sources/{at}/totals/{key}");
            let _ = write!(out, "<td>{}</td>", Num(number, &pointer));
        }
        let pointer = format!("/sources/{at}/unchanged");
        let _ = write!(out, "<td>{}</td>", Num(source.unchanged, &pointer));
        let (elapsed, pointer) =
            (human::seconds(source.elapsed_s), format!("/sources/{at}/elapsed_s"));
        let shown = Shown(source.elapsed_s, &elapsed, &pointer);
        let time = |time: Option<jiff::Timestamp>| time.map_or("never".to_owned(), moment);
        let newest = source.newest_at.map_or("not known".to_owned(), moment);
        let _ = writeln!(
            out,
            "<td>{shown}</td><td class=\"word\">{newest}</td><td class=\"word\">{}</td></tr>",
            time(source.last_success_at)
        );
    }
    out.push_str("</tbody>\n</table></div>\n");
}

/// What is worth a look of one source.
fn facts(out: &mut String, at: usize, source: &SourceReport) {
    let mut lines = Vec::new();
    if source.exit != Exit::Done {
        lines.push(T(&source.message).to_string());
    }
    if let Some(next) = &source.next_step {
        lines.push(format!("next: <code>{}</code>", T(next)));
    }
    if !source.missing_days.is_empty() {
        lines.push(format!("no data of {}", T(&source.missing_days.join(", "))));
    }
    for (day_at, day) in source.short_days.iter().enumerate() {
        let pointer = |key: &str| format!("/sources/{at}/short_days/{day_at}/{key}");
        lines.push(format!(
            "{} {} has {} of {} records that the source counts",
            T(&day.day),
            T(day.ticker.as_deref().unwrap_or_default()),
            Num(day.found, &pointer("found")),
            Num(day.expected, &pointer("expected"))
        ));
    }
    for (restated_at, restated) in source.restated.iter().enumerate() {
        let pointer = |key: &str| format!("/sources/{at}/restated/{restated_at}/{key}");
        lines.push(format!(
            "{} was rewritten: {} new, {} updated, {} differ from what is stored",
            T(&restated.source),
            Num(restated.inserted, &pointer("inserted")),
            Num(restated.updated, &pointer("updated")),
            Num(restated.conflicting, &pointer("conflicting"))
        ));
    }
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "<h3>{}</h3>\n<ul class=\"facts\">", T(&source.name));
    for line in lines {
        let _ = writeln!(out, "<li>{line}</li>");
    }
    out.push_str("</ul>\n");
}

fn upkeep(out: &mut String, nightly: &Nightly) {
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Upkeep\"><table>\
         <thead><tr><th scope=\"col\" class=\"word\">action</th>\
         <th scope=\"col\" class=\"word\">table</th><th scope=\"col\" class=\"word\">outcome</th>\
         <th scope=\"col\">parts</th><th scope=\"col\">rows</th>\
         <th scope=\"col\">time</th></tr></thead>\n<tbody>\n",
    );
    for (at, action) in nightly.maintenance.iter().enumerate() {
        let class = if action.outcome == "failed" { "bad" } else { "good" };
        let detail = action.detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
        let pointer = |key: &str| format!("/maintenance/{at}/{key}");
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\" class=\"word\">{}</th><td class=\"word\">{}</td>\
             <td class=\"word\"><span class=\"pill {class}\">{}</span>{}</td>\
             <td>{}</td><td>{}</td><td>{}</td></tr>",
            T(&action.action),
            T(&action.target),
            T(&action.outcome),
            T(&detail),
            Num(action.parts, &pointer("parts")),
            Num(action.rows, &pointer("rows")),
            Shown(action.elapsed_s, &human::seconds(action.elapsed_s), &pointer("elapsed_s"))
        );
    }
    out.push_str("</tbody>\n</table></div>\n");
}
