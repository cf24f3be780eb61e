//! What was refused and what is worth a look.

use std::fmt::Write;

use super::text::{Num, T, pointer_key};
use super::{human, percent, section};
use crate::report::model::{RejectExample, Report};

/// Columns of an example's original bytes.
const ORIGINAL_COLUMNS: usize = 400;

/// Rejects and warnings by rule, the most frequent first.
pub fn section_of(out: &mut String, report: &Report) {
    section(out, "rejects", "Rejects by rule", |out| {
        if report.rejects_by_rule.is_empty() {
            out.push_str("<p>Nothing was refused.</p>\n");
        } else {
            rules(out, report);
        }
        warnings(out, report);
    });
}

fn rules(out: &mut String, report: &Report) {
    let mut rules: Vec<(&String, u64)> =
        report.rejects_by_rule.iter().map(|(rule, n)| (rule, *n)).collect();
    rules.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let all: u64 = rules.iter().map(|(_, n)| n).sum();
    let most = rules.first().map_or(1, |(_, n)| *n).max(1);
    out.push_str("<ol class=\"rules\">\n");
    for (rule, number) in rules {
        let pointer = format!("/rejects_by_rule/{}", pointer_key(rule));
        let _ = write!(
            out,
            "<li><h3><code>{}</code> <b>{}</b> <small>{}</small></h3><span class=\"bar bad\" \
             style=\"width:{:.1}%\"></span>",
            T(rule),
            Num(number, &pointer),
            percent(number, all),
            number as f64 * 100.0 / most as f64,
        );
        for example in report.reject_examples.iter().filter(|example| example.rule == *rule) {
            example_of(out, example);
        }
        out.push_str("</li>\n");
    }
    out.push_str("</ol>\n");
    if !report.rejects_at.is_empty() {
        let places: Vec<String> =
            report.rejects_at.iter().map(|place| format!("<code>{}</code>", T(place))).collect();
        let _ = writeln!(
            out,
            "<p>All of them, with their original bytes, are in {}.</p>",
            places.join(", ")
        );
    }
}

fn example_of(out: &mut String, example: &RejectExample) {
    let _ = write!(
        out,
        "<p><span class=\"place\">{}</span>: {}</p>",
        T(&example.place.to_string()),
        T(&example.reason)
    );
    let raw = human::original(&example.raw, ORIGINAL_COLUMNS);
    if !raw.is_empty() {
        let _ = write!(out, "<pre tabindex=\"0\">{}</pre>", T(&raw));
    }
}

fn warnings(out: &mut String, report: &Report) {
    if report.warnings_by_rule.is_empty() {
        return;
    }
    out.push_str("<h3>Loaded all the same, and worth a look</h3>\n<ul class=\"facts\">\n");
    for (rule, number) in &report.warnings_by_rule {
        let pointer = format!("/warnings_by_rule/{}", pointer_key(rule));
        let _ = writeln!(out, "<li><code>{}</code> {}</li>", T(rule), Num(*number, &pointer));
    }
    out.push_str("</ul>\n");
}
